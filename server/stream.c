/*
 * stream.c - streams in the output: what comes from another end (a pipe, a
 * socket) goes to the client as it comes.
 *
 * Runs in the connection's owner's thread, be it one that only shuffles bytes:
 * nothing is computed here.  A stream's end is opened when its turn in the
 * output comes, so there is one at a time, however many responses wait.  It is
 * read only while the output is short: that is all of back-pressure.
 */
#include "wr_log.h"

#include "bucket.h"
#include "conn.h"
#include "request.h"
#include "stock.h"

#include <apr_strings.h>
#include <unistd.h>

#define OUT_LIMIT 65536 /* bytes before a stream: it is not read for more */

/** What a stream's bucket refers to; in the request's pool. */
struct wr__stream {
    wr_request *r;
    int fd; /* -1 once the end has it */
    bool is_pipe;
    int64_t left; /* -1: until it ends */
    wr_end *end;
};

static void stream_destroy(void *data)
{
    struct wr__stream *stream = data;

    if (stream->end) {
        wr__conn_remove_end(stream->end);
        stream->end = NULL;
    }
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}

/** Others can't read it: its bytes come when they come. */
static apr_status_t stream_read(apr_bucket *b, const char **data,
                                apr_size_t *len, apr_read_type_e block)
{
    (void)b;
    (void)data;
    (void)len;
    (void)block;
    return APR_ENOTIMPL;
}

static const apr_bucket_type_t stream_type = {.name = "WR_STREAM",
                                              .num_func = 5,
                                              .is_metadata = APR_BUCKET_DATA,
                                              .destroy = stream_destroy,
                                              .read = stream_read,
                                              .setaside =
                                                  apr_bucket_setaside_noop,
                                              .split = apr_bucket_split_notimpl,
                                              .copy = apr_bucket_copy_notimpl};

apr_bucket *wr__bucket_stream_create(wr_request *r, int fd, bool is_pipe,
                                     int64_t len, apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);
    struct wr__stream *stream = apr_palloc(r->pool, sizeof(*stream));

    stream->r = r;
    stream->fd = fd;
    stream->is_pipe = is_pipe;
    stream->left = len;
    stream->end = NULL;
    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &stream_type;
    b->data = stream;
    b->start = 0;
    b->length = (apr_size_t)-1;
    return b;
}

bool wr__bucket_is_stream(const apr_bucket *b)
{
    return b->type == &stream_type;
}

int64_t wr__bucket_stream_length(const apr_bucket *b)
{
    return ((const struct wr__stream *)b->data)->left;
}

/** The first stream in the output, unless too much lies before it. */
static apr_bucket *find_stream(const wr_end *client)
{
    apr_bucket *b;
    apr_size_t before = 0;

    for (b = APR_BRIGADE_FIRST(client->out);
         b != APR_BRIGADE_SENTINEL(client->out) && before < OUT_LIMIT;
         b = APR_BUCKET_NEXT(b)) {
        if (wr__bucket_is_stream(b)) {
            return b;
        }
        if (b->length == (apr_size_t)-1) {
            return NULL; /* a computed object's turn comes first */
        }
        before += b->length;
    }
    return NULL;
}

/** Pass what has come to the output, before the stream's bucket. */
static void pass_on(apr_bucket *b, struct wr__stream *stream)
{
    struct wr_input *in = stream->end->in;
    size_t len = wr__end_unused(stream->end);
    apr_bucket_brigade piece;

    if (stream->left >= 0 && (int64_t)len > stream->left) {
        len = (size_t)stream->left; /* what follows was not announced */
    }
    if (len == 0) {
        return;
    }
    wr__brigade_init(&piece, stream->r->pool, b->list);
    APR_BRIGADE_INSERT_TAIL(&piece,
                            apr_bucket_heap_create((char *)in->data + in->start,
                                                   len, NULL, b->list));
    in->start += len;
    if (stream->left >= 0) {
        stream->left -= (int64_t)len;
    }
    wr__response_frame_chunk(stream->r, &piece, false);
    while (!APR_BRIGADE_EMPTY(&piece)) {
        apr_bucket *first = APR_BRIGADE_FIRST(&piece);

        APR_BUCKET_REMOVE(first);
        APR_BUCKET_INSERT_BEFORE(b, first);
    }
}

static bool is_over(const struct wr__stream *stream)
{
    const struct wr_input *in = stream->end->in;

    return stream->left == 0
           || ((stream->end->flags & WR__END_EOF)
               && (!in || in->start == in->end));
}

void wr__stream_pull(wr_end *client)
{
    wr_conn *c = client->conn;
    struct wr__stream *stream;
    apr_bucket *b;

    /* A piece of what follows a finished stream may be a stream again. */
    while (c->kit->streams > 0 && (b = find_stream(client))) {
        stream = b->data;
        if (!stream->end) {
            stream->end = wr__conn_add_end(c, stream->fd, stream->is_pipe);
            stream->fd = -1;
        }
        pass_on(b, stream);
        if (!is_over(stream)) {
            stream->end->want = find_stream(client) ? WR_READ : 0;
            return;
        }
        if (stream->left > 0) {
            wr_log_request(stream->r, WR_LOG_ERROR, 0,
                           "a stream ended %" APR_INT64_T_FMT
                           " bytes too early",
                           stream->left);
            c->flags |= WR__CONN_BROKEN;
            return;
        }
        apr_bucket_delete(b);
        c->kit->streams--;
        wr__end_finish_requests(client);
    }
}
