/*
 * open.c - see open.h.
 */
#include "open.h"

#include "wr_op.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_how(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags,
        .resolve = resolve | WR_OP_RESOLVE,
    };

    return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/** O_NOATIME spares the journal, but is allowed to the owner alone. */
static int open_for_reading(int dir, const char *path, uint64_t resolve)
{
    const uint64_t flags = WR_OP_LOOKUP_FLAGS;
    int fd = open_how(dir, path, flags | O_NOATIME, resolve);

    if (fd < 0 && errno == EPERM) {
        fd = open_how(dir, path, flags, resolve);
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
