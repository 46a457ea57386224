/*
 * mpm_amped.c - asymmetric multi-process, event-driven (AMPED: Pai, Druschel
 * and Zwaenepoel, Flash, 1999).
 *
 * One thread with one loop, as in SPED; and what may wait for the disk goes to
 * helpers:
 *
 *     .--> wait --> accept, read, find, send, log --.
 *     |      ^                   |                  |
 *     '------|-------------------|------------------'
 *            |                   v
 *          result       helper  helper  helper ...
 *                     (find the file; bring it into memory)
 *
 * The core tries without waiting first (it asks for an op only where it would
 * block), so a helper's work is needed for what is not in memory, and for that
 * alone.  A result is one event more.
 *
 * The thread owns every connection all the time, so none is ever parked; one
 * whose op is out waits in the poller like any other.
 */
#include "wr_board.h"
#include "wr_conn.h"
#include "wr_module.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "mpm/common/helpers.h"
#include "mpm/common/loop.h"

typedef struct amped {
    wr__loop loop;
    wr__helpers *helpers;
} amped;

#define GATHER_MAX 8 /* connections that are read before they are answered */

/** Carry a connection on as far as it goes.  It may be gone afterwards. */
static void carry(wr__loop *l, wr_conn *c)
{
    amped *a = l->arg;

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
            wr__helpers_run(a->helpers, wr_conn_take_op(c));
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
            wr__loop_close(l, c); /* or when the op that is out comes back */
            return;
        }
    }
}

/** What it was waiting for has come, by another connection. */
static void resume(wr_conn *c)
{
    amped *a = c->child->mpm_data;

    wr__seat_put(&a->loop.ready, c);
}

static void on_other(wr__loop *l, int number)
{
    amped *a = l->arg;

    wr__helpers_on_other(a->helpers, number);
}

static void on_task(wr__loop *l, wr_task *task)
{
    amped *a = l->arg;

    wr__helpers_on_task(a->helpers, task);
}

static void end_turn(wr__loop *l)
{
    amped *a = l->arg;

    wr__helpers_end_turn(a->helpers);
}

static const wr__loop_calls amped_calls = {
    .carry = carry,
    .on_other = on_other,
    .on_task = on_task,
    .end_turn = end_turn,
    .gather_max = GATHER_MAX,
};

static apr_status_t amped_init(wr_child *child)
{
    amped *a = apr_pcalloc(child->pool, sizeof(*a));
    apr_status_t rv = wr__loop_init(&a->loop, child, &amped_calls, a);

    child->mpm_data = a;
    if (rv == APR_SUCCESS) {
        rv = wr__helpers_create(&a->helpers, &a->loop, child->mpm_config);
    }
    return rv;
}

static apr_status_t amped_serve(wr_child *child)
{
    amped *a = child->mpm_data;
    apr_status_t rv;

    a->loop.self = wr_thread_init(child, "amped");
    wr__helpers_start(a->helpers);
    rv = wr__loop_run(&a->loop);
    wr__helpers_stop(a->helpers);
    wr_thread_finish(a->loop.self);
    return rv;
}

static wr_mpm amped_mpm = {
    .name = "amped",
    .summary = "one event loop, and helpers for what may wait for the disk",
    .traits = WR_MPM_HELPERS,
    .conn_bytes = sizeof(wr__seat),
    .commands = wr__helper_commands,
    .config_create = wr__helper_config_create,
    .config_check = wr__helper_config_check,
    .describe = wr__helper_describe,
    .resume = resume,
    .init = amped_init,
    .serve = amped_serve,
};

WR_API wr_module mpm_amped_module = {
    WR_MODULE_HEAD("mpm_amped"),
    .mpm = &amped_mpm,
};
