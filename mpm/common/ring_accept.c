/*
 * ring_accept.c - see ring_accept.h.
 */
#include "ring_accept.h"

#include <errno.h>
#include <unistd.h>

/* With more room than this it is accepted without counting: more than a
 * listener's queue can hold at a time. */
#define FAR 4096

/** What the kernel was asked for. */
typedef enum asked {
    ASKED_NOTHING,
    ASKED_MANY,   /* whatever comes */
    ASKED_ONE,    /* a connection */
    ASKED_WHETHER /* one waits */
} asked;

typedef struct place {
    asked asked;
    bool is_cancelled; /* the last completion is yet to come */
    bool has_guest;    /* one waits here, as far as is known */
} place;

struct wr__ring_acceptor {
    wr__ring *ring;
    wr__acceptor *acceptor;
    const wr__room *room;
    wr_child *child;
    unsigned kind;
    place *places; /* of each listener */
};

wr__ring_acceptor *wr__ring_acceptor_create(wr__ring *ring, wr__acceptor *a,
                                            const wr__room *room, unsigned kind)
{
    wr_child *child = a->child;
    wr__ring_acceptor *ra = apr_pcalloc(child->pool, sizeof(*ra));

    ra->ring = ring;
    ra->acceptor = a;
    ra->room = room;
    ra->child = child;
    ra->kind = kind;
    ra->places = apr_pcalloc(child->pool, (size_t)child->listener_count
                                              * sizeof(*ra->places));
    a->makes_room = true;
    return ra;
}

/** For how many connections is there room that nobody was asked for yet? */
static int free_places(const wr__ring_acceptor *ra)
{
    int count =
        ra->child->max_connections
        - atomic_load_explicit(&ra->child->connections, memory_order_relaxed);

    for (int i = 0; i < ra->child->listener_count; i++) {
        count -= ra->places[i].asked == ASKED_ONE;
    }
    return count;
}

/** What is to be asked for at a listener that has nothing asked. */
static asked choose(const wr__ring_acceptor *ra, const place *p, bool is_open,
                    bool waits)
{
    int count = free_places(ra);

    if (!is_open) {
        return waits ? ASKED_WHETHER : ASKED_NOTHING;
    }
    if (count > FAR) {
        return ASKED_MANY;
    }
    if (count >= ra->child->listener_count || (p->has_guest && count > 0)) {
        return ASKED_ONE;
    }
    return count > 0 ? ASKED_WHETHER : ASKED_NOTHING;
}

static void ask(wr__ring_acceptor *ra, int i, asked what)
{
    wr__ring_name name = {.kind = ra->kind, .number = (unsigned)i};
    int fd = ra->child->listeners[i]->fd;

    ra->places[i].asked = what;
    switch (what) {
    case ASKED_NOTHING:
        break;
    case ASKED_MANY:
        wr__ring_accept(ra->ring, fd, name);
        break;
    case ASKED_ONE:
        ra->places[i].has_guest = false;
        wr__ring_accept_one(ra->ring, fd, name);
        break;
    case ASKED_WHETHER:
        wr__ring_await_input(ra->ring, fd, name);
        break;
    }
}

/** Is what was asked for to be taken back? */
static bool is_void(const wr__ring_acceptor *ra, const place *p, bool is_open,
                    bool waits)
{
    switch (p->asked) {
    case ASKED_NOTHING:
        return false;
    case ASKED_MANY:
        return !is_open || free_places(ra) <= FAR;
    case ASKED_ONE:
        return !is_open;
    case ASKED_WHETHER:
        break;
    }
    return !is_open && !waits;
}

void wr__ring_acceptor_adjust(wr__ring_acceptor *ra, int64_t now)
{
    bool is_open = wr__acceptor_open(ra->acceptor, now);
    bool waits = wr__acceptor_waits(ra->acceptor, now);

    for (int i = 0; i < ra->child->listener_count; i++) {
        wr__ring_name name = {.kind = ra->kind, .number = (unsigned)i};
        place *p = &ra->places[i];

        if (p->asked == ASKED_NOTHING) {
            ask(ra, i, choose(ra, p, is_open, waits));
        }
        else if (!p->is_cancelled && is_void(ra, p, is_open, waits)) {
            wr__ring_cancel(ra->ring, name);
            p->is_cancelled = true;
        }
    }
}

/** Somebody waits at a listener. */
static void on_guest(wr__ring_acceptor *ra, place *p, int64_t now)
{
    p->has_guest = true;
    if (!wr__acceptor_open(ra->acceptor, now) && ra->acceptor->is_full
        && wr__room_make(ra->room) != WR__ROOM_AGAIN) {
        /* Until one has gone: the kernel has something of it, perhaps. */
        wr__acceptor_give_up(ra->acceptor, now);
    }
}

/* A listener wakes one of those who wait for it, and that can be an accept that
 * is cancelled before it has run: then the connection would lie there until
 * another one comes and wakes somebody else. */
wr_conn *wr__ring_accept_left(wr__ring_acceptor *ra, wr_thread *self)
{
    wr_child *child = ra->child;
    wr__socket accepted;

    if (wr_child_state(child) != WR_CHILD_DRAINING) {
        return NULL;
    }
    for (int i = 0; i < child->listener_count; i++) {
        if (ra->places[i].asked == ASKED_NOTHING
            && atomic_load(&child->connections) < child->max_connections
            && wr__accept_socket(ra->acceptor, self, child->listeners[i],
                                 &accepted)) {
            return wr__accept_conn(self, &accepted);
        }
    }
    return NULL;
}

wr_conn *wr__ring_accepted(wr__ring_acceptor *ra, wr_thread *self,
                           const wr__ring_event *event)
{
    wr_listener *listener = ra->child->listeners[event->name.number];
    place *p = &ra->places[event->name.number];
    asked what = p->asked;
    union {
        struct sockaddr any;
        struct sockaddr_storage space;
    } peer;
    socklen_t len = sizeof(peer);

    if (event->is_last) {
        *p = (place){.has_guest = p->has_guest};
    }
    if (event->result < 0) {
        if (event->result != -ECANCELED) {
            wr__accept_failed(ra->acceptor, self, listener, -event->result);
        }
        return wr__ring_accept_left(ra, self);
    }
    if (what == ASKED_WHETHER) {
        on_guest(ra, p, self->now_ns);
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
        if (ra->places[i].asked != ASKED_NOTHING) {
            return false;
        }
    }
    return ra->acceptor->is_closed;
}
