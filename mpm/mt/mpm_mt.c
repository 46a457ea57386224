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
 * How it is served stands in mpm/common/serve.c.
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_module.h"
#include "wr_mpm.h"

#include "mpm/common/accept.h"
#include "mpm/common/poller.h"
#include "mpm/common/serve.h"
#include "mpm/common/threads.h"

#include <apr_thread_mutex.h>
#include <errno.h>
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
    int n = poll(m->fds, count, wr__poll_timeout(until, self->now_ns));

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

    wr_role_is(self, WR_ROLE_WAITING);
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
    wr_role_is(self, WR_ROLE_BUSY);
    return c;
}

/* Threads. */

static void run_thread(wr_thread *self, void *arg)
{
    mt *m = arg;
    wr_conn *c;

    while ((c = next_conn(m, self))) {
        wr__serve_blocking(c, self);
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
