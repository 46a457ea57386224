/*
 * wr_hook.h - where modules take part.
 *
 * Registered by wr_hook_NAME(function, before, after, order) and sorted by
 * APR-util's apr_hooks; order is APR_HOOK_FIRST, _MIDDLE or _LAST, before and
 * after name modules ("mod_dir.c" is written "dir").
 *
 * A request passes the request hooks in the order in which they stand here.
 * One that has to wait asks for an op (wr_request.h), returns WR_SUSPENDED and
 * is called again from its beginning when the op has returned.
 */
#ifndef WR_HOOK_H
#define WR_HOOK_H

#include "wr_base.h"

#include <apr_errno.h>
#include <apr_hooks.h>
#include <apr_pools.h>

/** What a request hook decides: one of these, or an HTTP status (100-599). */
typedef int wr_result;
enum {
    WR_OK = 0,         /**< done; in "first" hooks nobody else is asked */
    WR_DECLINED = -1,  /**< not mine */
    WR_SUSPENDED = -2, /**< call me again when what I asked for is there */
    WR_REDIRECTED = -3 /**< wr_request_redirect() gave it another URL */
};

/* While the configuration is read; a failure ends the start. */

/** Before any directive is carried out.  All are called. */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, apr_status_t, pre_config, (apr_pool_t * pool))
/**
 * All directives are carried out: do they make sense together?  With -t too,
 * so nothing may be opened.  All are called.
 *
 * @param where set to the directive that an error is about.
 * @return NULL, or what is wrong.
 */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, const char *, check_config,
                          (apr_pool_t * pool, wr_server *main_server,
                           const wr_directive **where))
/** Before anything is forked: open what children inherit.  All are called. */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, apr_status_t, post_config,
                          (apr_pool_t * pool, wr_server *main_server))
/** In each new child, before it serves.  All are called. */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, void, child_init, (wr_child * child))

/* A request's phases.  all: until one returns neither OK nor DECLINED.
 * first: until one returns other than DECLINED. */

/** all: the head was read */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, post_read_request,
                          (wr_request * r))
/** first: from r->uri to r->filename */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, translate_name, (wr_request * r))
/** first: from r->filename to r->file and r->dir_config */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, map_to_storage, (wr_request * r))
/** all: look at the header fields */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, header_parser, (wr_request * r))
/** all: access without a user */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, access_checker, (wr_request * r))
/** first: who is it?  Asked only where access_checker says so */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, check_user_id, (wr_request * r))
/** first: may that user? */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, auth_checker, (wr_request * r))
/** first: content type and encoding */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, type_checker, (wr_request * r))
/** all: the last word before the handler */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, fixups, (wr_request * r))
/** first: append the response */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, handler, (wr_request * r))
/** all: the fields of the response, an error's too, are about to be written;
 *  may not suspend.  r->status is the final one.  ETag and Last-Modified of a
 *  file are in the tables like all others; type, encoding, language and length
 *  of the content are members of r */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, insert_headers, (wr_request * r))
/** all: the last byte has gone; may not suspend.  The connection may be gone,
 *  so only what is in the request may be used */
APR_DECLARE_EXTERNAL_HOOK(wr, WR, wr_result, log_transaction,
                          (wr_request * r, wr_thread *self))

#endif
