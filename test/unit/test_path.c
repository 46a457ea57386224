/*
 * test_path.c - from a target to a path that can be trusted, against a slow
 * reference that works on a list of segments.
 */
#include "support.h"

#include "server/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

/** @return 0 or a status; with 0, the path and the query. */
static int find_path(site *s, apr_pool_t *pool, const char *target,
                     const char **uri, const char **args)
{
    wr_request r = {.pool = pool, .server = s->config->main_server};
    size_t len = strlen(target);
    char *exact = malloc(len); /* no NUL behind it */
    int status;

    memcpy(exact, target, len);
    status = wr__path_from_target(&r, exact, len);
    free(exact);
    *uri = r.uri;
    *args = r.args;
    return status;
}

static void test_paths(void **state)
{
    static const struct {
        const char *target, *path, *args;
        int status;
    } rows[] = {
        {"/", "/", NULL, 0},
        {"/a", "/a", NULL, 0},
        {"/a/", "/a/", NULL, 0},
        {"/a?", "/a", "", 0},
        {"/a?b?c%20", "/a", "b?c%20", 0},
        {"/?/../..", "/", "/../..", 0},
        {"/a%20b", "/a b", NULL, 0},
        {"/%41%7a%C3%a4", "/Az\xc3\xa4", NULL, 0},
        {"/%25%32%30", "/%20", NULL, 0}, /* once */
        {"/a%3fb", "/a?b", NULL, 0},
        {"/a%00", NULL, NULL, 400},
        {"/%00", NULL, NULL, 400},
        {"/a%2fb", NULL, NULL, 404},
        {"/a%2Fb", NULL, NULL, 404},
        {"/..%2f", NULL, NULL, 404},
        {"/.", "/", NULL, 0},
        {"/./", "/", NULL, 0},
        {"/a/.", "/a/", NULL, 0},
        {"/a/./b", "/a/b", NULL, 0},
        {"/a/..", "/", NULL, 0},
        {"/a/../", "/", NULL, 0},
        {"/a/b/../c", "/a/c", NULL, 0},
        {"/a/b/..", "/a/", NULL, 0},
        {"/a/b/../..", "/", NULL, 0},
        {"/a/%2e%2E/b", "/b", NULL, 0},
        {"/%2e", "/", NULL, 0},
        {"/...", "/...", NULL, 0},
        {"/..a/.b/c..", "/..a/.b/c..", NULL, 0},
        {"/..", NULL, NULL, 400},
        {"/../a", NULL, NULL, 400},
        {"/a/../..", NULL, NULL, 400},
        {"/a/../../a", NULL, NULL, 400},
        {"/./..", NULL, NULL, 400},
        {"/%2e%2e/", NULL, NULL, 400},
        {"//", "/", NULL, 0},
        {"//a", "/a", NULL, 0},
        {"/a//b///c", "/a/b/c", NULL, 0},
        {"/a//", "/a/", NULL, 0},
        {"/a//../b", "/b", NULL, 0},
        {"//..", NULL, NULL, 400},
    };
    site *s = site_create(&(site_options){0});

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *uri, *args;
        int status = find_path(s, s->pool, rows[i].target, &uri, &args);

        assert_int_equal(status, rows[i].status);
        if (status == 0) {
            assert_string_equal(uri, rows[i].path);
            assert_int_equal(args != NULL, rows[i].args != NULL);
            assert_true(!args || strcmp(args, rows[i].args) == 0);
        }
    }
    site_destroy(s);
}

/* The reference. */

static int value_of(char digit)
{
    static const char digits[] = "0123456789abcdef";

    return (int)(strchr(digits, digit | (digit >= 'A' ? 0x20 : 0)) - digits);
}

/** @return 0 or a status; @a text gets the decoded path. */
static int decode_slowly(const char *target, char *text, bool slashes)
{
    size_t n = 0;

    for (const char *at = target; *at && *at != '?'; at++) {
        int byte = *at;

        if (byte == '%') {
            byte = value_of(at[1]) * 16 + value_of(at[2]);
            if (byte == 0) {
                return 400;
            }
            if (byte == '/' && !slashes) {
                return 404;
            }
            at += 2;
        }
        text[n++] = (char)byte;
    }
    text[n] = '\0';
    return 0;
}

/** Segments between slashes, on a stack. */
static int find_slowly(apr_pool_t *pool, const char *target, bool slashes,
                       bool merges, const char **path)
{
    char text[256];
    const char *stack[128];
    int depth = 0, status = decode_slowly(target, text, slashes);
    bool ends_in_slash = false;

    if (status) {
        return status;
    }
    for (char *at = text + 1;;) {
        size_t len = strcspn(at, "/");
        const char *segment = apr_pstrmemdup(pool, at, len);
        bool is_last = at[len] == '\0';

        ends_in_slash = false;
        if (strcmp(segment, "..") == 0) {
            if (depth-- == 0) {
                return 400;
            }
            ends_in_slash = is_last;
        }
        else if (strcmp(segment, ".") == 0 || (len == 0 && merges)) {
            ends_in_slash = is_last;
        }
        else {
            stack[depth++] = segment;
        }
        if (is_last) {
            break;
        }
        at += len + 1;
    }
    *path = "";
    for (int i = 0; i < depth; i++) {
        *path = apr_pstrcat(pool, *path, "/", stack[i], NULL);
    }
    if (ends_in_slash) {
        *path = apr_pstrcat(pool, *path, "/", NULL);
    }
    return 0;
}

static const char *make_target(char *text, uint32_t *seed)
{
    static const char *const parts[] = {
        "/",   "/",    "/",   "//",  ".",   "..",  "a",   "bc",   "%2e",
        "%2E", "%2e.", "%61", "%2f", "%20", "...", "a.b", "/../", "/./",
    };
    uint32_t count = next_random(seed) % 12;

    strcpy(text, "/");
    while (count-- > 0) {
        strcat(text, parts[next_random(seed) % COUNT(parts)]);
    }
    if (next_random(seed) % 64 == 0) {
        strcat(text, "%00");
    }
    if (next_random(seed) % 4 == 0) {
        strcat(text, "?/../%2f");
    }
    return text;
}

static void test_against_reference(void **state)
{
    static const struct {
        const char *config;
        bool slashes, merges;
    } rows[] = {
        {NULL, false, true},
        {"MergeSlashes off\n", false, false},
        {"AllowEncodedSlashes on\n", true, true},
        {"AllowEncodedSlashes on\nMergeSlashes off\n", true, false},
    };
    uint32_t seed = 3986;
    char target[256];
    apr_pool_t *pool;

    (void)state;
    apr_pool_create(&pool, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        site *s = site_create(&(site_options){.config = rows[i].config});

        for (int n = 0; n < 50000; n++) {
            const char *uri, *args, *expected = NULL;
            int status;

            make_target(target, &seed);
            status = find_slowly(pool, target, rows[i].slashes, rows[i].merges,
                                 &expected);
            assert_int_equal(find_path(s, pool, target, &uri, &args), status);
            if (status == 0) {
                assert_string_equal(uri, expected);
                assert_null(strstr(uri, "/../"));
                assert_int_equal(uri[0], '/');
            }
            apr_pool_clear(pool);
        }
        site_destroy(s);
    }
    apr_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_against_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
