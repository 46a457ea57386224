/*
 * floor.c - the limit program: the least work that one epoll thread can do.
 *
 *     floor PORT SIZE mem         a constant head and body, one send()
 *     floor PORT SIZE sendfile    send(head, MSG_MORE), sendfile(body)
 *     floor PORT SIZE mem close   a connection a request: accept4, recv, send,
 *                                 close, since TCP_DEFER_ACCEPT has the
 *                                 request there at accept
 *
 * It parses nothing: it counts blank lines and answers each with the same
 * bytes; n pipelined requests get one send of n copies.  For measurements on
 * loopback; not a web server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAXFD  65536
#define COPIES 64 /* ready-made copies for pipelining */

struct conn {
    long owed;
    size_t off;
    unsigned char tail, armed;
};
static struct conn conns[MAXFD];
static char *msg; /* COPIES x (header+body), or 1 x */
static size_t hlen, mlen, body, copies;
static int use_sendfile, file_fd, do_close, ep;
static char inbuf[65536];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void drop(int fd)
{
    close(fd);
}

/* Count header terminators in buf; state survives across reads. */
static long count_blank(const char *p, size_t n, unsigned char *state)
{
    long c = 0;
    if (*state == 0 && n >= 4) { /* common case: whole requests only */
        const char *e = p + n, *q;
        if (memcmp(e - 4, "\r\n\r\n", 4) == 0) {
            while (p < e && (q = memmem(p, e - p, "\r\n\r\n", 4))) {
                c++, p = q + 4;
            }
            return c;
        }
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char s = *state;
        if (p[i] == '\r') {
            s = (s == 2) ? 3 : 1;
        }
        else if (p[i] == '\n') {
            s = (s == 1) ? 2 : (s == 3) ? 4 : 0;
        }
        else {
            s = 0;
        }
        if (s == 4) {
            c++;
            s = 0;
        }
        *state = s;
    }
    return c;
}

static void arm(int fd, struct conn *c, int out)
{
    struct epoll_event ev = {.events = out ? EPOLLOUT : EPOLLIN, .data.fd = fd};
    if (c->armed == out) {
        return;
    }
    c->armed = out;
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

/* Send what is owed.  0 = all out, 1 = would block, -1 = gone. */
static int push(int fd, struct conn *c)
{
    while (c->owed > 0) {
        ssize_t r;
        if (!use_sendfile) {
            size_t n = (size_t)c->owed < copies ? (size_t)c->owed : copies;
            size_t len = n * mlen - c->off;
            r = send(fd, msg + c->off, len, MSG_NOSIGNAL);
            if (r < 0) {
                return errno == EAGAIN ? 1 : -1;
            }
            c->off += r;
            c->owed -= c->off / mlen;
            c->off %= mlen;
            if ((size_t)r < len) {
                return 1;
            }
        }
        else {
            if (c->off < hlen) {
                r = send(fd, msg + c->off, hlen - c->off,
                         MSG_NOSIGNAL | (body ? MSG_MORE : 0));
                if (r < 0) {
                    return errno == EAGAIN ? 1 : -1;
                }
                c->off += r;
                if (c->off < hlen) {
                    return 1;
                }
            }
            off_t o = c->off - hlen;
            size_t want = mlen - c->off;
            r = want ? sendfile(fd, file_fd, &o, want) : 0;
            if (r < 0) {
                return errno == EAGAIN ? 1 : -1;
            }
            c->off += r;
            if (c->off < mlen) {
                return 1;
            }
            c->off = 0;
            c->owed--;
        }
    }
    return 0;
}

static void finish(int fd, struct conn *c)
{
    int r = push(fd, c);
    if (r < 0 || (r == 0 && do_close)) {
        drop(fd);
    }
    else {
        arm(fd, c, r);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: floor PORT SIZE mem|sendfile [close]\n");
        return 2;
    }
    int port = atoi(argv[1]), one = 1;
    body = strtoul(argv[2], 0, 10);
    use_sendfile = !strcmp(argv[3], "sendfile");
    do_close = argc > 4 && !strcmp(argv[4], "close");
    signal(SIGPIPE, SIG_IGN);

    char head[512];
    hlen = snprintf(
        head, sizeof head,
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "Server: floor\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "ETag: \"400-5f0c5d4c7a2c0\"\r\nAccept-Ranges: bytes\r\n"
        "Content-Length: %zu\r\n%sContent-Type: text/html\r\n\r\n",
        body, do_close ? "Connection: close\r\n" : "");
    mlen = hlen + body;
    copies = (!use_sendfile && mlen <= 16384) ? COPIES : 1;
    msg = malloc(copies * mlen);
    for (size_t i = 0; i < copies; i++) {
        memcpy(msg + i * mlen, head, hlen);
        memset(msg + i * mlen + hlen, 'x', body);
    }
    if (use_sendfile) {
        FILE *f = tmpfile();
        if (!f) {
            die("tmpfile");
        }
        fwrite(msg + hlen, 1, body, f);
        fflush(f);
        file_fd = fileno(f);
    }

    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(ls, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* inherited */
    if (do_close) {
        setsockopt(ls, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one);
    }
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(ls, (void *)&a, sizeof a)) {
        die("bind");
    }
    if (listen(ls, 16384)) {
        die("listen");
    }

    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = ls}, evs[512];
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    for (;;) {
        int n = epoll_wait(ep, evs, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = evs[i].data.fd;
            if (fd == ls) {
                for (int k = 0; k < 64; k++) {
                    int s = accept4(ls, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
                    if (s < 0) {
                        break;
                    }
                    if (s >= MAXFD) {
                        close(s);
                        break;
                    }
                    conns[s] = (struct conn){0};
                    if (do_close) {
                        ssize_t r = recv(s, inbuf, sizeof inbuf, 0);
                        long k =
                            r > 0 ? count_blank(inbuf, r, &conns[s].tail) : 0;
                        if (r == 0) {
                            drop(s);
                            continue;
                        }
                        if (k) {
                            conns[s].owed = 1;
                            r = push(s, &conns[s]);
                            if (r <= 0) {
                                drop(s);
                                continue;
                            }
                        }
                        conns[s].armed = k > 0;
                        ev = (struct epoll_event){
                            .events = k ? EPOLLOUT : EPOLLIN, .data.fd = s};
                        epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
                        continue;
                    }
                    ev = (struct epoll_event){.events = EPOLLIN, .data.fd = s};
                    epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
                }
                continue;
            }
            struct conn *c = &conns[fd];
            if (evs[i].events & EPOLLOUT) {
                finish(fd, c);
                continue;
            }
            ssize_t r = recv(fd, inbuf, sizeof inbuf, 0);
            if (r <= 0) {
                if (r == 0 || errno != EAGAIN) {
                    drop(fd);
                }
                continue;
            }
            long k = count_blank(inbuf, r, &c->tail);
            if (k) {
                c->owed += k;
                finish(fd, c);
            }
        }
    }
}
