/*
 * workers.h - a pool of threads that take tasks from one queue, or from a queue
 * each.
 *
 * One thread, the dispatcher, gives tasks out; it also lets the pool grow and
 * shrink.  Queues are bounded: what there is no room for stays with it.
 */
#ifndef WR__WORKERS_H
#define WR__WORKERS_H

#include "wr_mpm.h"

#include "dispatch.h"
#include "pool_size.h"
#include "queue.h"

typedef struct wr__workers wr__workers;

/** Do a task.  @owner of the task: this function. */
typedef void wr__work_fn(wr_thread *self, wr_task *task, void *arg);

typedef struct wr__workers_options {
    const char *role; /**< as in "worker": they become worker1, worker2, ... */
    wr__pool_size size;
    wr__dispatch dispatch;
    /** Tasks that may wait, of all queues; 0: any number. */
    int queue_limit;
    wr__work_fn *run;
    /** There is room again: the dispatcher is to submit what it kept.  Called
     *  by a worker, once for each submit that left something; may be NULL
     *  where any number may wait. */
    void (*on_room)(void *arg);
    void *arg;
} wr__workers_options;

/** Start them; at first as few as there may be.  @thread the child's main one,
 *  which is the dispatcher. */
apr_status_t wr__workers_start(wr__workers **workers, wr_child *child,
                               const wr__workers_options *options);

/**
 * Let @a tasks be done, in order of their start, as far as there is room.  Of a
 * queue's workers one is woken, and none if one is on its way already; each
 * passes the call on while there is more to do than it takes.
 *
 * @owner the tasks are the workers' from now on; those that are left in the
 *        list stay the caller's, and on_room() is called.
 * @thread the dispatcher.
 * @return is none left?
 */
bool wr__workers_submit(wr__workers *w, wr_thread *self, wr__fifo *tasks);

/**
 * Measure, show it on the scoreboard, and grow or shrink, if it is time to.
 *
 * @thread the dispatcher.
 * @return when to be called again at the latest; WR_NEVER: after a submit.
 */
int64_t wr__workers_tend(wr__workers *w, wr_thread *self);

/** Let them finish what is queued, and end.  @thread as for start. */
void wr__workers_stop(wr__workers *w);

#endif
