/*
 * static.c - the core's own hooks: a name below DocumentRoot, a file, and the
 * handler that sends it.
 *
 * They are the last of their phases, so any module may come before them.
 */
#include "wr_log.h"

#include "config_core.h"
#include "config_server.h"
#include "hook.h"
#include "lookup.h"
#include "request.h"
#include "response.h"

#include <apr_strings.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/** Even where the URL keeps them: one file has one name, or what holds for it
 *  would depend on how it is called. */
static void merge_slashes(char *path)
{
    char *to = path;

    for (const char *from = path; *from; from++) {
        if (!(from[0] == '/' && from[1] == '/')) {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/** RFC 9110, 15.5.6: who is refused a method is told those that are not. */
static wr_result refuse_method(wr_request *r)
{
    wr_request_set_err_header(r, "Allow", "GET, HEAD, OPTIONS");
    return 405;
}

wr_result wr__core_translate_name(wr_request *r)
{
    char *filename, *path;

    if (r->method == WR_M_CONNECT) {
        return refuse_method(r); /* a tunnel is not ours to dig */
    }
    if (strcmp(r->uri, "*") == 0) {
        return WR_OK;
    }
    if (!r->server->root) {
        return 404; /* no DocumentRoot */
    }
    r->root = r->server->root;
    filename = apr_pstrcat(r->pool, r->root->path, r->uri, NULL);
    path = filename + strlen(r->root->path);
    merge_slashes(path);
    r->filename = filename;
    r->root_path = path[1] ? path + 1 : ".";
    return WR_OK;
}

/** Directories end in "/" where their configuration is looked up. */
static const char *path_of(wr_request *r)
{
    size_t len = strlen(r->filename);

    if (r->file && r->file->is_dir && r->filename[len - 1] != '/') {
        return apr_pstrcat(r->pool, r->filename, "/", NULL);
    }
    return r->filename;
}

wr_result wr__core_map_to_storage(wr_request *r)
{
    wr__file *file = NULL;
    wr_result result;

    if (!r->filename) {
        return WR_OK;
    }
    /* First as if it were a file: whether links may be followed on the way to
     * it is for the directory to say in which it lies. */
    result = wr__request_configure(r, path_of(r));
    if (result != WR_OK) {
        return result;
    }
    result = wr__lookup_file(r, r->root, r->filename, r->root_path, &file,
                             &r->core->lookup_error);
    if (result != WR_OK) {
        return result;
    }
    r->file = file ? &file->file : NULL;
    return wr__request_configure(r, path_of(r));
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

/** Fields that an echo must not give to a script (RFC 9110, 9.3.8). */
static bool is_secret(const wr_field *field)
{
    return strcasecmp(field->name, "Authorization") == 0
           || strcasecmp(field->name, "Proxy-Authorization") == 0
           || strcasecmp(field->name, "Cookie") == 0;
}

/** What was received, as content (RFC 9110, 9.3.8). */
static wr_result trace(wr_request *r)
{
    int allowed = wr__core_server_of(r->server)->trace;

    if (allowed == WR__TRACE_OFF) {
        return refuse_method(r);
    }
    if (allowed != WR__TRACE_EXTENDED && r->core->declared_length != 0) {
        return 413;
    }
    r->content_type = "message/http";
    wr_request_printf(r, "%s\r\n", r->request_line);
    for (int i = 0; i < r->field_count; i++) {
        if (!is_secret(&r->fields[i])) {
            wr_request_printf(r, "%s: %s\r\n", r->fields[i].name,
                              r->fields[i].value);
        }
    }
    wr_request_puts(r, "\r\n");
    return WR_OK;
}

/** Is there a field that looks at the file's validators? */
static bool is_conditional(const wr_request *r)
{
    if (r->core->error_status) {
        return false; /* an ErrorDocument: they were about something else */
    }
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
    case WR_M_TRACE:
        return trace(r);
    default:
        if (r->method == WR_M_POST && !r->file) {
            break;
        }
        return refuse_method(r);
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
        const char *etag = wr__content_etag(r);
        wr_result result = wr_request_preconditions(r, etag, r->file->mtime);

        if (result != WR_OK) {
            if (etag) {
                wr_request_set_header(r, "ETag", etag);
            }
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
        if (!r->core->header_len) {
            wr__response_set_header(r);
        }
    }
    r->content_length = r->file->size;
    if (!r->is_head) {
        wr_request_append_file(r, r->file, 0, r->file->size);
    }
    return WR_OK;
}
