/*
 * log_ring.c - logs, and the rings in shared memory by which many threads
 * append lines to them.
 *
 * The segment is made by the generation before it forks.  A slot belongs to
 * one thread of a child, and has one ring for each log:
 *
 *     slot 0    ring of log 0   ring of log 1   ...
 *     slot 1    ring of log 0   ring of log 1   ...
 *
 * The thread formats a line straight into its ring and shows it by one store
 * to head.  No lock, no system call, and the line outlives the process.  Lines
 * are written out (tail follows head) by whoever holds the ring's flusher
 * word: the thread itself once the ring is half full, the generation once a
 * second and after a child's death.
 *
 * Positions only grow.  A lap of the ring is RING_SIZE of them; the byte at a
 * position lies at its rest.  A lap ends as soon as less than a longest line is
 * left of it, so that every line lies in one piece; where the lines of a lap
 * end stands in lap_end.
 *
 * While a log takes no lines (a full disk, a program that does not read), the
 * rings keep what they can; then a line waits a little, WAIT_TURNS times
 * WAIT_NS, for a flusher that is at work or a program that is behind, and after
 * that, for a second, lines are lost without waiting, counted, and told of in
 * the error log once a minute.  A child
 * that is killed between writing lines and moving the tail has them written
 * twice: the price of losing none.
 *
 * The error log does not go through rings: see log_error.c.
 */
#include "log_ring.h"

#include "log_pipe.h"
#include "log_program.h"
#include "log_syslog.h"
#include "thread.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING_SIZE UINT64_C(65536)
#define RING_MASK (RING_SIZE - 1)
#define RING_HALF (RING_SIZE / 2)
#define LINE_SIZE 64 /* of the processor's cache */

/** How often, and how long each time, a line waits for a busy flusher or a full
 *  pipe. */
#define WAIT_TURNS 50
#define WAIT_NS    1000000

/** Trouble with a log is told this often. */
#define REPORT_SECONDS 60

/** What goes wrong with a log's file; of all processes. */
struct trouble {
    _Atomic int error;          /* of the last write; 0: it went well */
    _Atomic int is_torn;        /* the file ends within a line */
    _Atomic int64_t reported;   /* when, in seconds since 1970 */
    _Atomic uint64_t lost;      /* lines */
    _Atomic uint64_t lost_told; /* of them, when last reported */
    _Atomic int64_t retry_ns;   /* a line waited in vain: none does before */
    struct wr__log_pipe pipe;   /* if it is one */
};

struct wr_log {
    wr_log *next;
    const char *target;
    int fd;
    unsigned index; /* of its ring in a slot */
    wr__log_kind kind;
    wr__syslog syslog; /* if it is that */
    struct trouble *trouble;
    struct trouble own_trouble; /* until there is a segment */
};

struct ring {
    /* the slot's thread's */
    _Alignas(LINE_SIZE) _Atomic uint64_t head;
    _Atomic uint32_t lap_end[2]; /* of the odd and the even lap */
    bool is_dropping;            /* the line now being made goes nowhere */
    int64_t retry_ns;            /* a write failed: none by the thread before */
    /* the flusher's */
    _Alignas(LINE_SIZE) _Atomic uint64_t tail;
    _Atomic pid_t flusher; /* process that holds the ring's other end; or 0 */
};

struct wr__log_slot {
    _Alignas(LINE_SIZE) _Atomic pid_t pid; /* 0: free */
    unsigned number;
    struct ring rings[]; /* by wr_log.index */
};

/** The segment's start; troubles, slots and the rings' bytes follow. */
struct shared {
    _Atomic unsigned used; /* slots from here on were never claimed */
};

/** Where everything is in the segment, as each process knows it for itself: a
 *  child may have written anything into the segment, and is not trusted. */
struct segment {
    size_t size;
    size_t slot_size;
    unsigned slots, logs;
    struct shared *shared; /* mapped at the same place in all children */
    struct trouble *troubles;
    char *slot_area;
    char *bytes;
};

static wr_log *all_logs;
static struct segment *segment;
/** For lines that go to no ring. */
static _Thread_local char scratch[WR_LOG_LINE_MAX];

/* Files. */

wr__log_kind wr__log_kind_of_target(const char *target)
{
    if (wr__log_program_is(target)) {
        return WR__LOG_PROGRAM;
    }
    if (wr__syslog_is(target)) {
        return WR__LOG_SYSLOG;
    }
    return strcmp(target, "stderr") == 0 ? WR__LOG_STDERR : WR__LOG_FILE;
}

static apr_status_t open_file(int *fd, const char *path)
{
    int opened =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

    if (opened < 0) {
        return errno;
    }
    *fd = opened;
    return APR_SUCCESS;
}

static apr_status_t open_stderr(int *fd)
{
    int opened = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    if (opened < 0) {
        return errno;
    }
    *fd = opened;
    return APR_SUCCESS;
}

static apr_status_t open_target(wr_log *log, apr_pool_t *pool)
{
    switch (log->kind) {
    case WR__LOG_PROGRAM:
        return wr__log_program_open(&log->fd, log->target, pool);
    case WR__LOG_SYSLOG:
        return wr__syslog_open(&log->syslog, &log->fd, log->target, pool);
    case WR__LOG_STDERR:
        return open_stderr(&log->fd);
    case WR__LOG_FILE:
        break;
    }
    return open_file(&log->fd, log->target);
}

static apr_status_t forget_log(void *data)
{
    wr_log *log = data;
    wr_log **at = &all_logs;

    while (*at != log) {
        at = &(*at)->next;
    }
    *at = log->next;
    close(log->fd);
    return APR_SUCCESS;
}

apr_status_t wr_log_open(wr_log **log, const char *target, apr_pool_t *pool)
{
    wr_log **at = &all_logs;
    unsigned index = 0;
    wr_log *made;
    apr_status_t rv;

    for (; *at; at = &(*at)->next) {
        if (strcmp((*at)->target, target) == 0) {
            *log = *at;
            return APR_SUCCESS;
        }
        index = (*at)->index + 1;
    }
    made = apr_pcalloc(pool, sizeof(*made));
    made->target = apr_pstrdup(pool, target);
    made->kind = wr__log_kind_of_target(target);
    made->index = index;
    made->trouble = &made->own_trouble;
    rv = open_target(made, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *at = made;
    *log = made;
    apr_pool_cleanup_register(pool, made, forget_log, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

int wr__log_fd(const wr_log *log)
{
    return log->fd;
}

wr__log_kind wr__log_kind_of(const wr_log *log)
{
    return log->kind;
}

const wr__syslog *wr__log_syslog(const wr_log *log)
{
    return &log->syslog;
}

static apr_status_t reopen_file(const wr_log *log)
{
    int fd = -1;
    apr_status_t rv = open_file(&fd, log->target);

    if (rv == APR_SUCCESS) {
        /* the number stays: a write that is under way ends in one of the two
         * files, whole */
        dup3(fd, log->fd, O_CLOEXEC);
        close(fd);
    }
    return rv;
}

apr_status_t wr__log_reopen(void)
{
    apr_status_t result = APR_SUCCESS;

    wr__log_flush();
    for (wr_log *log = all_logs; log; log = log->next) {
        if (log->kind == WR__LOG_FILE) {
            apr_status_t rv = reopen_file(log);

            result = rv != APR_SUCCESS ? rv : result;
        }
    }
    return result;
}

void wr__log_close_programs(bool with_stderr)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (with_stderr) {
        dup2(fd, STDERR_FILENO);
    }
    for (wr_log *log = all_logs; log; log = log->next) {
        if (log->kind == WR__LOG_PROGRAM) {
            dup3(fd, log->fd, O_CLOEXEC);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

/** Tell the error log, at most once a minute, of failures and lost lines. */
static void report_trouble(wr_log *log)
{
    struct trouble *trouble = log->trouble;
    uint64_t lost = atomic_load(&trouble->lost);
    int error = atomic_load(&trouble->error);
    int64_t now, last;

    if (error == 0 && lost == atomic_load(&trouble->lost_told)) {
        return;
    }
    now = apr_time_sec(apr_time_now());
    last = atomic_load(&trouble->reported);
    if (now - last < REPORT_SECONDS
        || !atomic_compare_exchange_strong(&trouble->reported, &last, now)) {
        return;
    }
    atomic_store(&trouble->lost_told, lost);
    wr_log_error(NULL, WR_LOG_ERROR, error,
                 "log %s takes no lines; lost so far: %llu", log->target,
                 (unsigned long long)lost);
}

/** Append whole lines to a program's pipe; as append_lines(). */
static size_t append_to_pipe(wr_log *log, const char *text, size_t len)
{
    struct trouble *trouble = log->trouble;
    size_t done = wr__log_pipe_append(&trouble->pipe, log->fd, text, len);

    if (done == len) {
        if (atomic_load_explicit(&trouble->error, memory_order_relaxed)) {
            atomic_store(&trouble->error, 0);
        }
    }
    else if (errno != EBUSY) {
        int error = errno;

        atomic_store(&trouble->error, error);
        errno = error;
    }
    return done;
}

/**
 * Append whole lines to the file.
 *
 * If it takes only a part, what went is cut back to a line's end, and the next
 * line, whoever writes it, is set off from the torn one by a line feed.
 *
 * @return bytes of whole lines that went; less than @a len: see errno.
 */
static size_t append_lines(wr_log *log, const char *text, size_t len)
{
    struct trouble *trouble = log->trouble;
    size_t done = 0;
    const char *feed;
    ssize_t n = 1;

    if (atomic_load_explicit(&trouble->is_torn, memory_order_relaxed)
        && atomic_exchange(&trouble->is_torn, 0)) {
        n = write(log->fd, "\n", 1);
        if (n < 1) {
            atomic_store(&trouble->is_torn, 1);
        }
    }
    while (n > 0 && done < len) {
        n = write(log->fd, text + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        }
        else if (n < 0 && errno == EINTR) {
            n = 1;
        }
    }
    if (done == len) {
        if (atomic_load_explicit(&trouble->error, memory_order_relaxed)) {
            atomic_store(&trouble->error, 0);
        }
        return done;
    }
    if (n == 0) {
        errno = ENOSPC;
    }
    atomic_store(&trouble->error, errno);
    feed = memrchr(text, '\n', done);
    if (done > 0 && feed != text + done - 1) {
        atomic_store(&trouble->is_torn, 1);
    }
    return feed ? (size_t)(feed + 1 - text) : 0;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

/** A line to a pipe that may be full: wait, in bounds, but not after another
 *  one has just waited in vain. */
static bool append_patiently(wr_log *log, const char *line, size_t len)
{
    const struct timespec turn = {.tv_nsec = WAIT_NS};
    _Atomic int64_t *retry = &log->trouble->retry_ns;

    for (int i = 0; i <= WAIT_TURNS; i++) {
        if (append_to_pipe(log, line, len) == len) {
            return true;
        }
        if (errno != EBUSY || monotonic_ns() < atomic_load(retry)) {
            return false;
        }
        nanosleep(&turn, NULL);
    }
    atomic_store(retry, monotonic_ns() + WR_SEC);
    return false;
}

bool wr__log_append_line(wr_log *log, const char *line, size_t len)
{
    bool went = log->kind == WR__LOG_PROGRAM
                    ? append_patiently(log, line, len)
                    : append_lines(log, line, len) == len;

    if (!went) {
        atomic_fetch_add(&log->trouble->lost, 1);
    }
    return went;
}

static void append_directly(wr_log *log, const char *line, size_t len)
{
    if (!wr__log_append_line(log, line, len)) {
        report_trouble(log);
    }
}

/* Rings. */

static wr__log_slot *slot_at(unsigned number)
{
    return (wr__log_slot *)(void *)(segment->slot_area
                                    + segment->slot_size * number);
}

static unsigned slots_used(void)
{
    unsigned used = segment ? atomic_load(&segment->shared->used) : 0;

    return segment && used > segment->slots ? segment->slots : used;
}

/** Of the slot, not what stands in it. */
static unsigned number_of(const wr__log_slot *slot)
{
    return (unsigned)((size_t)((const char *)slot - segment->slot_area)
                      / segment->slot_size);
}

static char *ring_bytes(unsigned slot, const wr_log *log)
{
    size_t number = (size_t)slot * segment->logs + log->index;

    return segment->bytes + number * RING_SIZE;
}

/** The calling thread's ring of a log; NULL: it has none. */
static struct ring *ring_of(const wr_log *log, const wr_thread *self)
{
    if (!self || !self->core->log_slot || !segment
        || log->index >= segment->logs) {
        return NULL;
    }
    return &self->core->log_slot->rings[log->index];
}

/** Is there space for a longest line?  Asked by the ring's thread. */
static bool has_room(const struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return head - tail <= RING_SIZE - WR_LOG_LINE_MAX;
}

/** Where the lines end in the lap that tail is in. */
static uint64_t end_of_lines(const struct ring *ring, uint64_t head,
                             uint64_t tail)
{
    uint64_t from = tail & RING_MASK;
    uint64_t to;

    if (tail / RING_SIZE == head / RING_SIZE) {
        return head & RING_MASK;
    }
    to = ring->lap_end[tail / RING_SIZE & 1];
    return to < from || to > RING_SIZE ? from : to;
}

static apr_status_t write_out(wr_log *log, wr__log_slot *slot)
{
    struct ring *ring = &slot->rings[log->index];
    const char *bytes = ring_bytes(number_of(slot), log);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (head - tail > RING_SIZE + WR_LOG_LINE_MAX) {
        tail = head; /* nobody who is sound wrote that */
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    while (tail != head) {
        bool is_last_lap = tail / RING_SIZE == head / RING_SIZE;
        uint64_t from = tail & RING_MASK;
        uint64_t to = end_of_lines(ring, head, tail);
        const char *text = bytes + from;
        size_t went = log->kind == WR__LOG_PROGRAM
                          ? append_to_pipe(log, text, (size_t)(to - from))
                          : append_lines(log, text, (size_t)(to - from));

        if (went < to - from) {
            apr_status_t rv = errno == EBUSY ? APR_EBUSY : errno;
            atomic_store_explicit(&ring->tail, tail + went,
                                  memory_order_release);
            return rv;
        }
        tail = is_last_lap ? head : (tail | RING_MASK) + 1;
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return APR_SUCCESS;
}

/**
 * Write a ring's lines out, unless another process or thread is just doing so.
 *
 * @param pid the calling process.
 * @return APR_EBUSY when another is at it or a program is behind; what failed;
 *         APR_SUCCESS.
 */
static apr_status_t flush_ring(wr_log *log, wr__log_slot *slot, pid_t pid)
{
    struct ring *ring = &slot->rings[log->index];
    pid_t nobody = 0;
    apr_status_t rv;

    if (!atomic_compare_exchange_strong_explicit(&ring->flusher, &nobody, pid,
                                                 memory_order_acquire,
                                                 memory_order_relaxed)) {
        return APR_EBUSY;
    }
    rv = write_out(log, slot);
    atomic_store_explicit(&ring->flusher, 0, memory_order_release);
    return rv;
}

/** Flush the calling thread's own ring, but not where it just failed. */
static apr_status_t flush_own(wr_log *log, wr_thread *self)
{
    wr__log_slot *slot = self->core->log_slot;
    struct ring *ring = &slot->rings[log->index];
    apr_status_t rv;

    if (self->now_ns < ring->retry_ns) {
        return APR_EAGAIN;
    }
    rv = flush_ring(log, slot,
                    atomic_load_explicit(&slot->pid, memory_order_relaxed));
    if (rv != APR_SUCCESS && rv != APR_EBUSY) {
        ring->retry_ns = self->now_ns + WR_SEC;
        report_trouble(log);
    }
    return rv;
}

/** Wait for a flusher that is at work or a program that is behind, in bounds;
 *  not where writing fails. */
static bool make_room(wr_log *log, wr_thread *self, struct ring *ring)
{
    const struct timespec turn = {.tv_nsec = WAIT_NS};

    for (int i = 0; i < WAIT_TURNS; i++) {
        apr_status_t rv = flush_own(log, self);

        if (has_room(ring)) {
            return true;
        }
        if (rv != APR_EBUSY) {
            return false;
        }
        nanosleep(&turn, NULL);
    }
    /* stuck: the lines to come do not wait as well */
    ring->retry_ns = self->now_ns + WR_SEC;
    return false;
}

char *wr_log_begin(wr_log *log, wr_thread *self, size_t max)
{
    struct ring *ring = ring_of(log, self);

    assert(max <= WR_LOG_LINE_MAX);
    (void)max;
    if (!ring) {
        return scratch;
    }
    ring->is_dropping = !has_room(ring) && !make_room(log, self, ring);
    if (ring->is_dropping) {
        return scratch;
    }
    return ring_bytes(self->core->log_slot->number, log)
           + (atomic_load_explicit(&ring->head, memory_order_relaxed)
              & RING_MASK);
}

void wr_log_commit(wr_log *log, wr_thread *self, size_t len)
{
    struct ring *ring = ring_of(log, self);
    uint64_t head, end;

    assert(len <= WR_LOG_LINE_MAX);
    if (!ring) {
        append_directly(log, scratch, len);
        return;
    }
    if (ring->is_dropping) {
        atomic_fetch_add(&log->trouble->lost, 1);
        report_trouble(log);
        return;
    }
    head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    end = (head & RING_MASK) + len;
    if (end > RING_SIZE - WR_LOG_LINE_MAX) {
        ring->lap_end[head / RING_SIZE & 1] = (uint32_t)end;
        head = (head | RING_MASK) + 1;
    }
    else {
        head += len;
    }
    atomic_store_explicit(&ring->head, head, memory_order_release);
    if (head - atomic_load_explicit(&ring->tail, memory_order_relaxed)
        >= RING_HALF) {
        flush_own(log, self);
    }
}

/* Slots. */

static apr_status_t unmap_segment(void *data)
{
    const struct segment *old = data;

    for (wr_log *log = all_logs; log; log = log->next) {
        log->trouble = &log->own_trouble;
    }
    segment = NULL;
    munmap(old->shared, old->size);
    return APR_SUCCESS;
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

apr_status_t wr__log_rings_create(apr_pool_t *pool, int writers)
{
    size_t slots = writers > 0 ? (size_t)writers : 1;
    size_t logs = 0, slot_size, slots_at, bytes_at, size;
    struct segment *new = apr_palloc(pool, sizeof(*new));
    char *mapped;

    if (segment) {
        return APR_SUCCESS;
    }
    for (wr_log *log = all_logs; log; log = log->next) {
        logs = log->index + 1;
    }
    slot_size = sizeof(wr__log_slot) + logs * sizeof(struct ring);
    slots_at = round_up(LINE_SIZE + logs * sizeof(struct trouble), LINE_SIZE);
    bytes_at = round_up(slots_at + slots * slot_size, RING_SIZE);
    size = bytes_at + slots * logs * RING_SIZE;
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return errno;
    }
    *new = (struct segment){
        .size = size,
        .slot_size = slot_size,
        .slots = (unsigned)slots,
        .logs = (unsigned)logs,
        .shared = (struct shared *)(void *)mapped,
        .troubles = (struct trouble *)(void *)(mapped + LINE_SIZE),
        .slot_area = mapped + slots_at,
        .bytes = mapped + bytes_at,
    };
    for (wr_log *log = all_logs; log; log = log->next) {
        log->trouble = &new->troubles[log->index];
    }
    segment = new;
    apr_pool_cleanup_register(pool, new, unmap_segment, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

wr__log_slot *wr__log_slot_claim(void)
{
    pid_t pid = getpid();

    for (unsigned i = 0; segment && i < segment->slots; i++) {
        wr__log_slot *slot = slot_at(i);
        unsigned used = atomic_load(&segment->shared->used);
        pid_t nobody = 0;

        if (!atomic_compare_exchange_strong(&slot->pid, &nobody, pid)) {
            continue;
        }
        slot->number = i;
        while (used <= i
               && !atomic_compare_exchange_weak(&segment->shared->used, &used,
                                                i + 1)) {
        }
        return slot;
    }
    return NULL;
}

/** Write a slot's lines out.  What does not go stays for wr__log_flush().
 *  @return false when a program is behind. */
static bool flush_slot(wr__log_slot *slot, pid_t pid)
{
    bool is_done = true;

    for (wr_log *log = all_logs; log; log = log->next) {
        apr_status_t rv = log->index < segment->logs
                              ? flush_ring(log, slot, pid)
                              : APR_SUCCESS;

        if (rv != APR_SUCCESS) {
            report_trouble(log);
        }
        is_done &= rv != APR_EBUSY || log->kind != WR__LOG_PROGRAM;
    }
    return is_done;
}

/** A generation that has died can't write out what is left here. */
void wr__log_slot_release(wr__log_slot *slot)
{
    const struct timespec turn = {.tv_nsec = WAIT_NS};

    if (!slot) {
        return;
    }
    for (int i = 0;
         !flush_slot(slot, atomic_load(&slot->pid)) && i < WAIT_TURNS; i++) {
        nanosleep(&turn, NULL);
    }
    for (unsigned i = 0; i < segment->logs; i++) {
        slot->rings[i].retry_ns = 0;
    }
    atomic_store(&slot->pid, 0);
}

bool wr__log_flush(void)
{
    pid_t pid = getpid();
    unsigned used = slots_used();
    bool is_done = true;

    for (unsigned i = 0; i < used; i++) {
        is_done &= flush_slot(slot_at(i), pid);
    }
    for (wr_log *log = all_logs; log; log = log->next) {
        if (log->kind == WR__LOG_PROGRAM) {
            is_done &=
                wr__log_pipe_settle(&log->trouble->pipe, log->fd) != APR_EBUSY;
        }
        report_trouble(log);
    }
    return is_done;
}

void wr__log_reap(pid_t pid)
{
    unsigned used = slots_used();

    for (wr_log *log = all_logs; log; log = log->next) {
        wr__log_pipe_reap(&log->trouble->pipe, pid);
    }
    for (unsigned i = 0; i < used; i++) {
        wr__log_slot *slot = slot_at(i);

        if (atomic_load(&slot->pid) != pid) {
            continue;
        }
        for (unsigned j = 0; j < segment->logs; j++) {
            pid_t dead = pid;
            atomic_compare_exchange_strong(&slot->rings[j].flusher, &dead, 0);
            slot->rings[j].retry_ns = 0;
        }
        flush_slot(slot, getpid());
        atomic_store(&slot->pid, 0);
    }
}
