/*
 * child_process.h - a serving process: forked, named, without privileges.
 */
#ifndef WR__CHILD_PROCESS_H
#define WR__CHILD_PROCESS_H

#include "config.h"

#include <apr_tables.h>
#include <sys/types.h>

typedef enum wr__child_note_kind {
    WR__CHILD_READY, /**< it serves */
    WR__CHILD_LEAVES /**< it accepts no more, and ends soon */
} wr__child_note_kind;

/** What a child tells its generation; written to a pipe as a whole. */
typedef struct wr__child_note {
    pid_t pid;
    int kind; /**< a wr__child_note_kind, if it is not made up */
} wr__child_note;

/** What a child is made of. */
typedef struct wr__child_options {
    const wr__config *config;
    const apr_array_header_t *listeners; /**< wr_listener * */
    int index;                           /**< of the child */
    int note_fd;                         /**< for its notes: a pipe; or -1 */
    int own_fds[3]; /**< the generation's own: closed in the child */
    bool is_single; /**< no generation: SIGINT is ours */
} wr__child_options;

/**
 * Fork a child that serves until SIGTERM (stop) or SIGUSR1 (drain), and ends
 * when its parent does.  Both signals are blocked in the caller, and stay so
 * in the child until it can act on them.
 *
 * @return its process id, or -1 with errno set.
 */
pid_t wr__child_process_fork(const wr__child_options *options);

/** A serving process has not ended as it should: say so in the error log. */
void wr__child_log_death(pid_t pid, int status);

/**
 * Serve in the calling process until SIGINT, SIGTERM or SIGUSR1.  For the
 * debugger.
 *
 * @return exit status.
 */
int wr__child_process_single(const wr__child_options *options);

#endif
