/*
 * config_http.c - what the core lets be said for a server about requests: the
 * directives' functions, and the merge.
 *
 * Runs where a configuration is read, in one thread.  Stores values and checks
 * them; what they do is done by the parts that serve.
 */
#include "config_core.h"
#include "config_server.h"

#include "wr_log.h"

#include <apr_strings.h>

#include <string.h>
#include <strings.h>

#define DAY (86400 * WR_SEC)

/* wr_set_* for a field of wr__core_server. */
#define CORE_SETTER(NAME, SET)                                          \
    const char *NAME(wr_command_call *call, void *config, int argc,     \
                     const char *const *argv)                           \
    {                                                                   \
        (void)config;                                                   \
        return SET(call, wr__core_server_of(call->server), argc, argv); \
    }
CORE_SETTER(wr__set_core_int, wr_set_int)
CORE_SETTER(wr__set_core_size, wr_set_size)
CORE_SETTER(wr__set_core_flag, wr_set_flag)

/* A value by its name in a list that ends with NULL, or -1. */
static int find_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *wr__set_trace(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    static const char *const names[] = {[WR__TRACE_OFF] = "off",
                                        [WR__TRACE_ON] = "on",
                                        [WR__TRACE_EXTENDED] = "extended",
                                        NULL};
    int value = find_name(names, argv[0]);

    (void)config;
    (void)argc;
    if (value < 0) {
        return apr_psprintf(call->pool,
                            "\"%.100s\" is none of on, off, extended", argv[0]);
    }
    wr__core_server_of(call->server)->trace = value;
    return NULL;
}

const char *wr__set_encoded_slashes(wr_command_call *call, void *config,
                                    int argc, const char *const *argv)
{
    static const char *const names[] = {[WR__SLASHES_REFUSED] = "Off",
                                        [WR__SLASHES_DECODED] = "On",
                                        [WR__SLASHES_KEPT] = "NoDecode",
                                        NULL};
    int value = find_name(names, argv[0]);

    (void)config;
    (void)argc;
    if (value < 0) {
        return apr_psprintf(call->pool,
                            "\"%.100s\" is none of On, Off, NoDecode", argv[0]);
    }
    wr__core_server_of(call->server)->encoded_slashes = value;
    return NULL;
}

/* RequestReadTimeout ---------------------------------------------------------
 */

/* "20", "20-40". */
static const char *parse_times(wr__read_timeout *timeout, const char *text,
                               apr_pool_t *pool)
{
    const char *dash = strchr(text, '-');
    const char *error;

    timeout->max_ns = 0;
    error = wr_parse_time(
        pool,
        dash ? apr_pstrmemdup(pool, text, (apr_size_t)(dash - text)) : text, 0,
        DAY, &timeout->first_ns);
    if (!error && dash) {
        error = wr_parse_time(pool, dash + 1, 0, DAY, &timeout->max_ns);
    }
    if (!error && dash && timeout->max_ns <= timeout->first_ns) {
        error = apr_psprintf(pool, "\"%.100s\": the second time must be longer",
                             text);
    }
    return error;
}

/* "20-40,MinRate=500" behind the "=". */
static const char *parse_timeout(wr__read_timeout *timeout, const char *text,
                                 apr_pool_t *pool)
{
    wr__read_timeout made = {0};
    const char *comma = strchr(text, ','), *error;
    int64_t rate = 0;

    error = parse_times(
        &made,
        comma ? apr_pstrmemdup(pool, text, (apr_size_t)(comma - text)) : text,
        pool);
    if (!error && comma) {
        error = strncasecmp(comma + 1, "MinRate=", 8) != 0
                    ? apr_psprintf(pool, "\"%.100s\" is not MinRate=BYTES",
                                   comma + 1)
                    : wr_parse_int(pool, comma + 9, 1, INT_MAX, &rate);
    }
    if (!error && made.max_ns && !rate) {
        error = apr_psprintf(pool,
                             "\"%.100s\": a time grows by what has come: add "
                             ",MinRate=BYTES",
                             text);
    }
    if (!error) {
        made.min_rate = (int)rate;
        *timeout = made;
    }
    return error;
}

const char *wr__set_request_timeout(wr_command_call *call, void *config,
                                    int argc, const char *const *argv)
{
    wr__core_server *core = wr__core_server_of(call->server);
    const char *error = NULL;

    (void)config;
    for (int i = 0; i < argc && !error; i++) {
        if (strncasecmp(argv[i], "header=", 7) == 0) {
            error = parse_timeout(&core->head_timeout, argv[i] + 7, call->pool);
        }
        else if (strncasecmp(argv[i], "body=", 5) == 0) {
            error = parse_timeout(&core->body_timeout, argv[i] + 5, call->pool);
        }
        else {
            error = apr_psprintf(call->pool,
                                 "\"%.100s\" is neither header=TIME nor "
                                 "body=TIME, TIME being 20, 20,MinRate=500 or "
                                 "20-40,MinRate=500",
                                 argv[i]);
        }
    }
    return error;
}

/* LogLevel -------------------------------------------------------------------
 */

static const char *parse_level(int *level, const char *name, apr_pool_t *pool)
{
    static const char *const names[] = {[WR_LOG_EMERG] = "emerg",
                                        [WR_LOG_ALERT] = "alert",
                                        [WR_LOG_CRIT] = "crit",
                                        [WR_LOG_ERROR] = "error",
                                        [WR_LOG_WARN] = "warn",
                                        [WR_LOG_NOTICE] = "notice",
                                        [WR_LOG_INFO] = "info",
                                        [WR_LOG_DEBUG] = "debug",
                                        NULL};
    int value = find_name(names, name);

    if (value < 0) {
        return apr_psprintf(pool,
                            "\"%.100s\" is none of emerg, alert, crit, error, "
                            "warn, notice, info, debug",
                            name);
    }
    *level = value;
    return NULL;
}

static const wr_module *find_module(const wr__config *config, const char *name)
{
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m =
            APR_ARRAY_IDX(config->modules, i, const wr_module *);

        if (strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

/* "mime:debug". */
static const char *set_module_level(wr_command_call *call, const char *text,
                                    const char *colon)
{
    const wr__config *config = call->walk->config;
    wr_server *server = call->server;
    const char *name = wr__module_name(
        apr_pstrmemdup(call->pool, text, (apr_size_t)(colon - text)),
        call->pool);
    const wr_module *module = find_module(config, name);
    const char *error;
    int level = 0;

    if (!module) {
        return apr_psprintf(call->pool,
                            "there is no module \"%.100s\" loaded above", name);
    }
    error = parse_level(&level, colon + 1, call->pool);
    if (error) {
        return error;
    }
    if (!server->module_levels) {
        server->module_levels =
            apr_palloc(call->pool, (apr_size_t)config->modules->nelts);
        memset(server->module_levels, -1, (size_t)config->modules->nelts);
    }
    server->module_levels[module->index] = (signed char)level;
    return NULL;
}

/* A level of all forgets those of modules that were given before. */
const char *wr__set_log_level(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    wr_server *server = call->server;
    const char *error = NULL;

    (void)config;
    for (int i = 0; i < argc && !error; i++) {
        const char *colon = strchr(argv[i], ':');

        if (colon) {
            error = set_module_level(call, argv[i], colon);
            continue;
        }
        error = parse_level(&server->log_level, argv[i], call->pool);
        server->module_levels = NULL;
        wr__server_mark(server, offsetof(wr_server, log_level));
    }
    return error;
}

/* A virtual host with a level of its own has its own for modules too. */
void wr__log_levels_inherit(const wr__config *config, wr_server *server,
                            bool has_own_level)
{
    const signed char *outer = config->main_server->module_levels;

    if (has_own_level || !outer) {
        return;
    }
    if (!server->module_levels) {
        server->module_levels = config->main_server->module_levels;
        return;
    }
    for (int i = 0; i < config->modules->nelts; i++) {
        if (server->module_levels[i] < 0) {
            server->module_levels[i] = outer[i];
        }
    }
}

/* as a whole -----------------------------------------------------------------
 */

void *wr__core_server_create(apr_pool_t *pool)
{
    wr__core_server *core = apr_pcalloc(pool, sizeof(*core));

    core->limit_request_line = -1;
    core->limit_request_fields = -1;
    core->limit_request_field_size = -1;
    core->limit_request_head = -1;
    core->head_timeout.first_ns = -1;
    core->body_timeout.first_ns = -1;
    core->send_min_rate = -1;
    core->trace = -1;
    core->merge_slashes = -1;
    core->strict_host_check = -1;
    core->encoded_slashes = -1;
    return core;
}

void wr__core_server_defaults(wr__core_server *core)
{
    core->limit_request_line = 8190;
    core->limit_request_fields = 100;
    core->limit_request_field_size = 8190;
    core->limit_request_head = 64 << 10;
    core->head_timeout = (wr__read_timeout){20 * WR_SEC, 40 * WR_SEC, 500};
    core->body_timeout = (wr__read_timeout){20 * WR_SEC, 0, 500};
    core->send_min_rate = 500;
    core->trace = WR__TRACE_OFF;
    core->merge_slashes = 1;
    core->strict_host_check = 0;
    core->encoded_slashes = WR__SLASHES_REFUSED;
}

void *wr__core_server_merge(apr_pool_t *pool, const void *base, const void *add)
{
    const wr__core_server *outer = base;
    wr__core_server *merged = apr_pmemdup(pool, add, sizeof(*merged));

#define INHERIT(FIELD, VALUE)             \
    do {                                  \
        if (merged->VALUE < 0) {          \
            merged->FIELD = outer->FIELD; \
        }                                 \
    } while (0)
    INHERIT(limit_request_line, limit_request_line);
    INHERIT(limit_request_fields, limit_request_fields);
    INHERIT(limit_request_field_size, limit_request_field_size);
    INHERIT(limit_request_head, limit_request_head);
    INHERIT(head_timeout, head_timeout.first_ns);
    INHERIT(body_timeout, body_timeout.first_ns);
    INHERIT(send_min_rate, send_min_rate);
    INHERIT(trace, trace);
    INHERIT(merge_slashes, merge_slashes);
    INHERIT(strict_host_check, strict_host_check);
    INHERIT(encoded_slashes, encoded_slashes);
#undef INHERIT
    return merged;
}
