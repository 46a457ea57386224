/*
 * config_root.c - wr__root_open(): the directories below which files are
 * looked up, each opened once.
 *
 * Runs where a configuration is read, in one thread.  Children inherit the
 * descriptors.  Direct calls: APR opens no directory by descriptor and does
 * not tell file systems apart.
 */
#include "wr_file.h"

#include "config.h"

#include <apr_errno.h>
#include <apr_strings.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#    define XFS_SUPER_MAGIC 0x58465342
#endif

typedef struct open_root {
    wr_root root; /* first: wr_root.next is one of these too */
    apr_pool_t *pool;
} open_root;

/* The process's: a directory that several servers share is opened once. */
static wr_root *open_roots;

/*
 * How to ask about files on a file system.  A directory can't be read, so the
 * kernel can't be asked about RWF_NOWAIT here; those listed are known to
 * answer.  ext2 shares its number with ext4 and refuses; whoever meets
 * EOPNOTSUPP goes on as with NEVER.  All others (overlayfs, FUSE, NFS, ...)
 * either have no answer or pass the question to another file system.
 */
static enum wr_residency residency_of(long type)
{
    switch ((unsigned long)type & 0xffffffffUL) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
        return WR_RESIDENT_ALWAYS;
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
        return WR_RESIDENT_NOWAIT;
    default:
        return WR_RESIDENT_NEVER;
    }
}

static apr_status_t close_root(void *data)
{
    wr_root *root = data;

    for (wr_root **at = &open_roots; *at; at = &(*at)->next) {
        if (*at == root) {
            *at = root->next;
            break;
        }
    }
    close(root->fd);
    return APR_SUCCESS;
}

/* Only one that lives as long. */
static wr_root *find_root(const char *path, const apr_pool_t *pool)
{
    for (wr_root *root = open_roots; root; root = root->next) {
        if (((open_root *)root)->pool == pool
            && strcmp(root->path, path) == 0) {
            return root;
        }
    }
    return NULL;
}

/* Without slashes at its end: "/" is "", so that path + "/" + name holds. */
static const char *plain_path(const char *path, apr_pool_t *pool)
{
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    return apr_pstrmemdup(pool, path, len);
}

wr_root *wr__root_open(const char *path, apr_pool_t *pool, apr_status_t *status)
{
    const char *plain = plain_path(path, pool);
    open_root *opened;
    wr_root *root = find_root(plain, pool);
    struct statfs fs;
    struct stat st;
    int fd;

    *status = APR_SUCCESS;
    if (root) {
        return root;
    }
    fd = open(*plain ? plain : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        *status = errno;
        return NULL;
    }
    if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0) {
        *status = errno;
        close(fd);
        return NULL;
    }
    opened = apr_pcalloc(pool, sizeof(*opened));
    opened->pool = pool;
    root = &opened->root;
    root->path = plain;
    root->fd = fd;
    root->device = st.st_dev;
    root->residency = residency_of((long)fs.f_type);
    root->next = open_roots;
    open_roots = root;
    apr_pool_cleanup_register(pool, root, close_root, apr_pool_cleanup_null);
    return root;
}

apr_status_t wr_root_open(wr_root **root, const char *path, apr_pool_t *pool)
{
    apr_status_t status;
    wr_root *found = wr__root_open(path, pool, &status);

    if (found) {
        *root = found;
    }
    return status;
}
