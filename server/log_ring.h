/*
 * log_ring.h - access log lines in shared memory, so that neither a write per
 * line nor a dying child costs one.
 *
 * Each thread that logs has a slot with one ring for each log.  A line is
 * visible to others once it is whole.  Lines are written out by the thread
 * itself when its ring is half full, and by the generation once a second and
 * after a child's death.
 */
#ifndef WR__LOG_RING_H
#define WR__LOG_RING_H

#include "wr_log.h"

#include <sys/types.h>

typedef struct wr__log_slot wr__log_slot;

/** Map the shared memory for all logs opened so far.  In the generation,
 *  after post_config and before the first fork.  Idempotent. */
apr_status_t wr__log_rings_create(apr_pool_t *pool, int writers);

/** A free slot for the calling thread, or NULL: then lines are written one by
 *  one.  @thread any, in a child. */
wr__log_slot *wr__log_slot_claim(void);
/** Write out what is there and free the slot. */
void wr__log_slot_release(wr__log_slot *slot);

/** Write out all whole lines of all slots.  In the generation. */
void wr__log_flush(void);
/** A child has died: write its lines out and free its slots. */
void wr__log_reap(pid_t pid);

/** Reopen all files (after -k graceful a new generation does so by itself;
 *  this is for tests and for SIGUSR2). */
apr_status_t wr__log_reopen(void);

/** The descriptor that lines of @a log are written to. */
int wr__log_fd(const wr_log *log);

/** The error log of messages that no server is known for: a path, or
 *  "stderr".  Until then, and after @a pool is gone: standard error. */
apr_status_t wr__log_error_open(const char *target, apr_pool_t *pool);
/** The level below which nothing of such is logged. */
void wr__log_error_level(wr_log_level level);

#endif
