/*
 * wr_conn.h - a connection says what it wants; an MPM decides how to get it.
 *
 * The connection machine does no client I/O of its own accord and never waits.
 * Its owner calls wr_conn_step(), satisfies the want that comes back, and steps
 * again.  The smallest MPM is therefore
 *
 *     for (;;) switch (wr_conn_step(c, self)) {
 *     case WR_WANT_IO:    if (!wr_conn_ready(c)) wait_any(c);
 *                         wr_conn_io(c, self, quantum);            break;
 *     case WR_WANT_CALL:  op = wr_conn_take_op(c);
 *                         wr_op_run(op); wr_op_finish(op);         break;
 *     case WR_WANT_LOG:   wr_record_log(wr_conn_take_log(c), self); break;
 *     case WR_WANT_RUN: case WR_WANT_YIELD:                        break;
 *     case WR_WANT_DROP:  wr_conn_drop(c, self);                   break;
 *     case WR_WANT_CLOSE: if (wr_conn_close(c, self)) return;      break;
 *     }
 *
 * and every other one is this switch with waits replaced by registrations and
 * hand-overs.
 *
 * Ownership.  A connection has one owner at a time, and only the owner calls
 * the functions below on it, but for wr_conn_post().  An owner that shares its
 * connections with other threads gives one up by wr_conn_park(); whoever's
 * wr_conn_post() then returns true is the next owner.  See docs/lifetimes.md.
 */
#ifndef WR_CONN_H
#define WR_CONN_H

#include "wr_base.h"

#include <netinet/in.h>
#include <stdatomic.h>

/** What a connection needs before it can go on. */
typedef enum wr_want {
    WR_WANT_IO,    /**< a wanted bit of an end, an op's return, the deadline */
    WR_WANT_RUN,   /**< nothing: CPU work is ahead.  A hint to hand over */
    WR_WANT_CALL,  /**< wr_conn_take_op() has an op that may block */
    WR_WANT_LOG,   /**< wr_conn_take_log() has a finished request's record */
    WR_WANT_YIELD, /**< nothing, but let others go first */
    WR_WANT_DROP,  /**< wr_conn_drop(): an end that is no longer needed */
    WR_WANT_CLOSE  /**< wr_conn_close() */
} wr_want;

/** Bits of wr_end.want and wr_end.ready. */
enum {
    WR_READ = 1,  /**< bytes, or the end of them, can be received */
    WR_WRITE = 2, /**< the kernel takes bytes */
    WR_HUP = 4    /**< the peer closed its side: reads do not run short */
};

/** Bits of wr_conn.posted; from WR_POST_OP up it counts returned ops. */
enum {
    WR_POST_PARKED = 1, /**< nobody owns the connection */
    WR_POST_EVENT = 2,  /**< an end became ready (see wr_end.ready) */
    WR_POST_TIMER = 4,  /**< the deadline was reached, or may have been */
    WR_POST_STOP = 8,   /**< the child stops: close without delay */
    WR_POST_ROOM = 16,  /**< room is needed: close, if that cuts nothing off */
    WR_POST_OP = 256    /**< one op was finished */
};

/**
 * A connection.  Idle, it is this and nothing else: its kit (pools, buffers,
 * bucket list) is lent to it only while it has something to do.
 */
struct wr_conn {
    uint32_t magic;
    uint16_t state;          /**< private to the protocol */
    uint16_t refs;           /**< ops out; owner's */
    _Atomic uint32_t posted; /**< the one word that moves ownership */
    uint32_t flags;          /**< private to the machine */
    int64_t deadline;        /**< monotonic ns or WR_NEVER; owner's */
    wr_child *child;
    wr_end *ends; /**< the client first */
    const wr_protocol *protocol;
    wr_kit *kit;      /**< NULL while idle */
    wr_op *ops;       /**< wanted, not yet taken */
    wr_record *done;  /**< requests to be logged, oldest first */
    void *proto_data; /**< the protocol's, in the kit */
    const wr_listener *listener;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    uint32_t served; /**< requests so far */
    uint32_t serial; /**< of the child's connections */
    uint8_t shown;   /**< on the scoreboard, a wr_counter; the machine's */
    _Alignas(16) unsigned char mpm[]; /**< wr_mpm.conn_bytes, zeroed at start */
};

/**
 * Take over an accepted socket.
 *
 * @param fd   non-blocking, close-on-exec.
 * @param peer the client's address as accept4() gave it, or NULL.
 * @owner  fd: the connection's from success on; the caller's on failure.
 *         The connection: the caller's.
 * @thread any of the child's.
 * @return NULL when the child has as many connections as it may.
 */
WR_API wr_conn *wr_conn_create(wr_thread *self, int fd,
                               const wr_listener *listener,
                               const struct sockaddr *peer, socklen_t peer_len);

/**
 * Do a bounded piece of work and say what is needed next.
 *
 * Looks at what was posted, takes returned ops back, and, if the time was
 * posted (WR_POST_TIMER), tests the deadline against self->now_ns.  After
 * WR_WANT_IO the wanted bits stand in the ends.
 *
 * @thread the owner's.
 */
WR_API wr_want wr_conn_step(wr_conn *c, wr_thread *self);

/** Is it kept for a next request, of which nothing has been read?  Owner. */
static inline bool wr_conn_is_kept(const wr_conn *c)
{
    return !c->kit && c->served > 0;
}

/** Is a wanted bit of any end ready, so that wr_conn_io() has work?  Owner. */
WR_API bool wr_conn_ready(const wr_conn *c);

/**
 * Read and write what is wanted and ready, without waiting, at most
 * @a quantum bytes to an end, or of a file up to the end of a page.  For MPMs
 * that act on readiness.
 *
 * @thread the owner's.
 */
WR_API void wr_conn_io(wr_conn *c, wr_thread *self, size_t quantum);

/**
 * The next op, or NULL.  It counts as out until wr_op_finish().
 *
 * @owner  the caller's until wr_op_finish().
 * @thread the owner's.
 */
WR_API wr_op *wr_conn_take_op(wr_conn *c);

/**
 * The oldest finished request's record, or NULL.  It needs nothing of the
 * connection any more and may be logged anywhere, at any time.
 *
 * @owner  the caller's until wr_record_log().
 * @thread the owner's.
 */
WR_API wr_record *wr_conn_take_log(wr_conn *c);

/** Log a record and free it.  Any thread of the child.  Its first bytes are a
 *  wr_task, free for the MPM's use until this call. */
WR_API void wr_record_log(wr_record *record, wr_thread *self);

/**
 * Close the descriptors and free the connection.
 *
 * @thread the owner's; with a poller, the poller's, so that no event of a
 *         descriptor already closed is in its hands.
 * @return false when an op or I/O is still out: the descriptors are shut down,
 *         the connection stays the caller's, and is to be stepped (and so
 *         closed) again when that comes back.
 */
WR_API bool wr_conn_close(wr_conn *c, wr_thread *self);

/**
 * Close and free the ends that are gone (wr_end.is_gone); never the client's.
 * A poller forgets them first; an MPM with I/O of theirs in flight cancels it.
 *
 * @thread as for wr_conn_close().
 * @return false when the kernel still holds one: it stays, and WR_WANT_DROP
 *         comes again once its in_flight is clear.
 */
WR_API bool wr_conn_drop(wr_conn *c, wr_thread *self);

/**
 * Tell a connection of @a bits.  May be called by any thread that knows the
 * connection to be alive (the poller's; an op's).
 *
 * @return true when the connection was parked: the caller is now its owner and
 *         must see that it is stepped.  On false, never touch it again.
 */
WR_API bool wr_conn_post(wr_conn *c, unsigned bits);

/**
 * Give the connection up until something is posted.  The owner's last act.
 *
 * @return false when something was posted already: still the caller's, step.
 */
WR_API bool wr_conn_park(wr_conn *c);

#endif
