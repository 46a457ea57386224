/*
 * workers.c - see workers.h.
 *
 * Sleepers have a semaphore each, POSIX's, since APR has none: so the one who
 * fell asleep last can be called, whose caches are warm; and a call and a sleep
 * are a system call each, where a condition variable takes three in all.
 */
#include "workers.h"

#include "wr_board.h"

#include "threads.h"

#include <apr_thread_mutex.h>
#include <limits.h>
#include <semaphore.h>
#include <unistd.h>

/** A queue and those who take from it: all workers, or one. */
struct queue {
    apr_thread_mutex_t *mutex;
    /* The rest is guarded by mutex. */
    wr__fifo tasks;
    struct worker *sleepers; /* last asleep first */
    bool is_waking;          /* one was called and has not looked yet */
    bool is_stopping;
    /* But for this: the dispatcher's, what it is about to put here. */
    wr__fifo batch;
};

struct worker {
    wr__workers *pool;
    int number; /* from 0 on: it stays while there are to be more than that */
    int queue;
    struct worker *next_sleeper; /* guarded by the queue's mutex */
    bool is_running;             /* likewise */
    sem_t called;
    /* Counted by itself, read by the dispatcher. */
    _Atomic int64_t finished, held_ns;
    _Atomic int64_t since_ns; /* when it began its task; 0: it has none */
};

struct wr__workers {
    wr__workers_options options;
    wr__threads *threads;
    int cores, places; /* places for workers */
    int queue_count;
    struct worker *workers;
    struct queue *queues;
    _Atomic int *loads; /* of the queues: tasks waiting or begun */
    /* Set by the dispatcher. */
    _Atomic int count;       /* so many workers are to be */
    _Atomic int most;        /* a queue with such a load is full */
    _Atomic bool lacks_room; /* the dispatcher waits to be told */
    /* The rest is the dispatcher's. */
    wr__dispatcher dispatcher;
    wr__pool_meter meter;
    int64_t arrived;
    int64_t shown_size, shown_rate, shown_needed; /* on the scoreboard */
};

/*
 * While a queue is not empty and somebody sleeps there, somebody who will look
 * has been called: that is so after each of the places below that put, take,
 * wake or go to sleep.  A call that finds the queue empty again is harmless.
 */

/** Who is to be called, if anybody: call() it without the mutex, or it would
 *  run into that. */
static struct worker *choose_sleeper(struct queue *q)
{
    struct worker *sleeper = q->sleepers;

    if (!q->tasks.first || q->is_waking || !sleeper) {
        return NULL;
    }
    q->sleepers = sleeper->next_sleeper;
    q->is_waking = true;
    return sleeper;
}

static void call(struct worker *sleeper, wr_thread *self)
{
    if (sleeper) {
        wr_count(self, WR_N_WAKE_UPS, 1);
        sem_post(&sleeper->called);
    }
}

/** To a number that one thread writes and others read. */
static void add_to(_Atomic int64_t *n, int64_t by)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* The workers. */

/** Sleep until called.  The mutex is held before and after, not meanwhile. */
static void sleep_until_called(struct queue *q, struct worker *worker,
                               wr_thread *self)
{
    worker->next_sleeper = q->sleepers;
    q->sleepers = worker;
    apr_thread_mutex_unlock(q->mutex);
    wr_role_is(self, WR_ROLE_WAITING);
    while (sem_wait(&worker->called) < 0) {
        /* a signal */
    }
    wr_role_is(self, WR_ROLE_BUSY);
    apr_thread_mutex_lock(q->mutex);
    q->is_waking = false;
    wr_thread_tick(self);
}

/** Are there to be fewer?  Whoever has a queue to himself empties it first. */
static bool is_to_leave(const struct worker *worker, const struct queue *q)
{
    const wr__workers *w = worker->pool;

    return worker->number >= atomic_load(&w->count)
           && (w->queue_count == 1 || !q->tasks.first);
}

/** The next task, when there is one; NULL: the end. */
static wr_task *wait_for_task(struct worker *worker, wr_thread *self)
{
    struct queue *q = &worker->pool->queues[worker->queue];
    struct worker *other;
    wr_task *task = NULL;

    apr_thread_mutex_lock(q->mutex);
    while (!is_to_leave(worker, q)) {
        task = wr__fifo_take(&q->tasks);
        if (task || q->is_stopping) {
            break;
        }
        sleep_until_called(q, worker, self);
    }
    worker->is_running = task != NULL;
    other = choose_sleeper(q);
    apr_thread_mutex_unlock(q->mutex);
    call(other, self);
    return task;
}

static void begin(struct worker *worker, const wr_task *task, wr_thread *self)
{
    uint32_t now_us = (uint32_t)(self->now_ns / 1000);
    int32_t waited_us = (int32_t)(now_us - task->queued_us);

    wr_count(self, WR_N_TASKS_WAITING, -1);
    /* Whoever queued it may have a later clock than we. */
    wr_count(self, WR_N_TASKS_WAITED_NS,
             waited_us > 0 ? (int64_t)waited_us * 1000 : 0);
    atomic_store_explicit(&worker->since_ns, self->now_ns,
                          memory_order_relaxed);
}

/** It has done a task.  The clock of this moment is also the next one's. */
static void finish(struct worker *worker, wr_thread *self)
{
    wr__workers *w = worker->pool;
    int64_t held =
        -atomic_load_explicit(&worker->since_ns, memory_order_relaxed);
    int load = atomic_fetch_sub(&w->loads[worker->queue], 1) - 1;

    wr_thread_tick(self);
    held += self->now_ns;
    wr_count(self, WR_N_WORK_NS, held);
    atomic_store_explicit(&worker->since_ns, 0, memory_order_relaxed);
    add_to(&worker->held_ns, held);
    add_to(&worker->finished, 1);
    if (atomic_load(&w->lacks_room) && load <= atomic_load(&w->most) / 2
        && atomic_exchange(&w->lacks_room, false)) {
        w->options.on_room(w->options.arg);
    }
}

static void work(wr_thread *self, void *arg)
{
    struct worker *worker = arg;
    const wr__workers_options *o = &worker->pool->options;
    wr_task *task;

    wr_role_is(self, WR_ROLE_BUSY);
    while ((task = wait_for_task(worker, self))) {
        begin(worker, task, self);
        o->run(self, task, o->arg);
        finish(worker, self);
    }
}

/* The dispatcher. */

/** Put a queue's batch there, and call whoever is to look. */
static void flush(struct queue *q, wr_thread *self)
{
    struct worker *one;

    if (q->batch.first) {
        apr_thread_mutex_lock(q->mutex);
        wr__fifo_append(&q->tasks, &q->batch);
        one = choose_sleeper(q);
        apr_thread_mutex_unlock(q->mutex);
        call(one, self);
    }
}

/** Put what there is room for. */
static void put(wr__workers *w, wr_thread *self, wr__fifo *tasks)
{
    int count = w->queue_count == 1 ? 1 : atomic_load(&w->count);
    int most = atomic_load(&w->most);
    int first = w->queue_count, last = -1; /* of those that get something */
    int before = tasks->count;

    while (tasks->first) {
        int at = wr__dispatch_choose(&w->dispatcher, w->loads, count, most);

        if (at < 0) {
            break;
        }
        first = at < first ? at : first;
        last = at > last ? at : last;
        atomic_fetch_add_explicit(&w->loads[at], 1, memory_order_relaxed);
        tasks->first->queued_us = (uint32_t)(self->now_ns / 1000);
        wr__fifo_put(&w->queues[at].batch, wr__fifo_take(tasks));
    }
    w->arrived += before - tasks->count;
    wr_count(self, WR_N_TASKS, before - tasks->count);
    wr_count(self, WR_N_TASKS_WAITING, before - tasks->count);
    for (; first <= last; first++) {
        flush(&w->queues[first], self);
    }
}

bool wr__workers_submit(wr__workers *w, wr_thread *self, wr__fifo *tasks)
{
    if (tasks->first) {
        put(w, self, tasks);
    }
    if (!tasks->first) {
        return true;
    }
    /* Whoever finishes from here on sees that room is lacking; what was
     * finished just before is seen by trying again. */
    atomic_store(&w->lacks_room, true);
    put(w, self, tasks);
    if (!tasks->first) {
        atomic_store(&w->lacks_room, false);
    }
    return !tasks->first;
}

/** Have a worker run in a place, if none does.  @return is there one? */
static bool start_worker(wr__workers *w, struct worker *worker,
                         apr_status_t *rv)
{
    struct queue *q = &w->queues[worker->queue];
    bool was_running;

    apr_thread_mutex_lock(q->mutex);
    was_running = worker->is_running;
    worker->is_running = true;
    apr_thread_mutex_unlock(q->mutex);
    *rv = was_running ? APR_SUCCESS : wr__threads_add(w->threads, worker);
    if (*rv != APR_SUCCESS) {
        worker->is_running = false; /* nobody else looks */
    }
    return *rv == APR_SUCCESS;
}

/** Call all sleepers of a queue, or those from worker @a least on. */
static void call_all(struct queue *q, int least, bool is_stopping)
{
    struct worker *called = NULL, **at = &q->sleepers;

    apr_thread_mutex_lock(q->mutex);
    q->is_stopping = is_stopping;
    while (*at) {
        struct worker *sleeper = *at;

        if (sleeper->number < least) {
            at = &sleeper->next_sleeper;
            continue;
        }
        *at = sleeper->next_sleeper;
        sleeper->next_sleeper = called;
        called = sleeper;
    }
    apr_thread_mutex_unlock(q->mutex);
    while (called) {
        struct worker *next = called->next_sleeper;

        sem_post(&called->called); /* once called, it may sleep again */
        called = next;
    }
}

/** A queue's share of what may wait, and what its workers are at. */
static int find_most(const wr__workers *w, int count)
{
    int limit = w->options.queue_limit;

    if (!limit) {
        return INT_MAX;
    }
    return w->queue_count == 1 ? limit + count
                               : (limit + count - 1) / count + 1;
}

/** Let there be @a wanted workers, or as many as the system allows. */
static apr_status_t resize(wr__workers *w, int wanted)
{
    int before = atomic_load(&w->count), got = wanted;
    apr_status_t rv = APR_SUCCESS;

    /* First, so that those who are about to leave stay. */
    atomic_store(&w->count, wanted);
    atomic_store(&w->most, find_most(w, wanted));
    for (int i = before; i < wanted; i++) {
        if (!start_worker(w, &w->workers[i], &rv)) {
            got = i;
            break;
        }
    }
    if (got < wanted) {
        atomic_store(&w->count, got);
        atomic_store(&w->most, find_most(w, got));
    }
    for (int i = 0; got < before && i < w->queue_count; i++) {
        call_all(&w->queues[i], got, false);
    }
    return rv;
}

static void count_totals(wr__workers *w, int64_t now, wr__pool_totals *totals)
{
    totals->arrived = w->arrived;
    for (int i = 0; i < w->places; i++) {
        struct worker *worker = &w->workers[i];
        int64_t since =
            atomic_load_explicit(&worker->since_ns, memory_order_relaxed);

        totals->finished +=
            atomic_load_explicit(&worker->finished, memory_order_relaxed);
        totals->held_ns +=
            atomic_load_explicit(&worker->held_ns, memory_order_relaxed);
        totals->held_ns += since && since < now ? now - since : 0;
    }
}

static void show(wr_thread *self, wr_counter gauge, int64_t *shown,
                 int64_t value)
{
    wr_count(self, gauge, value - *shown);
    *shown = value;
}

/** Would looking again bring nothing new, until something is submitted? */
static bool is_quiet(const wr__workers *w)
{
    const wr__pool_totals *then = &w->meter.then;

    return atomic_load(&w->count) <= wr__pool_least(&w->options.size, w->cores)
           && w->arrived == then->finished && w->meter.arrived < 0.5;
}

int64_t wr__workers_tend(wr__workers *w, wr_thread *self)
{
    const wr__pool_size *size = &w->options.size;
    wr__pool_totals totals = {0};
    int wanted;

    if (self->now_ns >= w->meter.looked_ns + WR__POOL_PERIOD) {
        count_totals(w, self->now_ns, &totals);
        wanted =
            wr__pool_measure(&w->meter, size, w->cores, &totals, self->now_ns);
        resize(w, wanted);
        show(self, WR_N_WORKERS, &w->shown_size, atomic_load(&w->count));
        show(self, WR_N_TASK_RATE, &w->shown_rate,
             (int64_t)(w->meter.rate * 1000));
        show(self, WR_N_WORKERS_NEEDED, &w->shown_needed,
             (int64_t)(w->meter.rate * w->meter.time * 1000));
    }
    return is_quiet(w) ? WR_NEVER : w->meter.looked_ns + WR__POOL_PERIOD;
}

/* Start and end. */

static apr_status_t create_queues(wr__workers *w, int count, apr_pool_t *pool)
{
    w->queue_count = count;
    w->queues = apr_pcalloc(pool, (size_t)count * sizeof(*w->queues));
    w->loads = apr_pcalloc(pool, (size_t)count * sizeof(*w->loads));
    for (int i = 0; i < count; i++) {
        apr_status_t rv = apr_thread_mutex_create(
            &w->queues[i].mutex, APR_THREAD_MUTEX_DEFAULT, pool);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

static void create_workers(wr__workers *w, int count, apr_pool_t *pool)
{
    w->places = count;
    w->workers = apr_pcalloc(pool, (size_t)count * sizeof(*w->workers));
    for (int i = 0; i < count; i++) {
        w->workers[i].pool = w;
        w->workers[i].number = i;
        w->workers[i].queue = w->queue_count == 1 ? 0 : i;
        sem_init(&w->workers[i].called, 0, 0);
    }
}

apr_status_t wr__workers_start(wr__workers **workers, wr_child *child,
                               const wr__workers_options *options)
{
    wr__workers *w = apr_pcalloc(child->pool, sizeof(*w));
    int cores = wr__cores(), most = wr__pool_most(&options->size, cores);
    wr__threads_options threads = {
        .role = options->role, .max = most, .run = work};
    bool is_shared = options->dispatch == WR__DISPATCH_SHARED;
    apr_status_t rv;

    w->options = *options;
    w->cores = cores;
    w->dispatcher.rule = options->dispatch;
    w->dispatcher.seed = (uint32_t)getpid() | 1;
    rv = create_queues(w, is_shared ? 1 : most, child->pool);
    create_workers(w, most, child->pool);
    if (rv == APR_SUCCESS) {
        rv = wr__threads_start(&w->threads, child, &threads);
    }
    if (rv == APR_SUCCESS) {
        rv = resize(w, wr__pool_least(&options->size, cores));
    }
    if (rv != APR_SUCCESS) {
        wr__workers_stop(w);
        return rv;
    }
    *workers = w;
    return APR_SUCCESS;
}

void wr__workers_stop(wr__workers *w)
{
    for (int i = 0; i < w->queue_count; i++) {
        if (w->queues[i].mutex) {
            call_all(&w->queues[i], 0, true);
        }
    }
    if (w->threads) {
        wr__threads_join(w->threads);
    }
    for (int i = 0; i < w->places; i++) {
        sem_destroy(&w->workers[i].called);
    }
}
