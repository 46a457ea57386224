/*
 * hammer.c - a lean load on loopback: one URL, or many of like responses.
 *
 *     hammer [-c conns] [-d secs] [-w warm-secs] [-p depth] [-r rate] [-x]
 *            [-f list] PORT PATH
 *
 * It learns the exact length of the response once, by Content-Length, and then
 * counts bytes and lets the kernel drop them (MSG_TRUNC), so that a request
 * costs it one send and one recv and no copy.  Every 512th response of a
 * connection is really read and must begin with "HTTP/1.1 200".
 *
 * Closed loop by default: each connection has `depth` requests outstanding.
 * With -r it is open loop: requests fall due at a constant rate, are put on any
 * free connection, and latency counts from the due time, so that a stall is
 * charged to each request it delayed.  With -x each request has a connection of
 * its own, counted from connect to the last byte.  With -f the paths are those
 * of a file, a line each, over and over; they and their responses must be as
 * long as PATH and its response.  Prints one line of JSON, and
 * always ends by itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
    int fd;
    uint64_t due;
    size_t got;
    unsigned n;
};

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *w)
{
    perror(w);
    exit(1);
}

/* log-linear histogram of nanoseconds: 64 steps per power of two (1.6 %) */
static uint64_t hist[64 * 64], nlat, maxlat;
static int slot(uint64_t v)
{
    if (v < 64) {
        return v;
    }
    int e = 63 - __builtin_clzll(v) - 6;
    return (e + 1) * 64 + (int)((v >> e) - 64);
}
static uint64_t value(int s)
{
    if (s < 64) {
        return s;
    }
    return ((uint64_t)(64 + s % 64)) << (s / 64 - 1);
}
static void record(uint64_t ns)
{
    hist[slot(ns)]++;
    nlat++;
    if (ns > maxlat) {
        maxlat = ns;
    }
}
static double pct(double p)
{
    uint64_t want = p / 100 * nlat, sum = 0;
    for (int i = 0; i < 64 * 64; i++) {
        if ((sum += hist[i]) > want) {
            return value(i) / 1000.0;
        }
    }
    return maxlat / 1000.0;
}

static struct sockaddr_in addr = {.sin_family = AF_INET};
static int dial(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (void *)&addr, sizeof addr)) {
        die("connect");
    }
    return fd;
}

/* Requests in a row, one behind the other; rlen bytes are sent at once. */
static char *reqs_all, *req_next;
static size_t rlen, reqs_size;

static ssize_t ask(int fd)
{
    const char *this = req_next;
    req_next += rlen;
    if (req_next == reqs_all + reqs_size) {
        req_next = reqs_all;
    }
    return send(fd, this, rlen, MSG_NOSIGNAL);
}

static void add_request(const char *path, const char *port, int once)
{
    char one[1024];
    size_t len = snprintf(one, sizeof one,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\n",
                          path, port, once ? "Connection: close\r\n" : "");
    reqs_all = realloc(reqs_all, reqs_size + len);
    memcpy(reqs_all + reqs_size, one, len);
    reqs_size += len;
    if (rlen && rlen != len) {
        fprintf(stderr, "paths of different lengths\n");
        exit(1);
    }
    rlen = len;
}

static void read_list(const char *name, const char *port, int once)
{
    char path[512];
    FILE *f = fopen(name, "r");
    if (!f) {
        die(name);
    }
    reqs_size = 0; /* not PATH: it was only to be probed */
    while (fgets(path, sizeof path, f)) {
        path[strcspn(path, "\n")] = 0;
        add_request(path, port, once);
    }
    fclose(f);
}

/* One request read by the book: returns the full length of the response. */
static size_t probe(const char *req, size_t len)
{
    static char b[65536];
    size_t n = 0, total = 0;
    int fd = dial();
    if (write(fd, req, len) != (ssize_t)len) {
        die("write");
    }
    while (!total) {
        ssize_t r = read(fd, b + n, sizeof b - 1 - n);
        if (r <= 0) {
            fprintf(stderr, "no response\n");
            exit(1);
        }
        n += r;
        b[n] = 0;
        char *e = strstr(b, "\r\n\r\n"),
             *cl = strcasestr(b, "\r\nContent-Length:");
        if (!e) {
            continue;
        }
        if (strncmp(b, "HTTP/1.1 200", 12) || !cl || cl > e) {
            fprintf(stderr, "not a 200 with Content-Length: %.60s\n", b);
            exit(1);
        }
        total = e + 4 - b + strtoul(cl + 17, 0, 10);
    }
    close(fd);
    return total;
}

int main(int argc, char **argv)
{
    int nc = 64, depth = 1, once = 0, o;
    double secs = 5, warm = 0.3, rate = 0;
    const char *list = NULL;
    while ((o = getopt(argc, argv, "c:d:f:w:p:r:x")) != -1) {
        switch (o) {
        case 'c':
            nc = atoi(optarg);
            break;
        case 'd':
            secs = atof(optarg);
            break;
        case 'f':
            list = optarg;
            break;
        case 'w':
            warm = atof(optarg);
            break;
        case 'p':
            depth = atoi(optarg);
            break;
        case 'r':
            rate = atof(optarg);
            break;
        case 'x':
            once = 1;
            break;
        default:
            return 2;
        }
    }
    if (argc - optind < 2 || nc < 1 || depth < 1 || depth > 64
        || (once && (rate || depth > 1)) || (list && depth > 1)) {
        fprintf(
            stderr,
            "usage: hammer [-c conns] [-d secs] [-w warm] [-p depth] [-r rate] [-x] [-f list] PORT PATH\n");
        return 2;
    }
    alarm(warm + secs + 20); /* whatever happens, end */
    addr.sin_port = htons(atoi(argv[optind]));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    add_request(argv[optind + 1], argv[optind], once);
    size_t resp = probe(reqs_all, rlen), batch = resp * depth;
    if (list) {
        read_list(list, argv[optind], once);
    }
    while (depth > 1 && reqs_size < rlen * depth) {
        add_request(argv[optind + 1], argv[optind], once);
    }
    rlen *= depth;
    req_next = reqs_all;

    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct conn *c = calloc(nc, sizeof *c);
    int *idle = malloc(nc * sizeof *idle), nidle = 0;
    static char buf[1 << 18];
    for (int i = 0; i < nc; i++) {
        c[i].fd = dial();
        fcntl(c[i].fd, F_SETFL, O_NONBLOCK);
        struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
        if (rate) {
            idle[nidle++] = i;
        }
    }
    uint64_t t0 = now(), begin = t0 + warm * 1e9, end = begin + secs * 1e9;
    uint64_t reqs = 0, bytes = 0, errors = 0, k = 0, t = t0,
             step = rate ? 1e9 / rate * depth : 0;
    if (!rate) {
        for (int i = 0; i < nc; i++) {
            c[i].due = now();
            if (ask(c[i].fd) != (ssize_t)rlen) {
                die("send");
            }
        }
    }
    struct epoll_event evs[256];
    while (t < end) {
        int n = epoll_wait(ep, evs, 256, rate ? 0 : 1000);
        t = now();
        for (int i = 0; i < n; i++) {
            struct conn *p = &c[evs[i].data.u32];
            int check = p->got == 0 && (p->n & 511) == 511;
            ssize_t r = recv(p->fd, buf, check ? sizeof buf : (size_t)1 << 30,
                             MSG_DONTWAIT | (check ? 0 : MSG_TRUNC));
            if (r <= 0) {
                if (r < 0 && errno == EAGAIN) {
                    continue;
                }
                errors++; /* closed on us: dial again */
                close(p->fd);
                p->fd = dial();
                fcntl(p->fd, F_SETFL, O_NONBLOCK);
                struct epoll_event ev = {.events = EPOLLIN,
                                         .data.u32 = evs[i].data.u32};
                epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev);
                p->got = 0;
                if (rate) {
                    idle[nidle++] = evs[i].data.u32;
                }
                else if (ask(p->fd) < 0) {
                    die("send");
                }
                continue;
            }
            if (check && (r < 12 || memcmp(buf, "HTTP/1.1 200", 12))) {
                errors++;
            }
            p->got += r;
            if (t >= begin) {
                bytes += r;
            }
            if (p->got < batch) {
                continue;
            }
            if (p->got > batch) {
                fprintf(stderr, "response length changed\n");
                return 1;
            }
            uint64_t e = t;
            if (t >= begin) {
                reqs += depth;
                record(e - p->due);
            }
            p->got = 0;
            p->n++;
            if (once) {
                close(p->fd);
                p->due = now();
                p->fd = dial(); /* never sleeps on loopback */
                struct epoll_event ev = {.events = EPOLLIN,
                                         .data.u32 = evs[i].data.u32};
                epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev);
                if (ask(p->fd) != (ssize_t)rlen) {
                    errors++;
                }
                continue;
            }
            if (rate) {
                idle[nidle++] = p - c;
            }
            else {
                p->due = e;
                if (ask(p->fd) != (ssize_t)rlen) {
                    errors++;
                }
            }
        }
        if (rate) {
            while (nidle && t0 + k * step <= t) {
                struct conn *p = &c[idle[--nidle]];
                p->due = t0 + k++ * step;
                if (ask(p->fd) != (ssize_t)rlen) {
                    errors++;
                }
            }
        }
    }
    double s = (t - begin) / 1e9;
    uint64_t late = rate && t0 + k * step < end
                        ? (end - t0 - k * step) / (step ? step : 1)
                        : 0;
    printf(
        "{\"requests\":%llu,\"secs\":%.4f,\"rps\":%.1f,\"bytes\":%llu,\"errors\":%llu,"
        "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"unsent\":%llu}\n",
        (unsigned long long)reqs, s, reqs / s, (unsigned long long)bytes,
        (unsigned long long)errors, pct(50), pct(90), pct(99), pct(99.9),
        maxlat / 1000.0, (unsigned long long)late);
    return 0;
}
