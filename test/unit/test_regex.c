/*
 * test_regex.c - regular expressions: groups, replacement, bounds.
 */
#include "wr_regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>

static int set_up(void **state)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    *state = pool;
    return 0;
}

static int tear_down(void **state)
{
    apr_pool_destroy(*state);
    return 0;
}

static const wr_regex *compile(apr_pool_t *pool, const char *pattern,
                               unsigned flags)
{
    const wr_regex *regex = NULL;

    assert_null(wr_regex_compile(&regex, pattern, flags, pool));
    return regex;
}

static wr_regex_result match(const wr_regex *regex, const char *subject,
                             wr_match *m)
{
    return wr_regex_match(regex, subject, strlen(subject), m);
}

static void refuses_what_is_wrong(void **state)
{
    const wr_regex *regex = NULL;
    const char *error = wr_regex_compile(&regex, "a(b", 0, *state);

    assert_non_null(strstr(error, "\"a(b\" is no regular expression: "));
    assert_non_null(strstr(error, "at its character 4"));
    assert_null(regex);
}

static void matches_anywhere_to_the_very_end(void **state)
{
    const wr_regex *regex = compile(*state, "b+$", 0);

    assert_int_equal(match(regex, "abb", NULL), WR_REGEX_YES);
    assert_int_equal(match(regex, "abB", NULL), WR_REGEX_NO);
    assert_int_equal(match(regex, "abb\n", NULL), WR_REGEX_NO);
    assert_int_equal(wr_regex_match(regex, "abx", 2, NULL), WR_REGEX_YES);
    assert_int_equal(match(compile(*state, "^A", WR_REGEX_NOCASE), "abc", NULL),
                     WR_REGEX_YES);
}

static void replaces(void **state)
{
    const wr_regex *regex = compile(*state, "/(\\w+)/(x)?(\\w*)", 0);
    wr_match m;

    assert_int_equal(wr_regex_groups(regex), 3);
    assert_int_equal(match(regex, "go /one/two!", &m), WR_REGEX_YES);
    assert_string_equal(wr_regex_expand(*state, "$3-$1[$2$9]&", &m),
                        "two-one[]/one/two");
    assert_string_equal(wr_regex_expand(*state, "\\$1\\&\\n$", &m), "$1&\\n$");
    assert_string_equal(wr_regex_expand(*state, "", &m), "");
    assert_string_equal(wr_regex_expand(*state, "$0$", &m), "/one/two$");
}

static void counts_references(void **state)
{
    (void)state;
    assert_int_equal(wr_regex_highest("none & $x \\$7"), 0);
    assert_int_equal(wr_regex_highest("$2/$1"), 2);
}

static void forgets_groups_beyond_nine(void **state)
{
    const wr_regex *regex =
        compile(*state, "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", 0);
    wr_match m;

    assert_int_equal(match(regex, "abcdefghijk", &m), WR_REGEX_YES);
    assert_int_equal(m.count, WR_REGEX_GROUPS);
    assert_string_equal(wr_regex_expand(*state, "$9$1", &m), "ia");
}

static void gives_up(void **state)
{
    const wr_regex *regex = compile(*state, "^(([a-z])+.)+[A-Z]([a-z])+$", 0);
    char subject[4000];

    memset(subject, 'a', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = '\0';
    assert_int_equal(match(regex, subject, NULL), WR_REGEX_GAVE_UP);
    assert_int_equal(match(regex, "ab.c.De", NULL), WR_REGEX_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_is_wrong, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(matches_anywhere_to_the_very_end,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_references, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_groups_beyond_nine, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(gives_up, set_up, tear_down),
    };
    int failed;

    apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
