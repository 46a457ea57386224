/*
 * child_helper.c - a child asks for a helper process.
 *
 * Any thread of a child.  Calls the kernel directly: APR passes no descriptors.
 */
#include "wr_helper.h"

#include "generation_spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static apr_status_t knock(int door, const wr__helper_request *request, int fd)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)request,
                        .iov_len = sizeof(*request)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header;

    memset(&control, 0, sizeof(control));
    header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    while (sendmsg(door, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

apr_status_t wr_helper_start(int *fd, wr_child *child, int number)
{
    const wr__helper_request request = {.number = (uint32_t)number};
    int door = wr__spawner_door(), ends[2];
    apr_status_t rv;

    (void)child;
    if (door < 0) {
        return EPIPE;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return errno;
    }
    rv = knock(door, &request, ends[1]);
    close(ends[1]);
    if (rv == APR_SUCCESS && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        close(ends[0]);
        return rv;
    }
    *fd = ends[0];
    return APR_SUCCESS;
}
