/*
 * mod_alias.c - URLs that lead elsewhere: Alias to files outside DocumentRoot,
 * Redirect to other URLs.
 *
 * Runs in any thread that steps connections; everything was read and every
 * directory opened beforehand.  Redirects of a server come before its aliases,
 * those of a section when the file is known; among each other what stands
 * first in the file holds, a virtual host's own before the main server's.
 */
#define WR_LOG_MODULE alias_module

#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_regex.h"
#include "wr_request.h"

#include <apr_escape.h>
#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/** What a URL-path must begin with, or match. */
typedef struct rule {
    const char *from;
    const wr_regex *regex; /* NULL: from is a beginning */
    const char *to;        /* path or URL; NULL: none */
    int status;            /* of a redirect */
    bool is_section;       /* a redirect that stands in a section */
    const char *dir;       /* of an alias: below it, all that it leads to */
    wr_root *root;         /* the same opened; NULL: it can't be */
    const wr_directive *directive;
} rule;

typedef struct alias_dir_config {
    apr_array_header_t *redirects; /* rule *; or NULL */
} alias_dir_config;

typedef struct alias_server_config {
    apr_array_header_t *aliases; /* rule *; or NULL */
} alias_server_config;

extern WR_API wr_module alias_module;

/* Configuration. */

static void *create_dir_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(alias_dir_config));
}

static void *create_server_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(alias_server_config));
}

static apr_array_header_t *inner_first(apr_pool_t *pool,
                                       const apr_array_header_t *inner,
                                       const apr_array_header_t *outer)
{
    const apr_array_header_t *one = inner ? inner : outer;

    if (inner && outer) {
        return apr_array_append(pool, inner, outer);
    }
    return one ? apr_array_copy(pool, one) : NULL;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const alias_dir_config *outer = base, *inner = add;
    alias_dir_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->redirects = inner_first(pool, inner->redirects, outer->redirects);
    return merged;
}

static void *merge_server_config(apr_pool_t *pool, const void *base,
                                 const void *add)
{
    const alias_server_config *outer = base, *inner = add;
    alias_server_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->aliases = inner_first(pool, inner->aliases, outer->aliases);
    return merged;
}

static rule *push_rule(wr_command_call *call, apr_array_header_t **rules)
{
    rule *made = apr_pcalloc(call->pool, sizeof(*made));

    made->directive = call->directive;
    if (!*rules) {
        *rules = apr_array_make(call->pool, 4, sizeof(rule *));
    }
    APR_ARRAY_PUSH(*rules, rule *) = made;
    return made;
}

/** What the rule is for.  @return NULL, or what is wrong. */
static const char *set_from(wr_command_call *call, rule *made, const char *from,
                            bool is_regex)
{
    made->from = from;
    if (is_regex) {
        return wr_regex_compile(&made->regex, from, 0, call->pool);
    }
    return from[0] == '/'
               ? NULL
               : apr_psprintf(call->temp_pool,
                              "\"%.200s\" is no URL-path: it begins with /",
                              from);
}

/** A replacement can't name a group that its pattern has not. */
static const char *check_groups(wr_command_call *call, const rule *made)
{
    int highest = made->regex && made->to ? wr_regex_highest(made->to) : 0;

    if (highest == 0 || highest <= wr_regex_groups(made->regex)) {
        return NULL;
    }
    return apr_psprintf(call->temp_pool, "there is no group $%d in \"%.200s\"",
                        highest, made->from);
}

static const char *add_alias(wr_command_call *call, void *config,
                             const char *const *argv, bool is_regex)
{
    alias_server_config *conf = config;
    rule *made = push_rule(call, &conf->aliases);
    const char *error = set_from(call, made, argv[0], is_regex);
    size_t literal;

    if (error) {
        return error;
    }
    made->to = wr_server_root_relative(call, argv[1]);
    literal = is_regex ? strcspn(made->to, "$&\\") : strlen(made->to);
    if (made->to[literal]) {
        while (made->to[literal - 1] != '/') {
            literal--; /* the last directory that is known beforehand */
        }
    }
    made->dir = apr_pstrmemdup(call->pool, made->to, literal);
    return check_groups(call, made);
}

static const char *set_alias(wr_command_call *call, void *config, int argc,
                             const char *const *argv)
{
    (void)argc;
    return add_alias(call, config, argv, false);
}

static const char *set_alias_match(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    (void)argc;
    return add_alias(call, config, argv, true);
}

static const char *refuse_script(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    (void)argv;
    return "no programs are run for requests; to send files as they are, write "
           "Alias";
}

/** "permanent", "301"; 0 for none. */
static int parse_status(const char *text)
{
    static const struct {
        const char *name;
        int status;
    } names[] = {
        {"permanent", 301}, {"temp", 302}, {"seeother", 303}, {"gone", 410}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            return names[i].status;
        }
    }
    if (strlen(text) == 3 && text[0] >= '3' && text[0] <= '5'
        && apr_isdigit(text[1]) && apr_isdigit(text[2])) {
        return (text[0] - '0') * 100 + (text[1] - '0') * 10 + text[2] - '0';
    }
    return 0;
}

static bool is_redirection(int status)
{
    return status >= 300 && status < 400;
}

/** "https:" and the like. */
static bool has_scheme(const char *url)
{
    size_t len = 0;

    while (apr_isalnum(url[len])
           || (len > 0 && strchr("+-.", url[len]) && url[len])) {
        len++;
    }
    return len > 0 && url[len] == ':';
}

static const char *check_target(wr_command_call *call, const rule *made)
{
    if (!is_redirection(made->status)) {
        return made->to ? apr_psprintf(call->temp_pool,
                                       "with the status %d goes no URL",
                                       made->status)
                        : NULL;
    }
    if (!made->to) {
        return "a URL to redirect to must follow";
    }
    if (!made->regex && made->to[0] != '/' && !has_scheme(made->to)) {
        return apr_psprintf(call->temp_pool,
                            "\"%.200s\" is no URL: it begins with / or with a "
                            "scheme such as https:",
                            made->to);
    }
    return check_groups(call, made);
}

static const char *add_redirect(wr_command_call *call, void *config, int status,
                                int argc, const char *const *argv,
                                bool is_regex)
{
    alias_dir_config *conf = config;
    rule *made = push_rule(call, &conf->redirects);
    const char *error = set_from(call, made, argv[0], is_regex);

    made->status = status;
    made->is_section = call->context == WR_IN_DIRECTORY;
    made->to = argc > 1 ? argv[1] : NULL;
    return error ? error : check_target(call, made);
}

/** [STATUS] PATH [URL] */
static const char *redirect_with_status(wr_command_call *call, void *config,
                                        int argc, const char *const *argv,
                                        bool is_regex)
{
    int status = argc == 2 && argv[0][0] == '/' ? 0 : parse_status(argv[0]);

    if (status == 0 && argc == 3) {
        return apr_psprintf(call->temp_pool,
                            "\"%.100s\" is no status: permanent, temp, "
                            "seeother, gone, or 300 to 599",
                            argv[0]);
    }
    return status ? add_redirect(call, config, status, argc - 1, argv + 1,
                                 is_regex)
                  : add_redirect(call, config, 302, argc, argv, is_regex);
}

static const char *set_redirect(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    return redirect_with_status(call, config, argc, argv, false);
}

static const char *set_redirect_match(wr_command_call *call, void *config,
                                      int argc, const char *const *argv)
{
    return redirect_with_status(call, config, argc, argv, true);
}

static const char *set_redirect_temp(wr_command_call *call, void *config,
                                     int argc, const char *const *argv)
{
    return add_redirect(call, config, 302, argc, argv, false);
}

static const char *set_redirect_permanent(wr_command_call *call, void *config,
                                          int argc, const char *const *argv)
{
    return add_redirect(call, config, 301, argc, argv, false);
}

/** An alias may lead to a directory, or to a file: then that lies below the
 *  file's directory. */
static void open_root(rule *alias, const wr_server *server, apr_pool_t *pool)
{
    const char *slash = strrchr(alias->dir, '/');
    apr_status_t rv = wr_root_open(&alias->root, alias->dir, pool);

    if (rv == ENOTDIR && slash && slash[1]) {
        rv = wr_root_open(&alias->root,
                          apr_pstrmemdup(pool, alias->dir,
                                         (apr_size_t)(slash - alias->dir) + 1),
                          pool);
    }
    if (rv != APR_SUCCESS) {
        wr_log_error(server, WR_LOG_WARN, rv,
                     "%s:%d: nothing is served from %s: it can't be opened",
                     alias->directive->file, alias->directive->line,
                     alias->dir);
    }
}

static apr_status_t open_roots(apr_pool_t *pool, wr_server *main_server)
{
    for (wr_server *s = main_server; s; s = s->next) {
        const alias_server_config *conf = wr_server_config(s, &alias_module);

        for (int i = 0; conf->aliases && i < conf->aliases->nelts; i++) {
            rule *alias = APR_ARRAY_IDX(conf->aliases, i, rule *);

            if (!alias->root) {
                open_root(alias, s, pool);
            }
        }
    }
    return APR_SUCCESS;
}

/* Requests. */

/** How much of @a uri is @a from, in whole segments: 0 for none.  One slash
 *  stands for any number of them. */
static size_t match_beginning(const char *uri, const char *from)
{
    const char *at = uri, *last = from;

    while (*from) {
        if (*at != *from) {
            return 0;
        }
        last = from;
        if (*from == '/') {
            at += strspn(at, "/");
            from += strspn(from, "/");
        }
        else {
            at++;
            from++;
        }
    }
    return *last != '/' && *at && *at != '/' ? 0 : (size_t)(at - uri);
}

/** The groups of a match, each as it is written in a URL. */
static void escape_groups(apr_pool_t *pool, wr_match *match)
{
    const char *text = "";

    for (int i = 0; i < WR_REGEX_GROUPS; i++) {
        const char *group =
            apr_pstrmemdup(pool, match->subject + match->group[i].start,
                           match->group[i].end - match->group[i].start);

        match->group[i].start = strlen(text);
        text = apr_pstrcat(pool, text, apr_pescape_path(pool, group, 1), NULL);
        match->group[i].end = strlen(text);
    }
    match->subject = text;
}

/** Does a rule say where @a r goes?  WR_OK, WR_DECLINED or a status.
 *  @param to set to the path or URL; NULL where there is none. */
static wr_result apply_rule(wr_request *r, const rule *entry, const char **to)
{
    bool is_url = entry->status != 0;
    const char *rest;
    wr_match match;
    size_t len;

    *to = NULL;
    if (!entry->regex) {
        len = match_beginning(r->uri, entry->from);
        if (len == 0) {
            return WR_DECLINED;
        }
        rest =
            is_url ? apr_pescape_path(r->pool, r->uri + len, 1) : r->uri + len;
        if (entry->to) {
            *to = apr_pstrcat(r->pool, entry->to, rest, NULL);
        }
        return WR_OK;
    }
    switch (wr_regex_match(entry->regex, r->uri, strlen(r->uri), &match)) {
    case WR_REGEX_NO:
        return WR_DECLINED;
    case WR_REGEX_GAVE_UP:
        wr_log_request(r, WR_LOG_ERROR, 0, "%s:%d: too much work for %s",
                       entry->directive->file, entry->directive->line,
                       entry->from);
        return 500;
    case WR_REGEX_YES:
        break;
    }
    if (entry->to && is_url) {
        escape_groups(r->pool, &match);
    }
    if (entry->to) {
        *to = wr_regex_expand(r->pool, entry->to, &match);
    }
    return WR_OK;
}

static wr_result redirect(wr_request *r, const rule *entry, const char *to)
{
    if (!to) {
        return entry->status;
    }
    if (to[0] == '/') {
        to = wr_request_url(r, to);
    }
    else if (!has_scheme(to)) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "%s:%d: can't redirect to %s: no URL",
                       entry->directive->file, entry->directive->line, to);
        return 500;
    }
    if (r->args && !strchr(to, '?')) {
        to = apr_pstrcat(r->pool, to, "?", r->args, NULL);
    }
    wr_request_set_err_header(r, "Location", to);
    return entry->status;
}

static wr_result try_redirects(wr_request *r, bool is_section)
{
    const alias_dir_config *conf =
        wr_dir_config_of(r->dir_config, &alias_module);

    for (int i = 0; conf->redirects && i < conf->redirects->nelts; i++) {
        const rule *entry = APR_ARRAY_IDX(conf->redirects, i, const rule *);
        const char *to;
        wr_result result;

        if (entry->is_section != is_section) {
            continue;
        }
        result = apply_rule(r, entry, &to);
        if (result != WR_DECLINED) {
            return result == WR_OK ? redirect(r, entry, to) : result;
        }
    }
    return WR_DECLINED;
}

/** The path below the root.  What a pattern made may be anything. */
static wr_result use_path(wr_request *r, const rule *alias, const char *path)
{
    size_t root_len = alias->root ? strlen(alias->root->path) : 0;
    size_t len = strlen(path);
    char *clean;

    if (!alias->root
        || apr_filepath_merge(&clean, "/", path, 0, r->pool) != APR_SUCCESS
        || strncmp(clean, alias->root->path, root_len) != 0
        || (clean[root_len] && clean[root_len] != '/')) {
        return 404;
    }
    if (path[len - 1] == '/' && clean[strlen(clean) - 1] != '/') {
        clean = apr_pstrcat(r->pool, clean, "/", NULL);
    }
    r->root = alias->root;
    r->filename = clean;
    r->root_path =
        clean[root_len] && clean[root_len + 1] ? clean + root_len + 1 : ".";
    return WR_OK;
}

static wr_result try_aliases(wr_request *r)
{
    const alias_server_config *conf =
        wr_server_config(r->server, &alias_module);

    for (int i = 0; conf->aliases && i < conf->aliases->nelts; i++) {
        const rule *alias = APR_ARRAY_IDX(conf->aliases, i, const rule *);
        const char *to;
        wr_result result = apply_rule(r, alias, &to);

        if (result != WR_DECLINED) {
            return result == WR_OK ? use_path(r, alias, to) : result;
        }
    }
    return WR_DECLINED;
}

static wr_result translate(wr_request *r)
{
    wr_result result;

    if (r->uri[0] != '/') {
        return WR_DECLINED;
    }
    result = try_redirects(r, false);
    return result == WR_DECLINED ? try_aliases(r) : result;
}

static wr_result redirect_in_section(wr_request *r)
{
    return r->uri[0] == '/' ? try_redirects(r, true) : WR_DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_config(open_roots, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_translate_name(translate, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_fixups(redirect_in_section, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "Alias",
     .run = set_alias,
     .context = WR_IN_SERVERS,
     .min_args = 2,
     .max_args = 2,
     .args = "URL-PATH FILE|DIRECTORY",
     .help = "What begins with the URL-path is a file there, not below "
             "DocumentRoot."},
    {.name = "AliasMatch",
     .run = set_alias_match,
     .context = WR_IN_SERVERS,
     .min_args = 2,
     .max_args = 2,
     .args = "REGEX FILE|DIRECTORY",
     .help = "What the regular expression matches is that file; $1 to $9 "
             "stand for its groups."},
    {.name = "ScriptAlias",
     .run = refuse_script,
     .context = WR_IN_SERVERS,
     .min_args = 2,
     .max_args = 2,
     .args = "URL-PATH FILE|DIRECTORY",
     .help = "An error: this version runs no programs for requests."},
    {.name = "Redirect",
     .run = set_redirect,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 3,
     .args = "[permanent|temp|seeother|gone|STATUS] URL-PATH [URL]",
     .help = "What begins with the URL-path is elsewhere, or gone; what "
             "follows in the path is added to the URL."},
    {.name = "RedirectMatch",
     .run = set_redirect_match,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 3,
     .args = "[permanent|temp|seeother|gone|STATUS] REGEX [URL]",
     .help = "What the regular expression matches is elsewhere, or gone; $1 "
             "to $9 stand for its groups."},
    {.name = "RedirectTemp",
     .run = set_redirect_temp,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 2,
     .args = "URL-PATH URL",
     .help = "Redirect temp."},
    {.name = "RedirectPermanent",
     .run = set_redirect_permanent,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 2,
     .args = "URL-PATH URL",
     .help = "Redirect permanent."},
    {.name = NULL},
};

WR_API wr_module alias_module = {
    WR_MODULE_HEAD("alias"),
    .flags = WR_MODULE_CACHEABLE,
    .commands = commands,
    .create_dir_config = create_dir_config,
    .create_server_config = create_server_config,
    .merge_dir_config = merge_dir_config,
    .merge_server_config = merge_server_config,
    .register_hooks = register_hooks,
};
