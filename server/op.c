/*
 * op.c - running the operations that may block.
 *
 * wr_op_run() is called in any thread and, but for WR_OP_FUNC, in any process
 * that has the descriptors: it touches nothing but the op.
 */
#include "wr_op.h"

#include "wr_conn.h"

#include "conn.h"
#include "list.h"
#include "open.h"
#include "thread.h"

#include <apr_time.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/uio.h>
#include <unistd.h>

static uint32_t delay_us; /* set before there are children */

/** Touch each page of a range by reading it: no mapping, so a file that is
 *  truncated meanwhile is a short read and not a SIGBUS. */
static apr_status_t page_in(int fd, int64_t offset, size_t len)
{
    char buf[65536];

    (void)posix_fadvise(fd, offset, (off_t)len, POSIX_FADV_WILLNEED);
    while (len > 0) {
        size_t want = len < sizeof(buf) ? len : sizeof(buf);
        ssize_t n = pread(fd, buf, want, offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : APR_SUCCESS;
        }
        offset += n;
        len -= (size_t)n;
    }
    return APR_SUCCESS;
}

static apr_status_t read_range(wr_op *op)
{
    op->done = 0;
    while (op->done < op->len) {
        ssize_t n = pread(op->fd, (char *)op->buf + op->done,
                          op->len - op->done, op->offset + (int64_t)op->done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        op->done += (size_t)n;
    }
    return APR_SUCCESS;
}

/** The file has no name, so that nothing is left of it, whoever dies. */
static apr_status_t write_range(wr_op *op)
{
    size_t done = 0;

    if (op->fd < 0) {
        op->fd = open(op->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (op->fd < 0) {
            return errno;
        }
    }
    while (done < op->len) {
        ssize_t n = pwrite(op->fd, (const char *)op->buf + done, op->len - done,
                           op->offset + (int64_t)done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        done += (size_t)n;
    }
    return APR_SUCCESS;
}

void wr_op_delay_all(uint32_t delay)
{
    delay_us = delay;
}

uint32_t wr__op_delay(wr_op_kind kind)
{
    switch (kind) {
    case WR_OP_LOOKUP:
    case WR_OP_STAT:
    case WR_OP_PAGE:
    case WR_OP_READ:
    case WR_OP_LIST:
        return delay_us;
    case WR_OP_WRITE:
    case WR_OP_FUNC:
        break;
    }
    return 0;
}

void wr_op_run(wr_op *op)
{
    op->tries++;
    if (op->delay_us > 0) {
        apr_sleep(op->delay_us);
    }
    switch (op->kind) {
    case WR_OP_LOOKUP:
        op->status =
            wr__open_below(op->dir, op->path, op->resolve, &op->fd, &op->st);
        break;
    case WR_OP_STAT:
        op->status = wr__stat_below(op->dir, op->path, op->resolve, &op->st);
        break;
    case WR_OP_PAGE:
        op->status = page_in(op->fd, op->offset, op->len);
        break;
    case WR_OP_READ:
        op->status = read_range(op);
        break;
    case WR_OP_WRITE:
        op->status = write_range(op);
        break;
    case WR_OP_LIST:
        op->status = wr__list(op);
        break;
    case WR_OP_FUNC:
        op->status = op->func(op);
        break;
    }
}

/** Read what is in memory. */
static apr_status_t try_to_read(wr_op *op)
{
    op->done = 0;
    while (op->done < op->len) {
        struct iovec iov = {(char *)op->buf + op->done, op->len - op->done};
        ssize_t n = preadv2(op->fd, &iov, 1, op->offset + (int64_t)op->done,
                            RWF_NOWAIT);

        if (n < 0) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        op->done += (size_t)n;
    }
    return APR_SUCCESS;
}

apr_status_t wr_op_try(wr_op *op)
{
    apr_status_t status;

    if (op->kind == WR_OP_LOOKUP) {
        status = wr__open_below(op->dir, op->path, op->resolve | RESOLVE_CACHED,
                                &op->fd, &op->st);
    }
    else if (op->kind == WR_OP_READ) {
        status = try_to_read(op);
    }
    else {
        return APR_ENOTIMPL;
    }
    if (status == EAGAIN) {
        return APR_EAGAIN;
    }
    if (status == EINVAL || status == EOPNOTSUPP) {
        return APR_ENOTIMPL; /* the kernel, or the file system, can't tell */
    }
    op->tries++;
    op->status = status;
    return APR_SUCCESS;
}

void wr_op_run_timed(wr_op *op, wr_thread *self)
{
    int64_t since = wr__clock();

    wr_op_run(op);
    wr__thread_blocked(self, since, 0);
    wr_thread_tick(self);
}

bool wr_op_finish(wr_op *op)
{
    wr_conn *c = op->conn;

    /* From here on the op may be reused or freed by the connection's owner;
     * the connection itself lives until the post below is counted. */
    atomic_store_explicit(&op->is_done, true, memory_order_release);
    return wr_conn_post(c, WR_POST_OP);
}
