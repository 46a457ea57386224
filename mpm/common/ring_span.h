/*
 * ring_span.h - sending an end's output by a ring: memory at once, files by way
 * of a bounded number of buffers, large pieces of them by way of pipes.
 *
 * The ring's thread's.  From start to completion the kernel holds the span, and
 * wr_end.in_flight says so.  A client that does not receive holds no buffer.
 */
#ifndef WR__RING_SPAN_H
#define WR__RING_SPAN_H

#include "wr_end.h"

#include "ring.h"

typedef struct wr__spans wr__spans;

/** @a kind: of the names of what is asked for (see wr__ring_name). */
wr__spans *wr__spans_create(wr__ring *ring, unsigned kind, apr_pool_t *pool);

/** Send the next span of an end.  @return false if its connection has to be
 *  stepped before there is one. */
bool wr__span_start(wr__spans *s, wr_end *e, wr_thread *self, size_t quantum);

/** Something of a span is complete.  @return its end, which was told, when
 *  that is so of the whole span; NULL while it is still on its way. */
wr_end *wr__span_complete(wr__spans *s, const wr__ring_event *event,
                          wr_thread *self);

#endif
