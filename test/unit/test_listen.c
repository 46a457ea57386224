/*
 * test_listen.c - sockets to accept on: their options, what is inherited and
 * what is bound, and what is left open after a failure.
 */
#include "server/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    apr_pool_t *pool;
    wr__config config;
    apr_array_header_t *inherited;
    apr_array_header_t *listeners;
    const char *error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    f->config.listens = apr_array_make(f->pool, 2, sizeof(wr__listen *));
    f->config.listen_backlog = 7;
    f->inherited = apr_array_make(f->pool, 2, sizeof(wr__bound));
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

static void add(struct fixture *f, const char *address, uint16_t port)
{
    wr__listen *l = apr_pcalloc(f->pool, sizeof(*l));

    l->address = address;
    l->port = port;
    l->file = "weir.conf";
    l->line = 10 + f->config.listens->nelts;
    APR_ARRAY_PUSH(f->config.listens, wr__listen *) = l;
}

static apr_status_t open_all(struct fixture *f)
{
    return wr__listen_open(&f->listeners, &f->config, f->inherited, &f->error,
                           f->pool);
}

static wr_listener *at(struct fixture *f, int i)
{
    assert_true(i < f->listeners->nelts);
    return APR_ARRAY_IDX(f->listeners, i, wr_listener *);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static int connect_to(const wr_listener *l)
{
    int fd = socket(l->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, &l->addr.any, sizeof(l->addr)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void socket_has_all_options(void **state)
{
    struct fixture *f = *state;

    add(f, "127.0.0.1", 0);
    f->config.send_buffer_size = 20000;
    assert_int_equal(open_all(f), APR_SUCCESS);
    assert_int_equal(f->listeners->nelts, 1);
    int fd = at(f, 0)->fd;
    assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 20000);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_true(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) >= 1);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void accepted_socket_inherits_nodelay(void **state)
{
    struct fixture *f = *state;

    add(f, "127.0.0.1", 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    int client = connect_to(at(f, 0));
    assert_true(client >= 0);
    assert_int_equal(write(client, "G", 1), 1); /* ends the deferral */
    int fd = accept(at(f, 0)->fd, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    close(fd);
    close(client);
}

static void name_and_port_are_the_real_ones(void **state)
{
    struct fixture *f = *state;

    add(f, "127.0.0.1", 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    wr_listener *l = at(f, 0);
    assert_true(l->port > 0);
    assert_int_equal(l->port, ntohs(l->addr.v4.sin_port));
    assert_string_equal(l->name,
                        apr_psprintf(f->pool, "127.0.0.1:%u", l->port));
}

static void ipv6_is_ipv6_only(void **state)
{
    struct fixture *f = *state;

    add(f, "::1", 0);
    if (open_all(f) != APR_SUCCESS) {
        skip(); /* a system without IPv6 */
    }
    wr_listener *l = at(f, 0);
    assert_int_equal(option(l->fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_string_equal(l->name, apr_psprintf(f->pool, "[::1]:%u", l->port));
    assert_int_equal(l->port, ntohs(l->addr.v6.sin6_port));
}

static void no_address_means_all_of_either_family(void **state)
{
    struct fixture *f = *state;

    add(f, NULL, 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    assert_memory_equal(at(f, 0)->name, "0.0.0.0:", 8);
    if (f->listeners->nelts > 1) {
        assert_int_equal(f->listeners->nelts, 2);
        assert_memory_equal(at(f, 1)->name, "[::]:", 5);
    }
}

static void inherited_socket_is_used_again(void **state)
{
    struct fixture *f = *state;

    add(f, "127.0.0.1", 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    wr_listener *old = at(f, 0);
    assert_false(wr__listen_is_inherited(old, f->inherited));
    APR_ARRAY_PUSH(f->inherited, wr__bound) =
        (wr__bound){.name = old->name, .fd = old->fd};

    apr_array_clear(f->config.listens);
    add(f, "127.0.0.1", old->port);
    add(f, "127.0.0.2", old->port);
    f->config.send_buffer_size = 30000;
    assert_int_equal(open_all(f), APR_SUCCESS);
    assert_int_equal(f->listeners->nelts, 2);
    assert_int_equal(at(f, 0)->fd, old->fd);
    assert_string_equal(at(f, 0)->name, old->name);
    assert_true(wr__listen_is_inherited(at(f, 0), f->inherited));
    assert_false(wr__listen_is_inherited(at(f, 1), f->inherited));
    assert_int_equal(option(old->fd, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
}

static void taken_address_is_named_and_nothing_stays_open(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;

    add(f, "127.0.0.1", 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    uint16_t taken = at(f, 0)->port;

    other.config.listens = apr_array_make(f->pool, 2, sizeof(wr__listen *));
    add(&other, "127.0.0.1", 0);
    add(&other, "127.0.0.1", taken);
    other.listeners = NULL;
    int before = count_descriptors();
    assert_int_equal(open_all(&other), EADDRINUSE);
    assert_int_equal(count_descriptors(), before);
    assert_null(other.listeners);
    assert_string_equal(other.error,
                        apr_psprintf(f->pool,
                                     "weir.conf:11: could not listen on "
                                     "127.0.0.1:%u: Address already in use",
                                     taken));
}

static void failure_leaves_inherited_ones_open(void **state)
{
    struct fixture *f = *state;

    add(f, "127.0.0.1", 0);
    assert_int_equal(open_all(f), APR_SUCCESS);
    wr_listener *old = at(f, 0);
    APR_ARRAY_PUSH(f->inherited, wr__bound) =
        (wr__bound){.name = old->name, .fd = old->fd};
    apr_array_clear(f->config.listens);
    add(f, "127.0.0.1", old->port);
    add(f, "192.0.2.1", 0); /* documentation's: nobody has it */
    assert_int_not_equal(open_all(f), APR_SUCCESS);
    int client = connect_to(old);
    assert_true(client >= 0);
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(socket_has_all_options),
        TEST(accepted_socket_inherits_nodelay),
        TEST(name_and_port_are_the_real_ones),
        TEST(ipv6_is_ipv6_only),
        TEST(no_address_means_all_of_either_family),
        TEST(inherited_socket_is_used_again),
        TEST(taken_address_is_named_and_nothing_stays_open),
        TEST(failure_leaves_inherited_ones_open),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
