/*
 * lookup.c - see lookup.h.
 */
#include "lookup.h"

#include "wr_log.h"

#include "bucket.h"
#include "child.h"
#include "conn.h"
#include "open.h"
#include "thread.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum lookup_state {
    LK_START,
    LK_WAITS,      /* for another connection's look-up of the same */
    LK_STAT_ASKED, /* is the cached one still right? */
    LK_OPEN_ASKED,
    LK_READ_ASKED, /* a small file's content */
    LK_DONE
};

typedef struct lookup_args {
    wr_request *r;
    wr__call *call;
    wr_root *root;
    const char *filename, *path;
    uint64_t resolve;
    wr__cache *cache;
    const wr__config *config;
    bool asks_first;
    int64_t now_ns;
} lookup_args;

static wr_result done(lookup_args *a, wr__file *file, apr_status_t error)
{
    a->call->lookup.file = file;
    a->call->lookup.error = error;
    a->call->lookup.state = LK_DONE;
    wr__flight_end(&a->call->lookup.flight);
    return WR_OK;
}

/**
 * An op is needed: is another connection's out already?  Then its result is
 * waited for; once, as it may be of no use to others, or a failure.
 */
static bool waits_for_other(lookup_args *a)
{
    wr__lookup *l = &a->call->lookup;
    wr_op *op = &a->call->op;
    wr__flights *flights = a->r->conn->child->core->flights;

    if (!flights || l->has_waited || l->flight.flights
        || a->config->cache_content == WR__CONTENT_OFF) {
        return false;
    }
    memset(op, 0, sizeof(*op));
    op->conn = a->r->conn;
    l->state = LK_WAITS;
    l->has_waited = true;
    if (!wr__flight_join(flights, &l->flight, a->filename, a->resolve, op)) {
        return false;
    }
    a->r->core->asked = op;
    return true;
}

/** Found: remember it for those who come after. */
static wr_result keep(lookup_args *a, wr__file *file)
{
    atomic_store_explicit(&file->checked_ns, a->now_ns, memory_order_relaxed);
    wr__cache_add_file(a->cache, a->filename, a->resolve, file);
    return done(a, file, APR_SUCCESS);
}

static wr_result ask(lookup_args *a, wr_op_kind kind, enum lookup_state state)
{
    wr_op *op = &a->call->op;

    memset(op, 0, sizeof(*op));
    op->kind = kind;
    op->dir = a->root->fd;
    op->path = a->path;
    op->resolve = a->resolve;
    op->fd = -1;
    a->call->lookup.state = (uint8_t)state;
    return wr_request_ask(a->r, op);
}

/* A small file's content. */

static bool is_small(const lookup_args *a, const wr__file *file)
{
    return file->file.is_regular && file->file.size > 0
           && file->file.size <= a->config->cache_max_file;
}

/** All of it was read into buf: the descriptor is not needed any more. */
static void set_content(wr__file *file, char *buf)
{
    file->file.content = buf;
    close(file->file.fd);
    file->file.fd = -1;
}

static wr_result content_read(lookup_args *a)
{
    wr__lookup *l = &a->call->lookup;
    wr_op *op = &a->call->op;
    wr__file *file = l->file;

    if (op->status == APR_SUCCESS && op->done == op->len) {
        set_content(file, op->buf);
        return keep(a, file);
    }
    free(op->buf);
    l->file = NULL;
    if (op->status != APR_SUCCESS) {
        wr_file_unref(&file->file);
        return done(a, NULL, op->status);
    }
    /* It has shrunk since it was opened: sent as it is, and not kept. */
    return done(a, file, APR_SUCCESS);
}

static wr_result read_content(lookup_args *a, wr__file *file)
{
    wr_op *op = &a->call->op;
    size_t size = (size_t)file->file.size;
    char *buf = malloc(size);
    struct iovec iov = {buf, size};
    wr_result result;
    int64_t since;
    ssize_t n;

    if (!buf) {
        wr_log_request(a->r, WR_LOG_WARN, ENOMEM,
                       "%s is not held in memory: %lu bytes", a->filename,
                       (unsigned long)size);
        return keep(a, file);
    }
    since = wr__clock();
    n = preadv2(file->file.fd, &iov, 1, 0, a->asks_first ? RWF_NOWAIT : 0);
    if (!a->asks_first) {
        wr__thread_blocked(a->r->core->self, since, 0);
    }
    if (n == (ssize_t)size) {
        set_content(file, buf);
        return keep(a, file);
    }
    if (waits_for_other(a)) {
        free(buf);
        wr_file_unref(&file->file);
        return WR_SUSPENDED;
    }
    result = ask(a, WR_OP_READ, LK_READ_ASKED);
    a->call->lookup.file = file;
    op->fd = file->file.fd;
    op->buf = buf;
    op->len = size;
    return result;
}

/* Opening. */

static wr_result opened(lookup_args *a, apr_status_t status, int fd,
                        const struct stat *st)
{
    wr__file *file;

    if (status != APR_SUCCESS) {
        wr__cache_remove_file(a->cache, a->filename, a->resolve);
        return done(a, NULL, status);
    }
    file = wr__file_create(fd, st, a->root);
    if (!file) {
        return done(a, NULL, ENOMEM);
    }
    if (is_small(a, file)) {
        if (a->config->cache_content == WR__CONTENT_MEMORY) {
            return read_content(a, file);
        }
        if (a->config->cache_content == WR__CONTENT_MMAP) {
            wr__file_map(&file->file);
        }
    }
    if (!file->file.is_regular) {
        close(fd);
        file->file.fd = -1;
    }
    return keep(a, file);
}

static wr_result open_file(lookup_args *a)
{
    struct stat st;
    int fd = -1;
    apr_status_t status = EAGAIN;

    if (!a->asks_first) {
        int64_t since = wr__clock();

        status = wr__open_below(a->root->fd, a->path, a->resolve, &fd, &st);
        wr__thread_blocked(a->r->core->self, since, 0);
        return opened(a, status, fd, &st);
    }
    status = wr__open_below(a->root->fd, a->path, a->resolve | RESOLVE_CACHED,
                            &fd, &st);
    if (status == EAGAIN || status == EINVAL) {
        return waits_for_other(a) ? WR_SUSPENDED
                                  : ask(a, WR_OP_LOOKUP, LK_OPEN_ASKED);
    }
    return opened(a, status, fd, &st);
}

/* Looking at a cached one again. */

static wr_result checked(lookup_args *a, apr_status_t status,
                         const struct stat *st)
{
    wr__lookup *l = &a->call->lookup;
    wr__file *stale = l->stale;

    l->stale = NULL;
    if (status == APR_SUCCESS && wr__file_is_same(stale, st)) {
        atomic_store_explicit(&stale->checked_ns, a->now_ns,
                              memory_order_relaxed);
        return done(a, stale, APR_SUCCESS);
    }
    wr_file_unref(&stale->file);
    return open_file(a);
}

static wr_result check_file(lookup_args *a)
{
    struct stat st;
    int64_t since = wr__clock();
    apr_status_t status =
        wr__stat_below(a->root->fd, a->path,
                       a->resolve | (a->asks_first ? RESOLVE_CACHED : 0), &st);

    if (!a->asks_first) {
        wr__thread_blocked(a->r->core->self, since, 0);
    }
    else if (status == EAGAIN || status == EINVAL) {
        return waits_for_other(a) ? WR_SUSPENDED
                                  : ask(a, WR_OP_STAT, LK_STAT_ASKED);
    }
    return checked(a, status, &st);
}

static wr_result start(lookup_args *a)
{
    wr__file *file = wr__cache_file(a->cache, a->filename, a->resolve);

    if (a->call->lookup.stale) { /* it was looked at by another */
        wr_file_unref(&a->call->lookup.stale->file);
        a->call->lookup.stale = NULL;
    }
    if (!file) {
        return open_file(a);
    }
    if (a->now_ns
            - atomic_load_explicit(&file->checked_ns, memory_order_relaxed)
        < a->config->cache_revalidate_ns) {
        return done(a, file, APR_SUCCESS);
    }
    a->call->lookup.stale = file;
    return check_file(a);
}

/** What Options say about links where the file lies. */
static uint64_t resolve_of(const wr_request *r)
{
    unsigned options = wr_dir_options(r->dir_config);

    if (options & WR_OPT_FOLLOW_SYMLINKS) {
        return 0;
    }
    return options & WR_OPT_SYMLINKS_IF_OWNER ? WR_RESOLVE_OWNER
                                              : RESOLVE_NO_SYMLINKS;
}

wr_result wr__lookup_file(wr_request *r, wr_root *root, const char *filename,
                          const char *path, wr__file **file,
                          apr_status_t *error)
{
    const wr_child *child = r->conn->child;
    wr__call *call = wr__request_call(r);
    wr_op *op = &call->op;
    lookup_args a = {.r = r,
                     .call = call,
                     .root = root,
                     .filename = filename,
                     .path = path,
                     .resolve = resolve_of(r),
                     .cache = child->core->cache,
                     .config = child->core->config,
                     .asks_first = child->core->asks_first,
                     .now_ns = r->core->now_ns};
    wr_result result = WR_OK;

    switch ((enum lookup_state)call->lookup.state) {
    case LK_START:
    case LK_WAITS:
        result = start(&a);
        break;
    case LK_STAT_ASKED:
        result = checked(&a, op->status, &op->st);
        break;
    case LK_OPEN_ASKED:
        result = opened(&a, op->status, op->fd, &op->st);
        break;
    case LK_READ_ASKED:
        result = content_read(&a);
        break;
    case LK_DONE:
        break;
    }
    if (result == WR_OK) {
        *file = call->lookup.file;
        *error = call->lookup.error;
        if (*file) {
            wr_file_ref(&(*file)->file);
        }
    }
    return result;
}

void wr__lookup_release(wr__call *call)
{
    wr__lookup *l = &call->lookup;

    wr__flight_end(&l->flight);
    if (l->state == LK_OPEN_ASKED && call->op.fd >= 0) {
        close(call->op.fd);
    }
    if (l->state == LK_READ_ASKED) {
        free(call->op.buf);
    }
    if (l->file) {
        wr_file_unref(&l->file->file);
    }
    if (l->stale) {
        wr_file_unref(&l->stale->file);
    }
}
