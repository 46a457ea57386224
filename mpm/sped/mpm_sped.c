/*
 * mpm_sped.c - single process, event-driven (SPED).
 *
 * One thread, one loop.  A turn waits for events and carries each connection
 * that has one as far as it goes without waiting:
 *
 *     .--> wait --> accept, read, find, read the file, send, log --.
 *     '-------------------------------------------------------------'
 *
 * No switch, no lock, no hand-over.  And as in the figure: a call to the file
 * system that blocks stops everything.
 *
 * The thread owns every connection all the time, so none is ever parked.  A
 * request on a kept connection costs a wait, a receive and a send; a connection
 * answered at the first try never enters the poller.
 */
#include "wr_conn.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/loop.h"

#define GATHER_MAX 8 /* connections that are read before they are answered */

/** Where this architecture stands still. */
static void call(wr__loop *l, wr_conn *c)
{
    wr_op *op = wr_conn_take_op(c);

    wr_op_run_timed(op, l->self);
    wr_op_finish(op);
}

/** Carry a connection on as far as it goes.  It may be gone afterwards. */
static void carry(wr__loop *l, wr_conn *c)
{
    wr__loop_tell(l, c);
    for (;;) {
        switch (wr_conn_step(c, l->self)) {
        case WR_WANT_IO:
            if (!wr_conn_ready(c) && wr__loop_await(l, c)) {
                return;
            }
            if (l->is_gathering) {
                wr__loop_put_last(l, c);
                return;
            }
            wr_conn_io(c, l->self, l->child->quantum);
            break;
        case WR_WANT_RUN:
            break;
        case WR_WANT_CALL:
            call(l, c);
            break;
        case WR_WANT_LOG:
            wr_record_log(wr_conn_take_log(c), l->self);
            break;
        case WR_WANT_YIELD:
            wr__loop_put_last(l, c);
            return;
        case WR_WANT_DROP:
            wr__loop_drop(l, c);
            break;
        case WR_WANT_CLOSE:
            if (wr__loop_close(l, c)) {
                return;
            }
            break;
        }
    }
}

static const wr__loop_calls sped_calls = {
    .carry = carry,
    .gather_max = GATHER_MAX,
};

static apr_status_t sped_init(wr_child *child)
{
    wr__loop *l = apr_pcalloc(child->pool, sizeof(*l));

    child->mpm_data = l;
    return wr__loop_init(l, child, &sped_calls, NULL);
}

static apr_status_t sped_serve(wr_child *child)
{
    wr__loop *l = child->mpm_data;
    apr_status_t rv;

    l->self = wr_thread_init(child, "sped");
    rv = wr__loop_run(l);
    wr_thread_finish(l->self);
    return rv;
}

static wr_mpm sped_mpm = {
    .name = "sped",
    .summary = "one event loop does it all; a blocking file call stops it",
    .traits = WR_MPM_CALLS_INLINE,
    .conn_bytes = sizeof(wr__seat),
    .init = sped_init,
    .serve = sped_serve,
};

WR_API wr_module mpm_sped_module = {
    WR_MODULE_HEAD("mpm_sped"),
    .mpm = &sped_mpm,
};
