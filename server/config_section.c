/*
 * config_section.c - <Directory>, <Files> and <Location>: made while the tree
 * is carried out, looked up and merged while serving.
 *
 * Where a server has nothing but <Directory> sections with plain paths, all
 * there is to merge is merged beforehand, and looking up is a search for a
 * string.  Otherwise the sections that hold are listed, and the merge of such a
 * list is kept when it was met for the first time: read without a lock, added
 * to under one, never taken from.  There are few such lists; a configuration
 * with so many that a client could fill memory by them gets those beyond a
 * bound made for the request alone.
 */
#include "config_server.h"

#include "wr_regex.h"

#include <apr_allocator.h>
#include <apr_file_info.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COMBINATIONS_MAX 1024 /* of a server */
#define BUCKETS          64

/* A plain path that <Directory> sections name, with what holds there as far as
 * plain ones say. */
typedef struct dir_entry {
    const char *path; /* as in wr_section */
    size_t len;
    const struct dir_entry *outer; /* the next one around it, or NULL */
    wr_dir_config *merged;
    const apr_array_header_t *files; /* of these sections; or NULL */
} dir_entry;

/* Sections that held together once, and what came of them. */
typedef struct combination {
    struct combination *next;
    wr_dir_config *base, *merged;
    int count;
    const wr_section *sections[];
} combination;

struct wr__sections {
    const wr__config *config;
    dir_entry *entries; /* sorted by path */
    int entry_count;
    apr_array_header_t *dirs;      /* if any is a pattern: all, in order */
    apr_array_header_t *dir_regex; /* <DirectoryMatch> */
    apr_array_header_t *files;     /* outside <Directory> */
    apr_array_header_t *locations;
    bool has_files; /* anywhere */

    apr_thread_mutex_t *mutex; /* guards pool, and adding to the rest */
    apr_pool_t *pool;          /* with an allocator of its own */
    int combinations;
    _Atomic(combination *) buckets[BUCKETS];
};

/* What is asked, and what was found so far. */
typedef struct search {
    const wr__sections *sections;
    const char *path; /* or NULL */
    apr_pool_t *pool;
    wr_dir_config *base;
    apr_array_header_t *found; /* const wr_section *; NULL: none yet */
    apr_array_header_t *files; /* of the <Directory>s found, by the patterns */
    bool has_failed;           /* a regular expression gave up */
} search;

/* merging --------------------------------------------------------------------
 */

wr_dir_config *wr__dir_config_make(const wr__config *config, apr_pool_t *pool)
{
    wr_dir_config *dir = apr_pcalloc(pool, sizeof(*dir));

    dir->config =
        apr_pcalloc(pool, (size_t)config->modules->nelts * sizeof(void *));
    return dir;
}

void *wr__part_merge(void *base, void *add, wr__merge_fn *merge,
                     apr_pool_t *pool)
{
    if (!add) {
        return base;
    }
    return base && merge ? merge(pool, base, add) : add;
}

void wr__dir_config_mark(const wr__config *config, wr_dir_config *dir)
{
    dir->inactive = 0;
    for (int i = 0; i < config->modules->nelts && i < 64; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        if (m->inactive && dir->config[i] && m->inactive(dir->config[i])) {
            dir->inactive |= UINT64_C(1) << i;
        }
    }
}

wr_dir_config *wr__dir_config_merge(const wr__config *config,
                                    const wr_dir_config *base,
                                    const wr_dir_config *add, apr_pool_t *pool)
{
    wr_dir_config *merged = wr__dir_config_make(config, pool);

    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        merged->config[i] = wr__part_merge(base->config[i], add->config[i],
                                           m->merge_dir_config, pool);
    }
    wr__dir_config_mark(config, merged);
    return merged;
}

/* making ---------------------------------------------------------------------
 */

/* The path of a <Directory>: absolute, ended by a slash. */
static const char *clean_path(wr_command_call *call, wr_section *section)
{
    char *clean;
    size_t len;

    if (section->path[0] != '/') {
        return apr_psprintf(call->pool, "\"%.200s\" is not an absolute path",
                            section->path);
    }
    if (apr_filepath_merge(&clean, "/", section->path, 0, call->pool)
        != APR_SUCCESS) {
        return apr_psprintf(call->pool, "\"%.200s\" is not a path",
                            section->path);
    }
    len = strlen(clean);
    section->path = clean[len - 1] == '/'
                        ? clean
                        : apr_pstrcat(call->pool, clean, "/", NULL);
    for (const char *c = section->path; *c; c++) {
        section->depth += *c == '/';
    }
    return NULL;
}

static const char *check_path(wr_command_call *call, wr_section *section)
{
    switch (section->kind) {
    case WR_SECTION_DIRECTORY:
        return clean_path(call, section);
    case WR_SECTION_FILES:
        return strchr(section->path, '/')
                   ? apr_psprintf(call->pool,
                                  "\"%.200s\" is not the name of a file: it "
                                  "has no slash in it",
                                  section->path)
                   : NULL;
    case WR_SECTION_LOCATION:
        break;
    }
    return section->path[0] == '/'
               ? NULL
               : apr_psprintf(call->pool,
                              "\"%.200s\" is not the path of a URL: it begins "
                              "with a slash",
                              section->path);
}

/* "path", "~ regex", or, in a Match form, "regex". */
static const char *read_pattern(wr_command_call *call, wr_section *section,
                                bool is_match, int argc,
                                const char *const *argv)
{
    const char *error;

    if (!is_match && strcmp(argv[0], "~") == 0) {
        is_match = true;
        argv++;
        argc--;
    }
    if (argc != 1) {
        return is_match ? "takes one regular expression, in quotes if it has "
                          "blanks"
                        : "takes one path, or ~ and a regular expression";
    }
    section->path = argv[0];
    if (is_match) {
        return wr_regex_compile(&section->regex, argv[0], 0, call->pool);
    }
    error = check_path(call, section);
    if (!error) {
        section->is_pattern = apr_fnmatch_test(section->path);
        section->len = strlen(section->path);
    }
    return error;
}

/* <Files> in a <Directory> hold in it only. */
static apr_array_header_t *place_of(const wr_command_call *call,
                                    wr_section_kind kind)
{
    wr_section *outer = (wr_section *)(uintptr_t)call->section;

    if (kind != WR_SECTION_FILES || !outer) {
        return call->server->sections;
    }
    if (!outer->files) {
        outer->files = apr_array_make(call->pool, 2, sizeof(wr_section *));
    }
    return outer->files;
}

static const char *run_section(wr_command_call *call, wr_section_kind kind,
                               bool is_match, const char *const *argv)
{
    wr_section *section = apr_pcalloc(call->pool, sizeof(*section));
    wr_command_call inside = *call;
    const char *error;

    section->kind = kind;
    error = read_pattern(call, section, is_match, call->directive->argc, argv);
    if (error) {
        return error;
    }
    section->directive = call->directive;
    section->dir = wr__dir_config_make(call->walk->config, call->pool);
    APR_ARRAY_PUSH(place_of(call, kind), wr_section *) = section;
    inside.context = WR_IN_DIRECTORY;
    inside.dir = section->dir;
    inside.dir_path = section->path;
    inside.section = section;
    wr__walk_run(&inside, call->directive->first_child);
    return NULL;
}

#define SECTION(NAME, KIND, IS_MATCH)                               \
    const char *NAME(wr_command_call *call, void *config, int argc, \
                     const char *const *argv)                       \
    {                                                               \
        (void)config;                                               \
        (void)argc;                                                 \
        return run_section(call, KIND, IS_MATCH, argv);             \
    }
SECTION(wr__run_directory, WR_SECTION_DIRECTORY, false)
SECTION(wr__run_directory_match, WR_SECTION_DIRECTORY, true)
SECTION(wr__run_files, WR_SECTION_FILES, false)
SECTION(wr__run_files_match, WR_SECTION_FILES, true)
SECTION(wr__run_location, WR_SECTION_LOCATION, false)
SECTION(wr__run_location_match, WR_SECTION_LOCATION, true)

/* laying out -----------------------------------------------------------------
 */

/* Shorter first; among the same, as they stood. */
static void sort_by_depth(apr_array_header_t *sections)
{
    const wr_section **s = (const wr_section **)sections->elts;

    for (int i = 1; i < sections->nelts; i++) {
        const wr_section *moved = s[i];
        int j = i;

        for (; j > 0 && s[j - 1]->depth > moved->depth; j--) {
            s[j] = s[j - 1];
        }
        s[j] = moved;
    }
}

static int compare_entries(const void *a, const void *b)
{
    const dir_entry *left = a, *right = b;

    return strcmp(left->path, right->path);
}

static bool is_within(const char *path, const dir_entry *entry)
{
    return strncmp(path, entry->path, entry->len) == 0;
}

/* Each path that a plain section names, once, sorted: what is around a path
 * comes before it. */
static int list_paths(dir_entry *entries, const apr_array_header_t *dirs)
{
    int count = 0, used = 0;

    for (int i = 0; i < dirs->nelts; i++) {
        const wr_section *s = APR_ARRAY_IDX(dirs, i, const wr_section *);

        if (!s->is_pattern) {
            entries[count].path = s->path;
            entries[count++].len = s->len;
        }
    }
    qsort(entries, (size_t)count, sizeof(*entries), compare_entries);
    for (int i = 0; i < count; i++) {
        if (i == 0 || strcmp(entries[i].path, entries[i - 1].path) != 0) {
            entries[used++] = entries[i];
        }
    }
    return used;
}

static void add_section(const wr__sections *sections, dir_entry *e,
                        const wr_section *s)
{
    apr_pool_t *pool = sections->config->pool;

    e->merged = wr__dir_config_merge(sections->config, e->merged, s->dir, pool);
    if (s->files) {
        e->files =
            e->files ? apr_array_append(pool, e->files, s->files) : s->files;
    }
}

/*
 * Plain sections whose paths are all beginnings of one path are beginnings of
 * each other.  So which ones hold in a directory is known by the longest, and
 * there are only as many combinations as paths: all are merged here.
 */
static void index_directories(wr__sections *sections, const wr_server *server,
                              const apr_array_header_t *dirs)
{
    dir_entry *entries = apr_pcalloc(
        sections->config->pool, (size_t)(dirs->nelts + 1) * sizeof(*entries));

    sections->entries = entries;
    sections->entry_count = list_paths(entries, dirs);
    for (int i = 0; i < sections->entry_count; i++) {
        dir_entry *e = &entries[i];

        e->outer = i > 0 ? &entries[i - 1] : NULL;
        while (e->outer && !is_within(e->path, e->outer)) {
            e->outer = e->outer->outer;
        }
        e->merged = e->outer ? e->outer->merged : server->dir_config;
        e->files = e->outer ? e->outer->files : NULL;
        for (int j = 0; j < dirs->nelts; j++) {
            const wr_section *s = APR_ARRAY_IDX(dirs, j, const wr_section *);

            if (!s->is_pattern && strcmp(s->path, e->path) == 0) {
                add_section(sections, e, s);
            }
        }
    }
}

/* Sections by kind; a server has had its main server's put before its own. */
static void sort_out(wr__sections *sections, const wr_server *server,
                     apr_array_header_t *dirs)
{
    for (int i = 0; i < server->sections->nelts; i++) {
        const wr_section *s =
            APR_ARRAY_IDX(server->sections, i, const wr_section *);
        apr_array_header_t *to = NULL;

        switch (s->kind) {
        case WR_SECTION_DIRECTORY:
            to = s->regex ? sections->dir_regex : dirs;
            sections->has_files |= s->files != NULL;
            break;
        case WR_SECTION_FILES:
            to = sections->files;
            sections->has_files = true;
            break;
        case WR_SECTION_LOCATION:
            to = sections->locations;
            break;
        }
        APR_ARRAY_PUSH(to, const wr_section *) = s;
        if (to == dirs && s->is_pattern) {
            sections->dirs = dirs;
        }
    }
}

/* Threads that serve merge at the same time as others use the pools around. */
static void create_pool(wr__sections *sections)
{
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&sections->pool, sections->config->pool, NULL,
                       allocator);
    apr_allocator_owner_set(allocator, sections->pool);
    apr_thread_mutex_create(&sections->mutex, APR_THREAD_MUTEX_DEFAULT,
                            sections->pool);
}

void wr__sections_index(const wr__config *config, wr_server *server)
{
    apr_pool_t *pool = config->pool;
    wr__sections *sections = apr_pcalloc(pool, sizeof(*sections));
    apr_array_header_t *dirs = apr_array_make(pool, 4, sizeof(wr_section *));

    sections->config = config;
    sections->dir_regex = apr_array_make(pool, 2, sizeof(wr_section *));
    sections->files = apr_array_make(pool, 2, sizeof(wr_section *));
    sections->locations = apr_array_make(pool, 2, sizeof(wr_section *));
    sort_out(sections, server, dirs);
    sort_by_depth(dirs);
    index_directories(sections, server, dirs);
    if (sections->dirs || sections->dir_regex->nelts || sections->has_files
        || sections->locations->nelts) {
        create_pool(sections);
    }
    wr__core_server_of(server)->sections = sections;
}

/* looking up -----------------------------------------------------------------
 */

/*
 * The last entry that does not sort after the path either is the innermost one
 * around it, or lies in that one too: strings that sort between a beginning of
 * the path and the path begin alike.
 */
static const dir_entry *find_entry(const wr__sections *sections,
                                   const char *path)
{
    const dir_entry *e;
    int low = 0, high = sections->entry_count;

    while (low < high) {
        int middle = (low + high) / 2;

        if (strcmp(sections->entries[middle].path, path) <= 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    e = low > 0 ? &sections->entries[low - 1] : NULL;
    while (e && !is_within(path, e)) {
        e = e->outer;
    }
    return e;
}

static void add_found(search *s, const wr_section *section)
{
    if (!s->found) {
        s->found = apr_array_make(s->pool, 8, sizeof(const wr_section *));
    }
    APR_ARRAY_PUSH(s->found, const wr_section *) = section;
    if (section->files) {
        s->files = s->files
                       ? apr_array_append(s->pool, s->files, section->files)
                       : section->files;
    }
}

static bool regex_matches(search *s, const wr_regex *regex, const char *text,
                          size_t len)
{
    wr_regex_result result = wr_regex_match(regex, text, len, NULL);

    s->has_failed |= result == WR_REGEX_GAVE_UP;
    return result == WR_REGEX_YES;
}

/* Does a <Directory> with wildcards hold: does it match as many components of
 * the path as it has itself? */
static bool pattern_holds(const wr_section *section, char *path)
{
    char *end = path, kept;
    bool holds;

    for (int slashes = 0; *end && slashes < section->depth; end++) {
        slashes += *end == '/';
    }
    kept = *end;
    *end = '\0';
    holds = apr_fnmatch(section->path, path, APR_FNM_PATHNAME) == APR_SUCCESS;
    *end = kept;
    return holds;
}

/* Plain ones and those with wildcards, by their depth. */
static void find_directories(search *s)
{
    const wr__sections *sections = s->sections;
    const dir_entry *e;
    char *path;

    if (!sections->dirs) {
        e = find_entry(sections, s->path);
        if (e) {
            s->base = e->merged;
            s->files = (apr_array_header_t *)(uintptr_t)e->files;
        }
        return;
    }
    path = apr_pstrdup(s->pool, s->path);
    for (int i = 0; i < sections->dirs->nelts; i++) {
        const wr_section *section =
            APR_ARRAY_IDX(sections->dirs, i, const wr_section *);

        if (section->is_pattern
                ? pattern_holds(section, path)
                : strncmp(path, section->path, section->len) == 0) {
            add_found(s, section);
        }
    }
}

/* <DirectoryMatch>: all of the path, a directory's with its slash or without.
 */
static void find_directory_regexes(search *s)
{
    size_t len = strlen(s->path);
    bool is_dir = len > 1 && s->path[len - 1] == '/';

    for (int i = 0; i < s->sections->dir_regex->nelts; i++) {
        const wr_section *section =
            APR_ARRAY_IDX(s->sections->dir_regex, i, const wr_section *);

        if (regex_matches(s, section->regex, s->path, len)
            || (is_dir && regex_matches(s, section->regex, s->path, len - 1))) {
            add_found(s, section);
        }
    }
}

/* The last component of a path, without a directory's slash. */
static const char *last_name(const char *path, apr_pool_t *pool)
{
    size_t len = strlen(path), start;

    if (len > 1 && path[len - 1] == '/') {
        len--;
    }
    for (start = len; start > 0 && path[start - 1] != '/'; start--) {
    }
    return apr_pstrmemdup(pool, path + start, len - start);
}

static void find_files(search *s, const apr_array_header_t *files,
                       const char *name)
{
    for (int i = 0; files && i < files->nelts; i++) {
        const wr_section *f = APR_ARRAY_IDX(files, i, const wr_section *);
        bool holds;

        if (f->regex) {
            holds = regex_matches(s, f->regex, name, strlen(name));
        }
        else if (f->is_pattern) {
            holds = apr_fnmatch(f->path, name, APR_FNM_PATHNAME) == APR_SUCCESS;
        }
        else {
            holds = strcmp(f->path, name) == 0;
        }
        if (holds) {
            add_found(s, f);
        }
    }
}

/* A <Location> without a slash at its end is a whole component. */
static bool location_holds(const wr_section *l, const char *uri)
{
    if (l->is_pattern) {
        return apr_fnmatch(l->path, uri, APR_FNM_PATHNAME) == APR_SUCCESS;
    }
    return strncmp(l->path, uri, l->len) == 0
           && (l->path[l->len - 1] == '/' || uri[l->len] == '/'
               || uri[l->len] == '\0');
}

/* "//" as "/", if there is any. */
static const char *merge_slashes(const char *uri, apr_pool_t *pool)
{
    char *merged, *to;

    if (!strstr(uri, "//")) {
        return uri;
    }
    merged = to = apr_pstrdup(pool, uri);
    for (const char *from = uri; *from; from++) {
        if (from[0] != '/' || from[1] != '/') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return merged;
}

/* Slashes in a row count as one, but for regular expressions. */
static void find_locations(search *s, const char *uri)
{
    const char *merged;

    if (!uri || uri[0] != '/') {
        return;
    }
    merged = merge_slashes(uri, s->pool);
    for (int i = 0; i < s->sections->locations->nelts; i++) {
        const wr_section *l =
            APR_ARRAY_IDX(s->sections->locations, i, const wr_section *);

        if (l->regex ? regex_matches(s, l->regex, uri, strlen(uri))
                     : location_holds(l, merged)) {
            add_found(s, l);
        }
    }
}

/* combinations ---------------------------------------------------------------
 */

static _Atomic(combination *) *bucket_of(wr__sections *sections,
                                         const search *s)
{
    uintptr_t hash = (uintptr_t)s->base >> 4;

    for (int i = 0; i < s->found->nelts; i++) {
        const wr_section *section =
            APR_ARRAY_IDX(s->found, i, const wr_section *);

        hash = hash * 31 + ((uintptr_t)section >> 4);
    }
    return &sections->buckets[(hash ^ hash >> 12) % BUCKETS];
}

static wr_dir_config *find_combination(_Atomic(combination *) *bucket,
                                       const search *s)
{
    size_t bytes = (size_t)s->found->nelts * sizeof(const wr_section *);

    for (const combination *c =
             atomic_load_explicit(bucket, memory_order_acquire);
         c; c = c->next) {
        if (c->base == s->base && c->count == s->found->nelts
            && memcmp(c->sections, s->found->elts, bytes) == 0) {
            return c->merged;
        }
    }
    return NULL;
}

static wr_dir_config *merge_found(const search *s, apr_pool_t *pool)
{
    wr_dir_config *merged = s->base;

    for (int i = 0; i < s->found->nelts; i++) {
        const wr_section *section =
            APR_ARRAY_IDX(s->found, i, const wr_section *);

        merged = wr__dir_config_merge(s->sections->config, merged, section->dir,
                                      pool);
    }
    return merged;
}

/* Under the mutex. */
static wr_dir_config *add_combination(wr__sections *sections,
                                      _Atomic(combination *) *bucket,
                                      const search *s)
{
    size_t bytes = (size_t)s->found->nelts * sizeof(const wr_section *);
    combination *c = apr_palloc(sections->pool, sizeof(*c) + bytes);

    c->base = s->base;
    c->count = s->found->nelts;
    memcpy(c->sections, s->found->elts, bytes);
    c->merged = merge_found(s, sections->pool);
    c->next = atomic_load_explicit(bucket, memory_order_relaxed);
    sections->combinations++;
    atomic_store_explicit(bucket, c, memory_order_release);
    return c->merged;
}

static wr_dir_config *combine(wr__sections *sections, const search *s)
{
    _Atomic(combination *) *bucket = bucket_of(sections, s);
    wr_dir_config *dir = find_combination(bucket, s);

    if (dir) {
        return dir;
    }
    apr_thread_mutex_lock(sections->mutex);
    dir = find_combination(bucket, s);
    if (!dir && sections->combinations < COMBINATIONS_MAX) {
        dir = add_combination(sections, bucket, s);
    }
    apr_thread_mutex_unlock(sections->mutex);
    if (!dir) {
        dir = merge_found(s, s->pool);
        dir->is_lent = true;
    }
    return dir;
}

wr_dir_config *wr__dir_config_for(const wr_server *server, const char *uri,
                                  const char *path, apr_pool_t *pool)
{
    wr__sections *sections = wr__core_server_of(server)->sections;
    search s = {.sections = sections,
                .path = path,
                .pool = pool,
                .base = server->dir_config};

    if (path) {
        find_directories(&s);
        find_directory_regexes(&s);
        if (sections->has_files) {
            /* What is found adds no more of them: <Files> has none inside. */
            const char *name = last_name(path, pool);

            find_files(&s, sections->files, name);
            find_files(&s, s.files, name);
        }
    }
    if (sections->locations->nelts) {
        find_locations(&s, uri);
    }
    if (s.has_failed) {
        return NULL;
    }
    return s.found ? combine(sections, &s) : s.base;
}
