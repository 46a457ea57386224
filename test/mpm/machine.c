/*
 * machine.c - the scripted connection machine: wants, ownership, closing.
 *
 * Runs in the server's process of a contract test, in whichever thread the MPM
 * lets own the connection.  Bytes come and go in machine_end.c, ops and records
 * in machine_op.c.
 */
#include "machine.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef MACHINE_ASAN
#    include <sanitizer/asan_interface.h>
#endif

#define MACHINE_ALIVE 0x57eda11eu
#define MACHINE_FREED 0x57eddeadu

/** Steps in a row that brought nothing: an MPM that does not wait. */
#define VAIN_MAX 20000

/** Not a want: the token is done, go on with the next. */
#define NEXT ((wr_want)99)

/** What the MPM is given: a wr_conn, with a way back that is never poisoned. */
typedef struct conn_box {
    machine *machine;
    wr_conn conn; /* last: it ends in wr_mpm.conn_bytes */
} conn_box;

/** All of them; never freed. */
static machine *machines[BOARD_CONNS];

machine *machine_of(const wr_conn *c, const char *where)
{
    const conn_box *box =
        (const void *)((const char *)c - offsetof(conn_box, conn));
    machine *m = box->machine;

    PROMISE(m->magic == MACHINE_ALIVE, "%s: connection #%d is freed already",
            where, m->number);
    return m;
}

/** Now and then, give other threads time to do what they must not. */
static void dawdle(void)
{
    static _Atomic unsigned count;
    unsigned n = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);

    if (the_child->mpm->traits & WR_MPM_THREADED
        && (n * 2654435761u) >> 27 == 0) {
        usleep(50);
    }
}

machine *machine_enter(const wr_conn *c, const wr_thread *self,
                       const char *where)
{
    machine *m = machine_of(c, where);
    int nobody = 0;

    PROMISE(!(atomic_load(&c->posted) & WR_POST_PARKED),
            "%s: connection #%d is parked, nobody owns it", where, m->number);
    PROMISE(
        atomic_compare_exchange_strong(&m->inside, &nobody, machine_thread()),
        "%s: two threads own connection #%d", where, m->number);
    PROMISE(!self || self->child == the_child, "%s: not a thread", where);
    dawdle();
    return m;
}

void machine_leave(machine *m)
{
    atomic_store(&m->inside, 0);
}

bool machine_is_owner(const machine *m)
{
    return m->stepper == machine_thread() && !m->board->is_parked;
}

/* Life. */

/** Is it what accept4() made of a connection to that listener? */
static void check_socket(int fd, const wr_listener *listener,
                         const struct sockaddr *peer)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);

    PROMISE(fcntl(fd, F_GETFL) & O_NONBLOCK, "wr_conn_create: fd %d blocks",
            fd);
    PROMISE(fcntl(fd, F_GETFD) & FD_CLOEXEC,
            "wr_conn_create: fd %d would outlive exec", fd);
    PROMISE(getsockname(fd, (struct sockaddr *)&address, &len) == 0
                && ntohs(address.sin_port) == listener->port,
            "wr_conn_create: the wrong listener");
    len = sizeof(address);
    if (peer && getpeername(fd, (struct sockaddr *)&address, &len) == 0) {
        PROMISE(((const struct sockaddr_in *)(const void *)peer)->sin_port
                    == address.sin_port,
                "wr_conn_create: the wrong peer");
    }
}

/** May there be another connection? */
static bool has_room(wr_child *child)
{
    if (the_board->refused < the_board->refuse) {
        the_board->refused++;
        return false;
    }
    if (atomic_fetch_add(&child->connections, 1) >= child->max_connections) {
        atomic_fetch_sub(&child->connections, 1);
        return false;
    }
    return true;
}

wr_conn *wr_conn_create(wr_thread *self, int fd, const wr_listener *listener,
                        const struct sockaddr *peer, socklen_t peer_len)
{
    wr_child *child = self->child;
    conn_box *box;
    machine *m;
    int number;

    check_socket(fd, listener, peer);
    if (!has_room(child)) {
        return NULL;
    }
    number = atomic_fetch_add(&the_board->created, 1);
    if (number >= BOARD_CONNS) {
        abort();
    }
    m = calloc(1, sizeof(*m));
    box = calloc(1, sizeof(*box) + child->mpm->conn_bytes);
    if (!m || !box) {
        abort();
    }
    box->machine = m;
    m->magic = MACHINE_ALIVE;
    m->number = number;
    m->creator = machine_thread();
    m->board = &the_board->conns[number];
    m->board->want = m->last_want = -1;
    m->board->is_open = true;
    m->script_len = -1;
    m->conn = &box->conn;
    m->conn->magic = m->magic;
    m->conn->deadline = WR_NEVER;
    m->conn->child = child;
    m->conn->listener = listener;
    if (peer && peer_len <= sizeof(m->conn->peer)) {
        memcpy(&m->conn->peer, peer, peer_len);
    }
    machine_end_init(&m->client, m->conn, fd);
    m->conn->ends = &m->client.end;
    machines[number] = m;
    return m->conn;
}

void machine_poison(void *memory, size_t size)
{
    memset(memory, 0xA5, size);
#ifdef MACHINE_ASAN
    ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

static void free_machine(machine *m)
{
    machine_end_close(&m->client);
    if (m->back) {
        machine_end_close(m->back);
    }
    m->magic = MACHINE_FREED;
    m->board->is_open = false;
    machine_poison(m->conn, sizeof(*m->conn) + the_child->mpm->conn_bytes);
    atomic_fetch_sub(&the_child->connections, 1);
    atomic_fetch_add(&the_board->freed, 1);
}

static bool is_held(const wr_conn *c)
{
    bool in_flight = false;

    for (const wr_end *e = c->ends; e; e = e->next) {
        in_flight = in_flight || e->in_flight;
    }
    return c->refs || c->done || in_flight;
}

/** Then nothing is known of a descriptor but by the connection's owner. */
static bool has_no_poller(void)
{
    unsigned blocking = WR_MPM_THREADED | WR_MPM_CALLS_INLINE;

    return (the_child->mpm->traits & blocking) == blocking;
}

bool wr_conn_close(wr_conn *c, wr_thread *self)
{
    machine *m = machine_enter(c, self, "wr_conn_close");

    PROMISE(m->last_want == WR_WANT_CLOSE,
            "wr_conn_close: connection #%d did not want it", m->number);
    PROMISE(machine_thread() == m->creator || has_no_poller(),
            "wr_conn_close: connection #%d is closed by another thread than "
            "the one that accepted it",
            m->number);
    m->progressed = true;
    m->close_failed = is_held(c);
    if (m->close_failed) {
        for (wr_end *e = c->ends; e; e = e->next) {
            shutdown(e->fd, SHUT_RDWR);
        }
        machine_leave(m);
        return false;
    }
    machine_void_span(&m->client);
    free_machine(m);
    machine_leave(m);
    return true;
}

/* The script. */

static void parse_script(machine *m, const char *text, const char *end)
{
    m->script_len = 0;
    while (text < end) {
        token *t = &m->script[m->script_len];

        if (isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        if (m->script_len == SCRIPT_MAX) {
            abort();
        }
        t->kind = *text++;
        t->count = (unsigned)strtoul(text, (char **)(uintptr_t)&text, 10);
        m->script_len++;
    }
}

/** Has the script's line come? */
static bool receive_script(machine *m)
{
    machine_end *me = &m->client;
    unsigned char *end = memchr(me->input, '\n', me->input_len);
    size_t used;

    if (!end) {
        return false;
    }
    parse_script(m, (char *)me->input, (char *)end);
    used = (size_t)(end - me->input) + 1;
    me->input_len -= used;
    memmove(me->input, me->input + used, me->input_len);
    return true;
}

/** Nothing of the script is carried out any more. */
static void give_up(machine *m)
{
    m->is_over = true;
    m->is_aborted = true;
    m->client.out_left = 0;
    m->ops_wanted = 0;
    atomic_fetch_add(&the_board->aborted, 1);
}

/** The deadline passed: what is out meanwhile counts no more. */
static void time_out(machine *m)
{
    m->conn->deadline = WR_NEVER;
    m->conn->ops = NULL;
    m->has_timed_out = true;
    m->ops_wanted = 0;
    m->at = 0;
    m->has_begun = false;
    m->script_len = m->client.out_left == 0;
    m->script[0] = (token){'T', 1};
    m->client.out_left = 0;
    atomic_fetch_add(&the_board->timed_out, 1);
}

/* Tokens: each function returns a want, or NEXT when its token is done. */

static wr_want want_io(machine *m, unsigned client, unsigned back)
{
    m->client.end.want = (uint8_t)client;
    m->client.granted |= (uint8_t)client;
    if (m->back) {
        m->back->end.want = (uint8_t)back;
        m->back->granted |= (uint8_t)back;
    }
    return WR_WANT_IO;
}

static wr_want run_receive(machine *m)
{
    machine_end *me = &m->client;

    m->left -= (unsigned)machine_take_input(me, m->left);
    if (m->left == 0) {
        return NEXT;
    }
    if (me->is_at_eof) {
        give_up(m);
        return NEXT;
    }
    return want_io(m, WR_READ, 0);
}

static wr_want run_receive_all(machine *m)
{
    machine_take_input(&m->client, INPUT_SIZE);
    return m->client.is_at_eof ? NEXT : want_io(m, WR_READ, 0);
}

static wr_want run_send(machine *m, bool is_new)
{
    const token *t = &m->script[m->at];

    if (is_new) {
        m->client.out_kind = t->kind;
        m->client.out_left = t->count;
    }
    return m->client.out_left ? want_io(m, WR_WRITE, 0) : NEXT;
}

static int connect_back_end(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons(the_board->back_end_port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))
        || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        board_fail("back end: %s", strerror(errno));
        machine_die();
    }
    return fd;
}

/** A second end joins; the MPM learns of it by finding it in c->ends. */
static void add_back_end(machine *m, bool is_pipe)
{
    int fd = is_pipe ? fcntl(the_board->pipe_fd, F_DUPFD_CLOEXEC, 0)
                     : connect_back_end();

    PROMISE(!m->back, "the script has two back ends");
    m->back = machine_allocate(sizeof(*m->back));
    machine_end_init(m->back, m->conn, fd);
    m->back->end.is_pipe = is_pipe;
    m->client.end.next = &m->back->end;
}

static wr_want run_back_end(machine *m, bool is_new)
{
    token *t = &m->script[m->at];

    if (is_new) {
        add_back_end(m, t->kind == 'p');
    }
    m->left -= (unsigned)machine_take_input(m->back, m->left);
    if (m->left) {
        return want_io(m, 0, WR_READ);
    }
    t->kind = 'w'; /* and now the same bytes to the client */
    return run_send(m, true);
}

static wr_want run_two_ends(machine *m, bool is_new)
{
    wr_want want;

    if (is_new) {
        add_back_end(m, false);
    }
    want = run_receive(m);
    return want == WR_WANT_IO ? want_io(m, WR_READ, WR_READ) : want;
}

/** Wanted at once, and if the kernel has it still, when it has it no more. */
static wr_want run_drop(machine *m, bool is_new)
{
    if (is_new) {
        m->back->end.is_gone = true;
        m->drop_failed = false;
    }
    if (!m->back) {
        return NEXT;
    }
    return m->drop_failed && m->back->end.in_flight ? want_io(m, 0, 0)
                                                    : WR_WANT_DROP;
}

bool wr_conn_drop(wr_conn *c, wr_thread *self)
{
    machine *m = machine_enter(c, self, "wr_conn_drop");
    bool is_held;

    PROMISE(m->last_want == WR_WANT_DROP,
            "wr_conn_drop: connection #%d did not want it", m->number);
    PROMISE(machine_thread() == m->creator || has_no_poller(),
            "wr_conn_drop: an end of connection #%d is closed by another "
            "thread than the one that accepted it",
            m->number);
    m->progressed = true;
    is_held = m->back && m->back->end.in_flight;
    m->drop_failed = is_held;
    if (m->back && !is_held) {
        m->client.end.next = NULL;
        machine_end_close(m->back);
        m->back = NULL;
        atomic_fetch_add(&the_board->dropped, 1);
    }
    machine_leave(m);
    return !is_held;
}

static void add_ops(machine *m, const token *t)
{
    static const struct {
        wr_op_kind kind;
        int expect;
        const char *path;
    } kinds[] = {
        {WR_OP_LOOKUP, 0, "found"}, {WR_OP_LOOKUP, ENOENT, "missing"},
        {WR_OP_STAT, 0, "found"},   {WR_OP_PAGE, 0, NULL},
        {WR_OP_READ, 0, NULL},      {WR_OP_STAT, ENOENT, "missing"},
    };

    if (t->kind == 'o') {
        for (unsigned i = 0; i < t->count; i++) {
            unsigned k = i % (sizeof(kinds) / sizeof(*kinds));

            machine_add_op(m, kinds[k].kind, -1, kinds[k].expect,
                           kinds[k].path);
        }
    }
    else if (t->kind == 'c') {
        for (unsigned i = 0; i < t->count; i++) {
            machine_add_op(m, WR_OP_FUNC, -1, i % 2 ? EDOM : 0, NULL);
        }
    }
    else if (t->kind == 's') {
        machine_add_op(m, WR_OP_PAGE, (int)t->count, 0, NULL);
    }
    else if (t->kind == 'q') {
        the_board->deaths_left = (int)t->count;
        /* An op is tried twice. */
        machine_add_op(m, WR_OP_PAGE, MACHINE_DEATH, t->count < 2 ? 0 : EIO,
                       NULL);
    }
    else {
        machine_add_op(m, WR_OP_FUNC, t->kind == 'g' ? (int)t->count : 0, 0,
                       NULL);
    }
}

static wr_want run_ops(machine *m, bool is_new)
{
    const token *t = &m->script[m->at];

    if (is_new) {
        m->left = t->kind == 'b' ? t->count : 0;
        add_ops(m, t);
    }
    if (m->conn->ops) {
        return WR_WANT_CALL;
    }
    m->left -= (unsigned)machine_take_input(&m->client, m->left);
    if (m->left && m->client.is_at_eof) {
        give_up(m);
        return NEXT;
    }
    if (m->ops_wanted || m->left) {
        return want_io(m, m->left ? WR_READ : 0, 0);
    }
    return NEXT;
}

static wr_want run_log(machine *m, bool is_new)
{
    if (is_new) {
        machine_add_record(m);
    }
    return m->conn->done ? WR_WANT_LOG : NEXT;
}

static wr_want run_token(machine *m, const wr_thread *self)
{
    const token *t = &m->script[m->at];
    bool is_new = !m->has_begun;

    m->board->token = t->kind;
    m->has_begun = true;
    if (is_new) {
        m->left = t->count;
    }
    switch (t->kind) {
    case 'r':
        return run_receive(m);
    case 'z':
        return run_receive_all(m);
    case 'w':
    case 'f':
    case 'T':
        return run_send(m, is_new);
    case 'e':
    case 'p':
        return run_back_end(m, is_new);
    case 'j':
        return run_two_ends(m, is_new);
    case 'k':
        return run_drop(m, is_new);
    case 'c':
    case 'g':
    case 's':
    case 'q':
    case 'b':
    case 'o':
        return run_ops(m, is_new);
    case 'l':
        return run_log(m, is_new);
    case 'u':
        return is_new ? WR_WANT_RUN : NEXT;
    case 'y':
        m->progressed = true;
        return m->left-- ? WR_WANT_YIELD : NEXT;
    case 'Y':
        m->progressed = true;
        sched_yield();
        return the_board->mark ? NEXT : WR_WANT_YIELD;
    case 'm':
        the_board->mark = true;
        return NEXT;
    case 'd':
        m->conn->deadline =
            t->count ? self->now_ns + t->count * WR_MS : WR_NEVER;
        return NEXT;
    case 'h':
        m->hook = (int)t->count;
        return NEXT;
    case 'x':
        m->at = m->script_len - 1;
        return NEXT;
    default:
        board_fail("unknown token '%c'", t->kind);
        machine_die();
    }
}

/* Steps. */

/** @return was the time posted? */
static bool take_posts(machine *m)
{
    unsigned bits = atomic_exchange(&m->conn->posted, 0);

    PROMISE(!(bits & WR_POST_PARKED), "wr_conn_step: connection #%d is parked",
            m->number);
    if (bits) {
        m->progressed = true;
    }
    machine_take_back(m, bits / WR_POST_OP);
    if ((bits & WR_POST_STOP) && !m->is_over) {
        give_up(m);
    }
    return bits & WR_POST_TIMER;
}

static void check_clock(const wr_thread *self)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    PROMISE(self->now_ns <= ts.tv_sec * WR_SEC + ts.tv_nsec,
            "wr_conn_step: the thread's clock is ahead");
}

static wr_want run_script(machine *m, const wr_thread *self)
{
    if (m->script_len < 0 && !receive_script(m)) {
        if (!m->client.is_at_eof) {
            return want_io(m, WR_READ, 0);
        }
        give_up(m);
    }
    while (!m->is_over && m->at < m->script_len) {
        wr_want want = run_token(m, self);

        if (want != NEXT) {
            return want;
        }
        m->has_begun = false;
        m->at++;
        m->progressed = true;
    }
    m->is_over = true;
    return NEXT;
}

static wr_want choose_want(machine *m, const wr_thread *self, bool is_time)
{
    wr_want want = NEXT;

    /* One that yields does not look at the time by itself: as in the core. */
    is_time = is_time || m->last_want != WR_WANT_YIELD;
    if (is_time && !m->is_over && m->conn->deadline <= self->now_ns) {
        time_out(m);
    }
    if (m->quantum_used) {
        m->quantum_used = false;
        return WR_WANT_YIELD;
    }
    if (!m->is_over) {
        want = run_script(m, self);
    }
    if (want == NEXT) {
        m->conn->ops = NULL;
        want = m->conn->done ? WR_WANT_LOG : WR_WANT_CLOSE;
    }
    return want;
}

wr_want wr_conn_step(wr_conn *c, wr_thread *self)
{
    machine *m = machine_enter(c, self, "wr_conn_step");
    wr_want want;
    bool is_time;

    check_clock(self);
    machine_void_span(&m->client);
    m->stepper = machine_thread();
    m->board->is_parked = false;
    m->client.end.want = 0;
    if (m->back) {
        m->back->end.want = 0;
    }
    is_time = take_posts(m);
    want = choose_want(m, self, is_time);
    m->vain = m->progressed ? 0 : m->vain + 1;
    m->progressed = false;
    PROMISE(m->vain < VAIN_MAX,
            "wr_conn_step: connection #%d was stepped %d times without a "
            "reason",
            m->number, VAIN_MAX);
    m->last_want = (int)want;
    m->board->want = want;
    machine_leave(m);
    return want;
}

bool wr_conn_ready(const wr_conn *c)
{
    machine *m = machine_enter(c, NULL, "wr_conn_ready");
    bool is_ready = false;

    for (const wr_end *e = c->ends; e; e = e->next) {
        is_ready =
            is_ready || (e->want & ~e->in_flight & atomic_load(&e->ready));
    }
    machine_leave(m);
    return is_ready;
}

/* Moving ownership. */

bool wr_conn_post(wr_conn *c, unsigned bits)
{
    uint32_t old, new;

    machine_of(c, "wr_conn_post");
    old = atomic_load(&c->posted);
    do {
        new = (old + (bits & ~(WR_POST_OP - 1u))) | (bits & (WR_POST_OP - 1u));
        new &= ~(uint32_t)WR_POST_PARKED;
    } while (!atomic_compare_exchange_weak(&c->posted, &old, new));
    return old & WR_POST_PARKED;
}

static bool has_event(const machine *m)
{
    return atomic_load(&m->conn->posted)
           || (atomic_load(&m->client.end.ready) & m->client.end.want);
}

/** Before parking: let an event come that the owner has not seen. */
static void hook_before_park(machine *m)
{
    if (m->hook == 1) {
        m->hook = 0;
        PROMISE(!wr_conn_post(m->conn, WR_POST_EVENT),
                "wr_conn_park: connection #%d is parked already", m->number);
    }
    else if (m->hook == 2) {
        m->hook = 0;
        machine_cue();
        for (int i = 0; i < 200 && !has_event(m); i++) {
            usleep(1000);
        }
    }
}

/** Parked, but wr_conn_park() has not returned: let another thread claim the
 *  connection, step it, and free it.  Looks at nothing but the machine. */
static void hook_while_parking(machine *m)
{
    machine_cue();
    for (int i = 0; i < 200 && m->board->is_parked; i++) {
        usleep(1000);
    }
    usleep(2000);
}

bool wr_conn_park(wr_conn *c)
{
    machine *m = machine_enter(c, NULL, "wr_conn_park");
    uint32_t none = 0;
    bool has_hook;

    PROMISE(the_child->mpm->traits & WR_MPM_THREADED,
            "wr_conn_park: an MPM with one thread never parks");
    PROMISE(m->last_want == WR_WANT_IO
                || (m->last_want == WR_WANT_CLOSE && m->close_failed),
            "wr_conn_park: connection #%d has a want that nothing will be "
            "posted for",
            m->number);
    hook_before_park(m);
    has_hook = m->hook == 3;
    m->hook = has_hook ? 0 : m->hook;
    m->board->is_parked = true;
    atomic_fetch_add(&the_board->parked, 1);
    machine_leave(m);
    if (!atomic_compare_exchange_strong(&c->posted, &none, WR_POST_PARKED)) {
        m->board->is_parked = false;
        return false;
    }
    if (has_hook) {
        hook_while_parking(m);
    }
    return true;
}
