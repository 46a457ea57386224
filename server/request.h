/*
 * request.h - a request's inside.
 */
#ifndef WR__REQUEST_H
#define WR__REQUEST_H

#include "wr_op.h"
#include "wr_request.h"

#include "cache.h"
#include "flight.h"
#include "http_parse.h"
#include "spool.h"
#include "stock.h"

#define WR__REQUEST_MAGIC 0x52455155u
#define WR__REDIRECTS_MAX 10

/** A look-up of a file: see lookup.h. */
typedef struct wr__lookup {
    uint8_t state;
    bool has_waited;   /**< for another's: not once more */
    wr__flight flight; /**< its own, for which others wait */
    wr__file *file;    /**< result, counted; NULL: error says why */
    wr__file *stale;   /**< being looked at again, counted */
    apr_status_t error;
} wr__lookup;

/** Something that the running hook asked for.  A hook that is called again
 *  meets the same calls in the same order. */
typedef struct wr__call {
    struct wr__call *next;
    wr_op op;
    wr__lookup lookup;
} wr__call;

struct wr_request_core {
    wr__arena *arena;
    wr_thread *self;      /**< the owner, while the pipeline runs */
    int64_t now_ns;       /**< its clock at its last step */
    int phase, hook;      /**< where the pipeline stands */
    wr_op *asked;         /**< out, or come back and not looked at */
    wr__call *calls;      /**< of the running hook */
    wr__call **call_next; /**< the one it will ask for next */
    bool is_cacheable;    /**< all that ran so far was */
    bool is_linear;       /**< a linear handler runs, or ran */
    bool wants_body;      /**< a hook waits for the body */
    bool has_body;        /**< it is all there */
    bool is_judged;       /**< preconditions were looked at */
    uint8_t redirects;
    wr__name *name;     /**< the cached answer in use, counted */
    const char *etag;   /**< of the content, or NULL */
    apr_time_t mtime;   /**< likewise, or 0 */
    const char *header; /**< fields of the content, ready made */
    size_t header_len;
    apr_status_t lookup_error;
    apr_bucket_brigade *out; /**< what was appended */
    apr_bucket_alloc_t *list;
    size_t head_bytes;        /**< of the response, not content */
    bool is_chunked;          /**< the response's length is not known */
    const char *path;         /**< of the target: with its query, not decoded */
    size_t path_len, key_len; /**< key: without the query */
    wr_dir_config *first_dir; /**< before a redirect, or NULL */
    const char *authority;    /**< host and port as the client named them */
    wr_linear_fn *linear;
    wr_result linear_result;
    int body_status;         /**< why the body can't be had, or 0 */
    int64_t declared_length; /**< of its content; -1: chunked */
    int error_status;        /**< an ErrorDocument is served for it; or 0 */
    wr__spool *spool;        /**< its content; NULL: not asked for */
    const char *client;
    const struct sockaddr *local;
    apr_table_t *headers_in;
};

/** A new request of @a c, with nothing in it but its pool. */
wr_request *wr__request_create(wr_conn *c, wr_thread *self);
/** Fill it from a parsed head.  @return 0, or the status that refuses it. */
int wr__request_read_head(wr_request *r, const wr__head *head,
                          const unsigned char *data, size_t len);
/** Let go of all it holds. */
void wr__request_destroy(wr_request *r, wr_thread *self);

/** Does the client want the connection to stay? */
bool wr__request_wants_keep_alive(const wr_request *r);

/** From the target to r->uri and r->args.  @return 0 or a status. */
int wr__path_from_target(wr_request *r, const char *path, size_t len);

/** The running hook has answered: forget what it asked for. */
void wr__request_end_calls(wr_request *r);

/**
 * Find out what holds for @a r by its server, r->uri and @a path: absolute, a
 * directory's with a slash at its end; or NULL, while it is not known.
 *
 * @return WR_OK, or 500 after the reason was logged.
 */
wr_result wr__request_configure(wr_request *r, const char *path);

/** Run the phases from where they stand.  @return WR_OK when the handler is
 *  done, WR_SUSPENDED, or a status. */
wr_result wr__pipeline_run(wr_request *r, wr_thread *self);

/** Put a chunk's framing around a piece of content, if @a r's response is
 *  chunked; behind the last one, the end. */
void wr__response_frame_chunk(wr_request *r, apr_bucket_brigade *piece,
                              bool is_last);

/** Append what was made (or, with status, an error) to the connection's
 *  output, head first and the request's end last. */
void wr__response_send(wr_request *r, wr_thread *self, int status);

#endif
