/*
 * test_workers.c - pools of workers: each task once, whichever way it is given
 * out; bounds, growing and shrinking.
 *
 * The clock is the test's.  Where tasks have to be under way at a moment, they
 * wait for a gate; a wake-up that is missed makes the alarm end the test.
 */
#include "mpm/common/workers.h"

#include "wr_board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#define TASKS 20000
#define ROWS  64 /* of the scoreboard: more than there are threads */

struct item {
    wr_task task;
    int number;
    bool waits; /* for the gate */
    _Atomic int times;
    _Atomic int order;  /* in which it was begun, from 1 on */
    _Atomic int worker; /* who did it */
};

static struct fixture {
    apr_pool_t *pool;
    wr_child child;
    wr__workers *workers;
    wr_thread *self; /* the dispatcher */
    struct item items[TASKS];
    _Atomic int begun, done;
    _Atomic int threads; /* that there are */
    _Atomic int rooms;   /* how often there was room again */
    _Atomic int64_t now;
    wr_row rows[ROWS];
    _Atomic unsigned claimed;
    sem_t gate;
} * f;

/* What the workers need of the core. */

wr_thread *wr_thread_init(wr_child *child, const char *role)
{
    wr_thread *self = calloc(1, sizeof(*self));

    self->child = child;
    self->row = &f->rows[f->claimed++ % ROWS];
    memset(self->row, 0, sizeof(*self->row));
    self->row->pid = 1;
    strncpy(self->role, role, sizeof(self->role) - 1);
    f->threads++;
    wr_thread_tick(self);
    return self;
}

void wr_thread_finish(wr_thread *self)
{
    f->threads--;
    self->row->pid = 0;
    free(self);
}

void wr_thread_tick(wr_thread *self)
{
    self->now_ns = f->now;
}

static void pass(int64_t ns)
{
    f->now += ns;
    wr_thread_tick(f->self);
}

static int set_up(void **state)
{
    (void)state;
    f = aligned_alloc(_Alignof(struct fixture), sizeof(*f));
    memset(f, 0, sizeof(*f));
    apr_pool_create(&f->pool, NULL);
    f->child.pool = f->pool;
    f->now = 1000 * WR_SEC;
    for (int i = 0; i < TASKS; i++) {
        f->items[i].number = i;
    }
    sem_init(&f->gate, 0, 0);
    f->self = wr_thread_init(&f->child, "io");
    f->threads = 0;
    alarm(60);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarm(0);
    wr_thread_finish(f->self);
    sem_destroy(&f->gate);
    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

static void do_item(wr_thread *self, wr_task *task, void *arg)
{
    struct item *item = (struct item *)task;

    (void)arg;
    item->worker = atoi(self->role + strlen("worker"));
    item->times++;
    item->order = ++f->begun;
    while (item->waits && sem_wait(&f->gate) < 0) {
        /* a signal */
    }
    f->done++;
}

static void note_room(void *arg)
{
    (void)arg;
    f->rooms++;
}

static void start(wr__pool_size size, wr__dispatch dispatch, int limit)
{
    wr__workers_options options = {
        .role = "worker",
        .size = size,
        .dispatch = dispatch,
        .queue_limit = limit,
        .run = do_item,
        .on_room = note_room,
    };

    assert_int_equal(wr__workers_start(&f->workers, &f->child, &options),
                     APR_SUCCESS);
}

#define NUMBER(n) ((wr__pool_size){.number = (n)})

/** Submit items [first, first + count).  @return how many are left. */
static int submit(wr__fifo *batch, int first, int count)
{
    bool all;

    for (int i = 0; i < count; i++) {
        wr__fifo_put(batch, &f->items[first + i].task);
    }
    all = wr__workers_submit(f->workers, f->self, batch);
    assert_int_equal(all, batch->count == 0);
    return batch->count;
}

static void submit_all(int first, int count)
{
    wr__fifo batch = {0};

    assert_int_equal(submit(&batch, first, count), 0);
}

#define WAIT_FOR(condition)    \
    do {                       \
        while (!(condition)) { \
            sched_yield();     \
        }                      \
    } while (0)

static void open_gate(int count)
{
    while (count-- > 0) {
        sem_post(&f->gate);
    }
}

static int64_t shown(wr_counter counter)
{
    return f->self->row->n[counter];
}

static int sleepers(void)
{
    int count = 0;

    for (int i = 0; i < ROWS; i++) {
        count += f->rows[i].pid && f->rows[i].state == WR_ROLE_WAITING;
    }
    return count;
}

/* Dispatching. */

static void each_task_is_done_once(void **state)
{
    wr__fifo batch = {0};

    (void)state;
    for (int rule = WR__DISPATCH_SHARED; rule <= WR__DISPATCH_LEAST_LOADED;
         rule++) {
        int next = 0;

        f->done = 0;
        start(NUMBER(4), (wr__dispatch)rule, rule % 2 ? 50 : 0);
        while (next < TASKS) {
            int count = 1 + next % 7;

            count = count < TASKS - next ? count : TASKS - next;
            submit(&batch, next, count);
            next += count;
        }
        while (batch.first) {
            submit(&batch, 0, 0);
        }
        wr__workers_stop(f->workers); /* does what is queued first */
        assert_int_equal(f->done, TASKS);
        for (int i = 0; i < TASKS; i++) {
            assert_int_equal(f->items[i].times, rule + 1);
        }
    }
    assert_int_equal(f->threads, 0);
    assert_int_equal(shown(WR_N_TASKS), 4 * TASKS);
}

/** One call wakes as many workers as there is work for, round after round. */
static void calls_are_passed_on(void **state)
{
    enum {
        TOGETHER = 5,
        ROUNDS = 200
    };

    (void)state;
    start(NUMBER(TOGETHER), WR__DISPATCH_SHARED, 0);
    for (int i = 0; i < TOGETHER * ROUNDS; i++) {
        f->items[i].waits = true;
    }
    for (int i = 0; i < ROUNDS; i++) {
        int early = i % TOGETHER;

        submit_all(i * TOGETHER, early);
        submit_all(i * TOGETHER + early, TOGETHER - early);
        WAIT_FOR(f->begun == (i + 1) * TOGETHER); /* all of them at once */
        open_gate(TOGETHER);
        WAIT_FOR(f->done == (i + 1) * TOGETHER);
    }
    wr__workers_stop(f->workers);
}

static void a_shared_queue_keeps_order(void **state)
{
    (void)state;
    start(NUMBER(1), WR__DISPATCH_SHARED, 0);
    submit_all(0, 100);
    wr__workers_stop(f->workers);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(f->items[i].order, i + 1);
    }
}

static void round_robin_gives_to_each_in_turn(void **state)
{
    (void)state;
    start(NUMBER(3), WR__DISPATCH_ROUND_ROBIN, 0);
    submit_all(0, 4);
    submit_all(4, 8);
    wr__workers_stop(f->workers);
    for (int i = 3; i < 12; i++) {
        assert_int_equal(f->items[i].worker, f->items[i - 3].worker);
        assert_int_not_equal(f->items[i].worker, f->items[i - 1].worker);
    }
}

/** As with listeners of their own: nobody helps out. */
static void a_stuck_worker_strands_its_queue(void **state)
{
    (void)state;
    start(NUMBER(3), WR__DISPATCH_ROUND_ROBIN, 0);
    f->items[0].waits = true;
    submit_all(0, 9);
    WAIT_FOR(f->begun == 7 && f->done == 6);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(f->items[i].times, i % 3 != 0 || i == 0);
    }
    open_gate(1);
    wr__workers_stop(f->workers);
    assert_int_equal(f->done, 9);
}

static void least_loaded_goes_around_a_stuck_worker(void **state)
{
    (void)state;
    start(NUMBER(3), WR__DISPATCH_LEAST_LOADED, 0);
    f->items[0].waits = f->items[1].waits = true;
    submit_all(0, 2);
    for (int i = 2; i < 50; i++) {
        submit_all(i, 1);
        WAIT_FOR(f->done == i - 1);
        WAIT_FOR(sleepers() == 1);
    }
    open_gate(2);
    wr__workers_stop(f->workers);
    assert_int_not_equal(f->items[0].worker, f->items[1].worker);
    for (int i = 3; i < 50; i++) {
        assert_int_equal(f->items[i].worker, f->items[2].worker);
    }
}

/* The choice alone. */

static void full_queues_are_passed_over(void **state)
{
    _Atomic int loads[4] = {5, 1, 4, 5};

    (void)state;
    for (int rule = WR__DISPATCH_ROUND_ROBIN; rule <= WR__DISPATCH_LEAST_LOADED;
         rule++) {
        wr__dispatcher d = {.rule = (wr__dispatch)rule, .seed = 1};

        for (int i = 0; i < 20; i++) {
            int at = wr__dispatch_choose(&d, loads, 4, 5);

            assert_true(at == 1 || at == 2);
            assert_true(rule != WR__DISPATCH_LEAST_LOADED || at == 1);
        }
        assert_int_equal(wr__dispatch_choose(&d, loads, 4, 2), 1);
        assert_int_equal(wr__dispatch_choose(&d, loads, 4, 1), -1);
    }
}

static void random_is_even(void **state)
{
    wr__dispatcher d = {.rule = WR__DISPATCH_RANDOM, .seed = 1};
    _Atomic int loads[5] = {0};
    int counts[5] = {0};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        counts[wr__dispatch_choose(&d, loads, 5, 1)]++;
    }
    for (int i = 0; i < 5; i++) {
        assert_in_range(counts[i], 1850, 2150);
    }
}

static void the_idle_one_comes_first(void **state)
{
    wr__dispatcher d = {.rule = WR__DISPATCH_LEAST_LOADED};
    _Atomic int loads[4] = {1, 2, 0, 0};

    (void)state;
    assert_int_equal(wr__dispatch_choose(&d, loads, 4, 100), 2);
    loads[2] = 1;
    assert_int_equal(wr__dispatch_choose(&d, loads, 4, 100), 3);
    loads[3] = 1;
    assert_int_equal(wr__dispatch_choose(&d, loads, 4, 100), 0);
}

/* Bounds. */

/** @a taken: as many as the workers have, and as may wait. */
static void fill(wr__dispatch dispatch, int limit, int taken)
{
    wr__fifo batch = {0};

    start(NUMBER(2), dispatch, limit);
    for (int i = 0; i < 20; i++) {
        f->items[i].waits = true;
    }
    assert_int_equal(submit(&batch, 0, 20), 20 - taken);
    assert_ptr_equal(batch.first, &f->items[taken].task); /* in order */
    assert_int_equal(submit(&batch, 0, 0), 20 - taken);   /* still */
    assert_int_equal(f->rooms, 0);
    open_gate(taken);
    WAIT_FOR(f->done == taken);
    WAIT_FOR(f->rooms == 1); /* once, however much there is */
    assert_true(submit(&batch, 0, 0) < 20 - taken);
    while (batch.first) {
        open_gate(1);
        submit(&batch, 0, 0);
    }
    open_gate(20);
    wr__workers_stop(f->workers);
    assert_int_equal(f->done, 20);
    assert_int_equal(shown(WR_N_TASKS), 20);
}

static void a_shared_queue_is_bounded(void **state)
{
    (void)state;
    fill(WR__DISPATCH_SHARED, 6, 2 + 6);
}

static void queues_are_bounded(void **state)
{
    (void)state;
    fill(WR__DISPATCH_ROUND_ROBIN, 6, 2 * (1 + 3));
}

static void one_may_wait(void **state)
{
    (void)state;
    fill(WR__DISPATCH_SHARED, 1, 2 + 1);
}

/* Growing and shrinking. */

/** Look once a second until nothing changes any more. */
static void tend_until_quiet(void)
{
    while (wr__workers_tend(f->workers, f->self) != WR_NEVER) {
        pass(WR_SEC);
    }
}

static void grow_and_shrink(wr__dispatch dispatch)
{
    int least = wr__cores() + 1, most = least + 4;
    wr__pool_size size = {.rule = WR__SIZE_MEASURED, .max = most};

    start(size, dispatch, 0);
    WAIT_FOR(f->threads == least);
    assert_true(wr__workers_tend(f->workers, f->self) == WR_NEVER);
    assert_int_equal(shown(WR_N_WORKERS), least);
    for (int round = 0; round < 3; round++) {
        int first = round * 100;

        f->begun = f->done = 0;
        for (int i = 0; i < 2 * most; i++) {
            f->items[first + i].waits = true;
        }
        submit_all(first, 2 * most);
        WAIT_FOR(f->begun == least); /* the others wait */
        assert_true(wr__workers_tend(f->workers, f->self) != WR_NEVER);
        assert_int_equal(f->threads, least); /* it is too early to know */
        pass(WR_SEC);
        wr__workers_tend(f->workers, f->self);
        while (shown(WR_N_WORKERS) < most) {
            /* A thread of the last round has not quite ended.  In seconds of
             * ours that take no time the need of more would be forgotten. */
            apr_sleep(50000);
            pass(WR_SEC);
            wr__workers_tend(f->workers, f->self);
        }
        WAIT_FOR(f->threads == most);
        submit_all(first + 2 * most, 2 * most); /* to the new ones, too */
        open_gate(2 * most);
        WAIT_FOR(f->done == 4 * most);
        tend_until_quiet();
        assert_int_equal(shown(WR_N_WORKERS), least);
        WAIT_FOR(f->threads == least);
        pass(3600 * WR_SEC);
    }
    wr__workers_stop(f->workers);
    assert_int_equal(f->threads, 0);
}

static void a_shared_pool_grows_and_shrinks(void **state)
{
    (void)state;
    grow_and_shrink(WR__DISPATCH_SHARED);
}

static void a_pool_of_queues_grows_and_shrinks(void **state)
{
    (void)state;
    grow_and_shrink(WR__DISPATCH_ROUND_ROBIN);
}

/** Whoever is to leave does what it has been given, and may stay after all. */
static void who_leaves_leaves_nothing(void **state)
{
    int least = wr__cores() + 1, most = least + 2;
    wr__pool_size size = {.rule = WR__SIZE_MEASURED, .max = most};

    (void)state;
    start(size, WR__DISPATCH_ROUND_ROBIN, 0);
    wr__workers_tend(f->workers, f->self);
    for (int i = 0; i < 4 * most; i++) {
        f->items[i].waits = true;
    }
    submit_all(0, least);
    WAIT_FOR(f->begun == least);
    pass(WR_SEC);
    wr__workers_tend(f->workers, f->self);
    assert_int_equal(shown(WR_N_WORKERS), most);
    submit_all(least, 3 * most);
    pass(3600 * WR_SEC); /* forgotten: as few as there may be */
    wr__workers_tend(f->workers, f->self);
    assert_int_equal(shown(WR_N_WORKERS), least);
    open_gate(least + 3 * most);
    WAIT_FOR(f->done == least + 3 * most);
    WAIT_FOR(f->threads == least);
    wr__workers_stop(f->workers);
}

static void rates_are_shown(void **state)
{
    (void)state;
    start(NUMBER(3), WR__DISPATCH_SHARED, 0);
    wr__workers_tend(f->workers, f->self);
    f->items[0].waits = true;
    submit_all(0, 1);
    WAIT_FOR(f->begun == 1);
    pass(WR_SEC);
    wr__workers_tend(f->workers, f->self);
    assert_int_equal(shown(WR_N_WORKERS), 3);
    assert_int_equal(shown(WR_N_TASK_RATE), 1000);
    assert_int_equal(shown(WR_N_WORKERS_NEEDED), 1000);
    open_gate(1);
    WAIT_FOR(f->done == 1);
    tend_until_quiet();
    assert_in_range(shown(WR_N_TASK_RATE), 0, 200);
    wr__workers_stop(f->workers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_task_is_done_once),
        TEST(calls_are_passed_on),
        TEST(a_shared_queue_keeps_order),
        TEST(round_robin_gives_to_each_in_turn),
        TEST(a_stuck_worker_strands_its_queue),
        TEST(least_loaded_goes_around_a_stuck_worker),
        TEST(full_queues_are_passed_over),
        TEST(random_is_even),
        TEST(the_idle_one_comes_first),
        TEST(a_shared_queue_is_bounded),
        TEST(queues_are_bounded),
        TEST(one_may_wait),
        TEST(a_shared_pool_grows_and_shrinks),
        TEST(a_pool_of_queues_grows_and_shrinks),
        TEST(who_leaves_leaves_nothing),
        TEST(rates_are_shown),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
