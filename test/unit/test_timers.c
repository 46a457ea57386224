/*
 * test_timers.c - the lazy heap of deadlines, against a plain list.
 */
#include "mpm/common/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>

#define CONNS 300

struct fixture {
    apr_pool_t *pool;
    wr__timers timers;
    wr_conn *conns[CONNS];
    int64_t when[CONNS]; /* as the timers should have it; 0: none */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    wr__timers_init(&f->timers, CONNS, f->pool);
    for (int i = 0; i < CONNS; i++) {
        f->conns[i] = aligned_alloc(16, sizeof(wr_conn) + sizeof(wr__seat));
        memset(f->conns[i], 0, sizeof(wr_conn) + sizeof(wr__seat));
        f->conns[i]->serial = (uint32_t)i;
        f->conns[i]->deadline = WR_NEVER;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < CONNS; i++) {
        free(f->conns[i]);
    }
    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

static void set(struct fixture *f, int i, int64_t when)
{
    wr__timers_set(&f->timers, f->conns[i], when);
    f->when[i] = when;
}

static void empty_never_fires(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(wr__timers_next(&f->timers), WR_NEVER);
    assert_null(wr__timers_fire(&f->timers, WR_NEVER - 1));
}

static void fires_when_due_and_once(void **state)
{
    struct fixture *f = *state;

    set(f, 0, 100);
    assert_int_equal(wr__timers_next(&f->timers), 100);
    assert_null(wr__timers_fire(&f->timers, 99));
    assert_ptr_equal(wr__timers_fire(&f->timers, 100), f->conns[0]);
    assert_null(wr__timers_fire(&f->timers, 1000));
    assert_int_equal(wr__timers_next(&f->timers), WR_NEVER);
}

static void set_again_moves_the_one_entry(void **state)
{
    struct fixture *f = *state;

    set(f, 0, 100);
    set(f, 1, 150);
    set(f, 0, 200);
    assert_int_equal(wr__timers_next(&f->timers), 150);
    set(f, 0, 50);
    assert_int_equal(wr__timers_next(&f->timers), 50);
    assert_int_equal(f->timers.count, 2);
}

static void removed_does_not_fire(void **state)
{
    struct fixture *f = *state;

    set(f, 0, 100);
    set(f, 1, 200);
    wr__timers_remove(&f->timers, f->conns[0]);
    wr__timers_remove(&f->timers, f->conns[0]);
    wr__timers_remove(&f->timers, f->conns[2]);
    assert_ptr_equal(wr__timers_fire(&f->timers, 500), f->conns[1]);
    assert_null(wr__timers_fire(&f->timers, 500));
}

static void cover_means_in_time(void **state)
{
    struct fixture *f = *state;
    wr_conn *c = f->conns[0];

    assert_true(wr__timers_cover(c)); /* never needs no timer */
    c->deadline = 100;
    assert_false(wr__timers_cover(c)); /* none */
    set(f, 0, 100);
    assert_true(wr__timers_cover(c));
    c->deadline = 150; /* moved on: it fires early, and is set anew then */
    assert_true(wr__timers_cover(c));
    c->deadline = 99; /* came nearer */
    assert_false(wr__timers_cover(c));
    c->deadline = 150;
    assert_ptr_equal(wr__timers_fire(&f->timers, 100), c);
    assert_false(wr__timers_cover(c)); /* fired: none */
    set(f, 0, 150);
    wr__timers_remove(&f->timers, c);
    assert_false(wr__timers_cover(c));
}

/** The earliest of the list. */
static int64_t earliest(const struct fixture *f)
{
    int64_t least = WR_NEVER;

    for (int i = 0; i < CONNS; i++) {
        if (f->when[i] && f->when[i] < least) {
            least = f->when[i];
        }
    }
    return least;
}

static void check_fire(struct fixture *f, int64_t now)
{
    int64_t least = earliest(f);
    wr_conn *c = wr__timers_fire(&f->timers, now);

    if (least > now) {
        assert_null(c);
        return;
    }
    assert_non_null(c);
    assert_int_equal(f->when[c->serial], least);
    f->when[c->serial] = 0;
}

static void agrees_with_a_list(void **state)
{
    struct fixture *f = *state;
    int64_t now = 1000;

    srand(1);
    for (int n = 0; n < 20000; n++) {
        int i = rand() % CONNS;

        switch (rand() % 4) {
        case 0:
        case 1:
            set(f, i, now + rand() % 500 - 20);
            break;
        case 2:
            wr__timers_remove(&f->timers, f->conns[i]);
            f->when[i] = 0;
            break;
        case 3:
            now += rand() % 3;
            check_fire(f, now);
            break;
        }
        assert_int_equal(wr__timers_next(&f->timers), earliest(f));
    }
    while (f->timers.count) {
        check_fire(f, WR_NEVER - 1);
    }
    assert_int_equal(earliest(f), WR_NEVER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_never_fires),
        TEST(fires_when_due_and_once),
        TEST(set_again_moves_the_one_entry),
        TEST(removed_does_not_fire),
        TEST(cover_means_in_time),
        TEST(agrees_with_a_list),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
