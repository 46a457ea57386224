/*
 * static.c - the core's own hooks: a name below DocumentRoot, a file, and the
 * handler that sends it.
 *
 * They are the last of their phases, so any module may come before them.
 */
#include "wr_log.h"

#include "hook.h"
#include "lookup.h"
#include "request.h"
#include "response.h"

#include <apr_strings.h>
#include <errno.h>
#include <string.h>

wr_result wr__core_translate_name(wr_request *r)
{
    if (r->method == WR_M_CONNECT) {
        return 405; /* a tunnel is not ours to dig */
    }
    if (strcmp(r->uri, "*") == 0) {
        return WR_OK;
    }
    if (!r->server->root) {
        return 404; /* no DocumentRoot */
    }
    r->root = r->server->root;
    r->filename = apr_pstrcat(r->pool, r->root->path, r->uri, NULL);
    r->root_path = r->uri[1] ? r->filename + strlen(r->root->path) + 1 : ".";
    return WR_OK;
}

/** Directories end in "/" where their configuration is looked up. */
static const char *directory_of(wr_request *r)
{
    const char *slash = strrchr(r->filename, '/');

    if (r->file && r->file->is_dir) {
        return slash[1] ? apr_pstrcat(r->pool, r->filename, "/", NULL)
                        : r->filename;
    }
    return apr_pstrmemdup(r->pool, r->filename,
                          (apr_size_t)(slash - r->filename) + 1);
}

wr_result wr__core_map_to_storage(wr_request *r)
{
    wr__file *file = NULL;
    wr_result result;

    if (!r->filename) {
        return WR_OK;
    }
    result = wr__lookup_file(r, r->root, r->filename, r->root_path, &file,
                             &r->core->lookup_error);
    if (result != WR_OK) {
        return result;
    }
    r->file = file ? &file->file : NULL;
    r->dir_config = wr__dir_config_find(r->server, directory_of(r));
    return WR_OK;
}

/** What a failed look-up means to the client. */
static int status_of(wr_request *r, apr_status_t error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return 404;
    case EACCES:
    case EPERM:
    case EXDEV: /* the path leads out of the root */
    case ELOOP:
    case ENXIO: /* a socket */
    case ENODEV:
        wr_log_request(r, WR_LOG_ERROR, error, "access to %s refused",
                       r->filename);
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        wr_log_request(r, WR_LOG_ERROR, error, "opening %s", r->filename);
        return 503;
    default:
        wr_log_request(r, WR_LOG_ERROR, error, "opening %s", r->filename);
        return 500;
    }
}

/** Is there a field that looks at the file's validators? */
static bool is_conditional(const wr_request *r)
{
    return r->known[WR_F_IF_MATCH] || r->known[WR_F_IF_NONE_MATCH]
           || r->known[WR_F_IF_MODIFIED_SINCE]
           || r->known[WR_F_IF_UNMODIFIED_SINCE] || r->known[WR_F_IF_RANGE];
}

wr_result wr__static_handler(wr_request *r)
{
    switch (r->method) {
    case WR_M_GET:
    case WR_M_HEAD:
        break;
    case WR_M_OPTIONS:
        wr_request_set_header(r, "Allow", "GET, HEAD, OPTIONS");
        return WR_OK;
    case WR_M_OTHER:
        return 501;
    default:
        wr_request_set_err_header(r, "Allow", "GET, HEAD, OPTIONS");
        return 405;
    }
    if (!r->file) {
        return status_of(r, r->core->lookup_error);
    }
    if (r->handler) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "no module is loaded for the handler %s", r->handler);
        return 500;
    }
    if (r->file->is_dir) {
        wr_log_request(r, WR_LOG_ERROR, 0, "%s is a directory without an index",
                       r->filename);
        return 403;
    }
    if (!r->file->is_regular) {
        wr_log_request(r, WR_LOG_ERROR, 0, "%s is not a regular file",
                       r->filename);
        return 403;
    }
    if (is_conditional(r)) {
        const wr__file *file = (const wr__file *)r->file;
        wr_result result =
            wr_request_preconditions(r, file->etag, file->file.mtime);

        if (result != WR_OK) {
            wr_request_set_err_header(r, "ETag", file->etag);
            return result;
        }
    }
    if (r->core->name && r->core->name->header_len) {
        r->core->header = r->core->name->header;
        r->core->header_len = r->core->name->header_len;
    }
    else {
        char *header = apr_palloc(r->pool, WR__CONTENT_HEADER_MAX);

        r->core->header = header;
        r->core->header_len =
            wr__content_header(r, header, WR__CONTENT_HEADER_MAX);
    }
    r->content_length = r->file->size;
    if (!r->is_head) {
        wr_request_append_file(r, r->file, 0, r->file->size);
    }
    return WR_OK;
}
