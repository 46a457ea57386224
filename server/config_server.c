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
#define LONG_TIME (INT64_C(1000000000) * WR_SEC)

/* Servers that share a listener's address, and their names. */
typedef struct address {
    const wr__listen *listen;
    int family; /* AF_UNSPEC: any */
    unsigned char bytes[sizeof(struct in6_addr)];
    apr_array_header_t *servers;  /* wr_server *, the default one first */
    apr_hash_t *names;            /* named, by name */
    apr_array_header_t *patterns; /* named */
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

void wr__server_mark(wr_server *server, size_t offset)
{
    for (unsigned i = 0; i < INHERITED_COUNT; i++) {
        if (inherited[i].offset == offset) {
            server->is_set |= 1u << i;
        }
    }
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

static wr_dir_config *make_dir_config(const wr__config *config)
{
    wr_dir_config *dir = apr_pcalloc(config->pool, sizeof(*dir));

    dir->config = apr_pcalloc(config->pool,
                              (size_t)config->modules->nelts * sizeof(void *));
    return dir;
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
    s->dir_config = make_dir_config(config);
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

/* The path of a <Directory>: absolute, plain, ended by a slash. */
static const char *section_path(wr_command_call *call, int argc,
                                const char *const *argv, const char **path)
{
    char *clean;
    size_t len;

    if (argc != 1 || argv[0][0] == '~') {
        return "takes one path; regular expressions are not supported";
    }
    if (argv[0][0] != '/') {
        return apr_psprintf(call->pool, "\"%.200s\" is not an absolute path",
                            argv[0]);
    }
    if (apr_fnmatch_test(argv[0])) {
        return apr_psprintf(call->pool,
                            "\"%.200s\": wildcards are not supported", argv[0]);
    }
    if (apr_filepath_merge(&clean, "/", argv[0], 0, call->pool)
        != APR_SUCCESS) {
        return apr_psprintf(call->pool, "\"%.200s\" is not a path", argv[0]);
    }
    len = strlen(clean);
    *path = clean[len - 1] == '/' ? clean
                                  : apr_pstrcat(call->pool, clean, "/", NULL);
    return NULL;
}

const char *wr__run_directory(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    wr_section *section = apr_pcalloc(call->pool, sizeof(*section));
    wr_command_call inside = *call;
    const char *error = section_path(call, argc, argv, &section->path);

    (void)config;
    if (error) {
        return error;
    }
    for (const char *c = section->path; *c; c++) {
        section->depth += *c == '/';
    }
    section->directive = call->directive;
    section->dir = make_dir_config(call->walk->config);
    APR_ARRAY_PUSH(call->server->sections, wr_section *) = section;
    inside.context = WR_IN_DIRECTORY;
    inside.dir = section->dir;
    inside.dir_path = section->path;
    wr__walk_run(&inside, call->directive->first_child);
    return NULL;
}

/* merging --------------------------------------------------------------------
 */

typedef void *merge_fn(apr_pool_t *pool, const void *base, const void *add);

/* A module's part: what holds where add is inside base. */
static void *merge_part(void *base, void *add, merge_fn *merge,
                        apr_pool_t *pool)
{
    if (!add) {
        return base;
    }
    return base && merge ? merge(pool, base, add) : add;
}

static void mark_inactive(const wr__config *config, wr_dir_config *dir)
{
    dir->inactive = 0;
    for (int i = 0; i < config->modules->nelts && i < 64; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        if (m->inactive && dir->config[i] && m->inactive(dir->config[i])) {
            dir->inactive |= UINT64_C(1) << i;
        }
    }
}

static wr_dir_config *merge_dirs(const wr__config *config,
                                 const wr_dir_config *base,
                                 const wr_dir_config *add)
{
    wr_dir_config *merged = make_dir_config(config);

    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        merged->config[i] = merge_part(base->config[i], add->config[i],
                                       m->merge_dir_config, config->pool);
    }
    mark_inactive(config, merged);
    return merged;
}

static void merge_server(const wr__config *config, wr_server *server)
{
    const wr_server *base = config->main_server;

    inherit_fields(server, base);
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        server->config[i] = merge_part(base->config[i], server->config[i],
                                       m->merge_server_config, config->pool);
    }
    server->dir_config =
        merge_dirs(config, base->dir_config, server->dir_config);
    server->sections =
        apr_array_append(config->pool, base->sections, server->sections);
}

/* Shorter first; among the same, as they stood.  There are few. */
static void sort_sections(apr_array_header_t *sections)
{
    wr_section **s = (wr_section **)sections->elts;

    for (int i = 1; i < sections->nelts; i++) {
        wr_section *moved = s[i];
        int j = i;

        for (; j > 0 && s[j - 1]->depth > moved->depth; j--) {
            s[j] = s[j - 1];
        }
        s[j] = moved;
    }
}

/* directories ----------------------------------------------------------------
 */

static int compare_entries(const void *a, const void *b)
{
    const wr__dir_entry *left = a, *right = b;

    return strcmp(left->path, right->path);
}

static bool is_within(const char *path, const wr__dir_entry *entry)
{
    return strncmp(path, entry->path, entry->len) == 0;
}

/* Each path that a section names, once, sorted: what is around a path comes
 * before it. */
static int list_paths(wr__dir_entry *entries, const wr_server *server)
{
    int count = server->sections->nelts, used = 0;

    for (int i = 0; i < count; i++) {
        entries[i].path =
            APR_ARRAY_IDX(server->sections, i, const wr_section *)->path;
        entries[i].len = strlen(entries[i].path);
    }
    qsort(entries, (size_t)count, sizeof(*entries), compare_entries);
    for (int i = 0; i < count; i++) {
        if (i == 0 || strcmp(entries[i].path, entries[i - 1].path) != 0) {
            entries[used++] = entries[i];
        }
    }
    return used;
}

/*
 * Sections whose paths are all beginnings of one path are beginnings of each
 * other.  So which ones hold in a directory is known by the longest, and there
 * are only as many combinations as paths: all are merged here, and nothing is
 * left to do while serving.
 */
static void index_directories(const wr__config *config, wr_server *server)
{
    wr__core_server *core = wr__core_server_of(server);
    wr__dir_entry *entries = apr_pcalloc(
        config->pool, (size_t)server->sections->nelts * sizeof(*entries));

    core->dir_count = list_paths(entries, server);
    core->dirs = entries;
    for (int i = 0; i < core->dir_count; i++) {
        wr__dir_entry *e = &entries[i];

        e->outer = i > 0 ? &entries[i - 1] : NULL;
        while (e->outer && !is_within(e->path, e->outer)) {
            e->outer = e->outer->outer;
        }
        e->merged = e->outer ? e->outer->merged : server->dir_config;
        for (int j = 0; j < server->sections->nelts; j++) {
            const wr_section *s =
                APR_ARRAY_IDX(server->sections, j, const wr_section *);

            if (strcmp(s->path, e->path) == 0) {
                e->merged = merge_dirs(config, e->merged, s->dir);
            }
        }
    }
}

/*
 * The last entry that does not sort after the path either is the innermost one
 * around it, or lies in that one too: strings that sort between a beginning of
 * the path and the path begin alike.
 */
wr_dir_config *wr__dir_config_find(const wr_server *server, const char *path)
{
    const wr__core_server *core = wr__core_server_of(server);
    const wr__dir_entry *e;
    int low = 0, high = core->dir_count;

    while (low < high) {
        int middle = (low + high) / 2;

        if (strcmp(core->dirs[middle].path, path) <= 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    e = low > 0 ? &core->dirs[low - 1] : NULL;
    while (e && !is_within(path, e)) {
        e = e->outer;
    }
    return e ? e->merged : server->dir_config;
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

static address *make_address(const wr__config *config, const wr__listen *l)
{
    apr_pool_t *pool = config->pool;
    address *a = apr_pcalloc(pool, sizeof(*a));

    a->listen = l;
    a->family = AF_UNSPEC;
    if (l->address) {
        a->family = strchr(l->address, ':') ? AF_INET6 : AF_INET;
        inet_pton(a->family, l->address, a->bytes);
    }
    a->servers = apr_array_make(pool, 4, sizeof(wr_server *));
    a->patterns = apr_array_make(pool, 4, sizeof(named *));
    a->names = apr_hash_make(pool);
    find_servers(a, config);
    add_names(a, pool);
    return a;
}

/* A virtual host that nobody can reach is a mistake. */
static void check_reachable(const wr__config *config, const wr_server *server,
                            wr__errors *errors)
{
    for (int i = 0; i < server->addresses->nelts; i++) {
        const char *text = APR_ARRAY_IDX(server->addresses, i, const char *);
        bool found = false;

        for (int j = 0; !found && j < config->addresses->nelts; j++) {
            const address *a =
                APR_ARRAY_IDX(config->addresses, j, const address *);

            found = fits(a, text, true, config->pool)
                    || fits(a, text, false, config->pool);
        }
        if (!found) {
            wr__errors_add(errors, server->file, server->line,
                           "<VirtualHost %.200s> fits no Listen: there must "
                           "be one of the same address and port",
                           text);
        }
    }
}

/* The main server's limits, for what does not know a server yet; a parser has
 * room for as many fields as any server takes. */
static void copy_limits(wr__config *config)
{
    const wr__core_server *core = wr__core_server_of(config->main_server);
    const wr__core_dir *dir = wr__core_dir_of(config->main_server->dir_config);

    config->limit_request_line = core->limit_request_line;
    config->limit_request_field_size = core->limit_request_field_size;
    config->limit_request_head = core->limit_request_head;
    config->limit_request_body =
        dir->limit_request_body ? dir->limit_request_body : INT64_MAX;
    config->head_timeout_ns =
        core->head_timeout.first_ns ? core->head_timeout.first_ns : LONG_TIME;
    for (const wr_server *s = config->main_server; s; s = s->next) {
        int fields = wr__core_server_of(s)->limit_request_fields;

        if (fields > config->limit_request_fields) {
            config->limit_request_fields = fields;
        }
    }
}

void wr__servers_finish(wr__config *config, wr__errors *errors)
{
    wr_server *main_server = config->main_server;

    mark_inactive(config, main_server->dir_config);
    for (wr_server *s = main_server->next; s; s = s->next) {
        merge_server(config, s);
    }
    copy_limits(config);
    for (wr_server *s = main_server; s; s = s->next) {
        sort_sections(s->sections);
        index_directories(config, s);
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
    static const unsigned char zeros[sizeof(struct in6_addr)];
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
    return n ? n->server : APR_ARRAY_IDX(a->servers, 0, wr_server *);
}

wr_server *wr__server_find(const wr__config *config,
                           const wr_listener *listener, const char *host)
{
    for (int i = 0; config->main_server->next && i < config->addresses->nelts;
         i++) {
        const address *a = APR_ARRAY_IDX(config->addresses, i, const address *);

        if (is_listener_of(a, listener)) {
            return host ? find_by_name(a, host)
                        : APR_ARRAY_IDX(a->servers, 0, wr_server *);
        }
    }
    return config->main_server;
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
