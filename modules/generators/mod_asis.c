/*
 * mod_asis.c - the handler send-as-is: files that begin with the response's
 * own fields.
 *
 *     Status: 410 Gone for good
 *     Content-Type: text/html
 *
 *     <p>It is gone.
 *
 * The head is read by an op; the rest is sent as any file.
 */
#define WR_LOG_MODULE asis_module

#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_op.h"
#include "wr_request.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 16384

/** The file's first bytes.  @return WR_OK, WR_SUSPENDED, or a status. */
static wr_result read_start(wr_request *r, const char **start, size_t *len)
{
    size_t want = r->file->size < HEAD_MAX ? (size_t)r->file->size : HEAD_MAX;
    wr_op *op;

    if (r->file->content) {
        *start = r->file->content;
        *len = want;
        return WR_OK;
    }
    op = wr_request_op(r);
    if (!op->is_done) {
        op->kind = WR_OP_READ;
        op->fd = r->file->fd;
        op->len = want;
        op->buf = apr_palloc(r->pool, want + 1);
        if (wr_op_try(op) != APR_SUCCESS) {
            return wr_request_ask(r, op);
        }
    }
    if (op->status != APR_SUCCESS) {
        wr_log_request(r, WR_LOG_ERROR, op->status, "reading %s", r->filename);
        return 500;
    }
    *start = op->buf;
    *len = op->done; /* less, if it has become shorter */
    return WR_OK;
}

/** "404 Not Found": the number. */
static int parse_status(const char *value)
{
    long status = strtol(value, NULL, 10);

    return status >= 200 && status <= 599 ? (int)status : 0;
}

static bool is_name(const char *name)
{
    for (const char *at = name; *at; at++) {
        if (!apr_isalnum(*at) && !strchr("!#$%&'*+-.^_`|~", *at)) {
            return false;
        }
    }
    return *name;
}

/** One "Name: value".  @return false if it is none. */
static bool use_line(wr_request *r, char *line)
{
    char *value = strchr(line, ':');

    if (!value) {
        return false;
    }
    *value++ = '\0';
    value += strspn(value, " \t");
    if (!is_name(line)) {
        return false;
    }
    if (strcasecmp(line, "Status") == 0) {
        r->status = parse_status(value);
        return r->status != 0;
    }
    if (strcasecmp(line, "Content-Type") == 0) {
        r->content_type = value;
    }
    else if (strcasecmp(line, "Content-Encoding") == 0) {
        r->content_encoding = value;
    }
    else if (strcasecmp(line, "Content-Language") == 0) {
        r->content_language = value;
    }
    else if (strcasecmp(line, "Content-Length") != 0
             && strcasecmp(line, "Transfer-Encoding") != 0
             && strcasecmp(line, "Connection") != 0
             && strcasecmp(line, "Date") != 0
             && strcasecmp(line, "Server") != 0) {
        if (!r->err_headers_out) {
            r->err_headers_out = apr_table_make(r->pool, 4);
        }
        apr_table_addn(r->err_headers_out, line, value);
    }
    return true;
}

/** All lines up to the empty one.  @return where the content begins, or -1. */
static int64_t use_head(wr_request *r, const char *start, size_t len)
{
    size_t at = 0;

    while (at < len) {
        const char *end = memchr(start + at, '\n', len - at);
        size_t line_len;

        if (!end) {
            return -1;
        }
        line_len = (size_t)(end - (start + at));
        if (line_len > 0 && end[-1] == '\r') {
            line_len--;
        }
        if (line_len == 0) {
            return end - start + 1;
        }
        if (!use_line(r, apr_pstrmemdup(r->pool, start + at, line_len))) {
            return -1;
        }
        at = (size_t)(end - start) + 1;
    }
    return -1;
}

static wr_result send_as_is(wr_request *r)
{
    const char *start = "", *location;
    int64_t content;
    size_t len = 0;
    wr_result result = read_start(r, &start, &len);

    if (result != WR_OK) {
        return result;
    }
    r->content_type = r->content_encoding = r->content_language = NULL;
    content = use_head(r, start, len);
    if (content < 0) {
        r->status = 200;
        r->err_headers_out = NULL;
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "%s does not begin with lines NAME: VALUE and an "
                       "empty line, in its first %d bytes",
                       r->filename, HEAD_MAX);
        return 500;
    }
    location = r->err_headers_out
                   ? apr_table_get(r->err_headers_out, "Location")
                   : NULL;
    if (location && r->status == 200) {
        r->status = 302; /* as a script's would be */
    }
    wr_request_append_file(r, r->file, content, r->file->size - content);
    return WR_OK;
}

static wr_result handle(wr_request *r)
{
    if (!r->handler
        || (strcmp(r->handler, "send-as-is") != 0
            && strcmp(r->handler, "httpd/send-as-is") != 0)
        || !r->file || !r->file->is_regular
        || (r->method != WR_M_GET && r->method != WR_M_HEAD)) {
        return WR_DECLINED;
    }
    return send_as_is(r);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

WR_API wr_module asis_module = {
    WR_MODULE_HEAD("asis"),
    .register_hooks = register_hooks,
};
