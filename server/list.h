/*
 * list.h - the entries of a directory, as plain data.
 */
#ifndef WR__LIST_H
#define WR__LIST_H

#include "wr_op.h"

/**
 * Run a WR_OP_LIST.
 *
 * @thread any, any process.
 * @return its status; on success its fd and done are set.
 */
apr_status_t wr__list(wr_op *op);

#endif
