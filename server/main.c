/*
 * main.c - the command line.
 *
 * In the process that a user starts: it answers a question, sends a signal, or
 * becomes the server.
 */
#include "wr_log.h"
#include "wr_version.h"

#include "board.h"
#include "child_process.h"
#include "config.h"
#include "generation_setup.h"
#include "generation_spawner.h"
#include "listen.h"
#include "log_ring.h"
#include "master_main.h"
#include "pid_file.h"
#include "title.h"

#include <apr_file_info.h>
#include <apr_general.h>
#include <apr_getopt.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <apr_version.h>
#include <apu_version.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIGNAL_DEADLINE apr_time_from_sec(30)

/* What is asked for.  The first group needs no configuration. */
typedef enum action {
    SERVE,
    SERVE_SINGLE,
    HELP,
    VERSION,
    SETTINGS,
    STATIC_MODULES,
    MPMS,
    CHECK,
    SERVERS,
    MODULES,
    DIRECTIVES,
    STOP,
    GRACEFUL_STOP,
    RESTART,
    GRACEFUL
} action;

typedef struct command_line {
    action action;
    wr__config_options config;
    apr_array_header_t *defines, *before, *after;
    apr_pool_t *pool;
    int argc;
    const char *const *argv;
} command_line;

static const char usage[] =
    "Usage: weir [-D name] [-d directory] [-f file] [-m MPM]\n"
    "            [-C \"directive\"] [-c \"directive\"]\n"
    "            [-k start|restart|graceful|graceful-stop|stop]\n"
    "            [-e level] [-E file] [-X]\n"
    "            [-h] [-v] [-V] [-l] [-L] [-M] [-S] [-t]\n"
    "Options:\n"
    "  -D name       define a name for <IfDefine>; FOREGROUND: do not detach\n"
    "  -d directory  another ServerRoot\n"
    "  -f file       another configuration file\n"
    "  -m MPM        serve by this MPM, whatever the file says; ?: list them\n"
    "  -C directive  carry it out before the configuration file\n"
    "  -c directive  carry it out after the configuration file\n"
    "  -k signal     start, or tell a running server\n"
    "  -e level      log messages of the start from this level on\n"
    "  -E file       write errors of the start to this file\n"
    "  -X            serve in this one process, for a debugger\n"
    "  -t            check the configuration\n"
    "  -S            show servers, addresses, roots, user and MPM\n"
    "  -M            list loaded modules\n"
    "  -l            list modules that are compiled in\n"
    "  -L            list directives\n"
    "  -v, -V        show the version; with what it was built\n"
    "  -h            show this\n";

static int out_of_memory(int status)
{
    (void)status;
    fputs("weir: out of memory\n", stderr);
    abort();
}

/* Answers that need no configuration. */

static void show_version(void)
{
    printf("Server version: %s/%s\n", WR_SERVER_PRODUCT, WR_VERSION);
}

static void show_settings(void)
{
    show_version();
    printf("Built with:     APR %s, APR-util %s\n", APR_VERSION_STRING,
           APU_VERSION_STRING);
    printf("Running with:   APR %s, APR-util %s\n", apr_version_string(),
           apu_version_string());
    printf("Architecture:   %u-bit\n", (unsigned)sizeof(void *) * 8);
    printf("Compiled in:\n"
           "  -D WR_SERVER_ROOT=\"%s\"\n"
           "  -D WR_CONFIG_FILE=\"%s\"\n"
           "  -D WR_MODULES_DIR=\"%s\"\n"
           "  -D WR_STATE_DIR=\"%s\"\n"
           "  -D WR_LOG_DIR=\"%s\"\n",
           WR_SERVER_ROOT, WR_CONFIG_FILE, WR_MODULES_DIR, WR_STATE_DIR,
           WR_LOG_DIR);
}

/* Reading the command line. */

static bool set_signal(command_line *line, const char *name)
{
    static const struct {
        const char *name;
        action action;
    } names[] = {{"start", SERVE},
                 {"stop", STOP},
                 {"graceful-stop", GRACEFUL_STOP},
                 {"restart", RESTART},
                 {"graceful", GRACEFUL}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0) {
            line->action = names[i].action;
            return true;
        }
    }
    fprintf(stderr,
            "weir: -k start, restart, graceful, graceful-stop or stop,"
            " not \"%s\"\n",
            name);
    return false;
}

static bool set_level(const char *name)
{
    static const char *const names[] = {"emerg", "alert",  "crit", "error",
                                        "warn",  "notice", "info", "debug"};
    for (int i = 0; i <= WR_LOG_DEBUG; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            wr__log_error_level((wr_log_level)i);
            return true;
        }
    }
    fprintf(stderr, "weir: -e %s: no such level\n", name);
    return false;
}

static bool redirect_errors(const char *path)
{
    if (freopen(path, "a", stderr) == NULL) {
        printf("weir: could not open %s: %s\n", path, strerror(errno));
        return false;
    }
    setvbuf(stderr, NULL, _IONBF, 0);
    return true;
}

static bool set_mpm(command_line *line, const char *name)
{
    if (strcmp(name, "?") == 0) {
        line->action = MPMS;
    }
    else {
        line->config.mpm = name;
    }
    return true;
}

static bool set_option(command_line *line, char letter, const char *value)
{
    switch (letter) {
    case 'C':
        APR_ARRAY_PUSH(line->before, const char *) = value;
        return true;
    case 'c':
        APR_ARRAY_PUSH(line->after, const char *) = value;
        return true;
    case 'D':
        APR_ARRAY_PUSH(line->defines, const char *) = value;
        return true;
    case 'd':
        line->config.server_root = value;
        return true;
    case 'E':
        return redirect_errors(value);
    case 'e':
        return set_level(value);
    case 'f':
        line->config.file = value;
        return true;
    case 'k':
        return set_signal(line, value);
    case 'm':
        return set_mpm(line, value);
    default:
        line->action = letter == 'h'   ? HELP
                       : letter == 'L' ? DIRECTIVES
                       : letter == 'l' ? STATIC_MODULES
                       : letter == 'M' ? MODULES
                       : letter == 'S' ? SERVERS
                       : letter == 't' ? CHECK
                       : letter == 'V' ? SETTINGS
                       : letter == 'v' ? VERSION
                                       : SERVE_SINGLE;
        return true;
    }
}

/* The server leaves the directory in which these were meant. */
static bool make_absolute(const char **path, const char *base, apr_pool_t *pool)
{
    char *merged;
    apr_status_t rv =
        apr_filepath_merge(&merged, base, *path, APR_FILEPATH_TRUENAME, pool);
    if (rv != APR_SUCCESS) {
        fprintf(stderr, "weir: bad path: %s\n", *path);
        return false;
    }
    *path = merged;
    return true;
}

static bool complete_paths(command_line *line)
{
    wr__config_options *config = &line->config;
    const char *root = WR_SERVER_ROOT;

    if (config->server_root != NULL) {
        if (!make_absolute(&config->server_root, NULL, line->pool)) {
            return false;
        }
        root = config->server_root;
    }
    return make_absolute(&config->file, root, line->pool);
}

static bool read_command_line(command_line *line)
{
    apr_getopt_t *options;
    const char *value;
    char letter;
    apr_status_t rv;

    apr_getopt_init(&options, line->pool, line->argc, line->argv);
    for (;;) {
        rv =
            apr_getopt(options, "C:c:D:d:E:e:f:hk:LlMm:StVvX", &letter, &value);
        if (rv != APR_SUCCESS) {
            break;
        }
        if (!set_option(line, letter, value)) {
            return false;
        }
    }
    if (rv != APR_EOF || options->ind < line->argc) {
        fputs(usage, stderr);
        return false;
    }
    return complete_paths(line);
}

/* Serving. */

static bool is_defined(const command_line *line, const char *name)
{
    for (int i = 0; i < line->defines->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(line->defines, i, const char *), name) == 0) {
            return true;
        }
    }
    return false;
}

static int serve(const command_line *line)
{
    wr__master_options options = {
        .config = &line->config,
        .stays_in_foreground = is_defined(line, "FOREGROUND"),
    };
    return wr__master_main(&options, line->pool);
}

static int serve_single(const command_line *line)
{
    wr__setup_options options = {
        .config = &line->config,
        .inherited = apr_array_make(line->pool, 1, sizeof(wr__bound)),
        .is_first = true,
        .is_single = true,
    };
    wr__setup setup;

    /* First the board: the spawner and its helpers inherit it. */
    if (wr__board_create() != APR_SUCCESS
        || wr__setup_run(&setup, &options, line->pool) != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    wr__child_options child = {.config = setup.config,
                               .listeners = setup.listeners,
                               .note_fd = -1,
                               .is_single = true};
    int status = wr__child_process_single(&child);
    wr__log_close_programs(false);
    wr__spawner_finish();
    return status;
}

/* Signalling. */

static bool is_gone_in_time(pid_t pid, apr_pool_t *pool)
{
    apr_time_t deadline = apr_time_now() + SIGNAL_DEADLINE;
    apr_pool_t *turn_pool;

    apr_pool_create(&turn_pool, pool);
    while (wr__pid_runs(pid, turn_pool)) {
        if (apr_time_now() >= deadline) {
            return false;
        }
        apr_sleep(apr_time_from_msec(20));
        apr_pool_clear(turn_pool);
    }
    return true;
}

static int send_signal(pid_t pid, int number)
{
    if (kill(pid, number) != 0) {
        fprintf(stderr, "weir (pid %ld): %s\n", (long)pid, strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int stop_server(pid_t pid, apr_pool_t *pool)
{
    if (send_signal(pid, SIGTERM) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }
    if (!is_gone_in_time(pid, pool)) {
        fprintf(stderr, "weir (pid %ld) does not stop\n", (long)pid);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static void say_not_running(const char *pid_file, apr_pool_t *pool)
{
    pid_t pid;
    if (wr__pid_file_read(&pid, pid_file, pool) == APR_SUCCESS) {
        printf("weir (pid %ld?) not running\n", (long)pid);
    }
    else {
        printf("weir (no pid file) not running\n");
    }
}

/* As a new program: this process has loaded modules, which a master never
 * does. */
static int start_afresh(const command_line *line)
{
    const char **argv =
        apr_pcalloc(line->pool, sizeof(*argv) * (size_t)(line->argc + 3));
    memcpy(argv, line->argv, sizeof(*argv) * (size_t)line->argc);
    argv[line->argc] = "-k"; /* the last one counts */
    argv[line->argc + 1] = "start";
    fflush(stdout);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    perror("weir: exec");
    return EXIT_FAILURE;
}

static int tell_server(const command_line *line, const wr__config *config)
{
    pid_t pid = wr__pid_file_running(config->pid_file, line->pool);
    bool is_stop = line->action == STOP || line->action == GRACEFUL_STOP;

    if (pid == 0 && is_stop) {
        say_not_running(config->pid_file, line->pool);
        return EXIT_SUCCESS;
    }
    if (pid == 0) {
        printf("weir not running, trying to start\n");
        return start_afresh(line);
    }
    if (line->action == STOP) {
        return stop_server(pid, line->pool);
    }
    return send_signal(pid, line->action == RESTART    ? SIGHUP
                            : line->action == GRACEFUL ? SIGUSR1
                                                       : SIGWINCH);
}

static int act(const command_line *line)
{
    wr__config *config = NULL;

    switch (line->action) {
    case SERVE:
        return serve(line);
    case SERVE_SINGLE:
        return serve_single(line);
    case HELP:
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    case VERSION:
        show_version();
        return EXIT_SUCCESS;
    case SETTINGS:
        show_settings();
        return EXIT_SUCCESS;
    case STATIC_MODULES:
        wr__config_list_static(stdout);
        return EXIT_SUCCESS;
    case MPMS:
        wr__config_list_mpms(stdout);
        return EXIT_SUCCESS;
    default:
        break;
    }
    if (wr__config_load(&config, &line->config, line->pool) != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    switch (line->action) {
    case SERVERS:
        wr__config_dump(config, stdout);
        return EXIT_SUCCESS;
    case MODULES:
        wr__config_list_modules(config, stdout);
        return EXIT_SUCCESS;
    case DIRECTIVES:
        wr__config_list_directives(config, stdout);
        return EXIT_SUCCESS;
    case CHECK:
        fputs("Syntax OK\n", stderr);
        return EXIT_SUCCESS;
    default:
        return tell_server(line, config);
    }
}

int main(int argc, char **argv)
{
    command_line line = {.config = {.file = WR_CONFIG_FILE},
                         .argc = argc,
                         .argv = wr__title_init(argc, argv)};

    if (apr_initialize() != APR_SUCCESS) {
        fputs("weir: APR does not work here\n", stderr);
        return EXIT_FAILURE;
    }
    atexit(apr_terminate);
    apr_pool_create(&line.pool, NULL);
    apr_pool_abort_set(out_of_memory, apr_pool_parent_get(line.pool));
    apr_pool_abort_set(out_of_memory, line.pool);
    line.defines = apr_array_make(line.pool, 4, sizeof(const char *));
    line.before = apr_array_make(line.pool, 4, sizeof(const char *));
    line.after = apr_array_make(line.pool, 4, sizeof(const char *));
    line.config.defines = line.defines;
    line.config.before = line.before;
    line.config.after = line.after;
    line.config.errors = stderr;
    if (!read_command_line(&line)) {
        return EXIT_FAILURE;
    }
    return act(&line);
}
