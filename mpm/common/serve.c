/*
 * serve.c - see serve.h.
 *
 * The loop of wr_conn.h, with a poll() over the ends where there is something
 * to wait for.  poll directly: a set of descriptors for one wait is what it is
 * made for, and APR's would be built and torn down each time.
 */
#include "serve.h"

#include "wr_end.h"
#include "wr_op.h"

#include "poller.h"

#include <errno.h>
#include <poll.h>

/** What poll() is to look for: the wanted bits.  -1: this end not. */
static struct pollfd poll_of(const wr_end *e)
{
    struct pollfd fd = {.fd = e->want ? e->fd : -1};

    if (e->want & WR_READ) {
        fd.events |= POLLIN | POLLRDHUP;
    }
    if (e->want & WR_WRITE) {
        fd.events |= POLLOUT;
    }
    return fd;
}

/** Wait for a wanted bit of an end, the deadline, or (once) the stop. */
static void wait_any(wr_conn *c, wr_thread *self, bool *is_told)
{
    struct pollfd fds[1 + WR_ENDS_MAX] = {
        {.fd = *is_told ? -1 : c->child->stop_fd, .events = POLLIN}};
    nfds_t count = 1;
    wr_end *e;

    for (e = c->ends; e && count <= WR_ENDS_MAX; e = e->next) {
        fds[count++] = poll_of(e);
    }
    if (poll(fds, count, wr__poll_timeout(c->deadline, self->now_ns)) < 0
        && errno != EINTR) {
        wr_child_fail(c->child, "waiting for a connection", errno);
        fds[0].revents = POLLERR;
    }
    wr_thread_tick(self);
    count = 1;
    for (e = c->ends; e && count <= WR_ENDS_MAX; e = e->next) {
        atomic_fetch_or_explicit(&e->ready,
                                 wr__ready_bits((unsigned)fds[count++].revents),
                                 memory_order_relaxed);
    }
    if (fds[0].revents && !*is_told) {
        *is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    if (c->deadline <= self->now_ns) {
        wr_conn_post(c, WR_POST_TIMER);
    }
}

/** There are no others to go first; but a client may never let this thread
 *  wait, and so hear of the time and of the stop. */
static void look_up(wr_conn *c, wr_thread *self, bool *is_told)
{
    wr_thread_tick(self);
    if (!*is_told && wr_child_state(c->child) == WR_CHILD_STOPPING) {
        *is_told = true;
        wr_conn_post(c, WR_POST_STOP);
    }
    if (c->deadline <= self->now_ns) {
        wr_conn_post(c, WR_POST_TIMER);
    }
}

static void call(wr_conn *c, wr_thread *self)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run_timed(op, self);
    wr_op_finish(op);
}

void wr__serve_blocking(wr_conn *c, wr_thread *self)
{
    bool is_told = false;

    for (;;) {
        switch (wr_conn_step(c, self)) {
        case WR_WANT_IO:
            if (!wr_conn_ready(c)) {
                wait_any(c, self, &is_told);
            }
            wr_conn_io(c, self, c->child->quantum);
            break;
        case WR_WANT_RUN:
            break;
        case WR_WANT_CALL:
            call(c, self);
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), self);
            break;
        case WR_WANT_YIELD:
            look_up(c, self, &is_told);
            break;
        case WR_WANT_DROP:
            wr_conn_drop(c, self);
            break;
        case WR_WANT_CLOSE:
            if (wr_conn_close(c, self)) {
                return;
            }
            break;
        }
    }
}
