/*
 * log_program.c - programs that logs go to, kept running.
 *
 * The generation's one thread (or that of -X, which starts them but has nobody
 * to start them again).  A program reads from a pipe both of whose ends are
 * held here as long as the generation lives, so that the pipe outlives the
 * program: children write to it, whoever reads just then or nobody, and one
 * that was started again goes on with what the one before has not read.  Which
 * lines are written when is log_ring.c's.
 *
 * A program that has ended is started again at once; one that lived less than
 * a second, or could not be started, ever later.
 */
#include "log_program.h"

#include "generation_spawner.h"

#include <apr_strings.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHORT_LIFE    WR_SEC
#define LONGEST_DELAY (32 * WR_SEC)
/* For the spawner to say whether a program was started. */
#define START_LIMIT 10000 /* ms */
/* So that a program may be late by a burst; if the system allows it. */
#define PIPE_SIZE 1048576

typedef struct program {
    struct program *next;
    uint32_t id;
    const char *target;
    wr__command command;
    pid_t pid;            /* 0: it does not run, or we have not heard yet */
    apr_status_t failure; /* of the last start; APR_EBUSY: not yet known */
    bool is_open;         /* ran once: from then on we tell of failures */
    int64_t started;
    int64_t due; /* when it is started; WR_NEVER: it runs, or was asked for */
    int64_t delay;
} program;

static program *programs;
static uint32_t last_id;
static const char *run_in;
static int error_fd = -1;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

void wr__log_programs_settings(const char *directory, int fd)
{
    run_in = directory;
    error_fd = fd;
}

/* Targets. */

bool wr__log_program_is(const char *target)
{
    return target[0] == '|';
}

static const char *parse_words(char ***argv, const char *words,
                               apr_pool_t *pool)
{
    if (apr_tokenize_to_argv(words, argv, pool) != APR_SUCCESS) {
        return "is no command line";
    }
    return (*argv)[0] != NULL && (*argv)[0][0] != '\0' ? NULL
                                                       : "names no program";
}

const char *wr__log_program_parse(char ***argv, const char *target,
                                  apr_pool_t *pool)
{
    const char *words = target + 1;

    if (*words == '$') {
        words++;
        if (words[strspn(words, " \t")] == '\0') {
            return "names no program";
        }
        *argv = apr_pcalloc(pool, 4 * sizeof(**argv));
        (*argv)[0] = apr_pstrdup(pool, "/bin/sh");
        (*argv)[1] = apr_pstrdup(pool, "-c");
        (*argv)[2] = apr_pstrdup(pool, words);
        return NULL;
    }
    return parse_words(argv, *words == '|' ? words + 1 : words, pool);
}

/* Starting. */

static void wait_longer(program *p)
{
    p->delay = p->delay == 0 ? WR_SEC : p->delay * 2;
    if (p->delay > LONGEST_DELAY) {
        p->delay = LONGEST_DELAY;
    }
    p->due = now_ns() + p->delay;
}

static void fail(program *p, apr_status_t why)
{
    p->failure = why;
    wait_longer(p);
    if (p->is_open) {
        wr_log_error(NULL, WR_LOG_ERROR, why,
                     "could not start log program %s; next try in %d s",
                     p->target, (int)(p->delay / WR_SEC));
    }
}

static void ask_for(program *p)
{
    apr_status_t rv = wr__spawner_ask(p->id, &p->command);
    if (rv != APR_SUCCESS) {
        fail(p, rv);
        return;
    }
    p->failure = APR_EBUSY;
    p->started = now_ns();
    p->due = WR_NEVER;
}

/* How it ended; in words. */
static const char *tell_status(char *text, size_t size, int status)
{
    if (WIFSIGNALED(status)) {
        apr_snprintf(text, size, "died: %s (signal %d)",
                     strsignal(WTERMSIG(status)), WTERMSIG(status));
    }
    else {
        apr_snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
    }
    return text;
}

static void restart_later(program *p)
{
    int64_t now = now_ns();
    p->pid = 0;
    if (now - p->started < SHORT_LIFE) {
        wait_longer(p);
    }
    else {
        p->delay = 0;
        p->due = now;
    }
}

static void note_end(program *p, const wr__spawn_note *note)
{
    char text[128];
    restart_later(p);
    wr_log_error(NULL, WR_LOG_ERROR, 0,
                 "log program %s (pid %ld) %s; it is started again in %d s",
                 p->target, (long)note->pid,
                 tell_status(text, sizeof(text), note->status),
                 (int)(p->delay / WR_SEC));
}

static void take_note(const wr__spawn_note *note)
{
    program *p = programs;
    while (p != NULL && p->id != note->id) {
        p = p->next;
    }
    if (p == NULL) {
        return;
    }
    switch ((wr__spawn_note_kind)note->kind) {
    case WR__SPAWN_STARTED:
        p->pid = note->pid;
        p->failure = APR_SUCCESS;
        break;
    case WR__SPAWN_FAILED:
        fail(p, note->status);
        break;
    case WR__SPAWN_ENDED:
        note_end(p, note);
        break;
    }
}

/* Of programs without a spawner nobody would hear; and two that read from one
 * pipe would tear each other's lines.  What they are just reading is lost. */
static void after_spawners_death(void)
{
    wr_log_error(NULL, WR_LOG_ERROR, 0,
                 "the spawner died: programs are started anew");
    for (program *p = programs; p != NULL; p = p->next) {
        if (p->pid > 0) {
            kill(-p->pid, SIGKILL);
        }
        p->failure = APR_EOF;
        restart_later(p);
    }
}

static void read_notes(void)
{
    wr__spawn_note note;
    apr_status_t rv;
    while ((rv = wr__spawner_read(&note)) == APR_SUCCESS) {
        take_note(&note);
    }
    if (rv == APR_EOF) {
        after_spawners_death();
    }
}

void wr__log_programs_turn(void)
{
    read_notes();
    int64_t now = now_ns();
    for (program *p = programs; p != NULL; p = p->next) {
        if (p->due <= now) {
            ask_for(p);
        }
    }
}

int64_t wr__log_programs_due(void)
{
    int64_t due = WR_NEVER;
    for (const program *p = programs; p != NULL; p = p->next) {
        due = p->due < due ? p->due : due;
    }
    return due;
}

void wr__log_programs_hurry(void)
{
    for (program *p = programs; p != NULL; p = p->next) {
        if (p->due != WR_NEVER) {
            p->due = 0;
        }
    }
    wr__log_programs_turn();
}

/* Opening. */

static apr_status_t wait_for_start(program *p)
{
    ask_for(p);
    while (p->failure == APR_EBUSY) {
        struct pollfd fd = {.fd = wr__spawner_fd(), .events = POLLIN};
        int n = poll(&fd, 1, START_LIMIT);
        if (n == 0) {
            return APR_TIMEUP;
        }
        if (n > 0) {
            read_notes();
        }
    }
    return p->failure;
}

static apr_status_t forget_program(void *data)
{
    program *p = data;
    program **at = &programs;

    while (*at != NULL && *at != p) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = p->next;
        close(p->command.fds[0]);
    }
    return APR_SUCCESS;
}

apr_status_t wr__log_program_open(int *fd, const char *target, apr_pool_t *pool)
{
    program *p = apr_pcalloc(pool, sizeof(*p));
    char **argv;
    int ends[2];

    if (wr__log_program_parse(&argv, target, pool) != NULL) {
        return APR_EINVAL;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
    p->id = ++last_id;
    p->target = apr_pstrdup(pool, target);
    p->command = (wr__command){.argv = (const char *const *)argv,
                               .directory = run_in,
                               .fds = {ends[0], -1, error_fd}};
    p->next = programs;
    programs = p;
    apr_pool_cleanup_register(pool, p, forget_program, apr_pool_cleanup_null);
    apr_status_t rv = wait_for_start(p);
    if (rv != APR_SUCCESS) {
        apr_pool_cleanup_run(pool, p, forget_program);
        close(ends[1]);
        return rv;
    }
    p->is_open = true;
    *fd = ends[1];
    return APR_SUCCESS;
}

/* The end. */

void wr__log_programs_forget(void)
{
    for (program *p = programs; p != NULL; p = p->next) {
        close(p->command.fds[0]);
    }
    programs = NULL;
    wr__spawner_forget();
}
