/*
 * driver.c - the clients' side of a contract test.  One thread; waits only in
 * wait_for(), so that no test can hang.
 */
#include "driver.h"

#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t end_ms; /* of the test's time */
static pid_t server;
static int drain_write, cue_read, pipe_write, back_end_fd;

static int64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

void driver_init(int seconds)
{
    end_ms = clock_ms() + seconds * INT64_C(1000);
    signal(SIGPIPE, SIG_IGN);
}

/** Has the server ended, and how?  Its own reason comes before the driver's. */
static void explain_death(int status)
{
    if (WIFSIGNALED(status)) {
        board_fail("the server died of signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    }
    else if (WEXITSTATUS(status) != 0) {
        board_fail("the server ended with status %d", WEXITSTATUS(status));
    }
}

/** The folder was made for this test; its descriptor knows where it is. */
static void remove_files(void)
{
    char link[64], path[256];
    ssize_t len;

    if (!the_board->dir_fd) {
        return;
    }
    unlinkat(the_board->dir_fd, "found", 0);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", the_board->dir_fd);
    len = readlink(link, path, sizeof(path) - 1);
    if (len > 0) {
        path[len] = '\0';
        rmdir(path);
    }
}

static void end_server(void)
{
    int status;

    if (server <= 0) {
        return;
    }
    /* If it is about to fail, its reason is the cause of the driver's. */
    for (int i = 0; i < 100; i++) {
        if (waitpid(server, &status, WNOHANG) == server) {
            explain_death(status);
            return;
        }
        usleep(2000);
    }
    kill(server, SIGKILL);
    waitpid(server, &status, 0);
}

_Noreturn void driver_fail(const char *format, ...)
{
    char text[256], where[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    board_describe(where, sizeof(where));
    end_server();
    remove_files();
    board_fail("%s; %s", text, where);
    _exit(1);
}

_Noreturn void driver_skip(const char *reason)
{
    snprintf(the_board->skipped, sizeof(the_board->skipped), "%s", reason);
    _exit(0);
}

/** Wait for a descriptor, or for a moment if there is none.  @return what is
 *  ready. */
static int wait_for(int fd, short events, const char *what)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = end_ms - clock_ms();

    if (left <= 0) {
        driver_fail("stuck: waited in vain for %s", what);
    }
    if (atomic_load(&the_board->failed)) {
        driver_fail("server failed");
    }
    if (poll(&p, 1, fd < 0 ? 1 : (int)(left < 100 ? left : 100)) < 0
        && errno != EINTR) {
        driver_fail("poll: %s", strerror(errno));
    }
    return p.revents;
}

void pause_ms(int ms)
{
    int64_t until = clock_ms() + ms;

    while (clock_ms() < until) {
        wait_for(-1, 0, "time to pass");
    }
}

void counter_wait(const char *name, _Atomic int *counter, int least)
{
    while (atomic_load(counter) < least) {
        wait_for(-1, 0, name);
    }
}

void connection_wait(int number, int want, char letter)
{
    board_conn *c = &the_board->conns[number];
    char what[64];

    snprintf(what, sizeof(what), "connection #%d to come to '%c'", number,
             letter ? letter : '*');
    while (c->want != want || (letter && c->token != letter)) {
        wait_for(-1, 0, what);
    }
}

/* The server. */

static void make_pipe(int *read_end, int *write_end)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
        driver_fail("pipe: %s", strerror(errno));
    }
    *read_end = fds[0];
    *write_end = fds[1];
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/** Listen on a free port. */
static int make_listener(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1000)
        || getsockname(fd, (struct sockaddr *)&address, &len)) {
        driver_fail("listener: %s", strerror(errno));
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void make_files(void)
{
    char dir[] = "/tmp/contract-XXXXXX";
    int fd;

    if (!mkdtemp(dir)) {
        driver_fail("%s: %s", dir, strerror(errno));
    }
    the_board->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = openat(the_board->dir_fd, "found", O_CREAT | O_WRONLY | O_CLOEXEC,
                0600);
    if (fd < 0 || write(fd, "found", 5) != 5) {
        driver_fail("%s/found: %s", dir, strerror(errno));
    }
    close(fd);
    the_board->file_fd = memfd_create("pattern", MFD_CLOEXEC);
    if (write(the_board->file_fd, pattern_bytes(), PATTERN_SIZE)
        != PATTERN_SIZE) {
        driver_fail("memfd: %s", strerror(errno));
    }
}

int driver_slots(const wr_mpm *mpm)
{
    unsigned many = mpm->traits & (WR_MPM_THREADED | WR_MPM_PROCESS);

    /* One of many threads or processes that runs everything inline is a
     * connection's for its life. */
    return many && (mpm->traits & WR_MPM_CALLS_INLINE) ? 8 : 300;
}

/** All that the server finds on the board; once. */
static void prepare(void)
{
    int stop_read, cue_write;

    if (the_board->dir_fd) {
        return;
    }
    for (int i = 0; i < BOARD_GATES; i++) {
        the_board->gates[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    make_pipe(&the_board->drain_fd, &drain_write);
    make_pipe(&stop_read, &the_board->stop_write);
    the_board->stop_fd = stop_read;
    make_pipe(&cue_read, &cue_write);
    the_board->cue_fd = cue_write;
    make_pipe(&the_board->pipe_fd, &pipe_write);
    for (int i = 0; i < BOARD_LISTENERS; i++) {
        the_board->listen_fds[i] = make_listener(&the_board->ports[i]);
    }
    back_end_fd = make_listener(&the_board->back_end_port);
    make_files();
}

void server_start(const wr_mpm *mpm)
{
    prepare();
    the_board->threads = driver_slots(mpm) == 8 ? 8 : 4;
    fflush(NULL);
    server = fork();
    if (server < 0) {
        driver_fail("fork: %s", strerror(errno));
    }
    if (server == 0) {
        machine_serve(mpm);
    }
}

void server_drain(void)
{
    prepare();
    if (write(drain_write, "d", 1) != 1) {
        driver_fail("drain: %s", strerror(errno));
    }
}

void server_stop(void)
{
    server_drain();
    if (write(the_board->stop_write, "s", 1) != 1) {
        driver_fail("stop: %s", strerror(errno));
    }
}

void server_join(void)
{
    int status;

    while (waitpid(server, &status, WNOHANG) != server) {
        wait_for(-1, 0, "serve() to return");
    }
    server = 0;
    explain_death(status);
    remove_files();
    if (atomic_load(&the_board->failed)) {
        _exit(1);
    }
}

void server_end(void)
{
    server_stop();
    server_join();
}

void output_wait(void)
{
    uint64_t before;

    do {
        before = the_board->bytes_sent;
        pause_ms(50);
    } while (the_board->bytes_sent != before);
}

void gate_open(int gate)
{
    if (eventfd_write(the_board->gates[gate], 1)) {
        driver_fail("gate: %s", strerror(errno));
    }
}

void cue_wait(void)
{
    char c;
    /* Where nothing is ever parked, it does not come. */
    int64_t until = clock_ms() + (the_board->parked ? 300 : 20);

    while (read(cue_read, &c, 1) != 1 && clock_ms() < until) {
        wait_for(-1, 0, "the cue");
    }
}

/* Clients. */

/** Connect, to one listener after the other. */
static client connect_client(void)
{
    static unsigned count;
    struct sockaddr_in address =
        loopback(the_board->ports[count++ % BOARD_LISTENERS]);
    client c = {0};

    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (the_board->buffer) {
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &the_board->buffer,
                   sizeof(int));
    }
    if (c.fd < 0 || connect(c.fd, (struct sockaddr *)&address, sizeof(address))
        || fcntl(c.fd, F_SETFL, O_NONBLOCK)) {
        driver_fail("connect: %s", strerror(errno));
    }
    return c;
}

static void send_all(client *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            wait_for(c->fd, POLLOUT, "the server to receive");
            continue;
        }
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return; /* whoever expects an answer will miss it */
        }
        if (n < 0) {
            driver_fail("send: %s", strerror(errno));
        }
        p += n;
        len -= (size_t)n;
    }
}

client client_open(const char *script)
{
    client c = connect_client();

    send_all(&c, script, strlen(script));
    send_all(&c, "\n", 1);
    return c;
}

void client_send(client *c, size_t len)
{
    while (len > 0) {
        size_t n = len < PATTERN_PERIOD ? len : PATTERN_PERIOD;

        send_all(c, pattern_bytes() + c->sent % PATTERN_PERIOD, n);
        c->sent += n;
        len -= n;
    }
}

void client_finish_sending(client *c)
{
    shutdown(c->fd, SHUT_WR);
}

/** Receive once, waiting for it.  @return bytes, 0 at the end, -1: reset. */
static ssize_t receive(client *c, void *data, size_t size, const char *what)
{
    for (;;) {
        ssize_t n = recv(c->fd, data, size, 0);

        if (n < 0 && errno == EAGAIN) {
            wait_for(c->fd, POLLIN, what);
            continue;
        }
        if (n < 0 && errno != ECONNRESET) {
            driver_fail("recv: %s", strerror(errno));
        }
        return n;
    }
}

static void check_pattern(client *c, const char *data, size_t len)
{
    const unsigned char *expected =
        pattern_bytes() + c->received % PATTERN_PERIOD;

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)data[i] != expected[i]) {
            driver_fail("output: byte %llu is %02x, not %02x",
                        (unsigned long long)(c->received + i),
                        (unsigned char)data[i], expected[i]);
        }
    }
    c->received += len;
}

void client_expect(client *c, size_t len)
{
    char data[16384];

    while (len > 0) {
        size_t want = len < sizeof(data) ? len : sizeof(data);
        ssize_t n = receive(c, data, want, "output");

        if (n <= 0) {
            driver_fail("output: %s at %llu, %zu bytes missing",
                        n ? "a reset" : "the end",
                        (unsigned long long)c->received, len);
        }
        check_pattern(c, data, (size_t)n);
        len -= (size_t)n;
    }
}

void client_expect_timeout(client *c)
{
    char data;

    if (receive(c, &data, 1, "the deadline") != 1 || data != 'T') {
        driver_fail("the deadline was not told of");
    }
}

void client_expect_end(client *c)
{
    char data;
    ssize_t n = receive(c, &data, 1, "the end");

    if (n) {
        driver_fail("%s instead of the end", n < 0 ? "a reset" : "a byte");
    }
    client_close(c);
}

bool client_is_refused(client *c)
{
    char data;
    ssize_t n = receive(c, &data, 1, "service or the end");

    if (n > 0) {
        check_pattern(c, &data, 1);
    }
    return n <= 0;
}

void client_expect_gone(client *c)
{
    char data[4096];

    while (receive(c, data, sizeof(data), "the end") > 0) {
    }
    client_close(c);
}

void client_expect_nothing(client *c)
{
    char data;

    if (recv(c->fd, &data, 1, 0) >= 0 || errno != EAGAIN) {
        driver_fail("something came when nothing was to come");
    }
}

void client_close(client *c)
{
    close(c->fd);
    c->fd = -1;
}

void client_reset(client *c)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    client_close(c);
}

static client accept_back_end(void)
{
    client c = {0};

    while (
        (c.fd = accept4(back_end_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK))
        < 0) {
        if (errno != EAGAIN) {
            driver_fail("back end: %s", strerror(errno));
        }
        wait_for(back_end_fd, POLLIN, "a connection to the back end");
    }
    return c;
}

void back_end_serve(size_t len)
{
    client c = accept_back_end();

    /* In parts, so that the second one is waited for. */
    client_send(&c, len / 2);
    pause_ms(20);
    client_send(&c, len - len / 2);
    client_close(&c);
}

void back_end_see_end(void)
{
    client c = accept_back_end();

    client_expect_gone(&c);
}

void pipe_send(size_t len)
{
    size_t sent = 0;

    while (sent < len) {
        ssize_t n = write(pipe_write, pattern_bytes() + sent, len - sent);

        if (n < 0) {
            wait_for(pipe_write, POLLOUT, "the server to read the pipe");
            continue;
        }
        sent += (size_t)n;
    }
}

/* Crowds. */

/** One of many: its script is sent in pieces, its output compared. */
typedef struct member {
    client client;
    char *input; /**< the script's line and what it receives */
    size_t input_len, input_sent;
    size_t output_len;
    size_t vanish_at; /**< of the output; SIZE_MAX: stay */
    int state;
} member;

enum {
    MEMBER_NEW,
    MEMBER_OPEN,
    MEMBER_DONE
};

static uint32_t random_state = 20240229;

/** xorshift: the same crowd every time. */
static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/** Write a random script; add up what it receives and sends. */
static size_t write_script(char *text, size_t size, size_t *input,
                           size_t *output)
{
    static const char kinds[] = "rrwwffcobluuyl";
    size_t used = 0;
    int count = 1 + (int)random_below(10);

    *input = *output = 0;
    for (int i = 0; i < count; i++) {
        char kind = kinds[random_below(sizeof(kinds) - 1)];
        unsigned n = 1 + random_below(6);

        if (kind == 'r' || kind == 'w' || kind == 'f' || kind == 'b') {
            n = random_below(4) ? 1 + random_below(500) : random_below(60000);
        }
        if (kind == 'r' || kind == 'b') {
            *input += n;
        }
        if (kind == 'w' || kind == 'f') {
            *output += n;
        }
        used += (size_t)snprintf(text + used, size - used, "%c%u ", kind, n);
    }
    text[used++] = '\n';
    return used;
}

static void member_init(member *m, bool vanishing)
{
    char script[256];
    size_t input,
        len = write_script(script, sizeof(script), &input, &m->output_len);

    m->vanish_at = SIZE_MAX;
    if (vanishing && random_below(4) == 0) {
        m->vanish_at = random_below((uint32_t)m->output_len + 1);
    }
    m->input_len = len + input;
    m->input = malloc(m->input_len);
    if (!m->input) {
        abort();
    }
    memcpy(m->input, script, len);
    for (size_t i = 0; i < input; i++) {
        m->input[len + i] = (char)pattern_at(i);
    }
}

static void member_finish(member *m)
{
    free(m->input);
    m->input = NULL;
    m->state = MEMBER_DONE;
}

static void member_send(member *m)
{
    size_t left = m->input_len - m->input_sent;
    size_t len = 1 + random_below(random_below(2) ? 7000 : 30);
    ssize_t n = send(m->client.fd, m->input + m->input_sent,
                     len < left ? len : left, MSG_NOSIGNAL);

    if (n > 0) {
        m->input_sent += (size_t)n;
    }
    else if (errno != EAGAIN) {
        driver_fail("crowd: send: %s", strerror(errno));
    }
}

static void member_receive(member *m)
{
    char data[9000];
    ssize_t n = recv(m->client.fd, data, 1 + random_below(sizeof(data)), 0);

    if (n > 0) {
        check_pattern(&m->client, data, (size_t)n);
        return;
    }
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n < 0 || m->client.received != m->output_len) {
        driver_fail("crowd: %s after %llu of %zu bytes", n ? "reset" : "end",
                    (unsigned long long)m->client.received, m->output_len);
    }
    client_close(&m->client);
    member_finish(m);
}

/** Do what can be done; go away when it is time to. */
static void member_turn(member *m)
{
    if (m->client.received >= m->vanish_at) {
        if (random_below(2)) {
            client_reset(&m->client);
        }
        else {
            client_close(&m->client);
        }
        member_finish(m);
        return;
    }
    if (m->input_sent < m->input_len) {
        member_send(m);
    }
    member_receive(m);
}

void crowd_run(int count, int at_once, bool vanishing)
{
    member *members = calloc((size_t)count, sizeof(*members));
    int opened = 0, done = 0;

    if (!members) {
        abort();
    }
    gate_open(0);
    while (done < count) {
        int first = opened;

        while (opened < count && opened - done < at_once) {
            members[opened].client = connect_client();
            member_init(&members[opened], vanishing);
            members[opened++].state = MEMBER_OPEN;
        }
        for (int i = 0; i < opened; i++) {
            if (members[i].state == MEMBER_OPEN) {
                member_turn(&members[i]);
                done += members[i].state == MEMBER_DONE;
            }
        }
        if (first == opened) {
            wait_for(-1, 0, "the crowd");
        }
    }
    free(members);
}
