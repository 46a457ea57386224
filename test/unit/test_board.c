/*
 * test_board.c - the scoreboard's rows: claimed, kept over their threads' ends,
 * freed when their process dies.
 */
#include "server/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static wr_thread thread_of(wr_row *row)
{
    return (wr_thread){.row = row};
}

static void test_without_board_a_thread_counts_for_itself(void **state)
{
    wr_row *row = wr__board_claim("test", 0, "early");
    wr_thread self = thread_of(row);
    wr_board_info info;

    (void)state;
    wr_count(&self, WR_N_REQUESTS, 3);
    assert_int_equal(row->n[WR_N_REQUESTS], 3);
    wr_board_info_get(&info);
    assert_int_equal(info.rows, 0);
    assert_int_equal(wr_board_sum(WR_N_REQUESTS), 0);
    wr__board_release(row, NULL);
}

static void test_counters_outlive_their_thread(void **state)
{
    wr_row *row = wr__board_claim("test", 0, "worker1");
    int64_t before = wr_board_sum(WR_N_REQUESTS);
    wr_thread self = thread_of(row);

    (void)state;
    wr_count(&self, WR_N_REQUESTS, 5);
    wr__board_release(row, NULL);
    assert_int_equal(row->pid, 0);
    assert_int_equal(wr_board_sum(WR_N_REQUESTS), before + 5);
    assert_ptr_equal(wr__board_claim("test", 0, "worker1"), row);
    assert_int_equal(row->n[WR_N_REQUESTS], 5);
    assert_int_equal(row->pid, getpid());
    wr__board_release(row, NULL);
}

/** The one row of a living thread of that role, as anybody can read it. */
static wr_row_view view_of(const char *role)
{
    wr_row_view view, found = {.pid = 0};
    wr_board_info info;
    int count = 0;

    wr_board_info_get(&info);
    for (int i = 0; i < info.rows; i++) {
        if (wr_board_read(i, &view) && view.pid != 0
            && strcmp(view.role, role) == 0) {
            found = view;
            count++;
        }
    }
    assert_int_equal(count, 1);
    return found;
}

static void test_a_row_can_be_read_by_anybody(void **state)
{
    wr_row *row = wr__board_claim("test", 3, "shown");
    wr_thread self = thread_of(row);
    wr_row_view view = view_of("shown");

    (void)state;
    assert_string_equal(view.mpm, "test");
    assert_int_equal(view.pid, getpid());
    assert_int_equal(view.tid, gettid());
    assert_int_equal(view.child, 3);
    assert_int_equal(view.state, WR_ROLE_BUSY);
    assert_int_equal(view.n[WR_N_REQUESTS], 0);
    wr_count(&self, WR_N_REQUESTS, 4);
    wr_role_is(&self, WR_ROLE_WAITING);
    view = view_of("shown");
    assert_int_equal(view.n[WR_N_REQUESTS], 4);
    assert_int_equal(view.state, WR_ROLE_WAITING);
    wr__board_release(row, NULL);
    /* Its next thread begins where this one ended. */
    assert_ptr_equal(wr__board_claim("test", 4, "shown"), row);
    view = view_of("shown");
    assert_int_equal(view.child, 4);
    assert_int_equal(view.before[WR_N_REQUESTS], 4);
    assert_int_equal(view.n[WR_N_REQUESTS], 4);
    wr__board_release(row, NULL);
}

static void test_another_role_has_another_row(void **state)
{
    wr_row *io = wr__board_claim("test", 0, "io");
    wr_row *same = wr__board_claim("test", 0, "io");
    wr_row *other = wr__board_claim("test", 0, "worker2");

    (void)state;
    assert_ptr_not_equal(io, same);
    assert_ptr_not_equal(io, other);
    view_of("worker2");
    wr__board_release(io, NULL);
    wr__board_release(same, NULL);
    wr__board_release(other, NULL);
}

static void test_gauges_go_to_the_heir(void **state)
{
    wr_row *heir = wr__board_claim("test", 0, "child");
    wr_row *row = wr__board_claim("test", 0, "io");
    int64_t before = wr_board_sum(WR_N_IDLE);
    wr_thread self = thread_of(row);

    (void)state;
    wr_count(&self, WR_N_IDLE, -2);
    wr__board_release(row, heir);
    assert_int_equal(row->n[WR_N_IDLE], 0);
    assert_int_equal(heir->n[WR_N_IDLE], -2);
    assert_int_equal(wr_board_sum(WR_N_IDLE), before - 2);
    wr__board_release(heir, NULL);
    assert_int_equal(wr_board_sum(WR_N_IDLE), before);
}

static void die_with_a_row(void)
{
    wr_thread self = thread_of(wr__board_claim("test", 0, "doomed"));

    wr_count(&self, WR_N_IDLE, 7);
    wr_count(&self, WR_N_REQUESTS, 7);
    _exit(0);
}

static void test_a_dead_process_leaves_counters_and_no_gauges(void **state)
{
    int64_t idle = wr_board_sum(WR_N_IDLE);
    int64_t requests = wr_board_sum(WR_N_REQUESTS);
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        die_with_a_row();
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(wr_board_sum(WR_N_IDLE), idle + 7);
    wr__board_reap(pid);
    assert_int_equal(wr_board_sum(WR_N_IDLE), idle);
    assert_int_equal(wr_board_sum(WR_N_REQUESTS), requests + 7);
}

static void test_rows_are_enough_for_all_and_some_are_not_seen(void **state)
{
    enum {
        MANY = 5000
    };
    static wr_row *rows[MANY];
    int64_t before = wr_board_sum(WR_N_REQUESTS);
    wr_board_info info;
    char role[16];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        wr_thread self;

        snprintf(role, sizeof(role), "many%d", i);
        rows[i] = wr__board_claim("test", 0, role);
        self = thread_of(rows[i]);
        wr_count(&self, WR_N_REQUESTS, 1);
    }
    wr_board_info_get(&info);
    assert_in_range(info.rows, 4096, 4096);
    for (int i = 0; i < MANY; i++) {
        wr__board_release(rows[i], NULL);
    }
    /* What retires when rows are taken by others is still in the sum. */
    assert_int_equal(wr_board_sum(WR_N_REQUESTS), before + 4096);
    rows[0] = wr__board_claim("test", 0, "another");
    assert_int_equal(rows[0]->n[WR_N_REQUESTS], 0);
    assert_true(wr_board_retired(WR_N_REQUESTS) > 0);
    assert_int_equal(wr_board_sum(WR_N_REQUESTS), before + 4096);
    wr__board_release(rows[0], NULL);
}

static void test_every_counter_is_described(void **state)
{
    (void)state;
    for (int i = 0; i < WR_N_COUNT; i++) {
        assert_non_null(wr_counter_infos[i].name);
        assert_true(strlen(wr_counter_infos[i].help) > 0);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(wr_counter_infos[i].name,
                                    wr_counter_infos[k].name);
        }
    }
}

static int make_board(void **state)
{
    (void)state;
    return wr__board_create();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_counter_is_described),
        cmocka_unit_test(test_without_board_a_thread_counts_for_itself),
        cmocka_unit_test_setup(test_counters_outlive_their_thread, make_board),
        cmocka_unit_test(test_a_row_can_be_read_by_anybody),
        cmocka_unit_test(test_another_role_has_another_row),
        cmocka_unit_test(test_gauges_go_to_the_heir),
        cmocka_unit_test(test_a_dead_process_leaves_counters_and_no_gauges),
        cmocka_unit_test(test_rows_are_enough_for_all_and_some_are_not_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
