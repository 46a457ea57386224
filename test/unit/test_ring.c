/*
 * test_ring.c - operations that the kernel carries out: each completes once,
 * with its name and its result, or goes on until it is cancelled.
 *
 * Where the system has no io_uring for us, there is nothing to test.
 */
#include "mpm/common/ring.h"
#include "mpm/common/ring_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFERS 4
#define SIZE    4096
#define PATIENT (20 * WR_SEC) /* ends a test that would hang */

struct fixture {
    apr_pool_t *pool;
    wr__ring *ring;
    int pair[2]; /* sockets: ours, the other side */
};

static int set_up(void **state)
{
    wr__ring_options options = {
        .entries = 8, .io_workers = 2, .buffers = BUFFERS, .buffer_size = SIZE};
    struct fixture *f = calloc(1, sizeof(*f));
    const char *failed = NULL;

    apr_pool_create(&f->pool, NULL);
    *state = f;
    if (wr__ring_create(&f->ring, &failed, &options, f->pool) != APR_SUCCESS) {
        print_message("no ring: %s\n", failed);
        f->ring = NULL;
    }
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->pair);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    close(f->pair[0]);
    close(f->pair[1]);
    free(f);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;

    if (!f->ring) {
        skip();
    }
    return f;
}

static wr__ring_name number(unsigned n)
{
    return (wr__ring_name){.kind = 3, .number = n};
}

/** The next completion, which is there or comes. */
static wr__ring_event next(struct fixture *f)
{
    wr__ring_event event;

    if (!wr__ring_next(f->ring, &event)) {
        assert_int_equal(wr__ring_wait(f->ring, PATIENT), APR_SUCCESS);
        assert_true(wr__ring_next(f->ring, &event));
    }
    return event;
}

static void expect_nothing(struct fixture *f)
{
    wr__ring_event event;

    assert_int_equal(wr__ring_wait(f->ring, 0), APR_SUCCESS);
    assert_false(wr__ring_next(f->ring, &event));
}

static void expect_data(struct fixture *f, unsigned n, const char *text)
{
    wr__ring_event event = next(f);

    assert_int_equal(event.name.number, n);
    assert_int_equal(event.result, strlen(text));
    assert_memory_equal(event.data, text, strlen(text));
    assert_true(event.is_last);
    wr__ring_give_back(f->ring, &event);
}

static void names_come_back(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event event;

    wr__ring_await_room(f->ring, f->pair[0],
                        (wr__ring_name){.kind = 5, .object = (void *)f});
    event = next(f);
    assert_int_equal(event.name.kind, 5);
    assert_ptr_equal(event.name.object, f);
    wr__ring_await_room(f->ring, f->pair[0], number(70000));
    event = next(f);
    assert_int_equal(event.name.kind, 3);
    assert_int_equal(event.name.number, 70000);
}

static void receive_waits(void **state)
{
    struct fixture *f = fixture_of(state);

    for (int i = 0; i < 2; i++) { /* as a first try, and without one */
        wr__ring_receive(f->ring, f->pair[0], i == 0, number(1));
        expect_nothing(f);
        assert_int_equal(write(f->pair[1], "hello", 5), 5);
        expect_data(f, 1, "hello");
        expect_nothing(f);
    }
}

static void receive_sees_the_end(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event event;

    wr__ring_receive(f->ring, f->pair[0], true, number(1));
    shutdown(f->pair[1], SHUT_WR);
    event = next(f);
    assert_int_equal(event.result, 0);
    assert_null(event.data);
}

/** A pipe that, as all of ours, would not block. */
static void pipe_is_received_from(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event event;
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    for (int i = 0; i < 2 * BUFFERS; i++) {
        wr__ring_receive_pipe(f->ring, fds[0], number(2));
        expect_nothing(f);
        assert_int_equal(write(fds[1], "pipe", 4), 4);
        expect_data(f, 2, "pipe");
    }
    wr__ring_receive_pipe(f->ring, fds[0], number(2));
    expect_nothing(f);
    close(fds[1]);
    event = next(f);
    assert_int_equal(event.result, 0);
    close(fds[0]);
}

static void cancelled_ends(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event event;
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    wr__ring_receive_pipe(f->ring, fds[0], number(2));
    wr__ring_receive(f->ring, f->pair[0], true, number(1));
    expect_nothing(f);
    wr__ring_cancel_fd(f->ring, fds[0]);
    event = next(f);
    assert_int_equal(event.name.number, 2);
    assert_int_equal(event.result, -ECANCELED);
    expect_nothing(f); /* the other one is still out */
    assert_int_equal(write(f->pair[1], "x", 1), 1);
    expect_data(f, 1, "x");
    close(fds[0]);
    close(fds[1]);
}

static void used_up_buffers_come_again(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event events[BUFFERS + 1];

    for (int i = 0; i <= BUFFERS; i++) {
        assert_int_equal(write(f->pair[1], "x", 1), 1);
        wr__ring_receive(f->ring, f->pair[0], true, number(1));
        events[i] = next(f);
    }
    assert_int_equal(events[BUFFERS].result, -ENOBUFS);
    for (int i = 0; i < BUFFERS; i++) {
        assert_int_equal(events[i].result, 1);
        wr__ring_give_back(f->ring, &events[i]);
    }
    wr__ring_receive(f->ring, f->pair[0], true, number(1));
    expect_data(f, 1, "x");
}

/** To the last byte, though more than the socket takes at once. */
static void send_goes_on(void **state)
{
    struct fixture *f = fixture_of(state);
    size_t size = 4 << 20, got = 0;
    char *data = calloc(1, size), buf[65536];
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    wr__ring_event event;

    wr__ring_send(f->ring, f->pair[0], &message, MSG_WAITALL, number(4));
    expect_nothing(f);
    while (got < size) {
        ssize_t n = read(f->pair[1], buf, sizeof(buf));

        if (n > 0) {
            got += (size_t)n;
        }
        else {
            assert_int_equal(errno, EAGAIN);
        }
        assert_int_equal(wr__ring_wait(f->ring, 0), APR_SUCCESS);
    }
    event = next(f);
    assert_int_equal(event.result, size);
    free(data);
}

static void send_now_takes_what_fits(void **state)
{
    struct fixture *f = fixture_of(state);
    size_t size = 4 << 20;
    char *data = calloc(1, size);
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    wr__ring_event event;

    wr__ring_send(f->ring, f->pair[0], &message, MSG_DONTWAIT, number(4));
    event = next(f);
    assert_in_range(event.result, 1, size - 1);
    wr__ring_send(f->ring, f->pair[0], &message, MSG_DONTWAIT, number(4));
    event = next(f);
    assert_int_equal(event.result, -EAGAIN);
    free(data);
}

/** More than there are entries: each has flags of its own. */
static void paths_are_opened(void **state)
{
    struct fixture *f = fixture_of(state);
    int dir = open("/proc/self", O_PATH | O_CLOEXEC);

    for (int i = 0; i < 20; i++) {
        wr__ring_open(f->ring, dir, i % 2 ? "../version" : "comm",
                      O_RDONLY | O_CLOEXEC, i % 4 == 1 ? RESOLVE_BENEATH : 0,
                      number((unsigned)i));
    }
    for (int i = 0; i < 20; i++) {
        wr__ring_event event = next(f);

        if (event.name.number % 4 == 1) {
            assert_int_equal(event.result, -EXDEV);
            continue;
        }
        assert_true(event.result >= 0);
        close(event.result);
    }
    close(dir);
}

static void files_are_read(void **state)
{
    struct fixture *f = fixture_of(state);
    int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
    char buf[4] = "";
    wr__ring_event event;

    wr__ring_read(f->ring, fd, buf, sizeof(buf), 1, number(1));
    event = next(f);
    assert_int_equal(event.result, sizeof(buf));
    assert_memory_equal(buf, "inux", 4);
    wr__ring_read(f->ring, fd, NULL, (size_t)1 << 30, 0, number(2));
    event = next(f); /* into nowhere, and not beyond */
    assert_in_range(event.result, 5, WR__RING_SCRATCH);
    close(fd);
}

static void connections_come_until_cancelled(void **state)
{
    struct fixture *f = fixture_of(state);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    wr__ring_event event;

    assert_int_equal(bind(listener, (void *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 5), 0);
    getsockname(listener, (void *)&addr, &len);
    wr__ring_accept(f->ring, listener, number(6));
    expect_nothing(f);
    for (int i = 0; i < 3; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(connect(client, (void *)&addr, sizeof(addr)), 0);
        event = next(f);
        assert_true(event.result >= 0);
        assert_false(event.is_last);
        assert_true(fcntl(event.result, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(event.result, F_GETFD) & FD_CLOEXEC);
        close(event.result);
        close(client);
    }
    wr__ring_cancel(f->ring, number(6));
    event = next(f);
    assert_int_equal(event.result, -ECANCELED);
    assert_true(event.is_last);
    close(listener);
}

static void watch_tells_each_time(void **state)
{
    struct fixture *f = fixture_of(state);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    wr__ring_watch(f->ring, fd, number(7));
    expect_nothing(f);
    for (int i = 0; i < 3; i++) {
        wr__ring_event event;

        eventfd_write(fd, 1); /* and nobody reads */
        event = next(f);
        assert_int_equal(event.name.number, 7);
        assert_false(event.is_last);
        expect_nothing(f);
    }
    close(fd);
}

static void wait_ends_in_time(void **state)
{
    struct fixture *f = fixture_of(state);
    wr__ring_event event;

    assert_int_equal(wr__ring_wait(f->ring, WR_MS), APR_SUCCESS);
    assert_false(wr__ring_next(f->ring, &event));
}

/** From a file into a socket, and no more than the socket takes at once. */
static void pages_go_through_a_pipe(void **state)
{
    struct fixture *f = fixture_of(state);
    char path[] = "/tmp/weir-ring-XXXXXX", text[] = "through a pipe", got[64];
    int file = mkstemp(path);
    wr__pipe *pipe = wr__pipes_take(wr__pipes_create(1, f->pool));

    assert_non_null(pipe);
    assert_int_equal(write(file, text, sizeof(text)), sizeof(text));
    wr__ring_splice(f->ring, file, 8, pipe->in, 100, false, number(1));
    assert_int_equal(next(f).result, sizeof(text) - 8);
    wr__ring_splice(f->ring, file, 100, pipe->in, 100, false, number(2));
    assert_int_equal(next(f).result, 0);
    wr__ring_splice(f->ring, pipe->out, -1, f->pair[0], 100, true, number(3));
    assert_int_equal(next(f).result, sizeof(text) - 8);
    assert_int_equal(read(f->pair[1], got, sizeof(got)), sizeof(text) - 8);
    assert_string_equal(got, text + 8);
    while (send(f->pair[0], text, sizeof(text), MSG_DONTWAIT) > 0) {
    }
    wr__ring_splice(f->ring, file, 0, pipe->in, 100, false, number(4));
    assert_int_equal(next(f).result, sizeof(text));
    wr__ring_splice(f->ring, pipe->out, -1, f->pair[0], 100, false, number(5));
    assert_int_equal(next(f).result, -EAGAIN);
    close(file);
    unlink(path);
}

static void a_pipe_comes_back_empty(void **state)
{
    struct fixture *f = *state;
    wr__pipes *pipes = wr__pipes_create(2, f->pool);
    wr__pipe *a = wr__pipes_take(pipes), *b = wr__pipes_take(pipes);
    char byte = 'x';

    assert_non_null(a);
    assert_non_null(b);
    assert_null(wr__pipes_take(pipes));
    assert_int_equal(write(a->in, &byte, 1), 1);
    wr__pipes_give(pipes, a, false);
    a = wr__pipes_take(pipes);
    assert_int_equal(fcntl(a->out, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(a->out, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    wr__pipes_give(pipes, b, true);
    assert_ptr_equal(wr__pipes_take(pipes), b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_come_back),
        TEST(receive_waits),
        TEST(receive_sees_the_end),
        TEST(pipe_is_received_from),
        TEST(cancelled_ends),
        TEST(used_up_buffers_come_again),
        TEST(send_goes_on),
        TEST(send_now_takes_what_fits),
        TEST(paths_are_opened),
        TEST(files_are_read),
        TEST(connections_come_until_cancelled),
        TEST(watch_tells_each_time),
        TEST(wait_ends_in_time),
        TEST(pages_go_through_a_pipe),
        TEST(a_pipe_comes_back_empty),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
