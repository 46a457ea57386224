/*
 * mpm_hybrid.c - worker threads and one thread that shuffles bytes (Gaudet).
 *
 * Threads make request code linear, events make slow connections cheap; so each
 * does what it is good at:
 *
 *     I/O thread                         workers
 *     accepts                            take a task: a request, or requests
 *     reads requests          ----->       to be logged
 *     pumps what is left      <-----     run it up to simple objects, send
 *     waits, times out, closes             what goes at once, and are free
 *
 * The I/O thread ("io", the child's main thread) never blocks and runs neither
 * an op nor a module's code; a worker never waits for a client.  A connection
 * with the I/O thread costs a small structure and no stack.
 *
 * Ownership.  A connection is with the I/O thread, in the workers' queue, with
 * a worker, in the I/O thread's inbox, or parked.  Whoever has it hands it on
 * by a queue, or parks it; a parked one is claimed by the I/O thread, by
 * posting an event or the time.  Only the I/O thread closes, so what it knows
 * of (the poller's table, the timers) is alive, whoever owns it.
 */
#include "wr_conn.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/accept.h"
#include "mpm/common/poller.h"
#include "mpm/common/queue.h"
#include "mpm/common/timers.h"
#include "mpm/common/workers.h"

#include <unistd.h>

typedef struct hybrid_config {
    int workers; /**< ThreadsPerChild */
} hybrid_config;

/** wr_task.kind */
enum {
    TASK_CONN, /**< a connection to be carried on */
    TASK_LOG   /**< a finished request's record */
};

typedef struct hybrid {
    wr_child *child;
    wr__workers *workers;
    wr__inbox inbox; /**< connections that workers hand back */
    /* The rest is the I/O thread's. */
    wr_thread *self;
    wr__poller *poller;
    wr__timers timers;
    wr__acceptor acceptor;
    wr__fifo ready; /**< connections that let others go first */
    wr__fifo work;  /**< tasks for the workers, shipped once a turn */
    bool is_stopping;
} hybrid;

#define WORK_MAX 16 /* so many tasks do not wait for the turn's end */
/* When a deadline has passed while another thread owned the connection. */
#define LOOK_AGAIN WR_SEC

/* The workers' half. */

static void hand_back(hybrid *h, wr_conn *c)
{
    wr_task *task = &wr__seat_of(c)->task;

    task->kind = TASK_CONN;
    wr__inbox_put(&h->inbox, task);
}

/** What it was waiting for has come, by another connection. */
static void resume(wr_conn *c)
{
    hand_back(c->child->mpm_data, c);
}

static void call(wr_conn *c, wr_thread *self)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run(op);
    wr_op_finish(op); /* false: this thread owns the connection */
    wr_thread_tick(self);
}

/**
 * The connection wants I/O: give it up.  @return false if it has something to
 * do after all and is still the caller's.
 *
 * Handed back rather than parked: what can be moved at once (more than the one
 * try's share, or a further request to be read); and what would not be woken,
 * as an end is not watched yet or the timer is set too late.
 */
static bool let_go(hybrid *h, wr_conn *c)
{
    if (!wr_conn_ready(c) && wr__poller_watches(c) && wr__timers_cover(c)) {
        return wr_conn_park(c);
    }
    hand_back(h, c);
    return true;
}

/** Run a connection's request, or a series of them, up to what takes time. */
static void run_conn(hybrid *h, wr_conn *c, wr_thread *self)
{
    bool has_tried = false;

    for (;;) {
        switch (wr_conn_step(c, self)) {
        case WR_WANT_RUN:
            has_tried = false;
            break;
        case WR_WANT_CALL:
            call(c, self);
            has_tried = false;
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), self);
            break;
        case WR_WANT_IO:
            /* A small response leaves here and never sees the I/O thread. */
            if (!has_tried && wr_conn_ready(c)) {
                wr_conn_io(c, self, h->child->quantum);
                has_tried = true;
            }
            else if (let_go(h, c)) {
                return;
            }
            break;
        case WR_WANT_YIELD:
        case WR_WANT_DROP:
        case WR_WANT_CLOSE:
            hand_back(h, c);
            return;
        }
    }
}

static void run_task(wr_thread *self, wr_task *task, void *arg)
{
    if (task->kind == TASK_LOG) {
        wr_record_log((wr_record *)task, self);
    }
    else {
        run_conn(arg, wr__conn_of_task(task), self);
    }
}

/* The I/O thread's half. */

static void hand_over(hybrid *h, wr_task *task, int kind)
{
    task->kind = kind;
    wr__fifo_put(&h->work, task);
    if (h->work.count >= WORK_MAX) {
        wr__workers_submit(h->workers, &h->work);
    }
}

static void set_timer(hybrid *h, wr_conn *c)
{
    if (!wr__timers_cover(c)) {
        wr__timers_set(&h->timers, c, c->deadline);
    }
}

/** Park the connection until an event or its deadline.  @return false if it is
 *  still the caller's. */
static bool await(hybrid *h, wr_conn *c)
{
    set_timer(h, c);
    if (!wr__poller_watch(h->poller, c)) {
        wr_conn_post(c, WR_POST_STOP); /* it can't wait: let it end */
        return false;
    }
    return wr_conn_park(c);
}

/** @return false if an op is still out: then it comes back, and again here. */
static bool close_conn(hybrid *h, wr_conn *c)
{
    wr__timers_remove(&h->timers, c);
    wr__poller_forget(h->poller, c);
    return wr_conn_close(c, h->self);
}

/** Shuffle a connection's bytes; give it away when there is more to do than
 *  that.  The caller owns it, and no longer afterwards. */
static void shuffle(hybrid *h, wr_conn *c)
{
    wr__seat *seat = wr__seat_of(c);

    if (h->is_stopping && !seat->is_told) {
        seat->is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    for (;;) {
        switch (wr_conn_step(c, h->self)) {
        case WR_WANT_IO:
            if (!wr_conn_ready(c) && await(h, c)) {
                return;
            }
            wr_conn_io(c, h->self, h->child->quantum);
            break;
        case WR_WANT_RUN:
        case WR_WANT_CALL:
            hand_over(h, &seat->task, TASK_CONN);
            return;
        case WR_WANT_LOG:
            /* A record's first bytes are a task; it needs no connection. */
            hand_over(h, (wr_task *)wr_conn_take_log(c), TASK_LOG);
            break;
        case WR_WANT_YIELD:
            set_timer(h, c); /* one that never waits has a deadline, too */
            wr__fifo_put(&h->ready, &seat->task);
            return;
        case WR_WANT_DROP:
            wr__poller_forget_gone(h->poller, c);
            wr_conn_drop(c, h->self);
            break;
        case WR_WANT_CLOSE:
            if (close_conn(h, c) || wr_conn_park(c)) {
                return;
            }
            break;
        }
    }
}

static void on_listener(hybrid *h, wr_listener *listener)
{
    for (int i = 0; i < h->child->accept_limit; i++) {
        wr_conn *c = wr__accept(&h->acceptor, h->self, listener);

        if (!c) {
            break;
        }
        shuffle(h, c);
    }
}

static void on_event(hybrid *h, wr_conn *c)
{
    /* Not claimed, it is with somebody who will find the post: in time, since
     * an owner that goes to wait is refused by wr_conn_park(). */
    if (wr_conn_post(c, WR_POST_EVENT)) {
        shuffle(h, c);
    }
}

static void on_deadline(hybrid *h, wr_conn *c)
{
    if (wr_conn_post(c, WR_POST_TIMER)) {
        shuffle(h, c); /* sets the timer anew if the deadline has moved on */
    }
    else {
        /* Its deadline is its owner's to read.  What this sets may lie behind
         * it, but then the owner finds the post, or no timer, or this one. */
        wr__timers_set(&h->timers, c, h->self->now_ns + LOOK_AGAIN);
    }
}

static void stop_all(hybrid *h)
{
    uint32_t place = 0;
    wr_conn *c;

    h->is_stopping = true;
    while ((c = wr__poller_each(h->poller, &place))) {
        if (wr__seat_of(c)->is_told) {
            continue;
        }
        wr__seat_of(c)->is_told = true;
        if (wr_conn_post(c, WR_POST_STOP)) {
            shuffle(h, c);
        }
    }
}

static void handle_events(hybrid *h)
{
    wr__event event;

    while (wr__poller_next(h->poller, &event)) {
        switch (event.kind) {
        case WR__EVENT_CONN:
            on_event(h, event.conn);
            break;
        case WR__EVENT_LISTENER:
            on_listener(h, event.listener);
            break;
        case WR__EVENT_DRAIN:
            h->acceptor.is_closed = true;
            break;
        case WR__EVENT_STOP:
            h->acceptor.is_closed = true;
            stop_all(h);
            break;
        case WR__EVENT_OTHER: /* there is none */
        case WR__EVENT_INBOX:
            break; /* it woke the thread; the inbox is looked at every turn */
        }
    }
}

/** Carry on what yielded, and what workers hand back. */
static void handle_ready(hybrid *h)
{
    wr__fifo now = h->ready;
    wr_task *task;

    h->ready = (wr__fifo){0};
    wr__inbox_take(&h->inbox, &now);
    while ((task = wr__fifo_take(&now))) {
        shuffle(h, wr__conn_of_task(task));
    }
}

static apr_status_t wait_for_events(hybrid *h)
{
    int64_t now = h->self->now_ns;
    bool is_open = wr__acceptor_open(&h->acceptor, now);
    int64_t until = wr__timers_next(&h->timers);
    int64_t resumes = wr__acceptor_resumes(&h->acceptor);
    apr_status_t rv = wr__poller_listen(h->poller, is_open);

    until = until < resumes ? until : resumes;
    if (rv == APR_SUCCESS) {
        if (h->ready.first || !wr__inbox_sleep(&h->inbox)) {
            until = now;
        }
        rv = wr__poller_wait(h->poller, now, until);
        wr__inbox_wake(&h->inbox);
    }
    wr_thread_tick(h->self);
    return rv;
}

static bool is_finished(const hybrid *h)
{
    return h->acceptor.is_closed && atomic_load(&h->child->connections) == 0;
}

static apr_status_t run_io_thread(hybrid *h)
{
    wr_conn *c;

    while (!is_finished(h)) {
        apr_status_t rv = wait_for_events(h);

        if (rv != APR_SUCCESS) {
            wr_child_fail(h->child, "waiting for events", rv);
            return rv;
        }
        handle_events(h);
        handle_ready(h);
        while ((c = wr__timers_fire(&h->timers, h->self->now_ns))) {
            on_deadline(h, c);
        }
        wr__workers_submit(h->workers, &h->work);
    }
    return APR_SUCCESS;
}

static apr_status_t hybrid_init(wr_child *child)
{
    hybrid *h = apr_pcalloc(child->pool, sizeof(*h));
    apr_status_t rv = wr__inbox_init(&h->inbox, child->pool);

    h->child = child;
    h->acceptor.child = child;
    wr__timers_init(&h->timers, child->max_connections, child->pool);
    child->mpm_data = h;
    if (rv == APR_SUCCESS) {
        rv = wr__poller_create(&h->poller, child);
    }
    if (rv == APR_SUCCESS) {
        rv = wr__poller_add_inbox(h->poller, h->inbox.fd);
    }
    return rv;
}

static apr_status_t hybrid_serve(wr_child *child)
{
    const hybrid_config *config = child->mpm_config;
    hybrid *h = child->mpm_data;
    apr_status_t rv = wr__workers_start(&h->workers, child, "worker",
                                        config->workers, run_task, h);

    if (rv != APR_SUCCESS) {
        wr_child_fail(child, "starting workers", rv);
        return rv;
    }
    h->self = wr_thread_init(child, "io");
    rv = run_io_thread(h);
    wr__workers_stop(h->workers); /* what is to be logged still is */
    wr_thread_finish(h->self);
    return rv;
}

static void *hybrid_config_create(apr_pool_t *pool)
{
    hybrid_config *config = apr_pcalloc(pool, sizeof(*config));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    /* The rule of thumb for threads that compute and now and then wait. */
    config->workers = cores < 1 ? 3 : cores > 31 ? 63 : 2 * (int)cores + 1;
    return config;
}

static const wr_command hybrid_commands[] = {
    {
        .name = "ThreadsPerChild",
        .run = wr_set_int,
        .context = WR_IN_MPM,
        .min_args = 1,
        .max_args = 1,
        .args = "number",
        .help = "Workers of a process: requests run at once, of any number of "
                "connections.  By default two a core, and one.",
        .offset = offsetof(hybrid_config, workers),
        .min = 1,
        .max = 4096,
    },
    {.name = NULL},
};

static wr_mpm hybrid_mpm = {
    .name = "hybrid",
    .summary = "threads run requests, one thread moves all slow bytes",
    .traits = WR_MPM_THREADED,
    .conn_bytes = sizeof(wr__seat),
    .commands = hybrid_commands,
    .config_create = hybrid_config_create,
    .resume = resume,
    .init = hybrid_init,
    .serve = hybrid_serve,
};

WR_API wr_module mpm_hybrid_module = {
    WR_MODULE_HEAD("mpm_hybrid"),
    .mpm = &hybrid_mpm,
};
