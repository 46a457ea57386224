/*
 * test_log_program.c - programs that logs go to: how they are named, and that
 * one that ends is started again and reads on.
 */
#include "server/log_program.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <sys/prctl.h>

struct fixture {
    apr_pool_t *pool;
    char path[64];
    char target[256];
    int fd;
};

static char told[1024]; /* the last line of the error log */

void wr_log_error(const wr_server *server, wr_log_level level,
                  apr_status_t status, const char *format, ...)
{
    va_list args;

    (void)server;
    (void)level;
    (void)status;
    va_start(args, format);
    vsnprintf(told, sizeof(told), format, args);
    va_end(args);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    told[0] = '\0';
    apr_pool_create(&f->pool, NULL);
    strcpy(f->path, "/tmp/weir-program-XXXXXX");
    close(mkstemp(f->path));
    f->fd = -1;
    wr__log_programs_settings(NULL, -1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->fd >= 0) {
        close(f->fd);
    }
    wr__spawner_finish();
    apr_pool_destroy(f->pool);
    unlink(f->path);
    free(f);
    return 0;
}

static void __attribute__((format(printf, 2, 3)))
open_program(struct fixture *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(f->target, sizeof(f->target), format, args);
    va_end(args);
    assert_int_equal(wr__log_program_open(&f->fd, f->target, f->pool),
                     APR_SUCCESS);
}

static void send_line(const struct fixture *f, const char *line)
{
    assert_int_equal(write(f->fd, line, strlen(line)), strlen(line));
}

/** Take notes until the program was told of. */
static void wait_for_word(const char *word)
{
    while (!strstr(told, word)) {
        struct pollfd fd = {.fd = wr__spawner_fd(), .events = POLLIN};

        poll(&fd, 1, -1);
        read_notes();
    }
    told[0] = '\0';
}

static void start_again(void)
{
    programs->due = 0;
    wr__log_programs_turn();
    while (programs->failure == APR_EBUSY) {
        struct pollfd fd = {.fd = wr__spawner_fd(), .events = POLLIN};

        poll(&fd, 1, -1);
        read_notes();
    }
    assert_int_equal(programs->failure, APR_SUCCESS);
}

static void assert_file(const struct fixture *f, const char *expected)
{
    char text[1024];
    FILE *file = fopen(f->path, "r");
    size_t len = fread(text, 1, sizeof(text) - 1, file);

    fclose(file);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void assert_parsed(struct fixture *f, const char *target,
                          const char *expected)
{
    char **argv, *joined = apr_pstrdup(f->pool, "");

    assert_null(wr__log_program_parse(&argv, target, f->pool));
    for (; *argv; argv++) {
        joined = apr_pstrcat(f->pool, joined, "[", *argv, "]", NULL);
    }
    assert_string_equal(joined, expected);
}

static void targets_are_split_as_httpd_does(void **state)
{
    static const char *const wrong[] = {"|",   "||",    "|$",   "| ",
                                        "|$ ", "|\"\"", "|| \t"};
    struct fixture *f = *state;
    char **argv;

    assert_parsed(f, "|/bin/a b  c", "[/bin/a][b][c]");
    assert_parsed(f, "||/bin/a b ", "[/bin/a][b]");
    assert_parsed(f, "| /bin/a", "[/bin/a]");
    assert_parsed(f, "|/bin/a \"b c\" 'd e' f\\ g", "[/bin/a][b c][d e][f g]");
    assert_parsed(f, "|/bin/a $b|c >d", "[/bin/a][$b|c][>d]");
    assert_parsed(f, "|$a \"b c\" | d >e", "[/bin/sh][-c][a \"b c\" | d >e]");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_non_null(wr__log_program_parse(&argv, wrong[i], f->pool));
    }
    assert_true(wr__log_program_is("|a"));
    assert_false(wr__log_program_is("a|"));
}

static void what_does_not_start_is_an_error(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(wr__log_program_open(&f->fd, "|/nowhere/at/all", f->pool),
                     ENOENT);
    assert_int_equal(f->fd, -1);
    assert_null(programs);
    assert_string_equal(told, ""); /* that is up to who opens */
}

static void lines_reach_it_and_its_end_is_awaited(void **state)
{
    struct fixture *f = *state;

    open_program(f, "|$cat >%s", f->path);
    assert_int_equal(wr__log_programs_due(), WR_NEVER);
    assert_true(fcntl(f->fd, F_GETFL) & O_NONBLOCK);
    send_line(f, "one\n");
    send_line(f, "two\n");
    close(f->fd);
    f->fd = -1;
    wr__spawner_finish();
    assert_file(f, "one\ntwo\n");
}

static void settings_are_those_of_its_start(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);

    wr__log_programs_settings("/usr", fd);
    open_program(f, "|$pwd >&2; cat >&2");
    wr__log_programs_settings(NULL, -1);
    close(f->fd);
    f->fd = -1;
    wr__spawner_finish();
    close(fd);
    assert_file(f, "/usr\n");
}

/** The shell reads no further than to a line's end, so what follows lies in
 *  the pipe when it ends. */
static void the_next_one_reads_on(void **state)
{
    struct fixture *f = *state;

    open_program(f, "|$read x; echo $x >>%s; exit 3", f->path);
    pid_t first = programs->pid;
    send_line(f, "one\ntwo\nthree\n");
    wait_for_word("ended with status 3");
    assert_file(f, "one\n");
    assert_true(wr__log_programs_due() != WR_NEVER);
    start_again();
    assert_int_not_equal(programs->pid, first);
    wait_for_word("ended with status 3");
    start_again();
    wait_for_word("ended with status 3");
    assert_file(f, "one\ntwo\nthree\n");
}

static void who_dies_young_waits_ever_longer(void **state)
{
    struct fixture *f = *state;
    int64_t delays[] = {1, 2, 4, 8, 16, 32, 32};

    open_program(f, "|/bin/false");
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        wait_for_word("ended with status 1");
        assert_int_equal(programs->delay, delays[i] * WR_SEC);
        assert_true(programs->due > now_ns() - WR_SEC);
        wr__log_programs_turn(); /* its time has not come */
        assert_int_equal(programs->pid, 0);
        start_again();
    }
    wait_for_word("ended with status 1");
    open_program(f, "|/bin/cat");
    programs->started -= SHORT_LIFE;
    kill(programs->pid, SIGKILL);
    wait_for_word("died: Killed (signal 9)");
    assert_int_equal(programs->delay, 0);
    assert_true(programs->due <= now_ns());
}

static void a_start_that_fails_is_tried_again(void **state)
{
    struct fixture *f = *state;
    char name[80];

    snprintf(name, sizeof(name), "%s.sh", f->path);
    assert_int_equal(symlink("/bin/true", name), 0);
    open_program(f, "|%s", name);
    wait_for_word("ended with status 0");
    unlink(name);
    programs->due = 0;
    wr__log_programs_turn();
    wait_for_word("could not start log program");
    assert_int_equal(programs->delay, 2 * WR_SEC);
    assert_int_equal(symlink("/bin/true", name), 0);
    start_again();
    unlink(name);
}

static void the_end_does_not_wait_for_its_time(void **state)
{
    struct fixture *f = *state;

    open_program(f, "|$read x; echo $x >>%s; exit 3", f->path);
    send_line(f, "one\n");
    send_line(f, "two\n");
    wait_for_word("ended with status 3");
    assert_int_not_equal(wr__log_programs_due(), WR_NEVER);
    wr__log_programs_hurry();
    assert_int_equal(wr__log_programs_due(), WR_NEVER);
    close(f->fd);
    f->fd = -1;
    wr__spawner_finish();
    assert_file(f, "one\ntwo\n");
}

static void they_survive_their_spawner(void **state)
{
    struct fixture *f = *state;
    char spawner[32] = {0};
    int ends[2];
    pid_t first;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    wr__log_programs_settings(NULL, ends[1]);
    open_program(f, "|$echo $PPID >&2; exec cat >>%s", f->path);
    assert_true(read(ends[0], spawner, sizeof(spawner) - 1) > 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    first = programs->pid;
    kill((pid_t)atol(spawner), SIGKILL);
    wait_for_word("the spawner died");
    assert_int_equal(waitpid(first, NULL, 0), first);
    send_line(f, "one\n");
    start_again();
    send_line(f, "two\n");
    close(f->fd);
    f->fd = -1;
    wr__spawner_finish();
    assert_file(f, "one\ntwo\n");
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(targets_are_split_as_httpd_does),
        TEST(what_does_not_start_is_an_error),
        TEST(lines_reach_it_and_its_end_is_awaited),
        TEST(settings_are_those_of_its_start),
        TEST(the_next_one_reads_on),
        TEST(who_dies_young_waits_ever_longer),
        TEST(a_start_that_fails_is_tried_again),
        TEST(the_end_does_not_wait_for_its_time),
        TEST(they_survive_their_spawner),
    };

    apr_initialize();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
