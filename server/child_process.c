/*
 * child_process.c - a serving process: forked, named, without privileges.
 *
 * Runs in the child, before its threads start, and in its signal handlers.
 * What the child then does is child.c's.
 */
#include "child_process.h"

#include "child.h"
#include "log_program.h"
#include "title.h"
#include "user.h"

#include "wr_log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static wr_child *signalled_child; /* whom the signals are for; set once */

static void on_drain(int number)
{
    (void)number;
    int saved = errno;
    wr__child_drain(signalled_child);
    errno = saved;
}

static void on_stop(int number)
{
    (void)number;
    int saved = errno;
    wr__child_stop(signalled_child);
    errno = saved;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void listen_to_signals(wr_child *child, bool stops_on_interrupt)
{
    sigset_t set;

    signalled_child = child;
    handle(SIGUSR1, on_drain);
    handle(SIGTERM, on_stop);
    if (stops_on_interrupt) {
        handle(SIGINT, on_stop);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The child is about to go. */
static void close_ears(void)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

/* A terminal's signals go to its whole foreground group, but only the master
 * acts on them. */
static void ignore_the_masters_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGWINCH, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

static bool drop_privileges(const wr__config *config)
{
    wr__user user;
    wr__user_init(&user, config->user, config->uid, config->gid);
    apr_status_t rv = wr__user_become(&user);
    if (rv != APR_SUCCESS) {
        wr_log_error(NULL, WR_LOG_CRIT, rv, "could not become user %s",
                     config->user != NULL ? config->user : "(none)");
    }
    return rv == APR_SUCCESS;
}

/* After the change of user, which would undo it. */
static void die_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(EXIT_SUCCESS); /* it died before that */
    }
}

static apr_status_t create_child(wr_child **child,
                                 const wr__child_options *options,
                                 apr_pool_t *pool)
{
    const apr_array_header_t *listeners = options->listeners;
    int drain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (drain_fd < 0 || stop_fd < 0) {
        return errno;
    }
    return wr__child_create(
        child, options->config, (wr_listener *const *)listeners->elts,
        listeners->nelts, options->index, drain_fd, stop_fd, pool);
}

/* Make a child, ready to serve and to be told to stop. */
static apr_status_t begin(wr_child **child, const wr__child_options *options,
                          apr_pool_t *pool)
{
    apr_status_t rv = create_child(child, options, pool);
    if (rv != APR_SUCCESS) {
        wr_log_error(NULL, WR_LOG_CRIT, rv, "could not make a child");
        return rv;
    }
    if (options->note_fd >= 0) {
        wr__child_supervised(*child, options->note_fd);
    }
    listen_to_signals(*child, options->is_single);
    return wr__child_init(*child);
}

/* All of a child's life: its exit status.  Its pool goes before the modules
 * whose cleanups are in it. */
static int live(const wr__child_options *options)
{
    int status = EXIT_FAILURE;
    wr_child *child = NULL;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    apr_pool_tag(pool, "child");
    if (begin(&child, options, pool) == APR_SUCCESS) {
        wr__child_tell(child, WR__CHILD_READY);
        status = wr__child_serve(child);
    }
    close_ears();
    if (child != NULL && atomic_load(&child->connections) > 0) {
        /* It has failed in the midst of serving: nothing is in an order in
         * which it could be taken apart. */
        return status;
    }
    if (child != NULL) {
        wr__child_destroy(child);
    }
    apr_pool_destroy(pool);
    return status;
}

pid_t wr__child_process_fork(const wr__child_options *options)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    ignore_the_masters_signals();
    for (size_t i = 0; i < 3; i++) {
        close(options->own_fds[i]);
    }
    wr__log_programs_forget();
    wr__title_set("weir:%s", options->config->mpm->name);
    if (!drop_privileges(options->config)) {
        exit(EXIT_FAILURE);
    }
    die_with_parent(parent);
    exit(live(options));
}

void wr__child_log_death(pid_t pid, int status)
{
    if (WIFSIGNALED(status)) {
        wr_log_error(NULL, WR_LOG_ERROR, 0, "child %ld died: %s (signal %d)%s",
                     (long)pid, strsignal(WTERMSIG(status)), WTERMSIG(status),
                     WCOREDUMP(status) ? ", core dumped" : "");
    }
    else {
        wr_log_error(NULL, WR_LOG_ERROR, 0, "child %ld ended with status %d",
                     (long)pid, WEXITSTATUS(status));
    }
}

int wr__child_process_single(const wr__child_options *options)
{
    wr__title_set("weir:%s", options->config->mpm->name);
    if (!drop_privileges(options->config)) {
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    return live(options);
}
