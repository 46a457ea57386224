/*
 * forks.h - a set of processes that a child has forked, in a bounded number.
 *
 * One thread's: the child's only one.
 */
#ifndef WR__FORKS_H
#define WR__FORKS_H

#include "wr_mpm.h"

typedef struct wr__forks wr__forks;

/** None yet, and never more than @a max.  From now on SIGCHLD is blocked: it
 *  comes by wr__forks_fd().  Ends with child->pool. */
apr_status_t wr__forks_create(wr__forks **forks, wr_child *child, int max);

/** Readable when wr__forks_reap() has something to do. */
int wr__forks_fd(const wr__forks *forks);
/** Take in who has ended. */
void wr__forks_reap(wr__forks *forks);

/** How many there are. */
int wr__forks_count(const wr__forks *forks);

/**
 * Fork one more, if there are fewer than max: as wr_child_fork().  While the
 * system has no room for a process, this waits.
 *
 * @return -1: the child drains or stops, and there was no room.
 */
pid_t wr__forks_add(wr__forks *forks, wr_thread *self, const char *role);

/** The child drains or stops: tell them, now and when that changes, and wait
 *  until all have ended. */
void wr__forks_end(wr__forks *forks);

#endif
