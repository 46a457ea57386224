/*
 * mpm_mt.c - multi-threaded (MT): a thread a connection.
 *
 * Every thread does the same: accept a connection, serve it to its end, accept
 * the next.  Whatever blocks, blocks this one thread, and the kernel runs
 * another meanwhile:
 *
 *     thread 1:  accept -> read -> find -> send header -> read, send -> log
 *     thread 2:  accept -> read -> ...
 *
 * Only one thread at a time waits for a connection to accept, the holder of a
 * mutex, so a new connection wakes one thread.  No connection changes hands.
 */
#include "wr_conn.h"
#include "wr_end.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/accept.h"
#include "mpm/common/poller.h"
#include "mpm/common/threads.h"

#include <apr_thread_mutex.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>

typedef struct mt_config {
    int threads;        /**< ThreadsPerChild */
    int64_t stack_size; /**< ThreadStackSize */
} mt_config;

typedef struct mt {
    wr_child *child;
    apr_thread_mutex_t *mutex;
    /* The rest is guarded by mutex. */
    wr__acceptor acceptor;
    wr_listener *reported; /**< connections are there, as far as known */
    int left;              /**< so many are taken before looking again */
    int next;              /**< the listener that is looked at first */
    struct pollfd *fds;    /**< drain_fd, then the listeners */
} mt;

#define LISTENER_POLL (100 * WR_MS) /* not open: look again so often */

/** Time-out for poll(): milliseconds, rounded up so as never to be early. */
static int timeout_until(int64_t deadline, int64_t now)
{
    int64_t ms = (deadline - now + WR_MS - 1) / WR_MS;

    if (deadline == WR_NEVER) {
        return -1;
    }
    return ms < 0 ? 0 : ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Accepting. */

/** Listeners take turns at being looked at first. */
static void choose_reported(mt *m)
{
    int count = m->child->listener_count;

    for (int i = 0; i < count; i++) {
        int at = (m->next + i) % count;

        if (m->fds[1 + at].revents) {
            m->next = (at + 1) % count;
            m->reported = m->child->listeners[at];
            m->left = m->child->accept_limit;
            return;
        }
    }
}

/** Wait until a listener reports connections. */
static void wait_for_report(mt *m, wr_thread *self)
{
    bool is_open = wr__acceptor_open(&m->acceptor, self->now_ns);
    nfds_t count = 1 + (nfds_t)(is_open ? m->child->listener_count : 0);
    int64_t until = is_open ? WR_NEVER : self->now_ns + LISTENER_POLL;
    int n = poll(m->fds, count, timeout_until(until, self->now_ns));

    if (n < 0 && errno != EINTR) {
        wr_child_fail(m->child, "waiting for connections", errno);
        m->acceptor.is_closed = true;
    }
    wr_thread_tick(self);
    if (n > 0 && m->fds[0].revents) {
        m->acceptor.is_closed = true;
    }
    else if (n > 0 && is_open) {
        choose_reported(m);
    }
}

/** The next connection, or NULL when the child drains or stops. */
static wr_conn *next_conn(mt *m, wr_thread *self)
{
    wr_conn *c = NULL;

    apr_thread_mutex_lock(m->mutex);
    wr_thread_tick(self);
    while (!c && !m->acceptor.is_closed) {
        if (m->left == 0) {
            wait_for_report(m, self);
            continue;
        }
        c = wr__accept(&m->acceptor, self, m->reported);
        m->left = c ? m->left - 1 : 0;
    }
    apr_thread_mutex_unlock(m->mutex);
    return c;
}

/* Serving. */

/** What poll() is to look for: the wanted bits.  -1: this end not. */
static struct pollfd poll_of(const wr_end *e)
{
    struct pollfd fd = {.fd = e->want ? e->fd : -1};

    if (e->want & WR_READ) {
        fd.events |= POLLIN | POLLRDHUP;
    }
    if (e->want & WR_WRITE) {
        fd.events |= POLLOUT;
    }
    return fd;
}

/** Wait for a wanted bit of an end, the deadline, or (once) the stop. */
static void wait_any(wr_conn *c, wr_thread *self, bool *is_told)
{
    struct pollfd fds[1 + WR_ENDS_MAX] = {
        {.fd = *is_told ? -1 : c->child->stop_fd, .events = POLLIN}};
    nfds_t count = 1;
    wr_end *e;

    for (e = c->ends; e && count <= WR_ENDS_MAX; e = e->next) {
        fds[count++] = poll_of(e);
    }
    if (poll(fds, count, timeout_until(c->deadline, self->now_ns)) < 0
        && errno != EINTR) {
        wr_child_fail(c->child, "waiting for a connection", errno);
        fds[0].revents = POLLERR;
    }
    wr_thread_tick(self);
    count = 1;
    for (e = c->ends; e && count <= WR_ENDS_MAX; e = e->next) {
        atomic_fetch_or_explicit(&e->ready,
                                 wr__ready_bits((unsigned)fds[count++].revents),
                                 memory_order_relaxed);
    }
    if (fds[0].revents && !*is_told) {
        *is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    if (c->deadline <= self->now_ns) {
        wr_conn_post(c, WR_POST_TIMER);
    }
}

/** There are no others to go first; but a client may never let this thread
 *  wait, and so hear of the time and of the stop. */
static void look_up(wr_conn *c, wr_thread *self, bool *is_told)
{
    wr_thread_tick(self);
    if (!*is_told && wr_child_state(c->child) == WR_CHILD_STOPPING) {
        *is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    if (c->deadline <= self->now_ns) {
        wr_conn_post(c, WR_POST_TIMER);
    }
}

static void call(wr_conn *c, wr_thread *self)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run(op);
    wr_op_finish(op);
    wr_thread_tick(self);
}

/** Serve a connection to its end. */
static void serve(wr_conn *c, wr_thread *self)
{
    bool is_told = false;

    for (;;) {
        switch (wr_conn_step(c, self)) {
        case WR_WANT_IO:
            if (!wr_conn_ready(c)) {
                wait_any(c, self, &is_told);
            }
            wr_conn_io(c, self, c->child->quantum);
            break;
        case WR_WANT_RUN:
            break;
        case WR_WANT_CALL:
            call(c, self);
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), self);
            break;
        case WR_WANT_YIELD:
            look_up(c, self, &is_told);
            break;
        case WR_WANT_DROP:
            wr_conn_drop(c, self);
            break;
        case WR_WANT_CLOSE:
            if (wr_conn_close(c, self)) {
                return;
            }
            break;
        }
    }
}

static void run_thread(wr_thread *self, void *arg)
{
    mt *m = arg;
    wr_conn *c;

    while ((c = next_conn(m, self))) {
        serve(c, self);
    }
}

static apr_status_t mt_init(wr_child *child)
{
    mt *m = apr_pcalloc(child->pool, sizeof(*m));
    int count = child->listener_count;

    m->child = child;
    m->acceptor.child = child;
    m->fds = apr_pcalloc(child->pool, (size_t)(1 + count) * sizeof(*m->fds));
    m->fds[0].fd = child->drain_fd;
    m->fds[0].events = POLLIN;
    for (int i = 0; i < count; i++) {
        m->fds[1 + i].fd = child->listeners[i]->fd;
        m->fds[1 + i].events = POLLIN;
    }
    child->mpm_data = m;
    return apr_thread_mutex_create(&m->mutex, APR_THREAD_MUTEX_DEFAULT,
                                   child->pool);
}

static apr_status_t mt_serve(wr_child *child)
{
    const mt_config *config = child->mpm_config;
    wr__threads_options options = {.role = "thread",
                                   .count = config->threads,
                                   .stack_size = config->stack_size,
                                   .run = run_thread,
                                   .arg = child->mpm_data};
    wr__threads *threads;
    apr_status_t rv = wr__threads_start(&threads, child, &options);

    if (rv != APR_SUCCESS) {
        wr_child_fail(child, "starting threads", rv);
    }
    wr__threads_join(threads);
    return rv;
}

static void *mt_config_create(apr_pool_t *pool)
{
    mt_config *config = apr_pcalloc(pool, sizeof(*config));

    config->threads = 64;
    config->stack_size = 256 * 1024;
    return config;
}

static const wr_command mt_commands[] = {
    {
        .name = "ThreadsPerChild",
        .run = wr_set_int,
        .context = WR_IN_MPM,
        .min_args = 1,
        .max_args = 1,
        .args = "number",
        .help = "Threads of a process, and so connections served at once.",
        .preset = "64",
        .offset = offsetof(mt_config, threads),
        .min = 1,
        .max = 4096,
    },
    {
        .name = "ThreadStackSize",
        .run = wr_set_size,
        .context = WR_IN_MPM,
        .min_args = 1,
        .max_args = 1,
        .args = "bytes",
        .help = "Stack of a thread; only what is touched takes memory.",
        .preset = "256K",
        .offset = offsetof(mt_config, stack_size),
        .min = 128 * 1024,
        .max = 64 * 1024 * 1024,
    },
    {.name = NULL},
};

static wr_mpm mt_mpm = {
    .name = "mt",
    .summary = "a thread a connection, blocking; simple, and dear when many",
    .traits = WR_MPM_THREADED | WR_MPM_CALLS_INLINE,
    .commands = mt_commands,
    .config_create = mt_config_create,
    .init = mt_init,
    .serve = mt_serve,
};

WR_API wr_module mpm_mt_module = {
    WR_MODULE_HEAD("mpm_mt"),
    .mpm = &mt_mpm,
};
