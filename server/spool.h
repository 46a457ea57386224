/*
 * spool.h - a request's content while it is received: in memory, and beyond a
 * bound in an unlinked file, so that a slow upload holds neither a worker nor
 * memory.
 *
 * Runs in the connection's owner's thread; what is written to the file is
 * written by ops.
 */
#ifndef WR__SPOOL_H
#define WR__SPOOL_H

#include "wr_op.h"
#include "wr_request.h"

typedef struct wr__spool {
    char *buf; /**< in the request's pool */
    size_t len, size;
    size_t max;      /**< RequestBodyMemory: what buf may grow to */
    int64_t written; /**< in the file, before buf */
    wr_file *file;   /**< NULL: all is in memory */
    const char *dir; /**< SpoolDirectory */
    wr_op op;        /**< writes buf */
    bool is_writing; /**< op was asked for and not looked at since */
    wr_body body;    /**< the result */
} wr__spool;

void wr__spool_init(wr__spool *spool, const wr_request *r);
/** How many bytes wr__spool_put() takes now; 0: write first. */
size_t wr__spool_room(wr__spool *spool, const wr_request *r);
void wr__spool_put(wr__spool *spool, const unsigned char *data, size_t len);

/** Ask for what is in the buffer to be written. */
void wr__spool_write(wr__spool *spool, wr_request *r);
/** The op is done.  @return 0 or a status. */
int wr__spool_written(wr__spool *spool, const wr_request *r);

/** All has come: does something still have to be written? */
bool wr__spool_must_write(const wr__spool *spool);
/** All is there. */
void wr__spool_finish(wr__spool *spool);
/** Let go of the file. */
void wr__spool_release(wr__spool *spool);

#endif
