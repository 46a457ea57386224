/*
 * open.c - see open.h.
 */
#include "open.h"

#include "wr_op.h"

#include "open_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/** What the kernel can't do by itself. */
static int open_by_walking(int dir, const char *path, uint64_t flags,
                           uint64_t resolve)
{
    wr__links links = resolve & WR_RESOLVE_OWNER      ? WR__LINKS_IF_OWNER
                      : resolve & RESOLVE_NO_SYMLINKS ? WR__LINKS_NONE
                                                      : WR__LINKS_FOLLOW;
    int fd = -1;
    apr_status_t status = EAGAIN; /* whether it would block is not known */

    if (!(resolve & RESOLVE_CACHED)) {
        status = wr__open_walk(dir, path, links, (int)flags, &fd);
    }
    if (status != APR_SUCCESS) {
        errno = status;
        return -1;
    }
    return fd;
}

static int open_how(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags,
        .resolve = resolve | WR_OP_RESOLVE,
    };
    int fd;

    if (resolve & WR_RESOLVE_OWNER) {
        return open_by_walking(dir, path, flags, resolve);
    }
    fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS) { /* before Linux 5.6 */
        return open_by_walking(dir, path, flags, resolve);
    }
    return fd;
}

/**
 * Open what somebody holds a lease on, as a file server does that lets clients
 * keep what they have written.  The kernel asks for it back, and O_NONBLOCK,
 * there for FIFOs, refuses to wait meanwhile: so make sure that it is a file,
 * and wait.  By /proc, as only so it is the same that was looked at.
 */
static int open_leased(int dir, const char *path, uint64_t flags,
                       uint64_t resolve)
{
    char name[32];
    struct stat st;
    int error, fd = -1;
    int found = open_how(dir, path, WR_OP_STAT_FLAGS, resolve);

    if (found < 0) {
        return -1;
    }
    if (fstat(found, &st) < 0 || !S_ISREG(st.st_mode)) {
        errno = EAGAIN;
    }
    else {
        snprintf(name, sizeof(name), "/proc/self/fd/%d", found);
        do {
            fd = open(name, (int)flags & ~O_NONBLOCK);
        } while (fd < 0 && errno == EINTR);
    }
    error = errno;
    close(found);
    errno = error;
    return fd;
}

static int open_waiting(int dir, const char *path, uint64_t flags,
                        uint64_t resolve)
{
    int fd = open_how(dir, path, flags, resolve);

    if (fd < 0 && errno == EAGAIN && !(resolve & RESOLVE_CACHED)) {
        return open_leased(dir, path, flags, resolve);
    }
    return fd;
}

/** O_NOATIME spares the journal, but is allowed to the owner alone. */
static int open_for_reading(int dir, const char *path, uint64_t resolve)
{
    const uint64_t flags = WR_OP_LOOKUP_FLAGS;
    int fd = open_waiting(dir, path, flags | O_NOATIME, resolve);

    if (fd < 0 && errno == EPERM) {
        fd = open_waiting(dir, path, flags, resolve);
    }
    return fd;
}

apr_status_t wr__open_below(int dir, const char *path, uint64_t resolve,
                            int *fd, struct stat *st)
{
    struct stat found;
    int opened = open_for_reading(dir, path, resolve);

    if (opened < 0) {
        return errno;
    }
    if (fstat(opened, &found) < 0) {
        int error = errno;

        close(opened);
        return error;
    }
    *fd = opened;
    *st = found;
    return APR_SUCCESS;
}

apr_status_t wr__stat_below(int dir, const char *path, uint64_t resolve,
                            struct stat *st)
{
    apr_status_t status = APR_SUCCESS;
    int fd = open_how(dir, path, WR_OP_STAT_FLAGS, resolve);

    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, st) < 0) {
        status = errno;
    }
    close(fd);
    return status;
}
