/*
 * helpers.h - those who run what may block for a loop's thread: processes, or
 * threads.
 *
 * One helper runs one op at a time; the others wait in a queue, whose bound is
 * that of the connections.  Helpers are started when there is none idle, and
 * kept.  Results come through the loop, and the connection is carried on.
 *
 * Code (WR_OP_FUNC) can only be run by threads of this process: it has some of
 * its own, so that neither waits for the other; they are started when the first
 * such op comes, and so never if no module has any.
 *
 * Where no helper can be had, the op is run here and now, and that is logged: a
 * server that stands still at times is better than one that refuses.
 */
#ifndef WR__HELPERS_H
#define WR__HELPERS_H

#include "wr_command.h"
#include "wr_op.h"

#include "loop.h"

typedef struct wr__helpers wr__helpers;

/** Offsets in this are what wr__helper_commands() refers to. */
typedef struct wr__helper_config {
    int type;  /**< HelperType: 0 process, 1 thread */
    int reply; /**< HelperReply: 0 descriptor, 1 ready */
    int min;   /**< MinHelpers */
    int max;   /**< MaxHelpers */
} wr__helper_config;

/** For wr_mpm.commands, config_create, config_check and describe. */
extern const wr_command wr__helper_commands[];
void *wr__helper_config_create(apr_pool_t *pool);
const char *wr__helper_config_check(void *config, apr_pool_t *pool);
const char *wr__helper_describe(const void *config, apr_pool_t *pool);

/** Make what may fail.  In wr_mpm.init. */
apr_status_t wr__helpers_create(wr__helpers **helpers, wr__loop *l,
                                const wr__helper_config *config);
/** Start the least there are.  In serve(), once l->self is set. */
void wr__helpers_start(wr__helpers *h);
/** None works any more: let them go. */
void wr__helpers_stop(wr__helpers *h);

/**
 * Let an op be run.
 *
 * @owner the helpers', who finish it and resume its connection; never before
 *        the caller is back in the loop.
 */
void wr__helpers_run(wr__helpers *h, wr_op *op);

/* For the loop's calls of the same names. */
void wr__helpers_on_other(wr__helpers *h, int number);
void wr__helpers_on_task(wr__helpers *h, wr_task *task);
void wr__helpers_end_turn(wr__helpers *h);

#endif
