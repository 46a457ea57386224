/*
 * master_main.c - the process that keeps the listeners and starts generations.
 *
 * The master's one thread.  It reads no configuration and loads no module, so
 * nothing that an administrator or a module does wrong can end it: whatever may
 * fail is done by a generation, and the one before serves until the next one is
 * ready.  It signals only its generations, each by its process id.
 */
#include "master_main.h"

#include "board.h"
#include "channel.h"
#include "generation_main.h"
#include "listen.h"
#include "log_ring.h"
#include "pid_file.h"
#include "title.h"

#include "wr_log.h"
#include "wr_version.h"

#include <apr_strings.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A generation kills its children and programs sooner; this is for one that
 * hangs itself. */
#define STOP_LIMIT (20 * WR_SEC)
/* One that lived shorter died at its start: the next one waits, ever longer. */
#define SHORT_LIFE    WR_SEC
#define FIRST_DELAY   WR_SEC
#define LONGEST_DELAY (32 * WR_SEC)

typedef enum generation_phase {
    STARTING, /* its notes are collected until it is ready */
    SERVING,  /* at most one */
    LEAVING   /* told to drain or to stop */
} generation_phase;

typedef struct generation {
    struct generation *next;
    apr_pool_t *pool;
    pid_t pid;
    int number;
    int channel; /* -1: it is closed */
    generation_phase phase;
    apr_array_header_t *listeners; /* wr__bound; fd -1: inherited */
    const char *pid_file;
    const char *error_log;
    int error_fd; /* -1, or to the program that it goes to */
    int64_t started;
    int64_t kill_at; /* WR_NEVER: it may take its time */
} generation;

/* What the last generation that became ready has left with the master.  The
 * pool holds the error log, too. */
typedef struct legacy {
    apr_pool_t *pool;
    apr_array_header_t *listeners; /* wr__bound */
    const char *pid_file;          /* NULL: none written */
} legacy;

typedef struct master {
    const wr__master_options *options;
    apr_pool_t *pool;
    generation *generations;
    legacy legacy;
    int borrowed_from; /* the number of the generation whose program has our
                          error log; 0: none */
    int last_number;
    bool has_served;  /* a generation was ready once */
    bool is_leaving;  /* ends with its last generation */
    int next_signal;  /* for the generation that the next one replaces */
    bool wants_next;  /* one more is asked for while one is starting */
    int64_t next_due; /* a died one's successor, or WR_NEVER */
    int64_t delay;    /* that it waits */
    int signal_fd;
    int starter; /* who waits to be told that we serve; -1: nobody */
    bool had_terminal;
    int exit_status;
} master;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

static generation *find_phase(const master *m, generation_phase phase)
{
    generation *g = m->generations;
    while (g != NULL && g->phase != phase) {
        g = g->next;
    }
    return g;
}

/* The starter's terminal until it serves, the error log from then on. */
static void say(const master *m, const char *text)
{
    if (m->has_served) {
        wr_log_error(NULL, WR_LOG_ERROR, 0, "%s", text);
    }
    else {
        fprintf(stderr, "%s\n", text);
    }
}

/* Starting a generation. */

static void run_generation(const master *m, int channel, pid_t parent)
{
    wr__generation_options options = {
        .setup = {.config = m->options->config,
                  .inherited = m->legacy.listeners,
                  .is_first = !m->has_served,
                  .is_detached = !m->options->stays_in_foreground},
        .number = m->last_number,
        .channel = channel,
        .master = parent,
    };
    for (const generation *g = m->generations; g != NULL; g = g->next) {
        if (g->channel >= 0) {
            close(g->channel);
        }
    }
    close(m->signal_fd);
    if (m->starter >= 0) {
        close(m->starter);
    }
    exit(wr__generation_main(&options, m->pool));
}

static void start_generation(master *m)
{
    pid_t self = getpid();
    int ends[2];

    m->last_number++;
    m->next_due = WR_NEVER;
    apr_status_t rv = wr__channel_create(ends);
    pid_t pid = rv == APR_SUCCESS ? fork() : -1;
    if (pid == 0) {
        close(ends[0]);
        run_generation(m, ends[1], self);
    }
    if (pid < 0) {
        say(m, "could not fork a generation");
        if (rv == APR_SUCCESS) {
            close(ends[0]);
            close(ends[1]);
        }
        if (m->generations == NULL) {
            m->next_due = now_ns() + FIRST_DELAY;
        }
        return;
    }
    close(ends[1]);

    apr_pool_t *pool;
    apr_pool_create(&pool, m->pool);
    generation *g = apr_pcalloc(pool, sizeof(*g));
    g->pool = pool;
    g->pid = pid;
    g->number = m->last_number;
    g->channel = ends[0];
    g->error_fd = -1;
    g->listeners = apr_array_make(pool, 4, sizeof(wr__bound));
    g->started = now_ns();
    g->kill_at = WR_NEVER;
    g->next = m->generations;
    m->generations = g;
}

static void start_next(master *m, int signal_for_old)
{
    m->next_signal = signal_for_old;
    if (find_phase(m, STARTING) != NULL) {
        m->wants_next = true;
    }
    else {
        start_generation(m);
    }
}

static void start_wanted(master *m)
{
    if (m->wants_next && !m->is_leaving) {
        m->wants_next = false;
        start_generation(m);
    }
}

/* Ending one. */

static void stop_generation(generation *g)
{
    g->phase = LEAVING;
    if (g->kill_at == WR_NEVER) {
        g->kill_at = now_ns() + STOP_LIMIT;
    }
    kill(g->pid, SIGTERM);
}

static void drain_generation(generation *g)
{
    g->phase = LEAVING;
    kill(g->pid, SIGUSR1);
}

static void close_bound(const apr_array_header_t *listeners)
{
    for (int i = 0; i < listeners->nelts; i++) {
        if (APR_ARRAY_IDX(listeners, i, wr__bound).fd >= 0) {
            close(APR_ARRAY_IDX(listeners, i, wr__bound).fd);
        }
    }
}

/* Draining children still hold these, so closing ours would leave clients
 * waiting in a queue from which nobody accepts: they shall be refused. */
static void shut_bound(const apr_array_header_t *listeners)
{
    for (int i = 0; i < listeners->nelts; i++) {
        if (APR_ARRAY_IDX(listeners, i, wr__bound).fd >= 0) {
            shutdown(APR_ARRAY_IDX(listeners, i, wr__bound).fd, SHUT_RD);
        }
    }
}

/* A generation is ready: it takes over. */

static int take_bound(apr_array_header_t *listeners, const char *name)
{
    for (int i = 0; i < listeners->nelts; i++) {
        wr__bound *bound = &APR_ARRAY_IDX(listeners, i, wr__bound);
        if (bound->fd >= 0 && strcmp(bound->name, name) == 0) {
            int fd = bound->fd;
            bound->fd = -1;
            return fd;
        }
    }
    return -1;
}

/* Where it writes errors to, we do; but a program is the generation's. */
static void follow_error_log(master *m, generation *g, apr_pool_t *pool)
{
    m->borrowed_from = g->error_fd >= 0 ? g->number : 0;
    wr__log_error_borrow(g->error_fd);
    if (g->error_fd < 0) {
        wr__log_error_open(g->error_log, pool);
    }
    g->error_fd = -1;
}

/* It ends, and with it the program, if nobody holds the pipe any more. */
static void return_error_log(master *m, const generation *g)
{
    if (m->borrowed_from == g->number) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "generation %d ends, and with it its log program",
                     g->number);
        wr__log_error_borrow(-1);
        m->borrowed_from = 0;
    }
}

/* Its listeners are the ones to keep; those that it doesn't name are closed. */
static void inherit(master *m, generation *g)
{
    legacy next = {.pid_file = NULL};

    apr_pool_create(&next.pool, m->pool);
    next.listeners =
        apr_array_make(next.pool, g->listeners->nelts, sizeof(wr__bound));
    for (int i = 0; i < g->listeners->nelts; i++) {
        wr__bound bound = APR_ARRAY_IDX(g->listeners, i, wr__bound);
        if (bound.fd < 0) {
            bound.fd = take_bound(m->legacy.listeners, bound.name);
        }
        bound.name = apr_pstrdup(next.pool, bound.name);
        APR_ARRAY_PUSH(next.listeners, wr__bound) = bound;
    }
    g->listeners->nelts = 0;
    if (m->next_signal == SIGUSR1) {
        shut_bound(m->legacy.listeners);
    }
    close_bound(m->legacy.listeners);
    if (m->legacy.pid_file != NULL) {
        next.pid_file = apr_pstrdup(next.pool, m->legacy.pid_file);
    }
    apr_pool_destroy(m->legacy.pool); /* closes the error log, too */
    m->legacy = next;
    follow_error_log(m, g, next.pool);
}

static apr_status_t write_pid_file(master *m, const char *path)
{
    pid_t named;
    const char *old = m->legacy.pid_file;

    if (old != NULL && strcmp(old, path) != 0) {
        wr__pid_file_remove(old, getpid(), m->legacy.pool);
        m->legacy.pid_file = NULL;
    }
    apr_status_t rv = wr__pid_file_read(&named, path, m->legacy.pool);
    if (rv == APR_SUCCESS && named == getpid()) {
        return APR_SUCCESS;
    }
    if (!APR_STATUS_IS_ENOENT(rv)) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "%s was left by a server that no longer runs", path);
    }
    rv = wr__pid_file_write(path, getpid(), m->legacy.pool);
    if (rv == APR_SUCCESS) {
        m->legacy.pid_file = apr_pstrdup(m->legacy.pool, path);
    }
    else {
        char text[128];
        say(m, apr_psprintf(m->legacy.pool, "could not write %s: %s", path,
                            apr_strerror(rv, text, sizeof(text))));
    }
    return rv;
}

static void open_null_as(int first, int last)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = first; fd >= 0 && i <= last; i++) {
        dup2(fd, i);
    }
    if (fd > last) {
        close(fd);
    }
}

static void tell_starter(master *m, const char *error_log)
{
    if (m->starter < 0) {
        return;
    }
    if (strcmp(error_log, "stderr") != 0) {
        open_null_as(STDERR_FILENO, STDERR_FILENO);
    }
    ssize_t written = write(m->starter, "", 1);
    (void)written; /* it may have been killed: then nobody waits */
    close(m->starter);
    m->starter = -1;
}

static void relieve(const master *m, generation *old)
{
    if (m->next_signal == SIGUSR1) {
        drain_generation(old);
    }
    else {
        stop_generation(old);
    }
}

static void become_serving(master *m, generation *g)
{
    generation *old = find_phase(m, SERVING);
    if (old != NULL) {
        relieve(m, old);
    }
    inherit(m, g);
    apr_status_t rv = write_pid_file(m, g->pid_file);
    if (rv != APR_SUCCESS && !m->has_served) {
        m->exit_status = EXIT_FAILURE;
        m->is_leaving = true;
        stop_generation(g);
        return;
    }
    g->phase = SERVING;
    m->has_served = true;
    wr__log_error_level(WR_LOG_NOTICE); /* -e is for the start */
    tell_starter(m, g->error_log);
    start_wanted(m);
}

static void take_note(master *m, generation *g, const wr__note *note)
{
    switch (note->kind) {
    case WR__NOTE_LISTENER:
        APR_ARRAY_PUSH(g->listeners, wr__bound) = (wr__bound){
            .name = apr_pstrdup(g->pool, note->text), .fd = note->fd};
        break;
    case WR__NOTE_PID_FILE:
        g->pid_file = apr_pstrdup(g->pool, note->text);
        break;
    case WR__NOTE_ERROR_LOG:
        if (note->text[0] == '\0') {
            return_error_log(m, g);
            break;
        }
        g->error_log = apr_pstrdup(g->pool, note->text);
        g->error_fd = note->fd;
        break;
    case WR__NOTE_TEXT:
        say(m, note->text);
        break;
    case WR__NOTE_READY:
        if (g->phase == STARTING) {
            become_serving(m, g);
        }
        break;
    }
}

static void read_channel(master *m, generation *g)
{
    wr__note note;
    apr_status_t rv = APR_SUCCESS;
    while (g->channel >= 0 && rv == APR_SUCCESS) {
        rv = wr__channel_receive(g->channel, &note);
        if (rv == APR_SUCCESS) {
            take_note(m, g, &note);
        }
        else if (rv != APR_EAGAIN) {
            close(g->channel);
            g->channel = -1;
        }
    }
}

/* A generation has ended. */

static void start_another(master *m, const generation *dead)
{
    int64_t now = now_ns();
    if (now - dead->started >= SHORT_LIFE && dead->phase == SERVING) {
        m->delay = 0;
    }
    else if (m->delay == 0) {
        m->delay = FIRST_DELAY;
    }
    else if (m->delay < LONGEST_DELAY) {
        m->delay *= 2;
    }
    m->next_due = now + m->delay;
}

static void log_end(const generation *g, int status)
{
    if (WIFSIGNALED(status)) {
        wr_log_error(NULL, WR_LOG_ERROR, 0,
                     "generation %d died: %s (signal %d)", g->number,
                     strsignal(WTERMSIG(status)), WTERMSIG(status));
    }
    else {
        wr_log_error(NULL, WR_LOG_NOTICE, 0, "generation %d has ended",
                     g->number);
    }
}

static void after_failed_start(master *m, const generation *g)
{
    const generation *old = find_phase(m, SERVING);
    if (!m->has_served) {
        m->exit_status = EXIT_FAILURE;
        m->is_leaving = true;
    }
    else if (old != NULL) {
        wr_log_error(NULL, WR_LOG_ERROR, 0,
                     "generation %d could not start: generation %d serves on",
                     g->number, old->number);
        start_wanted(m);
    }
    else {
        wr_log_error(NULL, WR_LOG_ALERT, 0,
                     "generation %d could not start, and none serves",
                     g->number);
        start_another(m, g);
    }
}

static void after_end(master *m, generation *g, int status)
{
    read_channel(m, g); /* its last words */
    if (m->has_served) {
        log_end(g, status);
    }
    else if (WIFSIGNALED(status)) {
        fprintf(stderr, "died at the start: %s\n", strsignal(WTERMSIG(status)));
    }
    if (m->is_leaving) {
        return;
    }
    if (g->phase == STARTING) {
        after_failed_start(m, g);
    }
    else if (g->phase == SERVING && find_phase(m, STARTING) == NULL) {
        start_another(m, g);
    }
}

static void forget_generation(generation *g)
{
    if (g->channel >= 0) {
        close(g->channel);
    }
    if (g->error_fd >= 0) {
        close(g->error_fd);
    }
    close_bound(g->listeners);
    apr_pool_destroy(g->pool);
}

static void end_generation(master *m, generation *g, int status)
{
    generation **link = &m->generations;

    after_end(m, g, status); /* may put a new one in front */
    while (*link != g) {
        link = &(*link)->next;
    }
    *link = g->next;
    forget_generation(g);
}

/* Generations, and children whose generation has died before them. */
static void reap(master *m)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        generation *g = m->generations;
        wr__board_reap(pid);
        while (g != NULL && g->pid != pid) {
            g = g->next;
        }
        if (g != NULL) {
            end_generation(m, g, status);
        }
    }
}

/* Signals. */

static void leave(master *m, bool at_once)
{
    m->is_leaving = true;
    m->wants_next = false;
    m->next_due = WR_NEVER;
    for (generation *g = m->generations; g != NULL; g = g->next) {
        if (at_once || g->phase == STARTING) {
            stop_generation(g);
        }
        else if (g->phase == SERVING) {
            drain_generation(g);
        }
    }
    if (!at_once) {
        shut_bound(m->legacy.listeners);
    }
    close_bound(m->legacy.listeners);
    m->legacy.listeners->nelts = 0;
}

/* HUP restarts a server without a terminal, but ends one whose terminal is
 * closed: nobody could end it any more. */
static bool lost_terminal(const master *m)
{
    return m->had_terminal && !isatty(STDIN_FILENO);
}

static void act_on_signal(master *m, int number)
{
    bool is_restart =
        number == SIGUSR1 || (number == SIGHUP && !lost_terminal(m));
    if (number == SIGCHLD) {
        reap(m);
        return;
    }
    if (m->has_served) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0, "SIG%s: %s", sigabbrev_np(number),
                     number == SIGUSR1    ? "graceful restart"
                     : number == SIGWINCH ? "graceful stop"
                     : is_restart         ? "restart"
                                          : "stop");
    }
    if (!is_restart) {
        leave(m, number != SIGWINCH);
    }
    else if (!m->is_leaving) {
        start_next(m, number == SIGUSR1 ? SIGUSR1 : SIGTERM);
    }
}

static void read_signals(master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        act_on_signal(m, (int)info.ssi_signo);
    }
}

static apr_status_t open_signals(master *m)
{
    static const int numbers[] = {SIGTERM, SIGINT,   SIGHUP,
                                  SIGUSR1, SIGWINCH, SIGCHLD};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        signal(numbers[i], SIG_DFL); /* the starter may have ignored it */
        sigaddset(&set, numbers[i]);
    }
    if (m->had_terminal) {
        sigdelset(&set, SIGWINCH); /* only says that a window has a new size */
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &set, NULL);
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signal_fd < 0 ? errno : APR_SUCCESS;
}

/* The loop. */

static void keep_deadlines(master *m)
{
    int64_t now = now_ns();
    if (now >= m->next_due) {
        start_next(m, SIGTERM);
    }
    for (generation *g = m->generations; g != NULL; g = g->next) {
        if (now >= g->kill_at) {
            g->kill_at = WR_NEVER;
            kill(g->pid, SIGKILL);
        }
    }
}

static int milliseconds_to_next(const master *m)
{
    int64_t next = m->next_due;
    for (const generation *g = m->generations; g != NULL; g = g->next) {
        if (g->kill_at < next) {
            next = g->kill_at;
        }
    }
    if (next == WR_NEVER) {
        return -1;
    }
    int64_t left = next - now_ns();
    return left > 0 ? (int)((left + WR_MS - 1) / WR_MS) : 0;
}

static void wait_and_read(master *m, apr_pool_t *turn_pool)
{
    apr_array_header_t *fds =
        apr_array_make(turn_pool, 4, sizeof(struct pollfd));
    APR_ARRAY_PUSH(fds, struct pollfd) =
        (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    for (const generation *g = m->generations; g != NULL; g = g->next) {
        APR_ARRAY_PUSH(fds, struct pollfd) = (struct pollfd){
            .fd = g->channel, .events = POLLIN}; /* poll() passes over -1 */
    }
    poll((struct pollfd *)fds->elts, (nfds_t)fds->nelts,
         milliseconds_to_next(m));
    for (generation *g = m->generations; g != NULL; g = g->next) {
        read_channel(m, g);
    }
    read_signals(m);
}

static void keep_generations(master *m)
{
    apr_pool_t *turn_pool;
    apr_pool_create(&turn_pool, m->pool);
    while (m->generations != NULL || !m->is_leaving) {
        apr_pool_clear(turn_pool);
        wait_and_read(m, turn_pool);
        keep_deadlines(m);
    }
}

/* The starting process waits for a byte that says "it serves". */
static int wait_for_start(pid_t pid, int pipe_fd)
{
    char byte;
    ssize_t len;
    int status;

    do {
        len = read(pipe_fd, &byte, 1);
    } while (len < 0 && errno == EINTR);
    if (len == 1) {
        return EXIT_SUCCESS;
    }
    if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)) {
        fprintf(stderr, "weir: died at the start: %s\n",
                strsignal(WTERMSIG(status)));
    }
    return EXIT_FAILURE;
}

/* @return in the starting process false, when all is over there. */
static bool detach(master *m)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("weir: pipe");
        m->exit_status = EXIT_FAILURE;
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("weir: fork");
        m->exit_status = EXIT_FAILURE;
        return false;
    }
    if (pid > 0) {
        close(ends[1]);
        m->exit_status = wait_for_start(pid, ends[0]);
        return false;
    }
    close(ends[0]);
    m->starter = ends[1];
    setsid();
    open_null_as(STDIN_FILENO, STDOUT_FILENO);
    if (chdir("/") != 0) {
        perror("weir: /"); /* only keeps a file system from being unmounted */
    }
    return true;
}

int wr__master_main(const wr__master_options *options, apr_pool_t *pool)
{
    master m = {.options = options,
                .pool = pool,
                .next_due = WR_NEVER,
                .next_signal = SIGUSR1,
                .starter = -1};

    umask(S_IWGRP | S_IWOTH);
    if (!options->stays_in_foreground && !detach(&m)) {
        return m.exit_status;
    }
    m.had_terminal = options->stays_in_foreground && isatty(STDIN_FILENO);
    wr__title_set("weir: master");
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* see reap() */
    apr_pool_create(&m.legacy.pool, pool);
    m.legacy.listeners = apr_array_make(m.legacy.pool, 1, sizeof(wr__bound));
    apr_status_t rv = open_signals(&m);
    if (rv != APR_SUCCESS) {
        say(&m, "could not open a descriptor for signals");
        return EXIT_FAILURE;
    }
    if (wr__board_create() != APR_SUCCESS) {
        say(&m, "could not map the scoreboard");
        return EXIT_FAILURE;
    }
    start_generation(&m);
    if (m.generations == NULL) {
        return EXIT_FAILURE;
    }
    keep_generations(&m);
    if (m.legacy.pid_file != NULL) {
        wr__pid_file_remove(m.legacy.pid_file, getpid(), pool);
    }
    if (m.has_served) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0, "weir %s has stopped", WR_VERSION);
    }
    return m.exit_status;
}
