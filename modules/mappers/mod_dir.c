/*
 * mod_dir.c - requests for a directory: its index, and the slash at its end;
 * and what stands in for what is not there.
 *
 * Runs in any thread that steps connections.  Whether an index is there is
 * asked of the core, which may suspend the request for it.  A directory without
 * an index is left to others; in the end the core refuses it.
 */
#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_request.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <strings.h>

typedef struct dir_config {
    apr_array_header_t *names; /* const char *; NULL: not set */
    int adds_slash;            /* -1: not set */
    int checks_handler;        /* -1: not set */
    int redirect;              /* status, 0: none; -1: not set */
    const char *fallback;      /* URL-path; "": none; NULL: not set */
} dir_config;

extern WR_API wr_module dir_module;

static void *create_dir_config(apr_pool_t *pool)
{
    dir_config *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->adds_slash = conf->checks_handler = conf->redirect = -1;
    return conf;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const dir_config *outer = base, *inner = add;
    dir_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->names = inner->names ? inner->names : outer->names;
    merged->adds_slash =
        inner->adds_slash >= 0 ? inner->adds_slash : outer->adds_slash;
    merged->checks_handler = inner->checks_handler >= 0 ? inner->checks_handler
                                                        : outer->checks_handler;
    merged->redirect = inner->redirect >= 0 ? inner->redirect : outer->redirect;
    merged->fallback = inner->fallback ? inner->fallback : outer->fallback;
    return merged;
}

/** Names are added to those the section has; "disabled" takes them away. */
static const char *set_index(wr_command_call *call, void *config, int argc,
                             const char *const *argv)
{
    dir_config *conf = config;
    bool is_disabled = argc == 1 && strcasecmp(argv[0], "disabled") == 0;

    if (!conf->names || is_disabled) {
        conf->names = apr_array_make(call->pool, 4, sizeof(const char *));
    }
    for (int i = 0; i < argc && !is_disabled; i++) {
        if (!*argv[i]) {
            return "an index needs a name";
        }
        APR_ARRAY_PUSH(conf->names, const char *) = argv[i];
    }
    return NULL;
}

/** "on", "off", "permanent", "temp", "seeother", or a status. */
static const char *set_redirect(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    static const struct {
        const char *name;
        int status;
    } names[] = {{"off", 0},
                 {"on", 302},
                 {"temp", 302},
                 {"permanent", 301},
                 {"seeother", 303}};
    dir_config *conf = config;
    int64_t status;

    (void)argc;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(argv[0], names[i].name) == 0) {
            conf->redirect = names[i].status;
            return NULL;
        }
    }
    if (wr_parse_int(call->temp_pool, argv[0], 300, 399, &status)) {
        return "is on, off, permanent, temp, seeother or 300 to 399";
    }
    conf->redirect = (int)status;
    return NULL;
}

static const char *set_fallback(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    dir_config *conf = config;
    bool is_disabled = strcasecmp(argv[0], "disabled") == 0;

    (void)call;
    (void)argc;
    conf->fallback = is_disabled ? "" : argv[0];
    return is_disabled || argv[0][0] == '/' ? NULL
                                            : "is a URL-path, which begins "
                                              "with /, or disabled";
}

/** Send the client elsewhere on this server. */
static wr_result redirect_client(wr_request *r, const char *uri, int status)
{
    const char *url = wr_request_url(r, apr_pescape_path(r->pool, uri, 1));

    if (r->args) {
        url = apr_pstrcat(r->pool, url, "?", r->args, NULL);
    }
    wr_request_set_err_header(r, "Location", url);
    return status;
}

/** To a name in the directory, or a URL-path. */
static wr_result use_index(wr_request *r, const char *name)
{
    const dir_config *conf = wr_dir_config_of(r->dir_config, &dir_module);
    const char *uri =
        *name == '/' ? name : apr_pstrcat(r->pool, r->uri, name, NULL);

    return conf->redirect > 0 ? redirect_client(r, uri, conf->redirect)
                              : wr_request_redirect(r, uri);
}

/** One name: a redirect to it, or WR_DECLINED where there is no such file. */
static wr_result try_index(wr_request *r, const char *name)
{
    wr_file *file;
    wr_result result;

    if (*name == '/') { /* a URL of its own: nothing to look for here */
        return use_index(r, name);
    }
    result = wr_request_lookup(
        r,
        apr_pstrcat(r->pool, r->filename,
                    r->filename[strlen(r->filename) - 1] == '/' ? "" : "/",
                    name, NULL),
        &file);
    if (result != WR_OK) {
        return result;
    }
    if (!file || !file->is_regular) {
        return WR_DECLINED;
    }
    return use_index(r, name);
}

static wr_result fix_directory(wr_request *r)
{
    const dir_config *conf = wr_dir_config_of(r->dir_config, &dir_module);
    wr_result result = WR_DECLINED;

    if (r->uri[strlen(r->uri) - 1] != '/') {
        /* Relative links need the slash. */
        return conf->adds_slash ? redirect_client(
                   r, apr_pstrcat(r->pool, r->uri, "/", NULL), 301)
                                : WR_DECLINED;
    }
    if (conf->checks_handler == 1 && r->handler) {
        return WR_DECLINED;
    }
    if (!conf->names) {
        return try_index(r, "index.html");
    }
    for (int i = 0; i < conf->names->nelts && result == WR_DECLINED; i++) {
        result = try_index(r, APR_ARRAY_IDX(conf->names, i, const char *));
    }
    return result;
}

static wr_result fix_request(wr_request *r)
{
    const dir_config *conf = wr_dir_config_of(r->dir_config, &dir_module);
    wr_result result = WR_DECLINED;

    if (!r->filename || (r->file && !r->file->is_dir)) {
        return WR_DECLINED;
    }
    if (r->file) {
        result = fix_directory(r);
    }
    if (result == WR_DECLINED && conf->fallback && *conf->fallback
        && !r->handler && strcmp(r->uri, conf->fallback) != 0) {
        return wr_request_redirect(r, conf->fallback);
    }
    return result;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_fixups(fix_request, NULL, NULL, APR_HOOK_LAST);
}

static const wr_command commands[] = {
    {.name = "DirectoryIndex",
     .run = set_index,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "NAME [NAME] ... | disabled",
     .help = "Files served for a directory: the first one that is there.",
     .preset = "index.html"},
    {.name = "DirectorySlash",
     .run = wr_set_flag,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "On|Off",
     .help = "Whether a directory asked for without a slash at its end is "
             "answered by a redirect to the URL with it.",
     .preset = "On",
     .offset = offsetof(dir_config, adds_slash)},
    {.name = "DirectoryIndexRedirect",
     .run = set_redirect,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "on|off|permanent|temp|seeother|STATUS",
     .help = "Whether the client is sent to the index that is found, rather "
             "than that it is served for the directory.",
     .preset = "off"},
    {.name = "DirectoryCheckHandler",
     .run = wr_set_flag,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "On|Off",
     .help = "Whether a directory that a handler is set for is left to it.",
     .preset = "Off",
     .offset = offsetof(dir_config, checks_handler)},
    {.name = "FallbackResource",
     .run = set_fallback,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "URL-PATH|disabled",
     .help = "What is served for files that are not there, and directories "
             "without an index.",
     .preset = "disabled"},
    {.name = NULL},
};

WR_API wr_module dir_module = {
    WR_MODULE_HEAD("dir"),
    .flags = WR_MODULE_CACHEABLE,
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .register_hooks = register_hooks,
};
