/*
 * config_reader.c - from the text of configuration files to a tree of
 * directives: lines, quotes, variables, conditions, sections.
 *
 * Runs in the generation before it forks (or in the process of the command
 * line), one thread.  Does not know which directives there are; that is
 * config_walk.c.
 */
#include "config_reader.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_fnmatch.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum open_kind {
    OPEN_SECTION,   /* its directives become children of one */
    OPEN_CONDITION, /* true: its directives stand as if it weren't there */
    OPEN_SKIPPED    /* false, or unreadable: only its end is looked for */
} open_kind;

/* A section whose end has not come yet. */
typedef struct open_section {
    open_kind kind;
    const char *name;
    const char *file;
    int line;
    wr_directive *directive; /* SECTION */
    wr_directive **tail;     /* where the next directive of it goes */
} open_section;

struct wr__reader {
    wr__reader_options options;
    apr_pool_t *pool;
    wr__errors *errors;
    apr_hash_t *defines;
    const char *server_root;
    wr_directive *tree;
    wr_directive **tail;
    open_section open[WR__SECTION_DEPTH];
    int depth;         /* of open */
    int include_depth; /* files being read */
    int directives;
    size_t text_left;
    bool has_stopped; /* a bound was passed: read nothing more */
    char line[WR__LINE_MAX + 1];
    char expanded[WR__LINE_MAX + 1];
};

/* Text that is being read. */
typedef struct source {
    const char *name;
    const char *at, *end;
    int line;      /* of what follows at */
    int from_line; /* of the line that was read last */
    int base;      /* sections open when it began */
} source;

#define ERROR_AT(reader, src, ...) \
    wr__errors_add((reader)->errors, (src)->name, (src)->from_line, __VA_ARGS__)

/* A bound was passed: more of the same would follow. */
#define STOP_AT(reader, src, ...)           \
    do {                                    \
        ERROR_AT(reader, src, __VA_ARGS__); \
        (reader)->has_stopped = true;       \
    } while (0)

static bool has_stopped(const wr__reader *r)
{
    return r->has_stopped || wr__errors_full(r->errors);
}

/* Text costs memory: in files, and again where variables multiply it. */
static bool take_text(wr__reader *r, source *src, size_t len)
{
    if (len > r->text_left) {
        STOP_AT(r, src,
                "the configuration has more than %" APR_SIZE_T_FMT " bytes",
                r->options.text_max);
        return false;
    }
    r->text_left -= len;
    return true;
}

static const char *skip_space(const char *at)
{
    while (apr_isspace(*at)) {
        at++;
    }
    return at;
}

/* lines ------------------------------------------------------------------- */

/* The next line as it stands in the file; its end goes. */
static size_t physical_line(source *src, const char **start)
{
    const char *feed = memchr(src->at, '\n', (size_t)(src->end - src->at));
    const char *stop = feed ? feed : src->end;
    size_t len;

    *start = src->at;
    len = (size_t)(stop - src->at);
    src->at = feed ? feed + 1 : src->end;
    src->line++;
    if (len > 0 && (*start)[len - 1] == '\r') {
        len--;
    }
    return len;
}

/* Read on past the rest of a line that is too long. */
static void skip_continued(source *src, bool goes_on)
{
    while (goes_on && src->at < src->end) {
        const char *start;
        size_t len = physical_line(src, &start);

        goes_on = len > 0 && start[len - 1] == '\\';
    }
}

/* A line with those that continue it, to r->line.  False: there is none, or
 * the text is not to be read on. */
static bool read_line(wr__reader *r, source *src)
{
    size_t used = 0;
    bool goes_on = true;

    if (src->at == src->end) {
        return false;
    }
    src->from_line = src->line;
    while (goes_on) {
        const char *start;
        size_t len;

        if (src->at == src->end) {
            ERROR_AT(r, src,
                     "the last line ends in a backslash, but no line "
                     "continues it");
            break;
        }
        len = physical_line(src, &start);
        if (memchr(start, '\0', len)) {
            src->from_line = src->line - 1;
            ERROR_AT(r, src, "a NUL byte: this is not a text file");
            src->at = src->end;
            return false;
        }
        goes_on = len > 0 && start[len - 1] == '\\';
        len -= goes_on;
        if (len > WR__LINE_MAX - used) {
            ERROR_AT(r, src, "the line is longer than %d bytes", WR__LINE_MAX);
            skip_continued(src, goes_on);
            used = 0;
            break;
        }
        memcpy(r->line + used, start, len);
        used += len;
    }
    r->line[used] = '\0';
    return true;
}

static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && apr_isspace(text[len - 1])) {
        text[--len] = '\0';
    }
}

/* variables --------------------------------------------------------------- */

/* What ${name} stands for; NULL: it is not defined. */
static const char *variable_value(const wr__reader *r, const char *name)
{
    const char *value = apr_hash_get(r->defines, name, APR_HASH_KEY_STRING);

    return value ? value : getenv(name);
}

/* Put variables into a line.  The result is r->expanded, or NULL after an
 * error.  ${map:key} is mod_rewrite's and stays. */
static const char *expand(wr__reader *r, source *src, const char *in)
{
    size_t used = 0;

    while (*in) {
        const char *value = in, *close;
        size_t len = 1;

        if (in[0] == '$' && in[1] == '{') {
            char *name;

            close = strchr(in, '}');
            if (!close) {
                ERROR_AT(r, src, "\"${\" without a \"}\"");
                return NULL;
            }
            name = apr_pstrmemdup(r->pool, in + 2, (size_t)(close - in - 2));
            value = variable_value(r, name);
            if (strchr(name, ':')) {
                value = in;
                len = (size_t)(close + 1 - in);
            }
            else if (!value) {
                ERROR_AT(r, src,
                         "${%.200s} is not defined, neither here nor "
                         "in the environment",
                         name);
                return NULL;
            }
            else {
                len = strlen(value);
            }
            in = close + 1;
        }
        else {
            in++;
        }
        if (len > WR__LINE_MAX - used) {
            ERROR_AT(r, src,
                     "with its variables the line is longer than %d "
                     "bytes",
                     WR__LINE_MAX);
            return NULL;
        }
        memcpy(r->expanded + used, value, len);
        used += len;
    }
    r->expanded[used] = '\0';
    if (!take_text(r, src, used)) {
        return NULL;
    }
    return r->expanded;
}

static const char *set_define(wr__reader *r, const char *name,
                              const char *value)
{
    if (!*name || strpbrk(name, ":}{$")) {
        return apr_psprintf(r->pool, "\"%.200s\" can't be a name to define",
                            name);
    }
    apr_hash_set(r->defines, apr_pstrdup(r->pool, name), APR_HASH_KEY_STRING,
                 apr_pstrdup(r->pool, value));
    return NULL;
}

void wr__reader_define(wr__reader *r, const char *definition)
{
    const char *equals = strchr(definition, '=');
    const char *error;

    if (equals) {
        error = set_define(r,
                           apr_pstrmemdup(r->pool, definition,
                                          (apr_size_t)(equals - definition)),
                           equals + 1);
    }
    else {
        error = set_define(r, definition, "");
    }
    if (error) {
        wr__errors_add(r->errors, "-D", 1, "%s", error);
    }
}

/* sections ---------------------------------------------------------------- */

static open_section *innermost(wr__reader *r)
{
    return r->depth > 0 ? &r->open[r->depth - 1] : NULL;
}

static bool is_skipping(wr__reader *r)
{
    return r->depth > 0 && innermost(r)->kind == OPEN_SKIPPED;
}

/* The section that directives are now children of; NULL: none. */
static open_section *enclosing(wr__reader *r)
{
    for (int i = r->depth; i > 0; i--) {
        if (r->open[i - 1].kind == OPEN_SECTION) {
            return &r->open[i - 1];
        }
    }
    return NULL;
}

static wr_directive *add_directive(wr__reader *r, source *src, const char *name,
                                   const char *args, bool is_section)
{
    open_section *outer = enclosing(r);
    wr_directive ***tail = outer ? &outer->tail : &r->tail;
    wr_directive *d = apr_pcalloc(r->pool, sizeof(*d));
    const char *error;

    d->name = name;
    d->args = apr_pstrdup(r->pool, args);
    d->file = src->name;
    d->line = src->from_line;
    d->is_section = is_section;
    d->parent = outer ? outer->directive : NULL;
    error = wr__words_split(args, &d->argc, &d->argv, r->pool);
    if (error) {
        ERROR_AT(r, src, "%s", error);
        return NULL;
    }
    **tail = d;
    *tail = &d->next;
    return d;
}

static void push_section(wr__reader *r, source *src, open_kind kind,
                         const char *name, wr_directive *directive)
{
    open_section *s;

    if (r->depth == WR__SECTION_DEPTH) {
        STOP_AT(r, src, "sections are nested deeper than %d",
                WR__SECTION_DEPTH);
        return;
    }
    s = &r->open[r->depth++];
    s->kind = kind;
    s->name = name;
    s->file = src->name;
    s->line = src->from_line;
    s->directive = directive;
    s->tail = directive ? &directive->first_child : NULL;
}

typedef bool condition_fn(wr__reader *r, const char *name);

static bool is_defined(wr__reader *r, const char *name)
{
    return apr_hash_get(r->defines, name, APR_HASH_KEY_STRING);
}

static bool is_module(wr__reader *r, const char *name)
{
    return r->options.has_module
           && r->options.has_module(r->options.baton, name);
}

static bool is_directive(wr__reader *r, const char *name)
{
    return r->options.has_directive
           && r->options.has_directive(r->options.baton, name);
}

/* Of whatever kind. */
static bool is_file(wr__reader *r, const char *name)
{
    apr_finfo_t info;
    const char *path = wr__path_below(r->server_root, name, r->pool);
    apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE, r->pool);

    return rv == APR_SUCCESS || rv == APR_INCOMPLETE;
}

/* Sections whose directives stand as if the section weren't there. */
static const struct condition {
    const char *name;
    condition_fn *holds;
} conditions[] = {
    {"IfDefine", is_defined},
    {"IfDirective", is_directive},
    {"IfFile", is_file},
    {"IfModule", is_module},
    {NULL, NULL},
};

static const struct condition *find_condition(const char *name)
{
    for (const struct condition *c = conditions; c->name; c++) {
        if (strcasecmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* Is it true of the name in @a args, or, after a "!", not true? */
static bool is_true(wr__reader *r, source *src, const struct condition *c,
                    const char *args)
{
    bool wanted = *args != '!';
    const char *const *argv;
    int argc;

    if (wr__words_split(wanted ? args : args + 1, &argc, &argv, r->pool)
        || argc != 1 || !argv[0][0] || strpbrk(argv[0], "\"'<>")) {
        ERROR_AT(r, src, "<%s> takes one name, or one after a !", c->name);
        return false;
    }
    return c->holds(r, argv[0]) == wanted;
}

static const char *section_name(wr__reader *r, const char *text)
{
    return apr_pstrmemdup(r->pool, text, strcspn(text, " \t>"));
}

/* A line that begins with "<", past it. */
static void open_line(wr__reader *r, source *src, const char *text)
{
    const char *name = section_name(r, text);
    const struct condition *condition = find_condition(name);
    char *args = apr_pstrdup(r->pool, skip_space(text + strlen(name)));
    size_t len = strlen(args);
    wr_directive *d = NULL;
    open_kind kind = OPEN_SKIPPED;

    if (!*name) {
        ERROR_AT(r, src, "a section needs a name after the \"<\"");
    }
    else if (len == 0 || args[len - 1] != '>') {
        ERROR_AT(r, src, "<%.100s lacks its \">\" at the end of the line",
                 name);
    }
    else {
        args[len - 1] = '\0';
        trim_end(args);
        if (condition) {
            if (is_true(r, src, condition, args)) {
                kind = OPEN_CONDITION;
            }
        }
        else {
            d = add_directive(r, src, name, args, true);
            kind = d ? OPEN_SECTION : OPEN_SKIPPED;
        }
    }
    push_section(r, src, kind, name, d);
}

/* A line that begins with "</", past it. */
static void close_line(wr__reader *r, source *src, const char *text)
{
    const char *name = section_name(r, text);
    open_section *inner;
    int i = r->depth;

    if (strcmp(text + strlen(name), ">") != 0) {
        ERROR_AT(r, src, "</%.100s must end in \">\" and nothing more", name);
    }
    if (r->depth == src->base) {
        ERROR_AT(r, src, "</%.100s> without a <%.100s>", name, name);
        return;
    }
    inner = innermost(r);
    if (strcasecmp(name, inner->name) == 0) {
        r->depth--;
        return;
    }
    ERROR_AT(r, src, "</%.100s>, but what is open is <%.100s> of %s:%d", name,
             inner->name, inner->file, inner->line);
    while (i > src->base && strcasecmp(r->open[i - 1].name, name) != 0) {
        i--;
    }
    if (i > src->base) {
        r->depth = i - 1; /* its own end: those within were forgotten */
    }
}

/* Inside a false condition: only sections are counted. */
static void skip_line(wr__reader *r, source *src, const char *text)
{
    if (text[0] != '<') {
        return;
    }
    if (text[1] == '/') {
        close_line(r, src, text + 2);
    }
    else {
        push_section(r, src, OPEN_SKIPPED, section_name(r, text + 1), NULL);
    }
}

/* directives that decide what is read -------------------------------------- */

static void read_source(wr__reader *r, source *src);

/* Text from a file, whole. */
static const char *load_file(wr__reader *r, const char *path, source *src,
                             apr_pool_t *pool)
{
    const apr_int32_t wanted = APR_FINFO_TYPE | APR_FINFO_SIZE;
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t rv;
    apr_size_t len;
    char text[120], *data;

    rv = apr_stat(&info, path, wanted, pool);
    if (rv == APR_SUCCESS && info.filetype != APR_REG
        && strcmp(path, "/dev/null") != 0) {
        return apr_psprintf(r->pool, "%s is not a regular file", path);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, pool);
    }
    if (rv != APR_SUCCESS) {
        return apr_psprintf(r->pool, "could not open %s: %s", path,
                            apr_strerror(rv, text, sizeof(text)));
    }
    len = info.filetype == APR_REG ? (apr_size_t)info.size : 0;
    if (len > r->text_left) {
        r->has_stopped = true;
        return apr_psprintf(r->pool,
                            "with %s the configuration has more than "
                            "%" APR_SIZE_T_FMT " bytes",
                            path, r->options.text_max);
    }
    data = apr_palloc(pool, len + 1);
    rv = apr_file_read_full(file, data, len, &len);
    apr_file_close(file);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return apr_psprintf(r->pool, "could not read %s: %s", path,
                            apr_strerror(rv, text, sizeof(text)));
    }
    src->name = apr_pstrdup(r->pool, path);
    src->at = data;
    src->end = data + len;
    return NULL;
}

static const char *read_file(wr__reader *r, const char *path)
{
    apr_pool_t *pool;
    source src = {0};
    const char *error;

    apr_pool_create(&pool, r->pool);
    error = load_file(r, path, &src, pool);
    if (!error) {
        read_source(r, &src);
    }
    apr_pool_destroy(pool);
    return error;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a directory, sorted; without those that begin with a dot. */
static apr_status_t directory_names(apr_array_header_t **names,
                                    const char *path, apr_pool_t *pool)
{
    apr_dir_t *dir;
    apr_finfo_t info;
    apr_status_t rv = apr_dir_open(&dir, path, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *names = apr_array_make(pool, 8, sizeof(const char *));
    while (apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (info.name[0] != '.') {
            APR_ARRAY_PUSH(*names, const char *) = apr_pstrdup(pool, info.name);
        }
    }
    apr_dir_close(dir);
    qsort((*names)->elts, (size_t)(*names)->nelts, sizeof(const char *),
          compare_names);
    return APR_SUCCESS;
}

static const char *include_path(wr__reader *r, source *src, const char *path);

/* All files of a directory and of those below it. */
static const char *include_directory(wr__reader *r, source *src,
                                     const char *path)
{
    apr_array_header_t *names;
    apr_pool_t *pool;
    apr_status_t rv;
    const char *error = NULL;
    char text[120];

    apr_pool_create(&pool, r->pool);
    rv = directory_names(&names, path, pool);
    if (rv != APR_SUCCESS) {
        error = apr_psprintf(r->pool, "could not open %s: %s", path,
                             apr_strerror(rv, text, sizeof(text)));
        names = apr_array_make(pool, 1, sizeof(const char *));
    }
    for (int i = 0; !error && i < names->nelts && !has_stopped(r); i++) {
        error = include_path(r, src,
                             apr_pstrcat(pool, path, "/",
                                         APR_ARRAY_IDX(names, i, const char *),
                                         NULL));
    }
    apr_pool_destroy(pool);
    return error;
}

/* A file or directory.  src: the text with the Include. */
static const char *include_path(wr__reader *r, source *src, const char *path)
{
    apr_finfo_t info;
    const char *error;

    if (r->include_depth >= WR__INCLUDE_DEPTH) {
        STOP_AT(r, src, "%s: files include each other deeper than %d", path,
                WR__INCLUDE_DEPTH);
        return NULL;
    }
    r->include_depth++;
    if (apr_stat(&info, path, APR_FINFO_TYPE, r->pool) == APR_SUCCESS
        && info.filetype == APR_DIR) {
        error = include_directory(r, src, path);
    }
    else {
        error = read_file(r, path);
    }
    r->include_depth--;
    return error;
}

/* A folder that isn't there matches nothing; one that can't be read hides
 * something. */
static int stop_glob(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static const char *include_pattern(wr__reader *r, source *src,
                                   const char *pattern, bool is_optional)
{
    const char *error = NULL;
    glob_t found;
    int rc = glob(pattern, 0, stop_glob, &found);

    if (rc == GLOB_NOMATCH) {
        error = is_optional ? NULL
                            : apr_psprintf(r->pool,
                                           "nothing matches %s "
                                           "(IncludeOptional would not mind)",
                                           pattern);
    }
    else if (rc != 0) {
        error = apr_psprintf(r->pool, "could not look for %s", pattern);
    }
    for (size_t i = 0; rc == 0 && !error && i < found.gl_pathc; i++) {
        if (has_stopped(r)) {
            break;
        }
        error = include_path(r, src, found.gl_pathv[i]);
    }
    if (rc == 0) {
        globfree(&found);
    }
    return error;
}

static const char *run_include(wr__reader *r, source *src, int argc,
                               const char *const *argv, bool is_optional)
{
    const char *path;
    apr_finfo_t info;

    if (argc != 1) {
        return "takes one argument: path or pattern";
    }
    if (r->options.no_include) {
        return "is not allowed here";
    }
    path = wr__path_below(r->server_root, argv[0], r->pool);
    if (apr_fnmatch_test(path)) {
        return include_pattern(r, src, path, is_optional);
    }
    if (is_optional
        && APR_STATUS_IS_ENOENT(
            apr_stat(&info, path, APR_FINFO_TYPE, r->pool))) {
        return NULL;
    }
    return include_path(r, src, path);
}

static const char *run_define(wr__reader *r, int argc, const char *const *argv)
{
    if (argc < 1 || argc > 2) {
        return "takes one or two arguments: name [value]";
    }
    return set_define(r, argv[0], argc == 2 ? argv[1] : "");
}

static const char *run_undefine(wr__reader *r, int argc,
                                const char *const *argv)
{
    if (argc != 1) {
        return "takes one argument: name";
    }
    apr_hash_set(r->defines, argv[0], APR_HASH_KEY_STRING, NULL);
    return NULL;
}

/* Is it one of the reader's own?  Then it is carried out. */
static bool run_own(wr__reader *r, source *src, const char *name,
                    const char *args)
{
    const char *const *argv;
    const char *error;
    int argc;
    bool is_define = strcasecmp(name, "Define") == 0;
    bool is_undefine = strcasecmp(name, "UnDefine") == 0;
    bool is_optional = strcasecmp(name, "IncludeOptional") == 0;

    if (!is_define && !is_undefine && !is_optional
        && strcasecmp(name, "Include") != 0) {
        return false;
    }
    error = wr__words_split(args, &argc, &argv, r->pool);
    if (error) {
        ERROR_AT(r, src, "%s", error);
        return true;
    }
    if (is_define) {
        error = run_define(r, argc, argv);
    }
    else if (is_undefine) {
        error = run_undefine(r, argc, argv);
    }
    else {
        error = run_include(r, src, argc, argv, is_optional);
    }
    if (error) {
        ERROR_AT(r, src, "%s: %s", name, error);
    }
    return true;
}

static void directive_line(wr__reader *r, source *src, const char *text)
{
    const char *name =
        apr_pstrmemdup(r->pool, text, strcspn(text, " \t\v\f\r"));
    const char *args = skip_space(text + strlen(name));
    wr_directive *d;
    const char *error;

    if (run_own(r, src, name, args)) {
        return;
    }
    d = add_directive(r, src, name, args, false);
    if (d && !d->parent && r->options.seen) {
        error = r->options.seen(r->options.baton, r, d);
        if (error) {
            ERROR_AT(r, src, "%s: %s", name, error);
        }
    }
}

/* text as a whole --------------------------------------------------------- */

static void take_line(wr__reader *r, source *src)
{
    const char *text = skip_space(r->line), *expanded;

    if (!*text || *text == '#') {
        return;
    }
    if (++r->directives > WR__DIRECTIVES_MAX) {
        STOP_AT(r, src, "more than %d directives", WR__DIRECTIVES_MAX);
        return;
    }
    if (is_skipping(r)) {
        skip_line(r, src, text);
        return;
    }
    if (text[0] == '<' && text[1] == '/') {
        close_line(r, src, text + 2);
        return;
    }
    expanded = strstr(text, "${") ? expand(r, src, text) : text;
    if (!expanded && text[0] == '<') {
        /* its end shall find a beginning */
        push_section(r, src, OPEN_SKIPPED, section_name(r, text + 1), NULL);
    }
    else if (expanded && expanded[0] == '<') {
        open_line(r, src, expanded + 1);
    }
    else if (expanded) {
        directive_line(r, src, expanded);
    }
}

static void read_source(wr__reader *r, source *src)
{
    src->line = src->from_line = 1;
    src->base = r->depth;
    if (!take_text(r, src, (size_t)(src->end - src->at))) {
        return;
    }
    while (!has_stopped(r) && read_line(r, src)) {
        trim_end(r->line);
        take_line(r, src);
    }
    while (r->depth > src->base) {
        open_section *s = innermost(r);

        if (!r->has_stopped) {
            wr__errors_add(r->errors, s->file, s->line,
                           "<%.100s> is not closed by </%.100s>", s->name,
                           s->name);
        }
        r->depth--;
    }
}

wr__reader *wr__reader_create(const wr__reader_options *options)
{
    wr__reader *r = apr_pcalloc(options->pool, sizeof(*r));

    r->options = *options;
    r->pool = options->pool;
    r->errors = options->errors;
    r->server_root = options->server_root;
    if (r->options.text_max == 0) {
        r->options.text_max = WR__TEXT_MAX;
    }
    r->text_left = r->options.text_max;
    r->defines = apr_hash_make(r->pool);
    r->tail = &r->tree;
    return r;
}

void wr__reader_set_root(wr__reader *r, const char *server_root)
{
    r->server_root = server_root;
}

void wr__reader_file(wr__reader *r, const char *path)
{
    const char *error;

    path = wr__path_below(r->server_root, path, r->pool);
    error = read_file(r, path);
    if (error) {
        wr__errors_add(r->errors, path, 1, "%s", error);
    }
}

void wr__reader_text(wr__reader *r, const char *name, const char *text,
                     size_t len)
{
    source src = {.name = name, .at = text, .end = text + len};

    read_source(r, &src);
}

wr_directive *wr__reader_tree(const wr__reader *r)
{
    return r->tree;
}
