/*
 * test_residency.c - is a range of a file in memory?  Files are written, and
 * the kernel is told to drop some of them; on a file system that has no disk
 * it drops nothing, and the tests that need it are skipped.
 */
#include "wr_file.h"

#include "server/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB  1024
#define SIZE (1024 * KIB)
#define PAGE (4 * KIB)

static int set_up(void **state)
{
    char path[] = "/var/tmp/weir-residency-XXXXXX";
    wr_file *file = calloc(1, sizeof(*file));
    char page[PAGE] = "";

    assert_non_null(file);
    file->fd = mkstemp(path);
    assert_true(file->fd >= 0);
    assert_int_equal(unlink(path), 0);
    /* Page by page: what was written at once can only go at once. */
    for (int i = 0; i < SIZE / PAGE; i++) {
        assert_int_equal(write(file->fd, page, PAGE), PAGE);
    }
    assert_int_equal(fdatasync(file->fd), 0); /* only what is clean goes */
    file->size = SIZE;
    file->refs = 1;
    *state = file;
    return 0;
}

static int tear_down(void **state)
{
    wr_file_unref(*state);
    return 0;
}

static void drop(const wr_file *file, off_t offset, off_t len)
{
    assert_int_equal(posix_fadvise(file->fd, offset, len, POSIX_FADV_DONTNEED),
                     0);
}

/** Without a look at what is dropped, which would bring it back. */
static void skip_unless_dropped(const wr_file *file)
{
    unsigned char in_core[SIZE / PAGE];
    void *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file->fd, 0);
    bool is_there;

    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, SIZE, in_core), 0);
    is_there = in_core[SIZE / 2 / PAGE] & 1;
    munmap(map, SIZE);
    if (is_there) {
        skip();
    }
}

static void grow_old(wr_file *file)
{
    file->seen_since -= WR_SEC;
}

static void test_what_was_written_is_there(void **state)
{
    wr_file *file = *state;

    assert_true(wr__file_is_resident(file, 0, SIZE));
    assert_true(wr__file_is_resident(file, 0, 1));
    assert_true(wr__file_is_resident(file, 5 * KIB + 1, 300 * KIB));
    assert_true(wr__file_is_resident(file, SIZE - 1, 1));
}

static void test_what_was_dropped_is_not(void **state)
{
    wr_file *file = *state;

    drop(file, 0, SIZE);
    skip_unless_dropped(file);
    assert_false(wr__file_is_resident(file, 0, SIZE));
}

/** That its ends are there proves nothing, but for a while. */
static void test_the_middle_counts(void **state)
{
    wr_file *file = *state;

    assert_true(wr__file_is_resident(file, 0, SIZE));
    grow_old(file);
    drop(file, SIZE / 4, SIZE / 2);
    skip_unless_dropped(file);
    assert_false(wr__file_is_resident(file, 0, SIZE));
}

/** What was seen of one part says nothing of another. */
static void test_parts_are_seen_apart(void **state)
{
    wr_file *file = *state;

    assert_true(wr__file_is_resident(file, 0, SIZE / 4));
    assert_true(wr__file_is_resident(file, SIZE / 4 * 3, SIZE / 4));
    drop(file, SIZE / 4, SIZE / 2);
    skip_unless_dropped(file);
    assert_false(wr__file_is_resident(file, 0, SIZE));
}

/** A file of many sizes: no byte is trusted that was not looked at. */
static void test_every_size_has_its_parts(void **state)
{
    static const int64_t sizes[] = {
        1, 65536, 65538, 64 * 65536, 64 * 65536 + 2, (int64_t)1 << 40};
    wr_file *file = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(ftruncate(file->fd, sizes[i]), 0);
        file->size = sizes[i];
        file->seen = 0;
        wr__file_is_resident(file, 0, 1); /* begins a time of trust */
        assert_int_equal(file->seen, sizes[i] == 1);
        wr__file_is_resident(file, sizes[i] - 1, 1);
        assert_int_equal(file->seen, sizes[i] == 1);
    }
}

static void test_rules_of_file_systems(void **state)
{
    wr_file *file = *state;

    file->residency = WR_RESIDENT_NEVER;
    assert_false(wr__file_is_resident(file, 0, SIZE));
    file->residency = WR_RESIDENT_ALWAYS;
    drop(file, 0, SIZE);
    assert_true(wr__file_is_resident(file, 0, SIZE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_there),
        TEST(test_what_was_dropped_is_not),
        TEST(test_the_middle_counts),
        TEST(test_parts_are_seen_apart),
        TEST(test_every_size_has_its_parts),
        TEST(test_rules_of_file_systems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
