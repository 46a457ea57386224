/*
 * threads.c - see threads.h.
 *
 * A thread that ends of its own accord can't join itself: it leaves that to the
 * next one that ends, is added, or joins all.  So at most one is there that has
 * ended, whatever comes and goes, and its memory with it.
 */
#include "threads.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
#include <assert.h>
#include <signal.h>
#include <stdio.h>

struct member {
    wr__threads *set;
    struct member *next_free;
    int number;
    void *arg;
    apr_pool_t *pool; /* of this thread's: the child's has one thread only */
    apr_thread_t *thread;
};

struct wr__threads {
    wr_child *child;
    wr__threads_options options;
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *ended_one;
    /* The rest is guarded by mutex. */
    int running;
    struct member *free;  /* places without a thread */
    struct member *ended; /* not yet joined; or NULL */
};

/** Join who has ended.  It has let the mutex go, and wants nothing any more. */
static void reap(wr__threads *t)
{
    struct member *member = t->ended;
    apr_status_t ended;

    if (member) {
        apr_thread_join(&ended, member->thread);
        apr_pool_destroy(member->pool);
        member->next_free = t->free;
        t->free = member;
        t->ended = NULL;
    }
}

static void *APR_THREAD_FUNC run_member(apr_thread_t *thread, void *data)
{
    struct member *member = data;
    wr__threads *t = member->set;
    char role[16];
    wr_thread *self;

    (void)thread;
    snprintf(role, sizeof(role), "%s%d", t->options.role, member->number);
    self = wr_thread_init(t->child, role);
    t->options.run(self, member->arg);
    wr_thread_finish(self);

    apr_thread_mutex_lock(t->mutex);
    reap(t);
    t->ended = member;
    t->running--;
    apr_thread_cond_broadcast(t->ended_one);
    apr_thread_mutex_unlock(t->mutex);
    return NULL;
}

/** Start a thread in a free place.  Signals are the main thread's: it sleeps
 *  where it can act on them. */
static apr_status_t start_member(struct member *member)
{
    const wr__threads_options *o = &member->set->options;
    apr_threadattr_t *attr;
    sigset_t all, before;
    apr_status_t rv = apr_threadattr_create(&attr, member->pool);

    if (rv == APR_SUCCESS && o->stack_size) {
        rv = apr_threadattr_stacksize_set(attr, (size_t)o->stack_size);
    }
    if (rv == APR_SUCCESS) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rv = apr_thread_create(&member->thread, attr, run_member, member,
                               member->pool);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return rv;
}

/** The mutex is held. */
static apr_status_t add_member(wr__threads *t, void *arg)
{
    struct member *member;
    apr_status_t rv;

    if (t->running == t->options.max) {
        return APR_EBUSY;
    }
    if (!t->free) {
        reap(t); /* there are max places, and one of them is its */
    }
    member = t->free;
    assert(member);
    member->arg = arg;
    rv = apr_pool_create(&member->pool, NULL);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = start_member(member);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(member->pool);
        return rv;
    }
    t->free = member->next_free;
    t->running++;
    return APR_SUCCESS;
}

apr_status_t wr__threads_add(wr__threads *t, void *arg)
{
    apr_status_t rv;

    apr_thread_mutex_lock(t->mutex);
    rv = add_member(t, arg);
    apr_thread_mutex_unlock(t->mutex);
    return rv;
}

static void add_places(wr__threads *t)
{
    int max = t->options.max;
    struct member *members =
        apr_pcalloc(t->child->pool, (size_t)max * sizeof(*members));

    for (int i = max - 1; i >= 0; i--) {
        members[i].set = t;
        members[i].number = i + 1;
        members[i].next_free = t->free;
        t->free = &members[i];
    }
}

apr_status_t wr__threads_start(wr__threads **threads, wr_child *child,
                               const wr__threads_options *options)
{
    apr_pool_t *pool = child->pool;
    wr__threads *t = apr_pcalloc(pool, sizeof(*t));
    apr_status_t rv;

    t->child = child;
    t->options = *options;
    if (t->options.max < options->count) {
        t->options.max = options->count;
    }
    add_places(t);
    *threads = t;
    rv = apr_thread_mutex_create(&t->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&t->ended_one, pool);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_thread_mutex_lock(t->mutex); /* the first may want to add some */
    for (int i = 0; rv == APR_SUCCESS && i < options->count; i++) {
        rv = add_member(t, options->arg);
    }
    apr_thread_mutex_unlock(t->mutex);
    return rv;
}

void wr__threads_wait(wr__threads *t)
{
    apr_thread_mutex_lock(t->mutex);
    while (t->running == t->options.max) {
        apr_thread_cond_wait(t->ended_one, t->mutex);
    }
    apr_thread_mutex_unlock(t->mutex);
}

void wr__threads_join(wr__threads *t)
{
    if (!t->ended_one) {
        return; /* start came to nothing */
    }
    apr_thread_mutex_lock(t->mutex);
    while (t->running > 0) {
        apr_thread_cond_wait(t->ended_one, t->mutex);
    }
    reap(t);
    apr_thread_mutex_unlock(t->mutex);
}
