/*
 * ring_input.c - see ring_input.h.
 */
#include "ring_input.h"

#include "wr_conn.h"

#include <errno.h>

void wr__input_start(wr__ring *ring, wr_end *e, unsigned kind)
{
    wr__ring_name name = {.kind = kind, .object = e};
    unsigned ready = atomic_load_explicit(&e->ready, memory_order_relaxed);

    e->in_flight |= WR_READ;
    if (e->is_pipe) {
        wr__ring_receive_pipe(ring, e->fd, name);
    }
    else {
        wr__ring_receive(ring, e->fd, ready & WR_READ, name);
    }
}

/** The ready bit says whether it is of use to try before waiting. */
static void note_rest(wr_end *e, bool has_input)
{
    if (has_input) {
        atomic_fetch_or_explicit(&e->ready, WR_READ, memory_order_relaxed);
    }
    else {
        atomic_fetch_and_explicit(&e->ready, (uint8_t)~WR_READ,
                                  memory_order_relaxed);
    }
}

wr_end *wr__input_complete(wr__ring *ring, const wr__ring_event *event,
                           wr_thread *self)
{
    wr_end *e = event->name.object;
    int result = event->result;

    e->in_flight &= (uint8_t)~WR_READ;
    note_rest(e, event->has_input);
    if (e->is_gone) {
        /* Nobody is there to take it. */
    }
    else if (result > 0) {
        wr_end_feed(e, self, event->data, (size_t)result);
    }
    else if (result == 0) {
        wr_end_eof(e, self, 0);
    }
    else if (result != -ENOBUFS && result != -EINTR) {
        wr_end_eof(e, self, -result); /* the others: asked for again */
    }
    if (event->data) {
        wr__ring_give_back(ring, event);
    }
    return e;
}
