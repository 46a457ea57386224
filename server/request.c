/*
 * request.c - a request's making and unmaking, and what hooks may ask of it.
 *
 * Runs in the connection's owner's thread; while a linear handler runs, in the
 * thread that runs it, and then nobody else touches the request.
 */
#include "request.h"

#include "wr_hook.h"
#include "wr_log.h"
#include "wr_version.h"

#include "bucket.h"
#include "child.h"
#include "config_core.h"
#include "config_server.h"
#include "conn.h"
#include "hook.h"
#include "lookup.h"
#include "thread.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Making. */

wr_request *wr__request_create(wr_conn *c, wr_thread *self)
{
    wr__arena *arena = wr__stock_arena(c->child->core->stock, &self->core->bin);
    wr_request *r = apr_pcalloc(arena->pool, sizeof(*r) + sizeof(*r->core));

    r->core = (struct wr_request_core *)(r + 1);
    r->magic = WR__REQUEST_MAGIC;
    r->pool = arena->pool;
    r->core->arena = arena;
    r->core->list = c->kit->list;
    r->core->is_cacheable = true;
    r->core->call_next = &r->core->calls;
    r->core->now_ns = self->now_ns;
    r->conn = c;
    r->listener = c->listener;
    r->number = c->served++;
    r->server = (wr_server *)(uintptr_t)c->listener->server;
    r->dir_config = r->server->dir_config;
    memcpy(&r->peer, &c->peer, sizeof(r->peer));
    r->time = self->wall_us;
    r->status = 200;
    r->content_length = -1;
    r->method_name = "";
    r->request_line = "";
    r->target = "";
    return r;
}

/** Is it an op that a hook filled in, which gives it a descriptor? */
static bool is_modules_own(const wr__call *call)
{
    return call->lookup.state == 0
           && (call->op.kind == WR_OP_LOOKUP || call->op.kind == WR_OP_LIST);
}

void wr__request_end_calls(wr_request *r)
{
    for (wr__call *call = r->core->calls; call; call = call->next) {
        wr__lookup_release(call);
        if (is_modules_own(call) && call->op.fd >= 0) {
            close(call->op.fd);
        }
    }
    r->core->calls = NULL;
    r->core->call_next = &r->core->calls;
}

void wr__request_destroy(wr_request *r, wr_thread *self)
{
    wr__arena *arena = r->core->arena;

    assert(r->magic == WR__REQUEST_MAGIC);
    r->magic = 0;
    wr__request_end_calls(r);
    if (r->core->out && !APR_BRIGADE_EMPTY(r->core->out)) {
        apr_brigade_cleanup(r->core->out);
    }
    if (r->core->spool) {
        wr__spool_release(r->core->spool);
    }
    wr_file_unref(r->file);
    wr__name_unref(r->core->name);
    wr__stock_arena_free(self->child->core->stock, &self->core->bin, arena);
}

static const struct method {
    const char *name;
    uint8_t len;
    wr_method method;
} methods[] = {
    {"GET", 3, WR_M_GET},       {"HEAD", 4, WR_M_HEAD},
    {"POST", 4, WR_M_POST},     {"PUT", 3, WR_M_PUT},
    {"DELETE", 6, WR_M_DELETE}, {"OPTIONS", 7, WR_M_OPTIONS},
    {"TRACE", 5, WR_M_TRACE},   {"CONNECT", 7, WR_M_CONNECT},
    {"PATCH", 5, WR_M_PATCH},
};

static wr_method find_method(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].len == len && memcmp(methods[i].name, name, len) == 0) {
            return methods[i].method;
        }
    }
    return WR_M_OTHER;
}

static const struct known_field {
    const char *name;
    uint8_t len;
} known_fields[WR_F_COUNT] = {
#define KNOWN(ID, NAME) [ID] = {NAME, sizeof(NAME) - 1}
    KNOWN(WR_F_HOST, "host"),
    KNOWN(WR_F_CONNECTION, "connection"),
    KNOWN(WR_F_CONTENT_LENGTH, "content-length"),
    KNOWN(WR_F_TRANSFER_ENCODING, "transfer-encoding"),
    KNOWN(WR_F_EXPECT, "expect"),
    KNOWN(WR_F_IF_MATCH, "if-match"),
    KNOWN(WR_F_IF_NONE_MATCH, "if-none-match"),
    KNOWN(WR_F_IF_MODIFIED_SINCE, "if-modified-since"),
    KNOWN(WR_F_IF_UNMODIFIED_SINCE, "if-unmodified-since"),
    KNOWN(WR_F_IF_RANGE, "if-range"),
    KNOWN(WR_F_RANGE, "range"),
    KNOWN(WR_F_UPGRADE, "upgrade"),
    KNOWN(WR_F_USER_AGENT, "user-agent"),
    KNOWN(WR_F_REFERER, "referer"),
#undef KNOWN
};

static wr_known_field find_known(const char *name, size_t len)
{
    for (int i = 1; i < WR_F_COUNT; i++) {
        if (known_fields[i].len == len
            && (name[0] | 0x20) == known_fields[i].name[0]
            && strncasecmp(name, known_fields[i].name, len) == 0) {
            return (wr_known_field)i;
        }
    }
    return WR_F_NONE;
}

/** The fields, in a copy of the head that is the request's own. */
static void read_fields(wr_request *r, const wr__head *head, char *copy)
{
    wr_field *fields = apr_palloc(r->pool, (head->count + 1) * sizeof(*fields));

    for (uint32_t i = 0; i < head->count; i++) {
        const wr__head_field *from = &head->fields[i];
        wr_field *to = &fields[i];

        copy[from->name + from->name_len] = '\0';
        copy[from->value + from->value_len] = '\0';
        to->name = copy + from->name;
        to->name_len = from->name_len;
        to->value = copy + from->value;
        to->value_len = from->value_len;
        to->known = (uint16_t)find_known(to->name, to->name_len);
        if (to->known != WR_F_NONE && !r->known[to->known]) {
            r->known[to->known] = (int16_t)(i + 1);
        }
    }
    r->fields = fields;
    r->field_count = (int)head->count;
}

/** RFC 3986, 3.2.2 and 3.2.3: host [ ":" port ].  @return the host's length,
 *  or -1 for none. */
static int host_length(const char *text, size_t len)
{
    size_t host = 0, at;

    if (len > 0 && text[0] == '[') {
        host = 1;
        while (host < len
               && (apr_isxdigit(text[host]) || text[host] == ':'
                   || text[host] == '.')) {
            host++;
        }
        if (host < 3 || host == len || text[host] != ']') {
            return -1;
        }
        host++;
    }
    else {
        static const char marks[] = "-._~!$&'()*+,;=";

        while (host < len
               && (apr_isalnum(text[host])
                   || memchr(marks, text[host], sizeof(marks) - 1))) {
            host++;
        }
    }
    at = host;
    if (at < len && text[at] == ':') {
        at++;
        while (at < len && apr_isdigit(text[at])) {
            at++;
        }
    }
    return at == len ? (int)host : -1;
}

/** RFC 9112, 3.2: exactly one Host in 1.1; the target's wins. */
static int read_host(wr_request *r, const char *authority, size_t len)
{
    const char *host = wr_request_known(r, WR_F_HOST);
    int host_len;

    if (!host) {
        if (r->version_minor > 0) {
            return 400;
        }
    }
    else {
        for (int i = r->known[WR_F_HOST]; i < r->field_count; i++) {
            if (r->fields[i].known == WR_F_HOST) {
                return 400;
            }
        }
        if (host_length(host, strlen(host)) < 0) {
            return 400;
        }
    }
    if (!authority) {
        authority = host;
        len = host ? strlen(host) : 0;
    }
    if (!authority || len == 0) {
        return 0;
    }
    host_len = host_length(authority, len);
    if (host_len <= 0) {
        return host_len < 0 ? 400 : 0;
    }
    if (host_len > 1 && authority[host_len - 1] == '.') {
        host_len--; /* the root's dot names the same host */
    }
    r->core->authority = apr_pstrmemdup(r->pool, authority, len);
    r->host = apr_pstrmemdup(r->pool, authority, (size_t)host_len);
    for (char *p = (char *)(uintptr_t)r->host; *p; p++) {
        *p = (char)apr_tolower(*p);
    }
    return 0;
}

/** The four forms of a target (RFC 9112, 3.2). */
static int read_target(wr_request *r, const char *target, size_t len)
{
    const char *authority = NULL, *path = target;
    size_t authority_len = 0;
    int status;

    if (r->method == WR_M_CONNECT) {
        r->uri = "";
        return read_host(r, target, len);
    }
    if (target[0] != '/' && target[0] != '*') {
        authority = strstr(target, "://") + 3;
        if (authority - target != 7 || strncasecmp(target, "http", 4) != 0) {
            return 421; /* RFC 9110, 7.4: nothing here is secured */
        }
        authority_len = strcspn(authority, "/?");
        path = authority + authority_len;
        if (path[0] != '/') { /* RFC 9110, 4.2.3: an empty path is "/" */
            path = apr_pstrcat(r->pool, "/", path, NULL);
        }
        len = strlen(path);
    }
    status = read_host(r, authority, authority_len);
    if (status) {
        return status;
    }
    if (target[0] == '*') {
        r->uri = "*";
        return 0;
    }
    r->core->path = path;
    r->core->path_len = len;
    return 0;
}

/** By the address at this end and Host.  @return 0, or the status that
 *  refuses a host that is nobody's. */
static int find_server(wr_request *r)
{
    const wr__config *config = r->conn->child->core->config;
    bool is_named;

    if (!config->main_server->next && !config->strict_host_check) {
        return 0;
    }
    r->server = wr__server_for(config, r->conn, r->host, &is_named);
    r->dir_config = r->server->dir_config;
    return is_named || !r->host
                   || !wr__core_server_of(r->server)->strict_host_check
               ? 0
               : 400;
}

int wr__request_read_head(wr_request *r, const wr__head *head,
                          const unsigned char *data, size_t len)
{
    char *copy = apr_pstrmemdup(r->pool, (const char *)data, len);
    char *line = apr_pstrmemdup(r->pool, copy + head->start, head->line_len);
    int status, refused;

    r->wire_received = (int64_t)len;
    r->request_line = line;
    copy[head->start + head->method_len] = '\0';
    copy[head->target + head->target_len] = '\0';
    r->method_name = copy + head->start;
    r->method = find_method(r->method_name, head->method_len);
    r->is_head = r->method == WR_M_HEAD;
    r->version_major = head->major;
    r->version_minor = head->minor;
    r->target = copy + head->target;
    read_fields(r, head, copy);
    status = read_target(r, r->target, head->target_len);
    refused = find_server(r);
    return status ? status : refused;
}

/** Does a list of tokens in the Connection fields have @a token? */
static bool connection_has(const wr_request *r, const char *token)
{
    size_t len = strlen(token);

    for (int i = r->known[WR_F_CONNECTION] - 1; i >= 0 && i < r->field_count;
         i++) {
        const char *at = r->fields[i].value;

        if (r->fields[i].known != WR_F_CONNECTION) {
            continue;
        }
        while (*at) {
            size_t n;

            at += strspn(at, ", \t");
            n = strcspn(at, ", \t");
            if (n == len && strncasecmp(at, token, len) == 0) {
                return true;
            }
            at += n;
        }
    }
    return false;
}

bool wr__request_wants_keep_alive(const wr_request *r)
{
    if (r->version_minor == 0) {
        return connection_has(r, "keep-alive") && !connection_has(r, "close");
    }
    return !r->known[WR_F_CONNECTION] || !connection_has(r, "close");
}

/* What hooks ask. */

const char *wr_request_field(const wr_request *r, const char *name)
{
    size_t len = strlen(name);

    for (int i = 0; i < r->field_count; i++) {
        if (r->fields[i].name_len == len
            && strcasecmp(r->fields[i].name, name) == 0) {
            return r->fields[i].value;
        }
    }
    return NULL;
}

/** The fields but those called @a dropped, and one more. */
static void replace_fields(wr_request *r, const char *dropped, const char *name,
                           const char *value)
{
    wr_field *fields =
        apr_palloc(r->pool, ((size_t)r->field_count + 1) * sizeof(*fields));
    int count = 0;

    for (int i = 0; i < r->field_count; i++) {
        if (!dropped || strcasecmp(r->fields[i].name, dropped) != 0) {
            fields[count++] = r->fields[i];
        }
    }
    if (value) {
        size_t name_len = strlen(name);

        fields[count++] = (wr_field){
            .name = name,
            .value = value,
            .name_len = (uint16_t)name_len,
            .known = (uint16_t)find_known(name, name_len),
            .value_len = (uint32_t)strlen(value),
        };
    }
    memset(r->known, 0, sizeof(r->known));
    for (int i = count - 1; i >= 0; i--) {
        r->known[fields[i].known] = (int16_t)(i + 1);
    }
    r->known[WR_F_NONE] = 0;
    r->fields = fields;
    r->field_count = count;
    r->core->headers_in = NULL;
}

void wr_request_set_field(wr_request *r, const char *name, const char *value)
{
    replace_fields(r, name, name, value);
}

void wr_request_add_field(wr_request *r, const char *name, const char *value)
{
    replace_fields(r, NULL, name, value);
}

apr_table_t *wr_request_headers_in(wr_request *r)
{
    if (!r->core->headers_in) {
        r->core->headers_in = apr_table_make(r->pool, r->field_count);
        for (int i = 0; i < r->field_count; i++) {
            apr_table_mergen(r->core->headers_in, r->fields[i].name,
                             r->fields[i].value);
        }
    }
    return r->core->headers_in;
}

void wr_request_set_header(wr_request *r, const char *name, const char *value)
{
    if (!r->headers_out) {
        r->headers_out = apr_table_make(r->pool, 4);
    }
    apr_table_set(r->headers_out, name, value);
}

void wr_request_set_err_header(wr_request *r, const char *name,
                               const char *value)
{
    if (!r->err_headers_out) {
        r->err_headers_out = apr_table_make(r->pool, 4);
    }
    apr_table_set(r->err_headers_out, name, value);
}

const char *wr_request_client(wr_request *r)
{
    char *text;

    if (r->core->client) {
        return r->core->client;
    }
    text = apr_palloc(r->pool, INET6_ADDRSTRLEN);
    if (r->peer.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &r->peer.v6.sin6_addr, text, INET6_ADDRSTRLEN);
        if (IN6_IS_ADDR_V4MAPPED(&r->peer.v6.sin6_addr)) {
            text = strrchr(text, ':') + 1;
        }
    }
    else {
        const unsigned char *b =
            (const unsigned char *)&r->peer.v4.sin_addr.s_addr;
        char *at = text;

        /* inet_ntop() for IPv4 goes through snprintf(): ten times this. */
        for (int i = 0; i < 4; i++) {
            if (b[i] >= 100) {
                *at++ = (char)('0' + b[i] / 100);
            }
            if (b[i] >= 10) {
                *at++ = (char)('0' + b[i] / 10 % 10);
            }
            *at++ = (char)('0' + b[i] % 10);
            *at++ = '.';
        }
        at[-1] = '\0';
    }
    r->core->client = text;
    return text;
}

const struct sockaddr *wr_request_local(wr_request *r)
{
    union {
        struct sockaddr any;
        struct sockaddr_in6 v6;
    } * local;
    socklen_t len = sizeof(*local);

    if (r->core->local || !r->conn) {
        return r->core->local;
    }
    local = apr_pcalloc(r->pool, sizeof(*local));
    if (getsockname(r->conn->ends->fd, &local->any, &len) == 0) {
        r->core->local = &local->any;
    }
    return r->core->local;
}

/** ServerName says how the server is seen from outside; what it leaves open is
 *  as the client came. */
const char *wr_request_url(wr_request *r, const char *path)
{
    const wr_server *server = r->server;
    const char *scheme = server->scheme ? server->scheme : "http";
    uint16_t usual_port = strcmp(scheme, "https") == 0 ? 443 : 80;
    uint16_t port = server->port;

    if (r->core->authority && !wr__core_dir_of(r->dir_config)->canonical_name) {
        /* As the client named it: it may have come by another port. */
        return apr_pstrcat(r->pool, scheme, "://", r->core->authority, path,
                           NULL);
    }
    if (!server->name) {
        return path; /* RFC 9110, 10.2.2: a Location may be relative */
    }
    if (port == 0) {
        port = server->scheme ? usual_port : r->listener->port;
    }
    if (port == usual_port) {
        return apr_pstrcat(r->pool, scheme, "://", server->name, path, NULL);
    }
    return apr_psprintf(r->pool, "%s://%s:%u%s", scheme, server->name,
                        (unsigned)port, path);
}

/* What handlers append. */

static apr_bucket_brigade *request_out(wr_request *r)
{
    apr_bucket_brigade *bb = r->core->out;

    if (!bb) {
        /* Without the cleanup that wr__request_destroy() makes needless. */
        bb = apr_palloc(r->pool, sizeof(*bb));
        wr__brigade_init(bb, r->pool, r->core->list);
        r->core->out = bb;
    }
    return bb;
}

apr_bucket_alloc_t *wr_request_bucket_alloc(wr_request *r)
{
    return r->core->list;
}

void wr_request_append(wr_request *r, const void *data, size_t len)
{
    apr_bucket_brigade *bb = request_out(r);

    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(
            bb, apr_bucket_immortal_create(data, len, r->core->list));
    }
}

void wr_request_puts(wr_request *r, const char *text)
{
    size_t len = strlen(text);

    wr_request_append(r, apr_pmemdup(r->pool, text, len), len);
}

void wr_request_printf(wr_request *r, const char *format, ...)
{
    va_list args;
    const char *text;

    va_start(args, format);
    text = apr_pvsprintf(r->pool, format, args);
    va_end(args);
    wr_request_append(r, text, strlen(text));
}

void wr_request_append_file(wr_request *r, wr_file *file, int64_t offset,
                            int64_t len)
{
    apr_bucket_brigade *bb = request_out(r);

    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(
            bb, wr_bucket_file_create(file, offset, len, r->core->list));
    }
}

void wr_request_append_brigade(wr_request *r, apr_bucket_brigade *bb)
{
    APR_BRIGADE_CONCAT(request_out(r), bb);
}

void wr_request_append_computed(wr_request *r, wr_make_fn *make, void *baton,
                                int64_t len)
{
    wr__computed *computed = apr_palloc(r->pool, sizeof(*computed));

    computed->r = r;
    computed->make = make;
    computed->baton = baton;
    computed->left = len;
    computed->is_framed = false;
    APR_BRIGADE_INSERT_TAIL(
        request_out(r), wr__bucket_computed_create(computed, r->core->list));
}

void wr_request_append_stream(wr_request *r, int fd, bool is_pipe, int64_t len)
{
    APR_BRIGADE_INSERT_TAIL(
        request_out(r),
        wr__bucket_stream_create(r, fd, is_pipe, len, r->core->list));
}

/* Waiting. */

wr__call *wr__request_call(wr_request *r)
{
    wr__call *call = *r->core->call_next;

    if (!call) {
        call = apr_pcalloc(r->pool, sizeof(*call));
        call->op.fd = -1;
        *r->core->call_next = call;
    }
    r->core->call_next = &call->next;
    return call;
}

wr_op *wr_request_op(wr_request *r)
{
    return &wr__request_call(r)->op;
}

wr_result wr_request_ask(wr_request *r, wr_op *op)
{
    r->core->asked = op;
    if (op->kind == WR_OP_FUNC && !r->conn->child->core->may_block) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "code that blocks is refused: no module has the flag "
                       "WR_MODULE_BLOCKS");
        op->status = APR_ENOTIMPL;
        op->is_done = true;
        return WR_SUSPENDED;
    }
    wr__conn_add_op(r->conn, op);
    return WR_SUSPENDED;
}

/** Buckets of other kinds (pipes, sockets) are read into memory: here, where
 *  that may block. */
static apr_status_t read_all(apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;
        apr_status_t status;

        if (b->length == (apr_size_t)-1 && !wr__bucket_is_unread(b)) {
            status = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
            if (status != APR_SUCCESS) {
                return status;
            }
        }
    }
    return APR_SUCCESS;
}

static apr_status_t run_linear(wr_op *op)
{
    wr_request *r = op->arg;

    r->core->linear_result = r->core->linear(r);
    return r->core->out ? read_all(r->core->out) : APR_SUCCESS;
}

wr_result wr_request_run_linear(wr_request *r, wr_linear_fn *fn)
{
    wr_op *op = wr_request_op(r);

    if (!op->is_done) {
        op->kind = WR_OP_FUNC;
        op->func = run_linear;
        op->arg = r;
        r->core->linear = fn;
        /* The connection's list is its owner's, who goes on sending. */
        r->core->list = apr_bucket_alloc_create(r->pool);
        return wr_request_ask(r, op);
    }
    if (op->status != APR_SUCCESS) {
        wr_log_request(r, WR_LOG_ERROR, op->status, "reading a response");
        return 500;
    }
    return r->core->linear_result;
}

wr_result wr_request_body(wr_request *r, const wr_body **body)
{
    if (!r->core->has_body) {
        if (r->core->body_status) {
            return r->core->body_status;
        }
        r->core->wants_body = true;
        return WR_SUSPENDED;
    }
    *body = &r->core->spool->body;
    return WR_OK;
}

void wr_request_append_body(wr_request *r, const wr_body *body)
{
    if (body->file) {
        wr_request_append_file(r, body->file, 0, body->len);
    }
    else {
        wr_request_append(r, body->data, (size_t)body->len);
    }
}

wr_result wr_request_redirect(wr_request *r, const char *uri)
{
    if (++r->core->redirects > WR__REDIRECTS_MAX) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "more than %d redirects inside, the last to %s",
                       WR__REDIRECTS_MAX, uri);
        return 500;
    }
    r->uri = apr_pstrdup(r->pool, uri);
    return WR_REDIRECTED;
}

static apr_status_t unref_file(void *file)
{
    wr_file_unref(file);
    return APR_SUCCESS;
}

wr_result wr_request_lookup(wr_request *r, const char *filename, wr_file **file)
{
    size_t root_len = strlen(r->root->path);
    const char *path;
    wr__file *found;
    apr_status_t error;
    wr_result result;

    if (strncmp(filename, r->root->path, root_len) != 0
        || filename[root_len] != '/') {
        *file = NULL;
        return WR_OK;
    }
    path = filename[root_len + 1] ? filename + root_len + 1 : ".";
    result = wr__lookup_file(r, r->root, filename, path, &found, &error);
    if (result == WR_OK) {
        *file = found ? &found->file : NULL;
        if (found) {
            apr_pool_cleanup_register(r->pool, found, unref_file,
                                      apr_pool_cleanup_null);
        }
    }
    return result;
}

/* The end. */

void wr__request_sent(wr_request *r, bool aborted)
{
    wr_kit *kit = r->conn->kit;
    int64_t content = (int64_t)kit->wire - (int64_t)r->core->head_bytes;

    r->bytes_sent = content > 0 ? content : 0;
    r->wire_sent = (int64_t)kit->wire;
    r->is_aborted = aborted;
    kit->wire = 0;
    kit->http.pending--;
}

void wr_record_log(wr_record *record, wr_thread *self)
{
    wr_request *r = (wr_request *)record;

    assert(r->magic == WR__REQUEST_MAGIC);
    r->end_time = self->wall_us;
    wr__hooks_run_log(r, self);
    wr__request_destroy(r, self);
}
