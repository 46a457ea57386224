/*
 * wr_protocol.h - what speaks on a connection.  HTTP/1 is one; others are
 * plugged in beside it.  A table of functions called by the machine with the
 * connection's owner's thread.
 */
#ifndef WR_PROTOCOL_H
#define WR_PROTOCOL_H

#include "wr_base.h"
#include "wr_conn.h"

struct wr_protocol {
    const char *name;
    /** A new connection: set state and deadline. */
    void (*open)(wr_conn *c, wr_thread *self);
    /** One step.  Bounded. */
    wr_want (*step)(wr_conn *c, wr_thread *self);
    /** The deadline has passed: change state; step follows. */
    void (*timeout)(wr_conn *c, wr_thread *self);
    /** An end broke or the child stops: let go of everything. */
    void (*abort)(wr_conn *c, wr_thread *self);
    /** So many bytes of output went: for deadlines. */
    void (*sent)(wr_conn *c, wr_thread *self, size_t len);
};

#endif
