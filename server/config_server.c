/*
 * config_server.c - servers, <VirtualHost> and <Directory>: made while the
 * tree is carried out, merged after it, looked up while serving.
 *
 * All but the two wr__..._find() runs where a configuration is read, in one
 * thread.  Those two run in any thread of a child and only read: all merges
 * were made beforehand.
 */
#include "config_server.h"

#include "config_core.h"

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_log.h"
#include "wr_mpm.h"

#include <apr_fnmatch.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Instead of no bound: it can be added to a clock. */

/* Servers that share a listener's address, and their names. */
typedef struct address {
    const wr__listen *listen;
    int family; /* AF_UNSPEC: any */
    unsigned char bytes[sizeof(struct in6_addr)];
    apr_array_header_t *servers;  /* wr_server *, the default one first */
    apr_hash_t *names;            /* named, by name */
    apr_array_header_t *patterns; /* named */
    /* address *: those of this machine that connections to a Listen without
     * one may have come to, and that <VirtualHost>s name; NULL: none */
    apr_array_header_t *locals;
} address;

/* A name, or a pattern of names.  Who stands first in the file wins. */
typedef struct named {
    const char *name;
    wr_server *server;
    int order;
} named;

/* servers --------------------------------------------------------------------
 */

/* What a virtual host takes from the main server unless it was given; the bits
 * of wr_server.is_set are indices here. */
#define FIELD(NAME)                                                  \
    {                                                                \
        offsetof(wr_server, NAME), sizeof(((wr_server *)NULL)->NAME) \
    }
static const struct {
    size_t offset, size;
} inherited[] = {
    FIELD(name),          FIELD(port),
    FIELD(document_root), FIELD(root),
    FIELD(timeout_ns),    FIELD(keep_alive_timeout_ns),
    FIELD(keep_alive),    FIELD(max_keep_alive_requests),
    FIELD(log_level),     FIELD(admin),
    FIELD(scheme),
};
#define INHERITED_COUNT (sizeof(inherited) / sizeof(inherited[0]))

static unsigned field_bit(size_t offset)
{
    for (unsigned i = 0; i < INHERITED_COUNT; i++) {
        if (inherited[i].offset == offset) {
            return 1u << i;
        }
    }
    return 0;
}

void wr__server_mark(wr_server *server, size_t offset)
{
    server->is_set |= field_bit(offset);
}

static void inherit_fields(wr_server *server, const wr_server *main_server)
{
    for (unsigned i = 0; i < INHERITED_COUNT; i++) {
        if (!(server->is_set & 1u << i)) {
            memcpy((char *)server + inherited[i].offset,
                   (const char *)main_server + inherited[i].offset,
                   inherited[i].size);
        }
    }
}

static wr_server *make_server(const wr__config *config, const char *file,
                              int line)
{
    apr_pool_t *pool = config->pool;
    wr_server *s = apr_pcalloc(pool, sizeof(*s));

    s->file = file;
    s->line = line;
    s->aliases = apr_array_make(pool, 2, sizeof(const char *));
    s->addresses = apr_array_make(pool, 2, sizeof(const char *));
    s->sections = apr_array_make(pool, 4, sizeof(wr_section *));
    s->config =
        apr_pcalloc(pool, (size_t)config->modules->nelts * sizeof(void *));
    s->config[wr__core_module.index] = wr__core_server_create(pool);
    s->dir_config = wr__dir_config_make(config, pool);
    return s;
}

wr_server *wr__server_create(const wr__config *config, const char *file)
{
    wr_server *s = make_server(config, file, 1);

    s->timeout_ns = 60 * WR_SEC;
    s->keep_alive_timeout_ns = 5 * WR_SEC;
    s->keep_alive = 1;
    s->max_keep_alive_requests = 1000;
    s->log_level = WR_LOG_WARN;
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        if (m->create_server_config && m != &wr__core_module) {
            s->config[i] = m->create_server_config(config->pool);
        }
        if (m->create_dir_config) {
            s->dir_config->config[i] = m->create_dir_config(config->pool);
        }
    }
    wr__core_server_defaults(wr__core_server_of(s));
    wr__core_dir_defaults(wr_dir_config_of(s->dir_config, &wr__core_module));
    return s;
}

/* sections -------------------------------------------------------------------
 */

/* "*:80", "192.0.2.1", "[::1]:443": a family, an address, a port (0: any). */
static bool parse_host_address(const char *text, int *family,
                               unsigned char *bytes, apr_port_t *port,
                               apr_pool_t *pool)
{
    char *host, *scope;
    size_t len = strlen(text);

    if (len > 2 && strcmp(text + len - 2, ":*") == 0) {
        text = apr_pstrmemdup(pool, text, len - 2);
    }
    if (apr_parse_addr_port(&host, &scope, port, text, pool) != APR_SUCCESS
        || !host || scope) {
        return false;
    }
    if (strcmp(host, "*") == 0 || strcasecmp(host, "_default_") == 0) {
        *family = AF_UNSPEC;
        return true;
    }
    *family = strchr(host, ':') ? AF_INET6 : AF_INET;
    return inet_pton(*family, host, bytes) == 1;
}

const char *wr__run_virtual_host(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    const wr_directive *d = call->directive;
    wr_server *last = call->walk->config->main_server;
    wr_server *server = make_server(call->walk->config, d->file, d->line);
    wr_command_call inside = wr__walk_call(call->walk, server, WR_IN_SERVER);

    (void)config;
    for (int i = 0; i < argc; i++) {
        unsigned char bytes[sizeof(struct in6_addr)];
        int family;
        apr_port_t port;

        if (!parse_host_address(argv[i], &family, bytes, &port, call->pool)) {
            return apr_psprintf(call->pool,
                                "\"%.200s\" is not *, IPv4 or [IPv6], with "
                                ":PORT or without",
                                argv[i]);
        }
        APR_ARRAY_PUSH(server->addresses, const char *) = argv[i];
    }
    while (last->next) {
        last = last->next;
    }
    last->next = server;
    wr__walk_run(&inside, d->first_child);
    return NULL;
}

/* merging --------------------------------------------------------------------
 */

static void merge_server(const wr__config *config, wr_server *server)
{
    const wr_server *base = config->main_server;

    inherit_fields(server, base);
    wr__log_levels_inherit(config, server,
                           server->is_set
                               & field_bit(offsetof(wr_server, log_level)));
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        server->config[i] =
            wr__part_merge(base->config[i], server->config[i],
                           m->merge_server_config, config->pool);
    }
    server->dir_config = wr__dir_config_merge(config, base->dir_config,
                                              server->dir_config, config->pool);
    server->sections =
        apr_array_append(config->pool, base->sections, server->sections);
}

/* names ----------------------------------------------------------------------
 */

static void add_name(address *a, wr_server *server, const char *name, int order,
                     apr_pool_t *pool)
{
    named *n;
    bool is_pattern = name && strpbrk(name, "*?");

    if (!name
        || (!is_pattern && apr_hash_get(a->names, name, APR_HASH_KEY_STRING))) {
        return;
    }
    n = apr_palloc(pool, sizeof(*n));
    n->name = name;
    n->server = server;
    n->order = order;
    if (is_pattern) {
        APR_ARRAY_PUSH(a->patterns, named *) = n;
    }
    else {
        apr_hash_set(a->names, name, APR_HASH_KEY_STRING, n);
    }
}

static void add_names(address *a, apr_pool_t *pool)
{
    for (int i = 0; i < a->servers->nelts; i++) {
        wr_server *s = APR_ARRAY_IDX(a->servers, i, wr_server *);

        add_name(a, s, s->name, i, pool);
        for (int j = 0; j < s->aliases->nelts; j++) {
            add_name(a, s, APR_ARRAY_IDX(s->aliases, j, const char *), i, pool);
        }
    }
}

static size_t address_len(int family)
{
    return family == AF_INET6 ? sizeof(struct in6_addr)
                              : sizeof(struct in_addr);
}

/* Does an address of a <VirtualHost> stand for a Listen's?  Exactly, or by
 * being a *. */
static bool fits(const address *a, const char *text, bool exactly,
                 apr_pool_t *pool)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    apr_port_t port;
    int family;

    if (!parse_host_address(text, &family, bytes, &port, pool)
        || (port != 0 && port != a->listen->port)) {
        return false;
    }
    if (!exactly) {
        return family == AF_UNSPEC;
    }
    return family != AF_UNSPEC && family == a->family
           && memcmp(bytes, a->bytes, address_len(family)) == 0;
}

static bool server_fits(const address *a, const wr_server *server, bool exactly,
                        apr_pool_t *pool)
{
    for (int i = 0; i < server->addresses->nelts; i++) {
        if (fits(a, APR_ARRAY_IDX(server->addresses, i, const char *), exactly,
                 pool)) {
            return true;
        }
    }
    return false;
}

/* Those that name the address itself; if none does, those that say "*"; if
 * none does, the main server. */
static void find_servers(address *a, const wr__config *config)
{
    for (int exactly = 1; exactly >= 0 && a->servers->nelts == 0; exactly--) {
        for (wr_server *s = config->main_server->next; s; s = s->next) {
            if (server_fits(a, s, exactly, config->pool)) {
                APR_ARRAY_PUSH(a->servers, wr_server *) = s;
            }
        }
    }
    if (a->servers->nelts == 0) {
        APR_ARRAY_PUSH(a->servers, wr_server *) = config->main_server;
    }
}

static address *create_address(const wr__listen *l, int family,
                               const unsigned char *bytes, apr_pool_t *pool)
{
    address *a = apr_pcalloc(pool, sizeof(*a));

    a->listen = l;
    a->family = family;
    memcpy(a->bytes, bytes, address_len(family));
    a->servers = apr_array_make(pool, 4, sizeof(wr_server *));
    a->patterns = apr_array_make(pool, 4, sizeof(named *));
    a->names = apr_hash_make(pool);
    return a;
}

static const unsigned char zeros[sizeof(struct in6_addr)];

static bool is_any(int family, const unsigned char *bytes)
{
    return family == AF_UNSPEC
           || memcmp(bytes, zeros, address_len(family)) == 0;
}

/* Can a connection that came to a Listen without an address have come to this
 * one of a <VirtualHost>? */
static bool is_local_of(const address *a, const char *text, int *family,
                        unsigned char *bytes, apr_pool_t *pool)
{
    apr_port_t port;

    return is_any(a->family, a->bytes)
           && parse_host_address(text, family, bytes, &port, pool)
           && (port == 0 || port == a->listen->port) && !is_any(*family, bytes)
           && (a->family == AF_UNSPEC || a->family == *family);
}

static address *find_local(const address *a, int family, const void *bytes)
{
    for (int i = 0; a->locals && i < a->locals->nelts; i++) {
        address *local = APR_ARRAY_IDX(a->locals, i, address *);

        if (local->family == family
            && memcmp(local->bytes, bytes, address_len(family)) == 0) {
            return local;
        }
    }
    return NULL;
}

static void add_local(address *a, const char *text, const wr__config *config)
{
    apr_pool_t *pool = config->pool;
    unsigned char bytes[sizeof(struct in6_addr)];
    int family;
    address *local;

    if (!is_local_of(a, text, &family, bytes, pool)
        || find_local(a, family, bytes)) {
        return;
    }
    local = create_address(a->listen, family, bytes, pool);
    find_servers(local, config);
    add_names(local, pool);
    if (!a->locals) {
        a->locals = apr_array_make(pool, 2, sizeof(address *));
    }
    APR_ARRAY_PUSH(a->locals, address *) = local;
}

static void add_locals(address *a, const wr__config *config)
{
    for (const wr_server *s = config->main_server->next; s; s = s->next) {
        for (int i = 0; i < s->addresses->nelts; i++) {
            add_local(a, APR_ARRAY_IDX(s->addresses, i, const char *), config);
        }
    }
}

static address *make_address(const wr__config *config, const wr__listen *l)
{
    unsigned char bytes[sizeof(struct in6_addr)] = {0};
    int family = AF_UNSPEC;
    address *a;

    if (l->address) {
        family = strchr(l->address, ':') ? AF_INET6 : AF_INET;
        inet_pton(family, l->address, bytes);
    }
    a = create_address(l, family, bytes, config->pool);
    find_servers(a, config);
    add_names(a, config->pool);
    add_locals(a, config);
    return a;
}

/* A virtual host that nobody can reach is a mistake. */
static void check_reachable(const wr__config *config, const wr_server *server,
                            wr__errors *errors)
{
    for (int i = 0; i < server->addresses->nelts; i++) {
        const char *text = APR_ARRAY_IDX(server->addresses, i, const char *);
        unsigned char bytes[sizeof(struct in6_addr)];
        bool found = false;
        int family;

        for (int j = 0; !found && j < config->addresses->nelts; j++) {
            const address *a =
                APR_ARRAY_IDX(config->addresses, j, const address *);

            found = fits(a, text, true, config->pool)
                    || fits(a, text, false, config->pool)
                    || is_local_of(a, text, &family, bytes, config->pool);
        }
        if (!found) {
            wr__errors_add(errors, server->file, server->line,
                           "<VirtualHost %.200s> fits no Listen: there must "
                           "be one of the same address and port",
                           text);
        }
    }
}

/* A parser has room for as many fields as any server takes. */
static void find_widest(wr__config *config)
{
    for (const wr_server *s = config->main_server; s; s = s->next) {
        int fields = wr__core_server_of(s)->limit_request_fields;

        config->strict_host_check |=
            wr__core_server_of(s)->strict_host_check != 0;
        if (fields > config->limit_request_fields) {
            config->limit_request_fields = fields;
        }
    }
}

void wr__servers_finish(wr__config *config, wr__errors *errors)
{
    wr_server *main_server = config->main_server;

    wr__dir_config_mark(config, main_server->dir_config);
    for (wr_server *s = main_server->next; s; s = s->next) {
        merge_server(config, s);
    }
    find_widest(config);
    for (wr_server *s = main_server; s; s = s->next) {
        wr__sections_index(config, s);
    }
    for (int i = 0; i < config->listens->nelts; i++) {
        APR_ARRAY_PUSH(config->addresses, address *) = make_address(
            config, APR_ARRAY_IDX(config->listens, i, const wr__listen *));
    }
    for (wr_server *s = main_server->next; s; s = s->next) {
        check_reachable(config, s, errors);
    }
}

/* Is it the listener that this Listen made?  Without an address it makes one
 * of each family, which are unspecified. */
static bool is_listener_of(const address *a, const wr_listener *l)
{
    int family = l->addr.any.sa_family;
    const void *bytes = family == AF_INET6 ? (const void *)&l->addr.v6.sin6_addr
                                           : (const void *)&l->addr.v4.sin_addr;

    if (a->listen->port != l->port) {
        return false;
    }
    return a->family == AF_UNSPEC
               ? memcmp(bytes, zeros, address_len(family)) == 0
               : a->family == family
                     && memcmp(bytes, a->bytes, address_len(family)) == 0;
}

/* Who is called so, or NULL. */
static wr_server *find_by_name(const address *a, const char *host)
{
    const named *n = apr_hash_get(a->names, host, APR_HASH_KEY_STRING);

    for (int i = 0; i < a->patterns->nelts; i++) {
        const named *p = APR_ARRAY_IDX(a->patterns, i, const named *);

        if (n && n->order <= p->order) {
            break;
        }
        if (apr_fnmatch(p->name, host, 0) == APR_SUCCESS) {
            return p->server;
        }
    }
    return n ? n->server : NULL;
}

static const address *find_address(const wr__config *config,
                                   const wr_listener *listener)
{
    for (int i = 0; i < config->addresses->nelts; i++) {
        const address *a = APR_ARRAY_IDX(config->addresses, i, const address *);

        if (is_listener_of(a, listener)) {
            return a;
        }
    }
    return NULL;
}

/* The part of an address that the connection came to, if some virtual host is
 * particular about it: only then does anybody ask the kernel. */
static const address *narrow(const address *a, const wr_conn *c)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } here = {0};
    socklen_t len = sizeof(here);
    const address *local;

    if (!a->locals || getsockname(c->ends->fd, &here.any, &len) != 0) {
        return a;
    }
    local = find_local(a, here.any.sa_family,
                       here.any.sa_family == AF_INET6
                           ? (const void *)&here.v6.sin6_addr
                           : (const void *)&here.v4.sin_addr);
    return local ? local : a;
}

static wr_server *default_server(const address *a)
{
    return APR_ARRAY_IDX(a->servers, 0, wr_server *);
}

wr_server *wr__server_for(const wr__config *config, const wr_conn *c,
                          const char *host, bool *is_named)
{
    const address *a = find_address(config, c->listener);
    wr_server *server;

    *is_named = false;
    if (!a) {
        return config->main_server;
    }
    a = narrow(a, c);
    server = host ? find_by_name(a, host) : NULL;
    *is_named = server != NULL;
    return server ? server : default_server(a);
}

wr_server *wr__server_default(const wr__config *config,
                              const wr_listener *listener)
{
    const address *a = find_address(config, listener);

    return a ? default_server(a) : config->main_server;
}

/* logs ------------------------------------------------------------------------
 */

apr_status_t wr__servers_open_logs(wr_server *main_server, apr_pool_t *pool)
{
    for (wr_server *s = main_server->next; s; s = s->next) {
        const char *path = wr__core_server_of(s)->error_log;
        apr_status_t rv;

        if (path && strcmp(path, "stderr") != 0) {
            rv = wr_log_open(&s->error_log, path, pool);
            if (rv != APR_SUCCESS) {
                wr_log_error(main_server, WR_LOG_CRIT, rv,
                             "could not open the error log %s", path);
                return rv;
            }
        }
    }
    return APR_SUCCESS;
}
