/*
 * http_body.h - how long a request's content is (RFC 9112, section 6), and
 * taking the chunked coding off it.  Knows memory only.
 */
#ifndef WR__HTTP_BODY_H
#define WR__HTTP_BODY_H

#include "wr_request.h"

typedef enum wr__body_kind {
    WR__BODY_NONE,
    WR__BODY_LENGTH,
    WR__BODY_CHUNKED
} wr__body_kind;

/** A content that is being received. */
typedef struct wr__body {
    uint8_t kind;  /**< wr__body_kind */
    uint8_t state; /**< of the chunked coding */
    bool is_done;
    uint32_t overhead; /**< bytes of extensions and trailers so far */
    int64_t left;      /**< of the content, or of this chunk */
    int64_t received;  /**< content bytes so far */
} wr__body;

/**
 * How is @a r's content framed?
 *
 * @return 0, or the status that refuses it; the connection must then close.
 */
int wr__body_frame(const wr_request *r, wr__body *body);

/**
 * Take content out of data[0..len).
 *
 * @param used    how many bytes were looked at and belong to the content.
 * @param content,content_len  a run of content bytes among them, if any: one
 *        run a call, so call again while *used > 0 and it is not done.
 * @return 0, or the status that refuses it.
 */
int wr__body_take(wr__body *body, const unsigned char *data, size_t len,
                  size_t *used, const unsigned char **content,
                  size_t *content_len);

#endif
