/*
 * conn.c - the connection machine: wants, ownership, closing.
 *
 * Runs in whichever thread owns the connection (see wr_conn.h); wr_conn_post()
 * alone may be called by others.  What the connection speaks is the protocol's
 * affair (http_conn.c), how bytes come and go the ends' (end.c).
 */
#include "conn.h"

#include "wr_board.h"
#include "wr_op.h"
#include "wr_protocol.h"
#include "wr_request.h"

#include "stock.h"
#include "thread.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

wr_conn *wr_conn_create(wr_thread *self, int fd, const wr_listener *listener,
                        const struct sockaddr *peer, socklen_t peer_len)
{
    wr_child *child = self->child;
    wr_conn *c;

    if (atomic_fetch_add(&child->connections, 1) >= child->max_connections) {
        atomic_fetch_sub(&child->connections, 1);
        return NULL;
    }
    c = wr__stock_conn(child->core->stock);
    c->magic = WR__CONN_MAGIC;
    c->child = child;
    c->listener = listener;
    c->serial = atomic_fetch_add_explicit(&child->core->serial, 1,
                                          memory_order_relaxed);
    c->protocol = listener->protocol;
    c->deadline = WR_NEVER;
    if (peer && peer_len <= sizeof(c->peer)) {
        memcpy(&c->peer, peer, peer_len);
    }
    c->ends->fd = fd;
    /* With TCP_DEFER_ACCEPT the request is there when accept() returns. */
    atomic_store_explicit(&c->ends->ready, WR_READ | WR_WRITE,
                          memory_order_relaxed);
    c->shown = WR_N_IDLE;
    wr_count(self, WR_N_IDLE, 1);
    wr_count(self, WR_N_CONNECTIONS, 1);
    c->protocol->open(c, self);
    if (c->serial + 1 == child->core->serial_limit) {
        wr__child_leave(child);
    }
    return c;
}

/** Take in what was posted. */
static void take_posts(wr_conn *c, wr_thread *self)
{
    unsigned bits =
        atomic_exchange_explicit(&c->posted, 0, memory_order_acq_rel);

    assert(!(bits & WR_POST_PARKED));
    assert(c->refs >= bits / WR_POST_OP);
    c->refs = (uint16_t)(c->refs - bits / WR_POST_OP);
    if (bits & WR_POST_STOP) {
        c->flags |= WR__CONN_BROKEN | WR__CONN_STOPPING;
    }
    if ((bits & WR_POST_ROOM) && wr_conn_is_kept(c)
        && wr__end_is_silent(c->ends)) {
        c->flags |= WR__CONN_BROKEN;
    }
    if ((bits & WR_POST_TIMER) && c->deadline <= self->now_ns) {
        c->deadline = WR_NEVER;
        c->protocol->timeout(c, self);
    }
}

/** Is an end gone that can be dropped, or that the MPM does not know of? */
static bool must_drop(const wr_conn *c)
{
    for (const wr_end *e = c->ends->next; e; e = e->next) {
        if (e->is_gone && (!e->in_flight || !(e->flags & WR__END_TOLD))) {
            return true;
        }
    }
    return false;
}

wr_want wr_conn_step(wr_conn *c, wr_thread *self)
{
    assert(c->magic == WR__CONN_MAGIC);
    if (atomic_load_explicit(&c->posted, memory_order_relaxed)) {
        take_posts(c, self);
    }
    if (c->flags & (WR__CONN_BROKEN | WR__CONN_QUANTUM)) {
        if ((c->flags & WR__CONN_BROKEN) && !(c->flags & WR__CONN_ABORTED)) {
            c->flags |= WR__CONN_ABORTED;
            c->protocol->abort(c, self);
            wr__conn_drop_ops(c); /* nobody waits for them any more */
        }
        if (c->flags & WR__CONN_QUANTUM) {
            c->flags &= ~(unsigned)(WR__CONN_QUANTUM | WR__CONN_MAY_RUN);
            return WR_WANT_YIELD;
        }
    }
    if (c->done) {
        return WR_WANT_LOG;
    }
    if (c->ops) {
        return WR_WANT_CALL;
    }
    if (c->ends->next && must_drop(c)) {
        c->flags &= ~(unsigned)WR__CONN_MAY_RUN;
        return WR_WANT_DROP;
    }
    return c->protocol->step(c, self);
}

bool wr_conn_ready(const wr_conn *c)
{
    for (const wr_end *e = c->ends; e; e = e->next) {
        if (e->want & ~e->in_flight
            & atomic_load_explicit(&e->ready, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

wr_op *wr_conn_take_op(wr_conn *c)
{
    wr_op *op = c->ops;

    if (op) {
        c->ops = op->next;
        op->next = NULL;
        c->refs++;
    }
    return op;
}

void wr__conn_add_op(wr_conn *c, wr_op *op)
{
    wr_op **tail = &c->ops;

    while (*tail) {
        tail = &(*tail)->next;
    }
    op->conn = c;
    op->next = NULL;
    op->delay_us = wr__op_delay(op->kind);
    *tail = op;
}

void wr__conn_drop_ops(wr_conn *c)
{
    c->ops = NULL;
}

wr_record *wr_conn_take_log(wr_conn *c)
{
    wr_request *r = (wr_request *)c->done;

    if (r) {
        c->done = (wr_record *)r->task.next;
        r->task.next = NULL;
    }
    return (wr_record *)r;
}

void wr__conn_add_done(wr_conn *c, wr_request *r)
{
    wr_record **tail = &c->done;

    while (*tail) {
        tail = (wr_record **)&((wr_request *)*tail)->task.next;
    }
    r->conn = NULL;
    r->task.next = NULL;
    *tail = (wr_record *)r;
}

bool wr_conn_post(wr_conn *c, unsigned bits)
{
    uint32_t old = atomic_load_explicit(&c->posted, memory_order_relaxed);
    uint32_t now;

    do {
        /* WR_POST_OP counts, the others are set. */
        now = (old + (bits & ~(uint32_t)(WR_POST_OP - 1)))
              | (bits & (WR_POST_OP - 1));
        now &= ~(uint32_t)WR_POST_PARKED;
    } while (!atomic_compare_exchange_weak_explicit(
        &c->posted, &old, now, memory_order_acq_rel, memory_order_relaxed));
    return old & WR_POST_PARKED;
}

bool wr_conn_park(wr_conn *c)
{
    uint32_t none = 0;

    return atomic_compare_exchange_strong_explicit(
        &c->posted, &none, WR_POST_PARKED, memory_order_acq_rel,
        memory_order_relaxed);
}

wr_kit *wr__conn_lend(wr_conn *c, wr_thread *self)
{
    if (!c->kit) {
        c->kit = wr__stock_kit(c->child->core->stock, &self->core->bin);
        c->ends->in = &c->kit->in;
        c->ends->out = c->kit->out;
        c->proto_data = &c->kit->http;
        c->kit->wire = 0;
        c->kit->streams = 0;
        c->kit->moved = 0;
        wr__http_reset(&c->kit->http, c->deadline);
    }
    return c->kit;
}

void wr__conn_take_kit(wr_conn *c, wr_thread *self)
{
    wr_kit *kit = c->kit;

    if (kit) {
        assert(APR_BRIGADE_EMPTY(kit->out));
        c->kit = NULL;
        c->ends->in = NULL;
        c->ends->out = NULL;
        c->proto_data = NULL;
        wr__stock_kit_free(c->child->core->stock, &self->core->bin, kit);
    }
}

wr_end *wr__conn_add_end(wr_conn *c, int fd, bool is_pipe)
{
    wr_end *e = wr__stock_end(c->child->core->stock);

    e->conn = c;
    e->fd = fd;
    e->is_pipe = is_pipe;
    atomic_store_explicit(&e->ready, WR_READ | WR_WRITE, memory_order_relaxed);
    e->next = c->ends->next;
    c->ends->next = e;
    return e;
}

void wr__conn_remove_end(wr_end *e)
{
    e->want = 0;
    e->is_gone = true;
}

bool wr_conn_drop(wr_conn *c, wr_thread *self)
{
    wr_end **at = &c->ends->next;
    bool dropped_all = true;

    (void)self;
    while (*at) {
        wr_end *e = *at;

        e->flags |= e->is_gone ? WR__END_TOLD : 0;
        if (e->is_gone && !e->in_flight) {
            *at = e->next;
            close(e->fd);
            wr__stock_end_free(c->child->core->stock, e);
            continue;
        }
        dropped_all = dropped_all && !e->is_gone;
        at = &e->next;
    }
    return dropped_all;
}

/** Does the kernel, or an op, still hold something of it? */
static bool is_held(const wr_conn *c)
{
    if (c->refs) {
        return true;
    }
    for (const wr_end *e = c->ends; e; e = e->next) {
        if (e->in_flight) {
            return true;
        }
    }
    return false;
}

bool wr_conn_close(wr_conn *c, wr_thread *self)
{
    wr_child *child = c->child;
    wr_end *e;

    assert(c->magic == WR__CONN_MAGIC);
    if (is_held(c) || c->done) {
        for (e = c->ends; e; e = e->next) {
            if (!(e->flags & WR__END_SHUT)) {
                e->flags |= WR__END_SHUT;
                shutdown(e->fd, SHUT_RDWR); /* ends what is in flight */
            }
        }
        return false;
    }
    while ((e = c->ends->next)) {
        c->ends->next = e->next;
        close(e->fd);
        wr__stock_end_free(child->core->stock, e);
    }
    close(c->ends->fd);
    wr_count(self, (wr_counter)c->shown, -1);
    wr__conn_take_kit(c, self);
    c->magic = 0;
    wr__stock_conn_free(child->core->stock, c);
    atomic_fetch_sub(&child->connections, 1);
    return true;
}
