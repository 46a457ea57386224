/*
 * mpm_mp.c - multi-process (MP): a process a connection.
 *
 * Every process does the same: accept a connection, serve it to its end, accept
 * the next.  Whatever blocks, blocks this one process, and the kernel runs
 * another meanwhile:
 *
 *     process 1:  accept -> read -> find -> send header -> read, send -> log
 *     process 2:  accept -> read -> ...
 *
 * Nothing is shared but the listeners and counters, so nothing is locked; and
 * each has its own caches, which have to be smaller for that.  How a connection
 * is served stands in mpm/common/serve.c; the core keeps as many processes as
 * scale() says.
 *
 * All processes wait on the same listeners, and one connection shall wake one
 * of them.  Each has an epoll of its own, to which the listeners are added as
 * EPOLLEXCLUSIVE: of those that wait, the kernel wakes one, for however many
 * listeners; those that are serving are passed over.  A blocking accept() would
 * do that too, but for a single listener; poll() and a shared epoll wake all,
 * or need a lock that a process which dies may hold.
 *
 * ProcessPool off is how it once began: one process accepts, and forks another
 * for each connection, which ends with it:
 *
 *     acceptor:   accept -> fork, accept -> fork ...
 *     process:    read -> find -> send header -> read, send -> log, and gone
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_mpm.h"

#include "mpm/common/accept.h"
#include "mpm/common/forks.h"
#include "mpm/common/serve.h"

#include <apr_strings.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct mp_config {
    int start;     /**< StartServers */
    int min_spare; /**< MinSpareServers */
    int max_spare; /**< MaxSpareServers */
    int max;       /**< MaxRequestWorkers */
    int has_pool;  /**< ProcessPool */
} mp_config;

typedef struct mp {
    wr_child *child;
    const mp_config *config;
    wr__acceptor acceptor;
    int epoll_fd;        /**< ProcessPool on: drain_fd and the listeners */
    wr__forks *forks;    /**< off: the processes that serve */
    int64_t quiet_until; /**< off: not said again before */
    wr__watch watch;     /**< drain_fd; off: and the listeners, and forks */
} mp;

#define LOG_PAUSE (60 * WR_SEC)
#define DRAIN     UINT32_MAX /* in an event, in place of a listener's number */

/* A pool of processes: accept, serve, accept the next. */

/** Wait for connections.  @return whose; NULL: none, or the child drains. */
static wr_listener *wait_for_report(mp *m, wr_thread *self)
{
    struct epoll_event event;
    int n = epoll_wait(m->epoll_fd, &event, 1, -1);

    if (n < 0 && errno != EINTR) {
        wr_child_fail(m->child, "waiting for connections", errno);
    }
    wr_thread_tick(self);
    return n > 0 && event.data.u32 != DRAIN
               ? m->child->listeners[event.data.u32]
               : NULL;
}

/** When it is told to drain, this process has perhaps just been woken for a
 *  connection, and no other was: it must not leave that one lying. */
static wr_conn *take_last(mp *m, wr_thread *self)
{
    wr__socket accepted;

    for (int i = 0; i < m->child->listener_count; i++) {
        if (wr_child_state(m->child) != WR_CHILD_STOPPING
            && wr__accept_socket(&m->acceptor, self, m->child->listeners[i],
                                 &accepted)) {
            return wr__accept_conn(self, &accepted);
        }
    }
    return NULL;
}

/** The next connection, or NULL when the child drains or stops. */
static wr_conn *next_conn(mp *m, wr_thread *self)
{
    bool has_waited = false;
    wr_conn *c = NULL;

    wr_thread_tick(self);
    wr_role_is(self, WR_ROLE_WAITING);
    while (!c && wr_child_state(m->child) == WR_CHILD_RUNNING) {
        wr_listener *reported;

        if (!wr__acceptor_open(&m->acceptor, self->now_ns)) {
            wr__watch_wait(&m->watch, self, false,
                           wr__acceptor_resumes(&m->acceptor));
            continue;
        }
        reported = wait_for_report(m, self);
        c = reported ? wr__accept(&m->acceptor, self, reported) : NULL;
        has_waited = true;
    }
    if (!c && has_waited) {
        c = take_last(m, self);
    }
    wr_role_is(self, WR_ROLE_BUSY);
    return c;
}

static apr_status_t serve_one_by_one(mp *m)
{
    wr_thread *self = wr_thread_init(m->child, "process");
    wr_conn *c;

    while ((c = next_conn(m, self))) {
        wr__serve_blocking(c, self);
    }
    wr_thread_finish(self);
    return APR_SUCCESS;
}

/* A process for each connection: accept, fork. */

/** As many as may be: the next clients wait in the listeners. */
static bool is_full(mp *m, const wr_thread *self)
{
    bool is = wr__forks_count(m->forks) == m->config->max;

    if (is && self->now_ns >= m->quiet_until) {
        m->quiet_until = self->now_ns + LOG_PAUSE;
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "all %d processes are busy, and there may be no more "
                     "(MaxRequestWorkers): clients wait",
                     m->config->max);
    }
    return is;
}

/** The next connection's socket; false when the child drains or stops. */
static bool next_socket(mp *m, wr_thread *self, wr__socket *accepted)
{
    bool is_there = false;

    wr_thread_tick(self);
    wr_role_is(self, WR_ROLE_WAITING);
    while (!is_there && wr_child_state(m->child) == WR_CHILD_RUNNING) {
        bool may =
            !is_full(m, self) && wr__acceptor_open(&m->acceptor, self->now_ns);
        wr_listener *reported = wr__watch_wait(
            &m->watch, self, may, wr__acceptor_resumes(&m->acceptor));

        if (m->watch.fds[1].revents) {
            wr__forks_reap(m->forks);
        }
        is_there = reported
                   && wr__accept_socket(&m->acceptor, self, reported, accepted);
    }
    wr_role_is(self, WR_ROLE_BUSY);
    return is_there;
}

static void serve_socket(wr_thread *self, const wr__socket *accepted)
{
    wr_conn *c;

    wr_thread_tick(self);
    c = wr__accept_conn(self, accepted);
    if (c) {
        wr__serve_blocking(c, self);
    }
}

static apr_status_t serve_by_forks(mp *m)
{
    wr_thread *self = wr_thread_init(m->child, "acceptor");
    wr__socket accepted;
    pid_t pid = -1;

    while (pid != 0 && next_socket(m, self, &accepted)) {
        pid = wr__forks_add(m->forks, self, "process");
        if (pid == 0) {
            serve_socket(self, &accepted); /* in the new process, its all */
            break;
        }
        close(accepted.fd);
        wr_count(self, WR_N_HAND_OVERS, 1);
    }
    if (pid != 0) {
        wr__forks_end(m->forks);
    }
    wr_thread_finish(self);
    return APR_SUCCESS;
}

static apr_status_t mp_serve(wr_child *child)
{
    mp *m = child->mpm_data;

    return m->config->has_pool ? serve_one_by_one(m) : serve_by_forks(m);
}

/* Beginning. */

static apr_status_t close_epoll(void *data)
{
    close(((mp *)data)->epoll_fd);
    return APR_SUCCESS;
}

static apr_status_t watch(const mp *m, int fd, uint32_t events, uint32_t name)
{
    struct epoll_event event = {.events = events, .data.u32 = name};

    return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? errno
                                                                 : APR_SUCCESS;
}

static apr_status_t init_pool(mp *m)
{
    apr_status_t rv;

    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (m->epoll_fd < 0) {
        return errno;
    }
    apr_pool_cleanup_register(m->child->pool, m, close_epoll,
                              apr_pool_cleanup_null);
    wr__watch_init(&m->watch, m->child, -1);
    rv = watch(m, m->child->drain_fd, EPOLLIN, DRAIN);
    for (int i = 0; rv == APR_SUCCESS && i < m->child->listener_count; i++) {
        rv = watch(m, m->child->listeners[i]->fd, EPOLLIN | EPOLLEXCLUSIVE,
                   (uint32_t)i);
    }
    return rv;
}

static apr_status_t init_forks(mp *m)
{
    apr_status_t rv = wr__forks_create(&m->forks, m->child, m->config->max);

    if (rv == APR_SUCCESS) {
        wr__watch_init(&m->watch, m->child, wr__forks_fd(m->forks));
    }
    return rv;
}

static apr_status_t mp_init(wr_child *child)
{
    mp *m = apr_pcalloc(child->pool, sizeof(*m));

    m->child = child;
    m->config = child->mpm_config;
    m->acceptor.child = child;
    child->mpm_data = m;
    return m->config->has_pool ? init_pool(m) : init_forks(m);
}

/* Configuration. */

static void *mp_config_create(apr_pool_t *pool)
{
    mp_config *config = apr_pcalloc(pool, sizeof(*config));

    config->start = 5;
    config->min_spare = 5;
    config->max_spare = 10;
    config->max = 256;
    config->has_pool = 1;
    return config;
}

static const char *mp_config_check(void *data, apr_pool_t *pool)
{
    const mp_config *config = data;

    return config->min_spare <= config->max_spare
               ? NULL
               : apr_psprintf(pool,
                              "MinSpareServers %d is more than "
                              "MaxSpareServers %d",
                              config->min_spare, config->max_spare);
}

static int at_most(int number, int max)
{
    return number < max ? number : max;
}

/** Forking, there is but the acceptor; what it forks writes logs, too. */
static void mp_scale(const void *data, wr_mpm_scale *scale)
{
    const mp_config *config = data;
    int max = config->max;

    *scale = config->has_pool
                 ? (wr_mpm_scale){.start = at_most(config->start, max),
                                  .min_spare = at_most(config->min_spare, max),
                                  .max_spare = at_most(config->max_spare, max),
                                  .max = max,
                                  .writers = 1}
                 : (wr_mpm_scale){
                     .start = 1, .max_spare = 1, .max = 1, .writers = 1 + max};
}

static const char *mp_describe(const void *data, apr_pool_t *pool)
{
    const mp_config *config = data;
    wr_mpm_scale scale;

    mp_scale(config, &scale);
    return config->has_pool
               ? apr_psprintf(pool,
                              "Processes: %d to begin with, %d to %d idle, "
                              "%d at most\n",
                              scale.start, scale.min_spare, scale.max_spare,
                              scale.max)
               : apr_psprintf(pool,
                              "Processes: one that accepts, one for each "
                              "connection, %d at most\n",
                              config->max);
}

#define PROCESSES_MAX 1024
#define COUNT(NAME, FIELD, PRESET, HELP) \
    WR_MPM_NUMBER(NAME, mp_config, FIELD, 1, PROCESSES_MAX, PRESET, HELP)

static const wr_command mp_commands[] = {
    COUNT("StartServers", start, "5", "Processes to begin with."),
    COUNT("MinSpareServers", min_spare, "5",
          "Processes that wait for a connection: with fewer, more are forked, "
          "in a second 1, then 2, 4, up to 32."),
    COUNT("MaxSpareServers", max_spare, "10",
          "Processes that wait for a connection: of more, one ends each "
          "second."),
    COUNT("MaxRequestWorkers", max, "256",
          "Processes, and so connections served at once; more clients wait."),
    WR_MPM_FLAG("ProcessPool", mp_config, has_pool, "on",
                "Off: no process waits for connections, one is forked for each "
                "and ends with it."),
    {.name = NULL},
};

static wr_mpm mp_mpm = {
    .name = "mp",
    .summary = "a process a connection, blocking; each is on its own",
    .traits = WR_MPM_CALLS_INLINE | WR_MPM_PROCESS,
    .commands = mp_commands,
    .config_create = mp_config_create,
    .config_check = mp_config_check,
    .describe = mp_describe,
    .scale = mp_scale,
    .init = mp_init,
    .serve = mp_serve,
};

WR_API wr_module mpm_mp_module = {
    WR_MODULE_HEAD("mpm_mp"),
    .mpm = &mp_mpm,
};
