/*
 * child_fork.c - a serving process that is forked by another one, for an MPM
 * that makes a process for each connection.
 *
 * In a child whose only thread forks, and in what it has forked.  The new
 * process has all of the old one's memory, but is nobody's twin: signals, log
 * lines and counters are its own from here on.
 */
#include "child.h"
#include "child_process.h"
#include "log_ring.h"
#include "thread.h"

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Under the old number, which others may have noted.  @return false: none. */
static bool renew_event(int fd, bool is_set)
{
    int fresh = eventfd(is_set, EFD_CLOEXEC | EFD_NONBLOCK);
    bool is_done = fresh >= 0 && dup3(fresh, fd, O_CLOEXEC) == fd;

    if (fresh >= 0) {
        close(fresh);
    }
    return is_done;
}

/* What is told to the parent's process must not be heard here, nor the other
 * way round. */
static bool renew_events(const wr_child *child)
{
    wr_child_phase phase = wr_child_state(child);

    return renew_event(child->drain_fd, phase != WR_CHILD_RUNNING)
           && renew_event(child->stop_fd, phase == WR_CHILD_STOPPING);
}

/* The parent's slot and rows stay its own: here they are only forgotten. */
static void claim_anew(wr_child *child, wr_thread *self, const char *role)
{
    struct wr_child_core *core = child->core;

    core->row = wr__board_claim(child->mpm->name, core->index, "child");
    core->note_fd = -1;
    core->serial_limit = 0; /* it serves what it was made for */
    wr__thread_claim(self, role);
}

static void begin_life(wr_child *child, wr_thread *self, const char *role,
                       pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || !renew_events(child)) {
        _exit(EXIT_FAILURE); /* it died before that; or nobody could stop us */
    }
    claim_anew(child, self, role);
    for (int i = 0; i < child->listener_count; i++) {
        close(child->listeners[i]->fd);
    }
}

pid_t wr_child_fork(wr_child *child, wr_thread *self, const char *role)
{
    sigset_t all, before;
    pid_t parent = getpid();
    pid_t pid;
    int error;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    error = errno;
    if (pid == 0) {
        begin_life(child, self, role, parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

void wr_child_reaped(pid_t pid, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) {
        return; /* it has given back what it had */
    }
    wr__log_reap(pid);
    wr__board_reap(pid);
    wr__child_log_death(pid, status);
}
