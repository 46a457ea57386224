/*
 * ring_accept.c - see ring_accept.h.
 */
#include "ring_accept.h"

#include <errno.h>
#include <unistd.h>

typedef enum accept_state {
    ACCEPT_IDLE,
    ACCEPT_ASKED,
    ACCEPT_CANCELLED /* the last completion is yet to come */
} accept_state;

struct wr__ring_acceptor {
    wr__ring *ring;
    wr__acceptor *acceptor;
    wr_child *child;
    unsigned kind;
    accept_state *states; /* of each listener */
};

wr__ring_acceptor *wr__ring_acceptor_create(wr__ring *ring, wr__acceptor *a,
                                            unsigned kind)
{
    wr_child *child = a->child;
    wr__ring_acceptor *ra = apr_pcalloc(child->pool, sizeof(*ra));

    ra->ring = ring;
    ra->acceptor = a;
    ra->child = child;
    ra->kind = kind;
    ra->states = apr_pcalloc(child->pool, (size_t)child->listener_count
                                              * sizeof(*ra->states));
    return ra;
}

void wr__ring_acceptor_adjust(wr__ring_acceptor *ra, int64_t now)
{
    bool is_open = wr__acceptor_open(ra->acceptor, now);

    for (int i = 0; i < ra->child->listener_count; i++) {
        wr__ring_name name = {.kind = ra->kind, .number = (unsigned)i};

        if (is_open && ra->states[i] == ACCEPT_IDLE) {
            wr__ring_accept(ra->ring, ra->child->listeners[i]->fd, name);
            ra->states[i] = ACCEPT_ASKED;
        }
        else if (!is_open && ra->states[i] == ACCEPT_ASKED) {
            wr__ring_cancel(ra->ring, name);
            ra->states[i] = ACCEPT_CANCELLED;
        }
    }
}

wr_conn *wr__ring_accepted(wr__ring_acceptor *ra, wr_thread *self,
                           const wr__ring_event *event)
{
    wr_listener *listener = ra->child->listeners[event->name.number];
    union {
        struct sockaddr any;
        struct sockaddr_storage space;
    } peer;
    socklen_t len = sizeof(peer);

    if (event->is_last) {
        ra->states[event->name.number] = ACCEPT_IDLE;
    }
    if (event->result < 0) {
        if (event->result != -ECANCELED) {
            wr__accept_failed(ra->acceptor, self, listener, -event->result);
        }
        return NULL;
    }
    /* One request for any number of connections has no room for addresses.
     * Who is gone already has none, and whoever has none could not be told
     * from those who are let in. */
    if (getpeername(event->result, &peer.any, &len) < 0) {
        close(event->result);
        return NULL;
    }
    return wr__accepted(self, event->result, listener, &peer.any, len);
}

bool wr__ring_acceptor_is_closed(const wr__ring_acceptor *ra)
{
    for (int i = 0; i < ra->child->listener_count; i++) {
        if (ra->states[i] != ACCEPT_IDLE) {
            return false;
        }
    }
    return ra->acceptor->is_closed;
}
