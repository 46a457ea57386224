/*
 * workers.h - a pool of threads that take tasks from one queue.
 */
#ifndef WR__WORKERS_H
#define WR__WORKERS_H

#include "wr_mpm.h"

#include "queue.h"

typedef struct wr__workers wr__workers;

/** Do a task.  @owner of the task: this function. */
typedef void wr__work_fn(wr_thread *self, wr_task *task, void *arg);

/** Start @a count of them.  @thread the child's main one. */
apr_status_t wr__workers_start(wr__workers **workers, wr_child *child,
                               const char *role, int count, wr__work_fn *run,
                               void *arg);

/**
 * Let all of @a tasks be done, in order of their start.  Wakes one worker, and
 * none if one is on its way already; each passes the call on while there is
 * more to do than it takes.
 *
 * @owner the tasks are the workers' from now on; the list is empty.
 * @thread any.
 */
void wr__workers_submit(wr__workers *w, wr__fifo *tasks);

/** Let them finish what is queued, and end.  @thread as for start. */
void wr__workers_stop(wr__workers *w);

#endif
