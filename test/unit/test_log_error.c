/*
 * test_log_error.c - a line of the error log: its form, and that nobody can
 * forge one.
 */
#include "server/log_error.c"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <fcntl.h>
#include <regex.h>

struct fixture {
    apr_pool_t *pool;
    char path[64];
    wr_server server;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    apr_pool_create(&f->pool, NULL);
    strcpy(f->path, "/tmp/weir-error-XXXXXX");
    close(mkstemp(f->path));
    assert_int_equal(wr__log_error_open(f->path, f->pool), APR_SUCCESS);
    wr__log_error_level(WR_LOG_NOTICE);
    f->server.log_level = WR_LOG_INFO;
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

/** What is in a file, which is then empty. */
static const char *take(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    size_t len = fread(text, 1, sizeof(text) - 1, file);

    fclose(file);
    text[len] = '\0';
    assert_int_equal(truncate(path, 0), 0);
    return text;
}

/** The whole of @a text fits, but for time and process. */
static void assert_line(const char *text, const char *expected)
{
    const char *at;
    regex_t regex;

    assert_int_equal(regcomp(&regex,
                             "^\\[[0-9]{4}-[0-9]{2}-[0-9]{2} "
                             "[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}\\] "
                             "\\[[a-z]+\\] \\[pid [0-9]+\\] ",
                             REG_EXTENDED),
                     0);
    assert_int_equal(regexec(&regex, text, 0, NULL, 0), 0);
    regfree(&regex);
    at = strchr(text, ']') + 2;
    assert_memory_equal(at, expected, strcspn(expected, " "));
    assert_string_equal(strchr(strstr(at, "[pid "), ']') + 2,
                        strchr(expected, ' ') + 1);
}

static void line_has_time_level_process_and_reason(void **state)
{
    struct fixture *f = *state;

    wr_log_error(NULL, WR_LOG_NOTICE, 0, "ready, %d children", 4);
    assert_line(take(f->path), "[notice] ready, 4 children\n");
    wr_log_error(NULL, WR_LOG_ERROR, ENOENT, "can't open %s", "/x");
    assert_line(take(f->path),
                "[error] can't open /x: No such file or directory (2)\n");
}

static void request_is_named(void **state)
{
    struct fixture *f = *state;
    wr_request r = {
        .server = &f->server,
        .request_line = "GET /\"\x1b\\ HTTP/1.1",
        .peer.v4 = {.sin_family = AF_INET,
                    .sin_port = htons(4711),
                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
    };

    wr_log_request(&r, WR_LOG_INFO, EACCES, "refused");
    assert_line(take(f->path),
                "[info] [client 127.0.0.1:4711] refused: Permission denied "
                "(13), request: \"GET /\\\"\\x1b\\\\ HTTP/1.1\"\n");
    r.peer.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                      .sin6_port = htons(1),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    r.request_line = "";
    wr_log_request(&r, WR_LOG_INFO, 0, "refused");
    assert_line(take(f->path), "[info] [client [::1]:1] refused\n");
}

static void no_byte_makes_a_second_line(void **state)
{
    struct fixture *f = *state;

    for (int c = 1; c < 256; c++) {
        char text[] = {(char)c, 0}, expected[32];

        wr_log_error(NULL, WR_LOG_ERROR, 0, "%s", text);
        snprintf(expected, sizeof(expected),
                 c == '"' || c == '\\'  ? "[error] \\%c\n"
                 : c < ' ' || c >= 0x7f ? "[error] \\x%02x\n"
                                        : "[error] %c\n",
                 c);
        assert_line(take(f->path), expected);
    }
}

static void long_text_is_cut_in_one_line(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(100000);
    const char *line;

    for (int c = 'a'; c <= 'a' + 1; c++) {
        memset(text, c == 'a' ? 'a' : '\n', 99999);
        text[99999] = '\0';
        wr_log_error(NULL, WR_LOG_ERROR, ENOENT, "%s", text);
        line = take(f->path);
        assert_true(strlen(line) > TEXT_MAX);
        assert_true(strlen(line) <= LINE_SIZE);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    }
    free(text);
}

static void level_is_the_servers_or_the_main_one(void **state)
{
    struct fixture *f = *state;

    wr_log_error(NULL, WR_LOG_INFO, 0, "no");
    wr_log_error(&f->server, WR_LOG_DEBUG, 0, "no");
    assert_string_equal(take(f->path), "");
    wr_log_error(&f->server, WR_LOG_INFO, 0, "yes");
    assert_line(take(f->path), "[info] yes\n");
    wr__log_error_level(WR_LOG_DEBUG);
    wr_log_error(NULL, WR_LOG_DEBUG, 0, "yes");
    assert_line(take(f->path), "[debug] yes\n");
}

static void server_can_have_its_own_log(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/weir-error-XXXXXX";

    close(mkstemp(path));
    assert_int_equal(wr_log_open(&f->server.error_log, path, f->pool),
                     APR_SUCCESS);
    wr_log_error(&f->server, WR_LOG_ERROR, 0, "mine");
    assert_line(take(path), "[error] mine\n");
    assert_string_equal(take(f->path), "");
    unlink(path);
}

static void without_log_it_is_standard_error(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/weir-error-XXXXXX";
    int fd = mkstemp(path), kept = dup(STDERR_FILENO);
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    assert_int_equal(wr__log_error_open("stderr", pool), APR_SUCCESS);
    apr_pool_destroy(pool);
    assert_null(main_log);
    dup2(fd, STDERR_FILENO);
    errno = EPIPE;
    wr_log_error(NULL, WR_LOG_EMERG, 0, "help");
    assert_int_equal(errno, EPIPE);
    dup2(kept, STDERR_FILENO);
    assert_line(take(path), "[emerg] help\n");
    assert_string_equal(take(f->path), "");
    unlink(path);
    close(fd);
    close(kept);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_has_time_level_process_and_reason),
        TEST(request_is_named),
        TEST(no_byte_makes_a_second_line),
        TEST(long_text_is_cut_in_one_line),
        TEST(level_is_the_servers_or_the_main_one),
        TEST(server_can_have_its_own_log),
        TEST(without_log_it_is_standard_error),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
