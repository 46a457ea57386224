/*
 * log_pipe.h - whole lines to a pipe that many processes write to.
 */
#ifndef WR__LOG_PIPE_H
#define WR__LOG_PIPE_H

#include "wr_log.h"

#include <stdatomic.h>
#include <sys/types.h>

/** In memory that all the writers share; all zero at the beginning.  Not all
 *  of them are trusted, so what is read here is bounded. */
struct wr__log_pipe {
    _Atomic pid_t writer; /* the process that is at it; 0: nobody */
    /* guarded by writer: what is left of a line that went in part */
    _Atomic size_t rest_at, rest_len;
    char rest[WR_LOG_LINE_MAX];
};

/**
 * Append whole lines, without waiting.
 *
 * @param fd the pipe's end to write to, O_NONBLOCK.
 * @return bytes of the lines that went or will go before any other; if less
 *         than @a len, see errno: EBUSY when the pipe is full or another
 *         process or thread is at it.
 */
size_t wr__log_pipe_append(struct wr__log_pipe *pipe, int fd, const char *text,
                           size_t len);

/** Write what is left of a line.
 *  @return APR_SUCCESS when nothing is left; APR_EBUSY as above; what failed.
 */
apr_status_t wr__log_pipe_settle(struct wr__log_pipe *pipe, int fd);

/** A process has died: it is not at it any more. */
void wr__log_pipe_reap(struct wr__log_pipe *pipe, pid_t pid);

#endif
