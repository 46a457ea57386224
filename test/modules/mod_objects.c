/*
 * mod_objects.c - a handler that answers with one kind of simple object or
 * another, as the last part of the path says: for tests.
 *
 *     SetHandler objects
 *
 * computed, computed-op, computed-length, computed-short, pipe, pipe-length,
 * socket, short, mixed, linear, slow and body; the query is a number of bytes,
 * or of pieces.
 */
#include "wr_log.h"
#include "wr_module.h"
#include "wr_object.h"
#include "wr_op.h"
#include "wr_request.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 1000

/** Byte @a i of every content made here. */
static char pattern(int64_t i)
{
    return (char)('a' + i % 26);
}

static char *make_text(wr_request *r, int64_t from, int64_t len)
{
    char *text = apr_palloc(r->pool, (apr_size_t)len + 1);

    for (int64_t i = 0; i < len; i++) {
        text[i] = pattern(from + i);
    }
    return text;
}

/* Computed, with or without an op before each piece. */

typedef struct computing {
    int64_t at, len;
    bool asks;
    wr_op *op;
} computing;

static apr_status_t nap(wr_op *op)
{
    (void)op;
    usleep(1000);
    return APR_SUCCESS;
}

static wr_made make(wr_request *r, void *baton, apr_bucket_brigade *piece)
{
    computing *c = baton;
    int64_t len = c->len - c->at < PIECE ? c->len - c->at : PIECE;

    if (c->asks && !(c->op && c->op->is_done)) {
        c->op = apr_pcalloc(r->pool, sizeof(*c->op));
        c->op->kind = WR_OP_FUNC;
        c->op->func = nap;
        wr_request_ask(r, c->op);
        return WR_MADE_WAIT;
    }
    c->op = NULL;
    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(piece,
                                apr_bucket_pool_create(make_text(r, c->at, len),
                                                       (apr_size_t)len, r->pool,
                                                       piece->bucket_alloc));
        c->at += len;
    }
    return c->at == c->len ? WR_MADE_LAST : WR_MADE_MORE;
}

static void append_computed(wr_request *r, int64_t len, bool asks, int64_t said)
{
    computing *c = apr_pcalloc(r->pool, sizeof(*c));

    c->len = len;
    c->asks = asks;
    wr_request_append_computed(r, make, c, said);
}

/* Streams: a thread writes the other end, slowly enough to be waited for. */

typedef struct writing {
    int fd;
    int64_t len;
} writing;

static void *write_all(void *arg)
{
    writing *w = arg;

    for (int64_t i = 0; i < w->len;) {
        char buf[PIECE];
        size_t n = w->len - i < PIECE ? (size_t)(w->len - i) : PIECE;
        size_t done = 0;

        for (size_t k = 0; k < n; k++) {
            buf[k] = pattern(i + (int64_t)k);
        }
        while (done < n) {
            ssize_t put = write(w->fd, buf + done, n - done);

            if (put <= 0) {
                goto out; /* the reader has gone */
            }
            done += (size_t)put;
        }
        i += (int64_t)n;
        if (i % (16 * PIECE) == 0) {
            usleep(500);
        }
    }
out:
    close(w->fd);
    free(w);
    return NULL;
}

static wr_result append_stream(wr_request *r, bool is_pipe, int64_t len,
                               int64_t said)
{
    int fds[2];
    pthread_t thread;
    writing *w = malloc(sizeof(*w));

    if (!w
        || (is_pipe ? pipe2(fds, O_CLOEXEC)
                    : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
               != 0) {
        free(w);
        return 500;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    w->fd = fds[1];
    w->len = len;
    wr_request_append_stream(r, fds[0], is_pipe, said);
    if (pthread_create(&thread, NULL, write_all, w) != 0) {
        close(fds[1]);
        free(w);
        return 500;
    }
    pthread_detach(thread);
    return WR_OK;
}

/* A linear handler: it may block. */

static wr_result say_linear(wr_request *r)
{
    usleep(2000);
    wr_request_puts(r, "linear\n");
    return WR_OK;
}

static wr_result echo(wr_request *r)
{
    const wr_body *body;
    wr_result result = wr_request_body(r, &body);

    if (result == WR_OK) {
        wr_request_append_body(r, body);
    }
    return result;
}

static wr_result handle(wr_request *r)
{
    const char *name;
    int64_t len = r->args ? apr_atoi64(r->args) : 5000;

    if (!r->handler || strcmp(r->handler, "objects") != 0) {
        return WR_DECLINED;
    }
    name = strrchr(r->uri, '/') + 1;
    r->content_type = "text/plain";
    if (strcmp(name, "linear") == 0) {
        return wr_request_run_linear(r, say_linear);
    }
    if (strcmp(name, "body") == 0) {
        return echo(r);
    }
    if (strcmp(name, "computed") == 0 || strcmp(name, "computed-op") == 0) {
        append_computed(r, len, name[8] != '\0', -1);
        return WR_OK;
    }
    if (strcmp(name, "computed-length") == 0) {
        append_computed(r, len, false, len);
        return WR_OK;
    }
    if (strcmp(name, "computed-short") == 0) {
        append_computed(r, len / 2, false, len);
        return WR_OK;
    }
    if (strcmp(name, "mixed") == 0) {
        wr_request_puts(r, "begin ");
        append_computed(r, len, false, -1);
        wr_request_puts(r, " middle ");
        append_computed(r, len, true, -1);
        wr_request_puts(r, " end");
        return append_stream(r, true, len, -1);
    }
    if (strcmp(name, "pipe") == 0) {
        return append_stream(r, true, len, -1);
    }
    if (strcmp(name, "socket") == 0) {
        return append_stream(r, false, len, -1);
    }
    if (strcmp(name, "pipe-length") == 0) {
        return append_stream(r, true, len, len);
    }
    if (strcmp(name, "short") == 0) {
        return append_stream(r, true, len / 2, len);
    }
    return 404;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

WR_API wr_module objects_module = {
    WR_MODULE_HEAD("objects"),
    .flags = WR_MODULE_BLOCKS,
    .register_hooks = register_hooks,
};
