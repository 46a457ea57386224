/*
 * file.c - wr_file's references, its mapping and its length.
 *
 * Any thread.
 */
#include "wr_file.h"

#include "bucket.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
