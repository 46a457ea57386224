/*
 * test_log_format.c - what each item of a log format says, that no client can
 * forge a line, and that a line has bounds.
 */
#include "modules/loggers/log_fields.c"
#include "modules/loggers/log_format.c"
#include "modules/loggers/log_line.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <apr_general.h>

#define COMMON   "%h %l %u %t \"%r\" %>s %b"
#define COMBINED COMMON " \"%{Referer}i\" \"%{User-Agent}i\""

struct fixture {
    apr_pool_t *pool;
    wr_server server;
    wr_listener listener;
    wr_field fields[3];
    wr_request r;
};

const char *wr_request_field(const wr_request *r, const char *name)
{
    for (int i = 0; i < r->field_count; i++) {
        if (strcasecmp(r->fields[i].name, name) == 0) {
            return r->fields[i].value;
        }
    }
    return NULL;
}

const struct sockaddr *wr_request_local(wr_request *r)
{
    static const struct sockaddr_in local = {.sin_family = AF_INET,
                                             .sin_addr.s_addr = 0x0200007f};

    (void)r;
    return (const struct sockaddr *)(const void *)&local;
}

static void set_field(wr_request *r, wr_field *field, wr_known_field known,
                      const char *name, const char *value)
{
    field->name = name;
    field->value = value;
    field->name_len = (uint16_t)strlen(name);
    field->value_len = (uint32_t)strlen(value);
    field->known = (uint16_t)known;
    r->known[known] = (int16_t)(field - r->fields + 1);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    wr_request *r = &f->r;

    apr_pool_create(&f->pool, NULL);
    f->listener.port = 8080;
    *r = (wr_request){
        .pool = f->pool,
        .server = &f->server,
        .listener = &f->listener,
        .number = 7,
        .version_major = 1,
        .version_minor = 1,
        .method_name = "GET",
        .request_line = "GET /a%20b?x=1 HTTP/1.1",
        .host = "www.example",
        .uri = "/a b",
        .args = "x=1",
        .filename = "/srv/a b",
        .status = 200,
        .bytes_sent = 1024,
        .wire_sent = 1200,
        .wire_received = 300,
        .content_length = 1024,
        .content_type = "text/html",
        .keep_alive = true,
        /* 2026-11-22 10:00:00 UTC */
        .time = APR_TIME_C(1795341600012345),
        .end_time = APR_TIME_C(1795341602512346),
        .fields = f->fields,
        .field_count = 3,
        .peer.v4 = {.sin_family = AF_INET,
                    .sin_port = htons(4711),
                    .sin_addr.s_addr = htonl(0xc0000201)},
    };
    set_field(r, &f->fields[0], WR_F_REFERER, "referer", "http://a.example/");
    set_field(r, &f->fields[1], WR_F_USER_AGENT, "User-agent", "test/1");
    set_field(r, &f->fields[2], WR_F_NONE, "X-Other", "other");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    free(f);
    return 0;
}

/** The line in a buffer of just its size, for tools that watch its bounds. */
static const char *make(struct fixture *f, const char *text)
{
    const wr__log_format *format = NULL;
    char *copy = apr_palloc(f->pool, WR_LOG_LINE_MAX + 1);
    char *exact = malloc(WR_LOG_LINE_MAX);
    size_t len;

    assert_null(wr__log_format_compile(f->pool, text, &format));
    len = wr__log_format_line(exact, format, &f->r);
    assert_in_range(len, 1, WR_LOG_LINE_MAX);
    assert_int_equal(exact[len - 1], '\n');
    memcpy(copy, exact, len - 1);
    copy[len - 1] = '\0';
    free(exact);
    return copy;
}

static void items_say_what_httpds_do(void **state)
{
    static const struct {
        const char *format, *expected;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"100%% \\t\\\"", "100% \t\""},
        {"%h %a", "192.0.2.1 192.0.2.1"},
        {"%l %u", "- -"},
        {"%r", "GET /a%20b?x=1 HTTP/1.1"},
        {"%s %>s %<s", "200 200 200"},
        {"%b %B", "1024 1024"},
        {"%D %T %{s}T %{ms}T %{us}T", "2500001 2 2 2500 2500001"},
        {"%m %U %q %H %f", "GET /a b ?x=1 HTTP/1.1 /srv/a b"},
        {"%v %V", "www.example www.example"},
        {"%p %{canonical}p %{local}p %{remote}p", "8080 8080 8080 4711"},
        {"%{Referer}i|%{uSER-aGENT}i", "http://a.example/|test/1"},
        {"%{X-Other}i %{Host}i %{X-None}i", "other - -"},
        {"%{content-type}o %{Content-Length}o", "text/html 1024"},
        {"%{ETag}o %{X}e %{X}n", "- - -"},
        {"%X %k %L", "+ 7 -"},
        {"%{sec}t %{msec}t", "1795341600 1795341600012"},
        {"%{usec_frac}t %{msec_frac}t", "012345 012"},
        {"%{end:usec}t %{end:msec_frac}t", "1795341602512346 512"},
        {"%{begin:%Y-%m-%d}t %{%H:%M:%S}t", "2026-11-22 10:00:00"},
        {"%t", "[22/Nov/2026:10:00:00 +0000]"},
        {COMBINED, "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "
                   "\"GET /a%20b?x=1 HTTP/1.1\" 200 1024 "
                   "\"http://a.example/\" \"test/1\""},
        {"%200{X-Other}i %404{X-Other}i", "other -"},
        {"%!200{X-Other}i %!404,500{X-Other}i", "- other"},
        {"%400,200s %!200,400>s", "200 -"},
        {"%A %{c}a", "127.0.0.2 192.0.2.1"},
        {"%I %O %S", "300 1200 1500"},
        {"%R", "-"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_string_equal(make(f, cases[i].format), cases[i].expected);
    }
}

static void what_is_not_there_is_a_dash(void **state)
{
    struct fixture *f = *state;
    wr_request *r = &f->r;

    *r = (wr_request){.pool = f->pool,
                      .server = &f->server,
                      .status = 400,
                      .request_line = "",
                      .content_length = -1};
    assert_string_equal(make(f, "%h %u %r %s %b %B %m %U %q %H %f %v %V"),
                        "- - - 400 - 0 - -  - - - -");
    assert_string_equal(make(f, "%p %{Content-Length}o %X %D"), "0 - - 0");
    r->user = "";
    r->is_aborted = true;
    r->time = APR_USEC_PER_SEC; /* the clock was set back */
    assert_string_equal(make(f, "%u %X %D"), "\"\" X 0");
}

static void tables_are_looked_at(void **state)
{
    struct fixture *f = *state;
    wr_request *r = &f->r;

    r->env = apr_table_make(f->pool, 1);
    r->notes = apr_table_make(f->pool, 1);
    r->headers_out = apr_table_make(f->pool, 1);
    r->err_headers_out = apr_table_make(f->pool, 1);
    r->user = "jo";
    f->server.name = "main.example";
    f->server.port = 443;
    apr_table_set(r->env, "a", "env");
    apr_table_set(r->notes, "a", "note");
    apr_table_set(r->headers_out, "a", "not this");
    apr_table_set(r->err_headers_out, "a", "out");
    assert_string_equal(make(f, "%{a}e %{a}n %{A}o %u %v %V %p %{local}p"),
                        "env note out jo main.example www.example 443 8080");
}

static void cookies_are_found(void **state)
{
    struct fixture *f = *state;

    set_field(&f->r, &f->fields[2], WR_F_NONE, "Cookie",
              "ab=1; a=2\"3 ;b=; aa=4");
    f->r.fields = f->fields;
    f->r.field_count = 3;
    assert_string_equal(make(f, "%{a}C|%{b}C|%{ab}C|%{aa}C|%{c}C"),
                        "2\\\"3 ||1|4|-");
}

static void addresses_of_both_families(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in6 *v6 = &f->r.peer.v6;

    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(9)};
    inet_pton(AF_INET6, "2001:db8::1", &v6->sin6_addr);
    assert_string_equal(make(f, "%h %{remote}p"), "2001:db8::1 9");
    inet_pton(AF_INET6, "::ffff:10.0.255.1", &v6->sin6_addr);
    assert_string_equal(make(f, "%h"), "10.0.255.1");
}

/** At every place of a field, beside every alignment. */
static void no_byte_gets_through_unescaped(void **state)
{
    struct fixture *f = *state;

    for (int c = 1; c < 256; c++) {
        bool is_safe = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

        for (int at = 0; at < 20; at++) {
            char value[] = "abcdefghijklmnopqrst", expected[64], escape[8];
            const char *letter = strchr("\bb\nn\rr\tt\vv\"\"\\\\", c);

            value[at] = (char)c;
            if (is_safe) {
                snprintf(escape, sizeof(escape), "%c", c);
            }
            else if (c < ' ' && letter) {
                snprintf(escape, sizeof(escape), "\\%c", letter[1]);
            }
            else if (c == '"' || c == '\\') {
                snprintf(escape, sizeof(escape), "\\%c", c);
            }
            else {
                snprintf(escape, sizeof(escape), "\\x%02x", c);
            }
            snprintf(expected, sizeof(expected), "%.*s%s%s", at, value, escape,
                     value + at + 1);
            f->r.request_line = value;
            set_field(&f->r, &f->fields[0], WR_F_REFERER, "Referer", value);
            assert_string_equal(make(f, "%r"), expected);
            assert_string_equal(make(f, "%{Referer}i"), expected);
        }
    }
}

static void long_fields_leave_room_for_others(void **state)
{
    struct fixture *f = *state;
    char *plain = apr_pcalloc(f->pool, 100001);
    char *bad = apr_pcalloc(f->pool, 100001);
    const char *made;

    memset(plain, 'x', 100000);
    memset(bad, 1, 100000);
    f->r.request_line = plain;
    f->r.filename = bad;
    made = make(f, "%r %s %f %U");
    assert_int_equal(strspn(made, "x"), WR_LOG_LINE_MAX - 1 - 3 - 3 * 64);
    assert_non_null(strstr(made, "x 200 \\x01\\x01"));
    assert_string_equal(made + strlen(made) - 5, " /a b");
    /* an escape is never cut in two */
    assert_string_equal(strstr(made, " /a b") - 4, "\\x01 /a b");

    f->r.request_line = bad;
    made = make(f, COMBINED);
    assert_non_null(strstr(made, "\\x01\" 200 1024 \"http://a.example/\" "
                                 "\"test/1\""));
}

static void line_is_full_to_the_last_byte(void **state)
{
    struct fixture *f = *state;
    char *plain = apr_pcalloc(f->pool, WR_LOG_LINE_MAX + 10);

    for (int len = WR_LOG_LINE_MAX - 10; len < WR_LOG_LINE_MAX + 9; len++) {
        plain[len - 1] = 'x';
        memset(plain, 'x', (size_t)len);
        f->r.filename = plain;
        assert_int_equal(strlen(make(f, "%f")),
                         len < WR_LOG_LINE_MAX ? len : WR_LOG_LINE_MAX - 1);
    }
}

static void wrong_formats_are_refused(void **state)
{
    static const char *const wrong[] = {
        "%",     "%z",    "%d",    "%h %",    "%{x",      "%{}i",
        "%i",    "%o",    "%e",    "%n",      "%{x}h",    "%{x}s",
        "%{x}T", "%{x}D", "%{x}p", "%{x}P",   "%{end:}t", "%{Referer}j",
        "%400",  "%!",    "%>",    "%{c}L",   "% s",      "%{x}O",
        "%C",    "%{x}A", "%{x}a", "%{x}^ti",
    };
    struct fixture *f = *state;
    const wr__log_format *format = NULL;
    char *text = apr_pcalloc(f->pool, 20000);

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_non_null(wr__log_format_compile(f->pool, wrong[i], &format));
    }
    memset(text, 'x', FORMAT_MAX);
    assert_non_null(wr__log_format_compile(f->pool, text, &format));
    assert_null(format);
    text[FORMAT_MAX - 1] = '\0';
    assert_null(wr__log_format_compile(f->pool, text, &format));
}

static void seconds_do_not_mix(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++) {
        int second = i * 7 % 60;

        f->r.time = apr_time_from_sec(1795341600 + second);
        assert_string_equal(
            make(f, "%t"),
            apr_psprintf(f->pool, "[22/Nov/2026:10:00:%02d +0000]", second));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_say_what_httpds_do),
        TEST(what_is_not_there_is_a_dash),
        TEST(tables_are_looked_at),
        TEST(cookies_are_found),
        TEST(addresses_of_both_families),
        TEST(no_byte_gets_through_unescaped),
        TEST(long_fields_leave_room_for_others),
        TEST(line_is_full_to_the_last_byte),
        TEST(wrong_formats_are_refused),
        TEST(seconds_do_not_mix),
    };

    setenv("TZ", "UTC", 1);
    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
