/*
 * generation_main.c - the process that reads a configuration and keeps the
 * children that serve it.
 *
 * The generation's one thread.  It keeps children (generation_children.c),
 * tells the master what it must know, writes out the log rings, and keeps the
 * programs running that logs go to.  It accepts nothing and serves nobody.
 */
#include "generation_main.h"

#include "board.h"
#include "channel.h"
#include "generation_children.h"
#include "generation_spawner.h"
#include "listen.h"
#include "log_program.h"
#include "log_ring.h"
#include "title.h"

#include "wr_log.h"
#include "wr_mpm.h"
#include "wr_version.h"

#include <apr_strings.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Children that have not ended so long after SIGTERM are killed. */
#define STOP_LIMIT     (5 * WR_SEC)
#define FLUSH_INTERVAL WR_SEC
/* For programs to take the last lines; and how often they are offered. */
#define FINISH_LIMIT (3 * WR_SEC)
#define FINISH_TURN  (10 * WR_MS)
/* Between tries to have a spawner. */
#define SPAWNER_PAUSE WR_SEC

typedef enum generation_phase {
    STARTING,
    SERVING,
    DRAINING,
    STOPPING,
    FINISHING /* no child is left: the last lines go to programs */
} phase;

typedef struct generation {
    const wr__generation_options *options;
    wr__setup setup;
    apr_pool_t *pool;
    wr__children *children;
    phase phase;
    int signal_fd;
    int64_t next_flush;
    int64_t spawner_due; /* not started anew before */
    int64_t deadline;    /* of DRAINING: stop; STOPPING: kill; FINISHING: end */
    int exit_status;
} generation;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

static void tell(const generation *g, wr__note_kind kind, const char *text,
                 int fd)
{
    /* A master that is gone is no error: its end is ours. */
    wr__channel_send(g->options->channel, kind, text, fd);
}

/* Reading the configuration. */

/* Each line a note: so the master needs no more memory than for one. */
static void tell_text(const generation *g, char *text)
{
    char *state;
    for (char *line = apr_strtok(text, "\n", &state); line != NULL;
         line = apr_strtok(NULL, "\n", &state)) {
        tell(g, WR__NOTE_TEXT, line, -1);
    }
}

static apr_status_t set_up(generation *g)
{
    wr__config_options config = *g->options->setup.config;
    wr__setup_options setup = g->options->setup;
    char *text = NULL;
    size_t size = 0;

    config.errors = open_memstream(&text, &size);
    if (config.errors == NULL) {
        return errno;
    }
    setup.config = &config;
    apr_status_t rv = wr__setup_run(&g->setup, &setup, g->pool);
    fclose(config.errors);
    tell_text(g, text);
    free(text);
    return rv;
}

static void close_unused_listeners(const generation *g)
{
    const apr_array_header_t *inherited = g->options->setup.inherited;

    assert(g->setup.listeners);
    for (int i = 0; i < inherited->nelts; i++) {
        int fd = APR_ARRAY_IDX(inherited, i, wr__bound).fd;
        bool is_used = false;
        for (int k = 0; k < g->setup.listeners->nelts; k++) {
            is_used |=
                APR_ARRAY_IDX(g->setup.listeners, k, wr_listener *)->fd == fd;
        }
        if (!is_used) {
            close(fd);
        }
    }
}

/* Signals come by a descriptor. */
static apr_status_t open_events(generation *g)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return g->signal_fd < 0 ? errno : APR_SUCCESS;
}

/* Children. */

static void stop(generation *g)
{
    if (g->phase != STOPPING && g->phase != FINISHING) {
        g->phase = STOPPING;
        g->deadline = now_ns() + STOP_LIMIT;
        wr__children_end(g->children, SIGTERM);
    }
}

static void drain(generation *g)
{
    int64_t limit = g->setup.config->drain_timeout_ns;
    if (g->phase == STARTING) {
        stop(g); /* it has nothing to drain */
    }
    else if (g->phase == SERVING) {
        g->phase = DRAINING;
        g->deadline = limit > 0 ? now_ns() + limit : WR_NEVER;
        wr__children_end(g->children, SIGUSR1);
    }
}

static void give_up(generation *g, const char *why)
{
    tell(g, WR__NOTE_TEXT, why, -1);
    g->exit_status = EXIT_FAILURE;
    stop(g);
}

static apr_status_t make_places(generation *g)
{
    wr__child_options options = {
        .config = g->setup.config,
        .listeners = g->setup.listeners,
        .own_fds = {g->signal_fd, g->options->channel},
    };
    return wr__children_create(&g->children, &options, g->pool);
}

static void reap_children(generation *g)
{
    if (wr__children_reap(g->children) > 0 && g->phase == STARTING) {
        give_up(g, apr_pstrcat(g->pool, "a child could not start: see ",
                               g->setup.config->error_log, NULL));
    }
}

/* The loop. */

static void read_signals(generation *g)
{
    struct signalfd_siginfo info;
    while (read(g->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            stop(g);
        }
        else if (info.ssi_signo == SIGUSR1) {
            drain(g);
        }
        else {
            reap_children(g);
        }
    }
}

static void log_start(const generation *g)
{
    const char *addresses = "";
    for (int i = 0; i < g->setup.listeners->nelts; i++) {
        addresses = apr_pstrcat(
            g->pool, addresses, i > 0 ? ", " : "",
            APR_ARRAY_IDX(g->setup.listeners, i, wr_listener *)->name, NULL);
    }
    wr_log_error(NULL, WR_LOG_NOTICE, 0,
                 "weir %s, generation %d, MPM %s: serving on %s", WR_VERSION,
                 g->options->number, g->setup.config->mpm->name, addresses);
}

static bool logs_to_program(const generation *g)
{
    return wr__log_kind_of_target(g->setup.config->error_log)
           == WR__LOG_PROGRAM;
}

static void tell_ready(generation *g)
{
    const wr__config *config = g->setup.config;
    for (int i = 0; i < g->setup.listeners->nelts; i++) {
        wr_listener *l = APR_ARRAY_IDX(g->setup.listeners, i, wr_listener *);
        bool is_old = wr__listen_is_inherited(l, g->options->setup.inherited);
        tell(g, WR__NOTE_LISTENER, l->name, is_old ? -1 : l->fd);
    }
    tell(g, WR__NOTE_PID_FILE, config->pid_file, -1);
    tell(g, WR__NOTE_ERROR_LOG, config->error_log,
         logs_to_program(g) ? wr__log_error_fd() : -1);
    log_start(g);
    tell(g, WR__NOTE_READY, "", -1);
}

static void read_notes(generation *g)
{
    if (wr__children_read(g->children) && g->phase == STARTING) {
        g->phase = SERVING;
        tell_ready(g);
    }
}

static void keep_deadlines(generation *g)
{
    int64_t now = now_ns();
    if (now >= g->next_flush) {
        wr__log_flush();
        g->next_flush = now + FLUSH_INTERVAL;
    }
    if (now < g->deadline) {
        return;
    }
    if (g->phase == DRAINING) {
        wr_log_error(NULL, WR_LOG_WARN, 0,
                     "generation %d: drained long enough, stopping",
                     g->options->number);
        stop(g);
    }
    else if (g->phase == STOPPING) {
        wr_log_error(NULL, WR_LOG_ERROR, 0,
                     "generation %d: children do not stop, killing them",
                     g->options->number);
        g->deadline = WR_NEVER;
        wr__children_end(g->children, SIGKILL);
    }
}

static int milliseconds_to_next(const generation *g)
{
    int64_t next = g->next_flush < g->deadline ? g->next_flush : g->deadline;
    int64_t due = wr__log_programs_due();
    next = due < next ? due : next;
    due = wr__children_due(g->children);
    next = due < next ? due : next;
    int64_t left = next - now_ns();
    return left > 0 ? (int)((left + WR_MS - 1) / WR_MS) : 0;
}

/* Children that wait for helpers need one. */
static void keep_spawner(generation *g)
{
    int64_t now = now_ns();
    if (!wr__spawner_is_missed() || now < g->spawner_due) {
        return;
    }
    apr_status_t rv = wr__spawner_start();
    if (rv != APR_SUCCESS) {
        wr_log_error(NULL, WR_LOG_ERROR, rv,
                     "could not start the spawner again; next try in %d s",
                     (int)(SPAWNER_PAUSE / WR_SEC));
    }
    g->spawner_due = now + SPAWNER_PAUSE;
}

static void wait_and_read(generation *g)
{
    struct pollfd fds[3] = {
        {.fd = g->signal_fd, .events = POLLIN},
        {.fd = wr__children_fd(g->children), .events = POLLIN},
        {.fd = wr__spawner_fd(), .events = POLLIN}}; /* -1 is passed over */
    if (poll(fds, 3, milliseconds_to_next(g)) > 0) {
        read_signals(g);
        read_notes(g);
    }
    wr__log_programs_turn();
    keep_spawner(g);
}

static void keep_children(generation *g)
{
    for (;;) {
        if (g->phase == STARTING || g->phase == SERVING) {
            wr__children_turn(g->children);
        }
        else if (wr__children_count(g->children) == 0) {
            return;
        }
        wait_and_read(g);
        keep_deadlines(g);
    }
}

/* A program may be behind. */
static void write_last_lines(generation *g)
{
    g->phase = FINISHING;
    g->deadline = now_ns() + FINISH_LIMIT;
    wr__log_programs_hurry();
    while (!wr__log_flush()) {
        if (now_ns() >= g->deadline) {
            wr_log_error(NULL, WR_LOG_ERROR, 0,
                         "generation %d: a log program does not read, lines "
                         "are lost",
                         g->options->number);
            return;
        }
        g->next_flush = now_ns() + FINISH_TURN;
        wait_and_read(g);
    }
}

/* Programs end when nobody can write to them any more. */
static void end_programs(const generation *g)
{
    if (g->setup.config != NULL && logs_to_program(g)) {
        tell(g, WR__NOTE_ERROR_LOG, "", -1);
    }
    wr__log_close_programs(g->options->setup.is_detached);
    wr__spawner_finish();
}

static void begin_life(const wr__generation_options *options)
{
    sigset_t none;

    wr__title_set("weir: generation %d", options->number);
    wr__board_set_generation(options->number);
    signal(SIGINT, SIG_IGN); /* a terminal's: the master acts on these */
    signal(SIGHUP, SIG_IGN);
    signal(SIGWINCH, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what children fork */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != options->master) {
        _exit(EXIT_FAILURE); /* the master died before that */
    }
}

static void serve(generation *g)
{
    g->exit_status = EXIT_FAILURE;
    if (set_up(g) != APR_SUCCESS) {
        return;
    }
    close_unused_listeners(g);
    apr_status_t rv = open_events(g);
    if (rv == APR_SUCCESS) {
        rv = make_places(g);
    }
    if (rv != APR_SUCCESS) {
        wr_log_error(NULL, WR_LOG_CRIT, rv, "could not open event descriptors");
        return;
    }
    g->exit_status = EXIT_SUCCESS;
    keep_children(g);
    write_last_lines(g);
}

int wr__generation_main(const wr__generation_options *options, apr_pool_t *pool)
{
    generation g = {.options = options, .pool = pool, .deadline = WR_NEVER};

    begin_life(options);
    wr__log_reopen(); /* it may have been moved away since the master's open */
    serve(&g);
    end_programs(&g);
    return g.exit_status;
}
