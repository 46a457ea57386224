/*
 * threads.c - see threads.h.
 */
#include "threads.h"

#include <apr_thread_proc.h>
#include <signal.h>
#include <stdio.h>

struct member {
    wr__threads *set;
    int number;
    apr_thread_t *thread;
};

struct wr__threads {
    wr_child *child;
    wr__threads_options options;
    int started;
    struct member *members;
};

static void *APR_THREAD_FUNC run_member(apr_thread_t *thread, void *data)
{
    struct member *member = data;
    const wr__threads_options *o = &member->set->options;
    char role[16];
    wr_thread *self;

    (void)thread;
    snprintf(role, sizeof(role), "%s%d", o->role, member->number);
    self = wr_thread_init(member->set->child, role);
    o->run(self, o->arg);
    wr_thread_finish(self);
    return NULL;
}

apr_status_t wr__threads_start(wr__threads **threads, wr_child *child,
                               const wr__threads_options *options)
{
    apr_pool_t *pool = child->pool;
    wr__threads *t = apr_pcalloc(pool, sizeof(*t));
    apr_threadattr_t *attr;
    apr_status_t rv = apr_threadattr_create(&attr, pool);
    sigset_t all, before;

    t->child = child;
    t->options = *options;
    t->members =
        apr_pcalloc(pool, (size_t)options->count * sizeof(*t->members));
    *threads = t;
    if (rv == APR_SUCCESS && options->stack_size) {
        rv = apr_threadattr_stacksize_set(attr, (size_t)options->stack_size);
    }
    /* Signals are the main thread's: it sleeps where it can act on them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rv == APR_SUCCESS && t->started < options->count) {
        struct member *member = &t->members[t->started];

        member->set = t;
        member->number = t->started + 1;
        rv = apr_thread_create(&member->thread, attr, run_member, member, pool);
        if (rv == APR_SUCCESS) {
            t->started++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rv;
}

void wr__threads_join(wr__threads *t)
{
    while (t->started > 0) {
        apr_status_t ended;

        apr_thread_join(&ended, t->members[--t->started].thread);
    }
}
