/*
 * test_threads.c - a set of threads that grows and shrinks: bounds, places used
 * again, what has ended is joined, adding from within.
 */
#include "mpm/common/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <dirent.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#define MAX 4

struct fixture {
    apr_pool_t *pool;
    wr_child child;
    wr__threads *threads;
    sem_t go; /* a thread that waits may end */
    _Atomic int begun, ended, inited, finished;
    _Atomic int number_max; /* of the threads' roles */
    _Atomic int to_add;
};

static struct fixture *the_fixture;

/* What the threads need of the core. */

wr_thread *wr_thread_init(wr_child *child, const char *role)
{
    wr_thread *self = calloc(1, sizeof(*self));
    int number = atoi(role + 1);

    self->child = child;
    assert_int_equal(role[0], 't');
    if (number > the_fixture->number_max) {
        the_fixture->number_max = number;
    }
    the_fixture->inited++;
    return self;
}

void wr_thread_finish(wr_thread *self)
{
    the_fixture->finished++;
    free(self);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    f->child.pool = f->pool;
    sem_init(&f->go, 0, 0);
    the_fixture = *state = f;
    alarm(60);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    alarm(0);
    assert_int_equal(f->inited, f->finished);
    apr_pool_destroy(f->pool);
    sem_destroy(&f->go);
    free(f);
    return 0;
}

static void start(struct fixture *f, int count, wr__thread_fn *run)
{
    wr__threads_options options = {
        .role = "t", .count = count, .max = MAX, .run = run, .arg = f};

    assert_int_equal(wr__threads_start(&f->threads, &f->child, &options),
                     APR_SUCCESS);
}

static void wait_to_end(wr_thread *self, void *arg)
{
    struct fixture *f = arg;

    (void)self;
    f->begun++;
    while (sem_wait(&f->go) < 0) {
    }
    f->ended++;
}

static int count_tasks(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = -2; /* "." and ".." */

    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static void all_are_joined(void **state)
{
    struct fixture *f = *state;

    start(f, 2, wait_to_end);
    sem_post(&f->go);
    sem_post(&f->go);
    wr__threads_join(f->threads);
    assert_int_equal(f->ended, 2);
}

static void none_to_begin_with(void **state)
{
    struct fixture *f = *state;

    start(f, 0, wait_to_end);
    sem_post(&f->go);
    assert_int_equal(wr__threads_add(f->threads, f), APR_SUCCESS);
    wr__threads_join(f->threads);
    assert_int_equal(f->ended, 1);
}

static void no_more_than_max(void **state)
{
    struct fixture *f = *state;

    start(f, 1, wait_to_end);
    for (int i = 1; i < MAX; i++) {
        assert_int_equal(wr__threads_add(f->threads, f), APR_SUCCESS);
    }
    assert_int_equal(wr__threads_add(f->threads, f), APR_EBUSY);
    sem_post(&f->go);
    wr__threads_wait(f->threads); /* until one has ended */
    assert_int_equal(wr__threads_add(f->threads, f), APR_SUCCESS);
    assert_int_equal(wr__threads_add(f->threads, f), APR_EBUSY);
    for (int i = 0; i < MAX; i++) {
        sem_post(&f->go);
    }
    wr__threads_join(f->threads);
    assert_int_equal(f->ended, MAX + 1);
    assert_true(f->number_max <= MAX);
}

/** Those that come and go leave nothing: no thread, no place. */
static void places_are_used_again(void **state)
{
    struct fixture *f = *state;
    int before = count_tasks();

    start(f, 0, wait_to_end);
    for (int i = 0; i < 1000; i++) {
        wr__threads_wait(f->threads);
        assert_int_equal(wr__threads_add(f->threads, f), APR_SUCCESS);
        sem_post(&f->go);
        assert_true(count_tasks() <= before + MAX + 1);
    }
    wr__threads_join(f->threads);
    assert_int_equal(f->ended, 1000);
    assert_true(f->number_max <= MAX);
}

static void add_another_and_end(wr_thread *self, void *arg)
{
    struct fixture *f = arg;

    (void)self;
    while (f->to_add-- > 0 && wr__threads_add(f->threads, f) == APR_EBUSY) {
        sched_yield();
    }
    f->ended++;
}

/** A set that makes itself: its end is not taken for reached in between. */
static void added_from_within(void **state)
{
    struct fixture *f = *state;

    f->to_add = 500;
    start(f, 0, add_another_and_end);
    assert_int_equal(wr__threads_add(f->threads, f), APR_SUCCESS);
    wr__threads_join(f->threads);
    assert_true(f->ended > 1 && f->ended <= 501);
    assert_true(f->to_add <= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_joined),    TEST(none_to_begin_with),
        TEST(no_more_than_max),  TEST(places_are_used_again),
        TEST(added_from_within),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
