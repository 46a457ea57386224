/*
 * test_status.c - the forms in which the status is shown are well-formed,
 * whatever is counted and whatever the numbers and names are.
 */
#include "modules/generators/status.h"
#include "server/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <ctype.h>
#include <regex.h>
#include <string.h>
#include <unistd.h>

static apr_pool_t *pool;
static wr_counter_info infos[WR_N_COUNT];

/* A role may be whatever an MPM says. */
static const char hostile[16] = "<b>\"&\\\n\x01\xe4{},}";

static char *shown(const wr__status_form *form, const wr__status *s)
{
    apr_bucket_alloc_t *list = apr_bucket_alloc_create(pool);
    apr_bucket_brigade *bb = apr_brigade_create(pool, list);
    apr_size_t len;
    char *text;

    form->show(s, bb);
    assert_int_equal(apr_brigade_pflatten(bb, &text, &len, pool), APR_SUCCESS);
    text = apr_pstrmemdup(pool, text, len);
    assert_int_equal(strlen(text), len);
    return text;
}

static void fill(int64_t *n, int count)
{
    static const int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1234567};

    for (int i = 0; i < count; i++) {
        n[i] = values[i % 6];
    }
}

static wr__status_group *add_group(apr_array_header_t *groups, const char *role)
{
    wr__status_group *group = apr_array_push(groups);

    memset(group, 0, sizeof(*group));
    group->pid = 1 + groups->nelts;
    memcpy(group->role, role, strlen(role));
    memcpy(group->mpm, role, strlen(role));
    group->resident_bytes = INT64_MAX;
    fill(group->n, WR_N_COUNT);
    fill(group->usage, WR__U_COUNT);
    return group;
}

/** A table that nobody would have thought of. */
static void make_infos(void)
{
    static const char *const units[] = {"", "bytes", "ns", "milli", "\"<&\\\n"};

    for (int i = 0; i < WR_N_COUNT; i++) {
        infos[i] = wr_counter_infos[i];
        infos[i].unit = units[i % 5];
        infos[i].kind = i % 3 ? WR_COUNTER : WR_GAUGE;
        infos[i].help = i % 2 ? "a <b>\"&\\\n\x01 help" : "";
    }
}

static wr__status *make_status(int rows)
{
    wr__status *s = apr_pcalloc(pool, sizeof(*s));

    s->mpm = hostile;
    s->host = hostile;
    s->has_rows = true;
    s->counters = infos;
    s->now_us = 1700000000000000;
    s->board.started_us = s->now_us - 90061000000;
    s->unread = rows;
    fill(s->all.n, WR_N_COUNT);
    fill(s->all.usage, WR__U_COUNT);
    s->generations = apr_array_make(pool, 1, sizeof(wr__status_group));
    s->processes = apr_array_make(pool, 1, sizeof(wr__status_group));
    s->roles = apr_array_make(pool, 1, sizeof(wr__status_group));
    s->threads = apr_array_make(pool, 1, sizeof(wr__status_thread));
    for (int i = 0; i < rows; i++) {
        wr__status_thread *t = apr_array_push(s->threads);

        memset(t, 0, sizeof(*t));
        memcpy(t->row.role, hostile, sizeof(hostile));
        t->row.state = (wr_role_state)(i % 3);
        t->has_usage = i % 2;
        fill(t->row.n, WR_N_COUNT);
        fill(t->usage, WR__U_COUNT);
        add_group(s->processes, hostile);
        add_group(s->generations, hostile);
    }
    add_group(s->roles, "");
    add_group(s->roles, "worker");
    add_group(s->roles, hostile);
    return s;
}

/* JSON (RFC 8259), read to its end. */

static const char *read_value(const char *at);

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \n");
}

static const char *read_string(const char *at)
{
    assert_int_equal(*at, '"');
    for (at++; *at != '"'; at++) {
        assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
        if (*at == '\\') {
            assert_int_equal(at[1], 'u');
            for (int i = 2; i < 6; i++) {
                assert_true(isxdigit((unsigned char)at[i]));
            }
            at += 5;
        }
    }
    return at + 1;
}

/** What stands in brackets. */
static const char *read_many(const char *at, char end, bool has_keys)
{
    at = skip_space(at + 1);
    while (*at != end) {
        if (has_keys) {
            at = skip_space(read_string(at));
            assert_int_equal(*at++, ':');
        }
        at = skip_space(read_value(skip_space(at)));
        if (*at != ',') {
            break;
        }
        at = skip_space(at + 1);
        assert_int_not_equal(*at, end);
    }
    assert_int_equal(*at, end);
    return at + 1;
}

static const char *read_value(const char *at)
{
    size_t digits;

    switch (*at) {
    case '{':
        return read_many(at, '}', true);
    case '[':
        return read_many(at, ']', false);
    case '"':
        return read_string(at);
    case 'n':
        assert_memory_equal(at, "null", 4);
        return at + 4;
    default:
        at += *at == '-';
        digits = strspn(at, "0123456789");
        assert_true(digits == 1 || (digits > 1 && *at != '0'));
        return at + digits;
    }
}

static void assert_json(const char *text)
{
    assert_string_equal(skip_space(read_value(text)), "");
}

/** Every line is of the form that the extended regular expression says. */
static void assert_lines(const char *text, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    while (*text) {
        size_t len = strcspn(text, "\n");
        char *line = apr_pstrmemdup(pool, text, len);

        if (regexec(&regex, line, 0, NULL, 0) != 0) {
            fail_msg("not well-formed: %s", line);
        }
        assert_int_equal(text[len], '\n');
        text += len + 1;
    }
    regfree(&regex);
}

#define METRIC "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define LABEL  "[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\]|\\\\[\\n\"])*\""

static void assert_prometheus(const char *text)
{
    /* A name's samples stand together, after its one TYPE. */
    assert_lines(text, "^(# HELP " METRIC " ([^\\]|\\\\[\\n])*"
                       "|# TYPE " METRIC " (counter|gauge)"
                       "|" METRIC "(\\{" LABEL "(," LABEL ")*\\})? "
                       "-?[0-9]+(\\.[0-9]+)?)$");
}

static void assert_auto(const char *text)
{
    const char *first = strchr(text, '\n');

    assert_non_null(first);
    assert_lines(first + 1, "^[A-Za-z0-9 ]+: [^[:cntrl:]]*$");
}

/** Elements are closed in the order in which they were opened. */
static void assert_html(const char *text)
{
    static const char *const empty[] = {"meta", "!DOCTYPE", NULL};
    const char *open[64];
    size_t lens[64];
    int depth = 0;

    while ((text = strchr(text, '<'))) {
        bool ends = text[1] == '/';
        const char *name = text + 1 + ends;
        size_t len = strcspn(name, " >\n");
        bool is_empty = false;

        for (int i = 0; empty[i]; i++) {
            is_empty = is_empty
                       || (strlen(empty[i]) == len
                           && memcmp(name, empty[i], len) == 0);
        }
        if (ends) {
            assert_true(depth > 0);
            depth--;
            assert_int_equal(lens[depth], len);
            assert_memory_equal(open[depth], name, len);
        }
        else if (!is_empty) {
            assert_true(depth < 64);
            open[depth] = name;
            lens[depth++] = len;
        }
        text = name + len;
    }
    assert_int_equal(depth, 0);
}

static void assert_all_forms(const wr__status *s)
{
    char *html = shown(&wr__status_html, s);

    assert_html(html);
    assert_null(strstr(html, "<b>"));
    assert_json(shown(&wr__status_json, s));
    assert_prometheus(shown(&wr__status_prometheus, s));
    assert_auto(shown(&wr__status_auto, s));
}

static void test_nothing_there(void **state)
{
    (void)state;
    make_infos();
    assert_all_forms(make_status(0));
}

static void test_whatever_is_counted(void **state)
{
    (void)state;
    make_infos();
    assert_all_forms(make_status(1));
    assert_all_forms(make_status(7));
}

static void test_a_page_for_people_is_bounded(void **state)
{
    const char *few, *many;

    (void)state;
    make_infos();
    few = shown(&wr__status_html, make_status(101));
    many = shown(&wr__status_html, make_status(3000));
    assert_non_null(strstr(few, "And 1 more threads"));
    assert_non_null(strstr(many, "And 2900 more threads"));
    assert_true(strlen(many) - strlen(few) < 200);
    /* Not so many: a sanitizer looks at the whole text with each string. */
    assert_all_forms(make_status(150));
}

/* The board as it is. */

static const wr__status_group *role_of(const wr__status *s, const char *name)
{
    for (int i = 0; i < s->roles->nelts; i++) {
        const wr__status_group *role =
            &APR_ARRAY_IDX(s->roles, i, wr__status_group);

        if (strcmp(role->role, name) == 0) {
            return role;
        }
    }
    fail_msg("there is no role %s", name);
    return NULL;
}

static wr_thread claim(const char *role, int64_t requests)
{
    wr_thread self = {.row = wr__board_claim("test", 0, role)};

    wr_count(&self, WR_N_REQUESTS, requests);
    return self;
}

static void test_rows_are_added_up(void **state)
{
    wr_thread one = claim("worker1", 3), other = claim("worker12", 4);
    wr_thread io = claim("io", 5);
    const wr__status *s;

    (void)state;
    wr_role_is(&other, WR_ROLE_WAITING);
    s = wr__status_gather(pool, "test");
    assert_int_equal(s->all.n[WR_N_REQUESTS], 12);
    assert_int_equal(s->all.threads, 3);
    assert_int_equal(s->all.busy, 2);
    assert_int_equal(s->processes->nelts, 1);
    assert_int_equal(role_of(s, "worker")->n[WR_N_REQUESTS], 7);
    assert_int_equal(role_of(s, "worker")->threads, 2);
    assert_int_equal(role_of(s, "worker")->busy, 1);
    assert_int_equal(role_of(s, "io")->n[WR_N_REQUESTS], 5);
    wr__board_release(one.row, NULL);
    wr__board_release(other.row, NULL);
    /* Whoever ended still counts for the role, and no more for the process. */
    s = wr__status_gather(pool, "test");
    assert_int_equal(role_of(s, "worker")->n[WR_N_REQUESTS], 7);
    assert_int_equal(role_of(s, "worker")->threads, 0);
    assert_int_equal(
        APR_ARRAY_IDX(s->processes, 0, wr__status_group).n[WR_N_REQUESTS], 5);
    assert_int_equal(s->all.n[WR_N_REQUESTS], 12);
    /* A successor begins at nothing. */
    one = claim("worker1", 1);
    s = wr__status_gather(pool, "test");
    assert_int_equal(
        APR_ARRAY_IDX(s->processes, 0, wr__status_group).n[WR_N_REQUESTS], 6);
    assert_int_equal(role_of(s, "worker")->n[WR_N_REQUESTS], 8);
    wr__board_release(one.row, NULL);
    wr__board_release(io.row, NULL);
}

static void test_what_the_kernel_counts(void **state)
{
    int64_t usage[WR__U_COUNT], later[WR__U_COUNT];

    (void)state;
    assert_true(wr__usage_of_thread(getpid(), gettid(), usage));
    assert_true(usage[WR__U_CPU] > 0);
    assert_true(usage[WR__U_MINOR_FAULTS] > 0);
    usleep(1000);
    assert_true(wr__usage_of_thread(getpid(), gettid(), later));
    assert_true(later[WR__U_VOLUNTARY] > usage[WR__U_VOLUNTARY]);
    assert_true(later[WR__U_CPU] >= usage[WR__U_CPU]);
    assert_true(wr__resident_bytes(getpid()) > 100000);
}

static void test_who_has_ended_is_no_error(void **state)
{
    int64_t usage[WR__U_COUNT];
    const wr__status *s;
    wr_thread self = claim("gone", 0);

    (void)state;
    assert_false(wr__usage_of_thread(getpid(), 1, usage));
    assert_int_equal(wr__resident_bytes(0), 0);
    atomic_store(&self.row->tid, 1); /* none of ours */
    s = wr__status_gather(pool, "test");
    assert_int_equal(s->threads->nelts, 1);
    assert_false(APR_ARRAY_IDX(s->threads, 0, wr__status_thread).has_usage);
    assert_json(shown(&wr__status_json, s));
    wr__board_release(self.row, NULL);
}

static int make_board(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    return wr__board_create();
}

static int drop_board(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_whatever_is_counted),
        cmocka_unit_test(test_a_page_for_people_is_bounded),
        cmocka_unit_test(test_rows_are_added_up),
        cmocka_unit_test(test_what_the_kernel_counts),
        cmocka_unit_test(test_who_has_ended_is_no_error),
    };

    return cmocka_run_group_tests(tests, make_board, drop_board);
}
