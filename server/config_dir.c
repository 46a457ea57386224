/*
 * config_dir.c - what the core lets be said for a directory, a file or a
 * location: the directives' functions, and the merge.
 *
 * Runs where a configuration is read, in one thread; the merge, and the two
 * functions that look into a merged configuration, in any thread of a child.
 * Stores values and checks them; what they do is done by the parts that serve.
 */
#include "config_core.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include <string.h>
#include <strings.h>

#define ERROR_FIRST 400
#define ERROR_COUNT 200 /* statuses 400 to 599 */

/* bits -----------------------------------------------------------------------
 */

typedef struct bit_name {
    const char *name;
    unsigned bits;
} bit_name;

#define OPTIONS_ALL                                                            \
    (WR_OPT_INDEXES | WR_OPT_INCLUDES | WR_OPT_INCLUDES_EXEC | WR_OPT_EXEC_CGI \
     | WR_OPT_FOLLOW_SYMLINKS)

static const bit_name option_names[] = {
    {"None", 0},
    {"All", OPTIONS_ALL},
    {"Indexes", WR_OPT_INDEXES},
    {"Includes", WR_OPT_INCLUDES | WR_OPT_INCLUDES_EXEC},
    {"IncludesNOEXEC", WR_OPT_INCLUDES},
    {"ExecCGI", WR_OPT_EXEC_CGI},
    {"FollowSymLinks", WR_OPT_FOLLOW_SYMLINKS},
    {"SymLinksIfOwnerMatch", WR_OPT_SYMLINKS_IF_OWNER},
    {"MultiViews", WR_OPT_MULTIVIEWS},
    {NULL, 0},
};

static const bit_name etag_names[] = {
    {"None", 0},
    {"All", WR__ETAG_MTIME | WR__ETAG_SIZE | WR__ETAG_INODE},
    {"MTime", WR__ETAG_MTIME},
    {"Size", WR__ETAG_SIZE},
    {"INode", WR__ETAG_INODE},
    {NULL, 0},
};

static const bit_name *find_bit(const bit_name *names, const char *name)
{
    for (; names->name; names++) {
        if (strcasecmp(names->name, name) == 0) {
            return names;
        }
    }
    return NULL;
}

static const char *unknown_bit(const bit_name *names, const char *word,
                               apr_pool_t *pool)
{
    const char *list = names->name;

    while ((++names)->name) {
        list = apr_pstrcat(pool, list, ", ", names->name, NULL);
    }
    return apr_psprintf(pool, "\"%.100s\" is none of %s", word, list);
}

/* "+Indexes": what is around the section holds, but for this. */
static void change_bits(wr__bits *bits, unsigned change, bool is_added)
{
    if (is_added) {
        bits->added |= change;
        bits->removed &= ~change;
        bits->bits |= change;
    }
    else {
        bits->removed |= change;
        bits->added &= ~change;
        bits->bits &= ~change;
    }
}

/* Words as "Indexes FollowSymLinks" or "+Indexes -MultiViews", not mixed. */
static const char *set_bits(wr__bits *bits, const bit_name *names,
                            wr_command_call *call, const char *const *words)
{
    int argc = call->directive->argc;
    bool is_relative = words[0][0] == '+' || words[0][0] == '-';
    wr__bits made = {.is_absolute = true};

    if (is_relative) {
        made = *bits;
    }
    for (int i = 0; i < argc; i++) {
        bool has_sign = words[i][0] == '+' || words[i][0] == '-';
        const bit_name *name = find_bit(names, words[i] + has_sign);

        if (has_sign != is_relative) {
            return "either all or none must have a + or a - before them";
        }
        if (!name) {
            return unknown_bit(names, words[i] + has_sign, call->pool);
        }
        if (name->bits == 0 && (has_sign || argc > 1)) {
            return "None stands alone, without + and -";
        }
        change_bits(&made, name->bits, words[i][0] != '-');
    }
    *bits = made;
    return NULL;
}

static void merge_bits(wr__bits *merged, const wr__bits *base,
                       const wr__bits *add)
{
    *merged = *base;
    if (add->is_absolute) {
        *merged = *add;
        return;
    }
    merged->bits = (base->bits & ~add->removed) | add->added;
}

const char *wr__set_options(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)argc;
    return set_bits(&dir->options, option_names, call, argv);
}

const char *wr__set_file_etag(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)argc;
    return set_bits(&dir->etag, etag_names, call, argv);
}

unsigned wr_dir_options(const wr_dir_config *dir)
{
    return wr__core_dir_of(dir)->options.bits;
}

/* errors ---------------------------------------------------------------------
 */

static bool is_url(const char *text)
{
    size_t len = 0;

    while (apr_isalnum(text[len]) || (len > 0 && strchr("+-.", text[len]))) {
        len++;
    }
    return len > 0 && strncmp(text + len, "://", 3) == 0;
}

static const char *parse_error_doc(wr__error_doc *doc, const char *text,
                                   int64_t status)
{
    doc->text = text;
    if (strcasecmp(text, "default") == 0) {
        doc->kind = WR__ERROR_DOC_DEFAULT;
    }
    else if (text[0] == '/') {
        doc->kind = WR__ERROR_DOC_PATH;
    }
    else if (is_url(text)) {
        /* A 302 in its place would never ask for a password. */
        if (status == 401) {
            return "a document for 401 must be of this server: a path that "
                   "begins with /";
        }
        doc->kind = WR__ERROR_DOC_URL;
    }
    else {
        doc->kind = WR__ERROR_DOC_TEXT;
    }
    return NULL;
}

const char *wr__set_error_document(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    wr__core_dir *dir = config;
    wr__error_doc *doc = apr_palloc(call->pool, sizeof(*doc));
    const wr__error_doc **docs;
    const char *error;
    int64_t status;

    (void)argc;
    error = wr_parse_int(call->pool, argv[0], ERROR_FIRST,
                         ERROR_FIRST + ERROR_COUNT - 1, &status);
    if (!error) {
        error = parse_error_doc(doc, argv[1], status);
    }
    if (error) {
        return error;
    }
    if (!dir->error_docs) {
        dir->error_docs = apr_pcalloc(call->pool, ERROR_COUNT * sizeof(*docs));
    }
    docs = (const wr__error_doc **)(uintptr_t)dir->error_docs;
    docs[status - ERROR_FIRST] = doc;
    return NULL;
}

static const wr__error_doc *const *merge_error_docs(
    apr_pool_t *pool, const wr__error_doc *const *base,
    const wr__error_doc *const *add)
{
    const wr__error_doc **docs;

    if (!base || !add) {
        return add ? add : base;
    }
    docs = apr_palloc(pool, ERROR_COUNT * sizeof(*docs));
    for (int i = 0; i < ERROR_COUNT; i++) {
        docs[i] = add[i] ? add[i] : base[i];
    }
    return docs;
}

const wr__error_doc *wr__core_error_doc(const wr_dir_config *dir, int status)
{
    const wr__core_dir *core = wr__core_dir_of(dir);
    const wr__error_doc *doc = NULL;

    if (core->error_docs && status >= ERROR_FIRST
        && status < ERROR_FIRST + ERROR_COUNT) {
        doc = core->error_docs[status - ERROR_FIRST];
    }
    return doc && doc->kind != WR__ERROR_DOC_DEFAULT ? doc : NULL;
}

/* other directives -----------------------------------------------------------
 */

const char *wr__set_allow_override(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    (void)config;
    if (call->section->regex) {
        return "can stand only in <Directory> without a regular expression";
    }
    if (argc != 1 || strcasecmp(argv[0], "None") != 0) {
        return "only None is possible: there are no .htaccess files; put "
               "what they say into <Directory>";
    }
    return NULL;
}

const char *wr__set_signature(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)argc;
    if (strcasecmp(argv[0], "EMail") == 0) {
        dir->signature = WR__SIGNATURE_EMAIL;
        return NULL;
    }
    if (wr_set_flag(call, config, 1, argv)) {
        return apr_psprintf(call->pool, "\"%.100s\" is none of On, Off, EMail",
                            argv[0]);
    }
    return NULL;
}

const char *wr__set_canonical_name(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    if (strcasecmp(argv[0], "DNS") == 0) {
        return "DNS is not supported: write the name as ServerName";
    }
    return wr_set_flag(call, config, argc, argv);
}

const char *wr__set_max_ranges(wr_command_call *call, void *config, int argc,
                               const char *const *argv)
{
    const wr_command *command = call->command;
    const char *error;
    int64_t number;

    (void)argc;
    if (strcasecmp(argv[0], "none") == 0) {
        number = 0;
    }
    else if (strcasecmp(argv[0], "default") == 0) {
        wr_parse_int(call->pool, command->preset, 1, INT_MAX - 1, &number);
    }
    else if (strcasecmp(argv[0], "unlimited") == 0) {
        number = WR__RANGES_UNLIMITED;
    }
    else {
        error = wr_parse_int(call->pool, argv[0], 1, INT_MAX - 1, &number);
        if (error) {
            return apr_psprintf(
                call->pool, "%s (or write none, default or unlimited)", error);
        }
    }
    *(int *)((char *)config + command->offset) = (int)number;
    return NULL;
}

/* type "/" subtype, and parameters that are nobody's business here; none of it
 * may end the field. */
static bool is_media_type(const char *text)
{
    size_t type = strcspn(text, "/ ;\t"), subtype;

    if (type == 0 || text[type] != '/') {
        return false;
    }
    subtype = strcspn(text + type + 1, "/ ;\t");
    for (const char *c = text; *c; c++) {
        if (apr_iscntrl(*c) && *c != '\t') {
            return false;
        }
    }
    return subtype > 0 && text[type + 1 + subtype] != '/';
}

const char *wr__set_forced_type(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)argc;
    if (strcasecmp(argv[0], "None") == 0) {
        dir->forced_type = "";
        return NULL;
    }
    if (!is_media_type(argv[0])) {
        return apr_psprintf(call->pool,
                            "\"%.100s\" is not a media type such as text/plain",
                            argv[0]);
    }
    dir->forced_type = argv[0];
    return NULL;
}

const char *wr__set_handler(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)call;
    (void)argc;
    dir->handler = strcasecmp(argv[0], "None") == 0 ? "" : argv[0];
    return NULL;
}

const char *wr__set_charset(wr_command_call *call, void *config, int argc,
                            const char *const *argv)
{
    wr__core_dir *dir = config;

    (void)argc;
    if (strcasecmp(argv[0], "Off") == 0) {
        dir->charset = "";
    }
    else if (strcasecmp(argv[0], "On") == 0) {
        dir->charset = "iso-8859-1";
    }
    else {
        for (const char *c = argv[0]; *c; c++) {
            if (!apr_isalnum(*c) && !strchr("-_.:+", *c)) {
                return apr_psprintf(call->pool,
                                    "\"%.100s\" is not a character set such "
                                    "as utf-8",
                                    argv[0]);
            }
        }
        dir->charset = argv[0];
    }
    return NULL;
}

const char *wr__set_default_type(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    return strcasecmp(argv[0], "none") == 0
               ? NULL
               : "only none is possible: a type that is not known is not sent; "
                 "ForceType and AddType set one";
}

/* as a whole -----------------------------------------------------------------
 */

void *wr__core_dir_create(apr_pool_t *pool)
{
    wr__core_dir *dir = apr_pcalloc(pool, sizeof(*dir));

    dir->limit_request_body = -1;
    dir->max_ranges = dir->max_overlaps = dir->max_reversals = -1;
    dir->sendfile = -1;
    dir->signature = -1;
    dir->canonical_name = -1;
    return dir;
}

void wr__core_dir_defaults(wr__core_dir *dir)
{
    dir->handler = "";
    dir->forced_type = "";
    dir->charset = "";
    dir->options = (wr__bits){.bits = WR_OPT_FOLLOW_SYMLINKS};
    dir->etag = (wr__bits){.bits = WR__ETAG_MTIME | WR__ETAG_SIZE};
    dir->limit_request_body = 1 << 20;
    dir->max_ranges = 200;
    dir->max_overlaps = dir->max_reversals = 20;
    dir->sendfile = 1;
    dir->signature = WR__SIGNATURE_OFF;
    dir->canonical_name = 0;
}

void *wr__core_dir_merge(apr_pool_t *pool, const void *base, const void *add)
{
    const wr__core_dir *outer = base, *inner = add;
    wr__core_dir *merged = apr_pmemdup(pool, outer, sizeof(*outer));

#define TAKE(FIELD, IS_SAID)              \
    do {                                  \
        if (inner->FIELD IS_SAID) {       \
            merged->FIELD = inner->FIELD; \
        }                                 \
    } while (0)
    TAKE(handler, != NULL);
    TAKE(forced_type, != NULL);
    TAKE(charset, != NULL);
    TAKE(limit_request_body, >= 0);
    TAKE(max_ranges, >= 0);
    TAKE(max_overlaps, >= 0);
    TAKE(max_reversals, >= 0);
    TAKE(sendfile, >= 0);
    TAKE(signature, >= 0);
    TAKE(canonical_name, >= 0);
#undef TAKE
    merge_bits(&merged->options, &outer->options, &inner->options);
    merge_bits(&merged->etag, &outer->etag, &inner->etag);
    merged->error_docs =
        merge_error_docs(pool, outer->error_docs, inner->error_docs);
    return merged;
}
