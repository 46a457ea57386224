/*
 * poller.h - edge-triggered readiness of connections' ends, and of the child's
 * listeners and signals.
 *
 * One thread's.  Each end is registered once, for all that may happen to it,
 * when it is first waited for; from then on waiting costs nothing but the wait
 * itself.  An event names a place in a table and that place's generation, not
 * a pointer, so one that comes for a connection already closed is recognised.
 * epoll directly: APR's pollset knows neither edges nor exclusive waits.
 */
#ifndef WR__POLLER_H
#define WR__POLLER_H

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_mpm.h"

#include <limits.h>
#include <poll.h>

typedef struct wr__poller wr__poller;

typedef enum wr__event_kind {
    WR__EVENT_CONN,     /**< an end has become ready; its bits are set */
    WR__EVENT_LISTENER, /**< connections are there to be accepted */
    WR__EVENT_INBOX,    /**< what wr__poller_add_inbox() added */
    WR__EVENT_OTHER,    /**< what wr__poller_add_other() added is readable */
    WR__EVENT_DRAIN,    /**< once: accept no more */
    WR__EVENT_STOP      /**< once: close all */
} wr__event_kind;

typedef struct wr__event {
    wr__event_kind kind;
    wr_conn *conn;         /**< CONN.  Perhaps another's: post, don't look */
    wr_listener *listener; /**< LISTENER */
    int number;            /**< OTHER */
} wr__event;

/** Ready bits for what poll() or epoll reports (the same numbers). */
static inline uint8_t wr__ready_bits(unsigned events)
{
    uint8_t bits = 0;

    if (events & POLLIN) {
        bits |= WR_READ;
    }
    if (events & POLLOUT) {
        bits |= WR_WRITE;
    }
    if (events & (POLLRDHUP | POLLHUP | POLLERR)) {
        bits |= WR_READ | WR_WRITE | WR_HUP;
    }
    return bits;
}

/** Time-out for poll() and epoll_wait(): milliseconds, rounded up so as never
 *  to be early. */
static inline int wr__poll_timeout(int64_t until, int64_t now)
{
    int64_t ms;

    if (until == WR_NEVER) {
        return -1;
    }
    ms = until > now ? (until - now + WR_MS - 1) / WR_MS : 0;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/** A poller that watches the child's drain_fd and stop_fd; not yet its
 *  listeners.  Ends with child->pool. */
apr_status_t wr__poller_create(wr__poller **poller, wr_child *child);
/** Watch an eventfd. */
apr_status_t wr__poller_add_inbox(wr__poller *p, int fd);
/** Watch any descriptor, by level; its events bear @a number, from 0 on. */
apr_status_t wr__poller_add_other(wr__poller *p, int fd, int number);
/** Watch it no longer: before it is closed.  Events of it that were fetched
 *  may still come. */
void wr__poller_remove_other(wr__poller *p, int fd);
/** Watch the child's listeners, or no longer.  Nothing if it is so already. */
apr_status_t wr__poller_listen(wr__poller *p, bool on);

/** Are all ends of the connection watched?  @thread the owner's, any. */
bool wr__poller_watches(const wr_conn *c);
/**
 * Watch all ends of the connection.  What is ready already is reported, so
 * nothing is lost between the last vain try and this.
 *
 * @return false when the kernel refused.
 */
bool wr__poller_watch(wr__poller *p, wr_conn *c);
/** Forget the ends of a connection that is about to be closed.  Events already
 *  fetched are void. */
void wr__poller_forget(wr__poller *p, wr_conn *c);

/** Likewise the ends that are about to be dropped. */
void wr__poller_forget_gone(wr__poller *p, wr_conn *c);

/** Wait for events, at most until @a until (monotonic ns, WR_NEVER, or in the
 *  past: just look). */
apr_status_t wr__poller_wait(wr__poller *p, int64_t now, int64_t until);
/** The next of the events that were waited for. */
bool wr__poller_next(wr__poller *p, wr__event *event);

/** All connections that are watched, one by one: start with *place 0; NULL
 *  when there are no more.  The one got last may be closed meanwhile. */
wr_conn *wr__poller_each(const wr__poller *p, uint32_t *place);

#endif
