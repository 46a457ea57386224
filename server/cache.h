/*
 * cache.h - Flash's three caches (Pai et al. 1999, section 5), in two levels.
 *
 * Names: (server, target) to what the pipeline found out about it: the path,
 * its configuration, its type, and the response's fields ready to send.
 * Files: path to wr_file: stat, and small contents.
 *
 * Bounded in entries and bytes, least recently used first out.  Any thread:
 * with several, split into shards with a lock each.
 */
#ifndef WR__CACHE_H
#define WR__CACHE_H

#include "wr_file.h"
#include "wr_request.h"

#include "config.h"

#include <sys/stat.h>

typedef struct wr__cache wr__cache;

/** An element of a table. */
typedef struct wr__node {
    struct wr__node *chain, *older, *newer;
    _Atomic uint32_t refs;
    uint32_t hash;
    uint32_t key_len;
    const void *owner; /**< part of the key: the server */
    const char *key;
    size_t bytes;
    void (*destroy)(struct wr__node *node);
} wr__node;

/** A file with what only the core needs of it. */
typedef struct wr__file {
    wr_file file; /**< first: the one is the other */
    _Atomic int64_t checked_ns;
    char etag[64];
    char last_modified[32];
} wr__file;

/** What is known about a target. */
typedef struct wr__name {
    wr__node node;
    wr__file *file;
    wr_dir_config *dir_config;
    wr_root *root;
    const char *uri, *filename, *root_path;
    const char *content_type, *content_encoding, *content_language;
    const char *handler; /**< or NULL */
    const char *header;
    size_t header_len;
} wr__name;

wr__cache *wr__cache_create(const wr__config *config, bool is_threaded,
                            apr_pool_t *pool);
void wr__cache_destroy(wr__cache *cache);

/** @return counted, or NULL; not if its file is due to be checked. */
wr__name *wr__cache_name(wr__cache *cache, const wr_server *server,
                         const char *target, size_t len, int64_t now_ns);
void wr__name_unref(wr__name *name);
/** Keep what @a r found out; target is the key.  May keep nothing. */
void wr__cache_add_name(wr__cache *cache, const wr_request *r,
                        const char *target, size_t len);

/** @param resolve as in wr_op.  @return counted, or NULL. */
wr__file *wr__cache_file(wr__cache *cache, const char *filename,
                         uint64_t resolve);
/** May keep nothing. */
void wr__cache_add_file(wr__cache *cache, const char *filename,
                        uint64_t resolve, wr__file *file);
void wr__cache_remove_file(wr__cache *cache, const char *filename,
                           uint64_t resolve);

/** A wr_file for an opened file.  @owner fd: the file's from now on.
 *  @return NULL without memory; then fd is closed. */
wr__file *wr__file_create(int fd, const struct stat *st, const wr_root *root);
/** Is it still the one that @a st describes? */
bool wr__file_is_same(const wr__file *file, const struct stat *st);

#endif
