/*
 * test_log_error.c - a line of the error log: its form, and that nobody can
 * forge one.
 */
#include <syslog.h>

static char log_socket[80];
#undef _PATH_LOG
#define _PATH_LOG log_socket

#include "server/log_error.c"
#include "server/log_syslog.c"

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
    char id[WR_LOG_ID_SIZE];
    wr_request r = {
        .server = &f->server,
        .request_line = "GET /\"\x1b\\ HTTP/1.1",
        .peer.v4 = {.sin_family = AF_INET,
                    .sin_port = htons(4711),
                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
    };

    assert_null(wr_log_id(&r, id));
    wr_log_request(&r, WR_LOG_INFO, EACCES, "refused");
    assert_line(take(f->path),
                "[info] [client 127.0.0.1:4711] [id AAAAAAAAAEmd_AAABAA] "
                "refused: Permission denied (13), "
                "request: \"GET /\\\"\\x1b\\\\ HTTP/1.1\"\n");
    assert_true(r.has_error_lines);
    r.peer.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                      .sin6_port = htons(1),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    r.request_line = "";
    wr_log_request(&r, WR_LOG_INFO, 0, "refused");
    assert_line(take(f->path),
                "[info] [client [::1]:1] [id AAAAAAAAAAAEAAAABAA] refused\n");
    assert_string_equal(wr_log_id(&r, id), "AAAAAAAAAAAEAAAABAA");
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

static void level_can_be_a_modules(void **state)
{
    struct fixture *f = *state;
    wr_module core = {.index = 0}, chatty = {.index = 1}, other = {.index = 2};
    signed char levels[] = {WR_LOG_CRIT, WR_LOG_DEBUG, -1};
    wr_request r = {.server = &f->server};

    f->server.module_levels = levels;
    wr_log_error(&f->server, WR_LOG_ERROR, 0, "of the core");
    wr_log_error_of(&f->server, &core, WR_LOG_ERROR, 0, "of the core");
    wr_log_error_of(&f->server, &other, WR_LOG_DEBUG, 0, "of another");
    assert_string_equal(take(f->path), "");
    wr_log_error(&f->server, WR_LOG_CRIT, 0, "of the core");
    assert_non_null(strstr(take(f->path), "of the core\n"));
    wr_log_error_of(&f->server, &other, WR_LOG_INFO, 0, "of another");
    assert_non_null(strstr(take(f->path), "of another\n"));
    wr_log_error_of(&f->server, &chatty, WR_LOG_DEBUG, 0, "chat");
    assert_non_null(strstr(take(f->path), "chat\n"));
    wr_log_request_of(&r, &chatty, WR_LOG_DEBUG, 0, "chat");
    assert_non_null(strstr(take(f->path), "] chat\n"));
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

static void syslog_is_parsed(void **state)
{
    static const struct {
        const char *target;
        int facility;
        const char *tag;
    } right[] = {
        {"syslog", LOG_LOCAL7, "weir"},
        {"syslog:", LOG_LOCAL7, "weir"},
        {"syslog:user", LOG_USER, "weir"},
        {"syslog:LOCAL0", LOG_LOCAL0, "weir"},
        {"syslog:daemon:", LOG_DAEMON, "weir"},
        {"syslog:daemon:web", LOG_DAEMON, "web"},
        {"syslog::a:b", LOG_LOCAL7, "a:b"},
    };
    struct fixture *f = *state;
    wr__syslog to;

    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(wr__syslog_is(right[i].target));
        assert_null(wr__syslog_parse(&to, right[i].target, f->pool));
        assert_int_equal(to.facility, right[i].facility);
        assert_string_equal(to.tag, right[i].tag);
    }
    assert_false(wr__syslog_is("syslogs/file"));
    assert_non_null(wr__syslog_parse(&to, "syslog:local8", f->pool));
    assert_non_null(wr__syslog_parse(&to, "syslog:local", f->pool));
}

/** The next line that was sent to syslog. */
static const char *receive(int fd)
{
    static char text[16384];
    ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    assert_true(len > 0);
    text[len] = '\0';
    return text;
}

static void syslog_gets_lines_in_its_own_form(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    char pattern[256];
    regex_t regex;
    int fd;

    snprintf(log_socket, sizeof(log_socket), "%s.syslog", f->path);
    strcpy(address.sun_path, log_socket);
    wr__log_error_borrow(open("/dev/null", O_WRONLY)); /* lines that fail */
    assert_int_equal(
        wr_log_open(&f->server.error_log, "syslog:local3:tag", f->pool),
        APR_SUCCESS);
    wr_log_error(&f->server, WR_LOG_ERROR, 0, "nobody listens yet");
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    wr_log_error(&f->server, WR_LOG_ERROR, ENOENT, "it\nis %d", 1);
    snprintf(pattern, sizeof(pattern),
             "^<%d>[A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8} tag\\[%ld\\]: "
             "it\\\\x0ais 1: No such file or directory \\(2\\)$",
             LOG_LOCAL3 | LOG_ERR, (long)getpid());
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
    assert_int_equal(regexec(&regex, receive(fd), 0, NULL, 0), 0);
    regfree(&regex);
    for (int i = 0; i < 10000; i++) { /* it does not read: nobody waits */
        wr_log_error(&f->server, WR_LOG_WARN, 0, "many");
    }
    wr__log_error_borrow(-1);
    close(fd);
    unlink(log_socket);
}

/** Another process's program stands for standard error. */
static void borrowed_pipe_is_written_to(void **state)
{
    struct fixture *f = *state;
    char text[2 * LINE_SIZE];
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    apr_pool_clear(f->pool); /* closes the log */
    wr__log_error_borrow(ends[1]);
    assert_int_equal(wr__log_error_fd(), ends[1]);
    memset(text, 'x', TEXT_MAX);
    text[TEXT_MAX] = '\0';
    wr_log_error(NULL, WR_LOG_ERROR, 0, "%s", text);
    assert_int_equal(read(ends[0], text, sizeof(text)), PIPE_BUF);
    assert_int_equal(text[PIPE_BUF - 1], '\n');
    wr__log_error_borrow(-1);
    assert_int_equal(wr__log_error_fd(), STDERR_FILENO);
    assert_int_equal(fcntl(ends[1], F_GETFD), -1);
    close(ends[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(syslog_is_parsed),
        TEST(syslog_gets_lines_in_its_own_form),
        TEST(borrowed_pipe_is_written_to),
        TEST(line_has_time_level_process_and_reason),
        TEST(request_is_named),
        TEST(no_byte_makes_a_second_line),
        TEST(long_text_is_cut_in_one_line),
        TEST(level_is_the_servers_or_the_main_one),
        TEST(level_can_be_a_modules),
        TEST(server_can_have_its_own_log),
        TEST(without_log_it_is_standard_error),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
