/*
 * ring_span.c - see ring_span.h.
 */
#include "ring_span.h"

#include "wr_conn.h"

#include "queue.h"
#include "ring_pipe.h"

#include <errno.h>

#define BOUNCE_SIZE ((size_t)64 * 1024)
#define BOUNCES     64
/* A worker of the kernel's for each, or what is in memory would wait for the
 * disk behind what is not. */
#define PIPES 16
/* A test sets another one.  Of less, a copy costs less than the kernel's worker
 * that a splice needs. */
#ifndef SPLICE_MIN
#    define SPLICE_MIN ((size_t)64 * 1024)
#endif

/* ERESTARTSYS: a splice that a signal, as of a debugger, has interrupted says
 * so in the kernel's own word, which programs have no name for. */
#define INTERRUPTED 512

/** How far a span is. */
typedef enum stage {
    STAGE_ROOM, /* a file's: until the socket takes something */
    STAGE_READ, /* a file's: from disk into a bounce */
    STAGE_SEND,
    STAGE_FILL, /* a large piece of a file: its pages into a pipe */
    STAGE_DRAIN /* ... and on into the socket */
} stage;

/** A span on its way. */
typedef struct transfer {
    wr_task task; /* among the free ones, or those that wait for a bounce */
    wr_end *end;
    wr_span span;
    struct msghdr message;
    char *bounce;   /* a file's bytes between disk and socket */
    wr__pipe *pipe; /* its pages, likewise */
    bool is_copied; /* it takes bounces, whatever its length */
    stage stage;
    size_t len; /* of what is being sent */
} transfer;

struct wr__spans {
    wr__ring *ring;
    unsigned kind;
    apr_pool_t *pool;
    wr__fifo transfers; /* free ones */
    wr__fifo waiting;   /* for a bounce */
    char **bounces;     /* free ones */
    int bounce_count;
    wr__pipes *pipes;
};

wr__spans *wr__spans_create(wr__ring *ring, unsigned kind, apr_pool_t *pool)
{
    int workers = wr__ring_workers(ring);
    wr__spans *s = apr_pcalloc(pool, sizeof(*s));
    char *space = apr_palloc(pool, BOUNCES * BOUNCE_SIZE);

    s->ring = ring;
    s->kind = kind;
    s->pool = pool;
    s->pipes = wr__pipes_create(workers < PIPES ? workers : PIPES, pool);
    s->bounces = apr_palloc(pool, BOUNCES * sizeof(*s->bounces));
    while (s->bounce_count < BOUNCES) {
        s->bounces[s->bounce_count++] = space;
        space += BOUNCE_SIZE;
    }
    return s;
}

static wr__ring_name name_of(const wr__spans *s, transfer *t)
{
    return (wr__ring_name){.kind = s->kind, .object = t};
}

/**
 * From memory all is sent however long it takes: it is the connection's own.
 * From a bounce only what the socket takes at once, since slow clients must
 * not keep bounces from others; the rest is read again when there is room.
 */
static void start_send(wr__spans *s, transfer *t)
{
    bool is_held_back = t->span.more || t->span.last || t->len < t->span.len;
    int flags = t->bounce ? MSG_DONTWAIT : MSG_WAITALL;

    t->stage = STAGE_SEND;
    t->message.msg_iov = t->span.iov;
    t->message.msg_iovlen = (size_t)t->span.iov_count;
    wr__ring_send(s->ring, t->end->fd, &t->message,
                  flags | (is_held_back ? MSG_MORE : 0), name_of(s, t));
}

/** Bring a piece of a file into a bounce, when one is free. */
static void start_read(wr__spans *s, transfer *t)
{
    size_t len = t->span.len < BOUNCE_SIZE ? t->span.len : BOUNCE_SIZE;

    t->stage = STAGE_READ;
    if (s->bounce_count == 0) {
        wr__fifo_put(&s->waiting, &t->task);
        return;
    }
    t->bounce = s->bounces[--s->bounce_count];
    wr__ring_read(s->ring, t->span.fd, t->bounce, len, t->span.offset,
                  name_of(s, t));
}

/** Put a large piece's pages into a pipe, if there is one. */
static bool start_fill(wr__spans *s, transfer *t)
{
    if (t->span.len < SPLICE_MIN || t->is_copied) {
        return false;
    }
    t->pipe = wr__pipes_take(s->pipes);
    if (!t->pipe) {
        return false;
    }
    t->stage = STAGE_FILL;
    wr__ring_splice(s->ring, t->span.fd, t->span.offset, t->pipe->in,
                    t->span.len, false, name_of(s, t));
    return true;
}

static void start_drain(wr__spans *s, transfer *t, size_t len)
{
    t->stage = STAGE_DRAIN;
    t->len = len;
    wr__ring_splice(s->ring, t->pipe->out, -1, t->end->fd, len,
                    t->span.more || len < t->span.len, name_of(s, t));
}

static void release_pipe(wr__spans *s, transfer *t, bool is_empty)
{
    wr__pipes_give(s->pipes, t->pipe, is_empty);
    t->pipe = NULL;
}

/** A span whose turn it is: a file's waits for room first. */
static void start(wr__spans *s, transfer *t)
{
    unsigned ready = atomic_load_explicit(&t->end->ready, memory_order_relaxed);

    if (t->span.kind == WR_SPAN_MEMORY) {
        t->len = t->span.len;
        start_send(s, t);
    }
    else if (!(ready & WR_WRITE)) {
        t->stage = STAGE_ROOM;
        t->is_copied = true;
        wr__ring_await_room(s->ring, t->end->fd, name_of(s, t));
    }
    else if (!start_fill(s, t)) {
        start_read(s, t);
    }
}

bool wr__span_start(wr__spans *s, wr_end *e, wr_thread *self, size_t quantum)
{
    transfer *t = (transfer *)wr__fifo_take(&s->transfers);
    wr_io io;

    if (!t) {
        t = apr_pcalloc(s->pool, sizeof(*t));
    }
    io = wr_end_peek(e, self, quantum, &t->span);
    if (io != WR_IO_DONE) {
        wr__fifo_put(&s->transfers, &t->task);
        return io == WR_IO_EMPTY;
    }
    t->end = e;
    t->is_copied = false;
    e->in_flight |= WR_WRITE;
    start(s, t);
    return true;
}

static void release_bounce(wr__spans *s, transfer *t)
{
    if (t->bounce) {
        s->bounces[s->bounce_count++] = t->bounce;
        t->bounce = NULL;
        if (s->waiting.first) {
            start_read(s, (transfer *)wr__fifo_take(&s->waiting));
        }
    }
}

/** What was read is in the bounce: send it. */
static void send_bounce(wr__spans *s, transfer *t, size_t len)
{
    t->len = len;
    t->span.iov[0] = (struct iovec){.iov_base = t->bounce, .iov_len = len};
    t->span.iov_count = 1;
    start_send(s, t);
}

/** The socket took not all: there is no room. */
static void set_full(wr_end *e)
{
    atomic_fetch_and_explicit(&e->ready, (uint8_t)~WR_WRITE,
                              memory_order_relaxed);
}

static bool is_passing(int result)
{
    return result == -EAGAIN || result == -EINTR || result == -INTERRUPTED;
}

/** @return true if the span is through: so much of it went, or -errno. */
static bool move_on(wr__spans *s, transfer *t, int result)
{
    wr_end *e = t->end;

    switch (t->stage) {
    case STAGE_ROOM:
        atomic_fetch_or_explicit(&e->ready, WR_WRITE, memory_order_relaxed);
        break; /* an error is met by the send */
    case STAGE_READ:
        if (result > 0) {
            send_bounce(s, t, (size_t)result);
            return false;
        }
        if (!is_passing(result)) {
            return true;
        }
        break;
    case STAGE_SEND:
        if (t->bounce && result < (int)t->len) {
            set_full(e);
        }
        if (result == -EFAULT && wr_span_cut(&t->span)) {
            break;
        }
        if (!is_passing(result)) {
            return true;
        }
        break;
    case STAGE_FILL:
        if (result > 0) {
            start_drain(s, t, (size_t)result);
            return false;
        }
        /* The end of the file; or it can't be spliced: reading tells more. */
        release_pipe(s, t, result == 0);
        if (result == 0) {
            return true;
        }
        t->is_copied = true;
        break;
    case STAGE_DRAIN:
        release_pipe(s, t, result == (int)t->len);
        if (result < (int)t->len) {
            set_full(e);
        }
        if (!is_passing(result)) {
            return true;
        }
        break;
    }
    release_bounce(s, t);
    start(s, t);
    return false;
}

wr_end *wr__span_complete(wr__spans *s, const wr__ring_event *event,
                          wr_thread *self)
{
    transfer *t = event->name.object;
    wr_end *e = t->end;
    int result = event->result;

    if (!move_on(s, t, result)) {
        return NULL;
    }
    e->in_flight &= (uint8_t)~WR_WRITE;
    release_bounce(s, t);
    wr__fifo_put(&s->transfers, &t->task);
    if (result > 0) {
        wr_end_advance(e, self, (size_t)result);
    }
    else {
        /* No error and no bytes: the file is shorter than it was. */
        wr_end_eof(e, self, result < 0 ? -result : ENODATA);
    }
    return e;
}
