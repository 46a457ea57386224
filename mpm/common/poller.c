/*
 * poller.c - see poller.h.
 */
#include "poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH          256 /* events fetched at once */
#define ENDS_PER_CONN  2   /* on average, at most: a client and a back end */
#define PLACE_RESERVED 0   /* in an event: none of an end */

/** A row of the table of ends; a free one is linked to the next. */
struct row {
    wr_end *end; /**< NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct wr__poller {
    int fd;
    wr_child *child;
    struct row *rows; /**< [1..used), by wr_end.slot */
    uint32_t used, max;
    uint32_t first_free; /**< 0: none below used */
    bool is_listening;
    int next, count; /**< of events[] */
    struct epoll_event events[BATCH];
};

/* What an event carries: in its low half an end's place, in its high half the
 * generation; or PLACE_RESERVED and what it is, with a listener's number. */

static uint64_t name_of_row(const struct row *row, uint32_t place)
{
    return (uint64_t)row->generation << 32 | place;
}

static uint64_t name_of_other(wr__event_kind kind, int number)
{
    return (uint64_t)((unsigned)number << 8 | kind) << 32 | PLACE_RESERVED;
}

static apr_status_t add(wr__poller *p, int fd, uint32_t events, uint64_t name)
{
    struct epoll_event event = {.events = events, .data.u64 = name};

    return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

static apr_status_t close_poller(void *data)
{
    wr__poller *p = data;

    close(p->fd);
    return APR_SUCCESS;
}

apr_status_t wr__poller_create(wr__poller **poller, wr_child *child)
{
    wr__poller *p = apr_pcalloc(child->pool, sizeof(*p));
    apr_status_t rv;

    p->child = child;
    p->used = 1;
    p->max = (uint32_t)child->max_connections * ENDS_PER_CONN + 1;
    /* Not zeroed: memory that no connection needs is never touched. */
    p->rows = apr_palloc(child->pool, p->max * sizeof(*p->rows));
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0) {
        return errno;
    }
    apr_pool_cleanup_register(child->pool, p, close_poller,
                              apr_pool_cleanup_null);
    /* Both stay readable: by their edge they are reported once. */
    rv = add(p, child->drain_fd, EPOLLIN | EPOLLET,
             name_of_other(WR__EVENT_DRAIN, 0));
    if (rv == APR_SUCCESS) {
        rv = add(p, child->stop_fd, EPOLLIN | EPOLLET,
                 name_of_other(WR__EVENT_STOP, 0));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *poller = p;
    return APR_SUCCESS;
}

apr_status_t wr__poller_add_inbox(wr__poller *p, int fd)
{
    return add(p, fd, EPOLLIN | EPOLLET, name_of_other(WR__EVENT_INBOX, 0));
}

apr_status_t wr__poller_add_other(wr__poller *p, int fd, int number)
{
    return add(p, fd, EPOLLIN, name_of_other(WR__EVENT_OTHER, number));
}

void wr__poller_remove_other(wr__poller *p, int fd)
{
    (void)epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, NULL);
}

apr_status_t wr__poller_listen(wr__poller *p, bool on)
{
    wr_child *child = p->child;

    if (p->is_listening == on) {
        return APR_SUCCESS;
    }
    p->is_listening = on;
    for (int i = 0; i < child->listener_count; i++) {
        int fd = child->listeners[i]->fd;
        apr_status_t rv = APR_SUCCESS;

        if (!on) {
            (void)epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, NULL);
        }
        else {
            /* By level, since a report is not accepted from until it is
             * empty; exclusive, since other processes may wait here too. */
            rv = add(p, fd, EPOLLIN | EPOLLEXCLUSIVE,
                     name_of_other(WR__EVENT_LISTENER, i));
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

bool wr__poller_watches(const wr_conn *c)
{
    for (const wr_end *e = c->ends; e; e = e->next) {
        if (e->slot == 0) {
            return false;
        }
    }
    return true;
}

static uint32_t take_place(wr__poller *p)
{
    uint32_t place = p->first_free;

    if (place) {
        p->first_free = p->rows[place].next_free;
    }
    else if (p->used < p->max) {
        place = p->used++;
        p->rows[place].generation = 0;
    }
    return place;
}

static void free_place(wr__poller *p, uint32_t place)
{
    struct row *row = &p->rows[place];

    row->end = NULL;
    row->generation++; /* fetched events of the old one are void */
    row->next_free = p->first_free;
    p->first_free = place;
}

static bool watch_end(wr__poller *p, wr_end *e)
{
    uint32_t place = take_place(p);
    struct row *row = &p->rows[place];

    if (!place) {
        return false;
    }
    if (add(p, e->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
            name_of_row(row, place))
        != APR_SUCCESS) {
        free_place(p, place);
        return false;
    }
    row->end = e;
    e->slot = place;
    return true;
}

bool wr__poller_watch(wr__poller *p, wr_conn *c)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        if (e->slot == 0 && !watch_end(p, e)) {
            return false;
        }
    }
    return true;
}

/** A client's socket is ours alone, so closing it ends its registration and
 *  spares the call; what came from elsewhere may be open there too. */
static void forget_end(wr__poller *p, wr_end *e)
{
    if (e->slot) {
        free_place(p, e->slot);
        if (e != e->conn->ends) {
            (void)epoll_ctl(p->fd, EPOLL_CTL_DEL, e->fd, NULL);
        }
        e->slot = 0;
    }
}

void wr__poller_forget(wr__poller *p, wr_conn *c)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        forget_end(p, e);
    }
}

void wr__poller_forget_gone(wr__poller *p, wr_conn *c)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        if (e->is_gone) {
            forget_end(p, e);
        }
    }
}

apr_status_t wr__poller_wait(wr__poller *p, int64_t now, int64_t until)
{
    p->next = 0;
    p->count =
        epoll_wait(p->fd, p->events, BATCH, wr__poll_timeout(until, now));
    if (p->count < 0) {
        p->count = 0;
        return errno == EINTR ? APR_SUCCESS : errno;
    }
    return APR_SUCCESS;
}

bool wr__poller_next(wr__poller *p, wr__event *event)
{
    while (p->next < p->count) {
        const struct epoll_event *e = &p->events[p->next++];
        uint32_t place = (uint32_t)e->data.u64;
        uint32_t high = (uint32_t)(e->data.u64 >> 32);

        if (place == PLACE_RESERVED) {
            event->kind = (wr__event_kind)(high & 255);
            if (event->kind == WR__EVENT_LISTENER) {
                event->listener = p->child->listeners[high >> 8];
            }
            event->number = (int)(high >> 8);
            return true;
        }
        if (p->rows[place].end && p->rows[place].generation == high) {
            wr_end *end = p->rows[place].end;

            /* Before anything is posted: who finds the post finds the bits. */
            atomic_fetch_or_explicit(&end->ready, wr__ready_bits(e->events),
                                     memory_order_release);
            event->kind = WR__EVENT_CONN;
            event->conn = end->conn;
            return true;
        }
    }
    return false;
}

wr_conn *wr__poller_each(const wr__poller *p, uint32_t *place)
{
    while (++*place < p->used) {
        if (p->rows[*place].end) {
            return p->rows[*place].end->conn;
        }
    }
    return NULL;
}
