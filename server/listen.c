/*
 * listen.c - sockets to accept on.
 *
 * In a generation, before it forks, with the privileges of its start.  What is
 * set here on the listening socket holds for the accepted ones, which on Linux
 * inherit it: no call per connection.  Accepts nothing.
 */
#include "listen.h"

#include <apr_network_io.h>
#include <apr_portable.h>
#include <apr_strings.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A first byte within a second, or the connection is reported without one. */
#define DEFER_ACCEPT_SECONDS 1

/* What the steps of one wr__listen_open() share. */
typedef struct opening {
    const wr__config *config;
    const apr_array_header_t *inherited;
    apr_array_header_t *listeners;
    apr_pool_t *pool;
} opening;

static const char *address_name(apr_sockaddr_t *sa, apr_port_t port,
                                apr_pool_t *pool)
{
    char ip[64] = "";
    apr_sockaddr_ip_getbuf(ip, sizeof(ip), sa);
    return apr_psprintf(pool, sa->family == APR_INET ? "%s:%u" : "[%s]:%u", ip,
                        (unsigned)port);
}

static const wr__bound *find_bound(const apr_array_header_t *inherited,
                                   const char *name)
{
    for (int i = 0; i < inherited->nelts; i++) {
        const wr__bound *bound = &APR_ARRAY_IDX(inherited, i, wr__bound);
        if (strcmp(bound->name, name) == 0) {
            return bound;
        }
    }
    return NULL;
}

bool wr__listen_is_inherited(const wr_listener *listener,
                             const apr_array_header_t *inherited)
{
    for (int i = 0; i < inherited->nelts; i++) {
        if (APR_ARRAY_IDX(inherited, i, wr__bound).fd == listener->fd) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const apr_array_header_t *listeners, const char *name)
{
    for (int i = 0; i < listeners->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(listeners, i, wr_listener *)->name, name)
            == 0) {
            return true;
        }
    }
    return false;
}

static apr_status_t bind_new(apr_socket_t **sock, apr_sockaddr_t *sa,
                             apr_pool_t *pool)
{
    apr_socket_t *s;
    apr_status_t rv;

    rv = apr_socket_create(&s, sa->family, SOCK_STREAM, APR_PROTO_TCP, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_socket_opt_set(s, APR_SO_REUSEADDR, 1);
    if (rv == APR_SUCCESS && sa->family != APR_INET) {
        rv = apr_socket_opt_set(s, APR_IPV6_V6ONLY, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_socket_bind(s, sa);
    }
    if (rv != APR_SUCCESS) {
        apr_socket_close(s);
        return rv;
    }
    *sock = s;
    return APR_SUCCESS;
}

/* Also for inherited sockets.  A buffer size once set stays so until the
 * address is bound anew: the kernel has no way back to its own sizing. */
static apr_status_t set_options(apr_socket_t *sock, const wr__config *config)
{
    apr_status_t rv = apr_socket_opt_set(sock, APR_SO_NONBLOCK, 1);
    if (rv == APR_SUCCESS) {
        rv = apr_socket_opt_set(sock, APR_TCP_NODELAY, 1);
    }
    if (rv == APR_SUCCESS && config->send_buffer_size > 0) {
        rv = apr_socket_opt_set(sock, APR_SO_SNDBUF, config->send_buffer_size);
    }
    if (rv == APR_SUCCESS && config->receive_buffer_size > 0) {
        rv = apr_socket_opt_set(sock, APR_SO_RCVBUF,
                                config->receive_buffer_size);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_socket_listen(sock, config->listen_backlog);
    }
    /* Only spares a wake-up: no harm where the kernel hasn't got it. */
    apr_socket_opt_set(sock, APR_TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS);
    return rv;
}

static apr_status_t fill_listener(wr_listener *l, apr_socket_t *sock,
                                  apr_sockaddr_t *sa, apr_pool_t *pool)
{
    socklen_t len = sizeof(l->addr);
    apr_status_t rv = apr_os_sock_get(&l->fd, sock);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (getsockname(l->fd, &l->addr.any, &len) != 0) {
        return errno;
    }
    l->port = ntohs(l->addr.any.sa_family == AF_INET ? l->addr.v4.sin_port
                                                     : l->addr.v6.sin6_port);
    l->name = address_name(sa, l->port, pool); /* port 0 has become one */
    return APR_SUCCESS;
}

static apr_status_t open_one(opening *o, const char *host, apr_port_t port)
{
    apr_int32_t family = strchr(host, ':') != NULL ? APR_INET6 : APR_INET;
    apr_sockaddr_t *sa;
    apr_socket_t *sock = NULL;
    apr_status_t rv;

    rv = apr_sockaddr_info_get(&sa, host, family, port, 0, o->pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    const char *name = address_name(sa, port, o->pool);
    if (is_listed(o->listeners, name)) {
        return APR_SUCCESS;
    }
    const wr__bound *bound = find_bound(o->inherited, name);
    if (bound != NULL) {
        apr_os_sock_t fd = bound->fd;
        rv = apr_os_sock_put(&sock, &fd, o->pool);
    }
    else {
        rv = bind_new(&sock, sa, o->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = set_options(sock, o->config);
    }
    wr_listener *l = apr_pcalloc(o->pool, sizeof(*l));
    if (rv == APR_SUCCESS) {
        rv = fill_listener(l, sock, sa, o->pool);
    }
    if (rv == APR_SUCCESS) {
        APR_ARRAY_PUSH(o->listeners, wr_listener *) = l;
    }
    return rv;
}

static bool lacks_ipv6(apr_status_t rv)
{
    return rv == EAFNOSUPPORT || rv == EADDRNOTAVAIL;
}

static apr_status_t open_any(opening *o, apr_port_t port)
{
    apr_status_t rv = open_one(o, "0.0.0.0", port);
#if APR_HAVE_IPV6
    if (rv == APR_SUCCESS) {
        rv = open_one(o, "::", port);
        if (lacks_ipv6(rv)) {
            rv = APR_SUCCESS;
        }
    }
#endif
    return rv;
}

apr_status_t wr__listen_open(apr_array_header_t **listeners,
                             const wr__config *config,
                             const apr_array_header_t *inherited,
                             const char **error, apr_pool_t *pool)
{
    opening o = {.config = config, .inherited = inherited};
    apr_pool_create(&o.pool, pool);
    o.listeners = apr_array_make(o.pool, 4, sizeof(wr_listener *));

    for (int i = 0; i < config->listens->nelts; i++) {
        const wr__listen *where =
            APR_ARRAY_IDX(config->listens, i, wr__listen *);
        apr_status_t rv = where->address == NULL
                              ? open_any(&o, where->port)
                              : open_one(&o, where->address, where->port);
        if (rv != APR_SUCCESS) {
            char text[128];
            *error = apr_psprintf(
                pool, "%s:%d: could not listen on %s:%u: %s", where->file,
                where->line, where->address != NULL ? where->address : "*",
                (unsigned)where->port, apr_strerror(rv, text, sizeof(text)));
            apr_pool_destroy(o.pool); /* closes what was bound */
            return rv;
        }
    }
    *listeners = o.listeners;
    return APR_SUCCESS;
}
