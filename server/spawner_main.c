/*
 * spawner_main.c - the process that starts programs and helpers, and does
 * nothing else.
 *
 * The spawner's one thread.  It was forked by a generation that had no thread,
 * no connection and no child yet, and has closed all descriptors but the first
 * three and its socket; what a program needs besides travels with the request
 * for it.  So no program and no helper ever inherits a listener or a client.
 * It keeps the privileges of the start and gives them to the programs that the
 * generation wants; a helper loses them before it looks at anything.
 *
 * A program is in a process group of its own: a terminal's Ctrl-C is not for
 * it, and it is told to end together with what it has started.  It is expected
 * to end by itself once its input has ended; if it does not it is told to, and
 * then killed.
 */
#include "spawner_main.h"

#include "board.h"
#include "title.h"

#include "wr_base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKET 3 /* descriptor */

#define STRINGS_MAX 4096 /* arguments; and as many of the environment */

/* For programs to end: by themselves, and after SIGTERM. */
#define END_LIMIT  (5 * WR_SEC)
#define TERM_LIMIT WR_SEC

typedef struct command {
    uint32_t id;
    pid_t pid;
} command;

typedef struct spawner {
    command commands[WR__SPAWN_COMMANDS_MAX];
    size_t count;
    int door; /* where children ask for helpers; -1: nowhere */
    wr__spawn_helpers helpers;
    wr__helper_fn *helper;
    int helper_count;
    int signal_fd;
    bool is_ending;
    int64_t deadline; /* when is_ending: the next signal */
    int next_signal;
} spawner;

/* A request that has arrived. */
typedef struct order {
    wr__spawn_request head;
    char *directory;
    char *argv[STRINGS_MAX + 1];
    char *envp[STRINGS_MAX + 1];
    int fds[3]; /* -1: the spawner's own */
} order;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

/* Waits while the socket is full: the generation never waits for us then. */
static void tell(wr__spawn_note note)
{
    while (send(SOCKET, &note, sizeof(note), MSG_NOSIGNAL) < 0
           && errno == EINTR) {
    }
}

/* Starting a program. */

/* The strings from `*at` on; false when there are fewer. */
static bool take_strings(char **strings, size_t count, char **at,
                         const char *end)
{
    for (size_t i = 0; i < count; i++) {
        if (*at >= end) {
            return false;
        }
        strings[i] = *at;
        *at += strlen(*at) + 1;
    }
    strings[count] = NULL;
    return true;
}

static bool parse(order *o, char *text, size_t len)
{
    const wr__spawn_request *head = &o->head;
    char *at = text;
    char *directory[2];

    if (len == 0 || text[len - 1] != '\0' || head->argc == 0
        || head->argc > STRINGS_MAX || head->envc > STRINGS_MAX) {
        return false;
    }
    size_t envc = head->envc < 0 ? 0 : (size_t)head->envc;
    if (!take_strings(directory, 1, &at, text + len)
        || !take_strings(o->argv, head->argc, &at, text + len)
        || !take_strings(o->envp, envc, &at, text + len)) {
        return false;
    }
    o->directory = directory[0];
    return true;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_init(attributes);
    if (error == 0) {
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP
                                                 | POSIX_SPAWN_SETSIGDEF
                                                 | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setpgroup(attributes, 0);
        posix_spawnattr_setsigdefault(attributes, &all);
        posix_spawnattr_setsigmask(attributes, &none);
    }
    return error;
}

static int set_streams(posix_spawn_file_actions_t *actions, const int *fds)
{
    int error = posix_spawn_file_actions_init(actions);
    for (int i = 0; error == 0 && i < 3; i++) {
        if (fds[i] >= 0) {
            error = posix_spawn_file_actions_adddup2(actions, fds[i], i);
        }
    }
    return error;
}

/* 0, or an errno: also of the exec itself. */
static int start(pid_t *pid, const order *o)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;

    if (o->directory[0] != '\0' && chdir(o->directory) != 0) {
        return errno;
    }
    int error = set_attributes(&attributes);
    if (error != 0) {
        return error;
    }
    error = set_streams(&actions, o->fds);
    if (error == 0) {
        error = posix_spawn(pid, o->argv[0], &actions, &attributes, o->argv,
                            o->head.envc < 0 ? environ : o->envp);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return error;
}

static void carry_out(spawner *s, const order *o)
{
    wr__spawn_note note = {.kind = WR__SPAWN_FAILED, .id = o->head.id};
    pid_t pid = 0;

    note.status = s->count == WR__SPAWN_COMMANDS_MAX ? EAGAIN : start(&pid, o);
    if (note.status == 0) {
        s->commands[s->count++] = (command){.id = o->head.id, .pid = pid};
        note.kind = WR__SPAWN_STARTED;
        note.pid = pid;
    }
    tell(note);
}

/* Helpers. */

static void start_helper(spawner *s, int socket, uint32_t number)
{
    pid_t self = getpid();
    pid_t pid = s->helper_count < s->helpers.max ? fork() : -1;

    if (pid == 0) {
        s->helper(socket, (int)(number % 10000), self, &s->helpers);
        _exit(EXIT_FAILURE);
    }
    if (pid > 0) {
        s->helper_count++;
    }
    /* Without one, who asked sees the end of its socket. */
}

/* The first descriptor that came along, or -1.  Room for one may take two. */
static int take_first_fd(struct msghdr *msg)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(msg);
    int first = -1;

    if (header == NULL || header->cmsg_type != SCM_RIGHTS) {
        return -1;
    }
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (i == 0) {
            first = fd;
        }
        else {
            close(fd);
        }
    }
    return first;
}

/* What comes in here may be anything. */
static void answer_door(spawner *s)
{
    wr__helper_request request;
    union {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};

    ssize_t len = recvmsg(s->door, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len == 0) {
        close(s->door);
        s->door = -1;
    }
    if (len <= 0) {
        return;
    }
    int socket = take_first_fd(&msg);
    if (socket >= 0) {
        if (len == (ssize_t)sizeof(request)) {
            /* cppcheck-suppress uninitvar ; it is what was received */
            start_helper(s, socket, request.number);
        }
        close(socket);
    }
}

/* The generation says who helpers are, and where they are asked for. */
static void open_door(spawner *s, const order *o, const char *text, size_t len)
{
    if (o->fds[0] < 0 || len != sizeof(s->helpers) || !s->helper) {
        return;
    }
    memcpy(&s->helpers, text, sizeof(s->helpers));
    s->helpers.user.name[WR__USER_NAME_MAX - 1] = '\0';
    s->helpers.mpm[sizeof(s->helpers.mpm) - 1] = '\0';
    if (s->door >= 0) {
        close(s->door);
    }
    s->door = fcntl(o->fds[0], F_DUPFD_CLOEXEC, SOCKET + 1);
}

/* Requests. */

/* The descriptors that came along, at the places that the head names. */
static void take_fds(order *o, struct msghdr *msg)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(msg);
    int came[3];
    size_t count = 0, used = 0;

    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(came, CMSG_DATA(header), count * sizeof(int));
    }
    for (int i = 0; i < 3; i++) {
        bool comes = o->head.streams & 1U << i && used < count;
        o->fds[i] = comes ? came[used++] : -1;
    }
    while (used < count) {
        close(came[used++]);
    }
}

static void close_fds(const order *o)
{
    for (int i = 0; i < 3; i++) {
        if (o->fds[i] >= 0) {
            close(o->fds[i]);
        }
    }
}

static void begin_to_end(spawner *s)
{
    if (!s->is_ending) {
        s->is_ending = true;
        s->deadline = now_ns() + END_LIMIT;
        s->next_signal = SIGTERM;
    }
}

static void read_request(spawner *s)
{
    static char text[WR__SPAWN_REQUEST_MAX];
    static order o;
    union {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct iovec iov[2] = {
        {.iov_base = &o.head, .iov_len = sizeof(o.head)},
        {.iov_base = text, .iov_len = sizeof(text)},
    };
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};

    ssize_t len = recvmsg(SOCKET, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len < (ssize_t)sizeof(o.head)) {
        begin_to_end(s);
        return;
    }
    take_fds(&o, &msg);
    if (o.head.kind == WR__SPAWN_HELPERS) {
        open_door(s, &o, text, (size_t)len - sizeof(o.head));
    }
    else if (parse(&o, text, (size_t)len - sizeof(o.head))) {
        carry_out(s, &o);
    }
    else {
        tell((wr__spawn_note){
            .kind = WR__SPAWN_FAILED, .id = o.head.id, .status = EINVAL});
    }
    close_fds(&o);
}

/* Ends. */

static void reap(spawner *s)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        size_t i = 0;
        wr__board_reap(pid);
        while (i < s->count && s->commands[i].pid != pid) {
            i++;
        }
        if (i == s->count) {
            s->helper_count--; /* who used it has seen its socket's end */
            continue;
        }
        tell((wr__spawn_note){.kind = WR__SPAWN_ENDED,
                              .id = s->commands[i].id,
                              .pid = pid,
                              .status = status});
        s->commands[i] = s->commands[--s->count];
    }
}

static void read_signals(spawner *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            reap(s);
        }
        else {
            begin_to_end(s);
        }
    }
}

static void keep_deadline(spawner *s)
{
    if (!s->is_ending || now_ns() < s->deadline) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        kill(-s->commands[i].pid, s->next_signal);
    }
    s->deadline = now_ns() + TERM_LIMIT;
    s->next_signal = SIGKILL;
}

static int milliseconds_left(const spawner *s)
{
    if (!s->is_ending) {
        return -1;
    }
    int64_t left = s->deadline - now_ns();
    return left > 0 ? (int)((left + WR_MS - 1) / WR_MS) : 0;
}

/* The whole. */

static void open_null_as(int number, int flags)
{
    int fd = open("/dev/null", flags | O_CLOEXEC);
    if (fd >= 0 && fd != number) {
        dup2(fd, number);
        close(fd);
    }
}

static int open_signals(void)
{
    sigset_t set;

    signal(SIGINT, SIG_IGN); /* a terminal's: the master acts on these */
    signal(SIGHUP, SIG_IGN);
    signal(SIGWINCH, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void wr__spawner_main(int socket, pid_t parent, bool is_quiet,
                      wr__helper_fn *helper)
{
    static spawner s = {.door = -1};

    s.helper = helper;
    wr__title_set("weir: spawner");
    if (socket != SOCKET) {
        dup2(socket, SOCKET);
    }
    closefrom(SOCKET + 1);
    fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
    open_null_as(STDIN_FILENO, O_RDONLY);
    if (is_quiet) {
        open_null_as(STDERR_FILENO, O_WRONLY);
    }
    s.signal_fd = open_signals();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (s.signal_fd < 0 || getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    while (!s.is_ending || s.count > 0) {
        struct pollfd fds[3] = {
            {.fd = s.signal_fd, .events = POLLIN},
            {.fd = s.is_ending ? -1 : SOCKET, .events = POLLIN},
            {.fd = s.is_ending ? -1 : s.door, .events = POLLIN}};
        poll(fds, 3, milliseconds_left(&s));
        read_signals(&s);
        if (fds[1].revents != 0 && !s.is_ending) {
            read_request(&s);
        }
        if (fds[2].revents != 0 && !s.is_ending) {
            answer_door(&s);
        }
        keep_deadline(&s);
    }
    /* what the generation has registered to be done at its exit is not ours */
    _exit(EXIT_SUCCESS);
}
