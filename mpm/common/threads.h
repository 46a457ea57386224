/*
 * threads.h - a set of like threads of a child.
 */
#ifndef WR__THREADS_H
#define WR__THREADS_H

#include "wr_mpm.h"

typedef struct wr__threads wr__threads;

/** What each thread does, from its start to its end. */
typedef void wr__thread_fn(wr_thread *self, void *arg);

typedef struct wr__threads_options {
    const char *role; /**< as in "worker": they become worker1, worker2, ... */
    int count;
    int64_t stack_size; /**< bytes; 0: the system's default */
    wr__thread_fn *run;
    void *arg;
} wr__threads_options;

/**
 * Start them.  On failure fewer run than asked for, perhaps none: tell them to
 * end, and join.
 *
 * @thread the child's main one.
 */
apr_status_t wr__threads_start(wr__threads **threads, wr_child *child,
                               const wr__threads_options *options);
/** Wait until all have ended. */
void wr__threads_join(wr__threads *threads);

#endif
