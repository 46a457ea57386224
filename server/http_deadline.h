/*
 * http_deadline.h - how long an HTTP connection waits.
 *
 * For http_conn.c, in the thread that owns the connection.
 */
#ifndef WR__HTTP_DEADLINE_H
#define WR__HTTP_DEADLINE_H

#include "http_conn.h"

/** By when a new connection must have sent a head. */
int64_t wr__http_first_deadline(const wr_conn *c, int64_t now_ns);

/** The client has something to take from now on. */
void wr__http_begin_output(wr_conn *c, wr_thread *self);

/** Bytes went; wr_protocol.sent.  Keep-alive counts from the last byte of the
 *  last response. */
void wr__http_sent(wr_conn *c, wr_thread *self, size_t len);

/** The moment at which waiting for input ends. */
int64_t wr__http_input_deadline(wr_conn *c);

/** The moment at which waiting for the client to take output ends.  While we
 *  keep the client waiting there is none, or, while a stream does, Timeout; and
 *  afterwards it counts anew. */
int64_t wr__http_output_deadline(wr_conn *c, wr_thread *self);

#endif
