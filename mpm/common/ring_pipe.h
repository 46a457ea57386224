/*
 * ring_pipe.h - a bounded number of pipes, through which a ring moves a file's
 * pages to a socket without a copy (splice).
 *
 * The ring's thread's.  A pipe is taken for one transfer and holds something
 * only on the way: who can't pass all of it on gives the pipe back as it is.
 */
#ifndef WR__RING_PIPE_H
#define WR__RING_PIPE_H

#include <apr_pools.h>
#include <stdbool.h>

typedef struct wr__pipes wr__pipes;

typedef struct wr__pipe {
    int in, out; /**< descriptors: where one writes, where one reads */
    struct wr__pipe *next; /**< private */
} wr__pipe;

/** At most @a count of them, made as they are needed, closed with the pool. */
wr__pipes *wr__pipes_create(int count, apr_pool_t *pool);

/** An empty one; NULL: all are in use, or the system has none to spare. */
wr__pipe *wr__pipes_take(wr__pipes *pipes);
/** Back again.  @a is_empty: what was put in went out. */
void wr__pipes_give(wr__pipes *pipes, wr__pipe *pipe, bool is_empty);

#endif
