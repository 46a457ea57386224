/*
 * compute.c - objects in the output that are made piece by piece.
 *
 * Runs in the connection's owner's thread, after the machine has said that CPU
 * work is ahead (WR_WANT_RUN), so never in one that shuffles bytes.
 */
#include "wr_log.h"

#include "bucket.h"
#include "conn.h"
#include "request.h"
#include "stock.h"

bool wr__end_must_compute(const wr_end *e)
{
    return wr__end_has_output(e)
           && wr__bucket_computed(APR_BRIGADE_FIRST(e->out));
}

/** Put what was made in the place of its maker, or before it. */
static void put_piece(wr_end *e, apr_bucket *maker, apr_bucket_brigade *piece,
                      bool is_last)
{
    wr_kit *kit = e->conn->kit;
    int count = 0;

    while (!APR_BRIGADE_EMPTY(piece)) {
        apr_bucket *b = APR_BRIGADE_FIRST(piece);

        APR_BUCKET_REMOVE(b);
        if (b->length == 0) {
            apr_bucket_destroy(b);
            continue;
        }
        APR_BUCKET_INSERT_BEFORE(maker, b);
        count++;
    }
    kit->most = count > kit->most ? count : kit->most;
    if (is_last) {
        apr_bucket_delete(maker);
        wr__end_finish_requests(e);
    }
}

/** Does the piece fit the length that was said, if one was? */
static bool is_as_announced(wr__computed *computed, apr_bucket_brigade *piece,
                            wr_made made)
{
    apr_off_t len = 0;

    if (computed->left < 0) {
        return true;
    }
    apr_brigade_length(piece, 0, &len);
    computed->left -= len;
    return made == WR_MADE_LAST ? computed->left == 0 : computed->left >= 0;
}

wr_io wr__end_compute(wr_end *e)
{
    apr_bucket *b = APR_BRIGADE_FIRST(e->out);
    wr__computed *computed = wr__bucket_computed(b);
    wr_request *r = computed->r;
    apr_bucket_brigade piece;
    wr_made made;

    r->core->asked = NULL;
    wr__brigade_init(&piece, r->pool, e->conn->kit->list);
    made = computed->make(r, computed->baton, &piece);
    if (made == WR_MADE_FAILED) {
        apr_brigade_cleanup(&piece);
        e->conn->flags |= WR__CONN_BROKEN;
        return WR_IO_ERROR;
    }
    if (!is_as_announced(computed, &piece, made)) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "a computed object is not as long as was said");
        apr_brigade_cleanup(&piece);
        e->conn->flags |= WR__CONN_BROKEN;
        return WR_IO_ERROR;
    }
    if (!computed->is_framed) {
        wr__response_frame_chunk(r, &piece, false);
    }
    put_piece(e, b, &piece, made == WR_MADE_LAST);
    return made == WR_MADE_WAIT ? WR_IO_CALL : WR_IO_DONE;
}
