/*
 * autoindex_read.c - the entries of a directory: read, described, sorted.
 *
 * Runs where blocking does no harm, in whatever thread the MPM has for that.
 * Everything is opened below the request's root; links are followed only as
 * Options has it, and never out of it.  What can't be read is not shown.
 * Direct calls: APR opens no directory by a descriptor.
 */
#define WR_LOG_MODULE autoindex_module

#include "wr_authz.h"
#include "wr_config.h"
#include "wr_file.h"
#include "wr_log.h"
#include "wr_mime.h"
#include "wr_module.h"
#include "wr_op.h"

#include "autoindex.h"

#include <apr_fnmatch.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TEXT_MAX 65536 /* of a file that is shown in the page */

/** A directory being read. */
typedef struct reading {
    wr_request *r;
    const wr__index_config *conf;
    const wr__index_view *view;
    const wr_mime_types *types;    /* or NULL */
    const wr_authz_access *access; /* or NULL */
    unsigned options;              /* WR_OPT_* */
    int fd;
} reading;

/** A path below the root from one below the directory. */
static const char *path_below(const wr_request *r, const char *name)
{
    const char *dir = r->root_path;
    size_t len = strlen(dir);

    if (strcmp(dir, ".") == 0) {
        return name;
    }
    return apr_pstrcat(r->pool, dir, dir[len - 1] == '/' ? "" : "/", name,
                       NULL);
}

/** Open or stat below the root, as the core would. */
static apr_status_t run_op(wr_op *op, wr_op_kind kind, const wr_root *root,
                           const char *path)
{
    memset(op, 0, sizeof(*op));
    op->kind = kind;
    op->dir = root->fd;
    op->path = path;
    op->fd = -1;
    wr_op_run(op);
    return op->status;
}

static bool is_ignored(const reading *d, const char *name)
{
    const apr_array_header_t *ignored = d->conf->ignored;

    if (d->view->pattern
        && apr_fnmatch(d->view->pattern, name, APR_FNM_CASE_BLIND)
               != APR_SUCCESS) {
        return true;
    }
    for (int i = 0; ignored && i < ignored->nelts; i++) {
        if (apr_fnmatch(APR_ARRAY_IDX(ignored, i, const char *), name,
                        APR_FNM_CASE_BLIND)
            == APR_SUCCESS) {
            return true;
        }
    }
    return false;
}

/** A link, followed if it may be. */
static bool follow(const reading *d, const char *name, struct stat *st)
{
    uid_t owner = st->st_uid;
    wr_op op;

    if (!(d->options & (WR_OPT_FOLLOW_SYMLINKS | WR_OPT_SYMLINKS_IF_OWNER))
        || run_op(&op, WR_OP_STAT, d->r->root, path_below(d->r, name))
               != APR_SUCCESS) {
        return false;
    }
    *st = op.st;
    return (d->options & WR_OPT_FOLLOW_SYMLINKS) || owner == st->st_uid;
}

/** Is it a file or a directory that may be asked for? */
static bool look_at(const reading *d, const char *name, struct stat *st)
{
    if (fstatat(d->fd, name, st, AT_SYMLINK_NOFOLLOW) != 0
        || (S_ISLNK(st->st_mode) && !follow(d, name, st))
        || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) {
        return false;
    }
    return faccessat(d->fd, name, S_ISDIR(st->st_mode) ? X_OK : R_OK,
                     AT_EACCESS)
           == 0;
}

/** Does a section, such as <Files ".ht*">, close it to all? */
static bool is_closed(const reading *d, const char *name, bool is_dir)
{
    apr_pool_t *pool = d->r->pool;
    const char *dir = d->r->filename, *end = is_dir ? "/" : "";
    const wr_dir_config *conf;

    if (!d->access) {
        return false;
    }
    conf = wr_dir_config_for(
        d->r, apr_pstrcat(pool, d->r->uri, name, end, NULL),
        apr_pstrcat(pool, dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name,
                    end, NULL));
    return !conf || d->access->is_closed(conf);
}

static bool is_for(const wr__index_item *item, const char *path,
                   const wr_mime *mime)
{
    if (item->below && path[0] != '^'
        && strncmp(path, item->below, strlen(item->below)) != 0) {
        return false;
    }
    switch (item->kind) {
    case WR__INDEX_FOR_NAME:
        return apr_fnmatch(item->pattern, path, 0) == APR_SUCCESS;
    case WR__INDEX_FOR_TYPE: /* of what is not compressed */
        return mime->type && !mime->encoding
               && apr_fnmatch(item->pattern, mime->type, APR_FNM_CASE_BLIND)
                      == APR_SUCCESS;
    case WR__INDEX_FOR_ENCODING:
        return mime->encoding
               && apr_fnmatch(item->pattern, mime->encoding, APR_FNM_CASE_BLIND)
                      == APR_SUCCESS;
    }
    return false;
}

static const char *find_item(const apr_array_header_t *items, const char *path,
                             const wr_mime *mime)
{
    for (int i = 0; items && i < items->nelts; i++) {
        const wr__index_item *item = &APR_ARRAY_IDX(items, i, wr__index_item);

        if (is_for(item, path, mime)) {
            return item->text;
        }
    }
    return NULL;
}

/** Icon, alternative text and description. */
static void describe(const reading *d, wr__index_entry *entry)
{
    const wr__index_config *conf = d->conf;
    const char *dir = d->r->filename;
    const char *path =
        apr_pstrcat(d->r->pool, dir, dir[strlen(dir) - 1] == '/' ? "" : "/",
                    entry->name, NULL);
    wr_mime mime = {NULL, NULL, NULL, NULL, NULL};

    if (!entry->is_dir && d->types) {
        d->types->find(d->r, path, &mime);
    }
    entry->icon = find_item(conf->icons, path, &mime);
    entry->alt = find_item(conf->alts, path, &mime);
    if (entry->is_dir && !entry->icon) {
        entry->icon = find_item(conf->icons, "^^DIRECTORY^^", &mime);
    }
    if (entry->is_dir && !entry->alt) {
        entry->alt = find_item(conf->alts, "^^DIRECTORY^^", &mime);
    }
    if (!entry->icon) {
        entry->icon = conf->default_icon;
    }
    entry->description = strcmp(entry->name, "..") == 0
                             ? NULL
                             : find_item(conf->descriptions, path, &mime);
}

static void add_entry(const reading *d, apr_array_header_t *entries,
                      const char *name)
{
    wr__index_entry *entry;
    struct stat st;

    if (!look_at(d, name, &st) || is_closed(d, name, S_ISDIR(st.st_mode))) {
        return;
    }
    entry = apr_array_push(entries);
    entry->name = apr_pstrdup(d->r->pool, name);
    entry->is_dir = S_ISDIR(st.st_mode);
    entry->size = entry->is_dir ? -1 : (int64_t)st.st_size;
    entry->mtime = apr_time_make(st.st_mtim.tv_sec, 0);
    describe(d, entry);
}

/** The parent, without a look at it: it may lie outside the root. */
static void add_parent(const reading *d, apr_array_header_t *entries)
{
    wr__index_entry *entry;

    if (strcmp(d->r->uri, "/") == 0 || is_ignored(d, "..")) {
        return;
    }
    entry = apr_array_push(entries);
    entry->name = "..";
    entry->is_dir = true;
    entry->size = -1;
    describe(d, entry);
}

/* Sorting. */

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_names(const wr__index_view *view, const char *a,
                         const char *b)
{
    int order = 0;

    if (view->options & WR__INDEX_VERSION_SORT) {
        order = strverscmp(a, b);
    }
    else if (view->options & WR__INDEX_IGNORE_CASE) {
        order = strcasecmp(a, b);
    }
    return order ? order : strcmp(a, b);
}

static int compare_keys(const wr__index_view *view, const wr__index_entry *a,
                        const wr__index_entry *b)
{
    switch (view->key) {
    case WR__INDEX_BY_TIME:
        return compare_numbers(a->mtime, b->mtime);
    case WR__INDEX_BY_SIZE:
        return compare_numbers(a->size, b->size);
    case WR__INDEX_BY_DESCRIPTION:
        return strcmp(a->description ? a->description : "",
                      b->description ? b->description : "");
    case WR__INDEX_BY_NAME:
        break;
    }
    return compare_names(view, a->name, b->name);
}

static int compare(const void *one, const void *other, void *data)
{
    const wr__index_entry *a = one, *b = other;
    const wr__index_view *view = data;
    bool a_is_parent = strcmp(a->name, "..") == 0;
    bool b_is_parent = strcmp(b->name, "..") == 0;
    int order;

    if (a_is_parent || b_is_parent) {
        return a_is_parent ? -1 : 1;
    }
    if ((view->options & WR__INDEX_FOLDERS_FIRST) && a->is_dir != b->is_dir) {
        return a->is_dir ? -1 : 1;
    }
    order = compare_keys(view, a, b);
    if (order == 0) {
        order = compare_names(view, a->name, b->name);
    }
    return view->is_descending ? -order : order;
}

static void read_entries(const reading *d, DIR *dir,
                         apr_array_header_t *entries)
{
    const struct dirent *found;

    while ((found = readdir(dir))) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0
            || is_ignored(d, found->d_name)) {
            continue;
        }
        if (entries->nelts >= WR__INDEX_ENTRIES_MAX) {
            wr_log_request(d->r, WR_LOG_WARN, 0,
                           "%s has more than the %d entries that are shown",
                           d->r->filename, WR__INDEX_ENTRIES_MAX);
            return;
        }
        add_entry(d, entries, found->d_name);
    }
}

apr_status_t wr__index_read(apr_array_header_t **entries, wr_request *r,
                            const wr__index_config *conf,
                            const wr__index_view *view)
{
    reading d = {.r = r,
                 .conf = conf,
                 .view = view,
                 .types = wr_provider_find("mime", "types"),
                 .access = wr_provider_find("access", "authz_core"),
                 .options = wr_dir_options(r->dir_config)};
    apr_array_header_t *list =
        apr_array_make(r->pool, 64, sizeof(wr__index_entry));
    wr_op op;
    apr_status_t rv = run_op(&op, WR_OP_LOOKUP, r->root, r->root_path);
    DIR *dir;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    d.fd = op.fd;
    dir = fdopendir(d.fd);
    if (!dir) {
        rv = errno;
        close(d.fd);
        return rv;
    }
    add_parent(&d, list);
    read_entries(&d, dir, list);
    closedir(dir);
    qsort_r(list->elts, (size_t)list->nelts, sizeof(wr__index_entry), compare,
            (void *)(uintptr_t)view);
    *entries = list;
    return APR_SUCCESS;
}

/** All there is, up to a bound. */
static const char *read_text(wr_request *r, int fd)
{
    char *text = apr_palloc(r->pool, TEXT_MAX + 1);
    size_t len = 0;

    while (len < TEXT_MAX) {
        ssize_t n = read(fd, text + len, TEXT_MAX - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

const char *wr__index_read_text(wr_request *r, const char *name,
                                const char **type)
{
    const wr_mime_types *types = wr_provider_find("mime", "types");
    const wr_root *root = name[0] == '/' ? r->server->root : r->root;
    const char *path = name[0] == '/' ? name + 1 : path_below(r, name);
    wr_mime mime = {NULL, NULL, NULL, NULL, NULL};
    const char *text;
    wr_op op;

    if (!root || run_op(&op, WR_OP_LOOKUP, root, path) != APR_SUCCESS) {
        return NULL;
    }
    text = S_ISREG(op.st.st_mode) ? read_text(r, op.fd) : NULL;
    close(op.fd);
    if (types) {
        types->find(r, name, &mime);
    }
    *type = mime.type ? mime.type : "text/plain";
    return text;
}
