/*
 * test_http_parse.c - heads of requests: which byte is refused where, that no
 * split of the input matters, the bounds, and what is found in valid ones.
 *
 * What is right is told by a regular expression for a whole head, matched
 * partially: a prefix that can be continued is one that matches in part.
 */
#include "server/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define FIELDS_MAX   8
#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

#define TOKEN  "[!#$%&'*+.^_`|~0-9A-Za-z-]"
#define ESCAPE "%[0-9A-Fa-f]{2}"
#define NAME   "[A-Za-z0-9._~!$&'()*+,;=-]"
#define PATH   "(?:[\\x21\\x24\\x26-\\x3b\\x3d\\x3f-\\x7e]|" ESCAPE ")*"
#define HOST   "(?:\\[(?:" NAME "|:)*\\]|(?:" NAME "|" ESCAPE ")+)"
#define FIELD  TOKEN "+:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n"

static const char grammar[] = "(?:\\r\\n){0,4}"
                              "(?:CONNECT " HOST ":[0-9]*"
                              "|OPTIONS \\*"
                              "|(?!CONNECT )" TOKEN "{1,32} "
                              "(?:/" PATH "|[A-Za-z][A-Za-z0-9+.-]*://" HOST
                              "(?::[0-9]*)?(?:[/?]" PATH ")?))"
                              " HTTP/[0-9]\\.[0-9]\\r\\n"
                              "(?:" FIELD "){0,8}\\r\\n";

static const wr__head_limits wide = {
    .line = 4096, .field = 4096, .fields = FIELDS_MAX, .head = 65536};

static const char *const valid_heads[] = {
    "GET /index.html HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "\r\n\r\nHEAD /a%20b/%C3%a4?q=1&r=%25 HTTP/1.1\r\nHost:\r\n\r\n",
    "GET http://user.example:8080/p?q HTTP/1.1\r\nhost: \t x \t y\t \r\n\r\n",
    "GET http://[::1]:80 HTTP/1.1\r\nA:b\r\nC-d: \r\nE:\t\r\n\r\n",
    "GET git+x-y.z://h%41?q HTTP/1.9\r\n!#$%&'*+.^_`|~-: \x80\xff\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECTS /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "M-SEARCH /{a}|\\^`[]'~ HTTP/1.1\r\nHost: a\r\nX: a:b , c\r\n\r\n",
};

/* Parsing. */

typedef struct result {
    int status;
    wr__head head;
    wr__head_field fields[FIELDS_MAX + 1];
} result;

static void begin(result *r)
{
    memset(r, 0, sizeof(*r));
    r->head.fields = r->fields;
    wr__head_reset(&r->head);
}

static void parse(result *r, const wr__head_limits *limits, const void *data,
                  size_t len)
{
    begin(r);
    r->status = wr__head_parse(&r->head, limits, data, len);
}

/** The same bytes, cut twice; each piece in memory of its own size, so that a
 *  look behind its end is seen. */
static void parse_cut(result *r, const wr__head_limits *limits,
                      const char *data, const size_t cuts[3])
{
    begin(r);
    for (int i = 0; i < 3; i++) {
        unsigned char *copy = malloc(cuts[i] + 1);

        memcpy(copy, data, cuts[i]);
        copy[cuts[i]] = '\n';
        r->status = wr__head_parse(&r->head, limits, copy, cuts[i]);
        free(copy);
        if (r->status) {
            return;
        }
    }
}

static void expect_same(const result *a, const result *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->head.count, b->head.count);
    if (a->status < 0) {
        assert_int_equal(a->head.pos, b->head.pos);
        return;
    }
    assert_int_equal(a->head.start, b->head.start);
    assert_int_equal(a->head.method_len, b->head.method_len);
    assert_int_equal(a->head.target, b->head.target);
    assert_int_equal(a->head.target_len, b->head.target_len);
    assert_int_equal(a->head.line_len, b->head.line_len);
    assert_memory_equal(a->fields, b->fields,
                        a->head.count * sizeof(a->fields[0]));
}

/* The reference. */

typedef struct reference {
    pcre2_code *code;
    pcre2_match_data *match;
} reference;

static int set_up(void **state)
{
    reference *ref = calloc(1, sizeof(*ref));
    int error;
    PCRE2_SIZE at;

    ref->code = pcre2_compile((PCRE2_SPTR)grammar, PCRE2_ZERO_TERMINATED,
                              PCRE2_ANCHORED, &error, &at, NULL);
    assert_non_null(ref->code);
    pcre2_jit_compile(ref->code, PCRE2_JIT_PARTIAL_SOFT);
    ref->match = pcre2_match_data_create_from_pattern(ref->code, NULL);
    *state = ref;
    return 0;
}

static int tear_down(void **state)
{
    reference *ref = *state;

    pcre2_match_data_free(ref->match);
    pcre2_code_free(ref->code);
    free(ref);
    return 0;
}

/** @return as wr__head_parse(): a length, 0 for more, or -400. */
static int expected(reference *ref, const unsigned char *data, size_t len)
{
    int n;

    if (len == 0) {
        return 0;
    }
    n = pcre2_match(ref->code, data, len, 0, PCRE2_PARTIAL_SOFT, ref->match,
                    NULL);
    if (n == PCRE2_ERROR_PARTIAL) {
        return 0;
    }
    return n > 0 ? (int)pcre2_get_ovector_pointer(ref->match)[1] : -400;
}

/** Statuses of their own for bytes that the grammar allows or refuses. */
static void check_special(reference *ref, const result *r,
                          const unsigned char *data)
{
    const wr__head *head = &r->head;

    assert_int_equal(expected(ref, data, head->pos), 0);
    switch (r->status) {
    case -501: /* the 33rd byte of a method */
        assert_int_equal(head->pos - head->start, 32);
        assert_true(wr__is_token_byte(data[head->pos]));
        break;
    case -505:
        assert_int_equal(data[head->pos], '\n');
        assert_int_not_equal(data[head->pos - 4], '1');
        break;
    case -431: /* the ninth field */
        assert_int_equal(head->count, FIELDS_MAX);
        assert_true(wr__is_token_byte(data[head->pos]));
        break;
    default:
        fail_msg("status %d", r->status);
    }
}

/** Is the parser's verdict on @a data the reference's, to the byte? */
static void check(reference *ref, const unsigned char *data, size_t len)
{
    result r;

    parse(&r, &wide, data, len);
    if (r.status >= 0) {
        assert_int_equal(expected(ref, data, len), r.status);
    }
    else if (r.status == -400) {
        assert_true(r.head.pos < len);
        assert_int_equal(expected(ref, data, r.head.pos), 0);
        assert_int_equal(expected(ref, data, r.head.pos + 1), -400);
    }
    else {
        check_special(ref, &r, data);
    }
}

/* Tests. */

static void test_valid_heads(void **state)
{
    for (size_t i = 0; i < COUNT(valid_heads); i++) {
        size_t len = strlen(valid_heads[i]);
        result r;

        parse(&r, &wide, valid_heads[i], len);
        assert_int_equal(r.status, len);
        assert_int_equal(
            expected(*state, (const unsigned char *)valid_heads[i], len), len);
    }
}

/** Each of 256 bytes at each position of each head, and nothing behind it. */
static void test_every_byte_everywhere(void **state)
{
    unsigned char data[256];

    for (size_t i = 0; i < COUNT(valid_heads); i++) {
        size_t len = strlen(valid_heads[i]);

        memcpy(data, valid_heads[i], len);
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                data[at] = (unsigned char)byte;
                check(*state, data, at + 1);
            }
            data[at] = (unsigned char)valid_heads[i][at];
        }
    }
}

/** The one that is always named: behind this only "P" may come. */
static void test_after_http_only_its_letter(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char data[] = "GET /index.html HTT?";
        result r;

        data[sizeof(data) - 2] = (char)byte;
        parse(&r, &wide, data, sizeof(data) - 1);
        assert_int_equal(r.status, byte == 'P' ? 0 : -400);
        assert_int_equal(r.head.pos, sizeof(data) - (byte == 'P' ? 1 : 2));
    }
}

static void test_lines_that_are_none(void **state)
{
    static const struct {
        const char *text;
        int pos;
    } rows[] = {
        {"GET / HTTP/1.1\n", 14},                 /* bare LF */
        {"GET / HTTP/1.1\r\rX", 15},              /* bare CR */
        {"GET / HTTP/1.1\r\nA: b\n", 20},         /* likewise in a field */
        {"GET / HTTP/1.1\r\nA: b\rc", 21},        /* likewise */
        {"GET / HTTP/1.1\r\nA: b\r\n c\r\n", 22}, /* folded */
        {"GET / HTTP/1.1\r\n\tA: b\r\n", 16},     /* likewise, the first */
        {"GET / HTTP/1.1\r\n: b\r\n", 16},        /* no name */
        {"GET / HTTP/1.1\r\nA : b\r\n", 17},      /* space before colon */
        {"GET / HTTP/1.1\r\nA\t: b\r\n", 17},
        {"GET / HTTP/1.1\r\nA\r\n", 17}, /* no colon */
        {"GET / HTTP/1.1\r\nA: b\r\n\rX", 23},
        {"GET  / HTTP/1.1\r\n", 4},
        {"GET / /x HTTP/1.1\r\n", 6},
        {"GET /\tHTTP/1.1\r\n", 5},
        {"GET /#f HTTP/1.1\r\n", 5},
        {"GET /%4 HTTP/1.1\r\n", 7},
        {"GET /\r\n", 5}, /* HTTP/0.9 */
        {"GET / HTTP/1.10\r\n", 14},
        {"GET / http/1.1\r\n", 6},
        {"GET * HTTP/1.1\r\n", 4},
        {"GET http:///x HTTP/1.1\r\n", 11}, /* an empty host */
        {"GET http://:80/ HTTP/1.1\r\n", 11},
        {"GET http://u@h/ HTTP/1.1\r\n", 12}, /* userinfo */
        {"GET http://h:8x/ HTTP/1.1\r\n", 14},
        {"CONNECT h HTTP/1.1\r\n", 9}, /* no port */
        {"CONNECT h:1/ HTTP/1.1\r\n", 11},
        {"CONNECT /x HTTP/1.1\r\n", 8},
        {" GET / HTTP/1.1\r\n", 0},
        {"\nGET / HTTP/1.1\r\n", 0},
        {"\r\n\r\n\r\n\r\n\r\nGET", 8},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        result r;

        parse(&r, &wide, rows[i].text, strlen(rows[i].text));
        assert_int_equal(r.status, -400);
        assert_int_equal(r.head.pos, rows[i].pos);
    }
}

static void test_nul_is_nowhere(void **state)
{
    const char *text = valid_heads[0];
    char data[128];

    (void)state;
    for (size_t at = 0; at < strlen(text); at++) {
        result r;

        strcpy(data, text);
        data[at] = '\0';
        parse(&r, &wide, data, strlen(text));
        assert_int_equal(r.status, -400);
        assert_int_equal(r.head.pos, at);
    }
}

static void test_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid_heads); i++) {
        size_t len = strlen(valid_heads[i]);
        result whole, cut;

        parse(&whole, &wide, valid_heads[i], len);
        for (size_t a = 0; a <= len; a++) {
            for (size_t b = a; b <= len; b++) {
                parse_cut(&cut, &wide, valid_heads[i],
                          (const size_t[3]){a, b, len});
                expect_same(&whole, &cut);
            }
        }
    }
}

/** Byte by byte, so that bounds that are met inside of a run are seen. */
static void expect_same_in_bytes(const wr__head_limits *limits,
                                 const void *data, size_t len)
{
    result whole, bytes;

    parse(&whole, limits, data, len);
    begin(&bytes);
    for (size_t n = 1; n <= len && bytes.status == 0; n++) {
        bytes.status = wr__head_parse(&bytes.head, limits, data, n);
    }
    expect_same(&whole, &bytes);
}

static int status_of(const wr__head_limits *limits, const char *data)
{
    result r;

    expect_same_in_bytes(limits, data, strlen(data));
    parse(&r, limits, data, strlen(data));
    return r.status > 0 ? 200 : -r.status;
}

static const char *filled(char *buf, const char *before, size_t fill,
                          const char *after)
{
    size_t len = strlen(before);

    memcpy(buf, before, len);
    memset(buf + len, 'a', fill);
    strcpy(buf + len + fill, after);
    return buf;
}

static void test_limit_of_line(void **state)
{
    wr__head_limits limits = wide;
    char buf[256];

    (void)state;
    limits.line = 64;
    for (int d = -1; d <= 1; d++) {
        int status = d > 0 ? 414 : 200;

        assert_int_equal(
            status_of(&limits, filled(buf, "GET /", (size_t)(50 + d),
                                      " HTTP/1.1\r\n\r\n")),
            status);
        assert_int_equal(
            status_of(&limits, filled(buf, "\r\nGET /?", (size_t)(49 + d),
                                      " HTTP/1.1\r\n\r\n")),
            status);
        assert_int_equal(
            status_of(&limits, filled(buf, "GET http://", (size_t)(44 + d),
                                      " HTTP/1.1\r\n\r\n")),
            status);
    }
    /* Refused at the first byte beyond it, whatever follows. */
    assert_int_equal(status_of(&limits, filled(buf, "GET /", 59, "")), 0);
    assert_int_equal(status_of(&limits, filled(buf, "GET /", 60, "")), 414);
}

static void test_limit_of_field(void **state)
{
    static const char start[] = "GET / HTTP/1.1\r\nX: ";
    wr__head_limits limits = wide;
    char buf[256];

    (void)state;
    limits.field = 32;
    for (int d = -1; d <= 1; d++) {
        int status = d > 0 ? 431 : 200;

        assert_int_equal(status_of(&limits, filled(buf, start, (size_t)(29 + d),
                                                   "\r\n\r\n")),
                         status);
        assert_int_equal(status_of(&limits, filled(buf, start, (size_t)(28 + d),
                                                   " \r\n\r\n")),
                         status);
        assert_int_equal(
            status_of(&limits, filled(buf, "GET / HTTP/1.1\r\n",
                                      (size_t)(31 + d), ":\r\n\r\n")),
            status);
    }
    assert_int_equal(
        status_of(&limits, filled(buf, "GET / HTTP/1.1\r\nX:", 0,
                                  "                              \r\n\r\n")),
        200);
    assert_int_equal(
        status_of(&limits, filled(buf, "GET / HTTP/1.1\r\nX:", 0,
                                  "                               \r\n\r\n")),
        431);
}

static void test_limit_of_fields(void **state)
{
    wr__head_limits limits = wide;

    (void)state;
    limits.fields = 2;
    assert_int_equal(status_of(&limits, "GET / HTTP/1.1\r\na:\r\nb:\r\n\r\n"),
                     200);
    assert_int_equal(status_of(&limits, "GET / HTTP/1.1\r\na:\r\nb:\r\nc"),
                     431);
    assert_int_equal(status_of(&limits, "GET / HTTP/1.1\r\na:\r\nb:\r\n c"),
                     400);
}

static void test_limit_of_head(void **state)
{
    wr__head_limits limits = wide;
    char buf[256];

    (void)state;
    limits.head = 64;
    for (int d = -1; d <= 1; d++) {
        int status = d > 0 ? 431 : 200;

        assert_int_equal(
            status_of(&limits, filled(buf, "GET / HTTP/1.1\r\nX: ",
                                      (size_t)(41 + d), "\r\n\r\n")),
            status);
        assert_int_equal(
            status_of(&limits, filled(buf, "GET / HTTP/1.1\r\n",
                                      (size_t)(43 + d), ":\r\n\r\n")),
            status);
    }
    assert_int_equal(
        status_of(&limits, filled(buf, "GET / HTTP/1.1\r\n", 60, "")), 431);
}

/** A name's length is kept in 16 bits. */
static void test_name_of_64_kilobytes(void **state)
{
    static const char start[] = "GET / HTTP/1.1\r\n";
    wr__head_limits limits = {
        .line = 1 << 20, .field = 1 << 20, .fields = 8, .head = 1 << 21};
    size_t start_len = sizeof(start) - 1;
    char *data = malloc(70000);

    (void)state;
    for (size_t len = 65535; len <= 65536; len++) {
        result r;

        filled(data, start, len, ": x\r\n\r\n");
        parse(&r, &limits, data, strlen(data));
        assert_int_equal(r.status,
                         len == 65535 ? (int)(start_len + len + 7) : -431);
    }
    free(data);
}

static void expect_field(const result *r, const char *data, unsigned i,
                         const char *name, const char *value)
{
    const wr__head_field *f = &r->fields[i];

    assert_true(i < r->head.count);
    assert_int_equal(f->name_len, strlen(name));
    assert_memory_equal(data + f->name, name, f->name_len);
    assert_int_equal(f->value_len, strlen(value));
    assert_memory_equal(data + f->value, value, f->value_len);
}

static void test_what_is_found(void **state)
{
    static const char data[] = "\r\nPUT /a?b HTTP/1.0\r\n"
                               "Host: \t h \r\nEmpty:\r\nBlank: \t \r\n"
                               "In-side:a \tb\t\r\n\r\nGET";
    result r;

    (void)state;
    parse(&r, &wide, data, sizeof(data) - 1);
    assert_int_equal(r.status, sizeof(data) - 4);
    assert_int_equal(r.head.start, 2);
    assert_int_equal(r.head.method_len, 3);
    assert_memory_equal(data + r.head.target, "/a?b", r.head.target_len);
    assert_int_equal(r.head.target_len, 4);
    assert_int_equal(r.head.line_len, strlen("PUT /a?b HTTP/1.0"));
    assert_int_equal(r.head.major, 1);
    assert_int_equal(r.head.minor, 0);
    assert_int_equal(r.head.count, 4);
    expect_field(&r, data, 0, "Host", "h");
    expect_field(&r, data, 1, "Empty", "");
    expect_field(&r, data, 2, "Blank", "");
    expect_field(&r, data, 3, "In-side", "a \tb");
}

static void test_versions_and_methods(void **state)
{
    char buf[128];

    (void)state;
    assert_int_equal(status_of(&wide, "GET / HTTP/2.0\r\n"), 505);
    assert_int_equal(status_of(&wide, "GET / HTTP/0.9\r\n"), 505);
    assert_int_equal(status_of(&wide, "GET / HTTP/2.0\r"), 0);
    assert_int_equal(status_of(&wide, "GET / HTTP/1.7\r\n\r\n"), 200);
    assert_int_equal(
        status_of(&wide, filled(buf, "", 32, " / HTTP/1.1\r\n\r\n")), 200);
    assert_int_equal(status_of(&wide, filled(buf, "", 33, "")), 501);
    assert_int_equal(status_of(&wide, filled(buf, "", 32, "\x01")), 400);
}

/* Random ones. */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/** A few bytes of @a data changed, taken out, or doubled. */
static size_t mutate(unsigned char *data, size_t len, uint32_t *seed)
{
    static const char likely[] =
        "\r\n\r\n \t::/?%[]*.-AaFg019\x00\x7f\x80#@HTP";
    uint32_t edits = 1 + next_random(seed) % 3;

    while (edits-- > 0) {
        size_t at = next_random(seed) % len;
        uint32_t how = next_random(seed) % 8;

        if (how < 5) {
            data[at] = how < 2
                           ? (unsigned char)next_random(seed)
                           : (unsigned char)
                               likely[next_random(seed) % (sizeof(likely) - 1)];
        }
        else if (how < 7 && len > 1) {
            memmove(data + at, data + at + 1, --len - at);
        }
        else {
            memmove(data + at + 1, data + at, len++ - at);
        }
    }
    return len;
}

static void test_mutations(void **state)
{
    uint32_t seed = 20061106;
    unsigned char data[512];

    for (int i = 0; i < 300000; i++) {
        const char *text = valid_heads[next_random(&seed) % COUNT(valid_heads)];
        size_t len = strlen(text);

        memcpy(data, text, len);
        len = mutate(data, len, &seed);
        check(*state, data, len);
    }
}

/** The same with narrow bounds: pieces against the whole. */
static void test_mutations_in_bytes(void **state)
{
    static const wr__head_limits narrow = {
        .line = 30, .field = 12, .fields = 2, .head = 60};
    uint32_t seed = 1994;
    unsigned char data[512];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const char *text = valid_heads[next_random(&seed) % COUNT(valid_heads)];
        size_t len = strlen(text);

        memcpy(data, text, len);
        len = mutate(data, len, &seed);
        expect_same_in_bytes(i % 2 ? &narrow : &wide, data, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_heads),
        cmocka_unit_test(test_every_byte_everywhere),
        cmocka_unit_test(test_after_http_only_its_letter),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_nul_is_nowhere),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_limit_of_line),
        cmocka_unit_test(test_limit_of_field),
        cmocka_unit_test(test_limit_of_fields),
        cmocka_unit_test(test_limit_of_head),
        cmocka_unit_test(test_name_of_64_kilobytes),
        cmocka_unit_test(test_what_is_found),
        cmocka_unit_test(test_versions_and_methods),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_mutations_in_bytes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
