/*
 * test_pool_size.c - the sizes of pools: the words for them, the arithmetic,
 * and what is measured, by a clock that the test sets.
 */
#include "mpm/common/pool_size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>

#define CORES 2
#define START (1000 * WR_SEC)

static apr_pool_t *pool;

static const wr_command command = {
    .name = "ThreadsPerChild",
    .run = wr__set_pool_size,
    .min = 1,
    .max = 4096,
};

/** @return what is wrong with it, or NULL. */
static const char *set(wr__pool_size *size, const char *first,
                       const char *second)
{
    const char *argv[] = {first, second, NULL};
    wr_command_call call = {.command = &command, .pool = pool};

    return wr__set_pool_size(&call, size, second ? 2 : 1, argv);
}

static void words_are_understood(void **state)
{
    wr__pool_size size = {0};

    (void)state;
    assert_null(set(&size, "7", NULL));
    assert_int_equal(size.rule, WR__SIZE_NUMBER);
    assert_int_equal(size.number, 7);
    assert_null(set(&size, "auto", "cpu"));
    assert_int_equal(size.rule, WR__SIZE_CPU);
    assert_null(set(&size, "Auto", "IO"));
    assert_int_equal(size.rule, WR__SIZE_IO);
    assert_null(set(&size, "auto", NULL));
    assert_int_equal(size.rule, WR__SIZE_MEASURED);
    assert_null(set(&size, "auto", "measured"));
    assert_int_equal(size.rule, WR__SIZE_MEASURED);
}

static void nonsense_is_refused(void **state)
{
    wr__pool_size size = {.rule = WR__SIZE_IO};

    (void)state;
    assert_string_equal(set(&size, "auto", "disk"),
                        "\"disk\" is none of cpu, io and measured");
    assert_string_equal(set(&size, "7", "io"), "only auto has a second word");
    assert_non_null(strstr(set(&size, "many", NULL), "not a whole number"));
    assert_non_null(strstr(set(&size, "0", NULL), "at least 1"));
    assert_non_null(strstr(set(&size, "5000", NULL), "at most 4096"));
    assert_int_equal(size.rule, WR__SIZE_IO);
}

static void rules_of_thumb(void **state)
{
    wr__pool_size size = {.number = 9, .max = 64};

    (void)state;
    assert_int_equal(wr__pool_least(&size, CORES), 9);
    assert_int_equal(wr__pool_most(&size, CORES), 9);
    size.rule = WR__SIZE_CPU;
    assert_int_equal(wr__pool_least(&size, CORES), 3);
    assert_int_equal(wr__pool_most(&size, CORES), 3);
    size.rule = WR__SIZE_IO;
    assert_int_equal(wr__pool_least(&size, CORES), 5);
    size.rule = WR__SIZE_MEASURED;
    assert_int_equal(wr__pool_least(&size, CORES), 3);
    assert_int_equal(wr__pool_most(&size, CORES), 64);
    size.max = 2;
    assert_int_equal(wr__pool_least(&size, CORES), 2);
    assert_true(wr__cores() >= 1);
}

static const char *describe(wr__size_rule rule, int cores)
{
    wr__pool_size size = {.rule = rule, .number = 9, .max = 64};

    return wr__pool_describe("ThreadsPerChild", &size, cores, pool);
}

static void the_arithmetic_is_shown(void **state)
{
    (void)state;
    assert_string_equal(describe(WR__SIZE_NUMBER, 2), "ThreadsPerChild: 9\n");
    assert_string_equal(describe(WR__SIZE_CPU, 1),
                        "ThreadsPerChild: 2 = 1 core + 1\n");
    assert_string_equal(describe(WR__SIZE_IO, 2),
                        "ThreadsPerChild: 5 = 2 x 2 cores + 1\n");
    assert_string_equal(describe(WR__SIZE_MEASURED, 2),
                        "ThreadsPerChild: 3 (2 cores + 1) to 64, measured: "
                        "tasks a second x seconds each, and twice its root\n");
}

/* Measuring. */

static const wr__pool_size measured = {.rule = WR__SIZE_MEASURED, .max = 64};

/** A pool to which something happens each second. */
typedef struct run {
    wr__pool_meter meter;
    wr__pool_totals totals;
    int64_t now;
    int size;
} run;

static void look(run *r)
{
    r->size = wr__pool_measure(&r->meter, &measured, CORES, &r->totals, r->now);
}

static run begin(void)
{
    run r = {.now = START};

    look(&r);
    return r;
}

/** Seconds in which so many come, and end, and keep so many busy. */
static void pass(run *r, int seconds, int arrived, int finished, double busy)
{
    while (seconds-- > 0) {
        r->now += WR_SEC;
        r->totals.arrived += arrived;
        r->totals.finished += finished;
        r->totals.held_ns += (int64_t)(busy * WR_SEC);
        look(r);
    }
}

static void an_idle_pool_has_the_least(void **state)
{
    run r = begin();

    (void)state;
    assert_int_equal(r.size, 3);
    pass(&r, 5, 0, 0, 0);
    assert_int_equal(r.size, 3);
}

/** 200 a second that take 10 ms each keep two busy. */
static void littles_law(void **state)
{
    run r = begin();

    (void)state;
    pass(&r, 20, 200, 200, 2);
    assert_true(r.meter.rate > 199 && r.meter.rate < 201);
    assert_true(r.meter.time > 0.0099 && r.meter.time < 0.0101);
    assert_int_equal(r.size, 2 + 3); /* and 2 x 1.4, rounded up */
    pass(&r, 30, 900, 900, 9);
    assert_int_equal(r.size, 9 + 6);
}

/** More comes than ends: those that are there say how long one takes, what
 *  comes says how many are needed. */
static void growth_does_not_wait_for_what_waits(void **state)
{
    run r = begin();

    (void)state;
    pass(&r, 10, 100, 30, 3);
    assert_int_equal(r.size, 10 + 7);
}

/** None has ended yet. */
static void stuck_workers_make_it_grow(void **state)
{
    run r = begin();
    int after_one;

    (void)state;
    pass(&r, 1, 5, 0, 3);
    after_one = r.size;
    assert_true(after_one > 3);
    pass(&r, 1, 5, 0, after_one);
    assert_true(r.size > after_one);
    pass(&r, 10, 5, 0, 64);
    assert_int_equal(r.size, 64);
}

/** A few that take long do not make all that are short seem long. */
static void short_ones_count_as_short(void **state)
{
    run r = begin();

    (void)state;
    pass(&r, 20, 1000, 1000, 2); /* 1 ms each, and one that stays */
    assert_int_equal(r.size, 2 + 3);
}

static void it_shrinks_again(void **state)
{
    run r = begin();
    int before;

    (void)state;
    pass(&r, 20, 100, 100, 40);
    before = r.size;
    assert_int_equal(before, 40 + 13);
    for (int i = 0; i < 30; i++) {
        pass(&r, 1, 0, 0, 0);
        assert_true(r.size <= before);
        assert_true(i > 0 || r.size > before / 2); /* not all at once */
        before = r.size;
    }
    assert_int_equal(before, 3);
}

static void bounds_hold(void **state)
{
    wr__pool_size small = {.rule = WR__SIZE_MEASURED, .max = 2};
    run r = begin();

    (void)state;
    pass(&r, 10, 1000000, 1000000, 5000);
    assert_int_equal(r.size, 64);
    assert_int_equal(
        wr__pool_measure(&r.meter, &small, CORES, &r.totals, r.now + WR_SEC),
        2);
}

/** Looked at again within the same moment, or later than after a second. */
static void the_clock_may_do_as_it_likes(void **state)
{
    run r = begin();

    (void)state;
    look(&r);
    assert_int_equal(r.size, 3);
    r.now += 5 * WR_SEC;
    r.totals = (wr__pool_totals){1000, 1000, 10 * WR_SEC};
    look(&r);
    assert_int_equal(r.size, 2 + 3);
    look(&r);
    assert_int_equal(r.size, 2 + 3);
}

/** Nobody looks at a pool that has nothing to do; that does not make what comes
 *  afterwards seem seldom. */
static void a_long_rest_is_forgotten(void **state)
{
    run r = begin();

    (void)state;
    pass(&r, 10, 200, 200, 2);
    r.now += 3600 * WR_SEC;
    look(&r);
    assert_int_equal(r.size, 3);
    pass(&r, 1, 900, 900, 9);
    assert_int_equal(r.size, 9 + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_understood),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(rules_of_thumb),
        cmocka_unit_test(the_arithmetic_is_shown),
        cmocka_unit_test(an_idle_pool_has_the_least),
        cmocka_unit_test(littles_law),
        cmocka_unit_test(growth_does_not_wait_for_what_waits),
        cmocka_unit_test(stuck_workers_make_it_grow),
        cmocka_unit_test(short_ones_count_as_short),
        cmocka_unit_test(it_shrinks_again),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(the_clock_may_do_as_it_likes),
        cmocka_unit_test(a_long_rest_is_forgotten),
    };
    int failed;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
