/*
 * test_queue.c - lists of tasks, the inbox of a sleeping thread: order, nothing
 * lost, nothing twice, no wake-up missed.
 */
#include "mpm/common/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_thread_proc.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#define GIVERS 3
#define TASKS  20000 /* of each giver */

struct item {
    wr_task task;
    int giver, number;
};

struct fixture {
    apr_pool_t *pool;
    wr__inbox inbox;
    struct item items[GIVERS][TASKS];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    assert_int_equal(wr__inbox_init(&f->inbox, f->pool), APR_SUCCESS);
    for (int g = 0; g < GIVERS; g++) {
        for (int i = 0; i < TASKS; i++) {
            f->items[g][i].giver = g;
            f->items[g][i].number = i;
        }
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

/* Lists. */

static void fifo_keeps_order(void **state)
{
    struct fixture *f = *state;
    wr__fifo list = {0};

    assert_null(wr__fifo_take(&list));
    for (int i = 0; i < 3; i++) {
        wr__fifo_put(&list, &f->items[0][i].task);
    }
    assert_ptr_equal(wr__fifo_take(&list), &f->items[0][0].task);
    wr__fifo_put(&list, &f->items[0][3].task);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(list.count, 4 - i);
        assert_ptr_equal(wr__fifo_take(&list), &f->items[0][i].task);
    }
    assert_null(wr__fifo_take(&list));
    wr__fifo_put(&list, &f->items[0][0].task); /* usable after being empty */
    assert_ptr_equal(wr__fifo_take(&list), &f->items[0][0].task);
}

static void append_moves_all(void **state)
{
    struct fixture *f = *state;
    wr__fifo a = {0}, b = {0};

    wr__fifo_append(&a, &b);
    assert_null(a.first);
    wr__fifo_put(&b, &f->items[0][0].task);
    wr__fifo_append(&a, &b); /* to an empty one */
    assert_null(b.first);
    assert_null(b.last);
    wr__fifo_put(&b, &f->items[0][1].task);
    wr__fifo_put(&b, &f->items[0][2].task);
    wr__fifo_append(&a, &b); /* behind others */
    assert_int_equal(a.count, 3);
    assert_int_equal(b.count, 0);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(wr__fifo_take(&a), &f->items[0][i].task);
    }
}

/* The inbox. */

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void inbox_keeps_order(void **state)
{
    struct fixture *f = *state;
    wr__fifo list = {0};

    wr__inbox_put(&f->inbox, &f->items[0][0].task);
    wr__inbox_put(&f->inbox, &f->items[0][1].task);
    wr__inbox_take(&f->inbox, &list);
    wr__inbox_put(&f->inbox, &f->items[0][2].task);
    wr__inbox_take(&f->inbox, &list);
    wr__inbox_take(&f->inbox, &list);
    assert_int_equal(list.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(wr__fifo_take(&list), &f->items[0][i].task);
    }
}

static void only_a_sleeper_is_woken(void **state)
{
    struct fixture *f = *state;
    wr__fifo list = {0};

    assert_false(wr__inbox_put(&f->inbox, &f->items[0][0].task));
    assert_false(is_readable(f->inbox.fd));
    assert_false(wr__inbox_sleep(&f->inbox)); /* there is something */
    wr__inbox_take(&f->inbox, &list);
    wr__inbox_put(&f->inbox, &f->items[0][1].task);
    assert_false(is_readable(f->inbox.fd)); /* it did not sleep after all */
    wr__inbox_take(&f->inbox, &list);
    assert_true(wr__inbox_sleep(&f->inbox));
    assert_false(is_readable(f->inbox.fd));
    assert_true(wr__inbox_put(&f->inbox, &f->items[0][2].task));
    assert_true(is_readable(f->inbox.fd));
}

/** It is seen by who sleeps later, too. */
static void a_poke_is_not_lost(void **state)
{
    struct fixture *f = *state;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int poller = epoll_create1(0);

    epoll_ctl(poller, EPOLL_CTL_ADD, f->inbox.fd, &event);
    wr__inbox_poke(&f->inbox);
    assert_true(wr__inbox_sleep(&f->inbox));
    assert_int_equal(epoll_wait(poller, &event, 1, 0), 1);
    assert_int_equal(epoll_wait(poller, &event, 1, 0), 0); /* once */
    wr__inbox_poke(&f->inbox);
    assert_int_equal(epoll_wait(poller, &event, 1, 0), 1);
    close(poller);
}

struct giver {
    struct fixture *f;
    int number;
};

static void *APR_THREAD_FUNC give_to_inbox(apr_thread_t *thread, void *data)
{
    struct giver *giver = data;

    (void)thread;
    for (int i = 0; i < TASKS; i++) {
        wr__inbox_put(&giver->f->inbox,
                      &giver->f->items[giver->number][i].task);
        if (i % 64 == 0) {
            sched_yield(); /* let the taker fall asleep now and then */
        }
    }
    return NULL;
}

/** Count a task that was taken; in the order in which its giver gave it. */
static void check_taken(wr_task *task, int *next)
{
    struct item *item = (struct item *)task;

    assert_int_equal(item->number, next[item->giver]);
    next[item->giver]++;
}

/** A lost wake-up would leave the taker asleep: the wait's end is the test's.
 */
static void take_all(struct fixture *f, int poller)
{
    int next[GIVERS] = {0}, taken = 0;
    struct epoll_event event;

    while (taken < GIVERS * TASKS) {
        wr__fifo list = {0};
        wr_task *task;

        if (wr__inbox_sleep(&f->inbox)) {
            int n = epoll_wait(poller, &event, 1, 20000);

            assert_int_not_equal(n, 0);
        }
        wr__inbox_wake(&f->inbox);
        wr__inbox_take(&f->inbox, &list);
        while ((task = wr__fifo_take(&list))) {
            check_taken(task, next);
            taken++;
        }
    }
}

static void inbox_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct giver givers[GIVERS];
    apr_thread_t *threads[GIVERS];
    int poller = epoll_create1(0);

    epoll_ctl(poller, EPOLL_CTL_ADD, f->inbox.fd, &event);
    for (int g = 0; g < GIVERS; g++) {
        givers[g] = (struct giver){f, g};
        apr_thread_create(&threads[g], NULL, give_to_inbox, &givers[g],
                          f->pool);
    }
    take_all(f, poller);
    for (int g = 0; g < GIVERS; g++) {
        apr_status_t rv;

        apr_thread_join(&rv, threads[g]);
    }
    assert_true(wr__inbox_sleep(&f->inbox)); /* nothing is left */
    close(poller);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fifo_keeps_order),   TEST(append_moves_all),
        TEST(inbox_keeps_order),  TEST(only_a_sleeper_is_woken),
        TEST(a_poke_is_not_lost), TEST(inbox_loses_nothing),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
