/*
 * mod_authz_core.c - who may have what: Require, <RequireAll>, <RequireAny>,
 * <RequireNone>, AuthMerging; and the kinds all, method and env.
 *
 * The directives of a section make a tree, which is read-only while serving;
 * any thread walks it.  A kind of Require answers granted or denied, or has to
 * wait, and then the walk is made again from its beginning when it knows.
 * Where nothing is required, or all is granted, the module is inactive and no
 * request pays for it.
 */
#define WR_LOG_MODULE authz_core_module

#include "wr_authz.h"
#include "wr_config.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <strings.h>

typedef enum node_kind {
    NODE_LEAF, /* a Require */
    NODE_ALL,
    NODE_ANY
} node_kind;

/** A Require, or a section of them. */
typedef struct node {
    node_kind kind;
    bool is_negated; /* "Require not", <RequireNone> */
    const char *name;
    apr_array_header_t *children;      /* node *; of a section */
    const wr_authz_provider *provider; /* of a Require */
    const void *parsed;
} node;

typedef enum merging {
    MERGE_UNSET,
    MERGE_OFF,
    MERGE_AND,
    MERGE_OR
} merging;

typedef struct authz_config {
    node *top;     /* all that stands in the section; NULL: nothing */
    node *current; /* while it is read: where the next one goes */
    merging merging;
    const wr_directive *directive; /* the first one */
} authz_config;

extern WR_API wr_module authz_core_module;

/* The kinds that are our own. */

enum {
    ALL_DENIED,
    ALL_GRANTED
};

static const char *parse_all(wr_command_call *call, int argc,
                             const char *const *argv, const void **parsed)
{
    static const int granted = ALL_GRANTED, denied = ALL_DENIED;

    (void)call;
    if (argc == 1 && strcasecmp(argv[0], "granted") == 0) {
        *parsed = &granted;
        return NULL;
    }
    if (argc == 1 && strcasecmp(argv[0], "denied") == 0) {
        *parsed = &denied;
        return NULL;
    }
    return "\"all\" must be followed by granted or denied";
}

static wr_authz check_all(wr_request *r, const void *parsed)
{
    (void)r;
    return *(const int *)parsed == ALL_GRANTED ? WR_AUTHZ_GRANTED
                                               : WR_AUTHZ_DENIED;
}

/** The words as they stand, ended by NULL. */
static const char *parse_words(wr_command_call *call, int argc,
                               const char *const *argv, const void **parsed)
{
    const char **words;

    if (argc == 0) {
        return "at least one name must follow";
    }
    words = apr_pcalloc(call->pool, sizeof(*words) * (size_t)(argc + 1));
    memcpy(words, argv, sizeof(*words) * (size_t)argc);
    *parsed = words;
    return NULL;
}

static wr_authz check_method(wr_request *r, const void *parsed)
{
    for (const char *const *name = parsed; *name; name++) {
        /* Who may GET may HEAD, as everywhere. */
        if (strcmp(*name, r->method_name) == 0
            || (r->is_head && strcmp(*name, "GET") == 0)) {
            return WR_AUTHZ_GRANTED;
        }
    }
    return WR_AUTHZ_DENIED;
}

static wr_authz check_env(wr_request *r, const void *parsed)
{
    for (const char *const *name = parsed; r->env && *name; name++) {
        if (apr_table_get(r->env, *name)) {
            return WR_AUTHZ_GRANTED;
        }
    }
    return WR_AUTHZ_DENIED;
}

static const wr_authz_provider all_provider = {parse_all, check_all};
static const wr_authz_provider method_provider = {parse_words, check_method};
static const wr_authz_provider env_provider = {parse_words, check_env};

/* The tree. */

static node *make_node(apr_pool_t *pool, node_kind kind, const char *name)
{
    node *made = apr_pcalloc(pool, sizeof(*made));

    made->kind = kind;
    made->name = name;
    if (kind != NODE_LEAF) {
        made->children = apr_array_make(pool, 4, sizeof(node *));
    }
    return made;
}

static wr_authz negate(wr_authz answer)
{
    switch (answer) {
    case WR_AUTHZ_GRANTED:
        return WR_AUTHZ_DENIED;
    case WR_AUTHZ_DENIED:
        return WR_AUTHZ_NEUTRAL; /* not being one thing grants nothing */
    case WR_AUTHZ_NEUTRAL:
    case WR_AUTHZ_SUSPENDED:
        break;
    }
    return answer;
}

static wr_authz check_node(wr_request *r, const node *n);

/** All: the first denial decides.  Any: the first grant does. */
static wr_authz check_children(wr_request *r, const node *n)
{
    wr_authz decisive =
        n->kind == NODE_ALL ? WR_AUTHZ_DENIED : WR_AUTHZ_GRANTED;
    wr_authz result = WR_AUTHZ_NEUTRAL;

    for (int i = 0; i < n->children->nelts; i++) {
        wr_authz answer = check_node(r, APR_ARRAY_IDX(n->children, i, node *));

        if (answer == decisive || answer == WR_AUTHZ_SUSPENDED) {
            return answer;
        }
        if (answer != WR_AUTHZ_NEUTRAL) {
            result = answer;
        }
    }
    return result;
}

static wr_authz check_node(wr_request *r, const node *n)
{
    wr_authz answer = n->kind == NODE_LEAF ? n->provider->check(r, n->parsed)
                                           : check_children(r, n);

    return n->is_negated ? negate(answer) : answer;
}

/** Is it known to grant, whoever asks? */
static bool always_grants(const node *n)
{
    bool is_all = n->kind == NODE_ALL;

    if (n->is_negated) {
        return false;
    }
    if (n->kind == NODE_LEAF) {
        return n->provider == &all_provider
               && *(const int *)n->parsed == ALL_GRANTED;
    }
    for (int i = 0; i < n->children->nelts; i++) {
        if (always_grants(APR_ARRAY_IDX(n->children, i, node *)) != is_all) {
            return !is_all;
        }
    }
    return is_all && n->children->nelts > 0;
}

/** Is there anyone to whom it could be granted? */
static bool can_grant(const node *n)
{
    int count = 0;

    if (n->is_negated) {
        return false;
    }
    if (n->kind == NODE_LEAF) {
        return n->provider != &all_provider
               || *(const int *)n->parsed == ALL_GRANTED;
    }
    for (int i = 0; i < n->children->nelts; i++) {
        const node *child = APR_ARRAY_IDX(n->children, i, node *);
        bool grants = can_grant(child);

        if (grants && n->kind == NODE_ANY) {
            return true;
        }
        if (!grants && n->kind == NODE_ALL && !child->is_negated) {
            return false;
        }
        count += grants;
    }
    return count > 0;
}

/* Configuration. */

static void *create_dir_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(authz_config));
}

/** A section with Require lines of its own replaces those outside it, unless
 *  AuthMerging says how both hold. */
static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const authz_config *outer = base, *inner = add;
    authz_config *merged = apr_pcalloc(pool, sizeof(*merged));
    bool is_and = inner->merging == MERGE_AND;

    merged->directive = inner->directive;
    merged->merging = inner->merging;
    if (!inner->top || !outer->top) {
        merged->top =
            inner->top || inner->merging == MERGE_OFF ? inner->top : outer->top;
    }
    else if (inner->merging != MERGE_AND && inner->merging != MERGE_OR) {
        merged->top = inner->top;
    }
    else {
        merged->top =
            make_node(pool, is_and ? NODE_ALL : NODE_ANY, "AuthMerging");
        APR_ARRAY_PUSH(merged->top->children, node *) = outer->top;
        APR_ARRAY_PUSH(merged->top->children, node *) = inner->top;
    }
    return merged;
}

/** Where the next Require of this section goes. */
static node *current_of(wr_command_call *call, authz_config *conf)
{
    if (!conf->top) {
        conf->top = make_node(call->pool, NODE_ANY, "<RequireAny>");
        conf->current = conf->top;
        conf->directive = call->directive;
    }
    return conf->current;
}

/** A negation never grants, so where one grant is enough it says nothing. */
static const char *add_child(wr_command_call *call, node *parent, node *child)
{
    if (child->is_negated && parent->kind == NODE_ANY) {
        return apr_psprintf(call->temp_pool,
                            "a negative %s has no effect in %s: put it "
                            "into <RequireAll>",
                            child->name,
                            parent->is_negated ? "<RequireNone>"
                                               : "<RequireAny>, nor where no "
                                                 "section is around it");
    }
    APR_ARRAY_PUSH(parent->children, node *) = child;
    return NULL;
}

static const char *require(wr_command_call *call, void *config, int argc,
                           const char *const *argv)
{
    node *parent = current_of(call, config);
    node *child = make_node(call->pool, NODE_LEAF, "Require");
    const char *error;

    if (strcasecmp(argv[0], "not") == 0) {
        child->is_negated = true;
        argc--;
        argv++;
    }
    if (argc == 0) {
        return "not what?";
    }
    child->provider = wr_provider_find(WR_AUTHZ_GROUP, argv[0]);
    if (!child->provider) {
        return apr_psprintf(call->temp_pool,
                            "no module that is loaded knows \"%.100s\"",
                            argv[0]);
    }
    error = child->provider->parse(call, argc - 1, argv + 1, &child->parsed);
    return error ? error : add_child(call, parent, child);
}

/** Does it hold nothing but negations, so that it can't grant? */
static bool is_all_negative(const node *section)
{
    for (int i = 0; i < section->children->nelts; i++) {
        if (!APR_ARRAY_IDX(section->children, i, node *)->is_negated) {
            return false;
        }
    }
    return true;
}

static const char *require_section(wr_command_call *call, authz_config *conf,
                                   node_kind kind, bool is_negated)
{
    node *parent = current_of(call, conf);
    node *section =
        make_node(call->pool, kind,
                  apr_psprintf(call->pool, "<%s>", call->command->name));

    section->is_negated = is_negated;
    conf->current = section;
    wr_run_children(call);
    conf->current = parent;
    if (section->children->nelts == 0) {
        /* Else what is there was wrong, and is reported. */
        return call->directive->first_child ? NULL
                                            : "there is no Require in it";
    }
    if (kind == NODE_ALL && is_all_negative(section)) {
        return "only negative lines stand in it, so that it would grant "
               "nobody anything: add \"Require all granted\"";
    }
    return add_child(call, parent, section);
}

static const char *require_all(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    (void)argc;
    (void)argv;
    return require_section(call, config, NODE_ALL, false);
}

static const char *require_any(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    (void)argc;
    (void)argv;
    return require_section(call, config, NODE_ANY, false);
}

static const char *require_none(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    (void)argc;
    (void)argv;
    return require_section(call, config, NODE_ANY, true);
}

static const char *set_merging(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    static const char *const names[] = {
        [MERGE_OFF] = "off", [MERGE_AND] = "and", [MERGE_OR] = "or"};
    authz_config *conf = config;

    (void)call;
    (void)argc;
    for (int i = MERGE_OFF; i <= MERGE_OR; i++) {
        if (strcasecmp(argv[0], names[i]) == 0) {
            conf->merging = (merging)i;
            return NULL;
        }
    }
    return "is Off, And or Or";
}

/* Requests. */

static wr_result check_access(wr_request *r)
{
    const authz_config *conf =
        wr_dir_config_of(r->dir_config, &authz_core_module);
    wr_authz answer = conf->top ? check_node(r, conf->top) : WR_AUTHZ_GRANTED;

    if (answer == WR_AUTHZ_SUSPENDED) {
        return WR_SUSPENDED;
    }
    if (answer == WR_AUTHZ_GRANTED) {
        return WR_DECLINED;
    }
    wr_log_request(r, WR_LOG_ERROR, 0,
                   "client denied by server configuration: %s",
                   r->filename ? r->filename : r->uri);
    return 403;
}

static bool is_closed(const wr_dir_config *dir)
{
    const authz_config *conf = wr_dir_config_of(dir, &authz_core_module);

    return conf->top && !can_grant(conf->top);
}

static const wr_authz_access access_provider = {is_closed};

static bool is_inactive(const void *dir_config)
{
    const authz_config *conf = dir_config;

    return !conf->top || always_grants(conf->top);
}

static void register_hooks(apr_pool_t *pool)
{
    wr_provider_add(pool, "access", "authz_core", &access_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "all", &all_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "method", &method_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "env", &env_provider);
    wr_hook_access_checker(check_access, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "Require",
     .run = require,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "[not] all granted | all denied | method NAME ... | env NAME ... "
             "| KIND ...",
     .help = "Who may have it; of several lines in a section one is enough, "
             "unless sections such as <RequireAll> say more.",
     .preset = "all granted"},
    {.name = "RequireAll",
     .run = require_all,
     .context = WR_IN_ANY,
     .help = "Of what stands in it nothing may fail, and something must "
             "succeed.",
     .is_section = true},
    {.name = "RequireAny",
     .run = require_any,
     .context = WR_IN_ANY,
     .help = "Of what stands in it one must succeed.",
     .is_section = true},
    {.name = "RequireNone",
     .run = require_none,
     .context = WR_IN_ANY,
     .help = "Of what stands in it none may succeed; it grants nothing by "
             "itself.",
     .is_section = true},
    {.name = "AuthMerging",
     .run = set_merging,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "Off|And|Or",
     .help = "Whether what a section requires replaces what is required "
             "around it, or both hold, or one of both.",
     .preset = "Off"},
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
