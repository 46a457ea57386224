/*
 * mod_authz_core.c - who may have what: Require.
 *
 * Runs in any thread that steps connections; looks at the merged configuration
 * only.  Where nothing is required, or all is granted, it is inactive and no
 * request pays for it.
 */
#include "wr_config.h"
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_request.h"

#include <strings.h>

/** What the Require lines of a section come to. */
typedef enum decision {
    UNDECIDED, /* there are none: what holds outside goes on */
    DENIED,
    GRANTED
} decision;

typedef struct authz_config {
    decision decision;
} authz_config;

extern WR_API wr_module authz_core_module;

static void *create_dir_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(authz_config));
}

/** A section with Require lines of its own replaces those outside it. */
static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const authz_config *outer = base, *inner = add;
    authz_config *merged = apr_palloc(pool, sizeof(*merged));

    *merged = inner->decision == UNDECIDED ? *outer : *inner;
    return merged;
}

/** One granting line of a section is enough. */
static const char *require(wr_command_call *call, void *config, int argc,
                           const char *const *argv)
{
    authz_config *conf = config;

    (void)call;
    if (argc != 2 || strcasecmp(argv[0], "all") != 0) {
        return "expected: all granted, or: all denied";
    }
    if (strcasecmp(argv[1], "granted") == 0) {
        conf->decision = GRANTED;
    }
    else if (strcasecmp(argv[1], "denied") != 0) {
        return "\"all\" must be followed by granted or denied";
    }
    else if (conf->decision == UNDECIDED) {
        conf->decision = DENIED;
    }
    return NULL;
}

static wr_result check_access(wr_request *r)
{
    const authz_config *conf =
        wr_dir_config_of(r->dir_config, &authz_core_module);

    return conf->decision == DENIED ? 403 : WR_DECLINED;
}

static bool is_inactive(const void *dir_config)
{
    return ((const authz_config *)dir_config)->decision != DENIED;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_access_checker(check_access, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "Require",
     .run = require,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "all granted|denied",
     .help = "Grants everyone access, or denies it; one granting line is "
             "enough.",
     .preset = "all granted"},
    {.name = NULL},
};

WR_API wr_module authz_core_module = {
    WR_MODULE_HEAD("authz_core"),
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .inactive = is_inactive,
    .register_hooks = register_hooks,
};
