/*
 * test_http_body.c - how a request's content is framed (RFC 9112, section 6),
 * and the chunked coding: valid and broken, in any pieces.
 */
#include "server/http_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

/* Framing. */

/** A request with these fields, "L:" Content-Length and "T:"
 *  Transfer-Encoding. */
static void make_request(wr_request *r, wr_field *fields,
                         const char *const *values, int minor)
{
    memset(r, 0, sizeof(*r));
    r->version_major = 1;
    r->version_minor = (uint8_t)minor;
    r->fields = fields;
    for (; values[r->field_count]; r->field_count++) {
        const char *value = values[r->field_count];
        wr_known_field known = value[0] == 'L'   ? WR_F_CONTENT_LENGTH
                               : value[0] == 'T' ? WR_F_TRANSFER_ENCODING
                                                 : WR_F_NONE;

        fields[r->field_count] =
            (wr_field){.name = "name",
                       .name_len = 4,
                       .value = value + 2,
                       .value_len = (uint32_t)strlen(value + 2),
                       .known = (uint16_t)known};
        if (!r->known[known]) {
            r->known[known] = (int16_t)(r->field_count + 1);
        }
    }
}

static void test_framing(void **state)
{
    static const struct {
        const char *fields[4];
        int minor, status;
        wr__body_kind kind;
        int64_t length;
    } rows[] = {
        {{NULL}, 1, 0, WR__BODY_NONE, 0},
        {{NULL}, 0, 0, WR__BODY_NONE, 0},
        {{"X:5"}, 1, 0, WR__BODY_NONE, 0},
        {{"L:0"}, 1, 0, WR__BODY_LENGTH, 0},
        {{"L:5"}, 1, 0, WR__BODY_LENGTH, 5},
        {{"L:5"}, 0, 0, WR__BODY_LENGTH, 5},
        {{"X:", "L:007"}, 1, 0, WR__BODY_LENGTH, 7},
        {{"L:999999999999999999"}, 1, 0, WR__BODY_LENGTH, 999999999999999999},
        {{"L:1000000000000000000"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:18446744073709551616"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:-1"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:+1"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:0x1"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:1 1"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5, 5"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5", "L:5"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5", "X:", "L:6"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:chunked"}, 1, 0, WR__BODY_CHUNKED, 0},
        {{"T:ChunKed"}, 1, 0, WR__BODY_CHUNKED, 0},
        {{"T:chunked"}, 0, 400, WR__BODY_NONE, 0},
        {{"T:gzip, chunked"}, 1, 501, WR__BODY_NONE, 0},
        {{"T:chunked, gzip"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:chunked", "T:chunked"}, 1, 501, WR__BODY_NONE, 0},
        {{"T:gzip", "X:", "T:\tchunked"}, 1, 501, WR__BODY_NONE, 0},
        {{"T:chunked", "T:gzip"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:chunked,"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:identity"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:xchunked"}, 1, 400, WR__BODY_NONE, 0},
        {{"T:chunked", "L:5"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5", "T:chunked"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5", "T:gzip"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:x", "T:chunked"}, 1, 400, WR__BODY_NONE, 0},
        {{"L:5", "T:chunked"}, 0, 400, WR__BODY_NONE, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        wr_request r;
        wr_field fields[4];
        wr__body body;

        make_request(&r, fields, rows[i].fields, rows[i].minor);
        assert_int_equal(wr__body_frame(&r, &body), rows[i].status);
        if (rows[i].status == 0) {
            assert_int_equal(body.kind, rows[i].kind);
            assert_int_equal(body.left, rows[i].length);
            assert_int_equal(body.is_done, body.kind == WR__BODY_NONE
                                               || (body.kind == WR__BODY_LENGTH
                                                   && body.left == 0));
        }
    }
}

/* Taking it. */

typedef struct taken {
    wr__body body;
    int status;
    size_t used;
    char content[65536 + 64];
    size_t content_len;
} taken;

static void begin(taken *t, wr__body_kind kind, int64_t length)
{
    memset(&t->body, 0, sizeof(t->body));
    t->body.kind = (uint8_t)kind;
    t->body.left = length;
    t->status = 0;
    t->used = t->content_len = 0;
}

/** What is there of @a text, up to @a len; as the connection does it. */
static void take(taken *t, const char *text, size_t len)
{
    while (!t->body.is_done && t->status == 0 && t->used < len) {
        size_t used, n, left = len - t->used;
        const unsigned char *content;
        unsigned char *copy = malloc(left); /* its own size: overruns show */

        memcpy(copy, text + t->used, left);
        t->status = wr__body_take(&t->body, copy, left, &used, &content, &n);
        assert_true(used <= left);
        assert_true(n == 0 || (content >= copy && content + n <= copy + used));
        assert_true(used > 0);
        memcpy(t->content + t->content_len, content, n);
        t->content_len += n;
        t->used += used;
        free(copy);
    }
}

static void take_whole(taken *t, const char *text, size_t len)
{
    begin(t, WR__BODY_CHUNKED, 0);
    take(t, text, len);
}

static void test_length(void **state)
{
    static taken t;

    (void)state;
    begin(&t, WR__BODY_LENGTH, 5);
    take(&t, "hel", 3);
    assert_false(t.body.is_done);
    t.used = 0;
    take(&t, "loGET /", 7);
    assert_true(t.body.is_done);
    assert_int_equal(t.used, 2); /* the next request is not touched */
    assert_int_equal(t.body.received, 5);
    assert_memory_equal(t.content, "hello", 5);
}

static const struct good {
    const char *text, *content;
} goods[] = {
    {"0\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5;\r\nhello\r\n00\r\n\r\n", "hello"},
    {"a;x=y;z=\"q;\x80 \"\t;w\r\n0123456789\r\n0;last\r\n\r\n", "0123456789"},
    {"1 ;x\r\na\r\n1\r\nb\r\n000A\r\n0123456789\r\n0\r\n\r\n", "ab0123456789"},
    {"3\r\n\r\n0\r\n0\r\nA: b\r\nC:\r\n\r\n", "\r\n0"},
};

static void test_chunked(void **state)
{
    static taken t;

    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        size_t len = strlen(goods[i].text);
        char more[128];

        strcpy(more, goods[i].text);
        strcat(more, "GET /");
        take_whole(&t, more, strlen(more));
        assert_int_equal(t.status, 0);
        assert_true(t.body.is_done);
        assert_int_equal(t.used, len);
        assert_int_equal(t.content_len, strlen(goods[i].content));
        assert_memory_equal(t.content, goods[i].content, t.content_len);
        assert_int_equal(t.body.received, t.content_len);
        for (size_t cut = 0; cut < len; cut++) { /* none of it is complete */
            take_whole(&t, goods[i].text, cut);
            assert_int_equal(t.status, 0);
            assert_false(t.body.is_done);
        }
    }
}

static void test_chunked_in_pieces(void **state)
{
    static taken t;

    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        size_t len = strlen(goods[i].text);

        for (size_t a = 0; a <= len; a++) {
            for (size_t b = a; b <= len; b++) {
                begin(&t, WR__BODY_CHUNKED, 0);
                take(&t, goods[i].text, a);
                take(&t, goods[i].text, b);
                take(&t, goods[i].text, len);
                assert_int_equal(t.status, 0);
                assert_true(t.body.is_done);
                assert_int_equal(t.used, len);
                assert_int_equal(t.content_len, strlen(goods[i].content));
                assert_memory_equal(t.content, goods[i].content, t.content_len);
            }
        }
    }
}

/** Each is refused at its last byte, and nothing of it before. */
static void test_broken_chunks(void **state)
{
    static const char *const bads[] = {
        "\r",
        "\n",
        " ",
        ";",
        "g",
        "-",
        "+",
        "0x",
        "5\n",
        "5\r\r",
        "5\rh",
        "5g",
        "5 6",
        "5\t\r", /* white space belongs to an extension that follows */
        "5;\n",
        "5;a\x01",
        "5;\x7f",
        "5;a\r\r",
        "5\r\nhello0",
        "5\r\nhello\n",
        "5\r\nhello\r\r",
        "5\r\nhello\r\n\r",
        "5\r\nhello\r\n;",
        "0\r\n\n",
        "0\r\n\r\r",
        "0\r\n:",
        "0\r\n ",
        "0\r\nA ",
        "0\r\nA\r",
        "0\r\nA:\n",
        "0\r\nA:b\r\r",
        "0\r\nA:b\r\n ",
        "0\r\nA:b\r\n\r\r",
        "80000000000000000000", /* refused before it could wrap around */
        "8000000000000000",     /* 2^63: not a length */
    };
    static taken t;

    (void)state;
    for (size_t i = 0; i < COUNT(bads); i++) {
        size_t len = strlen(bads[i]);

        take_whole(&t, bads[i], len);
        if (t.status != 400 || t.used > len) {
            fail_msg("%s: %d", bads[i], t.status);
        }
        if (bads[i][0] != '8') {
            assert_int_equal(t.used, len);
            take_whole(&t, bads[i], len - 1);
            assert_int_equal(t.status, 0);
        }
    }
}

static void test_large_chunks(void **state)
{
    static taken t;
    static char text[65536 + 64];
    size_t head;

    (void)state;
    for (int size = 65534; size <= 65536; size++) {
        head = (size_t)sprintf(text, "%x\r\n", (unsigned)size);
        memset(text + head, 'c', (size_t)size);
        strcpy(text + head + size, "\r\n0\r\n\r\n");
        take_whole(&t, text, strlen(text));
        assert_int_equal(t.status, 0);
        assert_true(t.body.is_done);
        assert_int_equal(t.content_len, size);
    }
    /* The largest that can be said is waited for. */
    take_whole(&t, "7fffffffffffff\r\nx", 17);
    assert_int_equal(t.status, 0);
    assert_int_equal(t.body.left, 0x7ffffffffffffe);
}

/** Framing that has no end is refused, wherever it stands. */
static void test_overhead_is_bounded(void **state)
{
    static const struct {
        const char *start, *again;
    } rows[] = {
        {"", "0"},
        {"5;", "a"},
        {"5", " "},
        {"0\r\n", "a"},
        {"0\r\na:", "b"},
        {"0\r\n", "a:\r\n"},
        {"", "1;aaaa\r\nx\r\n"},
        {"", "000001\r\nx\r\n"},
    };
    static taken t;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int n = 0;

        take_whole(&t, rows[i].start, strlen(rows[i].start));
        while (t.status == 0 && n++ < 40000) {
            t.used = t.content_len = 0;
            take(&t, rows[i].again, strlen(rows[i].again));
        }
        assert_int_equal(t.status, 431);
        assert_true(n > 1000); /* but not at once */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_in_pieces),
        cmocka_unit_test(test_broken_chunks),
        cmocka_unit_test(test_large_chunks),
        cmocka_unit_test(test_overhead_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
