/*
 * response.c - from what a handler left in a request to bytes in the output:
 * status line, fields, framing, content, the request's end.
 *
 * Runs in the connection's owner's thread.  A response to a cached file is
 * three copies into one piece of memory and no table.
 */
#include "response.h"

#include "wr_log.h"

#include "bucket.h"
#include "config_core.h"
#include "conn.h"
#include "hook.h"
#include "request.h"
#include "thread.h"

#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

/** A piece of memory that is filled from the front; sized beforehand. */
typedef struct writer {
    char *at, *end;
} writer;

static void put_mem(writer *w, const void *data, size_t len)
{
    assert(len <= (size_t)(w->end - w->at));
    memcpy(w->at, data, len);
    w->at += len;
}

static void put_str(writer *w, const char *text)
{
    put_mem(w, text, strlen(text));
}

#define put_lit(w, literal) put_mem((w), (literal), sizeof(literal) - 1)

static void put_number(writer *w, int64_t n)
{
    char digits[24];
    char *at = digits + sizeof(digits);

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put_mem(w, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_field(writer *w, const char *name, const char *value)
{
    put_str(w, name);
    put_lit(w, ": ");
    put_str(w, value);
    put_lit(w, "\r\n");
}

static size_t field_size(const char *name, const char *value)
{
    return value ? strlen(name) + strlen(value) + 4 : 0;
}

/** What a module sets may hold anything: no line may be smuggled in. */
static int is_field_safe(const char *value)
{
    return value[strcspn(value, "\r\n")] == '\0';
}

static int measure_field(void *baton, const char *name, const char *value)
{
    size_t *size = baton;

    *size += field_size(name, value);
    return 1;
}

static int write_field(void *baton, const char *name, const char *value)
{
    if (is_field_safe(value)) {
        put_field(baton, name, value);
    }
    return 1;
}

bool wr__time_is_settled(const wr_request *r, apr_time_t mtime)
{
    return mtime <= r->time - apr_time_from_sec(1);
}

/** RFC 9110, 8.8.3: a tag that may stay the same while the content changes is
 *  called weak. */
const char *wr__content_etag(const wr_request *r)
{
    const wr__file *file = (const wr__file *)r->file;
    unsigned bits = wr__core_dir_of(r->dir_config)->etag.bits;
    bool is_strong =
        (bits & WR__ETAG_MTIME) && wr__time_is_settled(r, file->file.mtime);
    char *text, *at;

    if (!bits) {
        return NULL;
    }
    if (bits == (WR__ETAG_MTIME | WR__ETAG_SIZE)) {
        return is_strong ? file->etag
                         : apr_pstrcat(r->pool, "W/", file->etag, NULL);
    }
    at = text = apr_palloc(r->pool, 64);
    if (bits & WR__ETAG_INODE) {
        at += sprintf(at, "-%llx", (unsigned long long)file->file.inode);
    }
    if (bits & WR__ETAG_SIZE) {
        at += sprintf(at, "-%llx", (unsigned long long)file->file.size);
    }
    if (bits & WR__ETAG_MTIME) {
        at += sprintf(at, "-%llx", (unsigned long long)file->file.mtime);
    }
    text[0] = '"';
    at[0] = '"';
    at[1] = '\0';
    return is_strong ? text : apr_pstrcat(r->pool, "W/", text, NULL);
}

/** RFC 9110, 8.8.2.1: nothing was changed later than now, whatever a file
 *  says of itself. */
static const char *last_modified(const wr_request *r)
{
    const wr__file *file = (const wr__file *)r->file;
    char *now;

    if (file->file.mtime <= r->time) {
        return file->last_modified;
    }
    now = apr_palloc(r->pool, APR_RFC822_DATE_LEN);
    apr_rfc822_date(now, r->time);
    return now;
}

size_t wr__content_header(const wr_request *r, char *buf, size_t size)
{
    const wr__file *file = (const wr__file *)r->file;
    const char *etag;
    writer w = {buf, buf + size};

    if (300 + field_size("Content-Type", r->content_type)
                + field_size("Content-Encoding", r->content_encoding)
                + field_size("Content-Language", r->content_language)
            > size
        || !wr__time_is_settled(r, file->file.mtime)) {
        return 0;
    }
    put_field(&w, "Last-Modified", file->last_modified);
    etag = wr__content_etag(r);
    if (etag) {
        put_field(&w, "ETag", etag);
    }
    if (wr__core_dir_of(r->dir_config)->max_ranges > 0) {
        put_lit(&w, "Accept-Ranges: bytes\r\n");
    }
    put_lit(&w, "Content-Length: ");
    put_number(&w, file->file.size);
    put_lit(&w, "\r\n");
    if (r->content_type) {
        put_field(&w, "Content-Type", r->content_type);
    }
    if (r->content_encoding) {
        put_field(&w, "Content-Encoding", r->content_encoding);
    }
    if (r->content_language) {
        put_field(&w, "Content-Language", r->content_language);
    }
    return (size_t)(w.at - buf);
}

void wr__add_charset(wr_request *r)
{
    const char *charset = wr__core_dir_of(r->dir_config)->charset;

    if (*charset && r->content_type
        && (strcmp(r->content_type, "text/html") == 0
            || strcmp(r->content_type, "text/plain") == 0)) {
        r->content_type =
            apr_pstrcat(r->pool, r->content_type, "; charset=", charset, NULL);
    }
}

/** A status that has no content, whatever a handler made (RFC 9110, 6.4.1). */
static bool has_no_content(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static void put_status_line(writer *w, int status)
{
    if (status == 200) {
        put_lit(w, "HTTP/1.1 200 OK\r\n");
        return;
    }
    put_lit(w, "HTTP/1.1 ");
    put_number(w, status);
    put_lit(w, " ");
    put_str(w, wr_status_text(status));
    put_lit(w, "\r\n");
}

/** RFC 9112, 9.3: what the client can't know from the version is said. */
static void put_connection(writer *w, const wr_request *r)
{
    if (!r->keep_alive) {
        put_lit(w, "Connection: close\r\n");
    }
    else if (r->version_minor == 0) {
        put_lit(w, "Connection: keep-alive\r\n");
    }
}

/** All fields but the ready-made ones. */
static void put_content_fields(writer *w, const wr_request *r)
{
    if (r->core->is_chunked) {
        put_lit(w, "Transfer-Encoding: chunked\r\n");
    }
    if (r->content_length >= 0 && !has_no_content(r->status)) {
        put_lit(w, "Content-Length: ");
        put_number(w, r->content_length);
        put_lit(w, "\r\n");
    }
    if (r->content_type && !has_no_content(r->status)) {
        put_field(w, "Content-Type", r->content_type);
    }
    if (r->content_encoding) {
        put_field(w, "Content-Encoding", r->content_encoding);
    }
    if (r->content_language) {
        put_field(w, "Content-Language", r->content_language);
    }
}

static size_t measure_head(const wr_request *r)
{
    size_t size = 256 + strlen(wr_status_text(r->status));

    size += r->core->header_len;
    size += field_size("Content-Type", r->content_type);
    size += field_size("Content-Encoding", r->content_encoding);
    size += field_size("Content-Language", r->content_language);
    if (r->headers_out) {
        apr_table_do(measure_field, &size, r->headers_out, NULL);
    }
    if (r->err_headers_out) {
        apr_table_do(measure_field, &size, r->err_headers_out, NULL);
    }
    return size;
}

void wr__response_open_header(wr_request *r)
{
    if (r->core->header_len) {
        r->core->header_len = 0;
        wr__response_set_header(r);
    }
}

void wr__response_set_header(wr_request *r)
{
    const char *etag = wr__content_etag(r);

    wr_request_set_header(r, "Last-Modified", last_modified(r));
    if (etag) {
        wr_request_set_header(r, "ETag", etag);
    }
    if (wr__core_dir_of(r->dir_config)->max_ranges > 0) {
        wr_request_set_header(r, "Accept-Ranges", "bytes");
    }
}

/** A query comes back in it as it came, and clients send bytes there that no
 *  URI has (RFC 9110, 10.2.2; RFC 3986, 3.4). */
static void escape_location(apr_table_t *fields)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *marks = "-._~:/?#[]@!$&'()*+,;=%";
    const char *from = fields ? apr_table_get(fields, "Location") : NULL;
    char *escaped, *to;

    if (!from || !is_field_safe(from)) {
        return;
    }
    to = escaped =
        apr_palloc(apr_table_elts(fields)->pool, 3 * strlen(from) + 1);
    for (; *from; from++) {
        unsigned char byte = (unsigned char)*from;

        if (apr_isalnum(byte) || strchr(marks, byte)) {
            *to++ = *from;
        }
        else {
            *to++ = '%';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
        }
        if (byte == '?') {
            marks = "-._~:/?#@!$&'()*+,;=%"; /* no address behind it */
        }
    }
    *to = '\0';
    apr_table_setn(fields, "Location", escaped);
}

/** Modules that change fields find them all in the tables. */
static void insert_headers(wr_request *r)
{
    if (wr__hooks_have_insert_headers(r)) {
        wr__response_open_header(r);
        wr__hooks_run_insert_headers(r);
    }
}

/** The head, as one piece in the request's pool. */
static apr_bucket *make_head(wr_request *r, wr_thread *self,
                             apr_bucket_alloc_t *list)
{
    size_t size = measure_head(r);
    char *buf = apr_palloc(r->pool, size);
    writer w = {buf, buf + size};

    put_status_line(&w, r->status);
    put_lit(&w, "Date: ");
    put_mem(&w, wr__thread_date(self), WR__DATE_LEN);
    put_lit(&w, "\r\nServer: ");
    put_str(&w, r->conn->child->core->server_field);
    put_lit(&w, "\r\n");
    if (r->core->header_len) {
        put_mem(&w, r->core->header, r->core->header_len);
    }
    else {
        put_content_fields(&w, r);
    }
    if (r->headers_out && (r->status < 400 || r->core->error_status)) {
        apr_table_do(write_field, &w, r->headers_out, NULL);
    }
    if (r->err_headers_out) {
        apr_table_do(write_field, &w, r->err_headers_out, NULL);
    }
    put_connection(&w, r);
    put_lit(&w, "\r\n");
    r->core->head_bytes += (size_t)(w.at - buf);
    return apr_bucket_immortal_create(buf, (apr_size_t)(w.at - buf), list);
}

/** ServerSignature: who says so. */
static const char *make_signature(wr_request *r)
{
    const wr__core_dir *core = wr__core_dir_of(r->dir_config);
    const char *name = r->host ? r->host : r->server->name;
    const char *product = r->conn->child->core->server_field;

    if (core->signature == WR__SIGNATURE_OFF || !name) {
        return "";
    }
    name = apr_pescape_entity(r->pool, name, 0);
    if (core->signature == WR__SIGNATURE_EMAIL && r->server->admin) {
        name = apr_psprintf(r->pool, "<a href=\"mailto:%s\">%s</a>",
                            apr_pescape_entity(r->pool, r->server->admin, 1),
                            name);
    }
    return apr_psprintf(r->pool,
                        "\n<hr><address>%s Server at %s Port %u"
                        "</address>",
                        product, name, (unsigned)r->listener->port);
}

/** A short page that says what is wrong. */
static void make_error_page(wr_request *r, int status)
{
    const char *text = wr_status_text(status);
    const wr__error_doc *doc;

    if (r->core->out) {
        apr_brigade_cleanup(r->core->out);
    }
    r->status = status;
    r->core->header_len = 0;
    r->content_encoding = r->content_language = NULL;
    r->content_length = -1;
    if (has_no_content(status)) {
        return;
    }
    doc = wr__core_error_doc(r->dir_config, status);
    if (doc && doc->kind == WR__ERROR_DOC_TEXT) {
        r->content_type = "text/html";
        wr_request_puts(r, doc->text);
        return;
    }
    r->content_type = "text/html; charset=utf-8";
    wr_request_printf(r,
                      "<!DOCTYPE html>\n<html lang=\"en\"><head><title>%d "
                      "%s</title></head>\n<body><h1>%s</h1>%s</body></html>\n",
                      status, text, text, make_signature(r));
}

/** Is there a bucket that can't be copied, since its bytes are yet to come? */
static bool has_unread(const apr_bucket_brigade *bb)
{
    for (const apr_bucket *b = APR_BRIGADE_FIRST(bb);
         b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (wr__bucket_is_unread(b)) {
            return true;
        }
    }
    return false;
}

/** The sum of the lengths of what was appended; -1: not known. */
static int64_t measure_content(const wr_request *r)
{
    int64_t len = 0;
    const apr_bucket *b;

    if (!r->core->out) {
        return 0;
    }
    for (b = APR_BRIGADE_FIRST(r->core->out);
         b != APR_BRIGADE_SENTINEL(r->core->out); b = APR_BUCKET_NEXT(b)) {
        int64_t part = wr__bucket_content_length(b);

        if (part < 0) {
            return -1;
        }
        len += part;
    }
    return len;
}

/** Metadata of others means nothing to the output, and would break the rule
 *  that its first bucket has bytes.  The kit knows of streams and how many
 *  objects there are. */
static void drop_metadata(wr_kit *kit, apr_bucket_brigade *bb)
{
    int count = 0;
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    while (b != APR_BRIGADE_SENTINEL(bb)) {
        apr_bucket *next = APR_BUCKET_NEXT(b);

        if (b->length == 0) {
            apr_bucket_delete(b);
        }
        else {
            kit->streams += wr__bucket_is_stream(b);
            count++;
        }
        b = next;
    }
    kit->most = count > kit->most ? count : kit->most;
}

/** The length can't be said beforehand: chunked, or until the connection
 *  closes (RFC 9112, 6.3). */
static void frame_unknown(wr_request *r)
{
    if (r->version_minor == 0) {
        r->keep_alive = false;
        return;
    }
    r->core->is_chunked = true;
}

/** Copied into the list's memory, not the pool's: there is no end of them. */
static apr_bucket *chunk_size_bucket(wr_request *r, apr_off_t size,
                                     apr_bucket_alloc_t *list)
{
    char text[24];
    int len = apr_snprintf(text, sizeof(text), "%" APR_UINT64_T_HEX_FMT "\r\n",
                           (apr_uint64_t)size);

    r->core->head_bytes += (size_t)len;
    return apr_bucket_heap_create(text, (apr_size_t)len, NULL, list);
}

static apr_bucket *chunk_bucket(wr_request *r, const char *text,
                                apr_bucket_alloc_t *list)
{
    size_t len = strlen(text);

    r->core->head_bytes += len;
    return apr_bucket_immortal_create(text, len, list);
}

void wr__response_frame_chunk(wr_request *r, apr_bucket_brigade *piece,
                              bool is_last)
{
    apr_bucket_alloc_t *list = piece->bucket_alloc;
    apr_off_t len = 0;

    if (!r->core->is_chunked) {
        return;
    }
    apr_brigade_length(piece, 0, &len);
    if (len > 0) {
        APR_BRIGADE_INSERT_HEAD(piece, chunk_size_bucket(r, len, list));
        APR_BRIGADE_INSERT_TAIL(piece, chunk_bucket(r, "\r\n", list));
    }
    if (is_last) {
        APR_BRIGADE_INSERT_TAIL(piece, chunk_bucket(r, "0\r\n\r\n", list));
    }
}

/** Chunk what is there already, between the computed objects and streams. */
static void frame_known(wr_request *r)
{
    apr_bucket_brigade *in = r->core->out;
    apr_bucket_brigade *run = apr_brigade_create(r->pool, in->bucket_alloc);
    apr_bucket_brigade *framed = apr_brigade_create(r->pool, in->bucket_alloc);

    while (!APR_BRIGADE_EMPTY(in)) {
        apr_bucket *b = APR_BRIGADE_FIRST(in);

        APR_BUCKET_REMOVE(b);
        if (!wr__bucket_is_unread(b)) {
            APR_BRIGADE_INSERT_TAIL(run, b);
            continue;
        }
        wr__response_frame_chunk(r, run, false);
        APR_BRIGADE_CONCAT(framed, run);
        APR_BRIGADE_INSERT_TAIL(framed, b);
    }
    wr__response_frame_chunk(r, run, true);
    APR_BRIGADE_CONCAT(framed, run);
    r->core->out = framed;
}

/** Has a handler without validators left it to us to ask whether there is a
 *  content at all (RFC 9110, 13.2.1)?  Not for methods that do something: when
 *  these are done it is too late. */
static bool ignores_preconditions(const wr_request *r)
{
    return !r->core->is_judged && r->status == 200
           && (r->method == WR_M_GET || r->method == WR_M_HEAD)
           && (r->known[WR_F_IF_MATCH] || r->known[WR_F_IF_NONE_MATCH]);
}

void wr__response_send(wr_request *r, wr_thread *self, int status)
{
    wr_conn *c = r->conn;
    wr_end *e = c->ends;
    wr_kit *kit = wr__conn_lend(c, self);
    int64_t len;

    if (status >= 300) {
        make_error_page(r, status);
    }
    else if (status >= 200) {
        r->status = status;
    }
    if (!r->core->header_len) {
        wr__add_charset(r);
    }
    if (r->core->out && (has_no_content(r->status) || r->status == 205)) {
        apr_brigade_cleanup(r->core->out);
    }
    if (ignores_preconditions(r)) {
        status = wr_request_preconditions(r, NULL, 0);
        if (status != WR_OK) {
            make_error_page(r, status);
        }
    }
    len = measure_content(r);
    if (r->known[WR_F_RANGE] && r->status == 200 && r->method == WR_M_GET
        && len > 0 && !has_unread(r->core->out)) {
        status = wr__range_apply(r, len);
        if (status == 416) {
            make_error_page(r, status);
        }
        r->status = status;
        len = measure_content(r);
    }
    if (len < 0) {
        frame_unknown(r);
    }
    /* A length that was set stands only where no content contradicts it. */
    if (r->content_length < 0 || len != 0 || !r->is_head) {
        r->content_length = len;
    }
    insert_headers(r);
    escape_location(r->headers_out);
    escape_location(r->err_headers_out);
    APR_BRIGADE_INSERT_TAIL(e->out, make_head(r, self, kit->list));
    if (r->core->out) {
        if (r->is_head) {
            apr_brigade_cleanup(r->core->out);
        }
        drop_metadata(kit, r->core->out);
        wr__response_read_files(r, !wr__core_dir_of(r->dir_config)->sendfile);
        if (r->core->is_chunked && !r->is_head) {
            frame_known(r);
        }
        APR_BRIGADE_CONCAT(e->out, r->core->out);
    }
    APR_BRIGADE_INSERT_TAIL(e->out, wr__bucket_end_create(r, kit->list));
    if (!r->keep_alive) {
        wr__end_finish(e);
    }
}
