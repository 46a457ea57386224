/*
 * test_response.c - from what a handler leaves to what the client reads: the
 * status line, fields, framing, and what may not be there.
 */
#include "support.h"

#include "wr_object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_buckets.h>
#include <apr_strings.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

static site *s;

static int set_up(void **state)
{
    (void)state;
    s = site_create(&(site_options){.asks_first = true, .is_cold = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    site_destroy(s);
    return 0;
}

/** A response, taken apart. */
typedef struct response {
    const char *text, *head, *body;
    size_t body_len;
} response;

static response answer(const char *input)
{
    static const rig_rules rules = {.seed = 3};
    rig *g;
    response a;
    const char *end;

    logged_clear();
    g = rig_create(s, &rules, input, strlen(input));
    rig_run(g);
    read_responses(s->pool, g->output, g->output_len, false);
    a.text = apr_pstrmemdup(s->pool, g->output, g->output_len);
    end = strstr(a.text, "\r\n\r\n");
    require(end);
    a.head = apr_pstrmemdup(s->pool, a.text, (size_t)(end - a.text) + 2);
    a.body = end + 4;
    a.body_len = g->output_len - (size_t)(a.body - a.text);
    rig_destroy(g);
    return a;
}

static response answer_of(wr_result (*handler)(wr_request *r),
                          const char *method, int minor)
{
    support_handler = handler;
    return answer(apr_psprintf(s->pool, "%s /own HTTP/1.%d\r\nHost: a\r\n\r\n",
                               method, minor));
}

static void expect_start(response a, const char *start)
{
    assert_memory_equal(a.text, start, strlen(start));
}

static void expect_field(response a, const char *line)
{
    if (!strstr(a.head, apr_pstrcat(s->pool, "\r\n", line, "\r\n", NULL))) {
        fail_msg("no %s in %s", line, a.head);
    }
}

static void expect_no_field(response a, const char *name)
{
    if (strstr(a.head, apr_pstrcat(s->pool, "\r\n", name, ":", NULL))) {
        fail_msg("%s in %s", name, a.head);
    }
}

/* Status and fields. */

static wr_result set_fields(wr_request *r)
{
    wr_request_set_header(r, "X-Good", "yes");
    wr_request_set_err_header(r, "X-Always", "yes");
    wr_request_set_header(r, "X-Bad", "a\r\nSet-Cookie: b");
    wr_request_set_header(r, "X-Worse", "a\nSet-Cookie: b");
    wr_request_set_err_header(r, "X-Worst", "a\rb");
    wr_request_puts(r, "text");
    return r->args ? atoi(r->args) : WR_OK;
}

static void test_fields(void **state)
{
    response a = answer_of(set_fields, "GET", 1);

    (void)state;
    expect_start(a, "HTTP/1.1 200 OK\r\n");
    expect_field(a, "Date: Sun, 06 Nov 1994 08:49:37 GMT");
    expect_field(a, "X-Good: yes");
    expect_field(a, "X-Always: yes");
    expect_field(a, "Content-Length: 4");
    expect_no_field(a, "X-Bad");
    expect_no_field(a, "X-Worse");
    expect_no_field(a, "X-Worst");
    assert_null(strstr(a.text, "Set-Cookie"));
    assert_string_equal(a.body, "text");
    a = answer("GET /own?404 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_start(a, "HTTP/1.1 404 Not Found\r\n");
    expect_no_field(a, "X-Good");
    expect_field(a, "X-Always: yes");
    assert_null(strstr(a.body, "text</")); /* the handler's is gone */
    a = answer("GET /own?302 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_field(a, "X-Good: yes"); /* Location is such a one */
}

static void test_statuses(void **state)
{
    static const struct {
        int status;
        bool has_content;
        const char *line;
    } rows[] = {
        {200, true, "HTTP/1.1 200 OK\r\n"},
        {201, true, "HTTP/1.1 201 Created\r\n"},
        {204, false, "HTTP/1.1 204 No Content\r\n"},
        {304, false, "HTTP/1.1 304 Not Modified\r\n"},
        {500, true, "HTTP/1.1 500 Internal Server Error\r\n"},
        {599, true, "HTTP/1.1 599 \r\n"},
    };

    (void)state;
    support_handler = set_fields;
    for (size_t i = 0; i < COUNT(rows); i++) {
        response a = answer(
            apr_psprintf(s->pool, "GET /own?%d HTTP/1.1\r\nHost: a\r\n\r\n",
                         rows[i].status));

        expect_start(a, rows[i].line);
        assert_int_equal(logged_at(0).status, rows[i].status);
        assert_int_equal(a.body_len > 0, rows[i].has_content);
        if (!rows[i].has_content) {
            expect_no_field(a, "Content-Length");
            expect_no_field(a, "Content-Type");
        }
    }
}

/** RFC 9110, 15.3.6: no content, and unlike 204 it has to be said. */
static void test_reset_content(void **state)
{
    response a;

    (void)state;
    support_handler = set_fields;
    a = answer("GET /own?205 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_start(a, "HTTP/1.1 205 Reset Content\r\n");
    expect_field(a, "Content-Length: 0");
    assert_int_equal(a.body_len, 0);
}

static wr_result move(wr_request *r)
{
    const char *to = "http://[::1]/a b?[c]\xe9{\"}%41";

    if (r->args) {
        wr_request_set_err_header(r, "Location", to);
    }
    else {
        wr_request_set_header(r, "Location", to);
    }
    return 303;
}

static void test_location(void **state)
{
    static const char field[] =
        "Location: http://[::1]/a%20b?%5Bc%5D%E9%7B%22%7D%41";

    (void)state;
    expect_field(answer_of(move, "GET", 1), field);
    expect_field(answer("GET /own?x HTTP/1.1\r\nHost: a\r\n\r\n"), field);
}

/* Framing. */

static wr_made make_once(wr_request *r, void *baton, apr_bucket_brigade *piece)
{
    (void)r;
    (void)baton;
    APR_BRIGADE_INSERT_TAIL(
        piece, apr_bucket_immortal_create("made", 4, piece->bucket_alloc));
    return WR_MADE_LAST;
}

static wr_result say_mixed(wr_request *r)
{
    wr_request_puts(r, "one,");
    wr_request_append_computed(r, make_once, NULL, -1);
    wr_request_append_computed(r, make_once, NULL, -1);
    wr_request_puts(r, ",two");
    wr_request_puts(r, "!");
    return r->args ? 204 : WR_OK;
}

static void test_unknown_length(void **state)
{
    response a = answer_of(say_mixed, "GET", 1);

    (void)state;
    expect_field(a, "Transfer-Encoding: chunked");
    expect_no_field(a, "Content-Length");
    expect_no_field(a, "Connection");
    assert_string_equal(a.body, "4\r\none,\r\n4\r\nmade\r\n4\r\nmade\r\n"
                                "5\r\n,two!\r\n0\r\n\r\n");
    assert_int_equal(logged_at(0).bytes_sent, 17);
    a = answer_of(say_mixed, "GET", 0);
    expect_no_field(a, "Transfer-Encoding");
    expect_field(a, "Connection: close");
    assert_string_equal(a.body, "one,mademade,two!");
    a = answer("GET /own?x HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_start(a, "HTTP/1.1 204 ");
    expect_no_field(a, "Transfer-Encoding");
    assert_int_equal(a.body_len, 0);
}

static wr_result say_empty(wr_request *r)
{
    (void)r;
    return WR_OK;
}

static wr_result say_length(wr_request *r)
{
    r->content_length = 1000;
    return WR_OK;
}

static wr_result say_wrong_length(wr_request *r)
{
    r->content_length = 1000;
    wr_request_puts(r, "four");
    return WR_OK;
}

static void test_known_length(void **state)
{
    (void)state;
    expect_field(answer_of(say_empty, "GET", 1), "Content-Length: 0");
    expect_field(answer_of(say_length, "GET", 1), "Content-Length: 0");
    expect_field(answer_of(say_length, "HEAD", 1), "Content-Length: 1000");
    expect_field(answer_of(say_wrong_length, "GET", 1), "Content-Length: 4");
    expect_field(answer_of(say_wrong_length, "HEAD", 1), "Content-Length: 4");
}

/** What a GET would say, and nothing behind it. */
static void test_head_is_as_get(void **state)
{
    static const char *const paths[] = {
        "/small.txt", "/big.bin", "/empty.txt", "/memory",  "/computed",
        "/waiting",   "/twice",   "/missing",   "/linear",  "/stream",
        "/dir",       "/nothing", "/moved",     "/counted", "/void",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        for (int minor = 0; minor < 2; minor++) {
            const char *rest = apr_psprintf(
                s->pool, " %s HTTP/1.%d\r\nHost: a\r\n\r\n", paths[i], minor);
            response get = answer(apr_pstrcat(s->pool, "GET", rest, NULL));
            response head = answer(apr_pstrcat(s->pool, "HEAD", rest, NULL));

            assert_string_equal(get.head, head.head);
            assert_int_equal(head.body_len, 0);
            assert_int_equal(logged_at(0).bytes_sent, 0);
        }
    }
}

static void test_connection_field(void **state)
{
    static const struct {
        int minor;
        const char *options, *answer;
    } rows[] = {
        {1, "", NULL},
        {1, "Connection: keep-alive\r\n", NULL},
        {1, "Connection: close\r\n", "Connection: close"},
        {1, "Connection: x, CLOSE\r\n", "Connection: close"},
        {1, "Connection: x\r\nConnection: y ,close\r\n", "Connection: close"},
        {1, "Connection: closed, xclose\r\n", NULL},
        {0, "", "Connection: close"},
        {0, "Connection: Keep-Alive\r\n", "Connection: keep-alive"},
        {0, "Connection: keep-alive, close\r\n", "Connection: close"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        response a = answer(apr_psprintf(
            s->pool, "GET /small.txt HTTP/1.%d\r\nHost: a\r\n%s\r\n",
            rows[i].minor, rows[i].options));

        if (rows[i].answer) {
            expect_field(a, rows[i].answer);
        }
        else {
            expect_no_field(a, "Connection");
        }
    }
}

/* Buckets of other kinds. */

static wr_result say_buckets(wr_request *r)
{
    apr_bucket_alloc_t *list = wr_request_bucket_alloc(r);
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, list);

    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(list));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create("", 0, list));
    for (int i = 0; i < 200; i++) { /* more than one span has pieces */
        char *text = apr_psprintf(r->pool, "%d ", i);

        APR_BRIGADE_INSERT_TAIL(
            bb, apr_bucket_pool_create(text, strlen(text), r->pool, list));
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(list));
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_transient_create("", 0, list));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(list));
    wr_request_append_brigade(r, bb);
    require(APR_BRIGADE_EMPTY(bb));
    return WR_OK;
}

static void test_buckets_of_apr(void **state)
{
    response a = answer_of(say_buckets, "GET", 1);
    const char *expected = "";

    (void)state;
    for (int i = 0; i < 200; i++) {
        expected = apr_psprintf(s->pool, "%s%d ", expected, i);
    }
    assert_string_equal(a.body, expected);
    assert_int_equal(answer_of(say_buckets, "HEAD", 1).body_len, 0);
}

static void test_file_ranges(void **state)
{
    response a = answer("GET /twice HTTP/1.1\r\nHost: a\r\n\r\n");
    char expected[8000];
    size_t len = (size_t)sprintf(expected, "first ");

    (void)state;
    for (int i = 0; i < 5000; i++) {
        expected[len++] = (char)('a' + i % 25);
    }
    len += (size_t)sprintf(expected + len, " second ");
    for (int i = 100; i < 2100; i++) {
        expected[len++] = (char)('a' + i % 25);
    }
    len += (size_t)sprintf(expected + len, " end\n");
    assert_int_equal(a.body_len, len);
    assert_memory_equal(a.body, expected, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_reset_content),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_unknown_length),
        cmocka_unit_test(test_known_length),
        cmocka_unit_test(test_head_is_as_get),
        cmocka_unit_test(test_connection_field),
        cmocka_unit_test(test_buckets_of_apr),
        cmocka_unit_test(test_file_ranges),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
