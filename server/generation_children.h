/*
 * generation_children.h - the places of a generation's children: forking,
 * replacing, keeping as many as there are to be.
 *
 * There is a fixed number of them (Processes), or, if the MPM has a process for
 * each connection, as many as are needed: some always idle, but not too many.
 */
#ifndef WR__GENERATION_CHILDREN_H
#define WR__GENERATION_CHILDREN_H

#include "wr_mpm.h"

#include "child_process.h"

#include <apr_errno.h>
#include <apr_pools.h>

typedef struct wr__children wr__children;

/** What the MPM asks for; of one that has no say: what the core thinks. */
void wr__children_scale(wr_mpm_scale *scale, const wr__config *config);
/** How many there may be at a time, those that end included. */
int wr__children_places(const wr_mpm_scale *scale, const wr__config *config);

/**
 * Places, yet without children.
 *
 * @param child what each is made of; index, note_fd and own_fds[2] are set for
 *        each here.
 */
apr_status_t wr__children_create(wr__children **children,
                                 const wr__child_options *child,
                                 apr_pool_t *pool);

/** Readable when wr__children_read() has something to do. */
int wr__children_fd(const wr__children *c);
/** Take in what children tell.  @return true once, when all that there are to
 *  be at first are ready. */
bool wr__children_read(wr__children *c);

/** Fork those that are due; look, once a second, whether there are too few idle
 *  ones or too many.  Not after wr__children_end(). */
void wr__children_turn(wr__children *c);
/** When wr__children_turn() is wanted next, monotonic ns. */
int64_t wr__children_due(const wr__children *c);

/**
 * Take in who has died, and see that its place is filled again.
 *
 * @return how many ended that nobody had told to.
 */
int wr__children_reap(wr__children *c);

/** Fork none any more, and send all a signal: SIGUSR1, SIGTERM or SIGKILL. */
void wr__children_end(wr__children *c, int number);
int wr__children_count(const wr__children *c);

#endif
