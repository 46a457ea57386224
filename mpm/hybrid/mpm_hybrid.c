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
 * with the I/O thread costs a small structure and no stack.  Two arrows may be
 * moved: TaskStart readable lets workers read requests, HandOver always keeps
 * them from sending.
 *
 * Ownership.  A connection is with the I/O thread, in the workers' queue, with
 * a worker, in the I/O thread's inbox, or parked.  Whoever has it hands it on
 * by a queue, or parks it; a parked one is claimed by the I/O thread, by
 * posting an event or the time.  Only the I/O thread closes, so what it knows
 * of (the poller's table, the timers) is alive, whoever owns it.
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_end.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/loop.h"
#include "mpm/common/workers.h"

#include <apr_strings.h>

/** TaskStart */
enum {
    START_REQUEST, /**< the I/O thread reads until a request is complete */
    START_READABLE /**< a worker reads as soon as there is something */
};

/** HandOver */
enum {
    HAND_OVER_LEFTOVER, /**< a worker sends first; what is left is handed over
                         */
    HAND_OVER_ALWAYS    /**< the I/O thread sends */
};

typedef struct hybrid_config {
    wr__pool_size size; /**< ThreadsPerChild, MaxThreadsPerChild */
    int dispatch;       /**< TaskDispatch */
    int queue_limit;    /**< TaskQueueLimit */
    int task_start;     /**< TaskStart */
    int hand_over;      /**< HandOver */
} hybrid_config;

/** wr_task.kind */
enum {
    TASK_CONN, /**< a connection to be carried on */
    TASK_READ, /**< ... which is readable, and to be read first */
    TASK_LOG   /**< a finished request's record */
};

typedef struct hybrid {
    const hybrid_config *config;
    wr__loop loop; /**< its inbox: connections that workers hand back */
    wr__workers *workers;
    /* The rest is the I/O thread's. */
    wr__fifo work; /**< tasks for the workers, shipped once a turn */
    wr__fifo held; /**< readable connections that are not read for now */
    bool is_full;  /**< there was no room for all of the work */
} hybrid;

#define WORK_MAX 16 /* so many tasks do not wait for the turn's end */

/** Bits of the client that are both wanted and ready. */
static unsigned client_ready(const wr_conn *c)
{
    return c->ends->want
           & atomic_load_explicit(&c->ends->ready, memory_order_relaxed);
}

/** wr_conn_io() for some bits of the client alone.  The next step says again
 *  what is wanted. */
static void client_io(wr_conn *c, wr_thread *self, unsigned bits)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        e->want = e == c->ends ? (uint8_t)(e->want & bits) : 0;
    }
    wr_conn_io(c, self, c->child->quantum);
}

/* The workers' half. */

static void hand_back(hybrid *h, wr_conn *c, wr_thread *self)
{
    wr_task *task = &wr__seat_of(c)->task;

    task->kind = TASK_CONN;
    wr_count(self, WR_N_HAND_OVERS, 1);
    if (wr__inbox_put(&h->loop.inbox, task)) {
        wr_count(self, WR_N_WAKE_UPS, 1);
    }
}

/** What it was waiting for has come, by another connection. */
static void resume(wr_conn *c)
{
    hybrid *h = c->child->mpm_data;

    wr__seat_of(c)->task.kind = TASK_CONN;
    wr__inbox_put(&h->loop.inbox, &wr__seat_of(c)->task);
}

static void call(wr_conn *c, wr_thread *self)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run_timed(op, self);
    wr_op_finish(op); /* false: this thread owns the connection */
}

/**
 * The connection wants I/O: give it up.  @return false if it has something to
 * do after all and is still the caller's.
 *
 * Handed back rather than parked: what can be moved at once (more than the one
 * try's share, or a further request to be read); and what would not be woken,
 * as an end is not watched yet or the timer is set too late.
 */
static bool let_go(hybrid *h, wr_conn *c, wr_thread *self)
{
    if (!wr_conn_ready(c) && wr__poller_watches(c) && wr__timers_cover(c)) {
        return wr_conn_park(c);
    }
    hand_back(h, c, self);
    return true;
}

/** What a worker may do of what the client is ready for. */
static unsigned share_of_worker(const hybrid *h, const wr_conn *c,
                                bool has_sent)
{
    unsigned bits = client_ready(c);

    if (h->config->task_start == START_REQUEST) {
        bits &= ~(unsigned)WR_READ;
    }
    if (h->config->hand_over == HAND_OVER_ALWAYS || has_sent) {
        bits &= ~(unsigned)WR_WRITE;
    }
    return bits;
}

/** Run a connection's request, or a series of them, up to what takes time. */
static void run_conn(hybrid *h, wr_conn *c, wr_thread *self)
{
    bool has_sent = false;
    unsigned bits;

    for (;;) {
        switch (wr_conn_step(c, self)) {
        case WR_WANT_RUN:
            has_sent = false;
            break;
        case WR_WANT_CALL:
            call(c, self);
            has_sent = false;
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), self);
            break;
        case WR_WANT_IO:
            /* A small response leaves here and never sees the I/O thread. */
            bits = share_of_worker(h, c, has_sent);
            if (bits) {
                client_io(c, self, bits);
                has_sent = has_sent || (bits & WR_WRITE);
            }
            else if (let_go(h, c, self)) {
                return;
            }
            break;
        case WR_WANT_YIELD:
        case WR_WANT_DROP:
        case WR_WANT_CLOSE:
            hand_back(h, c, self);
            return;
        }
    }
}

static void run_task(wr_thread *self, wr_task *task, void *arg)
{
    if (task->kind == TASK_LOG) {
        wr_record_log((wr_record *)task, self);
        return;
    }
    if (task->kind == TASK_READ) {
        /* Before the step: what came in time is not late since it waited. */
        client_io(wr__conn_of_task(task), self, WR_READ);
    }
    run_conn(arg, wr__conn_of_task(task), self);
}

/** Any worker: there is room in the queues. */
static void wake_io_thread(void *arg)
{
    hybrid *h = arg;

    wr__inbox_poke(&h->loop.inbox);
}

/* The I/O thread's half. */

/** Give the workers what there is for them.  While they have no room for it,
 *  nothing is accepted, and no new request is read. */
static void ship(hybrid *h)
{
    h->is_full = !wr__workers_submit(h->workers, h->loop.self, &h->work);
    h->loop.acceptor.is_held = h->is_full;
}

static void hand_over(hybrid *h, wr_task *task, int kind)
{
    task->kind = kind;
    wr_count(h->loop.self, WR_N_HAND_OVERS, kind != TASK_LOG);
    wr__fifo_put(&h->work, task);
    if (h->work.count >= WORK_MAX && !h->is_full) {
        ship(h);
    }
}

/** A new connection counts as readable, so that it is tried.  A worker is not
 *  sent to try: only when the poller has said so. */
static void doubt_reading(wr_conn *c)
{
    if (c->ends->slot == 0) {
        atomic_fetch_and_explicit(&c->ends->ready, (uint8_t)~WR_READ,
                                  memory_order_relaxed);
    }
}

/** A client is readable and nothing else is to be done.  @return has it been
 *  given to a worker, who reads? */
static bool leave_reading(hybrid *h, wr_conn *c)
{
    if (h->config->task_start == START_REQUEST) {
        return false;
    }
    doubt_reading(c);
    if (!(client_ready(c) & WR_READ)) {
        return false;
    }
    c->ends->want &= (uint8_t)~WR_READ;
    if (wr_conn_ready(c)) {
        return false;
    }
    c->ends->want |= WR_READ;
    hand_over(h, &wr__seat_of(c)->task, TASK_READ);
    return true;
}

/** Nothing has been read of what the client asks for next, and the workers have
 *  more to do than they can: it waits where it is, in the client's socket. */
static bool hold(hybrid *h, wr_conn *c)
{
    if (!h->is_full || c->kit || h->loop.is_stopping) {
        return false;
    }
    wr__fifo_put(&h->held, &wr__seat_of(c)->task);
    return true;
}

/** Shuffle a connection's bytes; give it away when there is more to do than
 *  that.  The caller owns it, and no longer afterwards. */
static void carry(wr__loop *l, wr_conn *c)
{
    hybrid *h = l->arg;

    wr__loop_tell(l, c);
    for (;;) {
        switch (wr_conn_step(c, l->self)) {
        case WR_WANT_IO:
            if ((!wr_conn_ready(c) && wr__loop_await(l, c)) || hold(h, c)
                || leave_reading(h, c)) {
                return;
            }
            wr_conn_io(c, l->self, l->child->quantum);
            break;
        case WR_WANT_RUN:
        case WR_WANT_CALL:
            hand_over(h, &wr__seat_of(c)->task, TASK_CONN);
            return;
        case WR_WANT_LOG:
            /* A record's first bytes are a task; it needs no connection. */
            hand_over(h, (wr_task *)wr_conn_take_log(c), TASK_LOG);
            break;
        case WR_WANT_YIELD:
            wr__loop_put_last(l, c);
            return;
        case WR_WANT_DROP:
            wr__loop_drop(l, c);
            break;
        case WR_WANT_CLOSE:
            if (wr__loop_close(l, c) || wr_conn_park(c)) {
                return;
            }
            break;
        }
    }
}

/** The workers have room again: read what was held. */
static void release_held(hybrid *h)
{
    wr_task *task;

    while ((!h->is_full || h->loop.is_stopping)
           && (task = wr__fifo_take(&h->held))) {
        wr_conn *c = wr__conn_of_task(task);

        if (!leave_reading(h, c)) {
            /* Before the step: what came in time is not late since it waited.
             */
            wr_conn_io(c, h->loop.self, h->loop.child->quantum);
            carry(&h->loop, c);
        }
    }
}

static void end_turn(wr__loop *l)
{
    hybrid *h = l->arg;

    ship(h);
    if (h->held.first) {
        release_held(h);
        ship(h);
    }
    l->wake_ns = wr__workers_tend(h->workers, l->self);
}

static const wr__loop_calls hybrid_calls = {
    .carry = carry,
    .end_turn = end_turn,
    .is_shared = true,
};

static apr_status_t hybrid_init(wr_child *child)
{
    hybrid *h = apr_pcalloc(child->pool, sizeof(*h));

    h->config = child->mpm_config;
    child->mpm_data = h;
    return wr__loop_init(&h->loop, child, &hybrid_calls, h);
}

static apr_status_t hybrid_serve(wr_child *child)
{
    hybrid *h = child->mpm_data;
    wr__workers_options options = {
        .role = "worker",
        .size = h->config->size,
        .dispatch = (wr__dispatch)h->config->dispatch,
        .queue_limit = h->config->queue_limit,
        .run = run_task,
        .on_room = wake_io_thread,
        .arg = h,
    };
    apr_status_t rv = wr__workers_start(&h->workers, child, &options);

    if (rv != APR_SUCCESS) {
        wr_child_fail(child, "starting workers", rv);
        return rv;
    }
    h->loop.self = wr_thread_init(child, "io");
    rv = wr__loop_run(&h->loop);
    wr__workers_stop(h->workers); /* what is to be logged still is */
    wr_thread_finish(h->loop.self);
    return rv;
}

/* Configuration. */

static void *hybrid_config_create(apr_pool_t *pool)
{
    hybrid_config *config = apr_pcalloc(pool, sizeof(*config));

    /* What a worker waits for is a disk, now and then; a number that is known
     * beforehand makes runs comparable. */
    config->size = (wr__pool_size){.rule = WR__SIZE_IO, .max = 64};
    config->queue_limit = 1024;
    return config;
}

static const char *hybrid_describe(const void *data, apr_pool_t *pool)
{
    const hybrid_config *config = data;

    return wr__pool_describe("ThreadsPerChild", &config->size, wr__cores(),
                             pool);
}

#define FIELD(NAME)                                     \
    .context = WR_IN_MPM, .min_args = 1, .max_args = 1, \
    .offset = offsetof(hybrid_config, NAME)

static const wr_command hybrid_commands[] = {
    {
        .name = "ThreadsPerChild",
        .run = wr__set_pool_size,
        .context = WR_IN_MPM,
        .min_args = 1,
        .max_args = 2,
        .args = WR__POOL_SIZE_ARGS,
        .help = "Workers of a process: requests run at once, of any number of "
                "connections.",
        .preset = "auto io",
        .offset = offsetof(hybrid_config, size),
        .min = 1,
        .max = 4096,
    },
    {
        .name = "MaxThreadsPerChild",
        .run = wr_set_int,
        FIELD(size.max),
        .args = "number",
        .help = "Workers of a process, at most, where their number is "
                "measured.",
        .preset = "64",
        .min = 1,
        .max = 4096,
    },
    {
        .name = "TaskDispatch",
        .run = wr_set_choice,
        FIELD(dispatch),
        .args = WR__DISPATCH_WORDS,
        .help = "One queue for all workers, or one for each and how a task is "
                "given to one of them.",
        .preset = "shared",
    },
    {
        .name = "TaskQueueLimit",
        .run = wr_set_int,
        FIELD(queue_limit),
        .args = "number",
        .help = "Tasks of a process that may wait for workers; when so many "
                "do, nothing is accepted and no further request read.",
        .preset = "1024",
        .min = 1,
        .max = 1000000,
    },
    {
        .name = "TaskStart",
        .run = wr_set_choice,
        FIELD(task_start),
        .args = "request|readable",
        .help = "When a worker gets a connection: when a request has come, or "
                "as soon as there is something to be read.",
        .preset = "request",
    },
    {
        .name = "HandOver",
        .run = wr_set_choice,
        FIELD(hand_over),
        .args = "leftover|always",
        .help = "What of a response the I/O thread sends: what does not go at "
                "once, or all.",
        .preset = "leftover",
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
    .describe = hybrid_describe,
    .resume = resume,
    .init = hybrid_init,
    .serve = hybrid_serve,
};

WR_API wr_module mpm_hybrid_module = {
    WR_MODULE_HEAD("mpm_hybrid"),
    .mpm = &hybrid_mpm,
};
