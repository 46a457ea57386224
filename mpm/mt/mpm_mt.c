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
 *
 * Some threads always wait, spare ones: whoever takes a connection and leaves
 * too few makes another, and whoever comes back to too many ends.
 *
 * ThreadPool off is the other way to do it: one thread accepts, and makes
 * another for each connection, which ends with it:
 *
 *     acceptor:  accept -> make a thread, accept -> make a thread ...
 *     thread:    read -> find -> send header -> read, send -> log, and gone
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_mpm.h"

#include "mpm/common/accept.h"
#include "mpm/common/serve.h"
#include "mpm/common/threads.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>

typedef struct mt_config {
    int max;            /**< ThreadsPerChild */
    int min_spare;      /**< MinSpareThreads */
    int max_spare;      /**< MaxSpareThreads */
    int has_pool;       /**< ThreadPool */
    int64_t stack_size; /**< ThreadStackSize */
} mt_config;

typedef struct mt {
    wr_child *child;
    const mt_config *config;
    wr__threads *threads;
    _Atomic int spare; /**< threads without a connection */
    _Atomic int64_t full_quiet, failed_quiet; /**< not said again before */
    apr_thread_mutex_t *mutex;
    /* The rest is guarded by mutex. */
    wr__acceptor acceptor;
    wr_listener *reported; /**< connections are there, as far as known */
    int left;              /**< so many are taken before looking again */
    wr__watch watch;
} mt;

#define LISTENER_POLL (100 * WR_MS) /* not open: look again so often */
#define PAUSE         (100 * WR_MS) /* no thread could be made: likewise */
#define LOG_PAUSE     (60 * WR_SEC)

/* Accepting. */

/** Wait until a listener reports connections. */
static void wait_for_report(mt *m, wr_thread *self)
{
    bool is_open = wr__acceptor_open(&m->acceptor, self->now_ns);
    int64_t until = is_open ? WR_NEVER : self->now_ns + LISTENER_POLL;

    m->reported = wr__watch_wait(&m->watch, self, is_open, until);
    m->left = m->reported ? wr__acceptor_count(&m->acceptor, m->reported) : 0;
}

/** The next connection, or NULL when the child drains or stops. */
static wr_conn *next_conn(mt *m, wr_thread *self)
{
    wr_conn *c = NULL;

    wr_role_is(self, WR_ROLE_WAITING);
    apr_thread_mutex_lock(m->mutex);
    wr_thread_tick(self);
    while (!c && wr_child_state(m->child) == WR_CHILD_RUNNING) {
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

/* How many threads. */

/** Count one more spare thread, if there are fewer than @a bound. */
static bool add_spare(mt *m, int bound)
{
    int spare = atomic_load(&m->spare);

    while (spare < bound) {
        if (atomic_compare_exchange_weak(&m->spare, &spare, spare + 1)) {
            return true;
        }
    }
    return false;
}

/** Is it time to say that again? */
static bool may_say(_Atomic int64_t *quiet_until, const wr_thread *self)
{
    int64_t until = atomic_load(quiet_until);

    return self->now_ns >= until
           && atomic_compare_exchange_strong(quiet_until, &until,
                                             self->now_ns + LOG_PAUSE);
}

/** No further thread could be made. */
static void say_why(mt *m, const wr_thread *self, apr_status_t error)
{
    if (error != APR_EBUSY && may_say(&m->failed_quiet, self)) {
        wr_log_error(NULL, WR_LOG_ALERT, error,
                     "no further thread: trying again from time to time");
    }
    if (error == APR_EBUSY && may_say(&m->full_quiet, self)) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "all %d threads are busy, and there may be no more "
                     "(ThreadsPerChild): clients wait",
                     m->config->max);
    }
}

/** This one has got a connection: there must be others that wait. */
static void keep_enough(mt *m, const wr_thread *self)
{
    atomic_fetch_sub(&m->spare, 1);
    while (add_spare(m, m->config->min_spare)) {
        apr_status_t rv = wr__threads_add(m->threads, m);

        if (rv != APR_SUCCESS) {
            if (atomic_fetch_sub(&m->spare, 1) == 1) {
                say_why(m, self, rv);
            }
            return;
        }
    }
}

/* Threads. */

/** It counts as spare from before its beginning. */
static void serve_one_by_one(wr_thread *self, void *arg)
{
    mt *m = arg;
    wr_conn *c;

    do {
        c = next_conn(m, self);
        if (!c) {
            return;
        }
        keep_enough(m, self);
        wr__serve_blocking(c, self);
    } while (add_spare(m, m->config->max_spare));
}

/** A pool: each thread accepts. */
static apr_status_t serve_by_pool(mt *m, wr__threads_options *options)
{
    apr_status_t rv;

    options->count = m->config->min_spare < m->config->max
                         ? m->config->min_spare
                         : m->config->max;
    options->run = serve_one_by_one;
    options->arg = m;
    atomic_store(&m->spare, options->count);
    rv = wr__threads_start(&m->threads, m->child, options);
    if (rv != APR_SUCCESS) {
        wr_child_fail(m->child, "starting threads", rv);
    }
    wr__threads_join(m->threads);
    return rv;
}

static void serve_one(wr_thread *self, void *conn)
{
    wr__serve_blocking(conn, self);
}

/** Make a thread for a connection.  While there can be none, the client waits,
 *  and those behind it in the listeners. */
static void hand_over(mt *m, wr_thread *self, wr_conn *c)
{
    apr_status_t rv;

    while ((rv = wr__threads_add(m->threads, c)) != APR_SUCCESS) {
        say_why(m, self, rv);
        if (rv == APR_EBUSY) {
            wr__threads_wait(m->threads);
        }
        else if (wr_child_state(m->child) == WR_CHILD_RUNNING) {
            wr__watch_wait(&m->watch, self, false, self->now_ns + PAUSE);
        }
        else {
            wr__serve_blocking(c, self); /* there is nothing else to do */
            return;
        }
        wr_thread_tick(self);
    }
    wr_count(self, WR_N_HAND_OVERS, 1);
}

/** No pool: this thread accepts. */
static apr_status_t serve_by_acceptor(mt *m, wr__threads_options *options)
{
    wr_thread *self = wr_thread_init(m->child, "acceptor");
    apr_status_t rv;
    wr_conn *c;

    options->run = serve_one;
    rv = wr__threads_start(&m->threads, m->child, options);
    while (rv == APR_SUCCESS && (c = next_conn(m, self))) {
        hand_over(m, self, c);
    }
    wr__threads_join(m->threads);
    wr_thread_finish(self);
    return rv;
}

static apr_status_t mt_serve(wr_child *child)
{
    mt *m = child->mpm_data;
    wr__threads_options options = {.role = "thread",
                                   .max = m->config->max,
                                   .stack_size = m->config->stack_size};

    return m->config->has_pool ? serve_by_pool(m, &options)
                               : serve_by_acceptor(m, &options);
}

static apr_status_t mt_init(wr_child *child)
{
    mt *m = apr_pcalloc(child->pool, sizeof(*m));

    m->child = child;
    m->config = child->mpm_config;
    m->acceptor.child = child;
    wr__watch_init(&m->watch, child, -1);
    child->mpm_data = m;
    return apr_thread_mutex_create(&m->mutex, APR_THREAD_MUTEX_DEFAULT,
                                   child->pool);
}

/* Configuration. */

static void *mt_config_create(apr_pool_t *pool)
{
    mt_config *config = apr_pcalloc(pool, sizeof(*config));

    config->max = 64;
    config->min_spare = 8;
    config->max_spare = 32;
    config->has_pool = 1;
    config->stack_size = 256 * 1024;
    return config;
}

static const char *mt_config_check(void *data, apr_pool_t *pool)
{
    const mt_config *config = data;

    return config->min_spare <= config->max_spare
               ? NULL
               : apr_psprintf(pool,
                              "MinSpareThreads %d is more than "
                              "MaxSpareThreads %d",
                              config->min_spare, config->max_spare);
}

static void mt_scale(const void *data, wr_mpm_scale *scale)
{
    scale->writers = 1 + ((const mt_config *)data)->max;
}

#define THREADS_MAX 4096
#define COUNT(NAME, FIELD, PRESET, HELP) \
    WR_MPM_NUMBER(NAME, mt_config, FIELD, 1, THREADS_MAX, PRESET, HELP)

static const wr_command mt_commands[] = {
    COUNT("ThreadsPerChild", max, "64",
          "Threads of a process at most, and so connections served at once."),
    COUNT("MinSpareThreads", min_spare, "8",
          "Threads of a process that wait for a connection: with fewer, more "
          "are made."),
    COUNT("MaxSpareThreads", max_spare, "32",
          "Threads of a process that wait for a connection: more than these "
          "end when they have served theirs."),
    WR_MPM_FLAG("ThreadPool", mt_config, has_pool, "on",
                "Off: one thread accepts, and makes another for each "
                "connection, which ends with it."),
    WR_MPM_COMMAND("ThreadStackSize", wr_set_size, "bytes", mt_config,
                   stack_size, 128 * 1024, 64 * 1024 * 1024, "256K",
                   "Stack of a thread; only what is touched takes memory."),
    {.name = NULL},
};

static const char *mt_describe(const void *data, apr_pool_t *pool)
{
    const mt_config *config = data;

    return config->has_pool
               ? apr_psprintf(pool,
                              "Threads: %d to %d idle, %d at most in a "
                              "process, a connection each\n",
                              config->min_spare, config->max_spare, config->max)
               : apr_psprintf(pool,
                              "Threads: one for each connection, %d at most "
                              "in a process\n",
                              config->max);
}

static wr_mpm mt_mpm = {
    .name = "mt",
    .summary = "a thread a connection, blocking; simple, and dear when many",
    .traits = WR_MPM_THREADED | WR_MPM_CALLS_INLINE,
    .commands = mt_commands,
    .config_create = mt_config_create,
    .config_check = mt_config_check,
    .describe = mt_describe,
    .scale = mt_scale,
    .init = mt_init,
    .serve = mt_serve,
};

WR_API wr_module mpm_mt_module = {
    WR_MODULE_HEAD("mpm_mt"),
    .mpm = &mt_mpm,
};
