/*
 * queue.h - lists of tasks within a thread and between threads.
 *
 * What is queued carries its own link (wr_task), so nothing is allocated and
 * no queue can be full: its bound is that of what is queued.
 */
#ifndef WR__QUEUE_H
#define WR__QUEUE_H

#include "wr_base.h"

#include <apr_errno.h>
#include <apr_pools.h>
#include <stdatomic.h>

/** First in, first out.  One thread's at a time; zeroed, it is empty. */
typedef struct wr__fifo {
    wr_task *first, *last;
    int count;
} wr__fifo;

void wr__fifo_put(wr__fifo *f, wr_task *task);
/** The oldest, or NULL. */
wr_task *wr__fifo_take(wr__fifo *f);
/** Move all of @a from behind what is in @a f. */
void wr__fifo_append(wr__fifo *f, wr__fifo *from);

/**
 * What other threads have for a thread that sleeps in a poller.  Any thread
 * puts; one thread takes.  That thread is woken by its descriptor, and only
 * when it sleeps: one system call for any number of tasks.
 */
typedef struct wr__inbox {
    _Atomic(wr_task *) newest; /**< a stack */
    atomic_bool is_asleep;
    int fd; /**< readable, edge by edge, when there is something; never read */
} wr__inbox;

/** The descriptor is closed with the pool. */
apr_status_t wr__inbox_init(wr__inbox *box, apr_pool_t *pool);

/** @owner the taker's from now on.  @thread any.
 *  @return had the taker to be woken? */
bool wr__inbox_put(wr__inbox *box, wr_task *task);
/** Wake the taker, or keep it from falling asleep once, without a task: always
 *  a system call.  @thread any. */
void wr__inbox_poke(wr__inbox *box);

/** The taker is about to wait.  @return false: don't, there is something. */
bool wr__inbox_sleep(wr__inbox *box);
/** The taker is back. */
void wr__inbox_wake(wr__inbox *box);
/** Move all to @a f, oldest first. */
void wr__inbox_take(wr__inbox *box, wr__fifo *f);

#endif
