/*
 * mod_setenvif.c - variables by what a request looks like: SetEnvIf and its
 * kin.
 *
 * Runs in any thread that steps connections.  A server's lines are looked at
 * when the head was read, before the URL is translated; those of a section
 * when its file is known, before access is checked.
 */
#define WR_LOG_MODULE setenvif_module

#include "wr_config.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_regex.h"
#include "wr_request.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/** A variable that a line sets, or takes away. */
typedef struct variable {
    const char *name;
    const char *value; /* with $n; NULL: taken away */
} variable;

typedef struct rule rule;
/** What is looked at; NULL for none. */
typedef const char *look_fn(wr_request *r, const rule *looked);

struct rule {
    const char *attribute;
    look_fn *look;
    const wr_regex *names; /* of fields, if it is a pattern; or NULL */
    const wr_regex *regex;
    apr_array_header_t *variables; /* variable */
    bool is_section;
    const wr_directive *directive;
};

typedef struct setenvif_config {
    apr_array_header_t *rules; /* rule * */
} setenvif_config;

/* What can be looked at. */

static const char *look_at_client(wr_request *r, const rule *looked)
{
    (void)looked;
    return wr_request_client(r);
}

static const char *look_at_server(wr_request *r, const rule *looked)
{
    const struct sockaddr *local = wr_request_local(r);
    const void *any = local;
    char *text = apr_palloc(r->pool, INET6_ADDRSTRLEN);

    (void)looked;
    if (!local) {
        return NULL;
    }
    if (local->sa_family == AF_INET) {
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)any)->sin_addr,
                         text, INET6_ADDRSTRLEN);
    }
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)any)->sin6_addr, text,
              INET6_ADDRSTRLEN);
    return strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') ? text + 7
                                                                 : text;
}

static const char *look_at_method(wr_request *r, const rule *looked)
{
    (void)looked;
    return r->method_name;
}

static const char *look_at_protocol(wr_request *r, const rule *looked)
{
    (void)looked;
    return apr_psprintf(r->pool, "HTTP/%u.%u", r->version_major,
                        r->version_minor);
}

/** Before it is understood: as it was sent, but without its query. */
static const char *look_at_uri(wr_request *r, const rule *looked)
{
    const char *path = r->target;

    if (looked->is_section) {
        return r->uri;
    }
    if (path[0] != '/' && strstr(path, "://")) {
        path = strchr(strstr(path, "://") + 3, '/');
        path = path ? path : "/";
    }
    return apr_pstrmemdup(r->pool, path, strcspn(path, "?"));
}

/** A field; or, if there is none, a variable that was set before. */
static const char *look_at_field(wr_request *r, const rule *looked)
{
    const char *value = wr_request_field(r, looked->attribute);

    return !value && r->env ? apr_table_get(r->env, looked->attribute) : value;
}

static const struct attribute {
    const char *name;
    look_fn *look;
} attributes[] = {
    {"Remote_Addr", look_at_client},        {"Server_Addr", look_at_server},
    {"Request_Method", look_at_method},     {"Request_URI", look_at_uri},
    {"Request_Protocol", look_at_protocol},
};

/* Configuration. */

static void *create_dir_config(apr_pool_t *pool)
{
    setenvif_config *conf = apr_palloc(pool, sizeof(*conf));

    conf->rules = apr_array_make(pool, 4, sizeof(rule *));
    return conf;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const setenvif_config *outer = base, *inner = add;
    setenvif_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->rules = apr_array_append(pool, outer->rules, inner->rules);
    return merged;
}

/** "name", "name=value", "!name". */
static const char *add_variable(wr_command_call *call, rule *made,
                                const char *word)
{
    const char *equals = strchr(word, '=');
    bool is_taken = *word == '!';
    variable *var = apr_array_push(made->variables);

    var->name = is_taken ? word + 1
                         : apr_pstrmemdup(call->pool, word, strcspn(word, "="));
    var->value = is_taken ? NULL : equals ? equals + 1 : "1";
    if (!*var->name || (is_taken && equals)) {
        return apr_psprintf(call->temp_pool,
                            "\"%.100s\" is not NAME, NAME=VALUE or !NAME",
                            word);
    }
    if (var->value
        && wr_regex_highest(var->value) > wr_regex_groups(made->regex)) {
        return apr_psprintf(call->temp_pool,
                            "\"%.100s\": the regular "
                            "expression has not so many groups",
                            word);
    }
    return NULL;
}

static const char *set_attribute(wr_command_call *call, rule *made,
                                 const char *name)
{
    made->attribute = name;
    made->look = look_at_field;
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
        if (strcasecmp(name, attributes[i].name) == 0) {
            made->look = attributes[i].look;
            return NULL;
        }
    }
    if (strcasecmp(name, "Remote_Host") == 0 || strncmp(name, "OID(", 4) == 0) {
        return apr_psprintf(call->temp_pool, "%s can't be looked at", name);
    }
    if (strpbrk(name, "^$.*+?[]()|\\")) {
        return wr_regex_compile(&made->names, name, WR_REGEX_NOCASE,
                                call->pool);
    }
    return NULL;
}

static const char *add_rule(wr_command_call *call, void *config,
                            const char *attribute, unsigned flags, int argc,
                            const char *const *argv)
{
    setenvif_config *conf = config;
    rule *made = apr_pcalloc(call->pool, sizeof(*made));
    const char *error = set_attribute(call, made, attribute);

    made->is_section = call->context == WR_IN_DIRECTORY;
    made->directive = call->directive;
    made->variables = apr_array_make(call->pool, argc, sizeof(variable));
    if (!error) {
        error = wr_regex_compile(&made->regex, argv[0], flags, call->pool);
    }
    for (int i = 1; i < argc && !error; i++) {
        error = add_variable(call, made, argv[i]);
    }
    APR_ARRAY_PUSH(conf->rules, rule *) = made;
    return error;
}

static const char *set_env_if(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    return add_rule(call, config, argv[0], 0, argc - 1, argv + 1);
}

static const char *set_env_if_no_case(wr_command_call *call, void *config,
                                      int argc, const char *const *argv)
{
    return add_rule(call, config, argv[0], WR_REGEX_NOCASE, argc - 1, argv + 1);
}

static const char *browser_match(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    return add_rule(call, config, "User-Agent", 0, argc, argv);
}

static const char *browser_match_no_case(wr_command_call *call, void *config,
                                         int argc, const char *const *argv)
{
    return add_rule(call, config, "User-Agent", WR_REGEX_NOCASE, argc, argv);
}

/* Requests. */

static bool matches(wr_request *r, const rule *at, const char *value,
                    wr_match *match)
{
    value = value ? value : "";
    switch (wr_regex_match(at->regex, value, strlen(value), match)) {
    case WR_REGEX_YES:
        return true;
    case WR_REGEX_GAVE_UP:
        wr_log_request(r, WR_LOG_ERROR, 0, "%s:%d: too much work",
                       at->directive->file, at->directive->line);
        break;
    case WR_REGEX_NO:
        break;
    }
    return false;
}

/** Any field whose name the pattern matches. */
static bool any_field_matches(wr_request *r, const rule *at, wr_match *match)
{
    for (int i = 0; i < r->field_count; i++) {
        const wr_field *field = &r->fields[i];

        if (wr_regex_match(at->names, field->name, field->name_len, NULL)
                == WR_REGEX_YES
            && matches(r, at, field->value, match)) {
            return true;
        }
    }
    return false;
}

static void set_variables(wr_request *r, const rule *at, const wr_match *match)
{
    if (!r->env) {
        r->env = apr_table_make(r->pool, 8);
    }
    for (int i = 0; i < at->variables->nelts; i++) {
        const variable *var = &APR_ARRAY_IDX(at->variables, i, variable);

        if (var->value) {
            apr_table_setn(r->env, var->name,
                           wr_regex_expand(r->pool, var->value, match));
        }
        else {
            apr_table_unset(r->env, var->name);
        }
    }
}

static wr_result look(wr_request *r, bool is_section)
{
    const setenvif_config *conf =
        wr_dir_config_of(r->dir_config, &setenvif_module);

    for (int i = 0; i < conf->rules->nelts; i++) {
        const rule *at = APR_ARRAY_IDX(conf->rules, i, const rule *);
        wr_match match;

        if (at->is_section == is_section
            && (at->names ? any_field_matches(r, at, &match)
                          : matches(r, at, at->look(r, at), &match))) {
            set_variables(r, at, &match);
        }
    }
    return WR_DECLINED;
}

static wr_result look_for_server(wr_request *r)
{
    return look(r, false);
}

static wr_result look_for_section(wr_request *r)
{
    return look(r, true);
}

static bool is_inactive(const void *dir_config)
{
    return ((const setenvif_config *)dir_config)->rules->nelts == 0;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_read_request(look_for_server, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_header_parser(look_for_section, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "SetEnvIf",
     .run = set_env_if,
     .context = WR_IN_ANY,
     .min_args = 3,
     .max_args = WR_ARGS_ANY,
     .args = "FIELD|ATTRIBUTE REGEX [!]NAME[=VALUE] ...",
     .help = "Sets variables, or takes them away, where the regular "
             "expression matches a field of the request, a variable, or "
             "Remote_Addr, Server_Addr, Request_Method, Request_Protocol or "
             "Request_URI; $1 to $9 stand for its groups."},
    {.name = "SetEnvIfNoCase",
     .run = set_env_if_no_case,
     .context = WR_IN_ANY,
     .min_args = 3,
     .max_args = WR_ARGS_ANY,
     .args = "FIELD|ATTRIBUTE REGEX [!]NAME[=VALUE] ...",
     .help = "SetEnvIf, whether letters are small or capital."},
    {.name = "BrowserMatch",
     .run = browser_match,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "REGEX [!]NAME[=VALUE] ...",
     .help = "SetEnvIf User-Agent."},
    {.name = "BrowserMatchNoCase",
     .run = browser_match_no_case,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "REGEX [!]NAME[=VALUE] ...",
     .help = "SetEnvIfNoCase User-Agent."},
    {.name = NULL},
};

WR_API wr_module setenvif_module = {
    WR_MODULE_HEAD("setenvif"),
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .inactive = is_inactive,
    .register_hooks = register_hooks,
};
