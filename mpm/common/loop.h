/*
 * loop.h - the event loop: waits, listeners, events, deadlines, those that let
 * others go first.
 *
 * One thread's.  A turn waits, and lets the MPM carry each connection for which
 * something has happened.  What is done with a connection then, and where, is
 * the MPM's.
 *
 * Connections stay with this thread, or are shared: then the MPM parks those
 * that wait, other threads may own one, and the loop claims one by posting.
 */
#ifndef WR__LOOP_H
#define WR__LOOP_H

#include "accept.h"
#include "poller.h"
#include "queue.h"
#include "timers.h"

typedef struct wr__loop wr__loop;

/** What an MPM does in a loop.  All but carry may be NULL. */
typedef struct wr__loop_calls {
    /** Carry a connection on as far as it goes.  @owner of the connection:
     *  this function, which gives it away, parks it, or lets it wait. */
    void (*carry)(wr__loop *l, wr_conn *c);
    /** What another thread has put into the inbox.  NULL: there is none, or,
     *  where connections are shared, a connection to be carried: its seat's
     *  task. */
    void (*on_task)(wr__loop *l, wr_task *task);
    /** A descriptor of wr__poller_add_other() is readable. */
    void (*on_other)(wr__loop *l, int number);
    /** All of a turn is done; the next thing is to wait. */
    void (*end_turn)(wr__loop *l);
    /** Connections are shared: see above. */
    bool is_shared;
    /** Where connections are not shared: so many may be read before they are
     *  answered (is_gathering, below); 0: none. */
    int gather_max;
} wr__loop_calls;

struct wr__loop {
    const wr__loop_calls *calls;
    wr_child *child;
    wr_thread *self; /**< set by the MPM before wr__loop_run() */
    void *arg;       /**< the MPM's */
    wr__poller *poller;
    wr__timers timers;
    wr__acceptor acceptor;
    wr__fifo ready;  /**< connections that let others go first */
    wr__inbox inbox; /**< what other threads have for this one */
    int64_t wake_ns; /**< the MPM wants a turn by then; WR_NEVER at first */
    bool is_stopping;
    bool is_gathering; /**< let what is ready to be sent have its turn after
                            the events: wr__loop_put_last() */
};

/** Make all that may fail.  In wr_mpm.init. */
apr_status_t wr__loop_init(wr__loop *l, wr_child *child,
                           const wr__loop_calls *calls, void *arg);
/** Turn until the child drains or stops and no connection is left. */
apr_status_t wr__loop_run(wr__loop *l);

/*
 * For carry.
 */

/** Before anything else: where all is to stop, the connection is told so. */
static inline void wr__loop_tell(wr__loop *l, wr_conn *c)
{
    if (l->is_stopping && !wr__seat_of(c)->is_told) {
        wr__seat_of(c)->is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
}

static inline void wr__loop_set_timer(wr__loop *l, wr_conn *c)
{
    wr__timers_follow(&l->timers, c);
}

/**
 * Let the connection be until an event or its deadline; a shared one is parked.
 *
 * @return false: go on with it.  Something was posted, or it can't wait and is
 *         told to end.
 */
static inline bool wr__loop_await(wr__loop *l, wr_conn *c)
{
    wr__loop_set_timer(l, c);
    if (!wr__poller_watch(l->poller, c)) {
        wr_conn_post(c, WR_POST_STOP);
        return false;
    }
    return !l->calls->is_shared || wr_conn_park(c);
}

/** Carry it again when all others that can go on have been carried. */
static inline void wr__loop_put_last(wr__loop *l, wr_conn *c)
{
    wr__loop_set_timer(l, c); /* one that never waits has a deadline, too */
    wr__seat_of(c)->is_queued = true;
    wr__fifo_put(&l->ready, &wr__seat_of(c)->task);
}

/** For WR_WANT_DROP. */
void wr__loop_drop(wr__loop *l, wr_conn *c);
/** For WR_WANT_CLOSE.  @return as wr_conn_close(). */
bool wr__loop_close(wr__loop *l, wr_conn *c);

/** Of a connection that is not shared, when an op of it has come back: carry
 *  it, unless its turn comes anyway. */
static inline void wr__loop_resume(wr__loop *l, wr_conn *c)
{
    if (!wr__seat_of(c)->is_queued) {
        l->calls->carry(l, c);
    }
}

#endif
