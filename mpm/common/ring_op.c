/*
 * ring_op.c - see ring_op.h.
 */
#include "ring_op.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

/** Read on from where op->done says. */
static void read_on(wr__ring *ring, wr_op *op, unsigned kind)
{
    char *to = op->kind == WR_OP_READ ? (char *)op->buf + op->done : NULL;

    wr__ring_read(ring, op->fd, to, op->len - op->done,
                  op->offset + (int64_t)op->done,
                  (wr__ring_name){.kind = kind, .object = op});
}

wr__ring_op_state wr__ring_op_start(wr__ring *ring, wr_op *op, unsigned kind)
{
    uint64_t flags = WR_OP_STAT_FLAGS;

    if (op->resolve & WR_RESOLVE_OWNER) {
        return WR__RING_OP_REFUSED;
    }

    switch (op->kind) {
    case WR_OP_LOOKUP:
        flags = WR_OP_LOOKUP_FLAGS;
        __attribute__((fallthrough));
    case WR_OP_STAT:
        wr__ring_open(ring, op->dir, op->path, flags,
                      op->resolve | WR_OP_RESOLVE,
                      (wr__ring_name){.kind = kind, .object = op});
        break;
    case WR_OP_PAGE:
    case WR_OP_READ:
        op->done = 0;
        read_on(ring, op, kind);
        break;
    case WR_OP_WRITE:
    case WR_OP_LIST:
    case WR_OP_FUNC:
        return WR__RING_OP_REFUSED;
    }
    op->tries++;
    return WR__RING_OP_GOES_ON;
}

/** LOOKUP, STAT: the path is open, so its stat is in memory. */
static void take_stat(wr_op *op, int fd)
{
    op->status = fstat(fd, &op->st) < 0 ? errno : APR_SUCCESS;
    if (op->kind == WR_OP_LOOKUP && op->status == APR_SUCCESS) {
        op->fd = fd;
    }
    else {
        close(fd);
    }
}

wr__ring_op_state wr__ring_op_complete(wr__ring *ring,
                                       const wr__ring_event *event)
{
    wr_op *op = event->name.object;
    int result = event->result;

    if (result == -EAGAIN || result == -EINTR) {
        return WR__RING_OP_REFUSED;
    }
    op->status = result < 0 ? -result : APR_SUCCESS;
    if (result >= 0 && (op->kind == WR_OP_LOOKUP || op->kind == WR_OP_STAT)) {
        take_stat(op, result);
    }
    else if (result > 0) {
        op->done += (size_t)result;
        if (op->done < op->len) {
            read_on(ring, op, event->name.kind);
            return WR__RING_OP_GOES_ON;
        }
    }
    return WR__RING_OP_DONE;
}
