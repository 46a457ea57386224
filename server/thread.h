/*
 * thread.h - what the core keeps for each thread that steps connections.
 */
#ifndef WR__THREAD_H
#define WR__THREAD_H

#include "wr_mpm.h"

#include "log_ring.h"
#include "stock.h"

struct wr_thread_core {
    apr_pool_t *pool;
    wr__log_slot *log_slot; /**< this thread's rings, or NULL */
    wr__bin bin;
    int64_t date_second; /**< for which date is right */
    char date[32];       /**< "Sun, 06 Nov 1994 08:49:37 GMT" */
};

/** Monotonic nanoseconds, now. */
int64_t wr__clock(void);

/**
 * Behind a call that may have waited for a disk, begun at @a since_ns: it is
 * counted if it took @a least_ns.
 */
void wr__thread_blocked(wr_thread *self, int64_t since_ns, int64_t least_ns);

/** In the calling thread: take a name, a slot of the log rings, and a row of
 *  the scoreboard.  What it had is forgotten, not given back. */
void wr__thread_claim(wr_thread *self, const char *role);

/** The time as a Date field has it; made once a second. */
const char *wr__thread_date(wr_thread *self);
#define WR__DATE_LEN 29

#endif
