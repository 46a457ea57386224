/*
 * wr_request.h - a request, from its head to its log line.
 *
 * It belongs to its connection's owner until its last byte went; then, as a
 * wr_record, to whoever logs it.  All it points to is in its pool, in the
 * configuration, or counted.
 */
#ifndef WR_REQUEST_H
#define WR_REQUEST_H

#include "wr_base.h"
#include "wr_hook.h"

#include <apr_buckets.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <netinet/in.h>

typedef enum wr_method {
    WR_M_OTHER,
    WR_M_GET,
    WR_M_HEAD,
    WR_M_POST,
    WR_M_PUT,
    WR_M_DELETE,
    WR_M_OPTIONS,
    WR_M_TRACE,
    WR_M_CONNECT,
    WR_M_PATCH
} wr_method;

/** Fields that the core looks at itself, found without a search. */
typedef enum wr_known_field {
    WR_F_NONE,
    WR_F_HOST,
    WR_F_CONNECTION,
    WR_F_CONTENT_LENGTH,
    WR_F_TRANSFER_ENCODING,
    WR_F_EXPECT,
    WR_F_IF_MATCH,
    WR_F_IF_NONE_MATCH,
    WR_F_IF_MODIFIED_SINCE,
    WR_F_IF_UNMODIFIED_SINCE,
    WR_F_IF_RANGE,
    WR_F_RANGE,
    WR_F_UPGRADE,
    WR_F_USER_AGENT,
    WR_F_REFERER,
    WR_F_COUNT
} wr_known_field;

/** A header field as it was received; both ended by NUL. */
typedef struct wr_field {
    const char *name;
    const char *value;
    uint16_t name_len;
    uint16_t known; /**< a wr_known_field */
    uint32_t value_len;
} wr_field;

struct wr_request {
    wr_task task; /**< free for whoever logs it */
    uint32_t magic;
    apr_pool_t *pool; /**< cleared when it is logged */
    wr_conn *conn;    /**< NULL once the last byte has gone */
    wr_server *server;
    wr_dir_config *dir_config;

    /* as received */
    wr_method method;
    uint8_t version_major, version_minor;
    bool is_head; /**< no content in the response */
    const char *method_name;
    const char *target;       /**< as in the request line */
    const char *request_line; /**< for the log; "" if none was readable */
    const char *host;         /**< of target or Host, without port; or NULL */
    const wr_field *fields;
    int field_count;
    int16_t known[WR_F_COUNT];   /**< index + 1 of the first one in fields */
    apr_time_t time;             /**< when its first byte was looked at */
    const wr_listener *listener; /**< where its connection came in */
    uint32_t number;      /**< how many came before it on its connection */
    bool has_error_lines; /**< in the error log, under wr_log_id() */

    /* as understood */
    const char *uri;       /**< path, decoded, no dot segments */
    const char *args;      /**< what followed "?", or NULL */
    const char *filename;  /**< absolute, made by translate_name */
    const char *path_info; /**< what of uri follows the file, or NULL */
    wr_root *root;         /**< filename lies below this */
    const char *root_path; /**< filename relative to root; "." for itself */
    wr_file *file;         /**< a reference, or NULL: no such file */
    const char *user;      /**< authenticated, or NULL */
    const char *handler;   /**< set by SetHandler and the like, or NULL */
    apr_table_t *notes;    /**< modules to modules; NULL till first set */
    apr_table_t *env;      /**< likewise: CGI's and the log's */

    /* the response */
    int status;               /**< 200 until something else is said */
    const char *content_type; /**< or NULL */
    const char *content_encoding;
    const char *content_language;
    int64_t content_length;       /**< -1: not known beforehand */
    apr_table_t *headers_out;     /**< NULL till first set */
    apr_table_t *err_headers_out; /**< likewise; sent with errors too */
    bool keep_alive;              /**< the connection stays after it */
    bool is_aborted;              /**< the client went before the end */
    int64_t bytes_sent;           /**< of the content, as it went */
    int64_t wire_sent;            /**< likewise, with head and framing */
    int64_t wire_received;        /**< head and body; not what was discarded */
    apr_time_t end_time;          /**< when the last byte had gone */

    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    void **config; /**< modules' own, by wr_module.index; or NULL */
    struct wr_request_core *core; /**< private to the core */
};

/** The value of the first such field, or NULL.  Name in any case. */
WR_API const char *wr_request_field(const wr_request *r, const char *name);

/** The same by number: no search. */
static inline const char *wr_request_known(const wr_request *r,
                                           wr_known_field field)
{
    return r->known[field] ? r->fields[r->known[field] - 1].value : NULL;
}

/** All fields as a table, made at the first call. */
WR_API apr_table_t *wr_request_headers_in(wr_request *r);

/** Change what was received, for those that look after this: one field of that
 *  name and value, or with NULL none.  The name is @a name's memory. */
WR_API void wr_request_set_field(wr_request *r, const char *name,
                                 const char *value);
/** The same; those of that name that are there stay. */
WR_API void wr_request_add_field(wr_request *r, const char *name,
                                 const char *value);

/** Set a field of the response (of a success; of errors too). */
WR_API void wr_request_set_header(wr_request *r, const char *name,
                                  const char *value);
WR_API void wr_request_set_err_header(wr_request *r, const char *name,
                                      const char *value);

/** The client's address as text; in the request's pool, kept. */
WR_API const char *wr_request_client(wr_request *r);

/**
 * The address that the client connected to; kept, so that the log has it if it
 * was asked for before.  NULL: not known.
 */
WR_API const struct sockaddr *wr_request_local(wr_request *r);

/* Making the response.  A handler sets status and fields, appends objects,
 * and returns WR_OK; framing, HEAD, and the header are the core's. */

/** @a len bytes at @a data, which live as long as the request's pool. */
WR_API void wr_request_append(wr_request *r, const void *data, size_t len);
/** A copy of a string. */
WR_API void wr_request_puts(wr_request *r, const char *text);
WR_API void wr_request_printf(wr_request *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** A range of a file; takes a reference of its own. */
WR_API void wr_request_append_file(wr_request *r, wr_file *file, int64_t offset,
                                   int64_t len);
/** Any buckets; emptied.  The bucket allocator is the connection's. */
WR_API void wr_request_append_brigade(wr_request *r, apr_bucket_brigade *bb);
WR_API apr_bucket_alloc_t *wr_request_bucket_alloc(wr_request *r);

/* Waiting. */

/**
 * The hook's next op.  Called in the same order each time the hook runs: an op
 * that has returned comes back with is_done set and its results in it; a fresh
 * one is to be filled in and asked for.
 *
 *     op = wr_request_op(r);
 *     if (!op->is_done) {
 *         op->kind = WR_OP_FUNC; op->func = hash_password; op->arg = arg;
 *         return wr_request_ask(r, op);
 *     }
 *     if (op->status != APR_SUCCESS) ...
 *
 * A descriptor that a LOOKUP or LIST has given it is closed when the hook has
 * answered; who keeps it sets fd to -1.
 */
WR_API wr_op *wr_request_op(wr_request *r);
/**
 * Want it run.  A WR_OP_FUNC fails, with APR_ENOTIMPL, if no loaded module has
 * WR_MODULE_BLOCKS.
 *
 * @return WR_SUSPENDED, for the hook to return.
 */
WR_API wr_result wr_request_ask(wr_request *r, wr_op *op);

/** A handler in linear code: it may block, and appends its response. */
typedef wr_result wr_linear_fn(wr_request *r);
/**
 * Run @a fn where blocking does no harm; for a handler hook to return.  The
 * module needs WR_MODULE_BLOCKS.  Meanwhile @a fn may use the request and
 * nothing else of the server.
 */
WR_API wr_result wr_request_run_linear(wr_request *r, wr_linear_fn *fn);

/** A request's content, whole.  Small, it is in memory; else in a file without
 *  a name.  It lives as long as the request. */
struct wr_body {
    int64_t len;
    const char *data; /**< NULL: it is in file; else ended by a NUL */
    wr_file *file;    /**< NULL: it is in data */
};

/**
 * Read the request's content; returns WR_SUSPENDED until all of it is there,
 * then WR_OK, or a status (413, 400, 408...) for the hook to return.
 */
WR_API wr_result wr_request_body(wr_request *r, const wr_body **body);
/** Append it to the response. */
WR_API void wr_request_append_body(wr_request *r, const wr_body *body);

/** Start again with another path (mod_dir's index).  @return WR_REDIRECTED,
 *  for the hook to return; or 500 after ten in a row. */
WR_API wr_result wr_request_redirect(wr_request *r, const char *uri);

/**
 * Is there a file of that name beside or below?  May suspend.
 *
 * @param filename absolute, below r->root.
 * @param file     on WR_OK: NULL, or a reference that ends with the request.
 */
WR_API wr_result wr_request_lookup(wr_request *r, const char *filename,
                                   wr_file **file);

/**
 * Do the request's preconditions (RFC 9110, section 13) hold for content with
 * these validators?  They become the response's.
 *
 * @param etag  quoted, weak with W/, or NULL.
 * @param mtime or 0.
 * @return WR_OK; or 304 or 412, for the handler to return.
 */
WR_API wr_result wr_request_preconditions(wr_request *r, const char *etag,
                                          apr_time_t mtime);

/** An absolute URL for @a path on the server that the client named. */
WR_API const char *wr_request_url(wr_request *r, const char *path);

/** "OK" for 200; "" for none of ours. */
WR_API const char *wr_status_text(int status);

#endif
