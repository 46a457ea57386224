/*
 * mpm_proactor.c - the kernel does the I/O and reports what it has done
 * (Proactor), by io_uring.
 *
 * Nobody waits until something can be done and then does it: one thread asks
 * for accepts, receives, sends, opens and reads, and carries a connection on
 * when something of it is complete.
 *
 *     initiator --> operation --> kernel --> completion queue --> dispatcher
 *         ^                                                            |
 *         '---------- connection: parse, find, say what next <---------'
 *
 * All that was asked for in a turn goes to the kernel in one call, which also
 * waits.  The kernel is an owner too: what it was given stays as it is until
 * the completion, and a connection is not freed before its last one (see
 * wr_end.in_flight and wr_conn_close()).  Functions that block run in threads.
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_end.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/accept.h"
#include "mpm/common/queue.h"
#include "mpm/common/ring.h"
#include "mpm/common/ring_accept.h"
#include "mpm/common/ring_input.h"
#include "mpm/common/ring_op.h"
#include "mpm/common/ring_span.h"
#include "mpm/common/timers.h"
#include "mpm/common/workers.h"

#include <apr_ring.h>
#include <errno.h>

typedef struct proactor_config {
    int entries;    /**< RingEntries */
    int io_workers; /**< IoWorkers */
    int buffers;    /**< Buffers */
    int threads;    /**< CallThreads */
} proactor_config;

/** In wr_conn.mpm. */
typedef struct member {
    wr__seat seat;
    APR_RING_ENTRY(member) link; /**< of all connections */
} member;
APR_RING_HEAD(members, member);

typedef struct proactor {
    wr_child *child;
    wr_thread *self;
    wr__ring *ring;
    wr__spans *spans; /**< what is being sent */
    wr__timers timers;
    wr__acceptor acceptor;
    wr__room room;
    wr__ring_acceptor *ring_acceptor;
    struct members members; /**< all connections, for the stop */
    wr__fifo ready;         /**< connections that let others go first */
    bool is_stopping;
    wr__workers *workers; /**< for functions */
    wr__inbox inbox;      /**< functions that are done */
} proactor;

/** wr__ring_name.kind */
enum {
    OF_LISTENER = 1, /**< number: which */
    OF_CHILD,        /**< number: IS_* */
    OF_INPUT,        /**< ring_input.c's */
    OF_SPAN,         /**< ring_span.c's */
    OF_OP            /**< object: wr_op */
};
enum {
    IS_DRAIN,
    IS_STOP,
    IS_INBOX
};

#define NUMBER_OF(n, of) ((wr__ring_name){.kind = (of), .number = (n)})

/* Ops: the kernel's, or a thread's. */

static void run_in_thread(wr_thread *self, wr_task *task, void *arg)
{
    proactor *p = arg;

    wr_op_run_timed((wr_op *)task, self); /* its first bytes are a task */
    wr__inbox_put(&p->inbox, task);
}

static void start_in_thread(proactor *p, wr_op *op)
{
    wr__fifo one = {0};

    wr__fifo_put(&one, &op->task);
    wr__workers_submit(p->workers, p->self, &one);
}

static void start_op(proactor *p, wr_op *op)
{
    if (wr__ring_op_start(p->ring, op, OF_OP) == WR__RING_OP_REFUSED) {
        start_in_thread(p, op);
    }
}

/* Carrying connections on. */

static member *member_of(wr_conn *c)
{
    return (void *)c->mpm;
}

/** Ask for what the connection wants.  @return false if it is to be stepped
 *  again instead. */
static bool initiate(proactor *p, wr_conn *c)
{
    bool is_waiting = true;

    for (wr_end *e = c->ends; e; e = e->next) {
        unsigned todo = e->want & ~(unsigned)e->in_flight;

        if (todo & WR_READ) {
            wr__input_start(p->ring, e, OF_INPUT);
        }
        if ((todo & WR_WRITE)
            && !wr__span_start(p->spans, e, p->self, p->child->quantum)) {
            is_waiting = false;
        }
    }
    wr__timers_follow(&p->timers, c);
    return is_waiting;
}

/** Take back what was asked for ends that are gone, or for all of them; what
 *  the kernel still has completes, and then the machine asks again. */
static void cancel(proactor *p, wr_conn *c, bool is_all)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        if (e->in_flight && (is_all || e->is_gone)) {
            wr__ring_cancel_fd(p->ring, e->fd);
        }
    }
}

static void close_conn(proactor *p, wr_conn *c)
{
    wr__timers_remove(&p->timers, c);
    APR_RING_REMOVE(member_of(c), link);
    APR_RING_ELEM_INIT(member_of(c), link); /* may be removed again */
    if (!wr_conn_close(c, p->self)) {
        cancel(p, c, true);
    }
}

/** What it was waiting for has come, by another connection. */
static void resume(wr_conn *c)
{
    wr__seat_put(&((proactor *)c->child->mpm_data)->ready, c);
}

/** Carry a connection on as far as it goes.  It may be gone afterwards. */
static void run(void *arg, wr_conn *c)
{
    proactor *p = arg;

    if (p->is_stopping && !wr__seat_of(c)->is_told) {
        wr__seat_of(c)->is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    for (;;) {
        switch (wr_conn_step(c, p->self)) {
        case WR_WANT_IO:
            if (initiate(p, c)) {
                return;
            }
            break;
        case WR_WANT_RUN:
            break;
        case WR_WANT_CALL:
            start_op(p, wr_conn_take_op(c));
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), p->self);
            break;
        case WR_WANT_YIELD:
            wr__timers_follow(&p->timers,
                              c); /* one that never waits has a deadline, too */
            wr__seat_put(&p->ready, c);
            return;
        case WR_WANT_DROP:
            cancel(p, c, false);
            wr_conn_drop(c, p->self);
            break;
        case WR_WANT_CLOSE:
            close_conn(p, c);
            return;
        }
    }
}

static void run_unless_queued(proactor *p, wr_conn *c)
{
    if (!wr__seat_of(c)->is_queued) {
        run(p, c);
    }
}

/* Completions. */

static void on_accept(proactor *p, const wr__ring_event *event)
{
    wr_conn *c = wr__ring_accepted(p->ring_acceptor, p->self, event);

    for (; c; c = wr__ring_accept_left(p->ring_acceptor, p->self)) {
        APR_RING_INSERT_TAIL(&p->members, member_of(c), member, link);
        run(p, c);
    }
}

static void on_input(proactor *p, const wr__ring_event *event)
{
    wr_end *e = wr__input_complete(p->ring, event, p->self);

    run_unless_queued(p, e->conn);
}

static void on_span(proactor *p, const wr__ring_event *event)
{
    wr_end *e = wr__span_complete(p->spans, event, p->self);

    if (e) {
        run_unless_queued(p, e->conn);
    }
}

static void finish_op(proactor *p, wr_op *op)
{
    wr_conn *c = op->conn;

    wr_op_finish(op); /* false: the connection was never given up */
    run_unless_queued(p, c);
}

static void on_op(proactor *p, const wr__ring_event *event)
{
    switch (wr__ring_op_complete(p->ring, event)) {
    case WR__RING_OP_DONE:
        finish_op(p, event->name.object);
        break;
    case WR__RING_OP_REFUSED:
        start_in_thread(p, event->name.object);
        break;
    case WR__RING_OP_GOES_ON:
        break;
    }
}

static void stop_all(proactor *p)
{
    member *m, *next;

    p->is_stopping = true;
    APR_RING_FOREACH_SAFE(m, next, &p->members, member, link)
    {
        run_unless_queued(p, wr__conn_of_task(&m->seat.task));
    }
}

static void watch(proactor *p, int fd, unsigned which)
{
    wr__ring_watch(p->ring, fd, NUMBER_OF(which, OF_CHILD));
}

static void on_child(proactor *p, const wr__ring_event *event)
{
    switch (event->name.number) {
    case IS_STOP:
        stop_all(p);
        __attribute__((fallthrough));
    case IS_DRAIN:
        p->acceptor.is_closed = true;
        break;
    case IS_INBOX: /* has woken the thread; it is looked at in every turn */
        if (event->is_last) {
            watch(p, p->inbox.fd, IS_INBOX);
        }
        break;
    }
}

static void dispatch(proactor *p, const wr__ring_event *event)
{
    switch (event->name.kind) {
    case OF_LISTENER:
        on_accept(p, event);
        break;
    case OF_CHILD:
        on_child(p, event);
        break;
    case OF_INPUT:
        on_input(p, event);
        break;
    case OF_SPAN:
        on_span(p, event);
        break;
    case OF_OP:
        on_op(p, event);
        break;
    }
}

/* The loop. */

static void handle_timers(proactor *p)
{
    int64_t now = p->self->now_ns;
    wr_conn *c;

    while ((c = wr__timers_fire(&p->timers, now))) {
        if (c->deadline > now) {
            wr__timers_follow(&p->timers, c); /* it has moved on */
            continue;
        }
        wr_conn_post(c, WR_POST_TIMER);
        run_unless_queued(p, c);
    }
}

static void handle_ready(proactor *p)
{
    wr__fifo now = p->ready, ops = {0};
    wr_task *task;

    p->ready = (wr__fifo){0}; /* who yields again waits for the next turn */
    while ((task = wr__fifo_take(&now))) {
        wr_conn *c = wr__conn_of_task(task);

        wr__seat_of(c)->is_queued = false;
        run(p, c);
    }
    wr__inbox_take(&p->inbox, &ops);
    while ((task = wr__fifo_take(&ops))) {
        finish_op(p, (wr_op *)task);
    }
}

static apr_status_t wait_for_completions(proactor *p)
{
    int64_t now = p->self->now_ns;
    int64_t until = wr__timers_next(&p->timers);
    int64_t resumes = wr__acceptor_resumes(&p->acceptor);
    apr_status_t rv;

    wr__ring_acceptor_adjust(p->ring_acceptor, now);
    until = until < resumes ? until : resumes;
    if (p->ready.first || !wr__inbox_sleep(&p->inbox)) {
        until = now;
    }
    wr_role_is(p->self, WR_ROLE_WAITING);
    rv = wr__ring_wait(p->ring, until == WR_NEVER ? WR_NEVER : until - now);
    wr_role_is(p->self, WR_ROLE_BUSY);
    wr__inbox_wake(&p->inbox);
    wr_thread_tick(p->self);
    return rv;
}

static apr_status_t run_loop(proactor *p)
{
    wr__ring_event event;

    /* Until no connection is left, and none is under way from the kernel. */
    while (atomic_load(&p->child->connections) > 0
           || !wr__ring_acceptor_is_closed(p->ring_acceptor)) {
        apr_status_t rv = wait_for_completions(p);

        if (rv != APR_SUCCESS) {
            wr_child_fail(p->child, "waiting for completions", rv);
            return rv;
        }
        while (wr__ring_next(p->ring, &event)) {
            dispatch(p, &event);
        }
        handle_timers(p);
        handle_ready(p);
    }
    return APR_SUCCESS;
}

static apr_status_t proactor_init(wr_child *child)
{
    const proactor_config *config = child->mpm_config;
    wr__ring_options options = {.entries = config->entries,
                                .io_workers = config->io_workers,
                                .buffers = config->buffers,
                                .buffer_size = WR_FEED_MIN};
    proactor *p = apr_pcalloc(child->pool, sizeof(*p));
    const char *failed;
    apr_status_t rv;

    p->child = p->acceptor.child = child;
    APR_RING_INIT(&p->members, member, link);
    wr__timers_init(&p->timers, child->max_connections, child->pool);
    child->mpm_data = p;
    rv = wr__ring_create(&p->ring, &failed, &options, child->pool);
    if (rv != APR_SUCCESS) {
        wr_log_error(NULL, WR_LOG_CRIT, rv, "proactor: %s", failed);
        return rv;
    }
    p->room = (wr__room){&p->timers, false, run, p};
    p->ring_acceptor =
        wr__ring_acceptor_create(p->ring, &p->acceptor, &p->room, OF_LISTENER);
    p->spans = wr__spans_create(p->ring, OF_SPAN, child->pool);
    return wr__inbox_init(&p->inbox, child->pool);
}

static apr_status_t proactor_serve(wr_child *child)
{
    const proactor_config *config = child->mpm_config;
    proactor *p = child->mpm_data;
    wr__workers_options options = {
        .role = "call", .run = run_in_thread, .arg = p};
    apr_status_t rv;

    options.size.number = config->threads;
    rv = wr__workers_start(&p->workers, child, &options);
    if (rv != APR_SUCCESS) {
        wr_child_fail(child, "starting threads", rv);
        return rv;
    }
    p->self = wr_thread_init(child, "proactor");
    watch(p, child->drain_fd, IS_DRAIN);
    watch(p, child->stop_fd, IS_STOP);
    watch(p, p->inbox.fd, IS_INBOX);
    rv = run_loop(p);
    wr__workers_stop(p->workers);
    wr_thread_finish(p->self);
    return rv;
}

static void *proactor_config_create(apr_pool_t *pool)
{
    proactor_config *config = apr_pcalloc(pool, sizeof(*config));

    *config = (proactor_config){
        .entries = 1024, .io_workers = 16, .buffers = 256, .threads = 2};
    return config;
}

static const char *proactor_config_check(void *data, apr_pool_t *pool)
{
    const proactor_config *config = data;

    (void)pool;
    return config->buffers & (config->buffers - 1)
               ? "Buffers must be a power of two"
               : NULL;
}

#define NUMBER(NAME, FIELD, MIN, MAX, PRESET, HELP)                     \
    {                                                                   \
        .name = (NAME), .run = wr_set_int, .context = WR_IN_MPM,        \
        .min_args = 1, .max_args = 1, .args = "number", .help = (HELP), \
        .preset = (PRESET), .offset = offsetof(proactor_config, FIELD), \
        .min = (MIN), .max = (MAX)                                      \
    }

static const wr_command proactor_commands[] = {
    NUMBER("RingEntries", entries, 16, 32768, "1024",
           "Operations that can be asked for in one call to the kernel."),
    NUMBER("IoWorkers", io_workers, 1, 1024, "16",
           "Kernel threads, at most, for large files and what would block."),
    NUMBER("Buffers", buffers, 2, 32768, "256",
           "Buffers of 4 KiB for what is received; a power of two."),
    NUMBER("CallThreads", threads, 1, 1024, "2",
           "Threads for calls that block and that the kernel can't do."),
    {.name = NULL},
};

static wr_mpm proactor_mpm = {
    .name = "proactor",
    .summary = "the kernel does all I/O and reports completions (io_uring)",
    .traits = WR_MPM_COMPLETION,
    .conn_bytes = sizeof(member),
    .commands = proactor_commands,
    .config_create = proactor_config_create,
    .config_check = proactor_config_check,
    .resume = resume,
    .init = proactor_init,
    .serve = proactor_serve,
};

WR_API wr_module mpm_proactor_module = {
    WR_MODULE_HEAD("mpm_proactor"),
    .mpm = &proactor_mpm,
};
