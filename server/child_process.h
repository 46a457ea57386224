/*
 * child_process.h - a serving process: forked, named, without privileges.
 */
#ifndef WR__CHILD_PROCESS_H
#define WR__CHILD_PROCESS_H

#include "config.h"

#include <apr_tables.h>
#include <sys/types.h>

/** What a child is made of. */
typedef struct wr__child_options {
    const wr__config *config;
    const apr_array_header_t *listeners; /**< wr_listener * */
    int index;                           /**< of the child */
    int ready_fd;   /**< an eventfd: one is added when the child is ready;
                         or -1 */
    int own_fds[2]; /**< the generation's own: closed in the child */
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

/**
 * Serve in the calling process until SIGINT, SIGTERM or SIGUSR1.  For the
 * debugger.
 *
 * @return exit status.
 */
int wr__child_process_single(const wr__child_options *options);

#endif
