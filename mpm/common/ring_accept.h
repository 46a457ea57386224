/*
 * ring_accept.h - accepting by a ring: connections come as completions.
 *
 * The ring's thread's.  Far from as many connections as may be, the kernel
 * accepts whatever comes while it is asked to, so AcceptLimit does not bear on
 * it.  Near to that it is asked for one at a time, and only for as many as
 * there is room for: the others wait in the listener's queue.
 */
#ifndef WR__RING_ACCEPT_H
#define WR__RING_ACCEPT_H

#include "accept.h"
#include "ring.h"
#include "room.h"

typedef struct wr__ring_acceptor wr__ring_acceptor;

/** For all listeners of the acceptor's child.  @a room: how to make some; stays
 *  the caller's.  @a kind: see wr__ring_name. */
wr__ring_acceptor *wr__ring_acceptor_create(wr__ring *ring, wr__acceptor *a,
                                            const wr__room *room,
                                            unsigned kind);
/** Ask the kernel to accept if the acceptor is open, or no longer if not. */
void wr__ring_acceptor_adjust(wr__ring_acceptor *ra, int64_t now);
/** A completion: its connection, or NULL. */
wr_conn *wr__ring_accepted(wr__ring_acceptor *ra, wr_thread *self,
                           const wr__ring_event *event);
/** Who had come before the kernel was told to accept no more: a connection, or
 *  NULL.  Nobody else was told of him.  After each one that came. */
wr_conn *wr__ring_accept_left(wr__ring_acceptor *ra, wr_thread *self);
/** No further connection will come: closed, and the kernel has answered. */
bool wr__ring_acceptor_is_closed(const wr__ring_acceptor *ra);

#endif
