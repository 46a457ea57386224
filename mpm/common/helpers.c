/*
 * helpers.c - see helpers.h.
 *
 * The loop's thread, but for run_thread().
 */
#include "helpers.h"

#include "wr_board.h"
#include "wr_helper.h"
#include "wr_log.h"

#include "threads.h"

#include <apr_strings.h>
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIES_MAX 2
/* After none could be had, or so many died that the next ones would, too. */
#define START_PAUSE   (100 * WR_MS)
#define STILLBORN_MAX 8
#define SHORT_LIFE    WR_SEC
#define LOG_PAUSE     (10 * WR_SEC)

typedef struct helper_pool helper_pool;

/** A place for a helper. */
typedef struct helper {
    wr_task task; /**< first; a thread's way back, through the inbox */
    helper_pool *pool;
    struct helper *next; /**< among those idle, or without anybody */
    wr_op *op;           /**< at work on it; or NULL */
    bool has_answered;
    int64_t started_ns;
    int fd;       /**< process */
    sem_t called; /**< thread: there is an op, or (NULL) it is to end */
} helper;

/** Helpers of a kind. */
struct helper_pool {
    wr__helpers *owner;
    bool is_thread;
    helper *places;
    helper *idle;   /**< last used first: its caches are warm */
    helper *free;   /**< places without a helper */
    int count;      /**< helpers */
    wr__fifo queue; /**< ops that nobody works on yet */
    wr__threads *threads;
    int stillborn; /**< so many in a row died before they had done anything */
    int64_t paused_until; /**< none is started before */
};

struct wr__helpers {
    wr__loop *loop;
    wr__helper_config config;
    helper_pool files;   /**< what is plain data */
    helper_pool code;    /**< what is not */
    wr__fifo mine;       /**< ops that are left to this thread */
    int64_t quiet_until; /**< the same is not logged again before */
};

static bool may_log(wr__helpers *h)
{
    int64_t now = h->loop->self->now_ns;

    if (now < h->quiet_until) {
        return false;
    }
    h->quiet_until = now + LOG_PAUSE;
    return true;
}

/* An op's end. */

static void finish(wr__helpers *h, wr_op *op)
{
    wr_conn *c = op->conn;

    wr_op_finish(op); /* false: it is not parked */
    wr__loop_resume(h->loop, c);
}

/** Nobody can do it, or it failed: see wr__helpers_end_turn(). */
static void leave_to_this_thread(wr__helpers *h, wr_op *op, bool has_failed)
{
    op->task.kind = has_failed;
    wr__fifo_put(&h->mine, &op->task);
}

void wr__helpers_end_turn(wr__helpers *h)
{
    wr_task *task;

    while ((task = wr__fifo_take(&h->mine))) {
        wr_op *op = (wr_op *)task;

        if (!task->kind) {
            wr_op_run_timed(op, h->loop->self);
        }
        finish(h, op);
    }
}

/* Threads. */

static void run_thread(wr_thread *self, void *arg)
{
    helper *one = arg;
    wr__inbox *inbox = &one->pool->owner->loop->inbox;

    for (;;) {
        wr_role_is(self, WR_ROLE_WAITING);
        while (sem_wait(&one->called) < 0) {
            /* a signal */
        }
        if (!one->op) {
            break;
        }
        wr_role_is(self, WR_ROLE_BUSY);
        wr_op_run_timed(one->op, self);
        wr__inbox_put(inbox, &one->task);
    }
    sem_destroy(&one->called);
}

static apr_status_t start_thread(helper *one)
{
    apr_status_t rv;

    sem_init(&one->called, 0, 0);
    rv = wr__threads_add(one->pool->threads, one);
    if (rv != APR_SUCCESS) {
        sem_destroy(&one->called);
    }
    return rv;
}

/* Processes. */

static int number_of(const helper *one)
{
    return (int)(one - one->pool->places);
}

static apr_status_t start_process(helper *one)
{
    wr__loop *l = one->pool->owner->loop;
    apr_status_t rv = wr_helper_start(&one->fd, l->child, number_of(one) + 1);

    if (rv == APR_SUCCESS) {
        rv = wr__poller_add_other(l->poller, one->fd, number_of(one));
        if (rv != APR_SUCCESS) {
            close(one->fd);
        }
    }
    return rv;
}

static void close_process(helper *one)
{
    wr__poller_remove_other(one->pool->owner->loop->poller, one->fd);
    close(one->fd);
    one->fd = -1;
}

/* Both. */

static void put_idle(helper *one)
{
    one->next = one->pool->idle;
    one->pool->idle = one;
}

static bool start(helper_pool *p)
{
    wr__helpers *h = p->owner;
    helper *one = p->free;
    apr_status_t rv;

    if (!one || p->paused_until > h->loop->self->now_ns) {
        return false;
    }
    rv = p->is_thread ? start_thread(one) : start_process(one);
    if (rv != APR_SUCCESS) {
        p->paused_until = h->loop->self->now_ns + START_PAUSE;
        if (may_log(h)) {
            wr_log_error(NULL, WR_LOG_ERROR, rv,
                         "could not start a helper: there are %d", p->count);
        }
        return false;
    }
    p->free = one->next;
    p->count++;
    one->has_answered = false;
    one->started_ns = h->loop->self->now_ns;
    wr_count(h->loop->self, WR_N_HELPERS, 1);
    put_idle(one);
    return true;
}

/** A process has gone.  @return what it was at work on, or NULL. */
static wr_op *bury(helper *one)
{
    helper_pool *p = one->pool;
    int64_t now = p->owner->loop->self->now_ns;
    wr_op *op = one->op;

    close_process(one);
    for (helper **at = &p->idle; *at; at = &(*at)->next) {
        if (*at == one) {
            *at = one->next;
            break;
        }
    }
    if (!one->has_answered && now - one->started_ns < SHORT_LIFE
        && ++p->stillborn > STILLBORN_MAX) {
        p->paused_until = now + START_PAUSE;
    }
    one->op = NULL;
    one->next = p->free;
    p->free = one;
    p->count--;
    wr_count(p->owner->loop->self, WR_N_HELPERS, -1);
    wr_count(p->owner->loop->self, WR_N_HELPER_DEATHS, 1);
    return op;
}

/** The helper that had it has died: another one may try. */
static void try_again(helper_pool *p, wr_op *op)
{
    if (op->tries < TRIES_MAX) {
        wr__fifo_put(&p->queue, &op->task);
        return;
    }
    wr_log_error(NULL, WR_LOG_ERROR, 0,
                 "%d helpers died at work on %s: it is given up", TRIES_MAX,
                 op->path ? op->path : "a range of a file");
    op->status = EIO;
    leave_to_this_thread(p->owner, op, true);
}

/** Give an op to an idle helper.  @return false if that is gone instead. */
static bool give(helper *one, wr_op *op)
{
    wr__helpers *h = one->pool->owner;
    apr_status_t rv = APR_SUCCESS;

    one->op = op;
    if (one->pool->is_thread) {
        sem_post(&one->called);
    }
    else {
        /* What can't be tried here must come back whole. */
        rv = wr_helper_send(one->fd, op,
                            !h->config.reply
                                || (op->resolve & WR_RESOLVE_OWNER) != 0);
    }
    if (rv == EPIPE || rv == ECONNRESET) {
        bury(one);
        return false;
    }
    wr_count(h->loop->self, WR_N_HELPER_JOBS, 1);
    wr_count(h->loop->self, WR_N_HELPER_WAIT_NS,
             h->loop->self->now_ns - op->queued_ns);
    if (rv != APR_SUCCESS) { /* no memory, no descriptor: the op's failure */
        one->op = NULL;
        op->status = rv;
        put_idle(one);
        leave_to_this_thread(h, op, true);
    }
    else if (!one->pool->is_thread) {
        op->tries++;
    }
    return true;
}

/** Bring ops and helpers together. */
static void dispatch(helper_pool *p)
{
    while (p->queue.first && (p->idle || start(p))) {
        helper *one = p->idle;
        wr_op *op = (wr_op *)wr__fifo_take(&p->queue);

        assert(one); /* there was one, or it has been started */
        p->idle = one->next;
        if (!give(one, op)) {
            wr__fifo_put(&p->queue, &op->task);
        }
    }
    while (p->queue.first && p->count == 0) {
        leave_to_this_thread(p->owner, (wr_op *)wr__fifo_take(&p->queue),
                             false);
    }
}

void wr__helpers_run(wr__helpers *h, wr_op *op)
{
    helper_pool *p = op->kind == WR_OP_FUNC ? &h->code : &h->files;

    op->queued_ns = h->loop->self->now_ns;
    wr__fifo_put(&p->queue, &op->task);
    dispatch(p);
}

/** The helper is free again; @return its op. */
static wr_op *take_back(helper *one)
{
    wr_op *op = one->op;

    one->op = NULL;
    one->has_answered = true;
    one->pool->stillborn = 0;
    put_idle(one);
    return op;
}

/**
 * Of what only was brought into memory: have it now.  If it has gone again
 * already, one helper more brings it, and then this thread waits for it
 * itself, as the server of 1999 did.  @return false if it was asked for again.
 */
static bool have(helper_pool *p, wr_op *op)
{
    apr_status_t rv = wr_op_try(op);

    if (rv == APR_EAGAIN && op->tries < TRIES_MAX) {
        wr__fifo_put(&p->queue, &op->task);
        return false;
    }
    if (rv != APR_SUCCESS) {
        wr_op_run_timed(op, p->owner->loop->self);
    }
    return true;
}

static bool was_only_brought(const wr__helpers *h, const wr_op *op)
{
    return op->status == APR_SUCCESS
           && (op->kind == WR_OP_READ
               || (op->kind == WR_OP_LOOKUP && op->fd < 0 && h->config.reply));
}

/** An event of a helper that is a process. */
void wr__helpers_on_other(wr__helpers *h, int number)
{
    helper *one = &h->files.places[number];
    wr_op none = {.kind = WR_OP_PAGE}, *op = one->op ? one->op : &none;
    apr_status_t rv = one->fd < 0 ? APR_EAGAIN : wr_helper_receive(one->fd, op);

    if (rv == APR_EAGAIN) {
        return;
    }
    if (rv != APR_SUCCESS || !one->op) {
        op = bury(one);
        wr_log_error(NULL, WR_LOG_WARN, 0, "helper %d died%s", number + 1,
                     op ? " at work" : "");
        if (op) {
            try_again(&h->files, op);
        }
        dispatch(&h->files);
        wr__helpers_start(h); /* as many as there are to be at least */
        return;
    }
    op = take_back(one);
    if (was_only_brought(h, op) && !have(&h->files, op)) {
        op = NULL;
    }
    dispatch(&h->files);
    if (op) {
        finish(h, op);
    }
}

/** A thread has run its op. */
void wr__helpers_on_task(wr__helpers *h, wr_task *task)
{
    helper *one = (helper *)task;
    wr_op *op = take_back(one);

    dispatch(one->pool);
    finish(h, op);
}

/* Beginning and end. */

static apr_status_t init_pool(helper_pool *p, wr__helpers *h, bool is_thread,
                              const char *role)
{
    wr_child *child = h->loop->child;
    wr__threads_options options = {
        .role = role, .max = h->config.max, .run = run_thread};

    p->owner = h;
    p->is_thread = is_thread;
    p->places =
        apr_pcalloc(child->pool, (size_t)h->config.max * sizeof(*p->places));
    for (int i = h->config.max - 1; i >= 0; i--) {
        p->places[i].pool = p;
        p->places[i].fd = -1;
        p->places[i].next = p->free;
        p->free = &p->places[i];
    }
    return is_thread ? wr__threads_start(&p->threads, child, &options)
                     : APR_SUCCESS;
}

apr_status_t wr__helpers_create(wr__helpers **helpers, wr__loop *l,
                                const wr__helper_config *config)
{
    wr__helpers *h = apr_pcalloc(l->child->pool, sizeof(*h));
    apr_status_t rv;

    h->loop = l;
    h->config = *config;
    rv = init_pool(&h->files, h, config->type, "helper");
    if (rv == APR_SUCCESS) {
        rv = init_pool(&h->code, h, true, "code");
    }
    *helpers = h;
    return rv;
}

void wr__helpers_start(wr__helpers *h)
{
    while (h->files.count < h->config.min && start(&h->files)) {
    }
}

static void stop_pool(helper_pool *p)
{
    helper *one;

    while ((one = p->idle)) {
        p->idle = one->next;
        if (p->is_thread) {
            sem_post(&one->called); /* without an op: the end */
        }
        else {
            close_process(one);
        }
        wr_count(p->owner->loop->self, WR_N_HELPERS, -1);
    }
    if (p->threads) {
        wr__threads_join(p->threads);
    }
}

void wr__helpers_stop(wr__helpers *h)
{
    stop_pool(&h->files);
    stop_pool(&h->code);
}

/* Configuration. */

void *wr__helper_config_create(apr_pool_t *pool)
{
    wr__helper_config *config = apr_pcalloc(pool, sizeof(*config));

    config->min = 1;
    config->max = 32;
    return config;
}

const char *wr__helper_config_check(void *config, apr_pool_t *pool)
{
    const wr__helper_config *c = config;

    (void)pool;
    return c->min > c->max ? "MinHelpers is more than MaxHelpers" : NULL;
}

const char *wr__helper_describe(const void *config, apr_pool_t *pool)
{
    const wr__helper_config *c = config;

    return apr_psprintf(
        pool, "helpers: %s, %d to %d; %s\n", c->type ? "threads" : "processes",
        c->min, c->max,
        c->type    ? "they share all with the one who asks"
        : c->reply ? "a file that was opened is only brought into memory"
                   : "a file that was opened comes back as a descriptor");
}

#define FIELD(NAME) .offset = offsetof(wr__helper_config, NAME)

const wr_command wr__helper_commands[] = {
    {.name = "HelperType",
     .run = wr_set_choice,
     .context = WR_IN_MPM,
     .min_args = 1,
     .max_args = 1,
     .args = "process|thread",
     .help = "What helpers are: processes, each with nothing of the server's "
             "but what it is sent, or threads.",
     .preset = "process",
     FIELD(type)},
    {.name = "HelperReply",
     .run = wr_set_choice,
     .context = WR_IN_MPM,
     .min_args = 1,
     .max_args = 1,
     .args = "descriptor|ready",
     .help = "What a helper process gives back of a file that it has opened: "
             "its descriptor; or only word that all is in memory now, so that "
             "opening it again is quick, as in 1999.",
     .preset = "descriptor",
     FIELD(reply)},
    {.name = "MinHelpers",
     .run = wr_set_int,
     .context = WR_IN_MPM,
     .min_args = 1,
     .max_args = 1,
     .args = "number",
     .help = "Helpers of a process that are started at once.",
     .preset = "1",
     FIELD(min),
     .min = 0,
     .max = WR_HELPERS_MAX},
    {.name = "MaxHelpers",
     .run = wr_set_int,
     .context = WR_IN_MPM,
     .min_args = 1,
     .max_args = 1,
     .args = "number",
     .help = "Helpers of a process, at most: so many calls that wait for the "
             "disk are out at a time.  More are started when none is idle, "
             "and kept.  Likewise, of their own, threads for the blocking code "
             "of modules.",
     .preset = "32",
     FIELD(max),
     .min = 1,
     .max = WR_HELPERS_MAX},
    {.name = NULL},
};
