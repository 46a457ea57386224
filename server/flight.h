/*
 * flight.h - one fetch for all who want the same: while somebody's op that
 * looks a file up, or reads it, is out, others wait until what it brings lies
 * in the cache.
 *
 * Any thread.  Who waits does so by an op of its own that nobody takes: it
 * counts as out, and is finished by who ends the flight.
 */
#ifndef WR__FLIGHT_H
#define WR__FLIGHT_H

#include "wr_op.h"

#include <apr_pools.h>

/** All flights of a child. */
typedef struct wr__flights wr__flights;

/** A fetch.  Lies with who began it, zeroed before, until it is ended. */
typedef struct wr__flight {
    wr__flights *flights; /**< NULL: not begun, or ended */
    struct wr__flight *next;
    const char *filename;
    uint64_t resolve;
    wr_op *waiters;
} wr__flight;

/** NULL if connections can't wait for each other: see wr_mpm.resume. */
wr__flights *wr__flights_create(const wr_child *child, apr_pool_t *pool);

/**
 * Wait for who is fetching the file, or be the one that others wait for.
 *
 * @param mine begun if nobody fetches it.  filename outlives it.
 * @param op   only its conn is set.
 * @return true: op counts as out, and will be finished.  false: nobody was
 *         there; the caller sees to it that wr__flight_end() is called.
 * @thread the owner's of op->conn.
 */
bool wr__flight_join(wr__flights *flights, wr__flight *mine,
                     const char *filename, uint64_t resolve, wr_op *op);

/** It has come, or will not: all who wait go on. */
void wr__flight_end(wr__flight *mine);

#endif
