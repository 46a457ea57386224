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
    error = probe(file, offset);
    if (error == 0 && len > 1) {
        error = probe(file, offset + (int64_t)len - 1);
    }
    if (error == EOPNOTSUPP) {
        __atomic_store_n(&file->residency, (uint8_t)WR_RESIDENT_NEVER,
                         __ATOMIC_RELAXED);
        return false;
    }
    return error == 0;
}
