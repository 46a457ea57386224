/*
 * board.h - making the scoreboard, and giving out its rows.
 */
#ifndef WR__BOARD_H
#define WR__BOARD_H

#include "wr_board.h"

#include <apr_errno.h>
#include <sys/types.h>

/** Map it.  In the master before its first generation, or in the one process
 *  of -X; whoever has none counts for himself alone. */
apr_status_t wr__board_create(void);

/** Children forked from here on belong to this generation. */
void wr__board_set_generation(int number);

/**
 * A row for the calling thread.
 *
 * @param child index among the generation's; -1: it is none of them.
 * @owner the caller's until wr__board_release().
 * @thread any of a child's.
 */
wr_row *wr__board_claim(const char *mpm, int child, const char *role);
/** Its thread ends.  @a heir takes over what its gauges say; NULL: nobody. */
void wr__board_release(wr_row *row, wr_row *heir);
/** A process has died: its rows are free.  In whoever reaps it, so that a pid
 *  is not somebody else's yet. */
void wr__board_reap(pid_t pid);

#endif
