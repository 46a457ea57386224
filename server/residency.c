/*
 * residency.c - can a range of a file be read without waiting for the disk?
 *
 * The test is preadv2(RWF_NOWAIT), honest for a process that may only read the
 * file; mincore() and cachestat() are not (see docs/design.md).  A whole range
 * is read so, which costs a copy.  For a short time (TRUST) afterwards its ends
 * alone are looked at; not for longer: what is only looked at, and not sent,
 * stays in memory by the look, while the kernel drops what lies between.
 *
 * Any thread.
 */
#include "wr_file.h"

#include "bucket.h"
#include "thread.h"

#include <errno.h>
#include <sys/uio.h>

#define TRUST     (WR_SEC / 4)
#define PARTS     64    /* as many as wr_file.seen has bits */
#define PART_MIN  65536 /* bytes; a power of two, as all sizes of parts are */
#define LOOK_MAX  8     /* buffers in a look: what the kernel reads ahead */
#define LOOK_SIZE 16384 /* bytes of each */

/** A byte of one page, read without waiting. */
static int probe(const wr_file *file, int64_t offset)
{
    char byte;
    struct iovec iov = {&byte, 1};

    if (preadv2(file->fd, &iov, 1, offset, RWF_NOWAIT) >= 0) {
        return 0;
    }
    return errno;
}

/** All of a range, read without waiting, in steps of what the kernel reads
 *  ahead at most.  Where something is missing the kernel fetches it at once
 *  and in one piece, which for a disk is one request; after probe() it would
 *  be a few pages now, and the rest in another when an op asks for it. */
static int probe_whole(const wr_file *file, int64_t offset, size_t len)
{
    char bytes[LOOK_SIZE];
    struct iovec iov[LOOK_MAX];

    while (len > 0) {
        size_t asked = 0;
        int count = 0;
        ssize_t n;

        for (; count < LOOK_MAX && asked < len; count++) {
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

static int probe_ends(const wr_file *file, int64_t offset, size_t len)
{
    int error = probe(file, offset);

    if (error == 0 && len > 1) {
        error = probe(file, offset + (int64_t)len - 1);
    }
    return error;
}

/** One for each number from @a from on and below @a to. */
static uint64_t bits(int64_t from, int64_t to)
{
    if (from >= to) {
        return 0;
    }
    return (UINT64_MAX >> (PARTS - (to - from))) << from;
}

/** The parts of the file that the range touches, or (@a all_of_them) those of
 *  which it has every byte. */
static uint64_t parts_of(const wr_file *file, int64_t offset, size_t len,
                         bool all_of_them)
{
    int64_t part = PART_MIN, end = offset + (int64_t)len, from, to;

    while (part <= (file->size - 1) / PARTS) {
        part *= 2;
    }
    if (all_of_them) {
        from = offset / part + (offset % part != 0);
        to = end / part + (end >= file->size && end % part != 0);
    }
    else {
        from = offset / part;
        to = end / part + (end % part != 0);
    }
    return bits(from, to < PARTS ? to : PARTS);
}

/** Has all of it been seen in memory lately? */
static bool is_trusted(wr_file *file, int64_t now, int64_t offset, size_t len)
{
    uint64_t asked = parts_of(file, offset, len, false);

    /* Who sees the new time sees the bits gone, too. */
    if (now - atomic_load_explicit(&file->seen_since, memory_order_acquire)
        >= TRUST) {
        atomic_store_explicit(&file->seen, 0, memory_order_relaxed);
        atomic_store_explicit(&file->seen_since, now, memory_order_release);
        return false;
    }
    return (atomic_load_explicit(&file->seen, memory_order_relaxed) & asked)
           == asked;
}

/** What other threads have seen meanwhile is evidence as good as ours, but for
 *  its age, which may be TRUST more. */
static int look(wr_file *file, int64_t offset, size_t len)
{
    int error;

    if (is_trusted(file, wr__clock(), offset, len)) {
        error = probe_ends(file, offset, len);
        if (error) {
            atomic_store_explicit(&file->seen, 0, memory_order_relaxed);
        }
        return error;
    }
    error = probe_whole(file, offset, len);
    if (error == 0) {
        atomic_fetch_or_explicit(&file->seen, parts_of(file, offset, len, true),
                                 memory_order_relaxed);
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
    error = look(file, offset, len);
    if (error == EOPNOTSUPP) {
        __atomic_store_n(&file->residency, (uint8_t)WR_RESIDENT_NEVER,
                         __ATOMIC_RELAXED);
    }
    return error == 0;
}
