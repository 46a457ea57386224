/*
 * conn.h - the connection machine's inside, for the protocols that run on it.
 */
#ifndef WR__CONN_H
#define WR__CONN_H

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_op.h"

#include "child.h"

/** wr_conn.flags */
enum {
    WR__CONN_BROKEN = 1,  /**< an end failed: abort at the next step */
    WR__CONN_QUANTUM = 2, /**< used its share: yield at the next step */
    WR__CONN_ABORTED = 4, /**< the protocol was told */
    WR__CONN_STOPPING = 8,
    WR__CONN_MAY_RUN = 16 /**< WR_WANT_RUN was said, and nothing since that
                               another thread would see to */
};

/** wr_end.flags */
enum {
    WR__END_EOF = 1,    /**< the peer sends no more */
    WR__END_FIN = 2,    /**< nothing will be appended to the output */
    WR__END_PAGING = 4, /**< the next file window is being paged in */
    WR__END_SHUT = 8,   /**< shut down: wait for the kernel to let go */
    WR__END_TOLD = 16,  /**< gone, and the MPM knows it */
    WR__END_CORKED = 32 /**< TCP_CORK is set */
};

#define WR__CONN_MAGIC 0x434f4e4eu

/** Give the connection a kit, if it has none. */
wr_kit *wr__conn_lend(wr_conn *c, wr_thread *self);
/** Take the kit back: input and output are empty, no request is there. */
void wr__conn_take_kit(wr_conn *c, wr_thread *self);

/** Want an op to be run. */
void wr__conn_add_op(wr_conn *c, wr_op *op);
/** What wr_op_delay_all() has said of ops of this kind, in microseconds. */
uint32_t wr__op_delay(wr_op_kind kind);
/** Forget the ops that nobody took. */
void wr__conn_drop_ops(wr_conn *c);

/** A request's last byte went (or never will): it is to be logged. */
void wr__conn_add_done(wr_conn *c, wr_request *r);

/** Add an end, ready to be tried; the descriptor becomes its own. */
wr_end *wr__conn_add_end(wr_conn *c, int fd, bool is_pipe);
/** It is no longer needed: the MPM is told to drop it. */
void wr__conn_remove_end(wr_end *e);

/** Bring what has come for the first stream in the output there, and see to it
 *  that more is wanted, or not. */
void wr__stream_pull(wr_end *client);

/** Has nothing come that was not received? */
bool wr__end_is_silent(const wr_end *e);
/** Does the output begin with an object that is still to be computed? */
bool wr__end_must_compute(const wr_end *e);
/** Compute a piece of it.  @return WR_IO_DONE, _CALL (an op was asked for, or
 *  is out) or _ERROR. */
wr_io wr__end_compute(wr_end *e);
/** Is an op out, without which nothing can be sent?  There is output. */
bool wr__end_awaits_op(const wr_end *e);
/** Does nothing stand between the output and the kernel? */
bool wr__end_can_send(wr_end *e);
/** Is there output left? */
bool wr__end_has_output(const wr_end *e);
/** Requests whose end lies at the head of the output are done. */
void wr__end_finish_requests(wr_end *e);
/** Throw the output away; requests that end in it are done, and aborted. */
void wr__end_drop_output(wr_end *e);
/** Close the connection's output with what is there: FIN follows. */
void wr__end_finish(wr_end *e);

#endif
