/*
 * generation_spawner.c - the generation's end of the talk with its spawner.
 *
 * The generation's one thread, or that of -X; never a child.  Keeps no account
 * of programs: who asked for one does.  Calls the kernel directly: APR passes
 * no descriptors.
 */
#include "generation_spawner.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int channel = -1;
static pid_t spawner_pid;
static bool is_quiet;
static wr__helper_fn *helper;

/* For helpers: the children's end, and the spawner's, which is kept for the
 * next one.  What was asked for while there was none waits in between. */
static int door[2] = {-1, -1};
static wr__spawn_helpers helpers;

void wr__spawner_helper(wr__helper_fn *what)
{
    helper = what;
}

void wr__spawner_quiet(void)
{
    is_quiet = true;
}

static apr_status_t fork_spawner(void)
{
    pid_t self = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return errno;
    }
    pid_t pid = fork();
    if (pid == 0) {
        wr__spawner_main(ends[1], self, is_quiet, helper);
    }
    apr_status_t rv = pid < 0 ? errno : APR_SUCCESS;
    close(ends[1]);
    if (rv != APR_SUCCESS) {
        close(ends[0]);
        return rv;
    }
    channel = ends[0];
    spawner_pid = pid;
    return APR_SUCCESS;
}

/* A request as it travels. */
typedef struct message {
    wr__spawn_request head;
    char text[WR__SPAWN_REQUEST_MAX];
    size_t len; /* of the text */
} message;

static bool put(message *m, const char *string)
{
    size_t size = strlen(string) + 1;

    if (size > sizeof(m->text) - m->len) {
        return false;
    }
    memcpy(m->text + m->len, string, size);
    m->len += size;
    return true;
}

static bool put_all(message *m, const char *const *strings, size_t *count)
{
    for (*count = 0; strings[*count] != NULL; (*count)++) {
        if (!put(m, strings[*count])) {
            return false;
        }
    }
    return true;
}

static bool write_message(message *m, uint32_t id, const wr__command *command)
{
    size_t argc = 0, envc = 0;

    m->len = 0;
    if (!put(m, command->directory != NULL ? command->directory : "")
        || !put_all(m, command->argv, &argc)
        || (command->env != NULL && !put_all(m, command->env, &envc))) {
        return false;
    }
    m->head = (wr__spawn_request){
        .id = id,
        .argc = (uint32_t)argc,
        .envc = command->env != NULL ? (int32_t)envc : -1,
    };
    return true;
}

static apr_status_t send_message(message *m, const int *fds)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct iovec iov[2] = {
        {.iov_base = &m->head, .iov_len = sizeof(m->head)},
        {.iov_base = m->text, .iov_len = m->len},
    };
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    int travelling[3];
    size_t count = 0;

    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            travelling[count++] = fds[i];
            m->head.streams |= 1U << i;
        }
    }
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.space;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), travelling, count * sizeof(int));
    }
    while (sendmsg(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

/** Who helpers are, and where they are asked for. */
static apr_status_t tell_of_door(void)
{
    static message m;

    m.head = (wr__spawn_request){.kind = WR__SPAWN_HELPERS};
    memcpy(m.text, &helpers, sizeof(helpers));
    m.len = sizeof(helpers);
    return send_message(&m, (const int[3]){door[1], -1, -1});
}

apr_status_t wr__spawner_start(void)
{
    if (channel >= 0) {
        return APR_SUCCESS;
    }
    apr_status_t rv = fork_spawner();
    if (rv == APR_SUCCESS && door[1] >= 0) {
        rv = tell_of_door();
    }
    return rv;
}

static void close_door(int i)
{
    if (door[i] >= 0) {
        close(door[i]);
        door[i] = -1;
    }
}

apr_status_t wr__spawner_open_door(const wr__spawn_helpers *who, bool is_asker)
{
    apr_status_t rv = wr__spawner_start();

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, door) != 0) {
        return errno;
    }
    helpers = *who;
    rv = tell_of_door();
    if (rv != APR_SUCCESS || is_asker) {
        close_door(1);
    }
    return rv;
}

int wr__spawner_door(void)
{
    return door[0];
}

bool wr__spawner_is_missed(void)
{
    return channel < 0 && door[1] >= 0;
}

apr_status_t wr__spawner_ask(uint32_t id, const wr__command *command)
{
    static message m;

    apr_status_t rv = wr__spawner_start();
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!write_message(&m, id, command)) {
        return ENAMETOOLONG;
    }
    return send_message(&m, command->fds);
}

/** The channel is at its end, or is not needed any more. */
static void bury(void)
{
    close(channel);
    channel = -1;
    while (waitpid(spawner_pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

apr_status_t wr__spawner_read(wr__spawn_note *note)
{
    if (channel < 0) {
        return APR_EAGAIN;
    }
    ssize_t len = recv(channel, note, sizeof(*note), MSG_DONTWAIT);
    if (len == (ssize_t)sizeof(*note)) {
        return APR_SUCCESS;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return APR_EAGAIN;
    }
    bury();
    return APR_EOF;
}

int wr__spawner_fd(void)
{
    return channel;
}

bool wr__spawner_is(pid_t pid)
{
    return channel >= 0 && pid == spawner_pid;
}

void wr__spawner_forget(void)
{
    if (channel >= 0) {
        close(channel);
        channel = -1;
    }
    close_door(1);
}

void wr__spawner_finish(void)
{
    close_door(0);
    close_door(1);
    if (channel >= 0) {
        bury();
    }
}
