/*
 * end.c - bytes in and out of a connection's ends.
 *
 * Runs in the thread that owns the connection.  This is the one file that
 * calls recv, send and sendfile on a client's socket: directly, since APR has
 * neither MSG_MORE nor a gathered send without a pool for each socket.  It
 * knows objects and sockets, and no protocol.
 */
#include "conn.h"

#include "wr_board.h"
#include "wr_file.h"
#include "wr_log.h"
#include "wr_op.h"
#include "wr_protocol.h"

#include "bucket.h"
#include "request.h"
#include "stock.h"
#include "thread.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LONG_COPY   WR_MS /* no window is copied so slowly */
#define PAGINGS_MAX 3     /* times that a window is brought in, at most */
#define WINDOW_TIME (WR_SEC / 4)
#define WINDOW_SLOW 131072 /* bytes, for who has not taken the last in time */
#define SMALL       4096   /* bytes that are sent as one piece */
#define CORK_MIN    262144 /* of a file: less is not worth two calls */

static void end_failed(wr_end *e)
{
    e->conn->flags |= WR__CONN_BROKEN;
}

/** The request that the first object of the output belongs to. */
static wr_request *first_request(const wr_end *e)
{
    const apr_bucket *b = APR_BRIGADE_FIRST(e->out);

    while (!wr__bucket_is_end(b)) {
        b = APR_BUCKET_NEXT(b);
    }
    return wr__bucket_end_request(b);
}

/** A file is shorter than when it was opened: what was promised can't be kept,
 *  and the client must see that. */
static wr_io end_is_short(wr_end *e)
{
    const wr_request *r = first_request(e);

    wr_log_request(r, WR_LOG_ERROR, 0, "%s has become shorter while it is sent",
                   r->filename ? r->filename : r->uri);
    end_failed(e);
    return WR_IO_ERROR;
}

/* Input. */

/** Bounded: READ is not wanted with a head's limit of bytes unused.  Where
 *  there is no memory the end breaks: the client asked for it. */
static void grow_input(wr_end *e)
{
    struct wr_input *in = e->in;
    unsigned char *data = realloc(in->data, in->size * 2);

    if (!data) {
        wr_log_error(e->conn->listener->server, WR_LOG_ERROR, ENOMEM,
                     "a connection is closed: %lu bytes of input",
                     (unsigned long)in->size * 2);
        end_failed(e);
        return;
    }
    in->data = data;
    in->size *= 2;
}

size_t wr_end_room(wr_end *e, wr_thread *self)
{
    struct wr_input *in;

    if (e == e->conn->ends) {
        wr__conn_lend(e->conn, self);
    }
    in = e->in;
    if (in->start == in->end) {
        in->start = in->end = 0;
    }
    if (in->size - in->end < WR_FEED_MIN && in->start > 0) {
        memmove(in->data, in->data + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    if (in->size - in->end < WR_FEED_MIN) {
        grow_input(e);
    }
    return in->size - in->end;
}

/** Clients' bytes alone; what a back end sends is another matter. */
static void count_received(const wr_end *e, wr_thread *self, size_t len)
{
    if (e == e->conn->ends) {
        wr_count(self, WR_N_BYTES_RECEIVED, (int64_t)len);
    }
}

void wr_end_feed(wr_end *e, wr_thread *self, const void *data, size_t len)
{
    size_t room = wr_end_room(e, self);

    if (len > room) {
        return; /* no memory: the end is broken */
    }
    memcpy(e->in->data + e->in->end, data, len);
    e->in->end += len;
    count_received(e, self, len);
}

void wr_end_eof(wr_end *e, wr_thread *self, int error)
{
    (void)self;
    if ((error == ENODATA || error == EFAULT) && wr__end_has_output(e)) {
        end_is_short(e);
    }
    else if (error) {
        end_failed(e);
    }
    e->flags |= WR__END_EOF;
}

static void clear_ready(wr_end *e, unsigned bit)
{
    atomic_fetch_and_explicit(&e->ready, (uint8_t)~bit, memory_order_acquire);
}

static void set_ready(wr_end *e, unsigned bit)
{
    atomic_fetch_or_explicit(&e->ready, (uint8_t)bit, memory_order_release);
}

/** Receive once.  The ready bit is cleared first: an event that comes in
 *  between sets it again, and the worst is a vain try. */
static void fill(wr_end *e, wr_thread *self)
{
    size_t room = wr_end_room(e, self);
    ssize_t n;

    if (room == 0) {
        return; /* no memory: the end is broken */
    }
    clear_ready(e, WR_READ);
    n = e->is_pipe ? read(e->fd, e->in->data + e->in->end, room)
                   : recv(e->fd, e->in->data + e->in->end, room, 0);
    if (n > 0) {
        e->in->end += (size_t)n;
        count_received(e, self, (size_t)n);
        e->conn->kit->moved += (size_t)n;
        /* A short read has emptied the socket, but for a FIN behind it. */
        if ((size_t)n == room
            || (atomic_load_explicit(&e->ready, memory_order_relaxed)
                & WR_HUP)) {
            set_ready(e, WR_READ);
        }
    }
    else if (n == 0) {
        wr_end_eof(e, self, 0);
    }
    else if (errno == EINTR) {
        set_ready(e, WR_READ);
    }
    else if (errno != EAGAIN) {
        wr_end_eof(e, self, errno);
    }
}

bool wr__end_is_silent(const wr_end *e)
{
    char byte;

    return recv(e->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
           && errno == EAGAIN;
}

/* Output. */

bool wr__end_has_output(const wr_end *e)
{
    return e->out && !APR_BRIGADE_EMPTY(e->out);
}

bool wr__end_awaits_op(const wr_end *e)
{
    const wr__computed *computed =
        wr__bucket_computed(APR_BRIGADE_FIRST(e->out));
    const wr_op *op = NULL;

    if (computed) {
        op = computed->r->core->asked;
    }
    else if (e->flags & WR__END_PAGING) {
        op = &e->conn->kit->http.page;
    }
    return op && !atomic_load_explicit(&op->is_done, memory_order_acquire);
}

bool wr__end_can_send(wr_end *e)
{
    if (wr__bucket_is_unread(APR_BRIGADE_FIRST(e->out))) {
        return false;
    }
    if (!(e->flags & WR__END_PAGING)) {
        return true;
    }
    if (!atomic_load_explicit(&e->conn->kit->http.page.is_done,
                              memory_order_acquire)) {
        return false;
    }
    e->flags &= (uint8_t)~WR__END_PAGING;
    e->conn->kit->http.window.pagings++;
    return true;
}

void wr__end_finish(wr_end *e)
{
    e->flags |= WR__END_FIN;
}

void wr__end_finish_requests(wr_end *e)
{
    apr_bucket *b;

    while (!APR_BRIGADE_EMPTY(e->out)
           && wr__bucket_is_end(b = APR_BRIGADE_FIRST(e->out))) {
        wr_request *r = wr__bucket_end_request(b);

        apr_bucket_delete(b);
        wr__request_sent(r, false);
        wr__conn_add_done(e->conn, r);
    }
}

/** Another object has its turn. */
static void forget_window(wr_end *e)
{
    if (e->conn->kit) {
        e->conn->kit->http.window = (wr__window){.file = NULL};
    }
}

void wr__end_drop_output(wr_end *e)
{
    apr_bucket *b;

    assert(!e->in_flight);
    forget_window(e);
    while (e->out && !APR_BRIGADE_EMPTY(e->out)) {
        b = APR_BRIGADE_FIRST(e->out);
        if (wr__bucket_is_end(b)) {
            wr_request *r = wr__bucket_end_request(b);

            wr__request_sent(r, true);
            wr__conn_add_done(e->conn, r);
        }
        apr_bucket_delete(b);
    }
}

/** Do bytes follow, from @a b on?  Not for what a stream may bring some time.
 */
static bool follows_at_once(const apr_bucket_brigade *bb, const apr_bucket *b)
{
    while (b != APR_BRIGADE_SENTINEL(bb) && b->length == 0) {
        b = APR_BUCKET_NEXT(b);
    }
    return b != APR_BRIGADE_SENTINEL(bb) && !wr__bucket_is_stream(b);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/** An op has brought it in, and nothing can tell whether it is still there. */
static bool is_believed(const wr_end *e, const wr_file *file)
{
    return e->conn->kit->http.window.pagings > 0
           && __atomic_load_n(&file->residency, __ATOMIC_RELAXED)
                  == WR_RESIDENT_NEVER;
}

/** Would sending this of the first file sleep on the disk?  If so, an op; if
 *  not, a window. */
static bool ask_for_page(wr_end *e, const wr_thread *self, wr_file *file,
                         int64_t offset, size_t len)
{
    wr_conn *c = e->conn;
    wr__window *window = &c->kit->http.window;
    int64_t end = offset + (int64_t)len;
    wr_op *op;

    if (!c->child->core->asks_first
        || (window->file == file && end <= window->end
            && self->now_ns < window->until_ns)) {
        return false;
    }
    if (is_believed(e, file) || wr__file_is_resident(file, offset, len)) {
        *window = (wr__window){
            .file = file, .end = end, .until_ns = self->now_ns + WINDOW_TIME};
        return false;
    }
    /* Where memory is short, what a helper has read can be gone before it is
     * sent; where the disk is busy too, this would never end. */
    if (window->pagings >= PAGINGS_MAX) {
        forget_window(e);
        return false;
    }
    op = &c->kit->http.page;
    memset(op, 0, sizeof(*op));
    op->kind = WR_OP_PAGE;
    op->fd = file->fd;
    op->offset = offset;
    op->len = len;
    e->flags |= WR__END_PAGING;
    wr__conn_add_op(c, op);
    return true;
}

static bool is_mapped(const apr_bucket *b)
{
    return wr_bucket_is_file(b) && wr_bucket_file(b)->map;
}

/** A mapping's turn has come: may the kernel read it?  Whoever truncates the
 *  file between this and the sending leaves zeros in its last page, as he does
 *  where sendfile() has put pages into the socket. */
static wr_io check_first_mapped(wr_end *e, const wr_thread *self,
                                const apr_bucket *b, size_t quantum)
{
    wr_file *file = wr_bucket_file(b);

    if (!wr__file_is_whole(file)) {
        return end_is_short(e);
    }
    return ask_for_page(e, self, file, b->start, smaller(b->length, quantum))
               ? WR_IO_CALL
               : WR_IO_DONE;
}

/** Can a mapping behind the first object be sent with it?  If not it waits for
 *  its turn, and is asked for then. */
static bool may_join(const wr_end *e, const apr_bucket *b)
{
    wr_file *file = wr_bucket_file(b);

    return wr__file_is_whole(file)
           && (!e->conn->child->core->asks_first
               || wr__file_is_resident(file, b->start, b->length));
}

/** The bytes of an object for a gathered send.  @return false if it has none
 *  in memory, or may not be sent from there now. */
static bool find_bytes(const wr_end *e, apr_bucket *b, wr_span *span,
                       const char **data, size_t *len)
{
    if (!is_mapped(b)) {
        return wr__bucket_memory(b, data, len);
    }
    if (b != APR_BRIGADE_FIRST(e->out) && !may_join(e, b)) {
        return false;
    }
    if (span->unmapped > span->iov_count) {
        span->unmapped = span->iov_count;
    }
    *data = (const char *)wr_bucket_file(b)->map + b->start;
    *len = b->length;
    return true;
}

/** Put memory buckets from @a b on into the span.  @return the first one that
 *  is not, or not all, in it. */
static apr_bucket *gather(wr_end *e, apr_bucket *b, size_t quantum,
                          wr_span *span)
{
    span->kind = WR_SPAN_MEMORY;
    span->unmapped = WR_SPAN_PIECES;
    span->iov_count = 0;
    span->len = 0;
    for (; b != APR_BRIGADE_SENTINEL(e->out); b = APR_BUCKET_NEXT(b)) {
        const char *data;
        size_t len, put;

        if (wr__bucket_is_end(b)) {
            continue;
        }
        if (span->iov_count == WR_SPAN_PIECES || span->len >= quantum
            || !find_bytes(e, b, span, &data, &len)) {
            break;
        }
        put = smaller(len, quantum - span->len);
        if (put) {
            span->iov[span->iov_count].iov_base = (void *)(uintptr_t)data;
            span->iov[span->iov_count++].iov_len = put;
            span->len += put;
        }
        if (put < len) {
            break;
        }
    }
    return b;
}

/** A file of which only the descriptor is held. */
static bool is_sent_by_kernel(const apr_bucket *b)
{
    return wr_bucket_is_file(b) && !wr_bucket_file(b)->content
           && !wr_bucket_file(b)->map;
}

/** So much of a file that it ends with a page.  What begins in the middle of
 *  one is cut at each page, in the kernel and in the segments, and leaves a few
 *  bytes over for one call more. */
static size_t to_page_end(const apr_bucket *b, size_t len)
{
    size_t over = ((size_t)b->start + len) % WR_SPAN_PAGE;

    return smaller(b->length, over ? len + WR_SPAN_PAGE - over : len);
}

/** How much of a file goes at once: what is left of a window, or a new one. */
static size_t file_piece(const wr_end *e, const wr_thread *self,
                         const apr_bucket *b, size_t quantum)
{
    const wr__window *window = &e->conn->kit->http.window;

    if (window->file != wr_bucket_file(b) || b->start >= window->end) {
        return to_page_end(b, quantum);
    }
    if (self->now_ns >= window->until_ns) {
        return to_page_end(b, smaller(quantum, WINDOW_SLOW));
    }
    return smaller(to_page_end(b, quantum), (size_t)(window->end - b->start));
}

wr_io wr_end_peek(wr_end *e, wr_thread *self, size_t quantum, wr_span *span)
{
    apr_bucket *b, *behind;

    if (!wr__end_has_output(e)) {
        return WR_IO_EMPTY;
    }
    b = APR_BRIGADE_FIRST(e->out);
    assert(!wr__bucket_is_end(b)); /* advance and append saw to that */
    if (wr__bucket_computed(b)) {
        return WR_IO_CPU;
    }
    if (wr__bucket_is_stream(b)) {
        return WR_IO_EMPTY; /* nothing has come yet */
    }
    if (is_mapped(b)) {
        wr_io io = check_first_mapped(e, self, b, quantum);

        if (io != WR_IO_DONE) {
            return io;
        }
    }
    if (is_sent_by_kernel(b)) {
        span->kind = WR_SPAN_FILE;
        span->fd = wr_bucket_file(b)->fd;
        span->offset = b->start;
        span->len = file_piece(e, self, b, quantum);
        behind = span->len < b->length ? b : APR_BUCKET_NEXT(b);
    }
    else {
        behind = gather(e, b, quantum, span);
        if (span->iov_count == 0) {
            /* Neither memory nor file nor ours: no handler may append it. */
            end_failed(e);
            return WR_IO_ERROR;
        }
    }
    span->more = follows_at_once(e->out, behind);
    /* A FIN can share the segment of the last bytes if these are held back
     * until it is sent. */
    span->last = (e->flags & WR__END_FIN) && wr__bucket_is_tail(e->out, behind);
    return WR_IO_DONE;
}

void wr_end_advance(wr_end *e, wr_thread *self, size_t len)
{
    wr_conn *c = e->conn;
    const size_t sent = len;

    if (e == c->ends) {
        wr_count(self, WR_N_BYTES_SENT, (int64_t)len);
    }
    while (len > 0) {
        apr_bucket *b = APR_BRIGADE_FIRST(e->out);
        size_t n;

        assert(b != APR_BRIGADE_SENTINEL(e->out));
        n = b->length < len ? b->length : len;
        c->kit->wire += n;
        len -= n;
        b->start += (apr_off_t)n;
        b->length -= n;
        if (b->length == 0) {
            apr_bucket_delete(b);
            forget_window(e);
        }
        wr__end_finish_requests(e);
    }
    /* Empty pieces behind the last byte must not keep a request waiting. */
    while (!APR_BRIGADE_EMPTY(e->out)
           && APR_BRIGADE_FIRST(e->out)->length == 0) {
        if (!wr__bucket_is_end(APR_BRIGADE_FIRST(e->out))) {
            apr_bucket_delete(APR_BRIGADE_FIRST(e->out));
        }
        wr__end_finish_requests(e);
    }
    c->protocol->sent(c, self, sent);
}

/** Few bytes in several pieces: copying them costs less than handing the list
 *  of pieces to the kernel. */
static ssize_t send_small(const wr_end *e, const wr_span *span, int flags)
{
    char all[SMALL];
    size_t len = 0;

    if (span->iov_count == 1) {
        return send(e->fd, span->iov[0].iov_base, span->len, flags);
    }
    for (int i = 0; i < span->iov_count; i++) {
        memcpy(all + len, span->iov[i].iov_base, span->iov[i].iov_len);
        len += span->iov[i].iov_len;
    }
    return send(e->fd, all, len, flags);
}

/** Where nobody has asked before whether the file is in memory, this may wait
 *  for the disk, and is counted so; else if it takes longer than any copy. */
static ssize_t send_file(const wr_end *e, wr_thread *self, const wr_span *span)
{
    bool may_wait = !e->conn->child->core->asks_first;
    int64_t since = wr__clock();
    off_t offset = span->offset;
    ssize_t n = sendfile(e->fd, span->fd, &offset, span->len);
    int error = errno;

    wr__thread_blocked(self, since, may_wait ? 0 : LONG_COPY);
    errno = error;
    return n;
}

static ssize_t send_span(wr_end *e, wr_thread *self, const wr_span *span)
{
    if (span->kind == WR_SPAN_FILE) {
        return send_file(e, self, span);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)span->iov,
                             .msg_iovlen = (size_t)span->iov_count};
    int flags = MSG_NOSIGNAL | (span->more || span->last ? MSG_MORE : 0);

    if (span->len <= SMALL && span->unmapped >= span->iov_count) {
        return send_small(e, span, flags);
    }
    return sendmsg(e->fd, &message, flags);
}

/** Hold back what does not fill a segment, or let it go.  A file that is sent
 *  in several turns would else leave one of odd length at the end of each; and
 *  so would each ACK that comes in while sendfile() is between two chunks, for
 *  its own MSG_MORE does not outlast a call. */
static void cork(wr_end *e, bool is_held)
{
    int on = is_held;

    if (((e->flags & WR__END_CORKED) != 0) != is_held
        && setsockopt(e->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) == 0) {
        e->flags ^= WR__END_CORKED;
    }
}

/** A file system that can't, not a file. */
static bool knows_no_sendfile(int error)
{
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/** Will what is held back be followed at once by more of a file, or by the end
 *  of the connection? */
static bool may_stay_corked(const wr_end *e, wr_io io)
{
    switch (io) {
    case WR_IO_AGAIN: /* the kernel has segments enough */
        return true;
    case WR_IO_QUANTUM:
        return is_sent_by_kernel(APR_BRIGADE_FIRST(e->out));
    case WR_IO_EMPTY:
        return (e->flags & WR__END_FIN) && !wr__end_has_output(e);
    case WR_IO_DONE:
    case WR_IO_CALL:
    case WR_IO_CPU:
    case WR_IO_ERROR:
        break;
    }
    return false;
}

/** wr_end_ship(), which may leave the end corked. */
static wr_io ship(wr_end *e, wr_thread *self, size_t quantum)
{
    wr_span span;
    size_t sent = 0;
    wr_io io;
    ssize_t n;

    while ((io = wr_end_peek(e, self, quantum - sent, &span)) == WR_IO_DONE) {
        if (span.kind == WR_SPAN_FILE
            && ask_for_page(e, self, wr_bucket_file(APR_BRIGADE_FIRST(e->out)),
                            span.offset, span.len)) {
            return WR_IO_CALL;
        }
        if (span.kind == WR_SPAN_FILE && (span.more || span.len >= CORK_MIN)) {
            cork(e, true);
        }
        clear_ready(e, WR_WRITE);
        n = send_span(e, self, &span);
        if (n < 0 && errno == EFAULT && wr_span_cut(&span)) {
            n = send_span(e, self, &span);
        }
        if (n < 0 && errno == EINTR) {
            set_ready(e, WR_WRITE);
            continue;
        }
        if (n == 0 || (n < 0 && errno == EFAULT)) {
            return end_is_short(e);
        }
        if (n < 0 && span.kind == WR_SPAN_FILE && knows_no_sendfile(errno)) {
            set_ready(e, WR_WRITE);
            forget_window(e);
            wr__file_read_instead(first_request(e), APR_BRIGADE_FIRST(e->out));
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            end_failed(e);
            return WR_IO_ERROR;
        }
        if (n > 0) {
            sent += (size_t)n;
            e->conn->kit->moved += (size_t)n;
            wr_end_advance(e, self, (size_t)n);
        }
        if (n < 0 || (n < (ssize_t)span.len && span.kind == WR_SPAN_MEMORY)) {
            return WR_IO_AGAIN;
        }
        /* sendfile() also stops short at a signal, or where the file ends by
         * now: only EAGAIN says that an event will follow. */
        set_ready(e, WR_WRITE);
        if (sent >= quantum && wr__end_has_output(e)) {
            return WR_IO_QUANTUM;
        }
    }
    return io;
}

wr_io wr_end_ship(wr_end *e, wr_thread *self, size_t quantum)
{
    wr_io io = ship(e, self, quantum);

    if ((e->flags & WR__END_CORKED) && !may_stay_corked(e, io)) {
        cork(e, false);
    }
    return io;
}

void wr_conn_io(wr_conn *c, wr_thread *self, size_t quantum)
{
    for (wr_end *e = c->ends; e; e = e->next) {
        unsigned ready =
            e->want & atomic_load_explicit(&e->ready, memory_order_relaxed);

        if (ready & WR_READ) {
            fill(e, self);
        }
        if (ready & WR_WRITE) {
            wr_end_ship(e, self, quantum);
        }
    }
    /* Of all that moved, whatever it was: who sends without a pause, or takes
     * many small pieces as fast as they are made, is ready time and again. */
    if (c->kit && c->kit->moved >= quantum) {
        c->kit->moved = 0;
        c->flags |= WR__CONN_QUANTUM;
    }
}
