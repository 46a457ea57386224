/*
 * workers.c - see workers.h.
 *
 * Sleepers have a semaphore each, POSIX's, since APR has none: so the one who
 * fell asleep last can be called, whose caches are warm; and a call and a sleep
 * are a system call each, where a condition variable takes three in all.
 */
#include "workers.h"

#include "threads.h"

#include <apr_thread_mutex.h>
#include <semaphore.h>

/** A worker in its sleep; on its stack. */
struct sleeper {
    struct sleeper *next;
    sem_t called;
};

struct wr__workers {
    wr__threads *threads;
    wr__work_fn *run;
    void *arg;
    apr_thread_mutex_t *mutex;
    /* The rest is guarded by mutex. */
    wr__fifo queue;
    struct sleeper *sleepers; /* last asleep first */
    bool is_waking;           /* one was called and has not looked yet */
    bool is_stopping;
};

/*
 * While the queue is not empty and somebody sleeps, somebody who will look has
 * been called: that is so after each of the places below that put, take, wake
 * or go to sleep.  A call that finds the queue empty again is harmless.
 */

/** Who is to be called, if anybody: call() it without the mutex, or it would
 *  run into that. */
static struct sleeper *choose_sleeper(wr__workers *w)
{
    struct sleeper *s = w->sleepers;

    if (!w->queue.first || w->is_waking || !s) {
        return NULL;
    }
    w->sleepers = s->next;
    w->is_waking = true;
    return s;
}

static void call(struct sleeper *s)
{
    if (s) {
        sem_post(&s->called);
    }
}

/** Sleep until called.  The mutex is held before and after, not meanwhile. */
static void sleep_until_called(wr__workers *w, struct sleeper *self)
{
    self->next = w->sleepers;
    w->sleepers = self;
    apr_thread_mutex_unlock(w->mutex);
    while (sem_wait(&self->called) < 0) {
        /* a signal */
    }
    apr_thread_mutex_lock(w->mutex);
    w->is_waking = false;
}

/** The next task, when there is one; NULL: the end. */
static wr_task *wait_for_task(wr__workers *w, struct sleeper *self)
{
    struct sleeper *other;
    wr_task *task;

    apr_thread_mutex_lock(w->mutex);
    while (!w->queue.first && !w->is_stopping) {
        sleep_until_called(w, self);
    }
    task = wr__fifo_take(&w->queue);
    other = choose_sleeper(w);
    apr_thread_mutex_unlock(w->mutex);
    call(other);
    return task;
}

static void work(wr_thread *self, void *arg)
{
    wr__workers *w = arg;
    struct sleeper sleeper;
    wr_task *task;

    sem_init(&sleeper.called, 0, 0);
    while ((task = wait_for_task(w, &sleeper))) {
        wr_thread_tick(self);
        w->run(self, task, w->arg);
    }
    sem_destroy(&sleeper.called);
}

void wr__workers_submit(wr__workers *w, wr__fifo *tasks)
{
    struct sleeper *one;

    if (!tasks->first) {
        return;
    }
    apr_thread_mutex_lock(w->mutex);
    wr__fifo_append(&w->queue, tasks);
    one = choose_sleeper(w);
    apr_thread_mutex_unlock(w->mutex);
    call(one);
}

apr_status_t wr__workers_start(wr__workers **workers, wr_child *child,
                               const char *role, int count, wr__work_fn *run,
                               void *arg)
{
    wr__workers *w = apr_pcalloc(child->pool, sizeof(*w));
    wr__threads_options options = {
        .role = role, .count = count, .run = work, .arg = w};
    apr_status_t rv;

    w->run = run;
    w->arg = arg;
    rv = apr_thread_mutex_create(&w->mutex, APR_THREAD_MUTEX_DEFAULT,
                                 child->pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = wr__threads_start(&w->threads, child, &options);
    if (rv != APR_SUCCESS) {
        wr__workers_stop(w);
        return rv;
    }
    *workers = w;
    return APR_SUCCESS;
}

void wr__workers_stop(wr__workers *w)
{
    struct sleeper *s, *next;

    apr_thread_mutex_lock(w->mutex);
    w->is_stopping = true;
    s = w->sleepers;
    w->sleepers = NULL;
    apr_thread_mutex_unlock(w->mutex);
    for (; s; s = next) {
        next = s->next; /* once called, it may be gone */
        call(s);
    }
    wr__threads_join(w->threads);
}
