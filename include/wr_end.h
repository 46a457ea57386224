/*
 * wr_end.h - an end of a connection: the client, a back end, a pipe.
 *
 * An end has input (bytes that came), output (a brigade of simple objects) and
 * want bits.  MPMs that act on readiness need only wr_conn_io(), which reads
 * and writes by the functions below; MPMs that act on completion call them
 * themselves: feed what was received, peek at what to send, advance by what
 * went.
 */
#ifndef WR_END_H
#define WR_END_H

#include "wr_base.h"

#include <apr_buckets.h>
#include <stdatomic.h>
#include <sys/uio.h>

struct wr_input; /* server/end.c */

#define WR_ENDS_MAX 8 /**< ends of a connection, at most */

struct wr_end {
    int fd;                /**< -1 once closed */
    uint32_t slot;         /**< the poller's name for it; 0: not known */
    uint8_t want;          /**< WR_READ | WR_WRITE; owner's */
    uint8_t in_flight;     /**< the kernel holds a read or a span; owner's */
    uint8_t flags;         /**< private to the machine */
    bool is_pipe;          /**< read() and write(), not recv() and send() */
    bool is_gone;          /**< to be dropped: WR_WANT_DROP */
    _Atomic uint8_t ready; /**< a poller may OR bits in at any time */
    wr_conn *conn;
    wr_end *next;
    struct wr_input *in;     /**< NULL while idle */
    apr_bucket_brigade *out; /**< NULL while idle */
};

#define WR_SPAN_PIECES 64   /**< pieces of memory in one gathered send */
#define WR_SPAN_PAGE   4096 /**< what is sent of a file ends at such a page */

/** The next thing to send; valid until wr_end_advance(). */
typedef struct wr_span {
    enum {
        WR_SPAN_MEMORY,
        WR_SPAN_FILE
    } kind;
    int iov_count; /**< MEMORY */
    int unmapped;  /**< MEMORY: so many pieces come before the first one that is
                        a mapping of a file, for the kernel to read and nobody
                        else (wr_file.map) */
    struct iovec iov[WR_SPAN_PIECES]; /**< MEMORY */
    int fd;                           /**< FILE: read at offset, never seek */
    int64_t offset;                   /**< FILE */
    size_t len;                       /**< bytes in all */
    bool more; /**< more follows at once: let it share a segment */
    bool last; /**< after it nothing: FIN may go with it */
} wr_span;

/**
 * The kernel could not read the span (EFAULT): a file was truncated under its
 * mapping.  What comes before that is whole, as the head of a response: make it
 * all of the span.
 *
 * @return false if there is nothing before it.
 */
static inline bool wr_span_cut(wr_span *span)
{
    if (span->kind != WR_SPAN_MEMORY || span->unmapped == 0
        || span->unmapped >= span->iov_count) {
        return false;
    }
    span->iov_count = span->unmapped;
    span->len = 0;
    for (int i = 0; i < span->iov_count; i++) {
        span->len += span->iov[i].iov_len;
    }
    span->more = span->last = false;
    return true;
}

/** How a look at the output ended. */
typedef enum wr_io {
    WR_IO_DONE,    /**< a span is there (peek); all went (ship) */
    WR_IO_EMPTY,   /**< nothing to send */
    WR_IO_CALL,    /**< the next object asks for an op first: step */
    WR_IO_CPU,     /**< the next object must be computed first: step */
    WR_IO_AGAIN,   /**< the kernel takes no more now */
    WR_IO_QUANTUM, /**< as much went as may in one turn */
    WR_IO_ERROR    /**< the end is broken; the machine knows */
} wr_io;

/** At least so much can be fed whenever WR_READ is wanted. */
#define WR_FEED_MIN 4096

/** How much can be fed now; less than WR_FEED_MIN without memory, and then the
 *  end is broken.  Owner. */
WR_API size_t wr_end_room(wr_end *e, wr_thread *self);

/** Bytes that were received; copied.  @a len: at most wr_end_room(). Owner. */
WR_API void wr_end_feed(wr_end *e, wr_thread *self, const void *data,
                        size_t len);

/** The peer sends no more (@a error 0), or the end broke (errno; ENODATA: a
 *  span's file has become shorter than the span).  Owner. */
WR_API void wr_end_eof(wr_end *e, wr_thread *self, int error);

/**
 * The next span, of at most @a quantum bytes, or of a file so many that it
 * ends with a page (WR_SPAN_PAGE).
 *
 * Between this and wr_end_advance() the objects peeked at are pinned: the
 * machine may append to the brigade and nothing else, and an abort waits.
 * Set e->in_flight |= WR_WRITE while the kernel holds the span.
 *
 * @return WR_IO_DONE (span filled), _EMPTY, _CALL, _CPU or _ERROR.
 */
WR_API wr_io wr_end_peek(wr_end *e, wr_thread *self, size_t quantum,
                         wr_span *span);

/** @a len bytes of the span went.  Owner. */
WR_API void wr_end_advance(wr_end *e, wr_thread *self, size_t len);

/** Write until done, quantum, again, call, CPU or error.  Owner. */
WR_API wr_io wr_end_ship(wr_end *e, wr_thread *self, size_t quantum);

#endif
