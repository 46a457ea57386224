/*
 * ring.h - operations that the kernel carries out, and their completions
 * (io_uring).
 *
 * One thread's.  An operation is asked for by wr__ring_VERB() and goes to the
 * kernel with all others at the next wait; what it points to must stay as it is
 * until its completion, but for a path's flags and a message's header, which
 * need to last until the wait only.  No operation here knows a connection.
 */
#ifndef WR__RING_H
#define WR__RING_H

#include "wr_base.h"

#include <apr_errno.h>
#include <apr_pools.h>
#include <sys/socket.h>

typedef struct wr__ring wr__ring;

/** What a completion is of: the asker's kind, 1 to 7, and either an object's
 *  address (aligned to 8 bytes) or a number. */
typedef struct wr__ring_name {
    unsigned kind;
    void *object;
    unsigned number;
} wr__ring_name;

typedef struct wr__ring_event {
    wr__ring_name name;
    int result;       /**< as the system call would return, or -errno */
    bool is_last;     /**< nothing more comes of this operation */
    bool has_input;   /**< received, and there is more to be received */
    const char *data; /**< received: result bytes, until give_back */
    unsigned buffer;
} wr__ring_event;

typedef struct wr__ring_options {
    int entries;     /**< operations that can be asked for between waits */
    int io_workers;  /**< of the kernel's, for what it can't do otherwise */
    int buffers;     /**< for receives; a power of two */
    int buffer_size; /**< bytes of each */
} wr__ring_options;

/**
 * A ring for the calling thread.  Ends with the pool.
 *
 * @param failed what the kernel refused, in words, on failure.
 */
apr_status_t wr__ring_create(wr__ring **ring, const char **failed,
                             const wr__ring_options *options, apr_pool_t *pool);

/** wr__ring_options.io_workers. */
int wr__ring_workers(const wr__ring *ring);

/** Connections as they come, until cancelled: a completion each.  Their peers
 *  are to be asked for. */
void wr__ring_accept(wr__ring *ring, int fd, wr__ring_name name);
/** One connection. */
void wr__ring_accept_one(wr__ring *ring, int fd, wr__ring_name name);
/** Whether @a fd is readable, once it is. */
void wr__ring_await_input(wr__ring *ring, int fd, wr__ring_name name);
/** Whether @a fd is readable, each time it becomes so. */
void wr__ring_watch(wr__ring *ring, int fd, wr__ring_name name);
/** An operation that goes on is to end; it completes a last time. */
void wr__ring_cancel(wr__ring *ring, wr__ring_name name);
/** Likewise for all that was asked of @a fd. */
void wr__ring_cancel_fd(wr__ring *ring, int fd);

/** Receive what there is, once there is something.  -ENOBUFS: all buffers are
 *  in use.  @a is_expected: try before waiting. */
void wr__ring_receive(wr__ring *ring, int fd, bool is_expected,
                      wr__ring_name name);
/** The same from a pipe. */
void wr__ring_receive_pipe(wr__ring *ring, int fd, wr__ring_name name);
/** The data of a receive is used up. */
void wr__ring_give_back(wr__ring *ring, const wr__ring_event *event);

/** Whether @a fd can be written, once it can. */
void wr__ring_await_room(wr__ring *ring, int fd, wr__ring_name name);
/** Send a message: all of it with MSG_WAITALL in @a flags, or what goes now
 *  with MSG_DONTWAIT. */
void wr__ring_send(wr__ring *ring, int fd, const struct msghdr *message,
                   int flags, wr__ring_name name);
/** @a buf NULL: only into the system's memory, at most WR__RING_SCRATCH. */
void wr__ring_read(wr__ring *ring, int fd, void *buf, size_t len,
                   int64_t offset, wr__ring_name name);
#define WR__RING_SCRATCH 65536
/** Move bytes without a copy, one of @a from and @a to being a pipe's end. What
 *  goes into a socket is what it takes now.  @a offset: in a file; or -1.
 *  @a is_followed: more follows at once. */
void wr__ring_splice(wr__ring *ring, int from, int64_t offset, int to,
                     size_t len, bool is_followed, wr__ring_name name);
void wr__ring_open(wr__ring *ring, int dir, const char *path, uint64_t flags,
                   uint64_t resolve, wr__ring_name name);

/** Submit all, and wait at most @a timeout nanoseconds (0: just look; or
 *  WR_NEVER) for a completion. */
apr_status_t wr__ring_wait(wr__ring *ring, int64_t timeout);
/** The next completion that is there. */
bool wr__ring_next(wr__ring *ring, wr__ring_event *event);

#endif
