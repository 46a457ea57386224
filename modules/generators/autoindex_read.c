/*
 * autoindex_read.c - the entries of a directory: read, described, sorted.
 *
 * In the thread that owns the connection; what may wait for the disk is asked
 * for as ops.  Everything is opened below the request's root; links are
 * followed only as Options has it, and never out of it.  What can't be read is
 * not shown.
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
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 65536 /* of a file that is shown in the page */

/** A directory being read. */
typedef struct reading {
    wr_request *r;
    const wr__index_config *conf;
    const wr__index_view *view;
    const wr_mime_types *types;    /* or NULL */
    const wr_authz_access *access; /* or NULL */
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

/** @return WR_OK: the op is done; else what the hook is to return. */
static wr_result have(wr_request *r, wr_op *op)
{
    if (op->is_done) {
        return WR_OK;
    }
    if (wr_op_try(op) != APR_SUCCESS) {
        return wr_request_ask(r, op);
    }
    op->is_done = true; /* the hook may be called again for another one */
    return WR_OK;
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
                      const wr_listed *found)
{
    wr__index_entry *entry;
    bool is_dir = S_ISDIR(found->mode);

    if (is_ignored(d, found->name) || is_closed(d, found->name, is_dir)) {
        return;
    }
    entry = apr_array_push(entries);
    entry->name = apr_pstrdup(d->r->pool, found->name);
    entry->is_dir = is_dir;
    entry->size = is_dir ? -1 : found->bytes;
    entry->mtime = apr_time_make(found->mtime_s, 0);
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

/** What Options say about links. */
static uint64_t resolve_of(const wr_request *r)
{
    unsigned options = wr_dir_options(r->dir_config);

    if (options & WR_OPT_FOLLOW_SYMLINKS) {
        return 0;
    }
    return options & WR_OPT_SYMLINKS_IF_OWNER ? WR_RESOLVE_OWNER
                                              : RESOLVE_NO_SYMLINKS;
}

wr_result wr__index_list(wr_request *r, int max, wr_op **listed)
{
    wr_op *op = wr_request_op(r);

    *listed = op;
    if (!op->is_done) {
        op->kind = WR_OP_LIST;
        op->dir = r->root->fd;
        op->path = r->root_path;
        op->resolve = resolve_of(r);
        op->len = (size_t)max;
        return wr_request_ask(r, op);
    }
    if (op->status != APR_SUCCESS) {
        wr_log_request(r, WR_LOG_ERROR, op->status, "reading the directory %s",
                       r->filename);
        return 403;
    }
    if (op->done > op->len) {
        wr_log_request(r, WR_LOG_WARN, 0,
                       "%s has more than the %d entries that are shown",
                       r->filename, max);
    }
    return WR_OK;
}

/** The list is a file in memory: reading it waits for nothing. */
static void add_entries(const reading *d, apr_array_header_t *entries, int fd)
{
    struct stat st;
    char *list = NULL;
    size_t at = 0, len;

    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        list = malloc((size_t)st.st_size);
    }
    len = list && pread(fd, list, (size_t)st.st_size, 0) == st.st_size
              ? (size_t)st.st_size
              : 0;
    while (at < len) {
        const wr_listed *found = (const void *)(list + at);

        add_entry(d, entries, found);
        at += found->size;
    }
    free(list);
}

apr_array_header_t *wr__index_entries(wr_request *r, const wr_op *listed,
                                      const wr__index_config *conf,
                                      const wr__index_view *view)
{
    reading d = {.r = r,
                 .conf = conf,
                 .view = view,
                 .types = wr_provider_find("mime", "types"),
                 .access = wr_provider_find("access", "authz_core")};
    apr_array_header_t *entries =
        apr_array_make(r->pool, 64, sizeof(wr__index_entry));

    add_parent(&d, entries);
    add_entries(&d, entries, listed->fd);
    qsort_r(entries->elts, (size_t)entries->nelts, sizeof(wr__index_entry),
            compare, (void *)(uintptr_t)view);
    return entries;
}

/** All there is of an opened file, up to a bound. */
static wr_result read_text(wr_request *r, const wr_op *opened,
                           const char **text)
{
    wr_op *op = wr_request_op(r);
    wr_result result;

    if (!op->is_done) {
        op->kind = WR_OP_READ;
        op->fd = opened->fd;
        op->len = opened->st.st_size < TEXT_MAX ? (size_t)opened->st.st_size
                                                : TEXT_MAX;
        op->buf = op->buf ? op->buf : apr_palloc(r->pool, op->len + 1);
    }
    result = have(r, op);
    if (result == WR_OK && op->status == APR_SUCCESS) {
        ((char *)op->buf)[op->done] = '\0';
        *text = op->buf;
    }
    return result;
}

wr_result wr__index_read_text(wr_request *r, const char *name,
                              wr__index_text *text)
{
    const wr_mime_types *types = wr_provider_find("mime", "types");
    const wr_root *root = name && name[0] == '/' ? r->server->root : r->root;
    wr_mime mime = {NULL, NULL, NULL, NULL, NULL};
    wr_result result;
    wr_op *op;

    text->words = NULL;
    if (!name || !root) {
        return WR_OK;
    }
    op = wr_request_op(r);
    if (!op->is_done) {
        op->kind = WR_OP_LOOKUP;
        op->dir = root->fd;
        op->path = name[0] == '/' ? name + 1 : path_below(r, name);
    }
    result = have(r, op);
    if (result != WR_OK || op->status != APR_SUCCESS
        || !S_ISREG(op->st.st_mode)) {
        return result;
    }
    if (types) {
        types->find(r, name, &mime);
    }
    text->type = mime.type ? mime.type : "text/plain";
    return read_text(r, op, &text->words);
}
