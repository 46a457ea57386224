/*
 * mpm_sped.c - single process, event-driven (SPED).
 *
 * One thread, one loop.  A turn waits for events and carries each connection
 * that has one as far as it goes without waiting:
 *
 *     .--> wait --> accept, read, find, read the file, send, log --.
 *     '-------------------------------------------------------------'
 *
 * No switch, no lock, no hand-over.  And as in the figure: a call to the file
 * system that blocks stops everything.
 *
 * The thread owns every connection all the time, so none is ever parked.  A
 * request on a kept connection costs a wait, a receive and a send; a connection
 * answered at the first try never enters the poller.
 */
#include "wr_conn.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/accept.h"
#include "mpm/common/poller.h"
#include "mpm/common/queue.h"
#include "mpm/common/timers.h"

typedef struct loop {
    wr_child *child;
    wr_thread *self;
    wr__poller *poller;
    wr__timers timers;
    wr__acceptor acceptor;
    wr__fifo ready; /**< connections that let others go first */
    bool is_stopping;
    bool is_gathering; /**< what is ready now has its turn after the events */
} loop;

#define GATHER_MAX 8 /* connections that are read before they are answered */

static void set_timer(loop *l, wr_conn *c)
{
    if (!wr__timers_cover(c)) {
        wr__timers_set(&l->timers, c, c->deadline);
    }
}

/** Let the connection be until an event or its deadline.  @return false when
 *  it can't wait: it is told to end. */
static bool await(loop *l, wr_conn *c)
{
    set_timer(l, c);
    if (!wr__poller_watch(l->poller, c)) {
        wr_conn_post(c, WR_POST_STOP);
        return false;
    }
    return true;
}

/** Where this architecture stands still. */
static void call(loop *l, wr_conn *c)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run(op);
    wr_op_finish(op);
    wr_thread_tick(l->self);
}

/** One that never waits has a deadline, too. */
static void put_last(loop *l, wr_conn *c)
{
    set_timer(l, c);
    wr__seat_of(c)->is_queued = true;
    wr__fifo_put(&l->ready, &wr__seat_of(c)->task);
}

static bool close_conn(loop *l, wr_conn *c)
{
    wr__timers_remove(&l->timers, c);
    wr__poller_forget(l->poller, c);
    return wr_conn_close(c, l->self);
}

/** Carry a connection on as far as it goes.  It may be gone afterwards. */
static void run(loop *l, wr_conn *c)
{
    if (l->is_stopping && !wr__seat_of(c)->is_told) {
        wr__seat_of(c)->is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    for (;;) {
        switch (wr_conn_step(c, l->self)) {
        case WR_WANT_IO:
            if (!wr_conn_ready(c) && await(l, c)) {
                return;
            }
            if (l->is_gathering) {
                put_last(l, c);
                return;
            }
            wr_conn_io(c, l->self, l->child->quantum);
            break;
        case WR_WANT_RUN:
            break;
        case WR_WANT_CALL:
            call(l, c);
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), l->self);
            break;
        case WR_WANT_YIELD:
            put_last(l, c);
            return;
        case WR_WANT_DROP:
            wr__poller_forget_gone(l->poller, c);
            wr_conn_drop(c, l->self);
            break;
        case WR_WANT_CLOSE:
            if (close_conn(l, c)) {
                return;
            }
            break;
        }
    }
}

static void on_listener(loop *l, wr_listener *listener)
{
    for (int i = 0; i < l->child->accept_limit; i++) {
        wr_conn *c = wr__accept(&l->acceptor, l->self, listener);

        if (!c) {
            break;
        }
        run(l, c);
    }
}

static void on_event(loop *l, wr_conn *c)
{
    /* Queued, its turn comes; and a needless write bit is no reason to run. */
    if (!wr__seat_of(c)->is_queued && wr_conn_ready(c)) {
        wr_conn_io(c, l->self, l->child->quantum);
        run(l, c);
    }
}

static void stop_all(loop *l)
{
    uint32_t place = 0;
    wr_conn *c;

    l->is_stopping = true;
    while ((c = wr__poller_each(l->poller, &place))) {
        if (!wr__seat_of(c)->is_queued) {
            run(l, c);
        }
    }
}

static void handle_ready(loop *l)
{
    wr__fifo now = l->ready;
    wr_task *task;

    l->ready = (wr__fifo){0}; /* who yields again waits for the next turn */
    while ((task = wr__fifo_take(&now))) {
        wr_conn *c = wr__conn_of_task(task);

        wr__seat_of(c)->is_queued = false;
        run(l, c);
    }
}

static void handle_event(loop *l, const wr__event *event)
{
    switch (event->kind) {
    case WR__EVENT_CONN:
        on_event(l, event->conn);
        break;
    case WR__EVENT_LISTENER:
        on_listener(l, event->listener);
        break;
    case WR__EVENT_DRAIN:
        l->acceptor.is_closed = true;
        break;
    case WR__EVENT_STOP:
        l->acceptor.is_closed = true;
        stop_all(l);
        break;
    case WR__EVENT_INBOX:
        break; /* there is none */
    }
}

/** First some are read, then they are answered: a client that sleeps is woken
 *  once for several answers.  Not all of a turn, or what they need would not
 *  stay in the processor's cache. */
static void handle_events(loop *l)
{
    wr__event event;

    while (wr__poller_next(l->poller, &event)) {
        l->is_gathering = true;
        handle_event(l, &event);
        l->is_gathering = false;
        if (l->ready.count >= GATHER_MAX) {
            handle_ready(l);
        }
    }
}

static void handle_timers(loop *l)
{
    int64_t now = l->self->now_ns;
    wr_conn *c;

    while ((c = wr__timers_fire(&l->timers, now))) {
        if (c->deadline > now) {
            set_timer(l, c); /* it has moved on */
            continue;
        }
        wr_conn_post(c, WR_POST_TIMER);
        if (!wr__seat_of(c)->is_queued) {
            run(l, c);
        }
    }
}

static apr_status_t wait_for_events(loop *l)
{
    int64_t now = l->self->now_ns;
    bool is_open = wr__acceptor_open(&l->acceptor, now);
    int64_t until = wr__timers_next(&l->timers);
    int64_t resumes = wr__acceptor_resumes(&l->acceptor);
    apr_status_t rv = wr__poller_listen(l->poller, is_open);

    if (rv == APR_SUCCESS) {
        until = l->ready.first ? now : until < resumes ? until : resumes;
        rv = wr__poller_wait(l->poller, now, until);
    }
    wr_thread_tick(l->self);
    return rv;
}

static bool is_finished(const loop *l)
{
    return l->acceptor.is_closed && atomic_load(&l->child->connections) == 0;
}

static apr_status_t sped_init(wr_child *child)
{
    loop *l = apr_pcalloc(child->pool, sizeof(*l));

    l->child = child;
    l->acceptor.child = child;
    wr__timers_init(&l->timers, child->max_connections, child->pool);
    child->mpm_data = l;
    return wr__poller_create(&l->poller, child);
}

static apr_status_t sped_serve(wr_child *child)
{
    loop *l = child->mpm_data;
    apr_status_t rv = APR_SUCCESS;

    l->self = wr_thread_init(child, "sped");
    while (!is_finished(l)) {
        rv = wait_for_events(l);
        if (rv != APR_SUCCESS) {
            wr_child_fail(child, "waiting for events", rv);
            break;
        }
        handle_events(l);
        handle_timers(l);
        handle_ready(l);
    }
    wr_thread_finish(l->self);
    return rv;
}

static wr_mpm sped_mpm = {
    .name = "sped",
    .summary = "one event loop does it all; a blocking file call stops it",
    .traits = WR_MPM_CALLS_INLINE,
    .conn_bytes = sizeof(wr__seat),
    .init = sped_init,
    .serve = sped_serve,
};

WR_API wr_module mpm_sped_module = {
    WR_MODULE_HEAD("mpm_sped"),
    .mpm = &sped_mpm,
};
