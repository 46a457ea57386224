/*
 * workers.c - see workers.h.
 */
#include "workers.h"

#include "threads.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

struct wr__workers {
    wr__threads *threads;
    wr__work_fn *run;
    void *arg;
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *more;
    /* The rest is guarded by mutex. */
    wr__fifo queue;
    int asleep;     /* in the wait for more */
    bool is_waking; /* one of them was called and has not looked yet */
    bool is_stopping;
};

/*
 * While the queue is not empty and somebody sleeps, somebody who will look is
 * on the way: that is so after each of the places below that put, take, wake
 * or go to sleep.  A call that finds the queue empty again is harmless.
 */

/** Is one to be called?  With the mutex; then call without it, so that who is
 *  called does not run into it. */
static bool must_call(wr__workers *w)
{
    if (!w->queue.first || w->asleep == 0 || w->is_waking) {
        return false;
    }
    w->is_waking = true;
    return true;
}

/** The next task, when there is one; NULL: the end. */
static wr_task *wait_for_task(wr__workers *w)
{
    wr_task *task;
    bool call;

    apr_thread_mutex_lock(w->mutex);
    while (!w->queue.first && !w->is_stopping) {
        w->asleep++;
        apr_thread_cond_wait(w->more, w->mutex);
        w->asleep--;
        w->is_waking = false; /* whoever was called: this one looks */
    }
    task = wr__fifo_take(&w->queue);
    call = must_call(w);
    apr_thread_mutex_unlock(w->mutex);
    if (call) {
        apr_thread_cond_signal(w->more);
    }
    return task;
}

static void work(wr_thread *self, void *arg)
{
    wr__workers *w = arg;
    wr_task *task;

    while ((task = wait_for_task(w))) {
        wr_thread_tick(self);
        w->run(self, task, w->arg);
    }
}

void wr__workers_submit(wr__workers *w, wr__fifo *tasks)
{
    bool call;

    if (!tasks->first) {
        return;
    }
    apr_thread_mutex_lock(w->mutex);
    wr__fifo_append(&w->queue, tasks);
    call = must_call(w);
    apr_thread_mutex_unlock(w->mutex);
    if (call) {
        apr_thread_cond_signal(w->more);
    }
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
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&w->more, child->pool);
    }
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
    apr_thread_mutex_lock(w->mutex);
    w->is_stopping = true;
    apr_thread_mutex_unlock(w->mutex);
    apr_thread_cond_broadcast(w->more);
    wr__threads_join(w->threads);
}
