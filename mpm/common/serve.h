/*
 * serve.h - a connection served to its end by one thread that waits for it.
 */
#ifndef WR__SERVE_H
#define WR__SERVE_H

#include "wr_conn.h"
#include "wr_mpm.h"

/**
 * Serve a connection to its end: wait where it waits, run its ops, log its
 * requests, all here.  It hears of the child's stop and of its own deadline.
 *
 * @owner  the caller's connection; it is gone on return.
 * @thread the calling one, whose @a self is; it may sleep as long as the
 *         connection lives.
 */
void wr__serve_blocking(wr_conn *c, wr_thread *self);

#endif
