/*
 * timers.h - deadlines of connections: a lazy heap.
 *
 * Belongs to the poller's thread.  A connection has at most one entry, whose
 * time is never later than its deadline but may well be earlier: a deadline
 * that moves on, as it does with every request, costs nothing until the entry
 * fires and is set anew.  So the heap is touched once per connection and
 * time-out period, not once per request.
 */
#ifndef WR__TIMERS_H
#define WR__TIMERS_H

#include "seat.h"

#include <apr_pools.h>

typedef struct wr__timers {
    struct wr__timer *heap; /**< [1..count], four children to a node */
    uint32_t count, max;
} wr__timers;

/** @a max: as many connections as there can be at once. */
void wr__timers_init(wr__timers *t, int max, apr_pool_t *pool);

/**
 * Is there an entry that fires in time for the connection's deadline?
 *
 * @thread the connection's owner's, any.
 */
static inline bool wr__timers_cover(wr_conn *c)
{
    /* Relaxed: whoever fires an entry lowers wake_ns to 0 before it posts, so
     * an owner that has seen the post has seen that; one that has not will be
     * refused by wr_conn_park(). */
    int64_t wake_ns =
        atomic_load_explicit(&wr__seat_of(c)->wake_ns, memory_order_relaxed);

    return c->deadline == WR_NEVER || (wake_ns && wake_ns <= c->deadline);
}

/** Let the connection's entry, new or old, fire at @a when. */
void wr__timers_set(wr__timers *t, wr_conn *c, int64_t when);
/** Let it fire in time for the deadline.  @thread the poller's, as owner. */
static inline void wr__timers_follow(wr__timers *t, wr_conn *c)
{
    if (!wr__timers_cover(c)) {
        wr__timers_set(t, c, c->deadline);
    }
}

/** The connection has no entry any more.  Before it is closed. */
void wr__timers_remove(wr__timers *t, wr_conn *c);

/** The entry that fires next: its connection, and when; or NULL. */
wr_conn *wr__timers_first(const wr__timers *t, int64_t *when);
/** When the next entry fires, or WR_NEVER. */
int64_t wr__timers_next(const wr__timers *t);
/** Take out one entry that is due at @a now: its connection, or NULL. */
wr_conn *wr__timers_fire(wr__timers *t, int64_t now);

#endif
