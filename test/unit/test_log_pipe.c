/*
 * test_log_pipe.c - lines reach a pipe's reader whole and once, however many
 * write, however long they are, and however full the pipe is.
 */
#include "server/log_pipe.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WRITERS 3
#define LINES   2000

struct fixture {
    struct wr__log_pipe *pipe;
    int ends[2];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->pipe = mmap(NULL, sizeof(*f->pipe), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(f->pipe != MAP_FAILED);
    assert_int_equal(pipe2(f->ends, O_CLOEXEC), 0);
    fcntl(f->ends[1], F_SETPIPE_SZ, 4096);
    fcntl(f->ends[1], F_SETFL, O_NONBLOCK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    munmap(f->pipe, sizeof(*f->pipe));
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

static size_t append(struct fixture *f, const char *text)
{
    return wr__log_pipe_append(f->pipe, f->ends[1], text, strlen(text));
}

static void assert_read(struct fixture *f, const char *expected)
{
    size_t len = strlen(expected), done = 0;
    char *text = malloc(len);

    while (done < len) {
        ssize_t n = read(f->ends[0], text + done, len - done);

        assert_true(n > 0);
        done += (size_t)n;
    }
    assert_memory_equal(text, expected, len);
    free(text);
}

/** A line of @a len bytes. */
static char *make_line(char byte, size_t len)
{
    char *line = malloc(len + 1);

    memset(line, byte, len - 1);
    line[len - 1] = '\n';
    line[len] = '\0';
    return line;
}

static void full_pipe_takes_whole_lines_or_none(void **state)
{
    struct fixture *f = *state;
    char *line = make_line('a', 4000);

    assert_int_equal(append(f, line), 4000);
    assert_int_equal(append(f, "of which only the first would fit, and no part "
                               "of which goes if not all of it does: it is as "
                               "long as that\n"),
                     0);
    assert_int_equal(errno, EBUSY);
    assert_read(f, line);
    assert_int_equal(append(f, "next\n"), 5);
    assert_read(f, "next\n");
    free(line);
}

static void lines_up_to_the_full_one_go(void **state)
{
    struct fixture *f = *state;
    char text[3 * 3000 + 1];

    for (size_t i = 0; i < 3; i++) {
        memset(text + 3000 * i, 'a' + (int)i, 2999);
        text[3000 * i + 2999] = '\n';
    }
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(append(f, text), 3000);
    assert_int_equal(errno, EBUSY);
    text[3000] = '\0';
    assert_read(f, text);
}

/** What is left of a line that is too long goes before all else. */
static void long_line_is_not_come_between(void **state)
{
    struct fixture *f = *state;
    char *line = make_line('a', 10000);
    char part[4097] = {0};

    assert_int_equal(append(f, line), 10000);
    assert_true(f->pipe->rest_len > 0);
    assert_int_equal(append(f, "next\n"), 0);
    assert_int_equal(errno, EBUSY);
    for (size_t done = 0; done < 10000;) {
        ssize_t n = read(f->ends[0], part, 4096);

        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(part[i], done + (size_t)i < 9999 ? 'a' : '\n');
        }
        done += (size_t)n;
        apr_status_t rv = wr__log_pipe_settle(f->pipe, f->ends[1]);
        assert_int_equal(rv, f->pipe->rest_len > 0 ? APR_EBUSY : APR_SUCCESS);
    }
    assert_int_equal(append(f, "next\n"), 5);
    assert_read(f, "next\n");
    free(line);
}

/** Whatever another writer has written there. */
static void rest_outside_of_its_place_is_dropped(void **state)
{
    struct fixture *f = *state;

    f->pipe->rest_at = SIZE_MAX - 5;
    f->pipe->rest_len = 10;
    assert_int_equal(wr__log_pipe_settle(f->pipe, f->ends[1]), APR_SUCCESS);
    f->pipe->rest_at = 1;
    f->pipe->rest_len = WR_LOG_LINE_MAX;
    assert_int_equal(append(f, "next\n"), 5);
    assert_read(f, "next\n");
}

static void who_is_at_it_is_not_disturbed(void **state)
{
    struct fixture *f = *state;

    atomic_store(&f->pipe->writer, 4711);
    assert_int_equal(append(f, "one\n"), 0);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(wr__log_pipe_settle(f->pipe, f->ends[1]), APR_EBUSY);
    wr__log_pipe_reap(f->pipe, 4712);
    assert_int_equal(append(f, "one\n"), 0);
    wr__log_pipe_reap(f->pipe, 4711);
    assert_int_equal(append(f, "one\n"), 4);
    assert_int_equal(atomic_load(&f->pipe->writer), 0);
}

static void without_a_reader_it_is_an_error(void **state)
{
    struct fixture *f = *state;

    close(f->ends[0]);
    f->ends[0] = open("/dev/null", O_RDONLY);
    assert_int_equal(append(f, "one\n"), 0);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(atomic_load(&f->pipe->writer), 0);
}

/** Several lines at a time, most short, some longer than the kernel's piece;
 *  each says its length, whose it is, and which. */
static void write_many(struct fixture *f, int writer)
{
    static char text[3 * WR_LOG_LINE_MAX];
    unsigned random = (unsigned)writer + 1;
    int number = 0;

    while (number < LINES) {
        size_t len = 0;

        for (int i = 0; i < 3 && number < LINES; i++) {
            random = random * 1103515245 + 12345;
            size_t size = 64 + (random >> 16) % (number % 50 ? 200 : 16000);
            int head = sprintf(text + len, "%zu %d %d ", size, writer, number);

            memset(text + len + head, 'a' + writer, size - (size_t)head - 1);
            len += size;
            text[len - 1] = '\n';
            number++;
        }
        for (size_t done = 0; done < len;) {
            done += wr__log_pipe_append(f->pipe, f->ends[1], text + done,
                                        len - done);
            sched_yield();
        }
    }
    while (wr__log_pipe_settle(f->pipe, f->ends[1]) != APR_SUCCESS) {
        sched_yield();
    }
}

static void writers_do_not_mix(void **state)
{
    struct fixture *f = *state;
    int next[WRITERS] = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    for (int i = 0; i < WRITERS; i++) {
        if (fork() == 0) {
            close(f->ends[0]);
            write_many(f, i);
            _exit(0);
        }
    }
    close(f->ends[1]);
    FILE *reader = fdopen(f->ends[0], "r");
    while ((len = getline(&line, &size, reader)) > 0) {
        size_t said;
        int writer, number, head;

        assert_int_equal(
            sscanf(line, "%zu %d %d %n", &said, &writer, &number, &head), 3);
        assert_int_equal(len, said);
        assert_in_range(writer, 0, WRITERS - 1);
        assert_int_equal(number, next[writer]);
        next[writer]++;
        for (ssize_t i = head; i < len - 1; i++) {
            assert_int_equal(line[i], 'a' + writer);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(next[i], LINES);
        assert_true(wait(NULL) > 0);
    }
    free(line);
    fclose(reader);
    assert_int_equal(pipe2(f->ends, O_CLOEXEC), 0); /* for the tear-down */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_pipe_takes_whole_lines_or_none),
        TEST(lines_up_to_the_full_one_go),
        TEST(long_line_is_not_come_between),
        TEST(rest_outside_of_its_place_is_dropped),
        TEST(who_is_at_it_is_not_disturbed),
        TEST(without_a_reader_it_is_an_error),
        TEST(writers_do_not_mix),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
