/*
 * machine_op.c - the scripted machine's ops and records: each is taken once,
 * run once, and given back once.
 *
 * Like connections, they stay where they are until the process ends.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** What the MPM is given to log. */
struct wr_record {
    wr_task task; /**< the MPM's */
    wr_record *next;
    bool is_taken;
    _Atomic int logged;
};

/** Keeps what is never freed in reach of a leak checker. */
typedef struct keepsake {
    struct keepsake *next;
    void *memory;
} keepsake;

static keepsake *_Atomic keepsakes;

void *machine_allocate(size_t size)
{
    keepsake *k = malloc(sizeof(*k));
    void *memory = calloc(1, size);

    if (!k || !memory) {
        abort();
    }
    k->memory = memory;
    k->next = atomic_load(&keepsakes);
    while (!atomic_compare_exchange_weak(&keepsakes, &k->next, k)) {
    }
    return memory;
}

/* Ops. */

/* Offsets of PAGE ops that are not about a file. */
#define GATE_OFFSET  ((int64_t)1 << 40) /* and a gate's number: wait for it */
#define DEATH_OFFSET ((int64_t)1 << 41) /* helpers die of it */

/** Wait for a gate: what a slow disk or a name server does to an op. */
static void wait_for_gate(int number)
{
    struct pollfd gate = {.fd = the_board->gates[number], .events = POLLIN};

    atomic_fetch_add(&the_board->ops_waiting, 1);
    while (poll(&gate, 1, -1) < 0 && errno == EINTR) {
    }
    atomic_fetch_sub(&the_board->ops_waiting, 1);
}

static apr_status_t run_func(wr_op *op)
{
    const machine_op *mop = op->arg;

    PROMISE((the_child->mpm->traits & WR_MPM_CALLS_INLINE)
                || machine_thread() != mop->machine->creator,
            "wr_op_run: a FUNC op runs in the thread that waits for all");
    if (mop->gate >= 0) {
        wait_for_gate(mop->gate);
    }
    return mop->expect;
}

static apr_status_t run_page(const wr_op *op)
{
    if (op->offset >= DEATH_OFFSET) {
        if (machine_is_helper
            && atomic_fetch_sub(&the_board->deaths_left, 1) > 0) {
            kill(getpid(), SIGKILL);
        }
    }
    else if (op->offset >= GATE_OFFSET) {
        wait_for_gate((int)(op->offset - GATE_OFFSET));
    }
    return APR_SUCCESS;
}

void machine_add_op(machine *m, wr_op_kind kind, int gate, int expect,
                    const char *path)
{
    machine_op *mop = machine_allocate(sizeof(*mop));
    wr_op **tail = &m->conn->ops;

    mop->machine = m;
    mop->gate = gate;
    mop->expect = expect;
    mop->op.conn = m->conn;
    mop->op.kind = kind;
    mop->op.status = -1;
    mop->op.dir = the_board->dir_fd;
    mop->op.path = path;
    mop->op.fd = kind == WR_OP_LOOKUP ? -1 : the_board->file_fd;
    mop->op.offset = 1000;
    mop->op.len = sizeof(mop->buf);
    mop->op.buf = mop->buf;
    mop->op.func = run_func;
    mop->op.arg = mop;
    if (kind == WR_OP_PAGE && gate >= 0) {
        mop->op.offset = GATE_OFFSET + gate;
    }
    if (kind == WR_OP_PAGE && gate == MACHINE_DEATH) {
        mop->op.offset = DEATH_OFFSET;
    }
    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = &mop->op;
    m->ops_wanted++;
}

wr_op *wr_conn_take_op(wr_conn *c)
{
    machine *m = machine_enter(c, NULL, "wr_conn_take_op");
    wr_op *op = c->ops;

    if (op) {
        c->ops = op->next;
        op->next = NULL;
        ((machine_op *)op)->is_taken = true;
        c->refs++;
        m->progressed = true;
    }
    machine_leave(m);
    return op;
}

static apr_status_t look_up(wr_op *op)
{
    int fd = openat(op->dir, op->path, WR_OP_LOOKUP_FLAGS);
    int error;

    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &op->st)) {
        error = errno;
        machine_close_fd(fd);
        return error;
    }
    op->fd = fd;
    return APR_SUCCESS;
}

static apr_status_t read_range(wr_op *op)
{
    ssize_t n = pread(op->fd, op->buf, op->len, op->offset);

    if (n < 0) {
        return errno;
    }
    op->done = (size_t)n;
    return APR_SUCCESS;
}

static void run_op(wr_op *op)
{
    switch (op->kind) {
    case WR_OP_LOOKUP:
        op->status = look_up(op);
        break;
    case WR_OP_STAT:
        op->status = fstatat(op->dir, op->path, &op->st, 0) ? errno : 0;
        break;
    case WR_OP_PAGE:
        op->status = run_page(op);
        break;
    case WR_OP_READ:
        op->status = read_range(op);
        break;
    case WR_OP_WRITE:
        op->status =
            pwrite(op->fd, op->buf, op->len, op->offset) < 0 ? errno : 0;
        break;
    case WR_OP_LIST: /* no script wants one */
        op->status = ENOSYS;
        break;
    case WR_OP_FUNC:
        op->status = op->func(op);
        break;
    }
}

/** As if all were in memory, but for what the board says. */
apr_status_t wr_op_try(wr_op *op)
{
    if (op->kind != WR_OP_LOOKUP && op->kind != WR_OP_READ) {
        return APR_ENOTIMPL;
    }
    if (the_board->refuse_tries > 0) {
        the_board->refuse_tries--;
        return APR_EAGAIN;
    }
    run_op(op);
    return APR_SUCCESS;
}

void wr_op_run_timed(wr_op *op, wr_thread *self)
{
    wr_op_run(op);
    if (!machine_is_helper) {
        wr_thread_tick(self);
    }
}

void wr_op_run(wr_op *op)
{
    machine_op *mop = (machine_op *)op;
    machine *m = machine_is_helper ? NULL : mop->machine;
    bool is_inline;

    if (machine_is_helper) {
        run_op(op);
        atomic_fetch_add(&the_board->ops_run, 1);
        return;
    }
    is_inline = machine_is_owner(m);
    PROMISE(mop->is_taken, "wr_op_run: the op was not taken");
    PROMISE(atomic_fetch_add(&mop->runs, 1) == 0, "wr_op_run: run twice");
    atomic_fetch_add(&the_board->ops_run, 1);
    op->tries++;
    /* An owner that runs it in place owns the connection all the while. */
    if (is_inline) {
        machine_enter(op->conn, NULL, "wr_op_run");
    }
    run_op(op);
    if (is_inline) {
        machine_leave(m);
    }
}

bool wr_op_finish(wr_op *op)
{
    machine_op *mop = (machine_op *)op;
    wr_conn *c = op->conn;
    machine *m = machine_of(c, "wr_op_finish");

    PROMISE(mop->is_taken, "wr_op_finish: the op was not taken");
    PROMISE(atomic_fetch_add(&mop->finishes, 1) == 0,
            "wr_op_finish: finished twice");
    PROMISE(op->kind != WR_OP_FUNC || mop->runs == 1,
            "wr_op_finish: the op was never run");
    mop->next = atomic_load(&m->returned);
    while (!atomic_compare_exchange_weak(&m->returned, &mop->next, mop)) {
    }
    return wr_conn_post(c, WR_POST_OP);
}

static void check_result(const machine_op *mop)
{
    const wr_op *op = &mop->op;

    PROMISE(op->status == mop->expect, "op %d: status %d, not %d",
            (int)op->kind, op->status, mop->expect);
    if (op->status || op->kind == WR_OP_FUNC || op->kind == WR_OP_PAGE) {
        return;
    }
    if (op->kind == WR_OP_READ) {
        PROMISE(op->done == op->len
                    && !memcmp(op->buf, pattern_bytes() + op->offset, op->len),
                "op READ: wrong bytes");
    }
    else {
        PROMISE(S_ISREG(op->st.st_mode) && op->st.st_size == 5,
                "op %d: wrong stat", (int)op->kind);
    }
}

void machine_take_back(machine *m, unsigned count)
{
    machine_op *mop = atomic_exchange(&m->returned, NULL);
    bool is_late = m->is_over || m->has_timed_out;

    PROMISE(m->conn->refs >= count, "connection #%d: more ops back than out",
            m->number);
    m->conn->refs = (uint16_t)(m->conn->refs - count);
    if (!is_late) {
        m->ops_wanted -= (int)count;
    }
    for (; mop; mop = mop->next) {
        if (is_late) {
            atomic_fetch_add(&the_board->ops_late, 1);
        }
        else {
            check_result(mop);
        }
        if (mop->op.kind == WR_OP_LOOKUP && !mop->op.status) {
            machine_close_fd(mop->op.fd);
        }
    }
}

/* Records. */

void machine_add_record(machine *m)
{
    wr_record *record = machine_allocate(sizeof(*record));
    wr_record **tail = &m->conn->done;

    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = record;
    atomic_fetch_add(&the_board->records_made, 1);
}

wr_record *wr_conn_take_log(wr_conn *c)
{
    machine *m = machine_enter(c, NULL, "wr_conn_take_log");
    wr_record *record = c->done;

    if (record) {
        c->done = record->next;
        record->next = NULL;
        record->is_taken = true;
        m->progressed = true;
    }
    machine_leave(m);
    return record;
}

void wr_record_log(wr_record *record, wr_thread *self)
{
    PROMISE(record && record->is_taken, "wr_record_log: not taken");
    PROMISE(self && self->child == the_child, "wr_record_log: not a thread");
    PROMISE(atomic_fetch_add(&record->logged, 1) == 0,
            "wr_record_log: logged twice");
    memset(&record->task, 0xA5, sizeof(record->task));
    atomic_fetch_add(&the_board->records_logged, 1);
}
