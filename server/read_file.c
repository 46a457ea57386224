/*
 * read_file.c - files that are read, piece by piece, and sent from memory:
 * EnableSendfile Off, and where the file system knows no sendfile().
 *
 * Runs in the connection's owner's thread; the reading itself is an op's.
 */
#include "wr_file.h"
#include "wr_log.h"
#include "wr_object.h"

#include "bucket.h"
#include "request.h"
#include "response.h"

#include <string.h>

#define PIECE 65536

typedef struct reading {
    wr_file *file; /* counted */
    int64_t at, end;
    char *buf;
    wr_op op;
    bool is_asked;
} reading;

static apr_status_t end_reading(void *data)
{
    wr_file_unref(((reading *)data)->file);
    return APR_SUCCESS;
}

static wr_made ask_for_piece(wr_request *r, reading *reader)
{
    wr_op *op = &reader->op;
    int64_t left = reader->end - reader->at;

    memset(op, 0, sizeof(*op));
    op->kind = WR_OP_READ;
    op->fd = reader->file->fd;
    op->offset = reader->at;
    op->len = left < PIECE ? (size_t)left : PIECE;
    op->buf = reader->buf;
    reader->is_asked = true;
    wr_request_ask(r, op);
    return WR_MADE_WAIT;
}

/** The piece before has gone when the next is made, so one buffer will do. */
static wr_made read_piece(wr_request *r, void *baton, apr_bucket_brigade *piece)
{
    reading *reader = baton;
    wr_op *op = &reader->op;

    if (!reader->is_asked) {
        return ask_for_piece(r, reader);
    }
    reader->is_asked = false;
    if (op->status != APR_SUCCESS || op->done < op->len) {
        wr_log_request(r, WR_LOG_ERROR, op->status, "reading %s", r->filename);
        return WR_MADE_FAILED;
    }
    APR_BRIGADE_INSERT_TAIL(piece, apr_bucket_immortal_create(
                                       op->buf, op->done, piece->bucket_alloc));
    reader->at += (int64_t)op->done;
    return reader->at == reader->end ? WR_MADE_LAST : WR_MADE_MORE;
}

static apr_bucket *reading_create(wr_request *r, const apr_bucket *b)
{
    reading *reader = apr_pcalloc(r->pool, sizeof(*reader));
    wr__computed *computed = apr_pcalloc(r->pool, sizeof(*computed));

    reader->file = wr_bucket_file(b);
    wr_file_ref(reader->file);
    apr_pool_cleanup_register(r->pool, reader, end_reading,
                              apr_pool_cleanup_null);
    reader->at = b->start;
    reader->end = b->start + (int64_t)b->length;
    reader->buf = apr_palloc(r->pool, PIECE);
    computed->r = r;
    computed->make = read_piece;
    computed->baton = reader;
    computed->left = (int64_t)b->length;
    return wr__bucket_computed_create(computed, b->list);
}

static void read_instead(wr_request *r, apr_bucket *b, bool is_framed)
{
    apr_bucket *made = reading_create(r, b);

    wr__bucket_computed(made)->is_framed = is_framed;
    APR_BUCKET_INSERT_BEFORE(b, made);
    apr_bucket_delete(b);
}

void wr__response_read_files(wr_request *r, bool all)
{
    apr_bucket *b, *next;

    for (b = APR_BRIGADE_FIRST(r->core->out);
         b != APR_BRIGADE_SENTINEL(r->core->out); b = next) {
        const wr_file *file = wr_bucket_is_file(b) ? wr_bucket_file(b) : NULL;

        next = APR_BUCKET_NEXT(b);
        if (file && !file->content
            && (all || __atomic_load_n(&file->is_read, __ATOMIC_RELAXED))) {
            read_instead(r, b, false);
        }
    }
}

void wr__file_read_instead(wr_request *r, apr_bucket *b)
{
    wr_file *file = wr_bucket_file(b);

    if (!__atomic_exchange_n(&file->is_read, true, __ATOMIC_RELAXED)) {
        wr_log_request(r, WR_LOG_NOTICE, 0,
                       "%s is read: its file system knows no sendfile()",
                       r->filename ? r->filename : r->uri);
    }
    read_instead(r, b, true);
}
