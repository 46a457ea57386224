/*
 * helper_wire.c - ops and their results on the way to a helper process and
 * back: both ends of that talk.
 *
 * Any thread of a child (send and receive), and the helper's one (work).  Over
 * a pair of sockets that keep the bounds of what is sent.  Descriptors travel
 * with it, and content to be written in a file in memory: so a message is
 * small, and no content crosses otherwise.  Calls the kernel directly: APR
 * passes no descriptors.
 */
#include "wr_helper.h"

#include "wr_board.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 2

/** What is sent; the path follows. */
typedef struct job {
    uint32_t kind; /**< a wr_op_kind; READ goes as PAGE */
    uint8_t passes_back;
    uint8_t has_fd;   /**< op->fd travels, or for look-ups op->dir */
    uint8_t has_data; /**< WRITE: a file in memory travels */
    uint32_t delay_us;
    uint64_t resolve;
    int64_t offset;
    uint64_t len;
} job;

/** What comes back. */
typedef struct result {
    int32_t status;
    uint32_t has_fd;
    uint64_t done;
    struct stat st;
} result;

typedef union rights {
    struct cmsghdr header; /* for its alignment */
    char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
} rights;

static apr_status_t send_message(int fd, const struct iovec *iov, size_t count,
                                 const int *fds, size_t fd_count, int flags)
{
    rights control;
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                         .msg_iovlen = count};

    if (fd_count > 0) {
        struct cmsghdr *header;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.space;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    while (sendmsg(fd, &msg, MSG_NOSIGNAL | flags) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

/** @param fds as many as came; the rest is -1.
 *  @return the length; 0: the end; -1: errno. */
static ssize_t receive_message(int fd, struct iovec *iov, size_t count,
                               int *fds, bool *is_cut)
{
    rights control;
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = count,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header;
    ssize_t len;

    for (int i = 0; i < FDS_MAX; i++) {
        fds[i] = -1;
    }
    do {
        len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    } while (len < 0 && errno == EINTR);
    if (len <= 0) {
        return len;
    }
    header = CMSG_FIRSTHDR(&msg);
    if (header && header->cmsg_type == SCM_RIGHTS) {
        memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    }
    *is_cut = msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
    return len;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/* The child's side. */

static bool is_look_up(uint32_t kind)
{
    return kind == WR_OP_LOOKUP || kind == WR_OP_STAT || kind == WR_OP_LIST;
}

/** What is to be written, in a file that is memory. */
static apr_status_t put_into_memory(int *fd, const wr_op *op)
{
    int made = memfd_create("weir:write", MFD_CLOEXEC);
    size_t done = 0;

    if (made < 0) {
        return errno;
    }
    while (done < op->len) {
        ssize_t n = pwrite(made, (const char *)op->buf + done, op->len - done,
                           (off_t)done);

        if (n < 0 && errno != EINTR) {
            int error = errno;

            close(made);
            return error;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    *fd = made;
    return APR_SUCCESS;
}

apr_status_t wr_helper_send(int fd, const wr_op *op, bool passes_back)
{
    const char *path = op->path ? op->path : "";
    job j = {.kind = op->kind == WR_OP_READ ? WR_OP_PAGE : op->kind,
             .passes_back = passes_back || op->kind != WR_OP_LOOKUP,
             .has_data = op->kind == WR_OP_WRITE,
             .delay_us = op->delay_us,
             .resolve = op->resolve,
             .offset = op->offset,
             .len = op->len};
    struct iovec iov[2] = {
        {.iov_base = &j, .iov_len = sizeof(j)},
        {.iov_base = (void *)(uintptr_t)path, .iov_len = strlen(path) + 1},
    };
    int first = is_look_up(j.kind) ? op->dir : op->fd;
    int data = -1, fds[FDS_MAX];
    size_t count = 0;
    apr_status_t rv = APR_SUCCESS;

    if (op->kind == WR_OP_FUNC || iov[1].iov_len > PATH_MAX) {
        return op->kind == WR_OP_FUNC ? APR_ENOTIMPL : ENAMETOOLONG;
    }
    if (j.has_data) {
        rv = put_into_memory(&data, op);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    j.has_fd = first >= 0;
    if (j.has_fd) {
        fds[count++] = first;
    }
    if (j.has_data) {
        fds[count++] = data;
    }
    rv = send_message(fd, iov, 2, fds, count, MSG_DONTWAIT);
    close_fd(data);
    return rv;
}

/** Does running the op make a descriptor? */
static bool makes_fd(const wr_op *op)
{
    return is_look_up(op->kind) || (op->kind == WR_OP_WRITE && op->fd < 0);
}

apr_status_t wr_helper_receive(int fd, wr_op *op)
{
    result r;
    struct iovec iov = {.iov_base = &r, .iov_len = sizeof(r)};
    int fds[FDS_MAX];
    bool is_cut;
    ssize_t len = receive_message(fd, &iov, 1, fds, &is_cut);

    if (len < 0 && errno == EAGAIN) {
        return APR_EAGAIN;
    }
    if (len != (ssize_t)sizeof(r)) {
        if (len > 0) {
            close_fd(fds[0]);
            close_fd(fds[1]);
        }
        return APR_EOF;
    }
    op->status = r.status;
    op->done = op->kind == WR_OP_READ ? 0 : (size_t)r.done;
    if (is_look_up(op->kind)) {
        op->st = r.st;
        op->fd = -1;
    }
    if (r.has_fd && (fds[0] < 0 || is_cut)) {
        op->status = EMFILE;
    }
    else if (r.has_fd && makes_fd(op)) {
        op->fd = fds[0];
        fds[0] = -1;
    }
    close_fd(fds[0]); /* what nobody asked for */
    close_fd(fds[1]);
    return APR_SUCCESS;
}

/* The helper's. */

/** The bytes to be written. */
static apr_status_t take_from_memory(wr_op *op, int fd)
{
    size_t done = 0;

    op->buf = malloc(op->len ? op->len : 1);
    if (!op->buf) {
        return ENOMEM;
    }
    while (done < op->len) {
        ssize_t n =
            pread(fd, (char *)op->buf + done, op->len - done, (off_t)done);

        if (n == 0 || (n < 0 && errno != EINTR)) {
            return n < 0 ? errno : EIO;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return APR_SUCCESS;
}

/** Make an op of a job and run it. */
static void run_job(const job *j, const char *path, const int *fds, bool is_cut,
                    wr_op *op, wr_thread *self)
{
    int first = j->has_fd ? fds[0] : -1;
    int data = j->has_data ? fds[j->has_fd ? 1 : 0] : -1;

    memset(op, 0, sizeof(*op));
    op->kind = (wr_op_kind)j->kind;
    op->delay_us = j->delay_us;
    op->resolve = j->resolve;
    op->path = path;
    op->offset = j->offset;
    op->len = (size_t)j->len;
    op->dir = is_look_up(j->kind) ? first : -1;
    op->fd = is_look_up(j->kind) ? -1 : first;
    if (is_cut || (j->has_fd && first < 0) || (j->has_data && data < 0)) {
        op->status = EMFILE;
        return;
    }
    if (j->has_data) {
        op->status = take_from_memory(op, data);
        if (op->status != APR_SUCCESS) {
            return;
        }
    }
    wr_op_run_timed(op, self);
}

/** The descriptor that the op made, or -1. */
static int made_fd(const wr_op *op, const int *fds)
{
    bool is_new = op->fd >= 0 && op->fd != fds[0] && op->fd != fds[1];

    return is_new ? op->fd : -1;
}

static apr_status_t send_result(int fd, const job *j, const wr_op *op, int made)
{
    result r;
    struct iovec iov = {.iov_base = &r, .iov_len = sizeof(r)};

    memset(&r, 0, sizeof(r)); /* its holes travel, too */
    r.status = op->status;
    r.done = op->done;
    r.st = op->st;
    r.has_fd = made >= 0 && j->passes_back;
    return send_message(fd, &iov, 1, &made, r.has_fd ? 1 : 0, 0);
}

void wr_helper_work(int fd, wr_thread *self)
{
    char path[PATH_MAX];
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS) {
        job j;
        struct iovec iov[2] = {
            {.iov_base = &j, .iov_len = sizeof(j)},
            {.iov_base = path, .iov_len = sizeof(path)},
        };
        int fds[FDS_MAX], made;
        bool is_cut;
        wr_op op;
        ssize_t len;

        wr_role_is(self, WR_ROLE_WAITING);
        len = receive_message(fd, iov, 2, fds, &is_cut);
        wr_role_is(self, WR_ROLE_BUSY);
        /* cppcheck-suppress uninitvar ; it is what was received */
        if (len <= (ssize_t)sizeof(j) || j.kind >= WR_OP_FUNC
            || path[(size_t)len - sizeof(j) - 1] != '\0') {
            return;
        }
        run_job(&j, path, fds, is_cut, &op, self);
        made = made_fd(&op, fds);
        rv = send_result(fd, &j, &op, made);
        close_fd(made);
        close_fd(fds[0]);
        close_fd(fds[1]);
        free(op.buf);
    }
}
