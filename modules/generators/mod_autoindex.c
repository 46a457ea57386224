/*
 * mod_autoindex.c - a directory without an index shows what is in it, where
 * Options Indexes allows it.
 *
 * The directives are read with the configuration; what a request needs of the
 * disk is asked for as ops (autoindex_read.c), and made a page of
 * (autoindex_page.c).  Entries are looked at, not asked for: what sections
 * close to everybody is not shown, what they close to some is.
 */
#define WR_LOG_MODULE autoindex_module

#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include "autoindex.h"

#include <apr_escape.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#define ICON_WIDTH  20 /* of the icons that servers have come with for ever */
#define ICON_HEIGHT 22
#define ENTRIES_MAX 20000

extern WR_API wr_module autoindex_module;

/* Merging. */

static void *create_dir_config(apr_pool_t *pool)
{
    wr__index_config *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->name_width = conf->description_width = WR__INDEX_WIDTH_UNSET;
    conf->is_descending = -1;
    return conf;
}

/** What the section says itself comes first. */
static apr_array_header_t *both(apr_pool_t *pool,
                                const apr_array_header_t *inner,
                                const apr_array_header_t *outer)
{
    const apr_array_header_t *one = inner ? inner : outer;

    if (inner && outer) {
        return apr_array_append(pool, inner, outer);
    }
    return one ? apr_array_copy(pool, one) : NULL;
}

static const char *either(const char *inner, const char *outer)
{
    return inner ? inner : outer;
}

static void merge_options(wr__index_config *merged,
                          const wr__index_config *outer,
                          const wr__index_config *inner)
{
    unsigned base = inner->is_absolute
                        ? inner->options
                        : (outer->options | outer->added) & ~outer->removed;

    merged->options = (base | inner->added) & ~inner->removed;
    merged->is_absolute = true;
    merged->added = merged->removed = 0;
    merged->name_width = inner->name_width != WR__INDEX_WIDTH_UNSET
                             ? inner->name_width
                             : outer->name_width;
    merged->description_width =
        inner->description_width != WR__INDEX_WIDTH_UNSET
            ? inner->description_width
            : outer->description_width;
    merged->icon_width =
        inner->icon_width ? inner->icon_width : outer->icon_width;
    merged->icon_height =
        inner->icon_height ? inner->icon_height : outer->icon_height;
    merged->charset = either(inner->charset, outer->charset);
    merged->type = either(inner->type, outer->type);
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const wr__index_config *outer = base, *inner = add;
    wr__index_config *merged = create_dir_config(pool);

    merge_options(merged, outer, inner);
    merged->icons = both(pool, inner->icons, outer->icons);
    merged->alts = both(pool, inner->alts, outer->alts);
    merged->descriptions = both(pool, inner->descriptions, outer->descriptions);
    merged->ignored = both(pool, inner->ignored,
                           inner->forgets_ignored ? NULL : outer->ignored);
    merged->forgets_ignored = inner->forgets_ignored || outer->forgets_ignored;
    merged->default_icon = either(inner->default_icon, outer->default_icon);
    merged->header_name = either(inner->header_name, outer->header_name);
    merged->readme_name = either(inner->readme_name, outer->readme_name);
    merged->style_sheet = either(inner->style_sheet, outer->style_sheet);
    merged->head_insert = either(inner->head_insert, outer->head_insert);
    merged->key = inner->is_descending >= 0 ? inner->key : outer->key;
    merged->is_descending =
        inner->is_descending >= 0 ? inner->is_descending : outer->is_descending;
    merged->entries_max =
        inner->entries_max ? inner->entries_max : outer->entries_max;
    return merged;
}

/* IndexOptions. */

static const struct option {
    const char *name;
    unsigned bit;
} options[] = {
    {"FancyIndexing", WR__INDEX_FANCY},
    {"HTMLTable", WR__INDEX_TABLE},
    {"FoldersFirst", WR__INDEX_FOLDERS_FIRST},
    {"IconsAreLinks", WR__INDEX_ICONS_ARE_LINKS},
    {"IgnoreCase", WR__INDEX_IGNORE_CASE},
    {"IgnoreClient", WR__INDEX_IGNORE_CLIENT},
    {"SuppressColumnSorting", WR__INDEX_NO_SORTING},
    {"SuppressDescription", WR__INDEX_NO_DESCRIPTION},
    {"SuppressHTMLPreamble", WR__INDEX_NO_PREAMBLE},
    {"SuppressIcon", WR__INDEX_NO_ICON},
    {"SuppressLastModified", WR__INDEX_NO_TIME},
    {"SuppressRules", WR__INDEX_NO_RULES},
    {"SuppressSize", WR__INDEX_NO_SIZE},
    {"UseOldDateFormat", WR__INDEX_OLD_DATE},
    {"VersionSort", WR__INDEX_VERSION_SORT},
};

/** "NameWidth=20", "NameWidth=*", "-NameWidth". */
static const char *set_width(wr_command_call *call, int *width, char sign,
                             const char *value)
{
    int64_t number;
    const char *error;

    if (sign == '-') {
        *width = WR__INDEX_WIDTH_UNSET;
        return value ? "a width that is taken away has no value" : NULL;
    }
    if (value && strcmp(value, "*") == 0) {
        *width = WR__INDEX_WIDTH_LONGEST;
        return NULL;
    }
    error = value ? wr_parse_int(call->temp_pool, value, 5, 1000, &number)
                  : "a width needs a number or *, as in NameWidth=*";
    if (!error) {
        *width = (int)number;
    }
    return error;
}

static const char *set_icon_size(wr_command_call *call, int *size, int usual,
                                 const char *value)
{
    int64_t number = usual;
    const char *error =
        value ? wr_parse_int(call->temp_pool, value, 1, 1000, &number) : NULL;

    if (!error) {
        *size = (int)number;
    }
    return error;
}

/** One that has a value.  @param is_known whether there is such an option. */
static const char *set_value_option(wr_command_call *call,
                                    wr__index_config *conf, char sign,
                                    const char *name, const char *value,
                                    bool *is_known)
{
    *is_known = true;
    if (strcasecmp(name, "NameWidth") == 0) {
        return set_width(call, &conf->name_width, sign, value);
    }
    if (strcasecmp(name, "DescriptionWidth") == 0) {
        return set_width(call, &conf->description_width, sign, value);
    }
    if (strcasecmp(name, "IconWidth") == 0) {
        return set_icon_size(call, &conf->icon_width, ICON_WIDTH, value);
    }
    if (strcasecmp(name, "IconHeight") == 0) {
        return set_icon_size(call, &conf->icon_height, ICON_HEIGHT, value);
    }
    if (strcasecmp(name, "Charset") == 0) {
        conf->charset = value;
        return value && *value ? NULL : "Charset needs a value";
    }
    if (strcasecmp(name, "Type") == 0) {
        conf->type = value;
        return value && *value ? NULL : "Type needs a value";
    }
    *is_known = false;
    return NULL;
}

static void set_bit(wr__index_config *conf, char sign, unsigned bit)
{
    if (sign == '+') {
        conf->added |= bit;
        conf->removed &= ~bit;
    }
    else if (sign == '-') {
        conf->removed |= bit;
        conf->added &= ~bit;
    }
    else {
        conf->is_absolute = true;
        conf->options |= bit;
    }
}

static const char *set_option(wr_command_call *call, wr__index_config *conf,
                              const char *word)
{
    char sign = *word == '+' || *word == '-' ? *word++ : '\0';
    const char *equals = strchr(word, '=');
    const char *name =
        equals ? apr_pstrmemdup(call->pool, word, (apr_size_t)(equals - word))
               : word;
    const char *error;
    bool is_known;

    if (!sign && strcasecmp(word, "None") == 0) {
        conf->options = conf->added = conf->removed = 0;
        conf->is_absolute = true;
        return NULL;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (!equals && strcasecmp(name, options[i].name) == 0) {
            set_bit(conf, sign, options[i].bit);
            return NULL;
        }
    }
    error = set_value_option(call, conf, sign, name, equals ? equals + 1 : NULL,
                             &is_known);
    return is_known ? error
                    : apr_psprintf(call->temp_pool, "there is no option %.100s",
                                   word);
}

static const char *set_options(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    const char *error = NULL;

    for (int i = 0; i < argc && !error; i++) {
        error = set_option(call, config, argv[i]);
    }
    return error;
}

/* Icons, texts, descriptions. */

static void add_item(wr_command_call *call, apr_array_header_t **items,
                     wr__index_for kind, const char *pattern, const char *text)
{
    wr__index_item *item;

    if (!*items) {
        *items = apr_array_make(call->pool, 8, sizeof(*item));
    }
    item = apr_array_push(*items);
    item->kind = kind;
    item->below = call->dir_path;
    item->pattern = pattern;
    item->text = text;
}

/** A name as httpd takes it: "README", ".gif" and "x*.c" end the path. */
static const char *name_pattern(wr_command_call *call, const char *name)
{
    if (strncmp(name, "^^", 2) == 0) {
        return name;
    }
    return apr_pstrcat(call->pool, "*", name, NULL);
}

static void add_items(wr_command_call *call, apr_array_header_t **items,
                      wr__index_for kind, const char *text, int argc,
                      const char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        add_item(call, items, kind,
                 kind == WR__INDEX_FOR_NAME ? name_pattern(call, argv[i])
                                            : argv[i],
                 text);
    }
}

/** "/icons/x.png", or "(IMG,/icons/x.png)": then the text too. */
static const char *add_icons(wr_command_call *call, wr__index_config *conf,
                             wr__index_for kind, int argc,
                             const char *const *argv)
{
    const char *icon = argv[0], *comma = strchr(icon, ',');
    size_t len = strlen(icon);

    if (icon[0] == '(') {
        if (!comma || icon[len - 1] != ')') {
            return "an icon with a text is written (TEXT,URL)";
        }
        add_items(call, &conf->alts, kind,
                  apr_pstrmemdup(call->pool, icon + 1,
                                 (apr_size_t)(comma - icon) - 1),
                  argc - 1, argv + 1);
        icon = apr_pstrmemdup(call->pool, comma + 1,
                              (apr_size_t)(icon + len - 1 - (comma + 1)));
    }
    add_items(call, &conf->icons, kind, icon, argc - 1, argv + 1);
    return NULL;
}

static const char *add_icon(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    return add_icons(call, config, WR__INDEX_FOR_NAME, argc, argv);
}

static const char *add_icon_by_type(wr_command_call *call, void *config,
                                    int argc, const char *const *argv)
{
    return add_icons(call, config, WR__INDEX_FOR_TYPE, argc, argv);
}

static const char *add_icon_by_encoding(wr_command_call *call, void *config,
                                        int argc, const char *const *argv)
{
    return add_icons(call, config, WR__INDEX_FOR_ENCODING, argc, argv);
}

static const char *add_alt(wr_command_call *call, void *config, int argc,
                           const char *const *argv)
{
    wr__index_config *conf = config;

    add_items(call, &conf->alts, WR__INDEX_FOR_NAME, argv[0], argc - 1,
              argv + 1);
    return NULL;
}

static const char *add_alt_by_type(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    wr__index_config *conf = config;

    add_items(call, &conf->alts, WR__INDEX_FOR_TYPE, argv[0], argc - 1,
              argv + 1);
    return NULL;
}

static const char *add_alt_by_encoding(wr_command_call *call, void *config,
                                       int argc, const char *const *argv)
{
    wr__index_config *conf = config;

    add_items(call, &conf->alts, WR__INDEX_FOR_ENCODING, argv[0], argc - 1,
              argv + 1);
    return NULL;
}

/** A whole name is that file's; a pattern or a path may fit several. */
static const char *add_description(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    wr__index_config *conf = config;

    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        bool is_wide = strchr(name, '/') || apr_fnmatch_test(name);

        add_item(call, &conf->descriptions, WR__INDEX_FOR_NAME,
                 apr_pstrcat(call->pool, is_wide && *name != '/' ? "*" : "",
                             is_wide ? "" : "*/", name, is_wide ? "*" : "",
                             NULL),
                 argv[0]);
    }
    return NULL;
}

static const char *add_ignored(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    wr__index_config *conf = config;

    if (!conf->ignored) {
        conf->ignored = apr_array_make(call->pool, 8, sizeof(const char *));
    }
    for (int i = 0; i < argc; i++) {
        APR_ARRAY_PUSH(conf->ignored, const char *) = argv[i];
    }
    return NULL;
}

static const char *forget_ignored(wr_command_call *call, void *config, int argc,
                                  const char *const *argv)
{
    wr__index_config *conf = config;
    int is_on = 0;

    (void)call;
    (void)argc;
    if (strcasecmp(argv[0], "on") == 0) {
        is_on = 1;
    }
    else if (strcasecmp(argv[0], "off") != 0) {
        return "is On or Off";
    }
    conf->forgets_ignored = is_on;
    return NULL;
}

static const char *set_order(wr_command_call *call, void *config, int argc,
                             const char *const *argv)
{
    static const struct {
        const char *name;
        wr__index_key key;
    } keys[] = {{"Name", WR__INDEX_BY_NAME},
                {"Date", WR__INDEX_BY_TIME},
                {"Size", WR__INDEX_BY_SIZE},
                {"Description", WR__INDEX_BY_DESCRIPTION}};
    wr__index_config *conf = config;

    (void)call;
    (void)argc;
    if (strcasecmp(argv[0], "Ascending") == 0) {
        conf->is_descending = 0;
    }
    else if (strcasecmp(argv[0], "Descending") == 0) {
        conf->is_descending = 1;
    }
    else {
        return "the order is Ascending or Descending";
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcasecmp(argv[1], keys[i].name) == 0) {
            conf->key = keys[i].key;
            return NULL;
        }
    }
    return "the order is by Name, Date, Size or Description";
}

/* Requests. */

/** One of "C=N", "O=D", "F=2", "V=1", "P=*.txt". */
static void use_query(wr__index_view *view, wr_request *r, const char *at,
                      size_t len)
{
    char value = len == 3 ? at[2] : '\0';

    if (len < 2 || at[1] != '=') {
        return;
    }
    if (at[0] == 'C' && value && strchr("NMSD", value)) {
        view->key = (wr__index_key)value;
    }
    else if (at[0] == 'O' && (value == 'A' || value == 'D')) {
        view->is_descending = value == 'D';
    }
    else if (at[0] == 'F' && value >= '0' && value <= '2') {
        view->options &= ~(unsigned)(WR__INDEX_FANCY | WR__INDEX_TABLE);
        view->options |= value == '2'   ? WR__INDEX_FANCY | WR__INDEX_TABLE
                         : value == '1' ? WR__INDEX_FANCY
                                        : 0;
    }
    else if (at[0] == 'V' && (value == '0' || value == '1')) {
        view->options &= ~(unsigned)WR__INDEX_VERSION_SORT;
        view->options |= value == '1' ? WR__INDEX_VERSION_SORT : 0;
    }
    else if (at[0] == 'P' && len > 2) {
        view->pattern = apr_punescape_url(
            r->pool, apr_pstrmemdup(r->pool, at + 2, len - 2), NULL, NULL, 1);
    }
}

/** What the configuration says, and the query. */
static wr__index_view make_view(wr_request *r, const wr__index_config *conf)
{
    wr__index_view view = {
        .options = (conf->options | conf->added) & ~conf->removed,
        .key = conf->is_descending >= 0 ? conf->key : WR__INDEX_BY_NAME,
        .is_descending = conf->is_descending == 1,
    };
    const char *at = r->args;

    if (view.options & WR__INDEX_IGNORE_CLIENT) {
        view.options |= WR__INDEX_NO_SORTING;
        return view;
    }
    while (at && *at) {
        size_t len = strcspn(at, ";&");

        use_query(&view, r, at, len);
        at += len + (at[len] != '\0');
    }
    return view;
}

static wr_result make_index(wr_request *r)
{
    const wr__index_config *conf =
        wr_dir_config_of(r->dir_config, &autoindex_module);
    wr__index_text header, readme;
    wr__index_view view;
    wr_op *listed;
    wr_result result = wr__index_list(
        r, conf->entries_max ? conf->entries_max : ENTRIES_MAX, &listed);

    if (result == WR_OK) {
        result = wr__index_read_text(r, conf->header_name, &header);
    }
    if (result == WR_OK) {
        result = wr__index_read_text(r, conf->readme_name, &readme);
    }
    if (result != WR_OK) {
        return result;
    }
    view = make_view(r, conf);
    r->content_type =
        apr_pstrcat(r->pool, conf->type ? conf->type : "text/html",
                    ";charset=", conf->charset ? conf->charset : "UTF-8", NULL);
    wr__index_show(r, conf, &view, wr__index_entries(r, listed, conf, &view),
                   &header, &readme);
    return WR_OK;
}

static wr_result show_directory(wr_request *r)
{
    if (!r->file || !r->file->is_dir || r->handler
        || (r->method != WR_M_GET && r->method != WR_M_HEAD)
        || r->uri[strlen(r->uri) - 1] != '/'
        || !(wr_dir_options(r->dir_config) & WR_OPT_INDEXES)) {
        return WR_DECLINED;
    }
    return make_index(r);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(show_directory, NULL, NULL, APR_HOOK_MIDDLE);
}

#define FIELD(NAME) .offset = offsetof(wr__index_config, NAME)

static const wr_command commands[] = {
    {.name = "IndexOptions",
     .run = set_options,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "None | [+|-]OPTION[=VALUE] ...",
     .help = "How a directory is shown: FancyIndexing, HTMLTable, "
             "FoldersFirst, IgnoreCase, VersionSort, IconsAreLinks, "
             "IgnoreClient, UseOldDateFormat, Suppress with ColumnSorting, "
             "Description, HTMLPreamble, Icon, LastModified, Rules or Size; "
             "NameWidth=N|*, DescriptionWidth=N|*, IconWidth, IconHeight, "
             "Charset=, Type=.",
     .preset = "None"},
    {.name = "IndexOrderDefault",
     .run = set_order,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 2,
     .args = "Ascending|Descending Name|Date|Size|Description",
     .help = "The order of a directory's entries until a client asks for "
             "another.",
     .preset = "Ascending Name"},
    {.name = "IndexEntriesMax",
     .run = wr_set_int,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .min = 1,
     .max = 1000000,
     .args = "entries",
     .help = "So many are shown at most; that there are more is logged.",
     .preset = "20000",
     FIELD(entries_max)},
    {.name = "IndexIgnore",
     .run = add_ignored,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "NAME [NAME] ...",
     .help = "Entries that are not shown; names may hold wildcards, and are "
             "added to those of the sections around."},
    {.name = "IndexIgnoreReset",
     .run = forget_ignored,
     .context = WR_IN_DIRECTORY,
     .min_args = 1,
     .max_args = 1,
     .args = "On|Off",
     .help = "Whether the IndexIgnore of the sections around is forgotten.",
     .preset = "Off"},
    {.name = "AddDescription",
     .run = add_description,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "TEXT NAME [NAME] ...",
     .help = "What is said of the files; HTML is allowed."},
    {.name = "AddIcon",
     .run = add_icon,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "URL|(TEXT,URL) NAME [NAME] ...",
     .help = "The icon of files whose names end so; ^^DIRECTORY^^ is that of "
             "directories."},
    {.name = "AddIconByType",
     .run = add_icon_by_type,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "URL|(TEXT,URL) MEDIA-TYPE [MEDIA-TYPE] ...",
     .help = "The icon of files of these types; wildcards are allowed."},
    {.name = "AddIconByEncoding",
     .run = add_icon_by_encoding,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "URL|(TEXT,URL) ENCODING [ENCODING] ...",
     .help = "The icon of files that are encoded so."},
    {.name = "AddAlt",
     .run = add_alt,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "TEXT NAME [NAME] ...",
     .help = "The text in the place of the icon of files whose names end so."},
    {.name = "AddAltByType",
     .run = add_alt_by_type,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "TEXT MEDIA-TYPE [MEDIA-TYPE] ...",
     .help = "The text in the place of the icon of files of these types."},
    {.name = "AddAltByEncoding",
     .run = add_alt_by_encoding,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = WR_ARGS_ANY,
     .args = "TEXT ENCODING [ENCODING] ...",
     .help = "The text in the place of the icon of files encoded so."},
    {.name = "DefaultIcon",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "URL",
     .help = "The icon of files that have no other.",
     FIELD(default_icon)},
    {.name = "HeaderName",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "NAME",
     .help = "A file of the directory, or with a slash before it of "
             "DocumentRoot, that stands above the entries.",
     FIELD(header_name)},
    {.name = "ReadmeName",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "NAME",
     .help = "A file that stands below the entries.",
     FIELD(readme_name)},
    {.name = "IndexStyleSheet",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "URL",
     .help = "The style sheet of the page.",
     FIELD(style_sheet)},
    {.name = "IndexHeadInsert",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "HTML",
     .help = "What is put into the head of the page.",
     FIELD(head_insert)},
    {.name = NULL},
};

WR_API wr_module autoindex_module = {
    WR_MODULE_HEAD("autoindex"),
    .flags = WR_MODULE_CACHEABLE,
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .register_hooks = register_hooks,
};
