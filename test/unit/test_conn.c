/*
 * test_conn.c - the hostile driver: one connection at a time, stepped by feed,
 * peek and advance, in any order that the contract allows, and ended at every
 * point.
 *
 * Whatever is done to it, the same input gives the same output; every request
 * is logged once; nothing is left.  site_destroy() looks for descriptors, the
 * sanitizers for memory.
 */
#include "support.h"

#include "wr_file.h"
#include "wr_object.h"

#include "server/child.h"
#include "server/stock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

#define GET(PATH)          "GET " PATH " HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET0(PATH)         "GET " PATH " HTTP/1.0\r\n\r\n"
#define POST(PATH, FIELDS) "POST " PATH " HTTP/1.1\r\nHost: a\r\n" FIELDS "\r\n"
#define TEN(TEXT)          TEXT TEXT TEXT TEXT TEXT TEXT TEXT TEXT TEXT TEXT
#define CHUNKS             "6\r\nchunks\r\n3;x=\"y\"\r\n in\r\n0\r\n\r\n"

static const struct scenario {
    const char *input;
    const char *statuses;
} scenarios[] = {
    {GET("/small.txt"), "200 "},
    {GET("/big.bin") GET("/small.txt"), "200 200 "},
    {"HEAD /big.bin HTTP/1.1\r\nHost: a\r\n\r\n" GET("/empty.txt"), "200 200 "},
    {GET("/missing") GET("/dir") GET("/dir/") GET("/a/../small.txt"),
     "404 403 403 200 "},
    {POST("/echo", "Content-Length: 5\r\n") "hello" POST(
         "/echo", "Transfer-Encoding: chunked\r\n") CHUNKS GET("/small.txt"),
     "200 200 200 "},
    {POST("/small.txt", "Content-Length: 11\r\n") "not " POST("/small.txt", "")
         GET("/small.txt"),
     "405 400 "},
    {POST("/echo", "Content-Length: 20000\r\n")
         TEN(TEN(TEN("a content in a file "))) GET("/memory"),
     "200 200 "},
    {POST("/echo", "Transfer-Encoding: chunked\r\n")
         TEN(TEN(TEN("5\r\nchunk\r\n"))) "0\r\n\r\n" GET("/memory"),
     "200 200 "},
    {POST("/small.txt", "Content-Length: 6\r\n") "unread" GET("/small.txt"),
     "405 200 "},
    {POST("/small.txt", "Transfer-Encoding: chunked\r\n") CHUNKS GET("/echo"),
     "405 200 "},
    {GET("/memory") GET("/computed") GET("/memory") GET0("/computed"),
     "200 200 200 200 "},
    {GET("/waiting") GET("/waiting") GET("/memory"), "200 200 200 "},
    {GET("/counted") GET("/counted") GET0("/counted"), "200 200 200 "},
    {"HEAD /waiting HTTP/1.1\r\nHost: a\r\n\r\n" GET("/range") GET("/twice"),
     "200 200 200 "},
    {GET("/linear") GET("/op") GET("/partial") GET("/linear"),
     "200 200 200 200 "},
    {GET("/moved") GET("/moved") GET("/nothing") GET("/void") GET("/memory"),
     "200 200 204 204 200 "},
    {GET("/small.txt?moved") GET("/small.txt") GET("/small.txt?moved"),
     "200 200 200 "},
    {GET("/stream") "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n" GET("/stream")
         GET0("/stream"),
     "200 200 200 200 "},
    {GET("/small.txt") "GET /x HTX", "200 400 "},
    {"GET / HTTP/3.0\r\n", "505 "},
    {GET("/small.txt") "GET /x HTTP/1.1\r\n\r\n", "200 400 "},
    {POST("/echo", "Content-Length: 2000000\r\n") "x", "413 "},
    {POST("/echo", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
     "400 "},
    {POST("/echo", "Transfer-Encoding: chunked\r\n") "5\r\nhelloXX", "400 "},
    {POST("/echo", "Content-Length: 10\r\n") "cut", "400 "},
    {GET("/small.txt") "GET /small.txt HTTP/1.1\r\nConnection: close\r\n"
                       "Host: a\r\n\r\n" GET("/big.bin"),
     "200 200 "},
    {POST("/echo", "Expect: 100-continue\r\nContent-Length: 4\r\n") "body" GET(
         "/memory"),
     "200 200 "},
    {POST("/echo", "Expect: the unexpected\r\nContent-Length: 4\r\n") "body",
     "417 "},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a"
     "\r\n\r\n",
     "200 405 "},
    {"\r\n\r\n", ""},
    {"GET / HT", ""},
    {"", ""},
};

/* Telling outputs apart. */

/** Without interim responses: whether there is one depends on what has come. */
static size_t drop_continue(char *text, size_t len)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const size_t n = sizeof(interim) - 1;
    char *at;

    while ((at = memmem(text, len, interim, n))) {
        memmove(at, at + n, len - (size_t)(at - text) - n);
        len -= n;
    }
    return len;
}

/** How an object was cut into chunks is not looked at. */
static size_t drop_chunking(char *text, size_t len)
{
    char *to = text, *from = text, *end = text + len, *head_end;

    while (from < end
           && (head_end = memmem(from, (size_t)(end - from), "\r\n\r\n", 4))) {
        bool is_chunked = memmem(from, (size_t)(head_end - from), "chunked", 7);
        size_t n = (size_t)(head_end + 4 - from);

        memmove(to, from, n);
        to += n;
        from += n;
        while (is_chunked && from < end && strncmp(from, "HTTP/", 5) != 0) {
            char *data;
            size_t size = strtoul(from, &data, 16);

            memmove(to, data + 2, size);
            to += size;
            from = data + 2 + size + 2;
        }
        while (!is_chunked && from < end && strncmp(from, "HTTP/", 5) != 0) {
            *to++ = *from++;
        }
    }
    return (size_t)(to - text);
}

typedef struct outcome {
    char *text;
    size_t len;
} outcome;

/** Drive @a input to its end; each request that came must be logged. */
static outcome drive(site *s, const rig_rules *rules, const char *input,
                     const char *expected)
{
    rig *g;
    outcome o;
    uint32_t served;

    logged_clear();
    g = rig_create(s, rules, input, strlen(input));
    rig_run(g);
    served = g->served;
    require(g->timeouts == 0);
    o.text = malloc(g->output_len + 1);
    if (g->output_len) {
        memcpy(o.text, g->output, g->output_len);
    }
    o.len = drop_continue(o.text, g->output_len);
    o.text[o.len] = '\0';
    rig_destroy(g);
    require((int)served == logged_count());
    if (expected) {
        apr_pool_t *pool;

        apr_pool_create(&pool, NULL);
        assert_string_equal(read_responses(pool, o.text, o.len, false),
                            expected);
        apr_pool_destroy(pool);
    }
    o.len = drop_chunking(o.text, o.len);
    return o;
}

/** The second one is let go. */
static void expect_same(outcome a, outcome b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.text, b.text, a.len);
    free(b.text);
}

/* Sites of all kinds. */

static const site_options kinds[] = {
    {.asks_first = false},
    {.asks_first = true, .config = "RequestBodyMemory 1500\n"},
    {.asks_first = true,
     .is_cold = true,
     .config = "CachePaths off\nCacheHeaders off\nCacheContent off\n"
               "RequestBodyMemory 4096\n"},
    {.config = "CachePaths off\nCacheMaxFile 0\nCacheRevalidate 0\n"
               "SendQuantum 4K\n"},
    {.asks_first = true,
     .is_cold = true,
     .is_threaded = true,
     .config = "CacheRevalidate 0\nCacheEntries 16\nCacheSize 65536\n"},
    {.asks_first = true, .is_cold = true, .config = "CacheRevalidate 0\n"},
    {.asks_first = true,
     .config = "CacheContent mmap\nCacheMaxFile 512K\nSendQuantum 64K\n"},
    {.asks_first = true, .is_cold = true, .config = "CacheContent mmap\n"},
    {.config = "CacheContent descriptor\n"},
};

/* Tests. */

static const rig_rules friendly = {0};

/** All scenarios, friendly: what each of them is answered. */
static void test_answers(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        for (size_t i = 0; i < COUNT(scenarios); i++) {
            free(drive(s, &friendly, scenarios[i].input, scenarios[i].statuses)
                     .text);
        }
        site_destroy(s);
    }
}

/** Fed in pieces of every size, taken in pieces of many. */
static void test_any_split(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k += 2) {
        site *s = site_create(&kinds[k]);

        for (size_t i = 0; i < COUNT(scenarios); i++) {
            const struct scenario *sc = &scenarios[i];
            outcome first = drive(s, &friendly, sc->input, sc->statuses);

            for (size_t size = 1; size < 60; size++) {
                rig_rules rules = {.feed_max = size,
                                   .send_max = size % 7 * 4000,
                                   .quantum = size * 511};

                expect_same(first, drive(s, &rules, sc->input, sc->statuses));
            }
            free(first.text);
        }
        site_destroy(s);
    }
}

/** In any order, by bytes, late. */
static void test_any_order(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        for (size_t i = 0; i < COUNT(scenarios); i++) {
            const struct scenario *sc = &scenarios[i];
            outcome first = drive(s, &friendly, sc->input, sc->statuses);

            for (int round = 0; round < 25; round++) {
                rig_rules rules = {.seed = next_random(&seed),
                                   .feed_max = next_random(&seed) % 40,
                                   .late_ops = round & 1,
                                   .late_logs = round & 2,
                                   .on_sockets = round & 4,
                                   .quantum = 1 + next_random(&seed) % 70000};

                expect_same(first, drive(s, &rules, sc->input, sc->statuses));
            }
            free(first.text);
        }
        site_destroy(s);
    }
}

/** A byte a send, a byte a feed. */
static void test_by_bytes(void **state)
{
    static const rig_rules rules = {.feed_max = 1, .send_max = 1};
    site *s = site_create(&kinds[1]);

    (void)state;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        const struct scenario *sc = &scenarios[i];

        outcome first;

        if (strstr(sc->input, "big.bin")) {
            continue;
        }
        first = drive(s, &friendly, sc->input, sc->statuses);
        expect_same(first, drive(s, &rules, sc->input, sc->statuses));
        free(first.text);
    }
    site_destroy(s);
}

/* An end at every point. */

enum disaster {
    BY_EOF,
    BY_RESET,
    BY_STOP,
    BY_SILENCE, /* the client neither sends nor takes any more */
    BY_BREAK,   /* a send fails */
    DISASTERS
};

typedef struct accident {
    enum disaster kind;
    int at;
    bool has_happened, is_over;
    size_t sent_before;
} accident;

static void meet(rig *g, int number)
{
    accident *a = g->rules->arg;
    wr_end *e = g->c->ends;

    if (number != a->at) {
        return;
    }
    a->has_happened = true;
    a->is_over =
        !g->span_copy && !g->rules->on_sockets
        && (a->kind == BY_RESET || a->kind == BY_STOP || a->kind == BY_BREAK);
    a->sent_before = g->output_len;
    if (g->rules->on_sockets && (a->kind == BY_RESET || a->kind == BY_BREAK)) {
        close(g->peer); /* what it has not read makes this a reset */
        g->peer = -1;
        g->is_silent = g->has_ended = true;
        atomic_fetch_or(&e->ready, WR_READ | WR_WRITE | WR_HUP);
        return;
    }
    switch (a->kind) {
    case BY_EOF:
    case BY_RESET:
        g->has_ended = true;
        wr_end_eof(e, g->self, a->kind == BY_RESET ? ECONNRESET : 0);
        break;
    case BY_STOP:
        require(!wr_conn_post(g->c, WR_POST_STOP));
        break;
    case BY_SILENCE:
        g->is_silent = true;
        break;
    case BY_BREAK:
        wr_end_eof(e, g->self, EPIPE);
        break;
    case DISASTERS:
        break;
    }
}

/** @return false if it had ended before. */
static bool drive_into(site *s, rig_rules *rules, const char *input,
                       enum disaster kind, int at)
{
    accident a = {.kind = kind, .at = at};
    rig *g;
    int served;

    rules->arg = &a;
    rules->before_step = meet;
    site_touch(s);
    logged_clear();
    g = rig_create(s, rules, input, strlen(input));
    rig_run(g);
    require(g->timeouts < 10);
    require(!a.is_over || g->output_len == a.sent_before);
    served = (int)g->served;
    rig_destroy(g);
    require(served == logged_count());
    return a.has_happened;
}

static void end_at_every_point(const site_options *options)
{
    site *s = site_create(options);
    uint32_t seed = 7;

    for (size_t i = 0; i < COUNT(scenarios); i++) {
        for (int kind = 0; kind < DISASTERS; kind++) {
            for (int hostile = 0; hostile < 4; hostile++) {
                int at = 0;
                bool has_happened;

                do {
                    rig_rules rules = {.seed = hostile ? next_random(&seed) : 0,
                                       .feed_max = hostile ? 50 : 0,
                                       .quantum = hostile ? 9000 : 40000,
                                       .late_ops = hostile == 2,
                                       .late_logs = hostile == 2,
                                       .on_sockets = hostile == 3};

                    has_happened = drive_into(s, &rules, scenarios[i].input,
                                              (enum disaster)kind, at);
                } while (has_happened && ++at < 60);
            }
        }
    }
    site_destroy(s);
}

static void test_ends_everywhere(void **state)
{
    (void)state;
    end_at_every_point(&kinds[2]);
    end_at_every_point(&kinds[3]);
    end_at_every_point(&kinds[5]);
}

/** What breaks by itself. */
static void test_objects_that_fail(void **state)
{
    static const char *const inputs[] = {
        GET("/broken"),
        GET("/memory") GET("/broken") GET("/memory"),
        GET("/less"),
        GET("/more"),
        GET("/memory") GET("/more") GET("/memory"),
        GET("/short"),
        GET("/memory") GET("/short") GET("/memory"),
        GET0("/broken"),
    };
    uint32_t seed = 3;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        site *s = site_create(&kinds[k]);

        for (int i = 0; i < 200; i++) {
            const char *input = inputs[(size_t)i % COUNT(inputs)];
            rig_rules rules = {.seed = i < 8 ? 0 : next_random(&seed),
                               .keeps_open = true};
            rig *g;
            int count;

            logged_clear();
            g = rig_create(s, &rules, input, strlen(input));
            rig_run(g);
            require(g->timeouts == 0);
            require((count = logged_count()) == (int)g->served);
            require(logged_at(count - 1).is_aborted);
            rig_destroy(g);
        }
        site_destroy(s);
    }
}

/* What is logged, and kept. */

static logged log_of(site *s, const rig_rules *rules, const char *input)
{
    rig *g;

    logged_clear();
    g = rig_create(s, rules, input, strlen(input));
    rig_run(g);
    rig_destroy(g);
    return logged_at(logged_count() - 1);
}

/** What went of such a one is not the next one's. */
static void break_behind_continue(site *s)
{
    static const rig_rules rules = {.keeps_open = true};
    static const char input[] = POST("/echo", "Content-Length: 13\r\n"
                                              "Expect: 100-continue\r\n");
    rig *g = rig_create(s, &rules, input, sizeof(input) - 1);

    rig_settle(g);
    assert_memory_equal(g->output, "HTTP/1.1 100 Continue", 21);
    require(!wr_conn_post(g->c, WR_POST_STOP));
    rig_run(g);
    rig_destroy(g);
}

/** A response's content alone is counted, whatever went before. */
static void test_bytes_sent(void **state)
{
    static const rig_rules pieces = {.feed_max = 10, .send_max = 7};
    static const char *const inputs[] = {
        GET("/small.txt"),
        GET("/memory") GET("/small.txt"),
        GET("/computed") GET("/small.txt"),
        POST("/echo", "Content-Length: 13\r\nExpect: 100-continue\r\n")
            SMALL_TEXT,
        POST("/echo", "Content-Length: 13\r\n") SMALL_TEXT,
    };
    site *s = site_create(&kinds[0]);

    (void)state;
    for (size_t i = 0; i < COUNT(inputs); i++) {
        for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
            const rig_rules *rules = in_pieces ? &pieces : &friendly;

            assert_int_equal(log_of(s, rules, inputs[i]).bytes_sent, 13);
            break_behind_continue(s);
        }
    }
    assert_int_equal(log_of(s, &friendly, GET("/computed")).bytes_sent,
                     log_of(s, &friendly, GET0("/computed")).bytes_sent);
    assert_int_equal(
        log_of(s, &friendly, "HEAD /big.bin HTTP/1.0\r\n\r\n").bytes_sent, 0);
    site_destroy(s);
}

/** A handler that sends a request on does so for that request alone. */
static void test_redirects_are_not_kept(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        for (int round = 0; round < 3; round++) {
            assert_int_equal(
                log_of(s, &friendly, GET("/small.txt?moved")).bytes_sent, 0);
            assert_int_equal(log_of(s, &friendly, GET("/small.txt")).bytes_sent,
                             13);
            assert_int_equal(log_of(s, &friendly, GET("/empty.txt")).bytes_sent,
                             0);
        }
        site_destroy(s);
    }
}

/* Ops that get lost. */

static void lose(rig *g, wr_op *op)
{
    (void)g;
    op->status = EIO; /* not run: its helper has died */
}

static void lose_once(rig *g, wr_op *op)
{
    (void)g;
    wr_op_run(op);
    if (op->kind == WR_OP_LOOKUP && op->status == APR_SUCCESS) {
        close(op->fd); /* as if in a helper that has died */
        op->fd = -1;
    }
    wr_op_run(op);
}

static void test_lost_ops(void **state)
{
    site *s = site_create(&kinds[2]);

    (void)state;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        rig_rules rules = {.run_op = lose_once};

        free(drive(s, &rules, scenarios[i].input, scenarios[i].statuses).text);
        rules.run_op = lose;
        free(drive(s, &rules, scenarios[i].input, NULL).text);
    }
    site_destroy(s);
}

/* Ops in another process. */

static int helper_socket;

/** What goes over: the op, its path, a descriptor. */
typedef struct parcel {
    wr_op op;
    char path[256];
    char buf[BIG_SIZE > 65536 ? 65536 : BIG_SIZE];
} parcel;

static void send_parcel(int to, parcel *p, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {p, sizeof(*p)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        struct cmsghdr *c;

        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    require(sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*p));
}

/** @return false at the end. */
static bool receive_parcel(int from, parcel *p, int *fd)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {p, sizeof(*p)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c;

    *fd = -1;
    if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*p)) {
        return false;
    }
    c = CMSG_FIRSTHDR(&m);
    if (c) {
        memcpy(fd, CMSG_DATA(c), sizeof(int));
    }
    return true;
}

/** Is the descriptor a result? */
static bool makes_file(const wr_op *op, int fd)
{
    return op->kind == WR_OP_LOOKUP || (op->kind == WR_OP_WRITE && fd < 0);
}

static void help(int socket)
{
    static parcel p;
    int fd;

    while (receive_parcel(socket, &p, &fd)) {
        p.op.path = p.path;
        p.op.buf = p.buf;
        p.op.fd = fd;
        wr_op_run(&p.op);
        send_parcel(socket, &p, makes_file(&p.op, fd) ? p.op.fd : -1);
        if (p.op.fd >= 0) {
            close(p.op.fd);
        }
    }
    _exit(0);
}

static void run_in_helper(rig *g, wr_op *op)
{
    static parcel p;
    int fd;

    (void)g;
    if (op->kind == WR_OP_FUNC) {
        wr_op_run(op);
        return;
    }
    memcpy((void *)&p.op, op, sizeof(*op));
    if (op->kind == WR_OP_READ || op->kind == WR_OP_WRITE) {
        require(op->len <= sizeof(p.buf));
        memcpy(p.buf, op->buf, op->kind == WR_OP_WRITE ? op->len : 0);
    }
    if (op->path) {
        apr_cpystrn(p.path, op->path, sizeof(p.path));
    }
    send_parcel(helper_socket, &p, op->kind >= WR_OP_PAGE ? op->fd : -1);
    require(receive_parcel(helper_socket, &p, &fd));
    op->status = p.op.status;
    op->done = p.op.done;
    op->st = p.op.st;
    op->tries = p.op.tries;
    if (makes_file(op, op->fd)) {
        op->fd = fd;
    }
    if (op->kind == WR_OP_READ && op->status == APR_SUCCESS) {
        memcpy(op->buf, p.buf, op->done);
    }
}

static void test_ops_in_another_process(void **state)
{
    rig_rules rules = {.run_op = run_in_helper};
    site *s = site_create(&kinds[2]);
    int ends[2];
    pid_t pid;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 19}, sizeof(int));
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int){1 << 19}, sizeof(int));
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        help(ends[1]);
    }
    close(ends[1]);
    helper_socket = ends[0];
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        const struct scenario *sc = &scenarios[i];
        outcome first = drive(s, &friendly, sc->input, sc->statuses);

        rules.seed = (uint32_t)i;
        expect_same(first, drive(s, &rules, sc->input, sc->statuses));
        free(first.text);
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    site_destroy(s);
}

/* Deadlines, exact. */

static const site_options timed = {
    .asks_first = true,
    .is_cold = true,
    .config = "Timeout 10\nKeepAliveTimeout 5\n"
              "RequestReadTimeout header=3 body=8,MinRate=500\n"};

static const rig_rules open_end = {.keeps_open = true};

/** @a input has come, and all that follows at once has happened. */
static rig *settled(site *s, const rig_rules *rules, const char *input)
{
    rig *g;

    logged_clear();
    g = rig_create(s, rules, input, strlen(input));
    rig_settle(g);
    return g;
}

static void say(rig *g, const char *input)
{
    rig_send(g, input);
    rig_settle(g);
}

/** Let time pass, and the connection act on it. */
static void pass(rig *g, int64_t ns)
{
    rig_pass(g, ns);
    rig_settle(g);
}

/** The client takes nothing more. */
static void fall_silent(rig *g)
{
    g->is_silent = true;
    rig_settle(g);
}

static void expect_answer(const rig *g, int status)
{
    assert_true(g->output_len > 12);
    assert_int_equal(atoi(g->output + 9), status);
}

static void expect_closed(rig *g)
{
    assert_null(g->c);
    rig_destroy(g);
}

static void test_deadline_of_head(void **state)
{
    site *s = site_create(&timed);
    rig *g = settled(s, &open_end, "");

    (void)state;
    assert_int_equal(rig_left(g), 3 * WR_SEC);
    pass(g, 2 * WR_SEC);
    say(g, "GET / HT");
    assert_int_equal(rig_left(g), 3 * WR_SEC);
    pass(g, WR_SEC);
    say(g, "TP/1.1\r\nHo");
    assert_int_equal(rig_left(g), 2 * WR_SEC); /* no byte moves it */
    pass(g, 2 * WR_SEC - 1);
    say(g, "s");
    assert_int_equal(g->output_len, 0);
    pass(g, 1);
    expect_answer(g, 408);
    assert_int_equal(rig_left(g), 2 * WR_SEC); /* it may still be sending */
    pass(g, 2 * WR_SEC - 1);
    assert_non_null(g->c);
    pass(g, 1);
    expect_closed(g);
    g = settled(s, &open_end, "");
    pass(g, 3 * WR_SEC);
    expect_closed(g); /* nobody asked: nothing is said */
    site_destroy(s);
}

/** Timeout holds for a head, too: also where nothing else does. */
static void test_deadline_of_quiet_head(void **state)
{
    site *s = site_create(&(site_options){
        .config = "Timeout 10\nRequestReadTimeout header=0 body=0\n"});
    rig *g = settled(s, &open_end, "");

    (void)state;
    assert_int_equal(rig_left(g), 10 * WR_SEC);
    pass(g, 10 * WR_SEC);
    assert_int_equal(g->output_len, 0);
    expect_closed(g);
    g = settled(s, &open_end, "GET / HT");
    assert_int_equal(rig_left(g), 10 * WR_SEC);
    pass(g, 10 * WR_SEC - 1);
    say(g, "T"); /* each byte moves it */
    assert_int_equal(rig_left(g), 10 * WR_SEC);
    pass(g, 10 * WR_SEC - 1);
    assert_int_equal(g->output_len, 0);
    pass(g, 1);
    expect_answer(g, 408);
    pass(g, 2 * WR_SEC);
    expect_closed(g);
    site_destroy(s);
}

static void test_deadline_of_keep_alive(void **state)
{
    site *s = site_create(&timed);
    rig *g = settled(s, &open_end, GET("/small.txt"));

    (void)state;
    expect_answer(g, 200);
    assert_int_equal(rig_left(g), 5 * WR_SEC);
    pass(g, 5 * WR_SEC - 1);
    say(g, GET("/small.txt"));
    assert_int_equal(rig_left(g), 5 * WR_SEC);
    pass(g, 5 * WR_SEC - 1);
    say(g, "G");
    assert_int_equal(rig_left(g), 3 * WR_SEC);
    say(g, "ET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(rig_left(g), 5 * WR_SEC);
    pass(g, 5 * WR_SEC);
    assert_int_equal(logged_count(), 3);
    expect_closed(g);
    site_destroy(s);
}

/** A request is there when its time is up: it came in time. */
static void test_input_beats_its_deadline(void **state)
{
    static const char request[] = GET("/small.txt");
    site *s = site_create(&timed);
    rig *g = settled(s, &open_end, GET("/small.txt"));

    (void)state;
    wr_end_feed(g->c->ends, g->self, request, sizeof(request) - 1);
    pass(g, 5 * WR_SEC);
    assert_int_equal(logged_count(), 2);
    assert_int_equal(rig_left(g), 5 * WR_SEC);
    pass(g, 5 * WR_SEC);
    expect_closed(g);
    site_destroy(s);
}

/** A download may take its time, as long as it goes on. */
static void test_deadline_of_sending(void **state)
{
    static const rig_rules rules = {.keeps_open = true, .quantum = 100000};
    site *s = site_create(&timed);
    rig *g;

    (void)state;
    for (int piece = 1; piece <= 4; piece++) {
        logged_clear();
        g = rig_create(s, &rules, GET("/big.bin"), sizeof(GET("/big.bin")) - 1);
        for (int taken = 0; taken < piece;) {
            size_t before = g->output_len;

            assert_true(rig_step(g));
            if (g->output_len > before && ++taken < piece) {
                fall_silent(g);
                assert_int_equal(rig_left(g), 10 * WR_SEC);
                rig_pass(g, 10 * WR_SEC - 1);
                g->is_silent = false;
            }
        }
        fall_silent(g);
        if (logged_count() == 0) {
            assert_int_equal(rig_left(g), 10 * WR_SEC);
            pass(g, 10 * WR_SEC);
            assert_int_equal(logged_count(), 1);
            assert_true(logged_at(0).is_aborted);
        }
        else { /* all went: only now it is idle */
            assert_int_equal(logged_at(0).bytes_sent, BIG_SIZE);
            assert_int_equal(rig_left(g), 5 * WR_SEC);
            pass(g, 5 * WR_SEC);
        }
        expect_closed(g);
    }
    site_destroy(s);
}

/** Let some bytes be taken, by a step or more.  @return false if none were. */
static bool take(rig *g)
{
    size_t before = g->output_len;

    g->is_silent = false;
    while (g->output_len == before) {
        if (!rig_step(g)) {
            return false;
        }
    }
    fall_silent(g);
    return true;
}

static rig *download(site *s, const rig_rules *rules)
{
    rig *g = rig_create(s, rules, GET("/big.bin"), sizeof(GET("/big.bin")) - 1);

    assert_true(take(g));
    assert_int_equal(rig_left(g), 10 * WR_SEC);
    return g;
}

/** A byte now and then is not enough: the rate counts, over Timeout. */
static void test_rate_of_sending(void **state)
{
    static const site_options slow = {
        .config = "Timeout 10\nSendMinRate 1000\nCacheMaxFile 0\n"};
    static const rig_rules enough = {.keeps_open = true, .send_max = 5000},
                           less = {.keeps_open = true, .send_max = 4000},
                           bytes = {.keeps_open = true, .send_max = 1};
    site *s = site_create(&slow);
    rig *g = download(s, &enough);

    (void)state;
    for (int i = 0; i < 20; i++) {
        rig_pass(g, 5 * WR_SEC);
        assert_true(take(g));
        assert_int_equal(rig_left(g), 10 * WR_SEC);
    }
    pass(g, 10 * WR_SEC);
    expect_closed(g);
    g = download(s, &less);
    for (int i = 1; i <= 5; i++) {
        rig_pass(g, 5 * WR_SEC);
        assert_true(take(g));
        assert_int_equal(rig_left(g), (10 - i) * WR_SEC);
    }
    pass(g, 5 * WR_SEC);
    expect_closed(g);
    g = download(s, &bytes);
    for (int i = 1; i <= 9; i++) {
        rig_pass(g, WR_SEC);
        assert_true(take(g));
        assert_int_equal(rig_left(g), (10 - i) * WR_SEC + i * WR_MS);
    }
    pass(g, WR_SEC + 9 * WR_MS);
    expect_closed(g);
    site_destroy(s);
}

static char *repeat(site *s, const char *head, size_t len)
{
    size_t head_len = strlen(head);
    char *text = apr_palloc(s->pool, head_len + len + 1);

    memcpy(text, head, head_len);
    memset(text + head_len, 'b', len);
    text[head_len + len] = '\0';
    return text;
}

static void test_deadline_of_body(void **state)
{
    site *s = site_create(&timed);
    rig *g = settled(s, &open_end,
                     repeat(s, POST("/echo", "Content-Length: 10000\r\n"), 0));

    (void)state;
    assert_int_equal(rig_left(g), 8 * WR_SEC);
    say(g, repeat(s, "", 500)); /* 500 bytes a second are enough */
    assert_int_equal(rig_left(g), 9 * WR_SEC);
    pass(g, 5 * WR_SEC);
    say(g, repeat(s, "", 1000));
    assert_int_equal(rig_left(g), 6 * WR_SEC);
    pass(g, WR_SEC);
    say(g, repeat(s, "", 5000)); /* but not if there is silence for 10 */
    assert_int_equal(rig_left(g), 10 * WR_SEC);
    pass(g, 10 * WR_SEC - 1);
    assert_int_equal(g->output_len, 0);
    pass(g, 1);
    expect_answer(g, 408);
    assert_int_equal(rig_left(g), 2 * WR_SEC);
    pass(g, 2 * WR_SEC);
    expect_closed(g);
    site_destroy(s);
}

/** Unwanted content is waited for, but what was answered is not lost. */
static void test_deadline_of_discarding(void **state)
{
    site *s = site_create(&timed);
    rig *g = settled(s, &open_end,
                     POST("/small.txt", "Content-Length: 1000\r\n") "abc");

    (void)state;
    expect_answer(g, 405);
    assert_int_equal(rig_left(g), 8 * WR_SEC);
    pass(g, 7 * WR_SEC);
    say(g, repeat(s, "", 997));
    assert_int_equal(rig_left(g), 5 * WR_SEC); /* the next request may come */
    say(g, POST("/op", "Content-Length: 1000\r\n"));
    g->is_silent = true;
    pass(g, 8 * WR_SEC); /* no more of it: the connection ends */
    assert_int_equal(rig_left(g), 2 * WR_SEC);
    pass(g, 2 * WR_SEC);
    assert_int_equal(logged_count(), 2);
    assert_false(logged_at(1).is_aborted);
    expect_closed(g);
    site_destroy(s);
}

/** As long as an op takes, it is not the client who is late. */
static void test_no_deadline_for_ops(void **state)
{
    static const rig_rules on_sockets = {.keeps_open = true,
                                         .on_sockets = true};
    static const char *const inputs[] = {
        GET("/op"),
        GET("/waiting"),
        GET("/big.bin"),
        POST("/op", "Content-Length: 3\r\n"),
        "GET /op HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    };
    site *s = site_create(&timed);

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(inputs); i++) {
        const char *input = inputs[i / 2];
        rig *g;
        int ops = 0;

        logged_clear();
        g = rig_create(s, i % 2 ? &on_sockets : &open_end, input,
                       strlen(input));
        do {
            g->holds_ops = true;
            rig_settle(g);
            if (g->op_count == 0) {
                break;
            }
            assert_true(rig_left(g) == -1 || g->op_count == 0);
            rig_pass(g, 1000 * WR_SEC);
            assert_int_equal(g->timeouts, 0);
            g->holds_ops = false;
            ops++;
            rig_step(g);
        } while (g->c);
        assert_true(ops > 0);
        expect_answer(g, 200);
        assert_non_null(g->c);
        assert_true(rig_left(g) > 0);
        while (g->c) {
            g->holds_ops = false;
            pass(g, rig_left(g));
        }
        assert_int_equal(logged_count(), 1);
        assert_false(logged_at(0).is_aborted);
        rig_destroy(g);
    }
    site_destroy(s);
}

/** While its content is written to a slow disk, a client is not late. */
static void test_no_deadline_for_spooling(void **state)
{
    site *s = site_create(
        &(site_options){.config = "RequestBodyMemory 1024\nTimeout 10\n"
                                  "RequestReadTimeout body=8\n"});
    rig *g = settled(s, &open_end, "");

    (void)state;
    g->holds_ops = true;
    say(g, POST("/echo", "Content-Length: 2000\r\n"));
    pass(g, 3 * WR_SEC);
    say(g, TEN(TEN("0123456789ab")));
    assert_int_equal(g->op_count, 1);
    pass(g, 1000 * WR_SEC);
    g->holds_ops = false;
    rig_settle(g);
    assert_int_equal(rig_left(g), 5 * WR_SEC);
    say(g, TEN(TEN("01234567")));
    expect_answer(g, 200);
    pass(g, rig_left(g));
    expect_closed(g);
    site_destroy(s);
}

/* Turns. */

#define TURN 4096

/** Step until there is nothing to do.  @return how often others could go. */
static int count_turns(rig *g)
{
    int turns = 0;
    wr_want want;

    while ((want = rig_want(g)) != WR_WANT_IO || wr_conn_ready(g->c)) {
        char taken[65536];

        if (want == WR_WANT_IO) {
            wr_conn_io(g->c, g->self, TURN);
        }
        turns += want == WR_WANT_YIELD;
        if (want == WR_WANT_LOG) {
            wr_record_log(wr_conn_take_log(g->c), g->self);
        }
        /* The client takes all, so that there is always room. */
        while (recv(g->peer, taken, sizeof(taken), MSG_DONTWAIT) > 0) {
        }
    }
    return turns;
}

/** Who sends without a pause has its turn, and then others have theirs,
 *  whatever becomes of what is sent. */
static void test_input_has_turns(void **state)
{
    static const rig_rules rules = {.keeps_open = true};
    static const char one[] = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    static char flood[32 * TURN];
    site *s = site_create(&(site_options){.config = "MaxKeepAliveRequests 0"});

    (void)state;
    for (size_t i = 0; i < sizeof(flood); i++) {
        flood[i] = one[i % (sizeof(one) - 1)];
    }
    for (int is_junk = 0; is_junk < 2; is_junk++) {
        rig *g = rig_create(s, &rules, "", 0);
        ssize_t len;

        flood[0] = is_junk ? '?' : one[0];
        len = send(g->peer, flood, sizeof(flood), MSG_DONTWAIT);
        assert_true(len > 8 * TURN);
        /* A read is of at most two turns' bytes; small answers count, too. */
        assert_true(count_turns(g) >= len / (3 * TURN));
        shutdown(g->peer, SHUT_RDWR);
        g->has_ended = true;
        wr_end_eof(g->c->ends, g->self, ECONNRESET);
        while (g->c) {
            rig_step(g);
        }
        rig_destroy(g);
    }
    site_destroy(s);
}

/** What stands before a stream is not held back for it: it may be quiet. */
static void test_nothing_waits_for_a_stream(void **state)
{
    static const char input[] =
        "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    site *s = site_create(&(site_options){0});
    rig *g = rig_create(s, &friendly, input, sizeof(input) - 1);
    wr_span span;

    (void)state;
    while (!(g->c->ends->want & WR_WRITE)) {
        assert_true(rig_step(g));
    }
    assert_int_equal(wr_end_peek(g->c->ends, g->self, 65536, &span),
                     WR_IO_DONE);
    assert_true(span.len > 0);
    assert_false(span.more);
    assert_false(span.last);
    rig_run(g);
    rig_destroy(g);
    site_destroy(s);
}

/** Told to stop, a connection begins nothing new: what it has asked for, and
 *  nobody has taken yet, is not done any more. */
static void test_stop_asks_for_nothing(void **state)
{
    static const char *const inputs[] = {GET("/linear"), GET("/op"),
                                         GET("/waiting"), GET("/big.bin")};
    int asked = 0;

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        for (size_t i = 0; i < COUNT(inputs); i++) {
            rig *g = rig_create(s, &friendly, inputs[i], strlen(inputs[i]));

            while (g->c && rig_want(g) != WR_WANT_CALL) {
                rig_step(g);
            }
            if (g->c) {
                asked++;
                wr_conn_post(g->c, WR_POST_STOP);
                assert_int_equal(wr_conn_step(g->c, g->self), WR_WANT_LOG);
                rig_run(g);
            }
            rig_destroy(g);
        }
        site_destroy(s);
    }
    assert_true(asked > 8);
}

/* One fetch for all who want the same. */

static int resumed, ops_run;

static void count_resumed(wr_conn *c)
{
    (void)c;
    resumed++;
}

static void count_op(rig *g, wr_op *op)
{
    (void)g;
    ops_run++;
    wr_op_run(op);
}

#define FETCHERS 4

/** The first asks, and its op does not return; the others come. */
static site *begin_fetch(rig *fetchers[FETCHERS], const char *input)
{
    static const site_options cold = {.asks_first = true, .is_cold = true};
    static const rig_rules rules = {.keeps_open = true, .run_op = count_op};
    site *s;

    support_resume = count_resumed;
    s = site_create(&cold);
    support_resume = NULL;
    resumed = ops_run = 0;
    for (int i = 0; i < FETCHERS; i++) {
        fetchers[i] = rig_create(s, &rules, input, strlen(input));
        fetchers[i]->holds_ops = true;
        rig_settle(fetchers[i]);
        assert_int_equal(fetchers[i]->op_count, i == 0);
        assert_int_equal(fetchers[i]->output_len, 0);
    }
    return s;
}

/** All ops return from now on. */
static void expect_fetched(rig *g, const char *statuses)
{
    g->holds_ops = false;
    rig_settle(g);
    assert_string_equal(
        read_responses(g->site->pool, g->output, g->output_len, false),
        statuses);
}

static void hang_up(rig *g)
{
    if (g->c) {
        wr_end_eof(g->c->ends, g->self, ECONNRESET);
        rig_run(g);
    }
    rig_destroy(g);
}

static void end_fetch(site *s, rig *fetchers[FETCHERS], int first)
{
    for (int i = first; i < FETCHERS; i++) {
        hang_up(fetchers[i]);
    }
    site_destroy(s);
}

static void test_one_fetch(void **state)
{
    rig *g[FETCHERS];
    site *s = begin_fetch(g, GET("/small.txt"));

    (void)state;
    expect_fetched(g[0], "200 ");
    assert_int_equal(ops_run, 2); /* look-up, content */
    assert_int_equal(resumed, FETCHERS - 1);
    for (int i = 1; i < FETCHERS; i++) {
        expect_fetched(g[i], "200 ");
    }
    assert_int_equal(ops_run, 2);
    end_fetch(s, g, 0);
}

/** A failure is not kept: who waited asks for himself, and not in turns. */
static void test_one_fetch_fails(void **state)
{
    rig *g[FETCHERS];
    site *s = begin_fetch(g, GET("/missing"));

    (void)state;
    expect_fetched(g[0], "404 ");
    assert_int_equal(ops_run, 1);
    for (int i = 1; i < FETCHERS; i++) {
        rig_settle(g[i]);
        assert_int_equal(g[i]->op_count, 1);
    }
    for (int i = 1; i < FETCHERS; i++) {
        expect_fetched(g[i], "404 ");
    }
    assert_int_equal(ops_run, FETCHERS);
    end_fetch(s, g, 0);
}

/** Who fetched for others has gone, with its op out or not even taken. */
static void test_one_fetch_given_up(void **state)
{
    rig *g[FETCHERS];
    site *s = begin_fetch(g, GET("/small.txt"));

    (void)state;
    g[0]->holds_ops = false;
    hang_up(g[0]);
    assert_int_equal(resumed, FETCHERS - 1);
    for (int i = 1; i < FETCHERS; i++) {
        expect_fetched(g[i], "200 ");
    }
    end_fetch(s, g, 1);
}

/** Who waits has gone: as with an op of its own, it is freed when that is
 *  done. */
static void test_one_fetch_waiter_given_up(void **state)
{
    rig *g[FETCHERS];
    site *s = begin_fetch(g, GET("/small.txt"));

    (void)state;
    for (int i = 1; i < FETCHERS; i++) {
        wr_conn_post(g[i]->c, WR_POST_STOP);
        assert_int_equal(wr_conn_step(g[i]->c, g[i]->self), WR_WANT_CLOSE);
        assert_false(wr_conn_close(g[i]->c, g[i]->self));
    }
    expect_fetched(g[0], "200 ");
    assert_int_equal(resumed, FETCHERS - 1);
    end_fetch(s, g, 0);
}

/** In all orders, with many connections: each is answered. */
static void test_fetches_in_any_order(void **state)
{
    static const char input[] = GET("/small.txt") GET("/big.bin")
        GET("/missing") GET("/small.txt?moved") GET("/empty.txt");
    static const site_options cold = {
        .asks_first = true, .is_cold = true, .config = "CacheRevalidate 0\n"};
    uint32_t seed = 7;
    site *s;

    (void)state;
    support_resume = count_resumed;
    s = site_create(&cold);
    support_resume = NULL;
    resumed = 0;
    for (int round = 0; round < 100; round++) {
        rig_rules rules = {.seed = next_random(&seed), .late_ops = round & 1};
        rig *g[8];
        int open = 8;

        logged_clear();
        for (int i = 0; i < 8; i++) {
            g[i] = rig_create(s, &rules, input, sizeof(input) - 1);
            g[i]->seed = next_random(&seed);
        }
        while (open > 0) {
            rig *one = g[next_random(&seed) % 8];

            if (one->c && !rig_step(one) && !one->c) {
                open--;
            }
        }
        for (int i = 0; i < 8; i++) {
            assert_string_equal(
                read_responses(s->pool, g[i]->output, g[i]->output_len, false),
                "200 200 404 200 200 ");
            rig_destroy(g[i]);
        }
    }
    assert_true(resumed > 100);
    site_destroy(s);
}

static wr_made make_little(wr_request *r, void *baton,
                           apr_bucket_brigade *piece)
{
    (void)r;
    (void)baton;
    APR_BRIGADE_INSERT_TAIL(
        piece, apr_bucket_immortal_create("a little", 8, piece->bucket_alloc));
    return WR_MADE_LAST;
}

/** A file in a response of unknown length. */
static wr_result say_file_in_chunks(wr_request *r)
{
    wr_file *file;
    wr_result result = wr_request_lookup(
        r, apr_pstrcat(r->pool, r->root->path, "/big.bin", NULL), &file);

    if (result == WR_OK) {
        wr_request_append_computed(r, make_little, NULL, -1);
        wr_request_append_file(r, file, 0, BIG_SIZE);
    }
    return result;
}

/** Where a file can't be sent by the kernel it is read, and the client sees no
 *  difference. */
static void test_no_sendfile(void **state)
{
    static const char *const inputs[] = {
        GET("/big.bin") GET("/small.txt"), GET("/range") GET("/twice"),
        GET("/own") GET("/big.bin") GET("/own"),
        "GET /big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=70000-170009"
        "\r\n\r\n" GET("/small.txt")};
    static const rig_rules rules = {.on_sockets = true, .seed = 3};

    (void)state;
    support_handler = say_file_in_chunks;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        for (size_t i = 0; i < COUNT(inputs); i++) {
            outcome with = drive(s, &friendly, inputs[i], NULL);

            support_no_sendfile = true;
            expect_same(with, drive(s, &rules, inputs[i], NULL));
            support_no_sendfile = false;
            free(with.text);
        }
        site_destroy(s);
    }
    support_handler = NULL;
}

/** What the kernel could not read is cut off, and nothing before it is lost or
 *  sent twice. */
static void test_mapping_is_cut_off(void **state)
{
    static const site_options mapping = {
        .config = "CacheContent mmap\nCacheMaxFile 512K\n"};
    site *s = site_create(&mapping);
    rig *g =
        rig_create(s, &open_end, GET("/big.bin"), sizeof(GET("/big.bin")) - 1);
    size_t head_len;

    (void)state;
    logged_clear();
    while (!g->span_copy) {
        assert_true(rig_step(g));
    }
    assert_int_equal(g->span.iov_count, 2);
    assert_int_equal(g->span.unmapped, 1);
    head_len = g->span.iov[0].iov_len;

    assert_true(wr_span_cut(&g->span));
    assert_int_equal(g->span.iov_count, 1);
    assert_int_equal(g->span.len, head_len);
    assert_false(wr_span_cut(&g->span));

    rig_settle(g);
    assert_int_equal(logged_at(0).bytes_sent, BIG_SIZE);
    assert_int_equal(g->output_len, head_len + BIG_SIZE);
    hang_up(g);
    site_destroy(s);
}

/* Memory that is not there: pieces of that size and more. */

enum allocator {
    BY_MALLOC,
    BY_CALLOC,
    BY_REALLOC,
    ALLOCATORS
};
static size_t none_from[ALLOCATORS] = {SIZE_MAX, SIZE_MAX, SIZE_MAX};

/* The linker calls these for the C library's, and those by __real_. */
#define WRAPPED(NAME, PARAMETERS, KIND, SIZE, ARGUMENTS)                   \
    void *__real_##NAME PARAMETERS;                                        \
    void *__wrap_##NAME PARAMETERS;                                        \
    void *__wrap_##NAME PARAMETERS                                         \
    {                                                                      \
        return (SIZE) >= none_from[KIND] ? NULL : __real_##NAME ARGUMENTS; \
    }
WRAPPED(malloc, (size_t size), BY_MALLOC, size, (size))
WRAPPED(calloc, (size_t count, size_t size), BY_CALLOC, count *size,
        (count, size))
WRAPPED(realloc, (void *p, size_t size), BY_REALLOC, size, (p, size))

/** Serve one client with such a memory; then another, with enough. */
static void serve_without(const site_options *options, enum allocator kind,
                          size_t from, const char *input, const char *expected)
{
    static const rig_rules rules = {.on_sockets = true};
    site *s = site_create(options);
    rig *g;

    free(drive(s, &rules, GET("/memory"), "200 ").text); /* has made a kit */
    logged_clear();
    g = rig_create(s, &rules, input, strlen(input));
    g->output_size = BIG_SIZE + 1000;
    g->output = malloc(g->output_size);
    none_from[kind] = from;
    while (rig_step(g)) {
    }
    none_from[kind] = SIZE_MAX;
    assert_string_equal(
        read_responses(s->pool, g->output, g->output_len, false), expected);
    rig_destroy(g);
    free(drive(s, &rules, input, "200 ").text);
    site_destroy(s);
}

/** One client's request does not fit: that one is refused, or gets it in
 *  another way. */
static void test_no_memory(void **state)
{
    static const site_options holds_all = {.config = "CacheMaxFile 1M\n"};
    static const site_options plain = {.config = "CacheRevalidate 0\n"};
    char *fields = malloc(20000), *at = fields;

    (void)state;
    serve_without(&holds_all, BY_MALLOC, BIG_SIZE, GET("/big.bin"), "200 ");
    serve_without(&plain, BY_CALLOC, 1, GET("/small.txt"), "503 ");
    at += sprintf(at, "GET /small.txt HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 3; i++) {
        at += sprintf(at, "X: %06000d\r\n", i);
    }
    sprintf(at, "\r\n");
    serve_without(&plain, BY_REALLOC, 16384, fields, "");
    free(fields);
}

/** Code that blocks, though no module has said that it has any: an error, and
 *  nothing that waits. */
static void test_blocking_code_is_declared(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        s->child->core->may_block = false;
        free(drive(s, &friendly, GET("/linear") GET("/op") GET("/small.txt"),
                   "500 503 200 ")
                 .text);
        s->child->core->may_block = true;
        free(drive(s, &friendly, GET("/linear") GET("/op"), "200 200 ").text);
        site_destroy(s);
    }
}

static void expect_one_large(rig *g, int number)
{
    (void)number;
    if (g->c->kit) {
        assert_true(g->c->kit->http.pending <= 1);
    }
}

/** A client that asks for much and takes nothing costs one response's memory
 *  and not those of all that it asks for. */
static void test_large_ones_wait(void **state)
{
    static const rig_rules rules = {.before_step = expect_one_large};

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        site *s = site_create(&kinds[k]);

        free(drive(s, &rules, GET("/big.bin") GET("/big.bin") GET("/big.bin"),
                   "200 200 200 ")
                 .text);
        site_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_any_split),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_by_bytes),
        cmocka_unit_test(test_ends_everywhere),
        cmocka_unit_test(test_objects_that_fail),
        cmocka_unit_test(test_bytes_sent),
        cmocka_unit_test(test_redirects_are_not_kept),
        cmocka_unit_test(test_lost_ops),
        cmocka_unit_test(test_ops_in_another_process),
        cmocka_unit_test(test_deadline_of_head),
        cmocka_unit_test(test_deadline_of_quiet_head),
        cmocka_unit_test(test_deadline_of_keep_alive),
        cmocka_unit_test(test_input_beats_its_deadline),
        cmocka_unit_test(test_deadline_of_sending),
        cmocka_unit_test(test_rate_of_sending),
        cmocka_unit_test(test_deadline_of_body),
        cmocka_unit_test(test_deadline_of_discarding),
        cmocka_unit_test(test_no_deadline_for_ops),
        cmocka_unit_test(test_no_deadline_for_spooling),
        cmocka_unit_test(test_input_has_turns),
        cmocka_unit_test(test_nothing_waits_for_a_stream),
        cmocka_unit_test(test_stop_asks_for_nothing),
        cmocka_unit_test(test_large_ones_wait),
        cmocka_unit_test(test_one_fetch),
        cmocka_unit_test(test_one_fetch_fails),
        cmocka_unit_test(test_one_fetch_given_up),
        cmocka_unit_test(test_one_fetch_waiter_given_up),
        cmocka_unit_test(test_fetches_in_any_order),
        cmocka_unit_test(test_no_sendfile),
        cmocka_unit_test(test_mapping_is_cut_off),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_blocking_code_is_declared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
