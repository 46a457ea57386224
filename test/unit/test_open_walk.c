/*
 * test_open_walk.c - opening name by name: the same answers as the kernel's
 * openat2(), and links only to what belongs to their owner.
 */
#include "server/open_walk.h"

#include "wr_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char base[] = "/tmp/weir-walk-XXXXXX";
static int root;

static void make_file(const char *name)
{
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    close(fd);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, root, name), 0);
}

static int set_up(void **state)
{
    char name[16];

    (void)state;
    assert_non_null(mkdtemp(base));
    root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root >= 0);
    mkdirat(root, "a", 0755);
    mkdirat(root, "a/b", 0755);
    make_file("file");
    make_file("a/file");
    make_file("a/b/file");
    make_link("file", "to_file");
    make_link("a", "to_a");
    make_link("a/b/", "to_b_slash");
    make_link("../file", "a/up");
    make_link("../../file", "a/out");
    make_link("b/../file", "a/through");
    make_link("/etc/passwd", "absolute");
    make_link("missing", "dangling");
    make_link("loop", "loop");
    make_link(".", "here");
    make_link("a/b/..", "to_a_by_dots");
    for (int i = 0; i < 45; i++) {
        char target[16];

        snprintf(name, sizeof(name), "chain%d", i);
        snprintf(target, sizeof(target), "chain%d", i + 1);
        make_link(i == 44 ? "file" : target, name);
    }
    return 0;
}

static int tear_down(void **state)
{
    char command[64];

    (void)state;
    close(root);
    snprintf(command, sizeof(command), "rm -rf %s", base);
    return system(command) == 0 ? 0 : -1;
}

static int open_by_kernel(const char *path, uint64_t resolve)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC,
                           .resolve = resolve | WR_OP_RESOLVE};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/** Both open the same file, or both fail, in the same way where it matters. */
static void compare(const char *path, wr__links links, uint64_t resolve)
{
    struct stat ours, kernels;
    int fd = -1;
    int by_kernel = open_by_kernel(path, resolve);
    int error = errno;
    apr_status_t status = wr__open_walk(root, path, links, O_RDONLY, &fd);

    if (by_kernel < 0) {
        if (status != error) {
            fail_msg("%s: %d, by the kernel %d", path, status, error);
        }
        return;
    }
    if (status != 0) {
        fail_msg("%s: %d, but the kernel opens it", path, status);
    }
    assert_int_equal(fstat(fd, &ours), 0);
    assert_int_equal(fstat(by_kernel, &kernels), 0);
    assert_int_equal(ours.st_ino, kernels.st_ino);
    close(fd);
    close(by_kernel);
}

static const char *const paths[] = {
    "file",
    "./file",
    "a/file",
    "a//b/./file",
    "a/../file",
    "a/b/../../file",
    "..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "missing",
    "a/missing/file",
    "file/",
    "file/x",
    "a",
    "a/",
    ".",
    "to_file",
    "to_a/file",
    "to_a/b/file",
    "to_b_slash",
    "to_b_slash/file",
    "a/up",
    "a/out",
    "a/through",
    "absolute",
    "dangling",
    "loop",
    "here/file",
    "here/here/a",
    "to_a_by_dots/file",
    "to_a/up",
    "to_a/../file",
    "chain5",
    "chain4",
    "chain0",
    "to_file/",
    "a/b/file/..",
};

static void test_follows_as_the_kernel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        compare(paths[i], WR__LINKS_FOLLOW, 0);
    }
}

static void test_refuses_links_as_the_kernel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        compare(paths[i], WR__LINKS_NONE, RESOLVE_NO_SYMLINKS);
    }
}

static void test_too_long(void **state)
{
    char path[8192];
    int fd = -1;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(wr__open_walk(root, path, WR__LINKS_FOLLOW, 0, &fd),
                     ENAMETOOLONG);
    path[300] = '\0';
    assert_int_not_equal(wr__open_walk(root, path, WR__LINKS_FOLLOW, 0, &fd),
                         0);
    assert_int_equal(fd, -1);
}

static apr_status_t open_if_owner(const char *path)
{
    int fd = -1;
    apr_status_t status =
        wr__open_walk(root, path, WR__LINKS_IF_OWNER, O_RDONLY, &fd);

    if (status == 0) {
        close(fd);
    }
    return status;
}

static void test_own_links(void **state)
{
    (void)state;
    assert_int_equal(open_if_owner("to_file"), 0);
    assert_int_equal(open_if_owner("to_a/file"), 0);
    assert_int_equal(open_if_owner("to_b_slash/file"), 0);
    assert_int_equal(open_if_owner("a/through"), 0);
    assert_int_equal(open_if_owner("to_a_by_dots/file"), 0);
    assert_int_equal(open_if_owner("absolute"), EXDEV);
}

/** Links of another: each way to what is not theirs is closed. */
static void test_links_of_others(void **state)
{
    static const char *const links[] = {"to_file", "to_a", "to_b_slash",
                                        "to_a_by_dots", "here"};
    static const char *const refused[] = {
        "to_file",           "to_a/file", "to_a/",      "to_b_slash/file",
        "to_a_by_dots/file", "here/file", "here/a/file"};

    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give links away */
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        assert_int_equal(
            fchownat(root, links[i], 65534, 65534, AT_SYMLINK_NOFOLLOW), 0);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(open_if_owner(refused[i]), ELOOP);
    }
    assert_int_equal(open_if_owner("a/through"), 0);
    /* A link counts by what it ends in. */
    assert_int_equal(fchownat(root, "file", 65534, 65534, 0), 0);
    assert_int_equal(open_if_owner("to_file"), 0);
    assert_int_equal(open_if_owner("chain5"), ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_as_the_kernel),
        cmocka_unit_test(test_refuses_links_as_the_kernel),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_own_links),
        cmocka_unit_test(test_links_of_others),
    };

    return cmocka_run_group_tests_name("open_walk", tests, set_up, tear_down);
}
