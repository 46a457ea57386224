/*
 * mod_dir.c - requests for a directory: its index, and the slash at its end.
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
} dir_config;

extern WR_API wr_module dir_module;

static void *create_dir_config(apr_pool_t *pool)
{
    dir_config *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->adds_slash = -1;
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

/** Send the client to the same URL with a slash: relative links need it. */
static wr_result redirect_to_slash(wr_request *r)
{
    const char *path = apr_pescape_path(r->pool, r->uri, 1);
    const char *url = wr_request_url(r, apr_pstrcat(r->pool, path, "/", NULL));

    if (r->args) {
        url = apr_pstrcat(r->pool, url, "?", r->args, NULL);
    }
    wr_request_set_err_header(r, "Location", url);
    return 301;
}

/** One name: a redirect to it, or WR_DECLINED where there is no such file. */
static wr_result try_index(wr_request *r, const char *name)
{
    wr_file *file;
    wr_result result;

    if (*name == '/') { /* a URL of its own: nothing to look for here */
        return wr_request_redirect(r, name);
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
    return wr_request_redirect(r, apr_pstrcat(r->pool, r->uri, name, NULL));
}

static wr_result fix_directory(wr_request *r)
{
    const dir_config *conf = wr_dir_config_of(r->dir_config, &dir_module);
    wr_result result = WR_DECLINED;

    if (!r->file || !r->file->is_dir) {
        return WR_DECLINED;
    }
    if (r->uri[strlen(r->uri) - 1] != '/') {
        return conf->adds_slash ? redirect_to_slash(r) : WR_DECLINED;
    }
    if (!conf->names) {
        return try_index(r, "index.html");
    }
    for (int i = 0; i < conf->names->nelts && result == WR_DECLINED; i++) {
        result = try_index(r, APR_ARRAY_IDX(conf->names, i, const char *));
    }
    return result;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_fixups(fix_directory, NULL, NULL, APR_HOOK_LAST);
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
