/*
 * list.c - see list.h.
 *
 * Links are followed only as the op's resolve has it, and never out of its
 * directory.  Direct calls: APR opens no directory by a descriptor, and makes
 * no file that is memory.
 */
#include "list.h"

#include "open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct listing {
    const wr_op *op;
    int fd;    /* of the directory */
    FILE *out; /* buffers what goes into memory */
} listing;

/** What a link leads to, if it may be followed. */
static bool follow(const listing *l, const char *name, struct stat *st)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", l->op->path, name);

    return !(l->op->resolve & RESOLVE_NO_SYMLINKS) && len > 0
           && (size_t)len < sizeof(path)
           && wr__stat_below(l->op->dir, path, l->op->resolve, st)
                  == APR_SUCCESS;
}

/** Is it a file or a directory that may be asked for? */
static bool look_at(const listing *l, const char *name, struct stat *st)
{
    if (fstatat(l->fd, name, st, AT_SYMLINK_NOFOLLOW) != 0
        || (S_ISLNK(st->st_mode) && !follow(l, name, st))
        || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) {
        return false;
    }
    return faccessat(l->fd, name, S_ISDIR(st->st_mode) ? X_OK : R_OK,
                     AT_EACCESS)
           == 0;
}

static void put(const listing *l, const char *name, const struct stat *st)
{
    static const char zeros[8];
    size_t len = strlen(name) + 1;
    size_t size = (sizeof(wr_listed) + len + 7) & ~(size_t)7;
    const wr_listed entry = {.size = (uint32_t)size,
                             .mode = st->st_mode,
                             .bytes = st->st_size,
                             .mtime_s = st->st_mtim.tv_sec};

    fwrite(&entry, sizeof(entry), 1, l->out);
    fwrite(name, 1, len, l->out);
    fwrite(zeros, 1, size - sizeof(entry) - len, l->out);
}

/** @return how many were put; one more if that was not all. */
static size_t put_all(const listing *l, DIR *dir)
{
    const struct dirent *found;
    size_t count = 0;
    struct stat st;

    while ((found = readdir(dir))) {
        const char *name = found->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0
            || !look_at(l, name, &st)) {
            continue;
        }
        if (count == l->op->len) {
            return count + 1;
        }
        put(l, name, &st);
        count++;
    }
    return count;
}

/** A stream into @a fd, which stays open when it is closed. */
static FILE *open_stream(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *stream = copy >= 0 ? fdopen(copy, "w") : NULL;

    if (!stream && copy >= 0) {
        int error = errno;

        close(copy);
        errno = error;
    }
    return stream;
}

static apr_status_t write_list(wr_op *op, DIR *dir, int fd)
{
    listing l = {.op = op, .fd = dirfd(dir), .out = open_stream(fd)};
    bool is_whole;

    if (!l.out) {
        return errno;
    }
    op->done = put_all(&l, dir);
    is_whole = !ferror(l.out);
    return fclose(l.out) == 0 && is_whole ? APR_SUCCESS : ENOMEM;
}

static apr_status_t list_into_memory(wr_op *op, DIR *dir)
{
    int fd = memfd_create("weir:list", MFD_CLOEXEC);
    apr_status_t rv;

    if (fd < 0) {
        return errno;
    }
    rv = write_list(op, dir, fd);
    if (rv != APR_SUCCESS) {
        close(fd);
        return rv;
    }
    op->fd = fd;
    return APR_SUCCESS;
}

apr_status_t wr__list(wr_op *op)
{
    struct stat st;
    int fd;
    apr_status_t rv = wr__open_below(op->dir, op->path, op->resolve, &fd, &st);
    DIR *dir;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    dir = fdopendir(fd);
    if (!dir) {
        rv = errno;
        close(fd);
        return rv;
    }
    rv = list_into_memory(op, dir);
    closedir(dir);
    return rv;
}
