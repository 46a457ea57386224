/*
 * loop.c - see loop.h.
 */
#include "loop.h"

#include "room.h"

#include "wr_board.h"

/* When a deadline has passed while another thread owned the connection. */
#define LOOK_AGAIN WR_SEC

/** Are there other threads that hand things on to this one? */
static bool has_inbox(const wr__loop *l)
{
    return l->calls->is_shared || l->calls->on_task;
}

void wr__loop_drop(wr__loop *l, wr_conn *c)
{
    wr__poller_forget_gone(l->poller, c);
    wr_conn_drop(c, l->self);
}

bool wr__loop_close(wr__loop *l, wr_conn *c)
{
    wr__timers_remove(&l->timers, c);
    wr__poller_forget(l->poller, c);
    return wr_conn_close(c, l->self);
}

static void carry_for_room(void *arg, wr_conn *c)
{
    wr__loop *l = arg;

    l->calls->carry(l, c);
}

/** Somebody has come, and there are as many as may be. */
static void make_room(wr__loop *l)
{
    wr__room room = {.timers = &l->timers,
                     .is_shared = l->calls->is_shared,
                     .carry = carry_for_room,
                     .arg = l};

    if (wr__room_make(&room) == WR__ROOM_NONE) {
        wr__acceptor_give_up(&l->acceptor, l->self->now_ns);
    }
}

static void on_listener(wr__loop *l, wr_listener *listener)
{
    int count;

    if (!wr__acceptor_open(&l->acceptor, l->self->now_ns)
        && l->acceptor.is_full) {
        make_room(l);
    }
    count = wr__acceptor_count(&l->acceptor, listener);
    for (int i = 0; i < count; i++) {
        wr_conn *c = wr__accept(&l->acceptor, l->self, listener);

        if (!c) {
            break;
        }
        l->calls->carry(l, c);
    }
}

/**
 * Accept no more.  The kernel reports a connection to one of those who wait for
 * it, and to nobody else if that one does not take it: so what is there already
 * is taken.  Otherwise a client would wait for the next generation, which knows
 * nothing of it, until another one comes.
 */
static void on_drain(wr__loop *l)
{
    (void)wr__poller_listen(l->poller, false); /* taking off does not fail */
    l->acceptor.is_last = true;
    for (int i = 0; i < l->child->listener_count; i++) {
        on_listener(l, l->child->listeners[i]);
    }
    l->acceptor.is_closed = true;
}

static void on_event(wr__loop *l, wr_conn *c)
{
    if (l->calls->is_shared) {
        /* Not claimed, it is with somebody who will find the post: in time,
         * since an owner that goes to wait is refused by wr_conn_park(). */
        if (wr_conn_post(c, WR_POST_EVENT)) {
            l->calls->carry(l, c);
        }
    }
    /* Queued, its turn comes; and a needless write bit is no reason to run. */
    else if (!wr__seat_of(c)->is_queued && wr_conn_ready(c)) {
        wr_conn_io(c, l->self, l->child->quantum);
        l->calls->carry(l, c);
    }
}

static void on_deadline(wr__loop *l, wr_conn *c)
{
    if (l->calls->is_shared) {
        if (wr_conn_post(c, WR_POST_TIMER)) {
            l->calls->carry(l, c); /* sets a timer if it has moved on */
        }
        else {
            /* Its deadline is its owner's to read.  What this sets may lie
             * behind it, but then the owner finds the post, or no timer, or
             * this one. */
            wr__timers_set(&l->timers, c, l->self->now_ns + LOOK_AGAIN);
        }
    }
    else if (c->deadline > l->self->now_ns) {
        wr__loop_set_timer(l, c); /* it has moved on */
    }
    else {
        wr_conn_post(c, WR_POST_TIMER);
        wr__loop_resume(l, c);
    }
}

static void stop_one(wr__loop *l, wr_conn *c)
{
    if (!l->calls->is_shared) {
        if (!wr__seat_of(c)->is_queued) {
            l->calls->carry(l, c); /* which tells it */
        }
    }
    else if (!wr__seat_of(c)->is_told) {
        wr__seat_of(c)->is_told = true;
        if (wr_conn_post(c, WR_POST_STOP)) {
            l->calls->carry(l, c);
        }
    }
}

static void stop_all(wr__loop *l)
{
    uint32_t place = 0;
    wr_conn *c;

    l->is_stopping = true;
    while ((c = wr__poller_each(l->poller, &place))) {
        stop_one(l, c);
    }
}

static void handle_ready(wr__loop *l)
{
    wr__fifo now = l->ready;
    wr_task *task;

    l->ready = (wr__fifo){0}; /* who yields again waits for the next turn */
    while ((task = wr__fifo_take(&now))) {
        wr_conn *c = wr__conn_of_task(task);

        wr__seat_of(c)->is_queued = false;
        l->calls->carry(l, c);
    }
}

static void handle_inbox(wr__loop *l)
{
    wr__fifo now = {0};
    wr_task *task;

    wr__inbox_take(&l->inbox, &now);
    while ((task = wr__fifo_take(&now))) {
        if (l->calls->on_task) {
            l->calls->on_task(l, task);
        }
        else {
            l->calls->carry(l, wr__conn_of_task(task));
        }
    }
}

static void handle_event(wr__loop *l, const wr__event *event)
{
    switch (event->kind) {
    case WR__EVENT_CONN:
        on_event(l, event->conn);
        break;
    case WR__EVENT_LISTENER:
        on_listener(l, event->listener);
        break;
    case WR__EVENT_OTHER:
        l->calls->on_other(l, event->number);
        break;
    case WR__EVENT_DRAIN:
        on_drain(l);
        break;
    case WR__EVENT_STOP:
        l->acceptor.is_closed = true;
        stop_all(l);
        break;
    case WR__EVENT_INBOX:
        break; /* it woke the thread; the inbox is looked at every turn */
    }
}

/** Where it is gathered, first some are read, then they are answered: a client
 *  that sleeps is woken once for several answers.  Not all of a turn, or what
 *  they need would not stay in the processor's cache. */
static void handle_events(wr__loop *l)
{
    int gather_max = l->calls->gather_max;
    wr__event event;

    while (wr__poller_next(l->poller, &event)) {
        l->is_gathering = gather_max > 0;
        handle_event(l, &event);
        l->is_gathering = false;
        if (gather_max && l->ready.count >= gather_max) {
            handle_ready(l);
        }
    }
}

static void handle_timers(wr__loop *l)
{
    wr_conn *c;

    while ((c = wr__timers_fire(&l->timers, l->self->now_ns))) {
        on_deadline(l, c);
    }
}

static apr_status_t wait_for_events(wr__loop *l)
{
    int64_t now = l->self->now_ns;
    bool is_open = wr__acceptor_open(&l->acceptor, now);
    int64_t until = wr__timers_next(&l->timers);
    int64_t resumes = wr__acceptor_resumes(&l->acceptor);
    apr_status_t rv = wr__poller_listen(
        l->poller, is_open || wr__acceptor_waits(&l->acceptor, now));

    if (rv == APR_SUCCESS) {
        until = until < resumes ? until : resumes;
        until = until < l->wake_ns ? until : l->wake_ns;
        if (l->ready.first || (has_inbox(l) && !wr__inbox_sleep(&l->inbox))) {
            until = now;
        }
        wr_role_is(l->self, WR_ROLE_WAITING);
        rv = wr__poller_wait(l->poller, now, until);
        wr_role_is(l->self, WR_ROLE_BUSY);
        if (has_inbox(l)) {
            wr__inbox_wake(&l->inbox);
        }
    }
    wr_thread_tick(l->self);
    return rv;
}

static bool is_finished(const wr__loop *l)
{
    return l->acceptor.is_closed && atomic_load(&l->child->connections) == 0;
}

apr_status_t wr__loop_init(wr__loop *l, wr_child *child,
                           const wr__loop_calls *calls, void *arg)
{
    apr_status_t rv = wr__poller_create(&l->poller, child);

    l->calls = calls;
    l->child = child;
    l->arg = arg;
    l->acceptor.child = child;
    l->acceptor.makes_room = true;
    l->wake_ns = WR_NEVER;
    wr__timers_init(&l->timers, child->max_connections, child->pool);
    if (rv == APR_SUCCESS && has_inbox(l)) {
        rv = wr__inbox_init(&l->inbox, child->pool);
        if (rv == APR_SUCCESS) {
            rv = wr__poller_add_inbox(l->poller, l->inbox.fd);
        }
    }
    return rv;
}

apr_status_t wr__loop_run(wr__loop *l)
{
    while (!is_finished(l)) {
        apr_status_t rv = wait_for_events(l);

        if (rv != APR_SUCCESS) {
            wr_child_fail(l->child, "waiting for events", rv);
            return rv;
        }
        handle_events(l);
        handle_timers(l);
        if (has_inbox(l)) {
            handle_inbox(l);
        }
        handle_ready(l);
        if (l->calls->end_turn) {
            l->calls->end_turn(l);
        }
    }
    return APR_SUCCESS;
}
