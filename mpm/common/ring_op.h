/*
 * ring_op.h - ops that the kernel carries out by a ring.
 *
 * The ring's thread's.
 */
#ifndef WR__RING_OP_H
#define WR__RING_OP_H

#include "wr_op.h"

#include "ring.h"

typedef enum wr__ring_op_state {
    WR__RING_OP_DONE,    /**< wr_op_finish() it */
    WR__RING_OP_GOES_ON, /**< another completion follows */
    WR__RING_OP_REFUSED  /**< run it by wr_op_run() where it may block */
} wr__ring_op_state;

/** Start an op.  @a kind: see wr__ring_name; the object is the op.  Its state
 *  is then GOES_ON, or REFUSED. */
wr__ring_op_state wr__ring_op_start(wr__ring *ring, wr_op *op, unsigned kind);
/** Something of an op is complete. */
wr__ring_op_state wr__ring_op_complete(wr__ring *ring,
                                       const wr__ring_event *event);

#endif
