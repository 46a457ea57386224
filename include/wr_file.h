/*
 * wr_file.h - an opened file with its stat: what the caches hold and what file
 * objects refer to.  References are atomic; it may be used by any thread.
 */
#ifndef WR_FILE_H
#define WR_FILE_H

#include "wr_base.h"

#include <apr_buckets.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>
#include <stdatomic.h>

/** A directory opened at start, below which files are looked up. */
struct wr_root {
    wr_root *next;
    const char *path; /**< absolute, without a last "/": of "/" it is "" */
    int fd;           /**< O_PATH */
    uint64_t device;
    /** How to ask whether a read would block. */
    enum wr_residency {
        WR_RESIDENT_NOWAIT, /**< preadv2(RWF_NOWAIT) tells */
        WR_RESIDENT_ALWAYS, /**< memory file system */
        WR_RESIDENT_NEVER   /**< nothing tells: always ask for an op */
    } residency;
};

struct wr_file {
    _Atomic uint32_t refs;
    int fd; /**< -1: a directory, or only content is held */
    bool is_dir;
    bool is_regular;
    uint8_t residency; /**< as its root's, or its own file system's */
    bool is_read;      /**< sendfile() can't; atomic, as residency is */
    /** Parts that have been in memory, since when; residency.c's alone. */
    _Atomic uint64_t seen;
    _Atomic int64_t seen_since;
    int64_t size;
    apr_time_t mtime;
    int64_t mtime_ns, ctime_ns;
    uint64_t inode, device;
    const char *content; /**< all of it in memory, or NULL */
    /** All of it mapped, or NULL.  Only the kernel may read there: behind the
     *  end of a file that was truncated it says EFAULT, and we would get a
     *  SIGBUS.  Whoever wants the bytes reads them from fd. */
    const void *map;
};

/**
 * The root for an absolute path of a directory, opened now or found among those
 * open.  In post_config: children inherit it.
 *
 * @return what open() or stat() said, as ENOENT.
 */
WR_API apr_status_t wr_root_open(wr_root **root, const char *path,
                                 apr_pool_t *pool);

WR_API void wr_file_ref(wr_file *file);
/** Drop a reference; the last one closes and frees.  NULL is allowed. */
WR_API void wr_file_unref(wr_file *file);

/** A bucket of a range of a file; takes a reference of its own. */
WR_API apr_bucket *wr_bucket_file_create(wr_file *file, int64_t offset,
                                         int64_t len, apr_bucket_alloc_t *list);
WR_API bool wr_bucket_is_file(const apr_bucket *b);
WR_API wr_file *wr_bucket_file(const apr_bucket *b);

#endif
