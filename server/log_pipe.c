/*
 * log_pipe.c - whole lines to a pipe that many processes write to.
 *
 * Any thread of any process.  The kernel takes up to PIPE_BUF bytes as a whole
 * or not at all, so lines go in pieces of no more.  A line that is longer may
 * go in part: the rest is kept in shared memory and goes before all else,
 * whoever writes next.  Who writes holds the pipe's word meanwhile, so that
 * nobody comes between the two; as nothing here waits, it is held shortly, and
 * who does not get it tries again later.
 *
 * A writer that is killed between the two has its line repeated behind the
 * part: the price of losing none.
 */
#include "log_pipe.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static bool hold(struct wr__log_pipe *pipe)
{
    pid_t nobody = 0;

    return atomic_compare_exchange_strong_explicit(
        &pipe->writer, &nobody, getpid(), memory_order_acquire,
        memory_order_relaxed);
}

static void let_go(struct wr__log_pipe *pipe)
{
    atomic_store_explicit(&pipe->writer, 0, memory_order_release);
}

/** Bytes that went; none: see errno. */
static size_t write_some(int fd, const char *text, size_t len)
{
    ssize_t n;

    do {
        n = write(fd, text, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        errno = EBUSY;
    }
    return n > 0 ? (size_t)n : 0;
}

static bool write_rest(struct wr__log_pipe *pipe, int fd)
{
    size_t at = pipe->rest_at, len = pipe->rest_len;

    if (at > sizeof(pipe->rest) || len > sizeof(pipe->rest) - at) {
        len = 0; /* nobody who is sound wrote that */
    }
    while (len > 0) {
        size_t n = write_some(fd, pipe->rest + at, len);

        if (n == 0) {
            break;
        }
        at += n;
        len -= n;
    }
    pipe->rest_at = at;
    pipe->rest_len = len;
    return len == 0;
}

/** As many lines as go as a whole; or one that is too long for that. */
static size_t next_piece(const char *text, size_t len)
{
    const char *feed;

    if (len <= PIPE_BUF) {
        return len;
    }
    feed = memrchr(text, '\n', PIPE_BUF);
    if (!feed) {
        feed = memchr(text, '\n', len);
    }
    return feed ? (size_t)(feed + 1 - text) : len;
}

static void keep_rest(struct wr__log_pipe *pipe, const char *text, size_t len)
{
    if (len > sizeof(pipe->rest)) {
        len = sizeof(pipe->rest); /* no line is that long */
    }
    memcpy(pipe->rest, text, len);
    pipe->rest_at = 0;
    pipe->rest_len = len;
}

static size_t write_lines(struct wr__log_pipe *pipe, int fd, const char *text,
                          size_t len)
{
    size_t done = 0;

    while (done < len && write_rest(pipe, fd)) {
        size_t piece = next_piece(text + done, len - done);
        size_t n = write_some(fd, text + done, piece);

        if (n == 0) {
            break;
        }
        if (n < piece) {
            keep_rest(pipe, text + done + n, piece - n);
        }
        done += piece;
    }
    return done;
}

size_t wr__log_pipe_append(struct wr__log_pipe *pipe, int fd, const char *text,
                           size_t len)
{
    size_t done;

    if (!hold(pipe)) {
        errno = EBUSY;
        return 0;
    }
    done = write_lines(pipe, fd, text, len);
    let_go(pipe);
    return done;
}

apr_status_t wr__log_pipe_settle(struct wr__log_pipe *pipe, int fd)
{
    apr_status_t rv;

    if (!hold(pipe)) {
        return APR_EBUSY;
    }
    rv = write_rest(pipe, fd) ? APR_SUCCESS
         : errno == EBUSY     ? APR_EBUSY
                              : errno;
    let_go(pipe);
    return rv;
}

void wr__log_pipe_reap(struct wr__log_pipe *pipe, pid_t pid)
{
    atomic_compare_exchange_strong(&pipe->writer, &pid, 0);
}
