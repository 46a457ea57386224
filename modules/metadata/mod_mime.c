/*
 * mod_mime.c - content type, encoding, language, character set and handler by
 * the extensions of a file's name.
 *
 * Runs in any thread that steps connections; all tables are made while the
 * configuration is read and never change after that.  Says nothing of a
 * directory, and looks at names only, never into files.
 *
 * A name may have several extensions, in any order: "guide.html.gz".  Of
 * several types the last one holds; encodings and languages add up; what is
 * known to no table is passed over.  An extension that a section calls an
 * encoding is not looked up among TypesConfig's types: what it says of the
 * archive does not hold for what is inside.
 */
#define WR_LOG_MODULE mime_module

#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_mime.h"
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

/** What an extension can stand for. */
typedef enum aspect {
    TYPE,
    ENCODING,
    LANGUAGE,
    CHARSET,
    HANDLER,
    ASPECTS
} aspect;

/** What a section says of an extension.  NULL: nothing; "": it has none,
 *  whatever is said around. */
typedef struct meaning {
    const char *of[ASPECTS];
} meaning;

typedef struct mime_dir_config {
    apr_hash_t *meanings; /* extension to meaning *; NULL: none */
    const char *default_language;
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
    for (int i = 0; i < ASPECTS; i++) {
        merged->of[i] = add->of[i] ? add->of[i] : base->of[i];
    }
    return merged;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const mime_dir_config *outer = base, *inner = add;
    mime_dir_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->meanings = inner->meanings ? inner->meanings : outer->meanings;
    if (inner->meanings && outer->meanings) {
        merged->meanings = apr_hash_merge(
            pool, inner->meanings, outer->meanings, merge_meanings, NULL);
    }
    merged->default_language = inner->default_language
                                   ? inner->default_language
                                   : outer->default_language;
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

static const char *set_aspect(wr_command_call *call, void *config, aspect what,
                              const char *value, int argc,
                              const char *const *extensions)
{
    for (int i = 0; i < argc; i++) {
        meaning_of(call, config, extensions[i])->of[what] = value;
    }
    return NULL;
}

static const char *add_type(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    const char *slash = strchr(argv[0], '/');

    if (!slash || slash == argv[0] || !slash[1]) {
        return apr_psprintf(call->temp_pool, "\"%s\" is no media type",
                            argv[0]);
    }
    return set_aspect(call, config, TYPE, argv[0], argc - 1, argv + 1);
}

static const char *add_encoding(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    return set_aspect(call, config, ENCODING,
                      to_lower(apr_pstrdup(call->pool, argv[0])), argc - 1,
                      argv + 1);
}

static const char *add_language(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    return set_aspect(call, config, LANGUAGE, argv[0], argc - 1, argv + 1);
}

static const char *add_charset(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    return set_aspect(call, config, CHARSET, argv[0], argc - 1, argv + 1);
}

static const char *add_handler(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    return set_aspect(call, config, HANDLER, argv[0], argc - 1, argv + 1);
}

static const char *remove_type(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    return set_aspect(call, config, TYPE, "", argc, argv);
}

static const char *remove_encoding(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    return set_aspect(call, config, ENCODING, "", argc, argv);
}

static const char *remove_language(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    return set_aspect(call, config, LANGUAGE, "", argc, argv);
}

static const char *remove_charset(wr_command_call *call, void *config, int argc,
                                  const char *const *argv)
{
    return set_aspect(call, config, CHARSET, "", argc, argv);
}

static const char *remove_handler(wr_command_call *call, void *config, int argc,
                                  const char *const *argv)
{
    return set_aspect(call, config, HANDLER, "", argc, argv);
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

/** In a list: "gzip", then "gzip, br". */
static const char *append(apr_pool_t *pool, const char *list, const char *word)
{
    return list ? apr_pstrcat(pool, list, ", ", word, NULL) : word;
}

/** What a section says, "" being nothing. */
static const char *said(const meaning *found, aspect what)
{
    return found && found->of[what] && *found->of[what] ? found->of[what]
                                                        : NULL;
}

/** @return whether the extension is known. */
static bool apply_extension(const wr_request *r, const char *extension,
                            size_t len, wr_mime *mime)
{
    const mime_dir_config *dir = wr_dir_config_of(r->dir_config, &mime_module);
    const mime_server_config *server =
        wr_server_config(r->server, &mime_module);
    const meaning *found = NULL;
    const char *type, *language;
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
    type = said(found, TYPE);
    language = said(found, LANGUAGE);
    if (!type && server->types && !said(found, ENCODING)) {
        type = apr_hash_get(server->types, key, (apr_ssize_t)len);
    }
    mime->type = type ? type : mime->type;
    if (said(found, ENCODING)) {
        mime->encoding = append(r->pool, mime->encoding, said(found, ENCODING));
    }
    if (language) {
        mime->language = append(r->pool, mime->language, language);
    }
    mime->charset = said(found, CHARSET) ? said(found, CHARSET) : mime->charset;
    mime->handler = said(found, HANDLER) ? said(found, HANDLER) : mime->handler;
    return type || found;
}

/** "guide.html.gz": "html", then "gz".  ".profile" has no extension. */
static bool find_mime(const wr_request *r, const char *filename, wr_mime *mime)
{
    const char *name = strrchr(filename, '/'), *dot;
    bool is_known = false;

    name = name ? name + 1 : filename;
    name += strspn(name, ".");
    for (dot = strchr(name, '.'); dot;) {
        size_t len = strcspn(dot + 1, ".");

        if (apply_extension(r, dot + 1, len, mime)) {
            is_known = true;
        }
        dot = dot[1 + len] ? dot + 1 + len : NULL;
    }
    return is_known;
}

static wr_result find_type(wr_request *r)
{
    const mime_dir_config *dir;
    wr_mime mime = {NULL, NULL, NULL, NULL, NULL};
    bool is_known;

    if (!r->filename || (r->file && r->file->is_dir)) {
        return WR_DECLINED;
    }
    dir = wr_dir_config_of(r->dir_config, &mime_module);
    is_known = find_mime(r, r->filename, &mime);
    r->content_type = mime.type ? mime.type : r->content_type;
    if (mime.charset && r->content_type) {
        r->content_type = apr_pstrcat(r->pool, r->content_type,
                                      "; charset=", mime.charset, NULL);
    }
    r->content_encoding = mime.encoding;
    r->content_language = mime.language ? mime.language : dir->default_language;
    r->handler = mime.handler;
    return is_known ? WR_OK : WR_DECLINED;
}

static const wr_mime_types types_provider = {find_mime};

static void register_hooks(apr_pool_t *pool)
{
    wr_provider_add(pool, "mime", "types", &types_provider);
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
    {.name = "AddLanguage",
     .run = add_language,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "LANGUAGE EXTENSION [EXTENSION] ...",
     .help = "Files with the extensions are in the language, as en or pt-br."},
    {.name = "AddCharset",
     .run = add_charset,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "CHARSET EXTENSION [EXTENSION] ...",
     .help = "Files with the extensions are in the character set."},
    {.name = "AddHandler",
     .run = add_handler,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "HANDLER EXTENSION [EXTENSION] ...",
     .help = "Files with the extensions are answered by that handler."},
    {.name = "RemoveType",
     .run = remove_type,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "EXTENSION [EXTENSION] ...",
     .help = "Forgets what AddType says of the extensions around."},
    {.name = "RemoveEncoding",
     .run = remove_encoding,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "EXTENSION [EXTENSION] ...",
     .help = "Forgets what AddEncoding says of the extensions around."},
    {.name = "RemoveLanguage",
     .run = remove_language,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "EXTENSION [EXTENSION] ...",
     .help = "Forgets what AddLanguage says of the extensions around."},
    {.name = "RemoveCharset",
     .run = remove_charset,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "EXTENSION [EXTENSION] ...",
     .help = "Forgets what AddCharset says of the extensions around."},
    {.name = "RemoveHandler",
     .run = remove_handler,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "EXTENSION [EXTENSION] ...",
     .help = "Forgets what AddHandler says of the extensions around."},
    {.name = "DefaultLanguage",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "LANGUAGE",
     .help = "The language of files whose names say nothing of it.",
     .offset = offsetof(mime_dir_config, default_language)},
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
