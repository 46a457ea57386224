/*
 * cache.c - see cache.h.
 *
 * One kind of table serves both levels: a hash with chains, a list by age, and
 * counted nodes, so that an entry that was dropped lives until its last user
 * is done.
 */
#include "cache.h"

#include "request.h"
#include "response.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHARDS 16 /* with several threads */

typedef struct shard {
    apr_thread_mutex_t *mutex; /* NULL with one thread; guards the rest */
    wr__node **buckets;
    uint32_t mask;
    wr__node *newest, *oldest;
    int count, max_count;
    size_t bytes, max_bytes;
} shard;

typedef struct table {
    shard shards[SHARDS];
    uint32_t shard_mask;
} table;

typedef struct file_node {
    wr__node node;
    wr__file *file;
} file_node;

struct wr__cache {
    table names, files;
    int64_t revalidate_ns;
    bool keeps_names, keeps_headers, keeps_files;
};

/* Tables. */

static void table_init(table *t, int entries, int64_t bytes, bool is_threaded,
                       apr_pool_t *pool)
{
    uint32_t shards = is_threaded ? SHARDS : 1;
    uint32_t size = 64;

    while (size < (uint32_t)entries / shards) {
        size *= 2;
    }
    t->shard_mask = shards - 1;
    for (uint32_t i = 0; i < shards; i++) {
        shard *s = &t->shards[i];

        s->mask = size - 1;
        s->buckets = apr_pcalloc(pool, size * sizeof(wr__node *));
        s->max_count = entries / (int)shards > 0 ? entries / (int)shards : 1;
        s->max_bytes = (size_t)bytes / shards;
        if (is_threaded) {
            apr_thread_mutex_create(&s->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
        }
    }
}

static void lock(shard *s)
{
    if (s->mutex) {
        apr_thread_mutex_lock(s->mutex);
    }
}

static void unlock(shard *s)
{
    if (s->mutex) {
        apr_thread_mutex_unlock(s->mutex);
    }
}

/** FNV-1a. */
static uint32_t hash_key(const void *owner, const char *key, size_t len)
{
    uint32_t hash = 2166136261u ^ (uint32_t)((uintptr_t)owner >> 4);

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

static shard *shard_of(table *t, uint32_t hash)
{
    return &t->shards[(hash >> 24) & t->shard_mask];
}

static void node_unref(wr__node *node)
{
    if (atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1) {
        node->destroy(node);
    }
}

static void list_remove(shard *s, wr__node *node)
{
    *(node->newer ? &node->newer->older : &s->newest) = node->older;
    *(node->older ? &node->older->newer : &s->oldest) = node->newer;
}

static void list_push(shard *s, wr__node *node)
{
    node->newer = NULL;
    node->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = node;
    s->newest = node;
}

static wr__node **find(shard *s, uint32_t hash, const void *owner,
                       const char *key, size_t len)
{
    wr__node **at = &s->buckets[hash & s->mask];

    while (*at
           && !((*at)->hash == hash && (*at)->key_len == len
                && (*at)->owner == owner
                && memcmp((*at)->key, key, len) == 0)) {
        at = &(*at)->chain;
    }
    return at;
}

/** Take the node at @a at out.  The table's reference goes to the caller. */
static wr__node *unlink_node(shard *s, wr__node **at)
{
    wr__node *node = *at;

    assert(node);
    *at = node->chain;
    list_remove(s, node);
    s->count--;
    s->bytes -= node->bytes;
    return node;
}

static wr__node *table_get(table *t, const void *owner, const char *key,
                           size_t len)
{
    uint32_t hash = hash_key(owner, key, len);
    shard *s = shard_of(t, hash);
    wr__node *node;

    lock(s);
    node = *find(s, hash, owner, key, len);
    if (node) {
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
        if (s->newest != node) {
            list_remove(s, node);
            list_push(s, node);
        }
    }
    unlock(s);
    return node;
}

static void table_remove(table *t, const void *owner, const char *key,
                         size_t len)
{
    uint32_t hash = hash_key(owner, key, len);
    shard *s = shard_of(t, hash);
    wr__node *node = NULL;
    wr__node **at;

    lock(s);
    at = find(s, hash, owner, key, len);
    if (*at) {
        node = unlink_node(s, at);
    }
    unlock(s);
    if (node) {
        node_unref(node);
    }
}

/** Put a node in, with its first reference; what it replaces and what it
 *  pushes out goes. */
static void table_put(table *t, wr__node *node)
{
    shard *s;
    wr__node *gone = NULL, *next;
    wr__node **at;

    node->hash = hash_key(node->owner, node->key, node->key_len);
    s = shard_of(t, node->hash);
    lock(s);
    at = find(s, node->hash, node->owner, node->key, node->key_len);
    if (*at) {
        gone = unlink_node(s, at);
        gone->chain = NULL;
    }
    if (node->bytes > s->max_bytes) {
        unlock(s);
        node_unref(node);
        if (gone) {
            node_unref(gone);
        }
        return;
    }
    while (s->oldest
           && (s->count >= s->max_count
               || s->bytes + node->bytes > s->max_bytes)) {
        wr__node *old = s->oldest;

        old = unlink_node(
            s, find(s, old->hash, old->owner, old->key, old->key_len));
        old->chain = gone;
        gone = old;
    }
    node->chain = s->buckets[node->hash & s->mask];
    s->buckets[node->hash & s->mask] = node;
    list_push(s, node);
    s->count++;
    s->bytes += node->bytes;
    unlock(s);
    for (; gone; gone = next) {
        next = gone->chain;
        node_unref(gone);
    }
}

static void table_clear(table *t)
{
    for (uint32_t i = 0; i <= t->shard_mask; i++) {
        shard *s = &t->shards[i];

        while (s->oldest) {
            wr__node *old = s->oldest;

            node_unref(unlink_node(
                s, find(s, old->hash, old->owner, old->key, old->key_len)));
        }
    }
}

/* Files. */

wr__file *wr__file_create(int fd, const struct stat *st, const wr_root *root)
{
    wr__file *f = calloc(1, sizeof(*f));

    if (!f) {
        close(fd);
        return NULL;
    }
    atomic_init(&f->file.refs, 1);
    f->file.fd = fd;
    f->file.is_dir = S_ISDIR(st->st_mode);
    f->file.is_regular = S_ISREG(st->st_mode);
    f->file.residency = (uint8_t)root->residency;
    if ((uint64_t)st->st_dev != root->device) {
        /* Another file system is mounted there: nothing is known of it. */
        f->file.residency = WR_RESIDENT_NOWAIT;
    }
    f->file.size = st->st_size;
    f->file.mtime =
        apr_time_make(st->st_mtim.tv_sec, st->st_mtim.tv_nsec / 1000);
    f->file.mtime_ns = st->st_mtim.tv_sec * WR_SEC + st->st_mtim.tv_nsec;
    f->file.ctime_ns = st->st_ctim.tv_sec * WR_SEC + st->st_ctim.tv_nsec;
    f->file.inode = st->st_ino;
    f->file.device = st->st_dev;
    apr_rfc822_date(f->last_modified, f->file.mtime);
    snprintf(f->etag, sizeof(f->etag), "\"%llx-%llx\"",
             (unsigned long long)f->file.size,
             (unsigned long long)f->file.mtime);
    return f;
}

bool wr__file_is_same(const wr__file *file, const struct stat *st)
{
    return file->file.inode == st->st_ino && file->file.device == st->st_dev
           && file->file.size == st->st_size
           && file->file.mtime_ns
                  == st->st_mtim.tv_sec * WR_SEC + st->st_mtim.tv_nsec
           && file->file.ctime_ns
                  == st->st_ctim.tv_sec * WR_SEC + st->st_ctim.tv_nsec;
}

static size_t file_bytes(const wr__file *file)
{
    return sizeof(*file)
           + (file->file.content || file->file.map ? (size_t)file->file.size
                                                   : 0);
}

static void destroy_file_node(wr__node *node)
{
    file_node *n = (file_node *)node;

    wr_file_unref(&n->file->file);
    free(n);
}

/** How links are followed is part of a file's key: where they are not, what
 *  was found through one does not exist. */
static const void *owner_of(uint64_t resolve)
{
    return (const void *)(uintptr_t)(resolve ^ (resolve >> 32));
}

wr__file *wr__cache_file(wr__cache *cache, const char *filename,
                         uint64_t resolve)
{
    file_node *n;
    wr__file *file;

    if (!cache->keeps_files) {
        return NULL;
    }
    n = (file_node *)table_get(&cache->files, owner_of(resolve), filename,
                               strlen(filename));
    if (!n) {
        return NULL;
    }
    file = n->file;
    wr_file_ref(&file->file);
    node_unref(&n->node);
    return file;
}

void wr__cache_add_file(wr__cache *cache, const char *filename,
                        uint64_t resolve, wr__file *file)
{
    size_t len = strlen(filename);
    file_node *n;

    if (!cache->keeps_files) {
        return;
    }
    n = calloc(1, sizeof(*n) + len + 1);
    if (!n) {
        return;
    }
    atomic_init(&n->node.refs, 1);
    memcpy(n + 1, filename, len + 1);
    n->node.key = (char *)(n + 1);
    n->node.key_len = (uint32_t)len;
    n->node.destroy = destroy_file_node;
    n->node.bytes = sizeof(*n) + len + file_bytes(file);
    n->node.owner = owner_of(resolve);
    n->file = file;
    wr_file_ref(&file->file);
    table_put(&cache->files, &n->node);
}

void wr__cache_remove_file(wr__cache *cache, const char *filename,
                           uint64_t resolve)
{
    table_remove(&cache->files, owner_of(resolve), filename, strlen(filename));
}

/* Names. */

static void destroy_name(wr__node *node)
{
    wr__name *name = (wr__name *)node;

    wr_file_unref(&name->file->file);
    free(name);
}

void wr__name_unref(wr__name *name)
{
    if (name) {
        node_unref(&name->node);
    }
}

wr__name *wr__cache_name(wr__cache *cache, const wr_server *server,
                         const char *target, size_t len, int64_t now_ns)
{
    wr__name *name;

    if (!cache->keeps_names) {
        return NULL;
    }
    name = (wr__name *)table_get(&cache->names, server, target, len);
    if (name
        && now_ns
                   - atomic_load_explicit(&name->file->checked_ns,
                                          memory_order_relaxed)
               >= cache->revalidate_ns) {
        node_unref(&name->node);
        return NULL;
    }
    return name;
}

/** Copy a string to *at and move *at behind it. */
static const char *put(char **at, const char *text)
{
    char *copy = *at;

    if (!text) {
        return NULL;
    }
    *at = apr_cpystrn(copy, text, strlen(text) + 1) + 1;
    return copy;
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

void wr__cache_add_name(wr__cache *cache, const wr_request *r,
                        const char *target, size_t len)
{
    char header[WR__CONTENT_HEADER_MAX];
    size_t header_len = 0, size;
    wr__name *name;
    char *at;

    if (!cache->keeps_names || !r->file || !r->root_path) {
        return;
    }
    if (cache->keeps_headers) {
        header_len = wr__content_header(r, header, sizeof(header));
        if (!header_len) {
            return; /* later, when the file has come to rest */
        }
    }
    size = sizeof(*name) + len + header_len + size_of(r->uri)
           + size_of(r->filename) + size_of(r->content_type)
           + size_of(r->content_encoding) + size_of(r->content_language)
           + size_of(r->handler);
    name = calloc(1, size);
    if (!name) {
        return;
    }
    at = (char *)(name + 1);
    memcpy(at, target, len);
    atomic_init(&name->node.refs, 1);
    name->node.key = at;
    name->node.key_len = (uint32_t)len;
    name->node.owner = r->server;
    name->node.bytes = size + file_bytes((wr__file *)r->file);
    name->node.destroy = destroy_name;
    at += len;
    if (header_len) {
        memcpy(at, header, header_len);
        name->header = at;
        name->header_len = header_len;
        at += header_len;
    }
    name->uri = put(&at, r->uri);
    name->filename = put(&at, r->filename);
    /* root_path is the end of filename, or "." */
    name->root_path =
        strcmp(r->root_path, ".") == 0
            ? "."
            : name->filename + strlen(name->filename) - strlen(r->root_path);
    name->content_type = put(&at, r->content_type);
    name->content_encoding = put(&at, r->content_encoding);
    name->content_language = put(&at, r->content_language);
    name->handler = put(&at, r->handler);
    name->root = r->root;
    name->dir_config = r->dir_config;
    name->file = (wr__file *)r->file;
    wr_file_ref(r->file);
    table_put(&cache->names, &name->node);
}

/** Each file may hold a descriptor, and the two tables different files: in all
 *  at most a quarter of the descriptors. */
static int files_max(int entries)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0
        && limit.rlim_cur / 8 < (rlim_t)entries) {
        return (int)(limit.rlim_cur / 8);
    }
    return entries;
}

wr__cache *wr__cache_create(const wr__config *config, bool is_threaded,
                            apr_pool_t *pool)
{
    wr__cache *cache = apr_pcalloc(pool, sizeof(*cache));

    cache->revalidate_ns = config->cache_revalidate_ns;
    cache->keeps_names = config->cache_paths;
    cache->keeps_headers = config->cache_headers;
    cache->keeps_files = config->cache_content;
    /* A name holds its file, even when the other table has let go of it. */
    table_init(&cache->names, files_max(config->cache_entries),
               config->cache_size, is_threaded, pool);
    table_init(&cache->files, files_max(config->cache_entries),
               config->cache_size, is_threaded, pool);
    return cache;
}

void wr__cache_destroy(wr__cache *cache)
{
    table_clear(&cache->names);
    table_clear(&cache->files);
}
