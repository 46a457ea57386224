/*
 * seat.h - what an event-driven MPM keeps in a connection (wr_conn.mpm).
 *
 * Header only.  Zeroed bytes are a valid seat.
 */
#ifndef WR__SEAT_H
#define WR__SEAT_H

#include "wr_conn.h"

#include "queue.h"

typedef struct wr__seat {
    /** When timers.c looks at the connection; 0: never.  Written by the
     *  poller's thread, read by the connection's owner. */
    _Atomic int64_t wake_ns;
    uint32_t heap_place; /**< timers.c's; the poller's thread's */
    bool is_queued;      /**< in a list of those to be stepped; its holder's */
    bool is_told;        /**< WR_POST_STOP was posted; the poller's thread's */
    wr_task task;        /**< place in a queue; the owner's */
} wr__seat;

static inline wr__seat *wr__seat_of(wr_conn *c)
{
    return (void *)c->mpm;
}

/** Put a connection into its thread's list of those to be stepped, unless it
 *  is there. */
static inline void wr__seat_put(wr__fifo *ready, wr_conn *c)
{
    if (!wr__seat_of(c)->is_queued) {
        wr__seat_of(c)->is_queued = true;
        wr__fifo_put(ready, &wr__seat_of(c)->task);
    }
}

/** The connection whose seat @a task is in. */
static inline wr_conn *wr__conn_of_task(wr_task *task)
{
    return (void *)((char *)task - offsetof(wr__seat, task)
                    - offsetof(wr_conn, mpm));
}

#endif
