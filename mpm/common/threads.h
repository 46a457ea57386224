/*
 * threads.h - a set of like threads of a child, which may grow and shrink.
 */
#ifndef WR__THREADS_H
#define WR__THREADS_H

#include "wr_mpm.h"

typedef struct wr__threads wr__threads;

/** What each thread does, from its start to its end, which it chooses. */
typedef void wr__thread_fn(wr_thread *self, void *arg);

typedef struct wr__threads_options {
    const char *role; /**< as in "worker": they become worker1, worker2, ... */
    int count;        /**< so many to begin with */
    int max;          /**< at most so many at a time; 0: no more than count */
    int64_t stack_size; /**< bytes; 0: the system's default */
    wr__thread_fn *run;
    void *arg; /**< of those that there are to begin with */
} wr__threads_options;

/**
 * Start them.  On failure fewer run than asked for, perhaps none: tell them to
 * end, and join.
 *
 * @thread the child's main one.
 */
apr_status_t wr__threads_start(wr__threads **threads, wr_child *child,
                               const wr__threads_options *options);

/**
 * Start one more, with an @a arg of its own.
 *
 * @thread any, one of the set's too; none once all have been joined.
 * @return APR_EBUSY: there are as many as may be.  Or the system's reason.
 */
apr_status_t wr__threads_add(wr__threads *threads, void *arg);

/** Wait until one more may be added.  @thread any but one of the set's. */
void wr__threads_wait(wr__threads *threads);

/** Wait until all have ended, those added meanwhile too.  @thread as for
 *  start. */
void wr__threads_join(wr__threads *threads);

#endif
