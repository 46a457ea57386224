/*
 * file.c - wr_file's references, and the test whether a range is in memory.
 *
 * Any thread.
 */
#include "wr_file.h"

#include "bucket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void wr_file_ref(wr_file *file)
{
    atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
}

void wr_file_unref(wr_file *file)
{
    if (!file
        || atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel)
               > 1) {
        return;
    }
    if (file->map) {
        munmap((void *)(uintptr_t)file->map, (size_t)file->size);
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    free((void *)(uintptr_t)file->content);
    free(file);
}

/** A byte of one page, read without waiting.  An honest test for a process
 *  that may only read the file; mincore() is not (see docs/design.md). */
static int probe(const wr_file *file, int64_t offset)
{
    char byte;
    struct iovec iov = {&byte, 1};

    if (preadv2(file->fd, &iov, 1, offset, RWF_NOWAIT) >= 0) {
        return 0;
    }
    return errno;
}

bool wr__file_map(wr_file *file)
{
    void *map =
        mmap(NULL, (size_t)file->size, PROT_READ, MAP_SHARED, file->fd, 0);

    file->map = map == MAP_FAILED ? NULL : map;
    return file->map != NULL;
}

bool wr__file_is_whole(const wr_file *file)
{
    struct stat st;

    return fstat(file->fd, &st) == 0 && st.st_size >= file->size;
}

/** All of a range, read without waiting, in steps of what the kernel reads
 * ahead at most.  Where something is missing the kernel fetches it at once and
 * in one piece, which for a disk is one request; after probe() it would be a
 * few pages now, and the rest in another when an op asks for it. */
static int probe_whole(const wr_file *file, int64_t offset, size_t len)
{
    char bytes[16384];
    struct iovec iov[8];

    while (len > 0) {
        size_t asked = 0;
        int count = 0;
        ssize_t n;

        for (; count < 8 && asked < len; count++) {
            size_t left = len - asked;

            iov[count].iov_base = bytes;
            iov[count].iov_len = left < sizeof(bytes) ? left : sizeof(bytes);
            asked += iov[count].iov_len;
        }
        n = preadv2(file->fd, iov, count, offset, RWF_NOWAIT);
        if (n != (ssize_t)asked) {
            return n < 0 ? errno : EAGAIN;
        }
        offset += n;
        len -= asked;
    }
    return 0;
}

/** A file that was in memory when last asked is likely to be there still. */
static int probe_range(const wr_file *file, int64_t offset, size_t len)
{
    int error;

    if (!__atomic_load_n(&file->was_resident, __ATOMIC_RELAXED)) {
        return probe_whole(file, offset, len);
    }
    error = probe(file, offset);
    if (error == 0 && len > 1) {
        error = probe(file, offset + (int64_t)len - 1);
    }
    return error;
}

bool wr__file_is_resident(wr_file *file, int64_t offset, size_t len)
{
    int error;

    switch (__atomic_load_n(&file->residency, __ATOMIC_RELAXED)) {
    case WR_RESIDENT_ALWAYS:
        return true;
    case WR_RESIDENT_NEVER:
        return false;
    default:
        break;
    }
    error = probe_range(file, offset, len);
    if (error == EOPNOTSUPP) {
        __atomic_store_n(&file->residency, (uint8_t)WR_RESIDENT_NEVER,
                         __ATOMIC_RELAXED);
        return false;
    }
    if (__atomic_load_n(&file->was_resident, __ATOMIC_RELAXED)
        != (error == 0)) {
        __atomic_store_n(&file->was_resident, error == 0, __ATOMIC_RELAXED);
    }
    return error == 0;
}
