/*
 * test_poller.c - the poller's events: edges, stale ones, the child's signals
 * and listeners, and its table of ends.
 */
#include "mpm/common/poller.h"
#include "mpm/common/seat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS 8

struct client {
    wr_conn *conn;
    wr_end end;
    int fd; /* the other side of the socket */
};

struct fixture {
    apr_pool_t *pool;
    wr_child child;
    wr_listener listener, *listeners[1];
    wr__poller *poller;
    struct client clients[CONNS];
};

static void open_client(struct fixture *f, int i)
{
    struct client *client = &f->clients[i];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    client->fd = pair[0];
    client->end = (wr_end){.fd = pair[1], .conn = client->conn};
    client->conn->ends = &client->end;
}

static void close_client(struct fixture *f, int i)
{
    wr__poller_forget(f->poller, f->clients[i].conn);
    close(f->clients[i].end.fd);
    close(f->clients[i].fd);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    f->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    f->listeners[0] = &f->listener;
    f->child = (wr_child){.pool = f->pool,
                          .listeners = f->listeners,
                          .listener_count = 1,
                          .max_connections = CONNS,
                          .drain_fd = eventfd(0, EFD_NONBLOCK),
                          .stop_fd = eventfd(0, EFD_NONBLOCK)};
    assert_int_equal(wr__poller_create(&f->poller, &f->child), APR_SUCCESS);
    for (int i = 0; i < CONNS; i++) {
        f->clients[i].conn = calloc(1, sizeof(wr_conn) + sizeof(wr__seat));
        open_client(f, i);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < CONNS; i++) {
        close_client(f, i);
        free(f->clients[i].conn);
    }
    apr_pool_destroy(f->pool);
    close(f->listener.fd);
    close(f->child.drain_fd);
    close(f->child.stop_fd);
    free(f);
    return 0;
}

/** What is there now. */
static void look(struct fixture *f)
{
    assert_int_equal(wr__poller_wait(f->poller, 0, 0), APR_SUCCESS);
}

static bool next(struct fixture *f, wr__event *event)
{
    return wr__poller_next(f->poller, event);
}

static void expect_nothing(struct fixture *f)
{
    wr__event event;

    look(f);
    assert_false(next(f, &event));
}

/** Exactly one event, of a client. */
static void expect_client(struct fixture *f, int i, unsigned bits)
{
    struct client *client = &f->clients[i];
    wr__event event;

    look(f);
    assert_true(next(f, &event));
    assert_int_equal(event.kind, WR__EVENT_CONN);
    assert_ptr_equal(event.conn, client->conn);
    assert_int_equal(client->end.ready, bits);
    client->end.ready = 0;
    assert_false(next(f, &event));
}

static void watch(struct fixture *f, int i)
{
    assert_true(wr__poller_watch(f->poller, f->clients[i].conn));
}

static void what_is_ready_already_is_reported(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(write(f->clients[0].fd, "x", 1), 1);
    assert_false(wr__poller_watches(f->clients[0].conn));
    watch(f, 0);
    assert_true(wr__poller_watches(f->clients[0].conn));
    expect_client(f, 0, WR_READ | WR_WRITE);
    expect_nothing(f); /* an edge, not a level */
}

static void each_edge_is_reported(void **state)
{
    struct fixture *f = *state;

    watch(f, 0);
    expect_client(f, 0, WR_WRITE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(f->clients[0].fd, "x", 1), 1);
        expect_client(f, 0, WR_READ | WR_WRITE);
    }
    shutdown(f->clients[0].fd, SHUT_WR);
    expect_client(f, 0, WR_READ | WR_WRITE | WR_HUP);
}

static void bits_are_added(void **state)
{
    struct fixture *f = *state;
    wr__event event;

    watch(f, 0);
    f->clients[0].end.ready = WR_HUP; /* what was there stays */
    look(f);
    assert_true(next(f, &event));
    assert_int_equal(f->clients[0].end.ready, WR_WRITE | WR_HUP);
}

static void watching_again_is_nothing(void **state)
{
    struct fixture *f = *state;

    watch(f, 0);
    expect_client(f, 0, WR_WRITE);
    watch(f, 0);
    expect_nothing(f);
}

static void second_end_is_watched_later(void **state)
{
    struct fixture *f = *state;
    struct client *client = &f->clients[0];
    int pair[2];
    wr_end second = {.conn = client->conn};

    watch(f, 0);
    expect_client(f, 0, WR_WRITE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    second.fd = pair[1];
    client->end.next = &second;
    assert_false(wr__poller_watches(client->conn));
    watch(f, 0);
    assert_true(wr__poller_watches(client->conn));
    assert_int_not_equal(second.slot, client->end.slot);
    expect_client(f, 0, 0); /* the bits are the second end's */
    assert_int_equal(second.ready, WR_WRITE);
    wr__poller_forget(f->poller, client->conn);
    assert_int_equal(second.slot, 0);
    client->end.next = NULL;
    close(pair[0]);
    close(pair[1]);
}

/** An event already fetched, for an end closed since, and its place and its
 *  descriptor's number taken by another: it must not reach the other. */
static void stale_event_is_void(void **state)
{
    struct fixture *f = *state;
    struct client *old = &f->clients[0];
    uint32_t slot;
    wr__event event;

    watch(f, 0);
    slot = old->end.slot;
    look(f); /* fetched, not yet looked at */
    close_client(f, 0);
    open_client(f, 0);
    watch(f, 0);
    assert_int_equal(old->end.slot, slot);
    assert_false(next(f, &event));
    assert_int_equal(old->end.ready, 0);
    expect_client(f, 0, WR_WRITE); /* its own */
}

/** The descriptor lives on elsewhere, as in a child process, and so does what
 *  epoll knows of it. */
static void event_of_a_duplicate_is_void(void **state)
{
    struct fixture *f = *state;
    int copy = dup(f->clients[0].end.fd);
    int other = dup(f->clients[0].fd);

    watch(f, 0);
    expect_client(f, 0, WR_WRITE);
    close_client(f, 0);
    open_client(f, 0);
    assert_int_equal(write(other, "x", 1), 1);
    expect_nothing(f);
    close(copy);
    close(other);
}

/** A pipe of which somebody else has a copy is given to us a second time. */
static void second_end_comes_again(void **state)
{
    struct fixture *f = *state;
    struct client *client = &f->clients[0];
    wr_end second = {.conn = client->conn};
    int fds[2], number;

    assert_int_equal(pipe(fds), 0);
    watch(f, 0);
    expect_client(f, 0, WR_WRITE);
    client->end.next = &second;
    number = dup(fds[0]);
    for (int i = 0; i < 2; i++) {
        second.fd = i == 0 ? number : dup2(fds[0], number);
        second.is_gone = false;
        watch(f, 0);
        second.is_gone = true;
        wr__poller_forget_gone(f->poller, client->conn);
        assert_int_equal(second.slot, 0);
        assert_int_not_equal(client->end.slot, 0);
        close(second.fd);
    }
    client->end.next = NULL;
    close(fds[0]);
    close(fds[1]);
}

static void forgotten_is_silent(void **state)
{
    struct fixture *f = *state;

    watch(f, 0);
    wr__poller_forget(f->poller, f->clients[0].conn);
    assert_int_equal(f->clients[0].end.slot, 0);
    expect_nothing(f);
}

static void table_is_bounded_and_reused(void **state)
{
    struct fixture *f = *state;

    for (int n = 0; n < 100; n++) {
        for (int i = 0; i < CONNS; i++) {
            watch(f, i);
            assert_in_range(f->clients[i].end.slot, 1, CONNS);
        }
        for (int i = 0; i < CONNS; i++) {
            close_client(f, (i + n) % CONNS);
            open_client(f, (i + n) % CONNS);
        }
    }
    expect_nothing(f);
}

static void bad_descriptor_is_refused(void **state)
{
    struct fixture *f = *state;
    int fd = f->clients[0].end.fd;

    f->clients[0].end.fd = -1;
    assert_false(wr__poller_watch(f->poller, f->clients[0].conn));
    assert_int_equal(f->clients[0].end.slot, 0);
    f->clients[0].end.fd = fd;
    watch(f, 0);
}

static void each_finds_all_while_they_are_closed(void **state)
{
    struct fixture *f = *state;
    uint32_t place = 0;
    int found = 0;
    wr_conn *c;

    for (int i = 0; i < CONNS; i++) {
        watch(f, i);
    }
    wr__poller_forget(f->poller, f->clients[3].conn);
    while ((c = wr__poller_each(f->poller, &place))) {
        assert_ptr_not_equal(c, f->clients[3].conn);
        wr__poller_forget(f->poller, c);
        found++;
    }
    assert_int_equal(found, CONNS - 1);
    place = 0;
    assert_null(wr__poller_each(f->poller, &place));
}

static void signals_are_reported_once(void **state)
{
    struct fixture *f = *state;
    wr__event event;

    expect_nothing(f);
    eventfd_write(f->child.drain_fd, 1);
    look(f);
    assert_true(next(f, &event));
    assert_int_equal(event.kind, WR__EVENT_DRAIN);
    expect_nothing(f);
    eventfd_write(f->child.stop_fd, 1);
    look(f);
    assert_true(next(f, &event));
    assert_int_equal(event.kind, WR__EVENT_STOP);
    expect_nothing(f);
}

static void inbox_is_reported_each_time(void **state)
{
    struct fixture *f = *state;
    int fd = eventfd(0, EFD_NONBLOCK);
    wr__event event;

    assert_int_equal(wr__poller_add_inbox(f->poller, fd), APR_SUCCESS);
    for (int i = 0; i < 3; i++) {
        eventfd_write(fd, 1); /* and nobody reads */
        look(f);
        assert_true(next(f, &event));
        assert_int_equal(event.kind, WR__EVENT_INBOX);
        expect_nothing(f);
    }
    close(fd);
}

static void other_is_reported_until_read(void **state)
{
    struct fixture *f = *state;
    int fd = eventfd(0, EFD_NONBLOCK);
    eventfd_t value;
    wr__event event;

    assert_int_equal(wr__poller_add_other(f->poller, fd, 300), APR_SUCCESS);
    eventfd_write(fd, 1);
    for (int i = 0; i < 2; i++) {
        look(f);
        assert_true(next(f, &event));
        assert_int_equal(event.kind, WR__EVENT_OTHER);
        assert_int_equal(event.number, 300);
        assert_false(next(f, &event));
    }
    eventfd_read(fd, &value);
    look(f);
    expect_nothing(f);
    eventfd_write(fd, 1);
    wr__poller_remove_other(f->poller, fd);
    look(f);
    expect_nothing(f);
    close(fd);
}

static void listener_is_reported_until_accepted(void **state)
{
    struct fixture *f = *state;
    struct sockaddr any = {.sa_family = AF_UNIX};
    union {
        struct sockaddr any;
        struct sockaddr_storage space;
    } name;
    socklen_t len = sizeof(name);
    int client = socket(AF_UNIX, SOCK_STREAM, 0), accepted;
    wr__event event;

    bind(f->listener.fd, &any, sizeof(any.sa_family)); /* a name of its own */
    listen(f->listener.fd, 5);
    getsockname(f->listener.fd, &name.any, &len);
    assert_int_equal(connect(client, &name.any, len), 0);
    expect_nothing(f); /* not asked for */
    assert_int_equal(wr__poller_listen(f->poller, true), APR_SUCCESS);
    assert_int_equal(wr__poller_listen(f->poller, true), APR_SUCCESS);
    for (int i = 0; i < 2; i++) {
        look(f);
        assert_true(next(f, &event));
        assert_int_equal(event.kind, WR__EVENT_LISTENER);
        assert_ptr_equal(event.listener, &f->listener);
    }
    assert_int_equal(wr__poller_listen(f->poller, false), APR_SUCCESS);
    expect_nothing(f);
    assert_int_equal(wr__poller_listen(f->poller, true), APR_SUCCESS);
    accepted = accept(f->listener.fd, NULL, NULL);
    expect_nothing(f);
    close(accepted);
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_ready_already_is_reported),
        TEST(each_edge_is_reported),
        TEST(bits_are_added),
        TEST(watching_again_is_nothing),
        TEST(second_end_is_watched_later),
        TEST(stale_event_is_void),
        TEST(event_of_a_duplicate_is_void),
        TEST(second_end_comes_again),
        TEST(forgotten_is_silent),
        TEST(table_is_bounded_and_reused),
        TEST(bad_descriptor_is_refused),
        TEST(each_finds_all_while_they_are_closed),
        TEST(signals_are_reported_once),
        TEST(inbox_is_reported_each_time),
        TEST(other_is_reported_until_read),
        TEST(listener_is_reported_until_accepted),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
