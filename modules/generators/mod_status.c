/*
 * mod_status.c - the handler server-status: what the server does and has done.
 *
 *     <Location "/server-status">
 *         SetHandler server-status
 *         Require local
 *     </Location>
 *
 * A query says in which form: none is a page for people, "?json" is for
 * programs.  It runs in the connection's owner's thread and neither waits nor
 * asks for an op: all that it reads is memory.
 */
#include "wr_conn.h"
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_request.h"

#include "status.h"

#include <string.h>

const char *wr__status_word(wr_role_state state)
{
    switch (state) {
    case WR_ROLE_NONE:
        return "ended";
    case WR_ROLE_WAITING:
        return "waiting";
    case WR_ROLE_BUSY:
        return "busy";
    }
    return "?";
}

static wr_result show_status(wr_request *r)
{
    apr_bucket_brigade *bb;

    if (!r->handler || strcmp(r->handler, "server-status") != 0
        || (r->method != WR_M_GET && r->method != WR_M_HEAD)) {
        return WR_DECLINED;
    }
    bb = apr_brigade_create(r->pool, wr_request_bucket_alloc(r));
    wr__status_json(wr__status_gather(r->pool, r->conn->child->mpm->name), bb);
    r->content_type = "application/json";
    wr_request_set_header(r, "Cache-Control", "no-store");
    wr_request_append_brigade(r, bb);
    return WR_OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(show_status, NULL, NULL, APR_HOOK_MIDDLE);
}

WR_API wr_module status_module = {
    WR_MODULE_HEAD("status"),
    .register_hooks = register_hooks,
};
