/*
 * test_config_section.c - which sections hold for a request, in which order,
 * and which virtual host it goes to.
 *
 * A module is made up whose one directive adds a word to those around it: what
 * was merged can be read off, in order.
 */
#include "server/config.h"
#include "server/config_core.h"
#include "server/config_server.h"

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_mpm.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* the module -----------------------------------------------------------------
 */

typedef struct marks {
    const char *text;
} marks;

static void *create_marks(apr_pool_t *pool)
{
    marks *m = apr_palloc(pool, sizeof(*m));

    m->text = "";
    return m;
}

static void *merge_marks(apr_pool_t *pool, const void *base, const void *add)
{
    const marks *outer = base, *inner = add;
    marks *m = apr_palloc(pool, sizeof(*m));

    m->text = apr_pstrcat(pool, outer->text, inner->text, NULL);
    return m;
}

static bool is_without_marks(const void *config)
{
    return *((const marks *)config)->text == '\0';
}

static const wr_command mark_commands[] = {
    {.name = "Mark",
     .run = wr_set_string,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 1,
     .args = "text",
     .offset = offsetof(marks, text)},
    {.name = NULL},
};

static wr_module mark_module = {
    WR_MODULE_HEAD("mark"),
    .commands = mark_commands,
    .create_dir_config = create_marks,
    .merge_dir_config = merge_marks,
    .inactive = is_without_marks,
};

static wr_mpm made_up_mpm = {.name = "hybrid", .summary = "made up"};
static wr_module mpm_hybrid_module = {WR_MODULE_HEAD("mpm_hybrid"),
                                      .mpm = &made_up_mpm};

wr_module *const wr__static_modules[] = {&mark_module, &mpm_hybrid_module,
                                         NULL};

/* helpers --------------------------------------------------------------------
 */

static apr_pool_t *pool;
static char folder[64];
static wr__config *config;

static int set_up(void **state)
{
    (void)state;
    apr_pool_create(&pool, NULL);
    strcpy(folder, "/tmp/weir-sections-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(apr_pstrcat(pool, folder, "/x.conf", NULL));
    rmdir(folder);
    apr_pool_destroy(pool);
    return 0;
}

/* @a text with "~" for each @a path. */
static const char *shorten(const char *text, const char *path)
{
    const char *result = "", *found;

    while ((found = strstr(text, path))) {
        result = apr_pstrcat(
            pool, result,
            apr_pstrmemdup(pool, text, (apr_size_t)(found - text)), "~", NULL);
        text = found + strlen(path);
    }
    return apr_pstrcat(pool, result, text, NULL);
}

/* What there is to say about a configuration after two lines. */
static const char *load(const char *text)
{
    const char *path = apr_pstrcat(pool, folder, "/x.conf", NULL);
    FILE *file = fopen(path, "w");
    wr__config_options options = {
        .file = "x.conf", .server_root = folder, .modules_dir = folder};
    const char *output;
    size_t len;
    char *errors;

    assert_non_null(file);
    fprintf(file, "Listen 80\nLoadModule mark_module x\n%s", text);
    fclose(file);
    options.errors = open_memstream(&errors, &len);
    config = NULL;
    wr__config_load(&config, &options, pool);
    fclose(options.errors);
    output = shorten(errors, path);
    free(errors);
    return output;
}

static const char *marks_of(const wr_dir_config *dir)
{
    const marks *m = wr_dir_config_of(dir, &mark_module);

    return m->text;
}

static const char *at(const wr_server *server, const char *uri,
                      const char *path)
{
    const wr_dir_config *dir = wr__dir_config_for(server, uri, path, pool);

    return dir ? marks_of(dir) : "gave up";
}

static const char *at_path(const char *path)
{
    return at(config->main_server, NULL, path);
}

static const char *at_uri(const char *uri)
{
    return at(config->main_server, uri, NULL);
}

/* directories ----------------------------------------------------------------
 */

static void test_wildcards(void **state)
{
    (void)state;
    assert_string_equal(
        load("Mark m\n"
             "<Directory /home/*/public_html>\nMark w\n</Directory>\n"
             "<Directory /home/ann/public_html/x>\nMark x\n</Directory>\n"
             "<Directory /home>\nMark h\n</Directory>\n"
             "<Directory /home/a?n>\nMark ?\n</Directory>\n"
             "<Directory /home/[bc]*>\nMark c\n</Directory>\n"),
        "");
    assert_string_equal(at_path("/srv/x"), "m");
    assert_string_equal(at_path("/home/"), "mh");
    assert_string_equal(at_path("/home/x"), "mh");
    assert_string_equal(at_path("/home/ann/"), "mh?");
    assert_string_equal(at_path("/home/ann/public_html/"), "mh?w");
    assert_string_equal(at_path("/home/ann/public_html/a/b/c"), "mh?w");
    assert_string_equal(at_path("/home/ann/public_html/x/y"), "mh?wx");
    assert_string_equal(at_path("/home/bob/public_html/y"), "mhcw");
    assert_string_equal(at_path("/home/bob/sub/public_html/y"), "mhc");
    assert_string_equal(at_path("/home/dan/public_html"), "mh");
}

static void test_depth_goes_before_place(void **state)
{
    (void)state;
    assert_string_equal(load("<Directory /a/b/c>\nMark 3\n</Directory>\n"
                             "<Directory /*/b>\nMark *\n</Directory>\n"
                             "<Directory /a/b>\nMark 2\n</Directory>\n"
                             "<Directory />\nMark 0\n</Directory>\n"
                             "<Directory /a>\nMark 1\n</Directory>\n"),
                        "");
    assert_string_equal(at_path("/a/b/c/d"), "01*23");
    assert_string_equal(at_path("/x/b/"), "0*");
    assert_string_equal(at_path("/f"), "0");
}

static void test_directory_regexes(void **state)
{
    (void)state;
    assert_string_equal(
        load("<Directory ~ ^/www/.*/[0-9]{3}>\nMark 3\n</Directory>\n"
             "<DirectoryMatch \"/private$\">\nMark p\n</DirectoryMatch>\n"
             "<DirectoryMatch \"/private/$\">\nMark P\n</DirectoryMatch>\n"
             "<Directory /www/a>\nMark a\n</Directory>\n"),
        "");
    assert_string_equal(at_path("/www/a/b/123/x"), "a3");
    assert_string_equal(at_path("/www/a/b/12/x"), "a");
    assert_string_equal(at_path("/www/private/"), "pP");
    assert_string_equal(at_path("/www/private/x"), "");
}

/* files ----------------------------------------------------------------------
 */

static void test_files(void **state)
{
    (void)state;
    assert_string_equal(
        load("<Files \"*.txt\">\nMark t\n</Files>\n"
             "<Directory /a>\nMark 1\n<Files one>\nMark o\n</Files>\n"
             "<FilesMatch \"^(one|two)$\">\nMark r\n</FilesMatch>\n"
             "</Directory>\n"
             "<Directory /a/b>\nMark 2\n<Files ~ \"e$\">\nMark e\n</Files>\n"
             "</Directory>\n"
             "<Files one>\nMark O\n</Files>\n"),
        "");
    assert_string_equal(at_path("/x/one"), "O");
    assert_string_equal(at_path("/x/a.txt"), "t");
    assert_string_equal(at_path("/x/one/"), "O");
    assert_string_equal(at_path("/x/one/two"), "");
    assert_string_equal(at_path("/a/one"), "1Oor");
    assert_string_equal(at_path("/a/two"), "1r");
    assert_string_equal(at_path("/a/b/one"), "12Oore");
    assert_string_equal(at_path("/a/b/three"), "12e");
    assert_string_equal(at_path("/a/b/c.txt"), "12t");
    assert_string_equal(at_path("/"), "");
}

static void test_files_in_patterns(void **state)
{
    (void)state;
    assert_string_equal(
        load("<Directory /*/x>\n<Files f>\nMark *\n</Files>\n</Directory>\n"
             "<Directory /a>\nMark a\n<Files f>\nMark f\n</Files>\n"
             "</Directory>\n"
             "<DirectoryMatch /x/>\nMark x\n<Files f>\nMark F\n</Files>\n"
             "</DirectoryMatch>\n"),
        "");
    assert_string_equal(at_path("/a/x/f"), "axf*F");
    assert_string_equal(at_path("/b/x/f"), "x*F");
    assert_string_equal(at_path("/a/f"), "af");
    assert_string_equal(at_path("/a/x/g"), "ax");
}

/* locations ------------------------------------------------------------------
 */

static void test_locations(void **state)
{
    (void)state;
    assert_string_equal(
        load("Mark m\n"
             "<Location /a/b>\nMark b\n</Location>\n"
             "<Location /a>\nMark a\n</Location>\n"
             "<Location /dir/>\nMark d\n</Location>\n"
             "<Location /w/*/z>\nMark w\n</Location>\n"
             "<Location ~ \"/(extra|special)/data\">\nMark e\n</Location>\n"
             "<LocationMatch \"(?i)^/NAME\">\nMark n\n</LocationMatch>\n"),
        "");
    assert_string_equal(at_uri("/"), "m");
    assert_string_equal(at_uri("/a"), "ma");
    assert_string_equal(at_uri("/a/"), "ma");
    assert_string_equal(at_uri("/ab"), "m");
    assert_string_equal(at_uri("/a/b/c"), "mba");
    assert_string_equal(at_uri("/a//b"), "mba");
    assert_string_equal(at_uri("/dir"), "m");
    assert_string_equal(at_uri("/dir/"), "md");
    assert_string_equal(at_uri("/dir/x"), "md");
    assert_string_equal(at_uri("/w/x/z"), "mw");
    assert_string_equal(at_uri("/w/x/y/z"), "m");
    assert_string_equal(at_uri("/w/x/z/"), "m");
    assert_string_equal(at_uri("/x/special/data"), "me");
    assert_string_equal(at_uri("/x//special//data"), "m");
    assert_string_equal(at_uri("/name"), "mn");
    assert_string_equal(at_uri("*"), "m");
    assert_string_equal(at(config->main_server, NULL, "/a"), "m");
}

static void test_all_kinds(void **state)
{
    const wr_server *host;

    (void)state;
    assert_string_equal(
        load("Mark m\n<Location /u>\nMark L\n</Location>\n"
             "<Files f>\nMark F\n</Files>\n"
             "<DirectoryMatch ^/d>\nMark R\n</DirectoryMatch>\n"
             "<Directory /d>\nMark D\n</Directory>\n"
             "<VirtualHost *>\nMark v\n<Location /u>\nMark l\n</Location>\n"
             "<Files f>\nMark f\n</Files>\n"
             "<DirectoryMatch ^/d>\nMark r\n</DirectoryMatch>\n"
             "<Directory /d>\nMark d\n</Directory>\n</VirtualHost>\n"),
        "");
    host = config->main_server->next;
    assert_string_equal(at(config->main_server, "/u", "/d/f"), "mDRFL");
    assert_string_equal(at(host, "/u", "/d/f"), "mvDdRrFfLl");
    assert_string_equal(at(host, "/u", NULL), "mvLl");
    assert_string_equal(at(host, "/x", "/x"), "mv");
}

/* combinations ---------------------------------------------------------------
 */

static void test_combinations_are_kept(void **state)
{
    wr_dir_config *one, *two, *other;
    uint64_t bit;

    (void)state;
    assert_string_equal(load("<Location /a>\nMark a\n</Location>\n"
                             "<Files *.x>\nMark x\n</Files>\n"),
                        "");
    bit = UINT64_C(1) << mark_module.index;
    one = wr__dir_config_for(config->main_server, "/a/1", "/s/1.x", pool);
    two = wr__dir_config_for(config->main_server, "/a/2", "/t/2.x", pool);
    other = wr__dir_config_for(config->main_server, "/a/2", "/t/2.y", pool);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, other);
    assert_false(one->is_lent);
    assert_int_equal(one->inactive & bit, 0);
    other = wr__dir_config_for(config->main_server, "/b", "/t/2.y", pool);
    assert_ptr_equal(other, config->main_server->dir_config);
    assert_int_equal(other->inactive & bit, bit);
}

/* Eleven sections, each of which holds or not as the client likes. */
static void test_combinations_are_bounded(void **state)
{
    const char *text = "";
    int lent = 0;

    (void)state;
    for (char c = 'a'; c <= 'k'; c++) {
        text = apr_psprintf(pool,
                            "%s<LocationMatch %c>\nMark %c\n</LocationMatch>\n",
                            text, c, c);
    }
    assert_string_equal(load(text), "");
    for (int i = 0; i < 2048; i++) {
        char uri[16] = "/", *end = uri + 1;
        wr_dir_config *dir;

        for (int j = 0; j < 11; j++) {
            if (i & 1 << j) {
                *end++ = (char)('a' + j);
            }
        }
        *end = '\0';
        dir = wr__dir_config_for(config->main_server, uri, NULL, pool);
        assert_string_equal(marks_of(dir), uri + 1);
        lent += dir->is_lent;
    }
    assert_int_equal(lent, 2047 - 1024);
    assert_false(
        wr__dir_config_for(config->main_server, "/a", NULL, pool)->is_lent);
}

static void test_a_regex_gives_up(void **state)
{
    char uri[4096];

    (void)state;
    assert_string_equal(load("<LocationMatch \"^/(a+)+$\">\nMark x\n"
                             "</LocationMatch>\n"),
                        "");
    memset(uri, 'a', sizeof(uri));
    uri[0] = '/';
    uri[sizeof(uri) - 2] = '!';
    uri[sizeof(uri) - 1] = '\0';
    assert_string_equal(at_uri(uri), "gave up");
    assert_string_equal(at_uri("/aaa"), "x");
}

#define THREADS 4

/* All threads meet the same combinations for the first time. */
static void *APR_THREAD_FUNC look_up(apr_thread_t *thread, void *data)
{
    wr_dir_config **found = data;
    apr_pool_t *own;

    (void)thread;
    apr_pool_create_unmanaged(&own);
    for (int i = 0; i < 256; i++) {
        char uri[16];

        snprintf(uri, sizeof(uri), "/%x/%x", i & 15, i >> 4);
        found[i] = wr__dir_config_for(config->main_server, uri, NULL, own);
    }
    apr_pool_destroy(own);
    return NULL;
}

static void test_threads_find_the_same(void **state)
{
    static wr_dir_config *found[THREADS][256];
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    const char *text = "";

    (void)state;
    for (int i = 0; i < 16; i++) {
        text = apr_psprintf(pool,
                            "%s<LocationMatch ^/%x/>\nMark 1\n</LocationMatch>"
                            "\n<LocationMatch ^/./%x$>\nMark 2\n"
                            "</LocationMatch>\n",
                            text, i, i);
    }
    assert_string_equal(load(text), "");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            apr_thread_create(&threads[i], NULL, look_up, found[i], pool), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
        assert_memory_equal(found[i], found[0], sizeof(found[0]));
    }
    assert_string_equal(marks_of(found[0][17]), "12");
}

/* errors ---------------------------------------------------------------------
 */

static void test_section_errors(void **state)
{
    (void)state;
    assert_string_equal(
        load("<Files a/b>\n</Files>\n<Location a>\n</Location>\n"
             "<Location /a>\n<Files b>\n</Files>\n</Location>\n"
             "<FilesMatch (>\n</FilesMatch>\n<LocationMatch a b>\n"
             "</LocationMatch>\n<Location /a>\n<Location /b>\n</Location>\n"
             "AllowOverride None\n</Location>\n"
             "<Directory ~ /a>\nAllowOverride None\n</Directory>\n"
             "<Directory ~>\n</Directory>\n"),
        "~:3: <Files>: \"a/b\" is not the name of a file: it has no slash in "
        "it\n"
        "~:5: <Location>: \"a\" is not the path of a URL: it begins with a "
        "slash\n"
        "~:8: <Files> can't stand in <Location>, only outside all sections, in "
        "<VirtualHost> or in <Directory>\n"
        "~:11: <FilesMatch>: \"(\" is no regular expression: missing closing "
        "parenthesis, at its character 2\n"
        "~:13: <LocationMatch> takes 1 argument, not 2; write <LocationMatch "
        "regex>\n"
        "~:16: <Location> can't stand in <Location>, only outside all sections "
        "or in <VirtualHost>\n"
        "~:18: AllowOverride can't stand in <Location>, only in <Directory>\n"
        "~:21: AllowOverride: can stand only in <Directory> without a regular "
        "expression\n"
        "~:23: <Directory>: takes one regular expression, in quotes if it has "
        "blanks\n");
}

/* virtual hosts --------------------------------------------------------------
 */

static int line_at(const char *local, const char *host)
{
    wr_listener listener = {.port = 80};
    wr_end end = {.fd = -1};
    wr_conn conn = {.listener = &listener, .ends = &end};
    struct sockaddr_in here = {.sin_family = AF_INET};
    bool is_named;
    int line;

    listener.addr.v4.sin_family = AF_INET;
    end.fd = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, local, &here.sin_addr);
    assert_int_equal(bind(end.fd, (struct sockaddr *)&here, sizeof(here)), 0);
    line = wr__server_for(config, &conn, host, &is_named)->line;
    close(end.fd);
    return is_named ? line : -line;
}

static void test_hosts_by_local_address(void **state)
{
    (void)state;
    assert_string_equal(
        load("<VirtualHost 127.0.0.2:80>\nServerName a\n</VirtualHost>\n"
             "<VirtualHost *:80>\nServerName b\nServerAlias *.b\n"
             "</VirtualHost>\n"                                        /* 6 */
             "<VirtualHost 127.0.0.2>\nServerName c\n</VirtualHost>\n" /* 10 */
             "<VirtualHost [::1]:80 127.0.0.3:80>\nServerName d\n"
             "</VirtualHost>\n"), /* 13 */
        "");
    assert_int_equal(line_at("127.0.0.1", "a"), -6);
    assert_int_equal(line_at("127.0.0.1", "x.b"), 6);
    assert_int_equal(line_at("127.0.0.2", "a"), 3);
    assert_int_equal(line_at("127.0.0.2", "c"), 10);
    assert_int_equal(line_at("127.0.0.2", "b"), -3);
    assert_int_equal(line_at("127.0.0.3", NULL), -13);
    assert_int_equal(line_at("127.0.0.4", NULL), -6);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_wildcards),
        TEST(test_depth_goes_before_place),
        TEST(test_directory_regexes),
        TEST(test_files),
        TEST(test_files_in_patterns),
        TEST(test_locations),
        TEST(test_all_kinds),
        TEST(test_combinations_are_kept),
        TEST(test_combinations_are_bounded),
        TEST(test_a_regex_gives_up),
        TEST(test_threads_find_the_same),
        TEST(test_section_errors),
        TEST(test_hosts_by_local_address),
    };
    int failed;

    apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
