/*
 * test_conn_threads.c - connections that change thread at every want: several
 * threads step, one runs ops, one logs, and clients come, stall and go.
 *
 * An MPM of the worst kind, for the thread sanitizer: nothing is ever done
 * where it was wanted, spurious events are posted at any time, and a
 * connection is parked whenever it may be.
 */
#include "support.h"

#include "server/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))
#define STEPPERS     3
#define TRAVELLERS   12
#define ROUNDS       6
#define QUEUE_MAX    4096

/* A queue between threads; NULL ends its reader. */

typedef struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t some;
    void *items[QUEUE_MAX];
    unsigned first, last;
} queue;

static void queue_init(queue *q)
{
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->some, NULL);
    q->first = q->last = 0;
}

static void queue_put(queue *q, void *item)
{
    pthread_mutex_lock(&q->mutex);
    require(q->last - q->first < QUEUE_MAX);
    q->items[q->last++ % QUEUE_MAX] = item;
    pthread_cond_signal(&q->some);
    pthread_mutex_unlock(&q->mutex);
}

static void *queue_take(queue *q)
{
    void *item;

    pthread_mutex_lock(&q->mutex);
    while (q->first == q->last) {
        pthread_cond_wait(&q->some, &q->mutex);
    }
    item = q->items[q->first++ % QUEUE_MAX];
    pthread_mutex_unlock(&q->mutex);
    return item;
}

static struct {
    site *site;
    queue runnable; /* traveller * */
    queue ops;      /* wr_op * */
    queue records;  /* wr_record * */
} world;

/* Connections. */

typedef struct traveller {
    wr_conn *c;
    int peer;
    uint32_t seed;
    const char *input;
    size_t sent;
    pthread_mutex_t mutex; /* guards is_alive: no event after the end */
    bool is_alive;
    char *output;
    size_t output_len;
} traveller;

/** In wr_conn.mpm. */
static traveller **traveller_of(wr_conn *c)
{
    return (void *)c->mpm;
}

static wr_thread *begin_thread(const char *role)
{
    wr_thread *self = wr_thread_init(world.site->child, role);

    self->now_ns = 1000 * WR_SEC; /* time stands still */
    return self;
}

/** @return true when it is gone. */
static bool try_close(traveller *t, wr_thread *self)
{
    bool is_closed;

    pthread_mutex_lock(&t->mutex);
    is_closed = wr_conn_close(t->c, self);
    t->is_alive = !is_closed;
    pthread_mutex_unlock(&t->mutex);
    return is_closed;
}

/** One want.  @return false when the connection is not the caller's any more,
 *  or gone. */
static bool travel(traveller *t, wr_thread *self)
{
    wr_conn *c = t->c;

    switch (wr_conn_step(c, self)) {
    case WR_WANT_IO:
        for (wr_end *e = c->ends->next; e; e = e->next) {
            /* A pipe without a writer: so a poller would say at once. */
            if (!(atomic_load(&e->ready) & WR_HUP)) {
                atomic_fetch_or(&e->ready, WR_READ | WR_HUP);
            }
        }
        if (wr_conn_ready(c)) {
            wr_conn_io(c, self, 5000);
            return true;
        }
        return !wr_conn_park(c);
    case WR_WANT_CALL:
        queue_put(&world.ops, wr_conn_take_op(c));
        return true;
    case WR_WANT_LOG:
        queue_put(&world.records, wr_conn_take_log(c));
        return true;
    case WR_WANT_DROP:
        wr_conn_drop(c, self);
        return true;
    case WR_WANT_CLOSE:
        return !try_close(t, self) && !wr_conn_park(c);
    case WR_WANT_RUN:
    case WR_WANT_YIELD:
        break;
    }
    return true;
}

static void *run_stepper(void *arg)
{
    wr_thread *self = begin_thread("step");
    traveller *t;

    (void)arg;
    while ((t = queue_take(&world.runnable))) {
        if (travel(t, self)) {
            queue_put(&world.runnable, t); /* to whoever comes next */
        }
    }
    wr_thread_finish(self);
    return NULL;
}

static void *run_ops(void *arg)
{
    wr_op *op;

    (void)arg;
    while ((op = queue_take(&world.ops))) {
        traveller *t = *traveller_of(op->conn);

        wr_op_run(op);
        if (wr_op_finish(op)) {
            queue_put(&world.runnable, t);
        }
    }
    return NULL;
}

static void *run_logger(void *arg)
{
    wr_thread *self = begin_thread("log");
    wr_record *record;

    (void)arg;
    while ((record = queue_take(&world.records))) {
        wr_record_log(record, self);
    }
    wr_thread_finish(self);
    return NULL;
}

/* Clients. */

static void tell(traveller *t, unsigned ready, unsigned bits)
{
    bool claimed = false;

    pthread_mutex_lock(&t->mutex);
    if (t->is_alive) {
        atomic_fetch_or(&t->c->ends->ready, (uint8_t)ready);
        claimed = wr_conn_post(t->c, bits);
    }
    pthread_mutex_unlock(&t->mutex);
    if (claimed) {
        queue_put(&world.runnable, t);
    }
}

static bool is_alive(traveller *t)
{
    bool alive;

    pthread_mutex_lock(&t->mutex);
    alive = t->is_alive;
    pthread_mutex_unlock(&t->mutex);
    return alive;
}

static void receive(traveller *t)
{
    char buf[9000];
    ssize_t n = recv(t->peer, buf, 1 + next_random(&t->seed) % sizeof(buf), 0);

    if (n > 0) {
        t->output = realloc(t->output, t->output_len + (size_t)n);
        memcpy(t->output + t->output_len, buf, (size_t)n);
        t->output_len += (size_t)n;
        tell(t, WR_WRITE, WR_POST_EVENT);
    }
}

/** Something that a client does.  @return false at its end. */
static bool act(traveller *t, bool is_kind)
{
    size_t left = strlen(t->input) - t->sent;
    ssize_t n;

    switch (next_random(&t->seed) % 8) {
    case 0:
        tell(t, 0, WR_POST_EVENT | WR_POST_TIMER); /* for nothing */
        return true;
    case 1:
    case 2:
        if (left == 0) {
            shutdown(t->peer, SHUT_WR);
            tell(t, WR_READ | WR_HUP, WR_POST_EVENT);
            return true;
        }
        n = send(t->peer, t->input + t->sent, 1 + next_random(&t->seed) % left,
                 MSG_NOSIGNAL);
        if (n > 0) {
            t->sent += (size_t)n;
            tell(t, WR_READ, WR_POST_EVENT);
        }
        return true;
    case 3:
        return is_kind || next_random(&t->seed) % 3;
    default:
        receive(t);
        return true;
    }
}

static void start(traveller *t, wr_thread *self, const char *input,
                  uint32_t seed)
{
    int ends[2];

    memset(t, 0, sizeof(*t));
    pthread_mutex_init(&t->mutex, NULL);
    t->is_alive = true;
    t->seed = seed;
    t->input = input;
    require(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)
        == 0);
    t->peer = ends[1];
    t->c = wr_conn_create(self, ends[0], &world.site->listener, NULL, 0);
    require(t->c);
    *traveller_of(t->c) = t;
    queue_put(&world.runnable, t);
}

/** A client that is not kind goes in the middle, or has the child stop. */
static void end(traveller *t, bool is_kind)
{
    if (!is_kind) {
        if (next_random(&t->seed) % 2) {
            tell(t, 0, WR_POST_STOP);
        }
        else {
            shutdown(t->peer, SHUT_RDWR);
            tell(t, WR_READ | WR_WRITE | WR_HUP, WR_POST_EVENT);
        }
    }
    while (is_alive(t)) {
        usleep(100);
        tell(t, 0, WR_POST_EVENT);
    }
    while (is_kind) {
        size_t before = t->output_len;

        receive(t);
        if (t->output_len == before) {
            break;
        }
    }
    close(t->peer);
    free(t->output);
    pthread_mutex_destroy(&t->mutex);
}

static const char request_mix[] =
    "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /partial HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    "GET /linear HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"
    "HEAD /twice HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /twice HTTP/1.1\r\nHost: a\r\n\r\n";

/** Much that is left behind by those who go. */
static const char unfinished_mix[] = "GET /partial HTTP/1.1\r\nHost: a\r\n\r\n"
                                     "GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n"
                                     "GET /partial HTTP/1.1\r\nHost: a\r\n\r\n"
                                     "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
                                     "GET /partial HTTP/1.1\r\nHost: a\r\n\r\n";

/** @a count clients, one after the other in each of some threads. */
typedef struct crowd {
    uint32_t seed;
    int count;
    bool is_kind;
} crowd;

static void *run_clients(void *arg)
{
    const crowd *all = arg;
    wr_thread *self = begin_thread("accept");
    uint32_t seed = all->seed;

    for (int round = 0; round < all->count; round++) {
        traveller t[TRAVELLERS];
        bool goes_on[TRAVELLERS];
        int left = TRAVELLERS;

        for (int i = 0; i < TRAVELLERS; i++) {
            start(&t[i], self, all->is_kind ? request_mix : unfinished_mix,
                  next_random(&seed));
            goes_on[i] = true;
        }
        while (left > 0) {
            int i = (int)(next_random(&seed) % TRAVELLERS);

            if (goes_on[i] && (!is_alive(&t[i]) || !act(&t[i], all->is_kind))) {
                goes_on[i] = false;
                left--;
            }
        }
        for (int i = 0; i < TRAVELLERS; i++) {
            end(&t[i], all->is_kind);
        }
    }
    wr_thread_finish(self);
    return NULL;
}

static void run_world(const site_options *options, bool is_kind)
{
    int count = is_kind ? ROUNDS : 4 * ROUNDS;
    crowd crowds[] = {{11, count, is_kind}, {23, count, is_kind}};
    pthread_t steppers[STEPPERS], op_threads[2], logger, clients[2];

    world.site = site_create(options);
    queue_init(&world.runnable);
    queue_init(&world.ops);
    queue_init(&world.records);
    for (int i = 0; i < STEPPERS; i++) {
        pthread_create(&steppers[i], NULL, run_stepper, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_create(&op_threads[i], NULL, run_ops, NULL);
        pthread_create(&clients[i], NULL, run_clients, &crowds[i]);
    }
    pthread_create(&logger, NULL, run_logger, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(clients[i], NULL);
        queue_put(&world.ops, NULL);
    }
    for (int i = 0; i < STEPPERS; i++) {
        queue_put(&world.runnable, NULL);
    }
    for (int i = 0; i < STEPPERS; i++) {
        pthread_join(steppers[i], NULL);
    }
    queue_put(&world.records, NULL);
    pthread_join(logger, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(op_threads[i], NULL);
    }
}

static const site_options kinds[] = {
    {.is_threaded = true,
     .asks_first = true,
     .is_cold = true,
     .config = "CacheRevalidate 0\nCacheEntries 16\n"},
    {.is_threaded = true, .asks_first = true},
};

static void test_kind_clients(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        run_world(&kinds[k], true);
        assert_int_equal(logged_count(), 2 * ROUNDS * TRAVELLERS * 10);
        for (int i = 0; i < logged_count(); i++) {
            assert_false(logged_at(i).is_aborted);
            assert_int_equal(logged_at(i).status,
                             strcmp(logged_at(i).uri, "/missing") ? 200 : 404);
        }
        site_destroy(world.site);
    }
}

static void test_rude_clients(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        run_world(&kinds[k], false);
        assert_true(logged_count() > 0);
        site_destroy(world.site);
    }
}

/** A connection that waited for another's op goes to whoever comes next. */
static void resume(wr_conn *c)
{
    queue_put(&world.runnable, *traveller_of(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kind_clients),
        cmocka_unit_test(test_rude_clients),
    };

    support_resume = resume;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
