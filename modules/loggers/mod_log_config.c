/*
 * mod_log_config.c - access logs: LogFormat, CustomLog, TransferLog.
 *
 * Which requests go to which file or program in which format (log_format.h).
 * Runs in whatever thread logs; the lines lie in that thread's ring (wr_log.h).
 */
#define WR_LOG_MODULE log_config_module

#include "wr_config.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include "log_format.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#define COMMON   "%h %l %u %t \"%r\" %>s %b"
#define COMBINED COMMON " \"%{Referer}i\" \"%{User-Agent}i\""

typedef struct custom_log {
    const char *target;
    const char *nickname;         /* of the format, if that is NULL */
    const wr__log_format *format; /* NULL until check_config */
    const char *env;              /* condition, or NULL */
    bool env_is_negated;
    wr_log *log; /* NULL until post_config */
    const wr_directive *directive;
} custom_log;

typedef struct log_config {
    apr_hash_t *formats;            /* nickname to wr__log_format *; or NULL */
    const wr__log_format *standard; /* LogFormat without a nickname; or NULL */
    apr_array_header_t *logs;       /* custom_log *; or NULL */
    bool needs_local;               /* one of them shows our address */
} log_config;

extern WR_API wr_module log_config_module;

/* Logging. */

static const char *env_of(const wr_request *r, const char *name)
{
    return r->env ? apr_table_get(r->env, name) : NULL;
}

static bool is_logged(const custom_log *log, const wr_request *r)
{
    return !log->env || !env_of(r, log->env) == log->env_is_negated;
}

static wr_result log_request(wr_request *r, wr_thread *self)
{
    const log_config *conf = wr_server_config(r->server, &log_config_module);

    for (int i = 0; conf->logs && i < conf->logs->nelts; i++) {
        const custom_log *log = APR_ARRAY_IDX(conf->logs, i, custom_log *);

        if (is_logged(log, r)) {
            char *start = wr_log_begin(log->log, self, WR_LOG_LINE_MAX);

            wr_log_commit(log->log, self,
                          wr__log_format_line(start, log->format, r));
        }
    }
    return WR_OK;
}

/** When the line is made, the connection may be gone. */
static wr_result keep_local(wr_request *r)
{
    const log_config *conf = wr_server_config(r->server, &log_config_module);

    if (conf->needs_local) {
        wr_request_local(r);
    }
    return WR_DECLINED;
}

/* Configuration. */

static void *create_server_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(log_config));
}

/** A virtual host with logs of its own does not write to the main ones. */
static void *merge_server_config(apr_pool_t *pool, const void *base,
                                 const void *add)
{
    const log_config *outer = base, *inner = add;
    log_config *merged = apr_pcalloc(pool, sizeof(*merged));

    merged->formats = inner->formats ? inner->formats : outer->formats;
    if (inner->formats && outer->formats) {
        merged->formats =
            apr_hash_overlay(pool, inner->formats, outer->formats);
    }
    merged->standard = inner->standard ? inner->standard : outer->standard;
    merged->logs = inner->logs ? inner->logs : outer->logs;
    return merged;
}

static const char *set_log_format(wr_command_call *call, void *config, int argc,
                                  const char *const *argv)
{
    log_config *conf = config;
    const wr__log_format *format;
    const char *error = wr__log_format_compile(call->pool, argv[0], &format);

    if (error) {
        return error;
    }
    if (argc == 1) {
        conf->standard = format;
        return NULL;
    }
    if (strchr(argv[1], '%')) {
        return "a nickname has no %";
    }
    if (!conf->formats) {
        conf->formats = apr_hash_make(call->pool);
    }
    apr_hash_set(conf->formats, argv[1], APR_HASH_KEY_STRING, format);
    return NULL;
}

static const char *add_log(wr_command_call *call, log_config *conf,
                           const char *path, custom_log **log)
{
    const char *target;
    const char *error = wr_log_target(call, path, &target);

    if (error) {
        return error;
    }
    if (!conf->logs) {
        conf->logs = apr_array_make(call->pool, 2, sizeof(custom_log *));
    }
    *log = apr_pcalloc(call->pool, sizeof(**log));
    (*log)->target = target;
    (*log)->directive = call->directive;
    APR_ARRAY_PUSH(conf->logs, custom_log *) = *log;
    return NULL;
}

static const char *parse_env(custom_log *log, const char *text)
{
    if (strncasecmp(text, "env=", 4) != 0) {
        return "expected: env=NAME or env=!NAME";
    }
    text += 4;
    log->env_is_negated = *text == '!';
    log->env = text + log->env_is_negated;
    return *log->env ? NULL : "env= needs a name";
}

static const char *add_custom_log(wr_command_call *call, void *config, int argc,
                                  const char *const *argv)
{
    custom_log *log;
    const char *error = add_log(call, config, argv[0], &log);

    if (!error && strchr(argv[1], '%')) {
        error = wr__log_format_compile(call->pool, argv[1], &log->format);
    }
    else if (!error) {
        log->nickname = argv[1]; /* may be defined below */
    }
    if (!error && argc == 3) {
        error = parse_env(log, argv[2]);
    }
    return error;
}

static const char *add_transfer_log(wr_command_call *call, void *config,
                                    int argc, const char *const *argv)
{
    custom_log *log;

    (void)argc;
    return add_log(call, config, argv[0], &log);
}

/** The format of a log that has none yet; NULL: nobody defined it. */
static const wr__log_format *find_format(apr_pool_t *pool,
                                         const log_config *conf,
                                         const char *nickname)
{
    const wr__log_format *format = NULL;

    if (nickname && conf->formats) {
        format = apr_hash_get(conf->formats, nickname, APR_HASH_KEY_STRING);
    }
    else if (!nickname) {
        format = conf->standard;
    }
    if (!format && (!nickname || strcmp(nickname, "common") == 0)) {
        wr__log_format_compile(pool, COMMON, &format);
    }
    else if (!format && strcmp(nickname, "combined") == 0) {
        wr__log_format_compile(pool, COMBINED, &format);
    }
    return format;
}

static apr_status_t open_log(apr_pool_t *pool, const wr_server *server,
                             custom_log *log)
{
    apr_status_t rv;

    rv = wr_log_open(&log->log, log->target, pool);
    if (rv != APR_SUCCESS) {
        wr_log_error(server, WR_LOG_ERROR, rv, "%s:%d: can't open log %s",
                     log->directive->file, log->directive->line, log->target);
    }
    return rv;
}

/** A format may be defined below the log that uses it. */
static const char *find_formats(apr_pool_t *pool, wr_server *main_server,
                                const wr_directive **where)
{
    for (wr_server *s = main_server; s; s = s->next) {
        log_config *conf = wr_server_config(s, &log_config_module);

        for (int i = 0; conf->logs && i < conf->logs->nelts; i++) {
            custom_log *log = APR_ARRAY_IDX(conf->logs, i, custom_log *);

            if (!log->format) {
                log->format = find_format(pool, conf, log->nickname);
            }
            if (!log->format) {
                *where = log->directive;
                return apr_psprintf(pool, "no LogFormat is named %s",
                                    log->nickname);
            }
            if (wr__log_format_needs_local(log->format)) {
                conf->needs_local = true;
            }
        }
    }
    return NULL;
}

/** Logs are shared by the virtual hosts that have none of their own. */
static apr_status_t open_logs(apr_pool_t *pool, wr_server *main_server)
{
    apr_status_t result = APR_SUCCESS;

    for (wr_server *s = main_server; s; s = s->next) {
        const log_config *conf = wr_server_config(s, &log_config_module);

        for (int i = 0; conf->logs && i < conf->logs->nelts; i++) {
            custom_log *log = APR_ARRAY_IDX(conf->logs, i, custom_log *);
            apr_status_t rv = log->log ? APR_SUCCESS : open_log(pool, s, log);

            result = rv == APR_SUCCESS ? result : rv;
        }
    }
    return result;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_check_config(find_formats, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_post_config(open_logs, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_post_read_request(keep_local, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_log_transaction(log_request, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "LogFormat",
     .run = set_log_format,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 2,
     .args = "FORMAT [NICKNAME]",
     .help = "Defines a format for CustomLog, or, without a nickname, the one "
             "of TransferLog; common and combined are there already.",
     .preset = "\"%h %l %u %t \\\"%r\\\" %>s %b\""},
    {.name = "CustomLog",
     .run = add_custom_log,
     .context = WR_IN_SERVERS,
     .min_args = 2,
     .max_args = 3,
     .args = "FILE|\"|PROGRAM\" FORMAT|NICKNAME [env=[!]NAME]",
     .help = "Logs each request, or those for which a variable is set, or is "
             "not, as a line of a file or to a program."},
    {.name = "TransferLog",
     .run = add_transfer_log,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 1,
     .args = "FILE|\"|PROGRAM\"",
     .help = "Logs each request by the LogFormat that has no nickname."},
    {.name = NULL},
};

WR_API wr_module log_config_module = {
    WR_MODULE_HEAD("log_config"),
    .commands = commands,
    .create_server_config = create_server_config,
    .merge_server_config = merge_server_config,
    .register_hooks = register_hooks,
};
