/*
 * forks.c - see forks.h.
 *
 * signalfd directly: APR tells of ended processes only when asked for each, and
 * whoever waits here waits for connections as well.
 */
#include "forks.h"

#include "wr_log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_MS  100 /* no room for a process: it is tried so often ... */
#define LOG_PAUSE (10 * WR_SEC) /* ... and told so seldom */

struct wr__forks {
    wr_child *child;
    int ended_fd;
    int max, count;
    pid_t *pids; /* max places; 0: free */
    int64_t quiet_until;
};

static apr_status_t close_ended_fd(void *data)
{
    close(((wr__forks *)data)->ended_fd);
    return APR_SUCCESS;
}

apr_status_t wr__forks_create(wr__forks **forks, wr_child *child, int max)
{
    wr__forks *f = apr_pcalloc(child->pool, sizeof(*f));
    sigset_t ends;

    f->child = child;
    f->max = max;
    f->pids = apr_pcalloc(child->pool, (size_t)max * sizeof(*f->pids));
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    f->ended_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f->ended_fd < 0) {
        return errno;
    }
    apr_pool_cleanup_register(child->pool, f, close_ended_fd,
                              apr_pool_cleanup_null);
    *forks = f;
    return APR_SUCCESS;
}

int wr__forks_fd(const wr__forks *f)
{
    return f->ended_fd;
}

int wr__forks_count(const wr__forks *f)
{
    return f->count;
}

/** The place of a process; of 0: a free one. */
static pid_t *find(const wr__forks *f, pid_t pid)
{
    for (int i = 0; i < f->max; i++) {
        if (f->pids[i] == pid) {
            return &f->pids[i];
        }
    }
    return NULL;
}

void wr__forks_reap(wr__forks *f)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(f->ended_fd, &info, sizeof(info)) > 0) {
        /* several ends may be one signal */
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        pid_t *place = find(f, pid);

        wr_child_reaped(pid, status);
        if (place) {
            *place = 0;
            f->count--;
        }
    }
}

/** There is no room for a process. */
static void pause_for_room(wr__forks *f, wr_thread *self, int error)
{
    struct pollfd drain = {.fd = f->child->drain_fd, .events = POLLIN};

    if (self->now_ns >= f->quiet_until) {
        f->quiet_until = self->now_ns + LOG_PAUSE;
        wr_log_error(NULL, WR_LOG_ALERT, error,
                     "no process for a connection: trying again from time to "
                     "time");
    }
    (void)poll(&drain, 1, PAUSE_MS);
    wr__forks_reap(f);
    wr_thread_tick(self);
}

pid_t wr__forks_add(wr__forks *f, wr_thread *self, const char *role)
{
    pid_t pid;

    while ((pid = wr_child_fork(f->child, self, role)) < 0) {
        if (wr_child_state(f->child) != WR_CHILD_RUNNING) {
            return -1;
        }
        pause_for_room(f, self, errno);
    }
    if (pid > 0) {
        *find(f, 0) = pid;
        f->count++;
    }
    return pid;
}

static void signal_all(const wr__forks *f, int number)
{
    for (int i = 0; i < f->max; i++) {
        if (f->pids[i]) {
            kill(f->pids[i], number);
        }
    }
}

void wr__forks_end(wr__forks *f)
{
    struct pollfd fds[2] = {{.fd = f->child->stop_fd, .events = POLLIN},
                            {.fd = f->ended_fd, .events = POLLIN}};

    signal_all(f, SIGUSR1);
    while (f->count > 0) {
        (void)poll(fds, 2, -1);
        if (fds[0].revents) {
            signal_all(f, SIGTERM);
            fds[0] = (struct pollfd){.fd = -1};
        }
        wr__forks_reap(f);
    }
}
