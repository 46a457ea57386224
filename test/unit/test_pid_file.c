/*
 * test_pid_file.c - the pid file: what is written is read again, and neither a
 * dead process nor a stranger is taken for a server.
 */
#include "server/pid_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    apr_pool_t *pool;
    char dir[64];
    const char *path;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    strcpy(f->dir, "/tmp/weir-pid-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = apr_pstrcat(f->pool, f->dir, "/weir.pid", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else was left in it */
    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "w");

    fputs(text, file);
    fclose(file);
}

/* A process of that name that waits to be ended. */
static pid_t fork_named(const char *name)
{
    int ends[2];
    char byte;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);
        if (write(ends[1], "", 1) == 1) {
            pause();
        }
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void put_pid(struct fixture *f, pid_t pid)
{
    put(f, apr_psprintf(f->pool, "%ld\n", (long)pid));
}

static void written_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    pid_t pid;

    umask(0077);
    assert_int_equal(wr__pid_file_write(f->path, 4711, f->pool), APR_SUCCESS);
    assert_int_equal(wr__pid_file_read(&pid, f->path, f->pool), APR_SUCCESS);
    assert_int_equal(pid, 4711);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(wr__pid_file_write(f->path, 12, f->pool), APR_SUCCESS);
    assert_int_equal(wr__pid_file_read(&pid, f->path, f->pool), APR_SUCCESS);
    assert_int_equal(pid, 12);
}

static void write_fails_without_a_directory(void **state)
{
    struct fixture *f = *state;
    const char *path = apr_pstrcat(f->pool, f->dir, "/none/weir.pid", NULL);

    assert_true(APR_STATUS_IS_ENOENT(wr__pid_file_write(path, 4711, f->pool)));
}

static void what_is_no_pid_is_refused(void **state)
{
    static const char *const texts[] = {
        "",    "\n",  "x",          "0",
        "-1",  "1x",  "12 13",      "0x1234",
        " 12", "+12", "2147483648", "99999999999999999999999999999999999999",
    };
    struct fixture *f = *state;
    pid_t pid = 1;

    assert_true(
        APR_STATUS_IS_ENOENT(wr__pid_file_read(&pid, f->path, f->pool)));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(f, texts[i]);
        assert_int_equal(wr__pid_file_read(&pid, f->path, f->pool), APR_EINVAL);
        assert_int_equal(pid, 1);
    }
    put(f, "2147483647");
    assert_int_equal(wr__pid_file_read(&pid, f->path, f->pool), APR_SUCCESS);
    assert_int_equal(pid, 2147483647);
}

static void living_server_runs(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork_named("weir: master");

    put_pid(f, pid);
    assert_int_equal(wr__pid_file_running(f->path, f->pool), pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(wr__pid_file_running(f->path, f->pool), 0); /* a zombie */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(wr__pid_file_running(f->path, f->pool), 0);
}

static void stranger_is_no_server(void **state)
{
    static const char *const names[] = {"sleep", "weirdo", "a (weir: b",
                                        "not weir:"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pid_t pid = fork_named(names[i]);
        put_pid(f, pid);
        assert_int_equal(wr__pid_file_running(f->path, f->pool), 0);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void caller_and_its_parent_are_no_other_server(void **state)
{
    struct fixture *f = *state;
    char name[16];

    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "weir: master");
    assert_true(wr__pid_runs(getpid(), f->pool));
    put_pid(f, getpid());
    assert_int_equal(wr__pid_file_running(f->path, f->pool), 0);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(wr__pid_file_running(f->path, f->pool) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    prctl(PR_SET_NAME, name);
}

static void only_ones_own_is_removed(void **state)
{
    struct fixture *f = *state;

    put(f, "4711\n");
    wr__pid_file_remove(f->path, 4712, f->pool);
    assert_int_equal(access(f->path, F_OK), 0);
    wr__pid_file_remove(f->path, 4711, f->pool);
    assert_int_not_equal(access(f->path, F_OK), 0);
    wr__pid_file_remove(f->path, 4711, f->pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(written_is_read_again),
        TEST(write_fails_without_a_directory),
        TEST(what_is_no_pid_is_refused),
        TEST(living_server_runs),
        TEST(stranger_is_no_server),
        TEST(caller_and_its_parent_are_no_other_server),
        TEST(only_ones_own_is_removed),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
