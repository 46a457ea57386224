/*
 * test_helper_wire.c - what comes back from a helper process: only what was
 * asked for stays.
 */
#include "server/helper_wire.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>

struct fixture {
    int child, helper; /* the ends */
    int some;          /* a descriptor to send */
    int before;        /* descriptors that are open */
};

static int count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    f->child = ends[0];
    f->helper = ends[1];
    f->some = open("/dev/null", O_RDONLY);
    f->before = count_open();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->child);
    close(f->helper);
    close(f->some);
    free(f);
    return 0;
}

/** A result comes, with descriptors. */
static void answer(const struct fixture *f, bool has_fd, size_t fd_count)
{
    result r = {.has_fd = has_fd};
    struct iovec iov = {.iov_base = &r, .iov_len = sizeof(r)};
    const int fds[FDS_MAX] = {f->some, f->some};

    assert_int_equal(send_message(f->helper, &iov, 1, fds, fd_count, 0),
                     APR_SUCCESS);
}

static void test_what_was_opened_comes(void **state)
{
    struct fixture *f = *state;
    wr_op op = {.kind = WR_OP_LOOKUP, .fd = -1};

    answer(f, true, 1);
    assert_int_equal(wr_helper_receive(f->child, &op), APR_SUCCESS);
    assert_int_equal(op.status, APR_SUCCESS);
    assert_true(op.fd >= 0);
    close(op.fd);
    assert_int_equal(count_open(), f->before);
}

static void test_one_that_did_not_come_in_is_told(void **state)
{
    struct fixture *f = *state;
    wr_op op = {.kind = WR_OP_LOOKUP, .fd = -1};

    answer(f, true, 0);
    assert_int_equal(wr_helper_receive(f->child, &op), APR_SUCCESS);
    assert_int_equal(op.status, EMFILE);
    assert_int_equal(op.fd, -1);
}

static void test_descriptors_that_nobody_asked_for_are_closed(void **state)
{
    static const wr_op_kind kinds[] = {WR_OP_PAGE, WR_OP_READ, WR_OP_WRITE};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        wr_op op = {.kind = kinds[i], .fd = f->some};

        answer(f, true, 2);
        assert_int_equal(wr_helper_receive(f->child, &op), APR_SUCCESS);
        assert_int_equal(op.fd, f->some);
        answer(f, false, 1);
        assert_int_equal(wr_helper_receive(f->child, &op), APR_SUCCESS);
        assert_int_equal(op.fd, f->some);
        assert_int_equal(count_open(), f->before);
    }
}

static void test_what_is_no_result_is_the_end(void **state)
{
    struct fixture *f = *state;
    wr_op op = {.kind = WR_OP_STAT};

    assert_int_equal(wr_helper_receive(f->child, &op), APR_EAGAIN);
    assert_int_equal(write(f->helper, "odd", 3), 3);
    assert_int_equal(wr_helper_receive(f->child, &op), APR_EOF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_opened_comes),
        TEST(test_one_that_did_not_come_in_is_told),
        TEST(test_descriptors_that_nobody_asked_for_are_closed),
        TEST(test_what_is_no_result_is_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
