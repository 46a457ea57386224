/*
 * machine_end.c - bytes in and out of the scripted machine's ends.
 *
 * Runs in the thread that owns the connection.  What MPMs that act on readiness
 * need is wr_conn_io(); the rest is for those that act on completion.
 */
#include "machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void machine_end_init(machine_end *me, wr_conn *c, int fd)
{
    struct stat st;

    if (fstat(fd, &st)) {
        board_fail("descriptor %d: %s", fd, strerror(errno));
        machine_die();
    }
    me->device = st.st_dev;
    me->inode = st.st_ino;
    me->end.fd = fd;
    me->end.conn = c;
    atomic_store(&me->end.ready, WR_READ | WR_WRITE); /* not tried yet */
    if (the_board->buffer) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &the_board->buffer, sizeof(int));
    }
    machine_guard_fd(fd, true);
}

void machine_end_close(machine_end *me)
{
    struct stat st;
    int fd = me->end.fd;

    PROMISE(fstat(fd, &st) == 0 && st.st_dev == me->device
                && st.st_ino == me->inode,
            "wr_conn_close: descriptor %d was closed by another", fd);
    machine_guard_fd(fd, false);
    PROMISE(me->end.slot == 0,
            "descriptor %d is closed, but the poller still knows it", fd);
    machine_close_fd(fd);
    machine_poison(&me->end, sizeof(me->end));
}

size_t machine_take_input(machine_end *me, size_t want)
{
    size_t len = me->input_len < want ? me->input_len : want;

    for (size_t i = 0; i < len; i++) {
        PROMISE(me->input[i] == pattern_at(me->input_position + i),
                "input: wrong byte at %llu",
                (unsigned long long)(me->input_position + i));
    }
    me->input_position += len;
    me->input_len -= len;
    memmove(me->input, me->input + len, me->input_len);
    return len;
}

/* For MPMs that act on completion. */

size_t wr_end_room(wr_end *e, wr_thread *self)
{
    machine *m = machine_enter(e->conn, self, "wr_end_room");
    machine_end *me = (machine_end *)e;
    size_t room = sizeof(me->input) - me->input_len;

    machine_leave(m);
    return room;
}

void wr_end_feed(wr_end *e, wr_thread *self, const void *data, size_t len)
{
    machine *m = machine_enter(e->conn, self, "wr_end_feed");
    machine_end *me = (machine_end *)e;

    PROMISE(me->granted & WR_READ,
            "wr_end_feed: connection #%d did not want to read", m->number);
    PROMISE(len > 0 && len <= sizeof(me->input) - me->input_len,
            "wr_end_feed: %zu bytes, room for %zu", len,
            sizeof(me->input) - me->input_len);
    PROMISE(!me->is_at_eof, "wr_end_feed: after the end of connection #%d",
            m->number);
    memcpy(me->input + me->input_len, data, len);
    me->input_len += len;
    me->granted = (uint8_t)(me->granted & ~(WR_READ & ~e->want));
    m->progressed = true;
    machine_leave(m);
}

static void break_end(machine *m)
{
    m->client.out_left = 0;
    if (!m->is_over) {
        m->is_over = true;
        m->is_aborted = true;
        m->ops_wanted = 0;
        atomic_fetch_add(&the_board->aborted, 1);
    }
}

/** What the span showed is no longer the sender's: make that visible. */
static void unpin(machine_end *me)
{
    if (me->pinned) {
        memset(me->pinned, 0xDB, me->pinned_len);
        free(me->pinned);
        me->pinned = NULL;
    }
    me->is_pinned = false;
}

void machine_void_span(machine_end *me)
{
    if (me->is_pinned && !(me->end.in_flight & WR_WRITE)) {
        unpin(me);
    }
}

void wr_end_eof(wr_end *e, wr_thread *self, int error)
{
    machine *m = machine_enter(e->conn, self, "wr_end_eof");
    machine_end *me = (machine_end *)e;

    me->is_at_eof = true;
    if (error) {
        break_end(m);
        machine_void_span(me); /* a send that failed does not advance */
    }
    m->progressed = true;
    machine_leave(m);
}

/** A copy of the next @a len bytes, in pieces of uneven sizes. */
static void pin_memory(machine_end *me, size_t len, wr_span *span)
{
    size_t used = 0;

    me->pinned = malloc(len);
    if (!me->pinned) {
        abort();
    }
    if (me->out_kind == 'T') {
        memset(me->pinned, 'T', len);
    }
    else {
        memcpy(me->pinned, pattern_bytes() + me->out_position % PATTERN_PERIOD,
               len);
    }
    span->kind = WR_SPAN_MEMORY;
    span->iov_count = 0;
    span->unmapped = WR_SPAN_PIECES;
    while (used < len) {
        int i = span->iov_count++;
        size_t piece = (size_t)i * 37 + 1;

        if (i == WR_SPAN_PIECES - 1 || piece > len - used) {
            piece = len - used;
        }
        span->iov[i].iov_base = me->pinned + used;
        span->iov[i].iov_len = piece;
        used += piece;
    }
}

/** Does more output follow what is at hand? */
static bool is_followed(const machine *m)
{
    const token *next = &m->script[m->at + 1];

    return m->at + 1 < m->script_len
           && (next->kind == 'w' || next->kind == 'f');
}

static bool is_last(const machine *m)
{
    return m->at + 1 >= m->script_len || m->script[m->at + 1].kind == 'x';
}

/** How much of the output goes at once; of a file, up to the end of a page. */
static size_t piece_of(const machine_end *me, size_t quantum)
{
    size_t over = (me->out_position % PATTERN_PERIOD + quantum) % WR_SPAN_PAGE;

    if (me->out_kind == 'f' && over > 0) {
        quantum += WR_SPAN_PAGE - over;
    }
    return me->out_left < quantum ? me->out_left : quantum;
}

wr_io wr_end_peek(wr_end *e, wr_thread *self, size_t quantum, wr_span *span)
{
    machine *m = machine_enter(e->conn, self, "wr_end_peek");
    machine_end *me = (machine_end *)e;
    size_t len = piece_of(me, quantum);

    PROMISE(quantum > 0 && quantum <= the_child->quantum,
            "wr_end_peek: a quantum of %zu", quantum);
    PROMISE(!(e->in_flight & WR_WRITE),
            "wr_end_peek: a span of connection #%d is in flight", m->number);
    unpin(me);
    if (len == 0) {
        machine_leave(m);
        return WR_IO_EMPTY;
    }
    memset(span, 0xA5, sizeof(*span));
    if (me->out_kind == 'f') {
        span->kind = WR_SPAN_FILE;
        span->fd = the_board->file_fd;
        span->offset = (int64_t)(me->out_position % PATTERN_PERIOD);
    }
    else {
        pin_memory(me, len, span);
    }
    span->len = len;
    span->more = len < me->out_left || is_followed(m);
    span->last = !span->more && is_last(m);
    me->pinned_len = len;
    me->is_pinned = true;
    machine_leave(m);
    return WR_IO_DONE;
}

/** @a len bytes went. */
static void count_output(machine *m, machine_end *me, size_t len)
{
    me->out_position += me->out_kind == 'T' ? 0 : len;
    me->out_left -= len < me->out_left ? len : me->out_left;
    atomic_fetch_add(&the_board->bytes_sent, len);
    m->progressed = true;
}

void wr_end_advance(wr_end *e, wr_thread *self, size_t len)
{
    machine *m = machine_enter(e->conn, self, "wr_end_advance");
    machine_end *me = (machine_end *)e;

    PROMISE(me->is_pinned, "wr_end_advance: no span of connection #%d is out",
            m->number);
    PROMISE(len <= me->pinned_len, "wr_end_advance: %zu of %zu bytes", len,
            me->pinned_len);
    unpin(me);
    count_output(m, me, len);
    machine_leave(m);
}

/* For MPMs that act on readiness. */

static void clear_ready(wr_end *e, unsigned bit)
{
    atomic_fetch_and(&e->ready, (uint8_t)~bit);
}

static void set_ready(wr_end *e, unsigned bit)
{
    atomic_fetch_or(&e->ready, (uint8_t)bit);
}

static void fill(machine *m, machine_end *me, size_t quantum)
{
    size_t room = sizeof(me->input) - me->input_len;
    ssize_t n;

    if (room > quantum) {
        room = quantum;
    }
    clear_ready(&me->end, WR_READ);
    n = me->end.is_pipe
            ? read(me->end.fd, me->input + me->input_len, room)
            : recv(me->end.fd, me->input + me->input_len, room, MSG_DONTWAIT);
    if (n > 0) {
        me->input_len += (size_t)n;
        /* A short read has emptied the socket, but for a FIN behind it. */
        if ((size_t)n == room || (atomic_load(&me->end.ready) & WR_HUP)) {
            set_ready(&me->end, WR_READ);
        }
    }
    else if (n == 0 || errno != EAGAIN) {
        me->is_at_eof = true;
        if (n < 0) {
            break_end(m);
        }
    }
}

static ssize_t send_once(machine_end *me, size_t len)
{
    size_t offset = me->out_position % PATTERN_PERIOD;
    off_t file_offset = (off_t)offset;

    switch (me->out_kind) {
    case 'f':
        return sendfile(me->end.fd, the_board->file_fd, &file_offset, len);
    case 'T':
        return send(me->end.fd, "T", len, MSG_NOSIGNAL | MSG_DONTWAIT);
    default:
        return send(me->end.fd, pattern_bytes() + offset, len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static wr_io ship(machine *m, machine_end *me, size_t quantum)
{
    while (me->out_left) {
        size_t len = piece_of(me, quantum);
        ssize_t n;

        if (quantum == 0) {
            return WR_IO_QUANTUM;
        }
        clear_ready(&me->end, WR_WRITE);
        n = send_once(me, len);
        if (n < 0 && errno != EAGAIN) {
            break_end(m);
            return WR_IO_ERROR;
        }
        if (n > 0) {
            count_output(m, me, (size_t)n);
            quantum -= (size_t)n < quantum ? (size_t)n : quantum;
        }
        if (n < (ssize_t)len) {
            return WR_IO_AGAIN;
        }
        set_ready(&me->end, WR_WRITE);
    }
    return WR_IO_DONE;
}

wr_io wr_end_ship(wr_end *e, wr_thread *self, size_t quantum)
{
    machine *m = machine_enter(e->conn, self, "wr_end_ship");
    wr_io io = ship(m, (machine_end *)e, quantum);

    machine_leave(m);
    return io;
}

void wr_conn_io(wr_conn *c, wr_thread *self, size_t quantum)
{
    machine *m = machine_enter(c, self, "wr_conn_io");

    PROMISE(m->last_want == WR_WANT_IO,
            "wr_conn_io: connection #%d does not want it", m->number);
    PROMISE(quantum > 0 && quantum <= the_child->quantum,
            "wr_conn_io: a quantum of %zu", quantum);
    for (wr_end *e = c->ends; e; e = e->next) {
        machine_end *me = (machine_end *)e;
        unsigned ready = e->want & atomic_load(&e->ready);

        m->progressed = m->progressed || ready;
        if (ready & WR_READ) {
            fill(m, me, quantum);
        }
        if ((ready & WR_WRITE) && ship(m, me, quantum) == WR_IO_QUANTUM) {
            m->quantum_used = true;
        }
    }
    machine_leave(m);
}
