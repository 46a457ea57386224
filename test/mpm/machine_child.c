/*
 * machine_child.c - the process around the scripted machine: threads, clock,
 * the child's state, directives, and what is left when serve() returns.
 *
 * close() and accept4() of the MPM come through here (the linker's --wrap): the
 * one to see descriptors closed that are not the MPM's or not open, the other
 * to let an accept fail.
 */
#include "machine.h"

#include "wr_board.h"
#include "wr_log.h"

#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FD_MAX 65536

struct wr_thread_core {
    int thread; /**< whose it is */
    wr_row row;
};

wr_child *the_child;
const char *machine_directives[MACHINE_DIRECTIVES];
int machine_directive_count;
static _Atomic int threads_started, threads_ended;
static _Atomic bool is_guarded_fd[FD_MAX];

int __real_close(int fd);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_close(int fd);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);

_Noreturn void machine_die(void)
{
    _exit(3);
}

int machine_thread(void)
{
    static _Thread_local int number;

    if (!number) {
        number = gettid();
    }
    return number;
}

void machine_cue(void)
{
    PROMISE(write(the_board->cue_fd, "!", 1) == 1, "cue: %s", strerror(errno));
}

/* Descriptors. */

void machine_guard_fd(int fd, bool is_guarded)
{
    if (fd < FD_MAX) {
        is_guarded_fd[fd] = is_guarded;
    }
}

int machine_close_fd(int fd)
{
    return __real_close(fd);
}

int __wrap_close(int fd)
{
    int rv;

    PROMISE(fd < 0 || fd >= FD_MAX || !is_guarded_fd[fd],
            "close(%d): a connection's descriptor, closed by the MPM", fd);
    rv = __real_close(fd);
    PROMISE(rv == 0 || errno != EBADF, "close(%d): not open", fd);
    return rv;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int rv;

    if (atomic_load(&the_board->accept_failures) > 0
        && atomic_fetch_sub(&the_board->accept_failures, 1) > 0) {
        atomic_fetch_add(&the_board->failed_accepts, 1);
        errno = EMFILE;
        return -1;
    }
    rv = __real_accept4(fd, address, len, flags);
    if (rv < 0 && errno == EMFILE) {
        atomic_fetch_add(&the_board->failed_accepts, 1);
    }
    return rv;
}

static void limit_descriptors(rlim_t count)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void starve_descriptors(int spare)
{
    int lowest = dup(the_board->stop_fd);

    if (lowest >= 0) {
        __real_close(lowest);
        limit_descriptors((rlim_t)(lowest + spare));
    }
}

/** Call @a look for each number that is a name in a folder of /proc. */
static void list_proc(const char *path, void (*look)(int number, void *arg),
                      void *arg)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (!dir) {
        board_fail("%s: %s", path, strerror(errno));
        machine_die();
    }
    while ((entry = readdir(dir))) {
        int number = atoi(entry->d_name);

        if (entry->d_name[0] != '.' && number != dirfd(dir)) {
            look(number, arg);
        }
    }
    closedir(dir);
}

static void note_fd(int fd, void *arg)
{
    bool *is_open = arg;

    if (fd < FD_MAX) {
        is_open[fd] = true;
    }
}

static void check_fd(int fd, void *arg)
{
    const bool *was_open = arg;
    char path[64], target[128];
    ssize_t len;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    len = readlink(path, target, sizeof(target));
    PROMISE(fd >= FD_MAX || was_open[fd], "descriptor %d is left open: %.*s",
            fd, len < 0 ? 0 : (int)len, target);
}

/** Count threads; not the kernel's own that serve a ring. */
static void count_task(int number, void *arg)
{
    char path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", number);
    file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof(name), file) && strncmp(name, "iou-", 4)) {
            ++*(int *)arg;
        }
        fclose(file);
    }
}

static int count_tasks(void)
{
    int count = 0;

    list_proc("/proc/self/task", count_task, &count);
    return count;
}

/** A joined thread may be seen for a moment yet. */
static void check_tasks(int before)
{
    int left = 0;

#ifdef MACHINE_TSAN
    before++; /* its own */
#endif
    for (int i = 0; i < 500; i++) {
        left = count_tasks() - before;
        if (left <= 0) {
            return;
        }
        usleep(2000);
    }
    PROMISE(false, "%d threads are left", left);
}

static void close_one(int fd, void *arg)
{
    const int *but = arg;

    for (int i = 0; i < BOARD_GATES; i++) {
        if (fd == the_board->gates[i]) {
            return;
        }
    }
    if (fd > STDERR_FILENO && fd != *but) {
        __real_close(fd);
    }
}

void machine_close_all_but(int fd)
{
    list_proc("/proc/self/fd", close_one, &fd);
}

/* Threads. */

wr_thread *wr_thread_init(wr_child *child, const char *role)
{
    wr_thread *self = calloc(1, sizeof(*self));

    PROMISE(child == the_child, "wr_thread_init: no child");
    if (!self) {
        abort();
    }
    self->child = child;
    /* A row is aligned to the processor's cache. */
    self->core =
        aligned_alloc(_Alignof(struct wr_thread_core), sizeof(*self->core));
    if (!self->core) {
        abort();
    }
    memset(self->core, 0, sizeof(*self->core));
    self->row = &self->core->row;
    self->core->thread = machine_thread();
    snprintf(self->role, sizeof(self->role), "%s", role);
    threads_started++;
    wr_thread_tick(self);
    return self;
}

void wr_thread_finish(wr_thread *self)
{
    PROMISE(self->core->thread == machine_thread(),
            "wr_thread_finish: another thread's");
    threads_ended++;
    free(self->core);
    free(self);
}

void wr_thread_tick(wr_thread *self)
{
    struct timespec ts;

    PROMISE(self->core->thread == machine_thread(),
            "wr_thread_tick: another thread's");
    clock_gettime(CLOCK_MONOTONIC, &ts);
    self->now_ns = ts.tv_sec * WR_SEC + ts.tv_nsec;
    clock_gettime(CLOCK_REALTIME, &ts);
    self->wall_us = ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

/* The child. */

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

wr_child_phase wr_child_state(const wr_child *child)
{
    if (is_readable(child->stop_fd)) {
        return WR_CHILD_STOPPING;
    }
    return is_readable(child->drain_fd) ? WR_CHILD_DRAINING : WR_CHILD_RUNNING;
}

void wr_child_fail(wr_child *child, const char *what, int error)
{
    (void)child;
    board_fail("wr_child_fail: %s: %s", what, strerror(error));
    machine_die();
}

void wr_log_error(const wr_server *server, wr_log_level level,
                  apr_status_t status, const char *format, ...)
{
    va_list args;

    (void)server;
    if (getenv("CONTRACT_VERBOSE")) {
        va_start(args, format);
        fprintf(stderr, "# log %d %d: ", (int)level, status);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
}

/* Directives: what MPMs' tables refer to. */

const char *wr_parse_int(apr_pool_t *pool, const char *text, int64_t min,
                         int64_t max, int64_t *value)
{
    (void)pool;
    *value = apr_atoi64(text);
    return *value < min || *value > max ? "out of bounds" : NULL;
}

const char *wr_set_int(wr_command_call *call, void *config, int argc,
                       const char *const *argv)
{
    const wr_command *command = call->command;
    apr_int64_t value = apr_atoi64(argv[0]);

    (void)argc;
    if (value < command->min || value > command->max) {
        return "out of bounds";
    }
    *(int *)((char *)config + command->offset) = (int)value;
    return NULL;
}

const char *wr_set_flag(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    (void)argc;
    *(int *)((char *)config + call->command->offset) =
        strcasecmp(argv[0], "on") == 0;
    return NULL;
}

const char *wr_set_choice(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    const char *word = strstr(call->command->args, argv[0]);
    int place = 0;

    (void)argc;
    if (!word) {
        return "none of the words";
    }
    while (word > call->command->args) {
        place += *--word == '|';
    }
    *(int *)((char *)config + call->command->offset) = place;
    return NULL;
}

const char *wr_set_string(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    (void)argc;
    *(const char **)((char *)config + call->command->offset) = argv[0];
    return NULL;
}

const char *wr_set_size(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    (void)argc;
    *(int64_t *)((char *)config + call->command->offset) = apr_atoi64(argv[0]);
    return NULL;
}

static void set(const wr_mpm *mpm, void *config, apr_pool_t *pool,
                const char *name, char *value)
{
    wr_command_call call = {.context = WR_IN_MPM, .pool = pool};
    const char *argv[3] = {value, NULL, NULL};
    const char *error = "there is no such directive";
    char *second = strchr(value, ' ');

    if (second) {
        *second = '\0';
        argv[1] = second + 1;
    }
    for (const wr_command *c = mpm->commands; c && c->name; c++) {
        if (!strcmp(c->name, name)) {
            call.command = c;
            error = c->run(&call, config, second ? 2 : 1, argv);
        }
    }
    PROMISE(!error, "%s %s: %s", name, value, error);
}

/** The directives of a variant, of contract's -c, and as many threads as the
 * board says. */
static void *create_config(const wr_mpm *mpm, apr_pool_t *pool)
{
    void *config = mpm->config_create ? mpm->config_create(pool) : NULL;
    const char *error = NULL;

    for (const wr_command *c = mpm->commands; c && c->name; c++) {
        if (the_board->threads
            && (!strcmp(c->name, "ThreadsPerChild")
                || !strcmp(c->name, "StartServers")
                || !strcmp(c->name, "MaxRequestWorkers"))) {
            set(mpm, config, pool, c->name, apr_itoa(pool, the_board->threads));
        }
    }
    for (const char *const *d = contract_directives; *d; d += 2) {
        set(mpm, config, pool, d[0], apr_pstrdup(pool, d[1]));
    }
    for (int i = 0; i < machine_directive_count; i++) {
        char *name = apr_pstrdup(pool, machine_directives[i]);
        char *value = strchr(name, ' ');

        PROMISE(value, "%s: no value", name);
        *value++ = '\0';
        set(mpm, config, pool, name, value);
    }
    if (mpm->config_check) {
        error = mpm->config_check(config, pool);
        PROMISE(!error, "config_check: %s", error);
    }
    return config;
}

/* Serving. */

static wr_child *create_child(const wr_mpm *mpm, apr_pool_t *pool)
{
    static wr_listener space[BOARD_LISTENERS];
    static wr_listener *listeners[BOARD_LISTENERS];
    wr_child *child = calloc(1, sizeof(*child));

    if (!child) {
        abort();
    }
    for (int i = 0; i < BOARD_LISTENERS; i++) {
        listeners[i] = &space[i];
        space[i].fd = the_board->listen_fds[i];
        space[i].name = "the test's";
        space[i].port = the_board->ports[i];
        space[i].addr.v4.sin_family = AF_INET;
    }
    child->mpm = mpm;
    child->pool = pool;
    child->listeners = listeners;
    child->listener_count = BOARD_LISTENERS;
    child->drain_fd = the_board->drain_fd;
    child->stop_fd = the_board->stop_fd;
    child->quantum = BOARD_QUANTUM;
    child->accept_limit = 8;
    child->max_connections =
        the_board->max_connections ? the_board->max_connections : BOARD_CONNS;
    return child;
}

/** Nothing may be left when the last process's MPM says that it is done. */
static void check_board(void)
{
    PROMISE(the_board->created == the_board->freed,
            "serve() returned with %d connections open",
            the_board->created - the_board->freed);
    PROMISE(the_board->records_made == the_board->records_logged,
            "%d of %d records were logged", the_board->records_logged,
            the_board->records_made);
}

/** Nor in the process. */
static void check_remains(const wr_child *child)
{
    PROMISE(child->connections == 0,
            "serve() returned with %d connections open", child->connections);
    PROMISE(threads_started == threads_ended,
            "wr_thread_init %d times, wr_thread_finish %d times",
            threads_started, threads_ended);
}

/* Processes: what the core's generation does, and wr_child_fork(). */

static bool has_siblings; /* others serve on when this process ends */
static bool is_forked;    /* by the MPM, for a connection */

pid_t wr_child_fork(wr_child *child, wr_thread *self, const char *role)
{
    pid_t pid;

    PROMISE(child->mpm->traits & WR_MPM_PROCESS, "wr_child_fork: no trait");
    if (atomic_load(&the_board->fork_failures) > 0) {
        atomic_fetch_sub(&the_board->fork_failures, 1);
        errno = EAGAIN;
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        has_siblings = is_forked = true;
        snprintf(self->role, sizeof(self->role), "%s", role);
        for (int i = 0; i < child->listener_count; i++) {
            __real_close(child->listeners[i]->fd);
        }
    }
    return pid;
}

void wr_child_reaped(pid_t pid, int status)
{
    PROMISE(status == 0, "forked process %d ended with status %d", (int)pid,
            status);
}

/** Those that the core would keep: @a count of them.  Returns in each; ends in
 *  the one that made them when all have ended. */
static void fork_servers(int count)
{
    pid_t pid = 1;
    int status;

    for (int i = 0; i < count && pid != 0; i++) {
        pid = fork();
        PROMISE(pid >= 0, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        has_siblings = true;
        return;
    }
    while (wait(&status) > 0) {
        PROMISE(status == 0, "a process ended with status %d", status);
    }
    check_board();
    exit(0);
}

static int count_servers(const wr_mpm *mpm, const void *config)
{
    wr_mpm_scale scale = {.start = 1};

    if (mpm->traits & WR_MPM_PROCESS) {
        mpm->scale(config, &scale);
    }
    return scale.start;
}

_Noreturn void machine_serve(const wr_mpm *mpm)
{
    static bool fds[FD_MAX];
    int tasks;
    apr_pool_t *pool;
    struct rlimit limit;
    apr_status_t rv;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* drain_fd and stop_fd say it to all */
    signal(SIGTERM, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    list_proc("/proc/self/fd", note_fd, fds);
    tasks = count_tasks();
    apr_pool_create(&pool, NULL);
    the_child = create_child(mpm, pool);
    the_child->mpm_config = create_config(mpm, pool);
    pattern_bytes(); /* made before there are threads */
    if (count_servers(mpm, the_child->mpm_config) > 1) {
        fork_servers(count_servers(mpm, the_child->mpm_config));
    }

    rv = mpm->init(the_child);
    PROMISE(rv == APR_SUCCESS, "init: status %d", rv);
    if (the_board->spare_descriptors) {
        starve_descriptors(the_board->spare_descriptors);
    }
    rv = mpm->serve(the_child);
    PROMISE(rv == APR_SUCCESS, "serve: status %d", rv);
    PROMISE(is_forked || wr_child_state(the_child) != WR_CHILD_RUNNING,
            "serve() returned, but nobody asked it to");

    check_remains(the_child);
    if (!has_siblings) {
        check_board();
    }
    check_tasks(tasks);
    apr_pool_destroy(pool);
    limit_descriptors(limit.rlim_cur);
    list_proc("/proc/self/fd", check_fd, fds);
    free(the_child);
    exit(0);
}
