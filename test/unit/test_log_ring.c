/*
 * test_log_ring.c - lines reach the file whole, in order and once, whoever
 * writes them out and whoever dies.
 */
#include "server/log_ring.c"

#include "server/generation_spawner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WRITERS 4

struct fixture {
    apr_pool_t *pool;
    char path[64];
    wr_log *log;
    struct wr_thread_core core;
    wr_thread thread;
};

static int reports; /* lines in the error log */

void wr_log_error(const wr_server *server, wr_log_level level,
                  apr_status_t status, const char *format, ...)
{
    (void)server;
    (void)level;
    (void)status;
    (void)format;
    reports++;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    reports = 0;
    apr_pool_create(&f->pool, NULL);
    strcpy(f->path, "/tmp/weir-log-XXXXXX");
    close(mkstemp(f->path));
    assert_int_equal(wr_log_open(&f->log, f->path, f->pool), APR_SUCCESS);
    assert_int_equal(wr__log_rings_create(f->pool, WRITERS), APR_SUCCESS);
    f->core.log_slot = wr__log_slot_claim();
    assert_non_null(f->core.log_slot);
    f->thread.core = &f->core;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

static void write_line(wr_log *log, wr_thread *thread, const char *text)
{
    char *at = wr_log_begin(log, thread, WR_LOG_LINE_MAX);
    size_t len = strlen(text);

    memcpy(at, text, len);
    at[len] = '\n';
    wr_log_commit(log, thread, len + 1);
}

/** The file's content, to be freed. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    assert_non_null(file);
    if (getdelim(&text, &size, '\0', file) < 0) {
        text = realloc(text, 1);
        *text = '\0';
    }
    fclose(file);
    return text;
}

static void assert_file(const char *path, const char *expected)
{
    char *text = read_file(path);

    assert_string_equal(text, expected);
    free(text);
}

static size_t file_size(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

static void same_target_is_same_log(void **state)
{
    struct fixture *f = *state;
    wr_log *again, *other;

    assert_int_equal(wr_log_open(&again, f->path, f->pool), APR_SUCCESS);
    assert_ptr_equal(again, f->log);
    assert_int_equal(wr_log_open(&other, "/nowhere/at/all", f->pool), ENOENT);
}

static void line_is_kept_until_flushed(void **state)
{
    struct fixture *f = *state;

    write_line(f->log, &f->thread, "one");
    write_line(f->log, &f->thread, "two");
    wr_log_begin(f->log, &f->thread, WR_LOG_LINE_MAX)[0] = 'x';
    assert_file(f->path, "");
    wr__log_flush();
    assert_file(f->path, "one\ntwo\n");
    wr__log_flush();
    assert_file(f->path, "one\ntwo\n");
}

static void half_full_ring_is_written_by_its_thread(void **state)
{
    struct fixture *f = *state;
    int lines = 0;

    while (file_size(f->path) == 0) {
        write_line(f->log, &f->thread, "a line of 24 characters");
        lines++;
    }
    assert_int_equal(lines, (int)(RING_HALF + 23) / 24);
    assert_int_equal(file_size(f->path), lines * 24);
}

/** Lines of all lengths, so that laps end everywhere. */
static void ring_goes_round(void **state)
{
    struct fixture *f = *state;
    char *expected = malloc(3000 * (size_t)WR_LOG_LINE_MAX), *end = expected;
    char *text;
    unsigned random = 1;

    for (int i = 0; i < 3000; i++) {
        char *at = wr_log_begin(f->log, &f->thread, WR_LOG_LINE_MAX);
        size_t len;

        random = random * 1103515245 + 12345;
        len = i % 5 ? random >> 16 & 255 : random >> 16 & 16383;
        memset(at, 'a' + i % 26, len);
        at[len++] = '\n';
        memcpy(end, at, len);
        end += len;
        wr_log_commit(f->log, &f->thread, len);
        if (i % 97 == 0) {
            wr__log_flush();
        }
    }
    *end = '\0';
    wr__log_slot_release(f->core.log_slot);
    text = read_file(f->path);
    assert_true(strcmp(text, expected) == 0);
    free(text);
    free(expected);
}

static void without_slot_line_is_written_at_once(void **state)
{
    struct fixture *f = *state;

    wr__log_slot_release(f->core.log_slot);
    f->core.log_slot = NULL;
    write_line(f->log, &f->thread, "one");
    write_line(f->log, NULL, "two");
    assert_file(f->path, "one\ntwo\n");
}

static void log_opened_late_is_written_at_once(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/weir-log-XXXXXX";
    wr_log *late;

    close(mkstemp(path));
    assert_int_equal(wr_log_open(&late, path, f->pool), APR_SUCCESS);
    write_line(late, &f->thread, "late");
    assert_file(path, "late\n");
    unlink(path);
}

static void slots_run_out_and_come_back(void **state)
{
    struct fixture *f = *state;
    wr__log_slot *slots[WRITERS] = {f->core.log_slot};

    for (int i = 1; i < WRITERS; i++) {
        slots[i] = wr__log_slot_claim();
        assert_non_null(slots[i]);
    }
    assert_null(wr__log_slot_claim());
    wr__log_slot_release(slots[2]);
    assert_ptr_equal(wr__log_slot_claim(), slots[2]);
    wr__log_slot_release(NULL);
}

static void lines_of_the_dead_are_written(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        f->core.log_slot = wr__log_slot_claim();
        write_line(f->log, &f->thread, "last words");
        memcpy(wr_log_begin(f->log, &f->thread, 8), "unfini", 6);
        /* as if it had died while writing out */
        f->core.log_slot->rings[0].flusher = getpid();
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    wr__log_flush();
    assert_file(f->path, "");
    wr__log_reap(pid);
    assert_file(f->path, "last words\n");
    assert_int_equal(slot_at(1)->pid, 0);
    assert_int_equal(slot_at(0)->pid, getpid());
}

struct writer {
    pthread_t thread;
    wr_log *log;
    int number;
};

/** Each line says who wrote it, and as which of its lines. */
static void *write_many(void *data)
{
    struct writer *writer = data;
    struct wr_thread_core core = {.log_slot = wr__log_slot_claim()};
    wr_thread thread = {.core = &core};
    char text[64];

    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "%d %d", writer->number, i);
        write_line(writer->log, &thread, text);
    }
    wr__log_slot_release(core.log_slot);
    return NULL;
}

static void writers_do_not_mix(void **state)
{
    struct fixture *f = *state;
    struct writer writers[WRITERS - 1];
    int next[WRITERS - 1] = {0};
    char *text, *at, *line;

    for (int i = 0; i < WRITERS - 1; i++) {
        writers[i].log = f->log;
        writers[i].number = i;
        pthread_create(&writers[i].thread, NULL, write_many, &writers[i]);
    }
    for (int i = 0; i < 200; i++) {
        wr__log_flush();
    }
    for (int i = 0; i < WRITERS - 1; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    text = at = read_file(f->path);
    while ((line = strsep(&at, "\n")) && *line) {
        int writer, number;
        char rest;

        assert_int_equal(sscanf(line, "%d %d%c", &writer, &number, &rest), 2);
        assert_in_range(writer, 0, WRITERS - 2);
        assert_int_equal(number, next[writer]);
        next[writer]++;
    }
    for (int i = 0; i < WRITERS - 1; i++) {
        assert_int_equal(next[i], 20000);
    }
    free(text);
}

static void full_disk_loses_counted_lines(void **state)
{
    struct fixture *f = *state;
    int full = open("/dev/full", O_WRONLY), fd = dup(f->log->fd);
    char *text, *at, *line;
    uint64_t kept = 0;

    dup2(full, f->log->fd);
    for (int i = 0; i < 10000; i++) {
        write_line(f->log, &f->thread, "123456789");
    }
    assert_int_equal(reports, 1);
    assert_true(f->log->trouble->lost > 0);
    assert_int_equal(f->log->trouble->error, ENOSPC);

    dup2(fd, f->log->fd);
    wr__log_flush();
    write_line(f->log, &f->thread, "123456789");
    wr__log_flush();
    text = at = read_file(f->path);
    while ((line = strsep(&at, "\n")) && *line) {
        assert_string_equal(line, "123456789");
        kept++;
    }
    assert_int_equal(kept + f->log->trouble->lost, 10001);
    assert_int_equal(f->log->trouble->error, 0);
    assert_int_equal(reports, 1); /* the minute is not over */
    free(text);
    close(full);
    close(fd);
}

static void torn_line_is_set_off_and_repeated(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, limit;

    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    write_line(f->log, &f->thread, "first");
    write_line(f->log, &f->thread, "second");
    setrlimit(RLIMIT_FSIZE, &limit);
    wr__log_flush();
    assert_file(f->path, "first\nseco");
    setrlimit(RLIMIT_FSIZE, &old);
    wr__log_flush();
    assert_file(f->path, "first\nseco\nsecond\n");
    assert_int_equal(f->log->trouble->lost, 0);
}

static void stuck_flusher_is_not_waited_for_twice(void **state)
{
    struct fixture *f = *state;
    struct ring *ring = &f->core.log_slot->rings[f->log->index];
    uint64_t lost;

    atomic_store(&ring->flusher, 1);
    while (f->log->trouble->lost == 0) {
        write_line(f->log, &f->thread, "123456789");
    }
    assert_true(ring->retry_ns > f->thread.now_ns);
    for (int i = 0; i < 100000; i++) {
        write_line(f->log, &f->thread, "123456789");
    }
    lost = f->log->trouble->lost;
    assert_int_equal(lost, 100001);

    atomic_store(&ring->flusher, 0);
    wr__log_flush();
    write_line(f->log, &f->thread, "123456789");
    assert_int_equal(f->log->trouble->lost, lost);
}

static void reopened_log_is_a_new_file(void **state)
{
    struct fixture *f = *state;
    char old[80];
    int fd = f->log->fd;

    snprintf(old, sizeof(old), "%s.1", f->path);
    write_line(f->log, &f->thread, "old");
    rename(f->path, old);
    assert_int_equal(wr__log_reopen(), APR_SUCCESS);
    assert_int_equal(f->log->fd, fd);
    write_line(f->log, &f->thread, "new");
    wr__log_flush();
    assert_file(old, "old\n");
    assert_file(f->path, "new\n");
    unlink(old);
}

/** A log to a program in the shell; its path is where that may write. */
static wr_log *open_program(struct fixture *f, const char *before,
                            const char *after)
{
    char target[256];
    wr_log *log;

    snprintf(target, sizeof(target), "|$%s%s%s", before, f->path, after);
    assert_int_equal(wr_log_open(&log, target, f->pool), APR_SUCCESS);
    return log;
}

/** The shared memory is for the logs that were opened before it. */
static void map_again(struct fixture *f)
{
    wr__log_slot_release(f->core.log_slot);
    apr_pool_cleanup_run(f->pool, segment, unmap_segment);
    assert_int_equal(wr__log_rings_create(f->pool, WRITERS), APR_SUCCESS);
    f->core.log_slot = wr__log_slot_claim();
}

/** Whatever a child has written there: nothing outside is read, nothing is
 *  waited for, and what comes afterwards goes as always. */
static void what_stands_in_the_memory_is_not_trusted(void **state)
{
    struct fixture *f = *state;
    struct ring *ring = &f->core.log_slot->rings[0];
    static const uint64_t heads[] = {UINT64_MAX, UINT64_C(1) << 40,
                                     3 * RING_SIZE, RING_SIZE};

    write_line(f->log, &f->thread, "one");
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        ring->lap_end[0] = ring->lap_end[1] = UINT32_MAX;
        atomic_store(&ring->tail, 0);
        atomic_store(&ring->head, heads[i]);
        atomic_store(&segment->shared->used, UINT_MAX);
        f->core.log_slot->number = 4711;
        wr__log_flush();
        wr__log_reap(getpid() + 1);
        assert_int_equal(atomic_load(&ring->tail), heads[i]);
    }
    assert_true(file_size(f->path) <= 2 * RING_SIZE);
    assert_int_equal(truncate(f->path, 0), 0);
    atomic_store(&ring->head, 0);
    atomic_store(&ring->tail, 0);
    f->core.log_slot->number = 0;
    write_line(f->log, &f->thread, "two");
    wr__log_flush();
    assert_file(f->path, "two\n");
}

static void program_gets_each_line_once(void **state)
{
    struct fixture *f = *state;
    wr_log *log = open_program(f, "cat >", "");
    char text[64], *all, *at, *line;
    int number = 0;

    map_again(f);
    for (int i = 0; i < 50000; i++) {
        snprintf(text, sizeof(text), "line %d of many, which fill a pipe", i);
        write_line(log, &f->thread, text);
    }
    while (!wr__log_flush()) {
        usleep(1000);
    }
    wr__log_close_programs(false);
    wr__spawner_finish();
    all = at = read_file(f->path);
    while ((line = strsep(&at, "\n")) && *line) {
        snprintf(text, sizeof(text), "line %d of many, which fill a pipe",
                 number++);
        assert_string_equal(line, text);
    }
    assert_int_equal(number, 50000);
    assert_int_equal(log->trouble->lost, 0);
    free(all);
}

static void program_that_does_not_read_is_waited_for_in_bounds(void **state)
{
    struct fixture *f = *state;
    const size_t len = WR_LOG_LINE_MAX - 1;
    char fifo[80], *line = malloc(len + 1);
    struct ring *ring;
    uint64_t lost;
    wr_log *log;

    snprintf(fifo, sizeof(fifo), "%s.fifo", f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    log = open_program(f, "read x <", ".fifo; cat >/dev/null");
    map_again(f);
    ring = &f->core.log_slot->rings[log->index];
    memset(line, 'x', len);
    line[len] = '\0';
    while (log->trouble->lost == 0) {
        write_line(log, &f->thread, line);
    }
    assert_int_equal(log->trouble->error, 0); /* it is only late */
    assert_int_equal(reports, 1);
    assert_true(ring->retry_ns > f->thread.now_ns);
    for (int i = 0; i < 10000; i++) {
        write_line(log, &f->thread, line); /* at once */
    }
    lost = log->trouble->lost;
    assert_int_equal(lost, 10001);
    assert_false(wr__log_flush());

    int fd = open(fifo, O_WRONLY);
    assert_int_equal(write(fd, "\n", 1), 1);
    close(fd);
    while (!wr__log_flush()) {
        usleep(1000);
    }
    write_line(log, &f->thread, line);
    assert_int_equal(log->trouble->lost, lost);
    wr__log_close_programs(false);
    wr__spawner_finish();
    unlink(fifo);
    free(line);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(same_target_is_same_log),
        TEST(line_is_kept_until_flushed),
        TEST(half_full_ring_is_written_by_its_thread),
        TEST(ring_goes_round),
        TEST(without_slot_line_is_written_at_once),
        TEST(log_opened_late_is_written_at_once),
        TEST(slots_run_out_and_come_back),
        TEST(lines_of_the_dead_are_written),
        TEST(writers_do_not_mix),
        TEST(full_disk_loses_counted_lines),
        TEST(torn_line_is_set_off_and_repeated),
        TEST(stuck_flusher_is_not_waited_for_twice),
        TEST(reopened_log_is_a_new_file),
        TEST(what_stands_in_the_memory_is_not_trusted),
        TEST(program_gets_each_line_once),
        TEST(program_that_does_not_read_is_waited_for_in_bounds),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
