/*
 * mod_mime.c - content type and encoding by the extensions of a file's name.
 *
 * Runs in any thread that steps connections; all tables are made while the
 * configuration is read and never change after that.  Says nothing of a
 * directory, and looks at names only, never into files.
 *
 * A name may have several extensions, in any order: "guide.html.gz".  Of
 * several types the last one holds; encodings add up; what is known to no table
 * is passed over.  An extension that a section calls an encoding is not looked
 * up among TypesConfig's types: what it says of the archive does not hold for
 * what is inside.
 */
#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#define SYSTEM_TYPES "/etc/mime.types"

/** Longer extensions have no meaning. */
#define EXTENSION_MAX 64

/** What a section says of an extension; NULL: nothing. */
typedef struct meaning {
    const char *type;
    const char *encoding;
} meaning;

typedef struct mime_dir_config {
    apr_hash_t *meanings; /* extension to meaning *; NULL: none */
} mime_dir_config;

typedef struct mime_server_config {
    apr_hash_t *types; /* TypesConfig: extension to const char *, or NULL */
} mime_server_config;

extern WR_API wr_module mime_module;

static void *create_dir_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(mime_dir_config));
}

static void *create_server_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(mime_server_config));
}

/** For apr_hash_merge: @a inner holds where it says something. */
static void *merge_meanings(apr_pool_t *pool, const void *key, apr_ssize_t len,
                            const void *inner, const void *outer,
                            const void *data)
{
    const meaning *add = inner, *base = outer;
    meaning *merged = apr_palloc(pool, sizeof(*merged));

    (void)key;
    (void)len;
    (void)data;
    merged->type = add->type ? add->type : base->type;
    merged->encoding = add->encoding ? add->encoding : base->encoding;
    return merged;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const mime_dir_config *outer = base, *inner = add;
    mime_dir_config *merged = apr_palloc(pool, sizeof(*merged));

    if (!outer->meanings || !inner->meanings) {
        *merged = inner->meanings ? *inner : *outer;
    }
    else {
        merged->meanings = apr_hash_merge(
            pool, inner->meanings, outer->meanings, merge_meanings, NULL);
    }
    return merged;
}

static void *merge_server_config(apr_pool_t *pool, const void *base,
                                 const void *add)
{
    const mime_server_config *outer = base, *inner = add;
    mime_server_config *merged = apr_palloc(pool, sizeof(*merged));

    *merged = inner->types ? *inner : *outer;
    return merged;
}

/* Directives. */

static char *to_lower(char *text)
{
    for (char *at = text; *at; at++) {
        *at = (char)apr_tolower(*at);
    }
    return text;
}

/** The meaning of ".HTML" or "html", new if there is none. */
static meaning *meaning_of(wr_command_call *call, mime_dir_config *conf,
                           const char *extension)
{
    const char *key =
        to_lower(apr_pstrdup(call->pool, extension + (*extension == '.')));
    meaning *found;

    if (!conf->meanings) {
        conf->meanings = apr_hash_make(call->pool);
    }
    found = apr_hash_get(conf->meanings, key, APR_HASH_KEY_STRING);
    if (!found) {
        found = apr_pcalloc(call->pool, sizeof(*found));
        apr_hash_set(conf->meanings, key, APR_HASH_KEY_STRING, found);
    }
    return found;
}

static const char *add_type(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    const char *slash = strchr(argv[0], '/');

    if (!slash || slash == argv[0] || !slash[1]) {
        return apr_psprintf(call->temp_pool, "\"%s\" is no media type",
                            argv[0]);
    }
    for (int i = 1; i < argc; i++) {
        meaning_of(call, config, argv[i])->type = argv[0];
    }
    return NULL;
}

static const char *add_encoding(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    const char *encoding = to_lower(apr_pstrdup(call->pool, argv[0]));

    for (int i = 1; i < argc; i++) {
        meaning_of(call, config, argv[i])->encoding = encoding;
    }
    return NULL;
}

/** A line "TYPE EXTENSION EXTENSION ...", perhaps with a comment. */
static void read_types_line(apr_hash_t *types, char *line, apr_pool_t *pool)
{
    char *state, *type, *extension;

    line[strcspn(line, "#")] = '\0';
    type = apr_strtok(line, " \t\r\n", &state);
    if (!type) {
        return;
    }
    extension = apr_strtok(NULL, " \t\r\n", &state);
    if (!extension) {
        return;
    }
    type = apr_pstrdup(pool, type);
    for (; extension; extension = apr_strtok(NULL, " \t\r\n", &state)) {
        apr_hash_set(types, to_lower(apr_pstrdup(pool, extension)),
                     APR_HASH_KEY_STRING, type);
    }
}

static apr_status_t read_types(apr_hash_t **types, const char *path,
                               apr_pool_t *pool)
{
    apr_hash_t *result = apr_hash_make(pool);
    apr_file_t *file;
    char line[4096];
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BUFFERED,
                       APR_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    while ((rv = apr_file_gets(line, sizeof(line), file)) == APR_SUCCESS) {
        read_types_line(result, line, pool);
    }
    apr_file_close(file);
    if (rv != APR_EOF) {
        return rv;
    }
    *types = result;
    return APR_SUCCESS;
}

static const char *types_config(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    mime_server_config *conf = config;
    const char *path = wr_server_root_relative(call, argv[0]);
    char reason[128];
    apr_status_t rv;

    (void)argc;
    rv = read_types(&conf->types, path, call->pool);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(call->temp_pool, "can't read %s: %s", path,
                            apr_strerror(rv, reason, sizeof(reason)));
    }
    return NULL;
}

/** Without TypesConfig: the system's types, else those that came with us. */
static apr_status_t read_default_types(apr_pool_t *pool, wr_server *main_server)
{
    const mime_server_config *main_conf =
        wr_server_config(main_server, &mime_module);
    apr_hash_t *types = main_conf->types;
    apr_status_t rv = APR_SUCCESS;

    if (!types && read_types(&types, SYSTEM_TYPES, pool) != APR_SUCCESS) {
        rv = read_types(&types, WR_MIME_TYPES, pool);
    }
    if (rv != APR_SUCCESS) {
        wr_log_error(main_server, WR_LOG_WARN, rv,
                     "no content types: neither %s nor %s can be read",
                     SYSTEM_TYPES, WR_MIME_TYPES);
    }
    for (wr_server *s = main_server; s; s = s->next) {
        mime_server_config *conf = wr_server_config(s, &mime_module);
        conf->types = types;
    }
    return APR_SUCCESS;
}

/* Requests. */

static void add_content_encoding(wr_request *r, const char *encoding)
{
    r->content_encoding =
        r->content_encoding
            ? apr_pstrcat(r->pool, r->content_encoding, ", ", encoding, NULL)
            : encoding;
}

/** @return whether the extension is known. */
static bool apply_extension(wr_request *r, const char *extension, size_t len)
{
    const mime_dir_config *dir = wr_dir_config_of(r->dir_config, &mime_module);
    const mime_server_config *server =
        wr_server_config(r->server, &mime_module);
    const meaning *found = NULL;
    const char *type = NULL;
    char key[EXTENSION_MAX];

    if (len == 0 || len >= sizeof(key)) {
        return false;
    }
    memcpy(key, extension, len);
    key[len] = '\0';
    to_lower(key);
    if (dir->meanings) {
        found = apr_hash_get(dir->meanings, key, (apr_ssize_t)len);
    }
    if (found) {
        type = found->type;
    }
    if (!type && server->types && !(found && found->encoding)) {
        type = apr_hash_get(server->types, key, (apr_ssize_t)len);
    }
    if (type) {
        r->content_type = type;
    }
    if (found && found->encoding) {
        add_content_encoding(r, found->encoding);
    }
    return type || found;
}

/** "guide.html.gz": "html", then "gz".  ".profile" has no extension. */
static wr_result find_type(wr_request *r)
{
    wr_result result = WR_DECLINED;
    const char *name, *dot;

    if (!r->filename || (r->file && r->file->is_dir)) {
        return WR_DECLINED;
    }
    name = strrchr(r->filename, '/');
    name = name ? name + 1 : r->filename;
    name += strspn(name, ".");
    for (dot = strchr(name, '.'); dot;) {
        size_t len = strcspn(dot + 1, ".");

        if (apply_extension(r, dot + 1, len)) {
            result = WR_OK;
        }
        dot = dot[1 + len] ? dot + 1 + len : NULL;
    }
    return result;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_config(read_default_types, NULL, NULL, APR_HOOK_MIDDLE);
    wr_hook_type_checker(find_type, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "TypesConfig",
     .run = types_config,
     .context = WR_IN_GLOBAL,
     .min_args = 1,
     .max_args = 1,
     .args = "FILE",
     .help = "A file with a media type and its extensions in each line.",
     .preset = SYSTEM_TYPES},
    {.name = "AddType",
     .run = add_type,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "MEDIA-TYPE EXTENSION [EXTENSION] ...",
     .help = "Files with the extensions have the media type."},
    {.name = "AddEncoding",
     .run = add_encoding,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "ENCODING EXTENSION [EXTENSION] ...",
     .help = "Files with the extensions are encoded so, as by gzip."},
    {.name = NULL},
};

WR_API wr_module mime_module = {
    WR_MODULE_HEAD("mime"),
    .flags = WR_MODULE_CACHEABLE,
    .commands = commands,
    .create_dir_config = create_dir_config,
    .create_server_config = create_server_config,
    .merge_dir_config = merge_dir_config,
    .merge_server_config = merge_server_config,
    .register_hooks = register_hooks,
};
