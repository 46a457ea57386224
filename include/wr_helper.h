/*
 * wr_helper.h - helper processes: they run ops for a child, one at a time, so
 * that whoever asked does not wait (Pai et al. 1999, section 5.6).
 *
 * A helper is forked by the spawner, which has no client, no listener and no
 * memory of a child's, and runs as the user that serves.  It is known by a
 * socket: an op is sent, and when it has been run its result comes back; what
 * was opened comes as a descriptor.  It ends when the other end is closed, and
 * with the spawner.
 *
 * For MPMs with the trait WR_MPM_HELPERS.
 */
#ifndef WR_HELPER_H
#define WR_HELPER_H

#include "wr_mpm.h"
#include "wr_op.h"

#include <apr_errno.h>

/** Helpers of a child, at most. */
#define WR_HELPERS_MAX 256

/**
 * Ask for a helper, which goes by the name weir:helperNUMBER.  Does not wait:
 * an op can be sent at once.  If none can be had, the end of the socket is all
 * that ever comes.
 *
 * @param fd non-blocking, close-on-exec; readable when a result, or the end,
 *        is there.
 * @owner fd: the caller's.
 * @thread any.
 */
WR_API apr_status_t wr_helper_start(int *fd, wr_child *child, int number);

/**
 * Send an op, of any kind but FUNC.  The helper has none.  Of READ, the range
 * is brought into memory and no more; of LOOKUP too if not @a passes_back.
 * Does not wait.
 *
 * @owner the op stays the caller's, who may send it again elsewhere.
 * @return EMFILE, ENOMEM and the like: try later.  EPIPE, ECONNRESET: the
 *         helper is gone.
 */
WR_API apr_status_t wr_helper_send(int fd, const wr_op *op, bool passes_back);

/**
 * The result of the op that was sent, into it.  Does not wait.  After success
 * of what was only brought into memory, wr_op_try() is to follow.
 *
 * @return APR_SUCCESS: op->status and what belongs to it are set.  A
 *         descriptor that could not be taken in: op->status is EMFILE.
 *         APR_EAGAIN, or APR_EOF: the helper is gone.
 */
WR_API apr_status_t wr_helper_receive(int fd, wr_op *op);

/**
 * A helper's own: run what is sent, until the other end is closed.
 *
 * @param fd   blocks.
 * @param self has a clock and a row of the scoreboard, and need have no more.
 */
WR_API void wr_helper_work(int fd, wr_thread *self);

#endif
