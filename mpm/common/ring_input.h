/*
 * ring_input.h - receiving an end's input by a ring.
 *
 * The ring's thread's.  From start to completion wr_end.in_flight says that a
 * receive is out; a buffer is taken only when there is something for it.
 */
#ifndef WR__RING_INPUT_H
#define WR__RING_INPUT_H

#include "wr_end.h"

#include "ring.h"

/** Ask for what comes.  @a kind: of the name (see wr__ring_name). */
void wr__input_start(wr__ring *ring, wr_end *e, unsigned kind);
/** A receive is complete: @return its end, which was fed or told. */
wr_end *wr__input_complete(wr__ring *ring, const wr__ring_event *event,
                           wr_thread *self);

#endif
