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

#include <stdbool.h>
#include <sys/types.h>

typedef struct wr__log_slot wr__log_slot;
struct wr__syslog;

typedef enum wr__log_kind {
    WR__LOG_FILE,
    WR__LOG_STDERR,
    WR__LOG_PROGRAM, /**< "|...": log_program.h */
    WR__LOG_SYSLOG   /**< "syslog...": log_syslog.h; of the error log only */
} wr__log_kind;

/** Map the shared memory for all logs opened so far.  In the generation,
 *  after post_config and before the first fork.  Idempotent. */
apr_status_t wr__log_rings_create(apr_pool_t *pool, int writers);

/** A free slot for the calling thread, or NULL: then lines are written one by
 *  one.  @thread any, in a child. */
wr__log_slot *wr__log_slot_claim(void);
/** Write out what is there and free the slot. */
void wr__log_slot_release(wr__log_slot *slot);

/** Write out all whole lines of all slots.  In the generation.
 *  @return false when lines remain because a program has yet to read others. */
bool wr__log_flush(void);
/** A child has died: write its lines out and free its slots. */
void wr__log_reap(pid_t pid);

/** Reopen all files (after -k graceful a new generation does so by itself;
 *  this is for tests and for SIGUSR2). */
apr_status_t wr__log_reopen(void);

/** The descriptor that lines of @a log are written to. */
int wr__log_fd(const wr_log *log);
wr__log_kind wr__log_kind_of(const wr_log *log);
wr__log_kind wr__log_kind_of_target(const char *target);
/** How to speak to syslog, if @a log is that. */
const struct wr__syslog *wr__log_syslog(const wr_log *log);

/** Append a line at once, past the rings; a program's full pipe is waited for,
 *  in bounds.  @return false: it is lost, and counted.  @thread any. */
bool wr__log_append_line(wr_log *log, const char *line, size_t len);

/** What goes to programs from now on is dropped, so that they see the end of
 *  their input.  In the generation, when its children have ended.
 *  @param with_stderr standard error may go to one, too. */
void wr__log_close_programs(bool with_stderr);

/** The error log of messages that no server is known for: as ErrorLog says.
 *  Until then, and after @a pool is gone: standard error. */
apr_status_t wr__log_error_open(const char *target, apr_pool_t *pool);
/** Its descriptor; or standard error. */
int wr__log_error_fd(void);
/** In the place of standard error: the pipe to another process's program; -1:
 *  no more.  @owner fd: the log. */
void wr__log_error_borrow(int fd);
/** The level below which nothing of such is logged. */
void wr__log_error_level(wr_log_level level);

#endif
