/*
 * log_program.h - programs that logs go to: "|/usr/bin/rotatelogs ...".
 */
#ifndef WR__LOG_PROGRAM_H
#define WR__LOG_PROGRAM_H

#include "wr_log.h"

#include <stdbool.h>

/** Programs that are started from now on run in @a directory and speak to
 *  @a error_fd; NULL, -1: as the spawner does.  Both stay as they are for as
 *  long as there are programs. */
void wr__log_programs_settings(const char *directory, int error_fd);

/** Is a log of this name a program? */
bool wr__log_program_is(const char *target);

/**
 * What is to be carried out for a target: "|words" and "||words" a program
 * with its arguments, "|$text" a line for the shell.
 *
 * @return NULL, or what is wrong with it.
 */
const char *wr__log_program_parse(char ***argv, const char *target,
                                  apr_pool_t *pool);

/**
 * Start a program and wait until it was started.  Whenever it ends it is
 * started again and reads on where the one before ended: what still lay in the
 * pipe is not lost.
 *
 * In the generation, before it forks.
 *
 * @param fd the pipe's end to write to, O_NONBLOCK.
 * @owner *fd: the caller.
 */
apr_status_t wr__log_program_open(int *fd, const char *target,
                                  apr_pool_t *pool);

/** Hear of programs that have ended, and start those anew whose time has come.
 *  In the generation; never waits. */
void wr__log_programs_turn(void);
/** When the next one is to be started, on the monotonic clock; WR_NEVER: none
 *  is. */
int64_t wr__log_programs_due(void);

/** The end is near: those that wait for their time are started once more. */
void wr__log_programs_hurry(void);

/** In a process forked from this one: let go of what is the generation's. */
void wr__log_programs_forget(void);

#endif
