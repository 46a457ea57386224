/*
 * ring.c - see ring.h.
 */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 4096
#define LONGEST   (3600 * WR_SEC) /* of a wait; WR_NEVER would overflow */
#define NOBODY    0               /* the name of what nobody waits for */
#define KIND_BITS 3
#define KIND_MASK 7u

struct wr__ring {
    struct io_uring uring;
    struct open_how *hows; /* one for each entry: used until it is submitted */
    struct io_uring_buf_ring *buffers;
    char *space; /* of the buffers */
    unsigned buffer_count, buffer_size;
    char *scratch; /* for bytes that nobody looks at */
    int workers;
};

/* Set-up. */

static apr_status_t close_ring(void *data)
{
    wr__ring *r = data;

    io_uring_queue_exit(&r->uring);
    return APR_SUCCESS;
}

/** Completions are handled where this thread waits, and nowhere else, if the
 *  kernel can do that (6.1). */
static int init_uring(struct io_uring *uring, int entries)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP
                 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = (unsigned)entries * 4};
    int rv = io_uring_queue_init_params((unsigned)entries, uring, &params);

    if (rv == -EINVAL) {
        params = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE
                                                   | IORING_SETUP_CLAMP,
                                          .cq_entries = (unsigned)entries * 4};
        rv = io_uring_queue_init_params((unsigned)entries, uring, &params);
    }
    return rv;
}

static void add_buffer(wr__ring *r, unsigned id, int ahead)
{
    io_uring_buf_ring_add(r->buffers, r->space + (size_t)id * r->buffer_size,
                          r->buffer_size, (unsigned short)id,
                          io_uring_buf_ring_mask(r->buffer_count), ahead);
}

static int init_buffers(wr__ring *r, const wr__ring_options *o,
                        apr_pool_t *pool)
{
    size_t size = (size_t)o->buffers * sizeof(struct io_uring_buf);
    char *memory = apr_palloc(pool, size + PAGE_SIZE);
    uintptr_t past = (uintptr_t)memory % PAGE_SIZE;
    struct io_uring_buf_reg reg = {.ring_entries = (unsigned)o->buffers};
    int rv;

    r->buffer_count = (unsigned)o->buffers;
    r->buffer_size = (unsigned)o->buffer_size;
    r->space = apr_palloc(pool, (size_t)o->buffers * r->buffer_size);
    r->buffers = (void *)(memory + (past ? PAGE_SIZE - past : 0));
    reg.ring_addr = (uintptr_t)r->buffers;
    rv = io_uring_register_buf_ring(&r->uring, &reg, 0);
    if (rv < 0) {
        return rv;
    }
    io_uring_buf_ring_init(r->buffers);
    for (int i = 0; i < o->buffers; i++) {
        add_buffer(r, (unsigned)i, i);
    }
    io_uring_buf_ring_advance(r->buffers, o->buffers);
    return 0;
}

apr_status_t wr__ring_create(wr__ring **ring, const char **failed,
                             const wr__ring_options *options, apr_pool_t *pool)
{
    wr__ring *r = apr_pcalloc(pool, sizeof(*r));
    /* Both kinds: of files, and of what can sleep for ever. */
    unsigned workers[2] = {(unsigned)options->io_workers,
                           (unsigned)options->io_workers};
    int rv = init_uring(&r->uring, options->entries);

    if (rv < 0) {
        *failed = "no io_uring (an old kernel, a seccomp filter, or the sysctl "
                  "kernel.io_uring_disabled)";
        return -rv;
    }
    apr_pool_cleanup_register(pool, r, close_ring, apr_pool_cleanup_null);
    rv = init_buffers(r, options, pool);
    if (rv < 0) {
        *failed = "io_uring without rings of buffers (Linux 5.19)";
        return -rv;
    }
    rv = io_uring_register_iowq_max_workers(&r->uring, workers);
    if (rv < 0) {
        *failed = "io_uring can't be told how many workers to start";
        return -rv;
    }
    r->hows = apr_pcalloc(pool, r->uring.sq.ring_entries * sizeof(*r->hows));
    r->scratch = apr_palloc(pool, WR__RING_SCRATCH);
    r->workers = options->io_workers;
    *ring = r;
    return APR_SUCCESS;
}

int wr__ring_workers(const wr__ring *r)
{
    return r->workers;
}

/* Asking. */

/** These go by: the same call again does it. */
static bool is_passing(int rv)
{
    return rv == -EINTR || rv == -EAGAIN || rv == -EBUSY || rv == -ETIME;
}

static uint64_t name_value(wr__ring_name name)
{
    if (name.object) {
        return (uintptr_t)name.object | name.kind;
    }
    return (uint64_t)name.number << KIND_BITS | name.kind;
}

static struct io_uring_sqe *get_entry(wr__ring *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

    while (!sqe) {
        int rv = io_uring_submit(&r->uring); /* full: make room */

        if (rv < 0 && !is_passing(rv)) {
            abort(); /* nothing that was asked for would ever complete */
        }
        sqe = io_uring_get_sqe(&r->uring);
    }
    return sqe;
}

static void set_name(struct io_uring_sqe *sqe, wr__ring_name name)
{
    io_uring_sqe_set_data64(sqe, name_value(name));
}

void wr__ring_accept(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    set_name(sqe, name);
}

void wr__ring_accept_one(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    set_name(sqe, name);
}

void wr__ring_await_input(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_poll_add(sqe, fd, POLLIN);
    set_name(sqe, name);
}

void wr__ring_watch(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    set_name(sqe, name);
}

void wr__ring_cancel(wr__ring *r, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_cancel64(sqe, name_value(name), 0);
    io_uring_sqe_set_data64(sqe, NOBODY);
}

void wr__ring_cancel_fd(wr__ring *r, int fd)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, NOBODY);
}

void wr__ring_receive(wr__ring *r, int fd, bool is_expected, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    if (!is_expected) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    set_name(sqe, name);
}

void wr__ring_receive_pipe(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_read(sqe, fd, NULL, r->buffer_size, (uint64_t)-1);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    set_name(sqe, name);
}

void wr__ring_give_back(wr__ring *r, const wr__ring_event *event)
{
    add_buffer(r, event->buffer, 0);
    io_uring_buf_ring_advance(r->buffers, 1);
}

void wr__ring_await_room(wr__ring *r, int fd, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_poll_add(sqe, fd, POLLOUT);
    set_name(sqe, name);
}

void wr__ring_send(wr__ring *r, int fd, const struct msghdr *message, int flags,
                   wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_sendmsg(sqe, fd, message, (unsigned)flags | MSG_NOSIGNAL);
    set_name(sqe, name);
}

void wr__ring_read(wr__ring *r, int fd, void *buf, size_t len, int64_t offset,
                   wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    if (!buf) {
        buf = r->scratch;
        len = len < WR__RING_SCRATCH ? len : WR__RING_SCRATCH;
    }
    io_uring_prep_read(sqe, fd, buf, (unsigned)len, (uint64_t)offset);
    set_name(sqe, name);
}

void wr__ring_splice(wr__ring *r, int from, int64_t offset, int to, size_t len,
                     bool is_followed, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);

    io_uring_prep_splice(sqe, from, offset, to, -1, (unsigned)len,
                         is_followed ? SPLICE_F_MORE : 0);
    set_name(sqe, name);
}

void wr__ring_open(wr__ring *r, int dir, const char *path, uint64_t flags,
                   uint64_t resolve, wr__ring_name name)
{
    struct io_uring_sqe *sqe = get_entry(r);
    struct open_how *how = &r->hows[sqe - r->uring.sq.sqes];

    memset(how, 0, sizeof(*how));
    how->flags = flags;
    how->resolve = resolve;
    io_uring_prep_openat2(sqe, dir, path, how);
    set_name(sqe, name);
}

/* Completions. */

apr_status_t wr__ring_wait(wr__ring *r, int64_t timeout)
{
    struct io_uring_cqe *cqe;
    int rv;

    if (timeout <= 0) {
        rv = io_uring_submit_and_get_events(&r->uring);
    }
    else {
        int64_t ns = timeout < LONGEST ? timeout : LONGEST;
        struct __kernel_timespec ts = {.tv_sec = ns / WR_SEC,
                                       .tv_nsec = ns % WR_SEC};

        rv = io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, &ts, NULL);
    }
    return rv < 0 && !is_passing(rv) ? -rv : APR_SUCCESS;
}

/** @return false for what nobody waits for. */
static bool translate(wr__ring *r, const struct io_uring_cqe *cqe,
                      wr__ring_event *event)
{
    event->name.kind = (unsigned)cqe->user_data & KIND_MASK;
    event->name.object =
        (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)KIND_MASK);
    event->name.number = (unsigned)(cqe->user_data >> KIND_BITS);
    event->result = cqe->res;
    event->is_last = !(cqe->flags & IORING_CQE_F_MORE);
    event->has_input = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
    event->data = NULL;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        event->buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        event->data = r->space + (size_t)event->buffer * r->buffer_size;
    }
    return cqe->user_data != NOBODY;
}

bool wr__ring_next(wr__ring *r, wr__ring_event *event)
{
    struct io_uring_cqe *cqe;

    while (io_uring_cq_ready(&r->uring)
           && io_uring_peek_cqe(&r->uring, &cqe) == 0) {
        bool is_wanted = translate(r, cqe, event);

        io_uring_cqe_seen(&r->uring, cqe);
        if (is_wanted) {
            return true;
        }
    }
    return false;
}
