/*
 * channel.c - what a generation tells the master.
 *
 * Sent by the generation's main process, received by the master.  Calls the
 * kernel directly: APR passes no descriptors.
 */
#include "channel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
    struct cmsghdr header; /* for its alignment */
    char space[CMSG_SPACE(sizeof(int))];
};

apr_status_t wr__channel_create(int ends[2])
{
    /* Notes keep their bounds, and the end of one side is seen by the other. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return errno;
    }
    return APR_SUCCESS;
}

apr_status_t wr__channel_send(int channel, wr__note_kind kind, const char *text,
                              int fd)
{
    uint32_t code = (uint32_t)kind;
    struct iovec iov[2] = {
        {.iov_base = &code, .iov_len = sizeof(code)},
        {.iov_base = (void *)(uintptr_t)text,
         .iov_len = strnlen(text, WR__NOTE_TEXT_MAX - 1)},
    };
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    union control control;

    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    while (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

apr_status_t wr__channel_receive(int channel, wr__note *note)
{
    uint32_t code = 0;
    struct iovec iov[2] = {
        {.iov_base = &code, .iov_len = sizeof(code)},
        {.iov_base = note->text, .iov_len = sizeof(note->text) - 1},
    };
    union control control;
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};

    ssize_t len = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return APR_EAGAIN;
        }
        return errno == ECONNRESET ? APR_EOF : errno;
    }
    if ((size_t)len < sizeof(code)) {
        return APR_EOF;
    }
    note->kind = (wr__note_kind)code;
    note->text[(size_t)len - sizeof(code)] = '\0';
    note->fd = -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&note->fd, CMSG_DATA(header), sizeof(int));
    }
    return APR_SUCCESS;
}
