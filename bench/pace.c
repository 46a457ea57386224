/*
 * pace.c - a load of HTTP/1.1 requests: closed loop, open loop, slow readers.
 *
 *     pace -p PORT -f URLS [-h ADDRESS] [-d SECONDS] [-W SECONDS] [...]
 *
 *   closed loop (default)
 *     -c N    connections; each asks again as soon as it is answered
 *     -R S    they are opened over so many seconds
 *   open loop
 *     -r N    requests a second fall due at fixed times (-P: Poisson's), on any
 *             free connection or a new one, of at most -c N.  What a response
 *             took is counted from the time its request was due, so that a
 *             stall is charged to each request that it delayed.
 *   slow readers (either loop)
 *     -b N    bytes a second that each connection reads
 *     -t MS   how often it reads;  -w N  its SO_RCVBUF;  -m N  its MSS
 *   all
 *     -f FILE a line a request: a path, and after a blank the class under which
 *             it is counted ("all" if there is none).  Taken at random (a line
 *             that stands there twice, twice as often), with -o in order.
 *     -d S    seconds that are measured, -W S seconds of warm-up before them
 *     -n N    stops after so many responses
 *     -k      a connection a request
 *     -a ADDR the first of its own addresses: each connection has another
 *     -s N    seed of what is random
 *     -g S    how long is waited for responses after the end of an open loop
 *
 * One thread; prints one object of JSON at the end, which comes by itself, or
 * by SIGINT or SIGTERM.  A request that had no response by the end counts among
 * the latencies with the time it had waited, and as unfinished.  A request
 * whose kept connection was closed before the first byte of the response is
 * sent again, once, on a new one.
 */
#define _GNU_SOURCE
#include "histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    KINDS_MAX = 8,
    URLS_MAX = 1000000,
    HEAD_MAX = 4096,
    EVENTS = 512
};
#define SECOND 1000000000LL

/* What one kind of URL has had. */
struct kind {
    char name[32];
    uint64_t done, bytes;
    struct histogram total; /* from due to the last byte */
    struct histogram first; /* from due to the first */
    struct histogram wire;  /* from sent to the last */
};

struct url {
    const char *path;
    int kind;
};

struct conn {
    enum {
        CLOSED,
        CONNECTING,
        HEAD,
        BODY,
        IDLE
    } state;
    int fd;
    bool is_reused, closes, is_retry;
    int status;
    const struct url *url;
    int64_t due, sent, first;
    int64_t left; /* of the body; what has come in all */
    int64_t got;
    size_t head_len;
    struct conn *next;
    char head[HEAD_MAX];
};

static struct {
    const char *address, *first_own;
    int port, conns, rcvbuf, mss, tick_ms;
    double seconds, warm, ramp, rate, grace;
    int64_t bytes_per_second, count;
    bool is_poisson, is_ordered, closes;
} opt = {.address = "127.0.0.1", .tick_ms = 50, .seconds = 5, .grace = 5};

static struct url *urls;
static size_t url_count, url_next;
static struct kind *kinds;
static int kind_count;
static struct conn *conns, *closed, *idle;
static int in_use, epoll, paced_tenth;
static struct sockaddr_in address = {.sin_family = AF_INET};
static struct in_addr first_own;
static int64_t began, counts_from, ends, pauses_until;
static uint64_t random_state = 88172645463325252u;
static volatile sig_atomic_t is_stopped;
static struct histogram lag; /* of the generator itself */
static struct {
    uint64_t offered, done, queued, retries, connections;
    uint64_t bytes; /* received in the time that is measured */
    uint64_t connect, reset, closed, malformed, status, unfinished;
} n;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static const struct url *pick_url(void)
{
    size_t i =
        opt.is_ordered ? url_next++ % url_count : random_next() % url_count;
    return &urls[i];
}

/* Is a request that was due then measured? */
static bool is_counted(const struct conn *c, int64_t t)
{
    if (opt.rate > 0) {
        return c->due >= counts_from && c->due < ends;
    }
    return t >= counts_from && t <= ends;
}

static void watch(struct conn *c, int operation, unsigned events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &e)) {
        die("epoll_ctl");
    }
}

static void close_conn(struct conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->state = CLOSED;
    c->next = closed;
    closed = c;
    in_use--;
}

/* A request has failed: counted, and in a closed loop a pause, so that a server
 * that has gone is not asked without end. */
static void fail(struct conn *c, uint64_t *count)
{
    int64_t t = now();
    if (is_counted(c, t)) {
        (*count)++;
    }
    pauses_until = t + SECOND / 100;
    close_conn(c);
}

static void open_conn(struct conn *c);

/* The connection has ended or broken off before the response had. */
static void broken(struct conn *c, uint64_t *count)
{
    if (!c->is_reused || c->is_retry || c->got > 0) {
        fail(c, count);
        return;
    }
    n.retries++;
    close(c->fd);
    c->is_retry = true;
    open_conn(c);
}

static void send_request(struct conn *c)
{
    char text[2048];
    int len =
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n",
                 c->url->path, opt.address, opt.port,
                 opt.closes ? "Connection: close\r\n" : "");
    c->sent = now();
    c->first = c->got = 0;
    c->head_len = 0;
    c->state = HEAD;
    if (send(c->fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        broken(c, &n.reset);
        return;
    }
    if (!c->is_reused) {
        /* From here on an event of an idle one means that it was closed. */
        watch(c, EPOLL_CTL_MOD, opt.bytes_per_second > 0 ? 0 : EPOLLIN);
    }
}

static void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value)) {
        die("setsockopt");
    }
}

/* Each connection comes from an address of its own. */
static void bind_own(const struct conn *c)
{
    struct sockaddr_in own = {.sin_family = AF_INET};

    own.sin_addr.s_addr =
        htonl(ntohl(first_own.s_addr) + (uint32_t)(c - conns));
    set_option(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(c->fd, (void *)&own, sizeof own)) {
        die("bind");
    }
}

static void open_conn(struct conn *c)
{
    c->is_reused = false;
    c->state = CONNECTING;
    c->got = 0;
    n.connections++;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        die("socket");
    }
    set_option(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (opt.rcvbuf > 0) {
        set_option(c->fd, SOL_SOCKET, SO_RCVBUF, opt.rcvbuf);
    }
    if (opt.mss > 0) {
        set_option(c->fd, IPPROTO_TCP, TCP_MAXSEG, opt.mss);
    }
    if (opt.first_own) {
        bind_own(c);
    }
    if (connect(c->fd, (void *)&address, sizeof address)
        && errno != EINPROGRESS) {
        fail(c, &n.connect);
        return;
    }
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* There is an idle connection, or room for a new one. */
static void start_request(int64_t due)
{
    struct conn *c = idle ? idle : closed;
    c->due = due;
    c->url = pick_url();
    c->is_retry = false;
    if (idle) {
        idle = c->next;
        c->is_reused = true;
        send_request(c);
    }
    else {
        closed = c->next;
        in_use++;
        open_conn(c);
    }
}

static uint64_t since(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)(to - from) : 0;
}

static void finish_response(struct conn *c)
{
    int64_t t = now();
    if (c->status != 200) {
        n.status += is_counted(c, t);
    }
    else if (is_counted(c, t)) {
        struct kind *kind = &kinds[c->url->kind];
        n.done++;
        kind->done++;
        kind->bytes += (uint64_t)c->got;
        histogram_add(&kind->total, since(c->due, t));
        histogram_add(&kind->first, since(c->due, c->first));
        histogram_add(&kind->wire, since(c->sent, t));
    }
    if (opt.closes || c->closes) {
        close_conn(c);
        return;
    }
    c->state = IDLE;
    c->next = idle;
    idle = c;
}

/* @return false when the head can't be understood. */
static bool parse_head(struct conn *c, const char *end)
{
    const char *length = strcasestr(c->head, "\ncontent-length:");
    const char *closes = strcasestr(c->head, "\nconnection: close");
    if (strncmp(c->head, "HTTP/1.", 7) != 0 || !length || length > end) {
        return false;
    }
    c->status = atoi(c->head + 9);
    c->closes = (closes && closes < end) || c->head[7] == '0';
    c->left = atoll(length + 16)
              - (int64_t)(c->head_len - (size_t)(end + 4 - c->head));
    c->state = BODY;
    return true;
}

/* Some bytes of a response have come.
 * @return false when the connection has gone or is idle. */
static bool take(struct conn *c, size_t len)
{
    int64_t t = now();
    if (!c->first) {
        c->first = t;
    }
    c->got += (int64_t)len;
    n.bytes += t >= counts_from && t <= ends ? len : 0;
    if (c->state == BODY) {
        c->left -= (int64_t)len;
    }
    else {
        c->head_len += len;
        c->head[c->head_len] = 0;
        const char *end = strstr(c->head, "\r\n\r\n");
        if (end ? !parse_head(c, end) : c->head_len >= HEAD_MAX - 1) {
            fail(c, &n.malformed);
            return false;
        }
    }
    if (c->state == BODY && c->left <= 0) {
        finish_response(c);
        return false;
    }
    return true;
}

/* Reads what is there, at most so many bytes. */
static void receive(struct conn *c, int64_t at_most)
{
    static char body[1 << 18];
    while (at_most > 0) {
        bool in_head = c->state == HEAD;
        size_t room = in_head ? HEAD_MAX - 1 - c->head_len : sizeof body;
        if (room > (size_t)at_most) {
            room = (size_t)at_most;
        }
        ssize_t len = recv(c->fd, in_head ? c->head + c->head_len : body, room,
                           MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (len <= 0) {
            broken(c, len < 0 ? &n.reset : &n.closed);
            return;
        }
        at_most -= len;
        if (!take(c, (size_t)len)) {
            return;
        }
    }
}

static void forget_idle(struct conn *c)
{
    struct conn **link = &idle;
    while (*link != c) {
        link = &(*link)->next;
    }
    *link = c->next;
    close_conn(c);
}

static void handle_event(struct conn *c, unsigned events)
{
    int error = 0;
    socklen_t len = sizeof error;
    switch (c->state) {
    case CONNECTING:
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            fail(c, &n.connect);
        }
        else {
            send_request(c);
        }
        break;
    case HEAD:
    case BODY:
        if (opt.bytes_per_second == 0) {
            receive(c, INT64_MAX);
        }
        else if (events & (EPOLLERR | EPOLLHUP)) {
            receive(c, 1 << 20);
        }
        break;
    case IDLE:
        forget_idle(c);
        break;
    case CLOSED:
        break;
    }
}

/* Slow readers: a tenth of them at a time, so that they do not read in step. */
static void read_slowly(int64_t t)
{
    int64_t step = opt.bytes_per_second * opt.tick_ms / 500;
    paced_tenth = (paced_tenth + 1) % 10;
    for (int i = paced_tenth; i < opt.conns; i += 10) {
        struct conn *c = &conns[i];
        if (c->state == HEAD || c->state == BODY) {
            int64_t allowed =
                (t - c->sent) / 1000 * opt.bytes_per_second / 1000000 - c->got;
            receive(c, allowed < step ? allowed : step);
        }
    }
}

/* Start what has fallen due.  @return when the next one will. */
static int64_t start_due(int64_t t, int64_t due)
{
    static int64_t blocked_until; /* for want of a connection */
    while (due <= t && due < ends) {
        if (!idle && !closed) {
            blocked_until = INT64_MAX;
            return due;
        }
        if (blocked_until == INT64_MAX) {
            blocked_until = t;
        }
        if (due >= counts_from) {
            n.offered++;
            n.queued += due < blocked_until;
            if (due >= blocked_until) {
                histogram_add(&lag, since(due, now()));
            }
        }
        start_request(due);
        double gap = 1;
        if (opt.is_poisson) {
            gap = -log((double)((random_next() >> 11) + 1) / 9007199254740993.);
        }
        due += (int64_t)(gap / opt.rate * 1e9);
    }
    return due;
}

static void start_closed_loop(int64_t t)
{
    int target = opt.conns;
    if (t < began + (int64_t)(opt.ramp * 1e9)) {
        target = 1 + (int)((double)(t - began) / (opt.ramp * 1e9) * opt.conns);
    }
    while (t < ends && idle) {
        start_request(t);
    }
    while (t < ends && t >= pauses_until && closed && in_use < target) {
        start_request(t);
    }
}

static bool is_over(int64_t t)
{
    int waiting = 0;
    if (is_stopped || (opt.count > 0 && n.done >= (uint64_t)opt.count)) {
        return true;
    }
    if (t < ends || opt.rate <= 0) {
        return t >= ends;
    }
    for (int i = 0; i < opt.conns; i++) {
        waiting += conns[i].state != CLOSED && conns[i].state != IDLE;
    }
    return waiting == 0 || t >= ends + (int64_t)(opt.grace * 1e9);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void wait_for_events(int64_t t, int64_t until)
{
    struct epoll_event events[EVENTS];
    int64_t wait = until > t ? least(until - t, SECOND / 50) : 0;
    struct timespec time = {.tv_nsec = wait};
    int count = epoll_pwait2(epoll, events, EVENTS, &time, NULL);
    for (int i = 0; i < count; i++) {
        handle_event(events[i].data.ptr, events[i].events);
    }
}

static void run(void)
{
    int64_t t = began, due = began, tick = began;
    while (!is_over(t)) {
        if (opt.rate > 0) {
            due = start_due(t, due);
        }
        else {
            start_closed_loop(t);
        }
        bool can_start = opt.rate > 0 && due < ends && (idle || closed);
        int64_t until = can_start ? due : INT64_MAX;
        wait_for_events(t,
                        opt.bytes_per_second > 0 ? least(until, tick) : until);
        t = now();
        if (opt.bytes_per_second > 0 && t >= tick) {
            read_slowly(t);
            tick += opt.tick_ms * (SECOND / 10000);
            tick = tick < t ? t : tick;
        }
    }
    /* What never could be sent has waited, too. */
    for (; opt.rate > 0 && due < ends && !is_stopped && opt.count == 0;
         due += (int64_t)(1e9 / opt.rate)) {
        n.offered += due >= counts_from;
        n.unfinished += due >= counts_from;
        histogram_add(&kinds[urls[0].kind].total, since(due, now()));
    }
}

/* What is still awaited counts with the time it has waited. */
static void count_unfinished(void)
{
    int64_t t = now();
    for (int i = 0; i < opt.conns && opt.rate > 0; i++) {
        struct conn *c = &conns[i];
        if (c->state != CLOSED && c->state != IDLE && is_counted(c, t)) {
            n.unfinished++;
            histogram_add(&kinds[c->url->kind].total, since(c->due, t));
        }
    }
}

static void print_kind(const struct kind *kind)
{
    printf("    \"%s\": {\"done\": %llu, \"bytes\": %llu,\n", kind->name,
           (unsigned long long)kind->done, (unsigned long long)kind->bytes);
    printf("      \"total_us\": ");
    histogram_print_shares(&kind->total, stdout);
    printf(",\n      \"first_us\": ");
    histogram_print_shares(&kind->first, stdout);
    printf(",\n      \"wire_us\": ");
    histogram_print_shares(&kind->wire, stdout);
    printf(",\n      \"histogram_us\": ");
    histogram_print_slots(&kind->total, stdout);
    printf("}");
}

static void print_result(double seconds)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"mode\": \"%s\", \"seconds\": %.6f, \"rate\": %g,\n",
           opt.rate > 0 ? "open" : "closed", seconds, opt.rate);
#define FIELD(name) ", \"" #name "\": %llu"
#define VALUE(name) (unsigned long long)n.name
    printf("  \"offered\": %llu" FIELD(done) FIELD(retries) FIELD(queued)
               FIELD(connections) FIELD(bytes) ",\n",
           VALUE(offered), VALUE(done), VALUE(retries), VALUE(queued),
           VALUE(connections), VALUE(bytes));
    printf("  \"failed\": {\"connect\": %llu" FIELD(reset) FIELD(closed)
               FIELD(malformed) FIELD(status) FIELD(unfinished) "},\n",
           VALUE(connect), VALUE(reset), VALUE(closed), VALUE(malformed),
           VALUE(status), VALUE(unfinished));
#undef FIELD
#undef VALUE
    printf("  \"cpu_s\": %.6f, \"lag_us\": ",
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
               + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    histogram_print_shares(&lag, stdout);
    printf(",\n  \"classes\": {\n");
    for (int i = 0; i < kind_count; i++) {
        print_kind(&kinds[i]);
        printf(i + 1 < kind_count ? ",\n" : "\n");
    }
    printf("  }}\n");
}

static int find_kind(const char *name)
{
    for (int i = 0; i < kind_count; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return i;
        }
    }
    if (kind_count == KINDS_MAX || strlen(name) >= sizeof kinds->name
        || strpbrk(name, "\"\\")) {
        fprintf(stderr, "pace: too many classes, or a bad name: %s\n", name);
        exit(2);
    }
    strcpy(kinds[kind_count].name, name);
    return kind_count++;
}

static void read_urls(const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    if (!file) {
        die(path);
    }
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        char *kind = strchr(line, ' ');
        if (kind) {
            *kind++ = 0;
        }
        if (*line != '/' || url_count == URLS_MAX) {
            fprintf(stderr, "pace: %s: no path, or too many: %s\n", path, line);
            exit(2);
        }
        urls[url_count].path = strdup(line);
        urls[url_count++].kind = find_kind(kind ? kind : "all");
    }
    fclose(file);
}

static void allocate(void)
{
    urls = calloc(URLS_MAX, sizeof *urls);
    kinds = calloc(KINDS_MAX, sizeof *kinds);
    if (!urls || !kinds) {
        die("calloc");
    }
}

static void read_options(int argc, char **argv)
{
    int letter;
    while ((letter = getopt(argc, argv, "p:f:h:a:d:W:c:r:Pb:t:w:m:ks:on:R:g:"))
           > 0) {
        switch (letter) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'f':
            read_urls(optarg);
            break;
        case 'h':
            opt.address = optarg;
            break;
        case 'a':
            opt.first_own = optarg;
            break;
        case 'd':
            opt.seconds = atof(optarg);
            break;
        case 'W':
            opt.warm = atof(optarg);
            break;
        case 'c':
            opt.conns = atoi(optarg);
            break;
        case 'r':
            opt.rate = atof(optarg);
            break;
        case 'P':
            opt.is_poisson = true;
            break;
        case 'b':
            opt.bytes_per_second = atoll(optarg);
            break;
        case 't':
            opt.tick_ms = atoi(optarg);
            break;
        case 'w':
            opt.rcvbuf = atoi(optarg);
            break;
        case 'm':
            opt.mss = atoi(optarg);
            break;
        case 'k':
            opt.closes = true;
            break;
        case 's':
            random_state ^= strtoull(optarg, NULL, 10) * 0x9E3779B97F4A7C15u;
            break;
        case 'o':
            opt.is_ordered = true;
            break;
        case 'n':
            opt.count = atoll(optarg);
            break;
        case 'R':
            opt.ramp = atof(optarg);
            break;
        case 'g':
            opt.grace = atof(optarg);
            break;
        default:
            exit(2);
        }
    }
    if (opt.conns == 0) {
        opt.conns = opt.rate > 0 ? 1000 : 1;
    }
    if (url_count == 0 || optind != argc || opt.port <= 0 || opt.port > 65535
        || opt.conns < 1 || opt.conns > 100000 || opt.tick_ms < 1
        || opt.seconds <= 0 || random_state == 0
        || inet_pton(AF_INET, opt.address, &address.sin_addr) != 1
        || (opt.first_own
            && inet_pton(AF_INET, opt.first_own, &first_own) != 1)) {
        fprintf(stderr, "usage: pace -p PORT -f URLS [...], see pace.c\n");
        exit(2);
    }
}

static void prepare(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)opt.conns + 16) {
        fprintf(stderr,
                "pace: %d connections need more descriptors than %llu\n",
                opt.conns, (unsigned long long)limit.rlim_cur);
        exit(2);
    }
    address.sin_port = htons((uint16_t)opt.port);
    conns = calloc((size_t)opt.conns, sizeof *conns);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || epoll < 0) {
        die("pace");
    }
    for (int i = opt.conns - 1; i >= 0; i--) {
        conns[i].fd = -1;
        conns[i].next = closed;
        closed = &conns[i];
    }
}

static void stop(int signal_number)
{
    (void)signal_number;
    is_stopped = 1;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = stop};
    allocate();
    read_options(argc, argv);
    prepare();
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    began = now();
    counts_from = began + (int64_t)(opt.warm * 1e9);
    ends = counts_from + (int64_t)(opt.seconds * 1e9);
    run();
    count_unfinished();
    print_result((double)(least(now(), ends) - counts_from) / 1e9);
    return 0;
}
