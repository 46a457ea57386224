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

/** How many pages of a range are in memory: said without a look at them, which
 *  would bring them back. */
static int pages_of(const wr_file *file, off_t offset, size_t len)
{
    unsigned char in_core[SIZE / PAGE];
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, file->fd, offset);
    int count = 0;

    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, len, in_core), 0);
    munmap(map, len);
    for (size_t i = 0; i < len / PAGE; i++) {
        count += in_core[i] & 1;
    }
    return count;
}

#define MIDDLE      (SIZE / 4)
#define MIDDLE_SIZE (SIZE / 2)

/** Not where the file system is memory, or the kernel keeps what it likes. */
static void drop_middle(const wr_file *file)
{
    drop(file, MIDDLE, MIDDLE_SIZE);
    if (pages_of(file, MIDDLE, MIDDLE_SIZE) > 0) {
        skip();
    }
}

/** A look has the kernel fetch what is missing.  A disk may be so fast that it
 *  is there at once; but that it is there may not be said of what is not. */
static void expect_truth(wr_file *file)
{
    if (wr__file_is_resident(file, 0, SIZE)) {
        assert_int_equal(pages_of(file, 0, SIZE), SIZE / PAGE);
    }
}

/** Looked at, where that can be done. */
static bool look(wr_file *file, int64_t offset, size_t len)
{
    bool is_there = wr__file_is_resident(file, offset, len);

    if (file->residency == WR_RESIDENT_NEVER) {
        skip();
    }
    return is_there;
}

static void grow_old(wr_file *file)
{
    file->seen_since -= WR_SEC;
}

static void test_what_was_written_is_there(void **state)
{
    wr_file *file = *state;

    assert_true(look(file, 0, SIZE));
    assert_true(look(file, 0, 1));
    assert_true(look(file, 5 * KIB + 1, 300 * KIB));
    assert_true(look(file, SIZE - 1, 1));
}

static void test_what_was_dropped_is_not(void **state)
{
    wr_file *file = *state;

    look(file, 0, 1);
    drop_middle(file);
    expect_truth(file);
}

/** What was seen whole is there for a while, as long as its ends are. */
static void test_trust(void **state)
{
    wr_file *file = *state;

    assert_true(look(file, 0, SIZE));
    file->seen_since += 60 * WR_SEC; /* however slow this machine is */
    drop_middle(file);
    assert_true(wr__file_is_resident(file, 0, SIZE));
    assert_true(wr__file_is_resident(file, 5 * KIB + 1, SIZE - 9 * KIB));
    assert_int_equal(pages_of(file, MIDDLE, MIDDLE_SIZE), 0);
}

static void test_trust_ends(void **state)
{
    wr_file *file = *state;

    assert_true(look(file, 0, SIZE));
    grow_old(file);
    drop_middle(file);
    expect_truth(file);
}

static void test_ends_that_are_gone(void **state)
{
    wr_file *file = *state;

    assert_true(look(file, 0, SIZE));
    drop(file, SIZE - PAGE, PAGE);
    if (pages_of(file, SIZE - PAGE, PAGE) > 0) {
        skip();
    }
    expect_truth(file);
}

/** What was seen of one part says nothing of another. */
static void test_parts_are_seen_apart(void **state)
{
    wr_file *file = *state;

    assert_true(look(file, 0, MIDDLE));
    assert_true(look(file, MIDDLE + MIDDLE_SIZE, SIZE / 4));
    drop_middle(file);
    expect_truth(file);
}

/** A file of many sizes: no byte is trusted that was not looked at. */
static void test_every_size_has_its_parts(void **state)
{
    static const int64_t sizes[] = {
        1, 65536, 65538, 64 * 65536, 64 * 65536 + 2, (int64_t)1 << 40};
    wr_file *file = *state;

    look(file, 0, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(ftruncate(file->fd, sizes[i]), 0);
        file->size = sizes[i];
        file->seen = 0;
        wr__file_is_resident(file, 0, 1);
        wr__file_is_resident(file, sizes[i] - 1, 1);
        assert_int_equal(file->seen, sizes[i] == 1);
    }
    file->size = INT64_MAX; /* it comes to an end all the same */
    assert_false(wr__file_is_resident(file, INT64_MAX - 1, 1));
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
        TEST(test_trust),
        TEST(test_trust_ends),
        TEST(test_ends_that_are_gone),
        TEST(test_parts_are_seen_apart),
        TEST(test_every_size_has_its_parts),
        TEST(test_rules_of_file_systems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
