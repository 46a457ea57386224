/*
 * mod_env.c - variables that every request has: SetEnv, PassEnv, UnsetEnv.
 *
 * Read with the configuration; given to a request just before its handler, in
 * any thread, for the handler, the fields of the response, and the log.  What
 * is to be decided earlier asks for a variable of SetEnvIf.
 */
#define WR_LOG_MODULE env_module

#include "wr_config.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include <apr_env.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

typedef struct env_config {
    apr_table_t *set;
    apr_array_header_t *unset; /* const char *: not taken from around */
} env_config;

static void *create_dir_config(apr_pool_t *pool)
{
    env_config *conf = apr_palloc(pool, sizeof(*conf));

    conf->set = apr_table_make(pool, 4);
    conf->unset = apr_array_make(pool, 4, sizeof(const char *));
    return conf;
}

static int set_one(void *table, const char *name, const char *value)
{
    apr_table_setn(table, name, value);
    return 1;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const env_config *outer = base, *inner = add;
    env_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->set = apr_table_copy(pool, outer->set);
    merged->unset = inner->unset;
    for (int i = 0; i < inner->unset->nelts; i++) {
        apr_table_unset(merged->set,
                        APR_ARRAY_IDX(inner->unset, i, const char *));
    }
    apr_table_do(set_one, merged->set, inner->set, NULL);
    return merged;
}

static const char *set_env(wr_command_call *call, void *config, int argc,
                           const char *const *argv)
{
    env_config *conf = config;

    (void)call;
    if (strchr(argv[0], '=')) {
        return "the name of a variable has no =; write SetEnv NAME VALUE";
    }
    apr_table_setn(conf->set, argv[0], argc > 1 ? argv[1] : "");
    return NULL;
}

static const char *pass_env(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    env_config *conf = config;

    for (int i = 0; i < argc; i++) {
        char *value;

        if (apr_env_get(&value, argv[i], call->pool) == APR_SUCCESS) {
            apr_table_setn(conf->set, argv[i], value);
        }
        else {
            wr_log_error(call->server, WR_LOG_WARN, 0,
                         "%s:%d: PassEnv: %s is not set where the server was "
                         "started",
                         call->directive->file, call->directive->line, argv[i]);
        }
    }
    return NULL;
}

static const char *unset_env(wr_command_call *call, void *config, int argc,
                             const char *const *argv)
{
    env_config *conf = config;

    (void)call;
    for (int i = 0; i < argc; i++) {
        apr_table_unset(conf->set, argv[i]);
        APR_ARRAY_PUSH(conf->unset, const char *) = argv[i];
    }
    return NULL;
}

/** What was found out about the request holds before what is always so. */
static int give_one(void *baton, const char *name, const char *value)
{
    wr_request *r = baton;

    if (!apr_table_get(r->env, name)) {
        apr_table_setn(r->env, name, value);
    }
    return 1;
}

/** No handler, but what comes before one on every request. */
static wr_result give_variables(wr_request *r)
{
    const env_config *conf = wr_dir_config_of(r->dir_config, &env_module);

    if (!r->env) {
        r->env = apr_table_make(r->pool, 8);
    }
    apr_table_do(give_one, r, conf->set, NULL);
    return WR_DECLINED;
}

static bool is_inactive(const void *dir_config)
{
    const env_config *conf = dir_config;

    return apr_is_empty_table(conf->set);
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const before[] = {"headers", NULL};

    (void)pool;
    wr_hook_handler(give_variables, NULL, before, APR_HOOK_REALLY_FIRST);
}

static const wr_command commands[] = {
    {.name = "SetEnv",
     .run = set_env,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 2,
     .args = "NAME [VALUE]",
     .help = "Gives requests a variable, for handlers, Header and the log."},
    {.name = "PassEnv",
     .run = pass_env,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "NAME [NAME] ...",
     .help = "Gives requests variables of the server's own environment."},
    {.name = "UnsetEnv",
     .run = unset_env,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "NAME [NAME] ...",
     .help = "Takes variables away that SetEnv or PassEnv gives around."},
    {.name = NULL},
};

WR_API wr_module env_module = {
    WR_MODULE_HEAD("env"),
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .inactive = is_inactive,
    .register_hooks = register_hooks,
};
