/*
 * wr_object.h - simple objects that are not there yet: computed ones, and
 * streams.
 *
 * A handler does not write to the client, it appends objects.  Memory and file
 * ranges are sent by whatever is the MPM's fastest method; a computed object
 * is made piece by piece, only as fast as the client takes it, and never in a
 * thread that has bytes to shuffle.  A stream is read as it comes, by the
 * thread that shuffles the bytes, and no faster than the client takes it.
 */
#ifndef WR_OBJECT_H
#define WR_OBJECT_H

#include "wr_base.h"
#include "wr_request.h"

#include <apr_buckets.h>

typedef enum wr_made {
    WR_MADE_MORE,  /**< a piece; call again for the next */
    WR_MADE_LAST,  /**< the last piece, or nothing more */
    WR_MADE_WAIT,  /**< nothing yet: asked for an op, call when it is done */
    WR_MADE_FAILED /**< it can't be had: logged; the connection breaks */
} wr_made;

/**
 * Make the next piece of an object: append memory or file buckets to
 * @a piece, whose allocator is to be used.  At most about 64 KiB.
 *
 * To wait, it asks for an op of its own by wr_request_ask() and returns
 * WR_MADE_WAIT; it is called again when the op is done.
 *
 * @thread the connection's owner's; any worker.  Never blocks.
 */
typedef wr_made wr_make_fn(wr_request *r, void *baton,
                           apr_bucket_brigade *piece);

/**
 * Append an object that @a make computes.
 *
 * @param len how many bytes it will be; -1: not known, so the response is
 *        chunked, or ends with the connection for HTTP/1.0.  If it turns out
 *        otherwise, the connection breaks.
 */
WR_API void wr_request_append_computed(wr_request *r, wr_make_fn *make,
                                       void *baton, int64_t len);

/**
 * Append what comes from a pipe or a socket.
 *
 * @param fd  non-blocking, close-on-exec.
 * @param len how many bytes are passed on; -1: all until it ends, and then the
 *        response is framed as for a computed object.  If it ends too early,
 *        the connection breaks.
 * @owner fd: the response's.
 */
WR_API void wr_request_append_stream(wr_request *r, int fd, bool is_pipe,
                                     int64_t len);

#endif
