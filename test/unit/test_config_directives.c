/*
 * test_config_directives.c - the core's directives about requests: the values
 * that they leave behind, what a section takes over from around it, and what
 * they refuse.
 */
#include "server/config.h"
#include "server/config_core.h"
#include "server/config_server.h"

#include "wr_mpm.h"

#include <apr_general.h>
#include <apr_strings.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static wr_mpm made_up_mpm = {.name = "hybrid", .summary = "made up"};
static wr_module mpm_hybrid_module = {WR_MODULE_HEAD("mpm_hybrid"),
                                      .mpm = &made_up_mpm};

wr_module *const wr__static_modules[] = {&mpm_hybrid_module, NULL};

/* helpers --------------------------------------------------------------------
 */

static apr_pool_t *pool;
static char folder[64];
static wr__config *config;

static int set_up(void **state)
{
    (void)state;
    apr_pool_create(&pool, NULL);
    strcpy(folder, "/tmp/weir-directives-XXXXXX");
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

/* What is said about a configuration, without the file's name; its first line
 * is a Listen. */
static const char *load(const char *text)
{
    const char *path = apr_pstrcat(pool, folder, "/x.conf", NULL);
    FILE *file = fopen(path, "w");
    wr__config_options options = {
        .file = "x.conf", .server_root = folder, .modules_dir = folder};
    size_t len;
    char *errors;
    const char *said = "", *line;

    assert_non_null(file);
    fprintf(file, "Listen 80\n%s", text);
    fclose(file);
    options.errors = open_memstream(&errors, &len);
    config = NULL;
    wr__config_load(&config, &options, pool);
    fclose(options.errors);
    for (line = errors; line && *line;) {
        const char *end = strchr(line, '\n');

        said = apr_pstrcat(
            pool, said,
            apr_pstrmemdup(pool, line + strlen(path),
                           (apr_size_t)(end + 1 - line) - strlen(path)),
            NULL);
        line = end + 1;
    }
    free(errors);
    return said;
}

static void expect_good(const char *text)
{
    assert_string_equal(load(text), "");
}

static const wr_dir_config *dir_of(const wr_server *server, const char *path)
{
    return wr__dir_config_for(server, NULL, path, pool);
}

static const wr__core_dir *at(const char *path)
{
    return wr__core_dir_of(dir_of(config->main_server, path));
}

static const wr__core_server *main_core(void)
{
    return wr__core_server_of(config->main_server);
}

/* directories ----------------------------------------------------------------
 */

static void test_defaults(void **state)
{
    const wr__core_dir *dir;

    (void)state;
    expect_good("");
    dir = at("/");
    assert_int_equal(dir->options.bits, WR_OPT_FOLLOW_SYMLINKS);
    assert_int_equal(dir->etag.bits, WR__ETAG_MTIME | WR__ETAG_SIZE);
    assert_int_equal(dir->limit_request_body, 1 << 20);
    assert_int_equal(dir->max_ranges, 200);
    assert_int_equal(dir->max_overlaps, 20);
    assert_int_equal(dir->max_reversals, 20);
    assert_int_equal(dir->sendfile, 1);
    assert_int_equal(dir->signature, WR__SIGNATURE_OFF);
    assert_int_equal(dir->canonical_name, 0);
    assert_string_equal(dir->charset, "");
    assert_string_equal(dir->forced_type, "");
    assert_null(wr__core_handler(config->main_server->dir_config));
    assert_null(wr__core_error_doc(config->main_server->dir_config, 404));
    assert_int_equal(main_core()->trace, WR__TRACE_OFF);
    assert_int_equal(main_core()->merge_slashes, 1);
    assert_int_equal(main_core()->strict_host_check, 0);
    assert_int_equal(main_core()->encoded_slashes, WR__SLASHES_REFUSED);
    assert_int_equal(main_core()->limit_request_line, 8190);
    assert_int_equal(main_core()->limit_request_head, 65536);
    assert_int_equal(main_core()->head_timeout.first_ns, 20 * WR_SEC);
    assert_int_equal(main_core()->send_min_rate, 500);
    assert_int_equal(main_core()->body_timeout.min_rate, 500);
    assert_int_equal(config->server_tokens, WR__TOKENS_MIN);
    assert_false(config->strict_host_check);
}

static void test_options(void **state)
{
    (void)state;
    expect_good("Options Indexes Includes\n"
                "<Directory /plus>\nOptions +ExecCGI -IncludesNOEXEC\n"
                "</Directory>\n"
                "<Directory /plus/none>\nOptions None\n</Directory>\n"
                "<Directory /plus/none/plus>\nOptions +MultiViews\n"
                "</Directory>\n"
                "<Directory /all>\nOptions all\n</Directory>\n"
                "<Directory /same>\nSetHandler x\n</Directory>\n"
                "<Directory /twice>\nOptions Indexes\nOptions +MultiViews\n"
                "Options -Indexes +SymLinksIfOwnerMatch\n</Directory>\n"
                "<VirtualHost *>\nOptions +FollowSymLinks\n</VirtualHost>\n");
    assert_int_equal(at("/")->options.bits,
                     WR_OPT_INDEXES | WR_OPT_INCLUDES | WR_OPT_INCLUDES_EXEC);
    assert_int_equal(at("/same/")->options.bits, at("/")->options.bits);
    assert_int_equal(at("/plus/")->options.bits,
                     WR_OPT_INDEXES | WR_OPT_INCLUDES_EXEC | WR_OPT_EXEC_CGI);
    assert_int_equal(at("/plus/none/")->options.bits, 0);
    assert_int_equal(at("/plus/none/plus/")->options.bits, WR_OPT_MULTIVIEWS);
    assert_int_equal(at("/all/")->options.bits & WR_OPT_MULTIVIEWS, 0);
    assert_int_equal(at("/all/")->options.bits & WR_OPT_EXEC_CGI,
                     WR_OPT_EXEC_CGI);
    assert_int_equal(at("/twice/")->options.bits,
                     WR_OPT_MULTIVIEWS | WR_OPT_SYMLINKS_IF_OWNER);
    assert_int_equal(wr_dir_options(dir_of(config->main_server->next, "/")),
                     at("/")->options.bits | WR_OPT_FOLLOW_SYMLINKS);
}

static void test_file_etag(void **state)
{
    (void)state;
    expect_good("<Directory /a>\nFileETag INode\n</Directory>\n"
                "<Directory /a/b>\nFileETag +Size\n</Directory>\n"
                "<Directory /c>\nFileETag None\n</Directory>\n"
                "<Directory /d>\nFileETag -MTime\n</Directory>\n"
                "<Directory /e>\nFileETag All\n</Directory>\n");
    assert_int_equal(at("/a/")->etag.bits, WR__ETAG_INODE);
    assert_int_equal(at("/a/b/")->etag.bits, WR__ETAG_INODE | WR__ETAG_SIZE);
    assert_int_equal(at("/c/")->etag.bits, 0);
    assert_int_equal(at("/d/")->etag.bits, WR__ETAG_SIZE);
    assert_int_equal(at("/e/")->etag.bits,
                     WR__ETAG_INODE | WR__ETAG_MTIME | WR__ETAG_SIZE);
}

static const wr__error_doc *doc_at(const char *path, int status)
{
    return wr__core_error_doc(dir_of(config->main_server, path), status);
}

static void test_error_documents(void **state)
{
    (void)state;
    expect_good("ErrorDocument 404 /lost.html\nErrorDocument 401 /login\n"
                "ErrorDocument 500 http://elsewhere.test/500\n"
                "<Directory /a>\nErrorDocument 403 \"Not for you\"\n"
                "ErrorDocument 500 default\n</Directory>\n"
                "<Directory /a/b>\nSetHandler x\n</Directory>\n");
    assert_int_equal(doc_at("/", 404)->kind, WR__ERROR_DOC_PATH);
    assert_string_equal(doc_at("/", 404)->text, "/lost.html");
    assert_int_equal(doc_at("/", 500)->kind, WR__ERROR_DOC_URL);
    assert_null(doc_at("/", 403));
    assert_null(doc_at("/", 200));
    assert_null(doc_at("/", 600));
    assert_int_equal(doc_at("/a/b/", 403)->kind, WR__ERROR_DOC_TEXT);
    assert_string_equal(doc_at("/a/b/", 403)->text, "Not for you");
    assert_string_equal(doc_at("/a/", 404)->text, "/lost.html");
    assert_null(doc_at("/a/", 500));
}

static void test_values_of_directories(void **state)
{
    const wr__core_dir *a, *b;

    (void)state;
    expect_good("<Directory /a>\nForceType text/plain;charset=utf-8\n"
                "AddDefaultCharset On\nServerSignature EMail\n"
                "UseCanonicalName On\nEnableSendfile Off\nMaxRanges none\n"
                "LimitRequestBody 0\nDefaultType none\nAllowOverride None\n"
                "SetHandler hello\n</Directory>\n"
                "<Directory /a/b>\nForceType none\nAddDefaultCharset off\n"
                "ServerSignature On\nUseCanonicalName off\n"
                "EnableSendfile On\nMaxRanges unlimited\n"
                "MaxRangeOverlaps none\nMaxRangeReversals 3\n"
                "LimitRequestBody 10K\nSetHandler None\n</Directory>\n"
                "<Directory /a/b/c>\nAddDefaultCharset utf-8\n"
                "MaxRanges 7\nServerSignature Off\n</Directory>\n"
                "<Directory /a/b/c/d>\nMaxRanges default\n</Directory>\n");
    a = at("/a/");
    b = at("/a/b/");
    assert_string_equal(a->forced_type, "text/plain;charset=utf-8");
    assert_string_equal(a->charset, "iso-8859-1");
    assert_int_equal(a->signature, WR__SIGNATURE_EMAIL);
    assert_int_equal(a->canonical_name, 1);
    assert_int_equal(a->sendfile, 0);
    assert_int_equal(a->max_ranges, 0);
    assert_int_equal(a->limit_request_body, 0);
    assert_string_equal(a->handler, "hello");
    assert_string_equal(b->forced_type, "");
    assert_string_equal(b->charset, "");
    assert_int_equal(b->signature, WR__SIGNATURE_ON);
    assert_int_equal(b->canonical_name, 0);
    assert_int_equal(b->sendfile, 1);
    assert_int_equal(b->max_ranges, WR__RANGES_UNLIMITED);
    assert_int_equal(a->max_reversals, 20);
    assert_int_equal(b->max_overlaps, 0);
    assert_int_equal(b->max_reversals, 3);
    assert_int_equal(b->limit_request_body, 10240);
    assert_string_equal(b->handler, "");
    assert_string_equal(at("/a/b/c/")->charset, "utf-8");
    assert_int_equal(at("/a/b/c/")->max_ranges, 7);
    assert_int_equal(at("/a/b/c/")->signature, WR__SIGNATURE_OFF);
    assert_int_equal(at("/a/b/c/")->limit_request_body, 10240);
    assert_int_equal(at("/a/b/c/d/")->max_ranges, 200);
}

static void test_errors_of_directories(void **state)
{
    (void)state;
    assert_string_equal(
        load("Options Indexes +ExecCGI\nOptions Index\nOptions None Indexes\n"
             "Options -None\nFileETag inode mtime date\n"
             "ErrorDocument 200 /x\nErrorDocument 401 http://x.test/\n"
             "ServerSignature maybe\nUseCanonicalName DNS\n"
             "MaxRanges many\nMaxRanges 0\nForceType text\n"
             "AddDefaultCharset \"a b\"\nDefaultType text/plain\n"
             "<Directory />\nAllowOverride All\n</Directory>\n"
             "LimitRequestBody -1\n"),
        ":2: Options: either all or none must have a + or a - before them\n"
        ":3: Options: \"Index\" is none of None, All, Indexes, Includes, "
        "IncludesNOEXEC, ExecCGI, FollowSymLinks, SymLinksIfOwnerMatch, "
        "MultiViews\n"
        ":4: Options: None stands alone, without + and -\n"
        ":5: Options: None stands alone, without + and -\n"
        ":6: FileETag: \"date\" is none of None, All, MTime, Size, INode\n"
        ":7: ErrorDocument: 200 is too small: at least 400\n"
        ":8: ErrorDocument: a document for 401 must be of this server: a path "
        "that begins with /\n"
        ":9: ServerSignature: \"maybe\" is none of On, Off, EMail\n"
        ":10: UseCanonicalName: DNS is not supported: write the name as "
        "ServerName\n"
        ":11: MaxRanges: \"many\" is not a whole number (or write none, "
        "default or unlimited)\n"
        ":12: MaxRanges: 0 is too small: at least 1 (or write none, default "
        "or unlimited)\n"
        ":13: ForceType: \"text\" is not a media type such as text/plain\n"
        ":14: AddDefaultCharset: \"a b\" is not a character set such as "
        "utf-8\n"
        ":15: DefaultType: only none is possible: a type that is not known is "
        "not sent; ForceType and AddType set one\n"
        ":17: AllowOverride: only None is possible: there are no .htaccess "
        "files; put what they say into <Directory>\n"
        ":19: LimitRequestBody: -1 is too small: at least 0\n");
}

/* servers --------------------------------------------------------------------
 */

static void test_values_of_servers(void **state)
{
    const wr_server *host;
    const wr__core_server *core;

    (void)state;
    expect_good("ServerName https://Main.test:443\nServerAdmin a@main.test\n"
                "LimitRequestLine 1000\nTraceEnable extended\n"
                "SendMinRate 0\n"
                "MergeSlashes off\nAllowEncodedSlashes NoDecode\n"
                "ServerTokens Prod\nReceiveBufferSize 65536\n"
                "CacheContent descriptor\nRequestReadTimeout header=5\n"
                "<VirtualHost *>\nServerName host.test\n"
                "LimitRequestFields 200\nTraceEnable On\n"
                "StrictHostCheck On\nAllowEncodedSlashes on\n"
                "LimitRequestHead 1M\nLimitRequestFieldSize 100\n"
                "RequestReadTimeout body=0 header=1-2s,MinRate=10\n"
                "</VirtualHost>\n");
    assert_string_equal(config->main_server->name, "main.test");
    assert_string_equal(config->main_server->scheme, "https");
    assert_int_equal(config->main_server->port, 443);
    host = config->main_server->next;
    core = wr__core_server_of(host);
    assert_string_equal(host->admin, "a@main.test");
    assert_null(host->scheme);
    assert_int_equal(host->port, 0);
    assert_int_equal(core->send_min_rate, 0);
    assert_int_equal(core->limit_request_line, 1000);
    assert_int_equal(core->limit_request_fields, 200);
    assert_int_equal(core->limit_request_field_size, 100);
    assert_int_equal(core->limit_request_head, 1 << 20);
    assert_int_equal(core->trace, WR__TRACE_ON);
    assert_int_equal(main_core()->trace, WR__TRACE_EXTENDED);
    assert_int_equal(core->merge_slashes, 0);
    assert_int_equal(core->encoded_slashes, WR__SLASHES_DECODED);
    assert_int_equal(main_core()->encoded_slashes, WR__SLASHES_KEPT);
    assert_int_equal(core->strict_host_check, 1);
    assert_int_equal(main_core()->strict_host_check, 0);
    assert_true(config->strict_host_check);
    assert_int_equal(config->limit_request_fields, 200);
    assert_int_equal(config->server_tokens, WR__TOKENS_PROD);
    assert_int_equal(config->receive_buffer_size, 65536);
    assert_int_equal(config->cache_content, WR__CONTENT_DESCRIPTOR);
}

static void expect_timeout(wr__read_timeout timeout, int64_t first, int64_t max,
                           int rate)
{
    assert_int_equal(timeout.first_ns, first * WR_SEC);
    assert_int_equal(timeout.max_ns, max * WR_SEC);
    assert_int_equal(timeout.min_rate, rate);
}

static void test_request_timeouts(void **state)
{
    const wr__core_server *host;

    (void)state;
    expect_good("");
    expect_timeout(main_core()->head_timeout, 20, 40, 500);
    expect_timeout(main_core()->body_timeout, 20, 0, 500);
    expect_good("RequestReadTimeout Header=10-30,minrate=1 body=1min\n"
                "<VirtualHost *>\nRequestReadTimeout body=5,MinRate=7\n"
                "</VirtualHost>\n<VirtualHost *>\n"
                "RequestReadTimeout header=0\n</VirtualHost>\n");
    expect_timeout(main_core()->head_timeout, 10, 30, 1);
    expect_timeout(main_core()->body_timeout, 60, 0, 0);
    host = wr__core_server_of(config->main_server->next);
    expect_timeout(host->head_timeout, 10, 30, 1);
    expect_timeout(host->body_timeout, 5, 0, 7);
    host = wr__core_server_of(config->main_server->next->next);
    expect_timeout(host->head_timeout, 0, 0, 0);
}

static void test_errors_of_servers(void **state)
{
    (void)state;
    assert_string_equal(
        load("RequestReadTimeout header=20-10,MinRate=1\n"
             "RequestReadTimeout header=20-40\n"
             "RequestReadTimeout body=5,MaxRate=1\n"
             "RequestReadTimeout body=5,MinRate=0\n"
             "RequestReadTimeout header=1 handshake=5\n"
             "ServerTokens Some\nAllowEncodedSlashes maybe\n"
             "MergeSlashes 1\nServerName ftp://x.test\n"
             "<Directory />\nTraceEnable on\n</Directory>\n"
             "<VirtualHost *>\nServerTokens Prod\n</VirtualHost>\n"),
        ":2: RequestReadTimeout: \"20-10\": the second time must be longer\n"
        ":3: RequestReadTimeout: \"20-40\": a time grows by what has come: "
        "add ,MinRate=BYTES\n"
        ":4: RequestReadTimeout: \"MaxRate=1\" is not MinRate=BYTES\n"
        ":5: RequestReadTimeout: 0 is too small: at least 1\n"
        ":6: RequestReadTimeout: \"handshake=5\" is neither header=TIME nor "
        "body=TIME, TIME being 20, 20,MinRate=500 or 20-40,MinRate=500\n"
        ":7: ServerTokens: \"Some\" is none of Full, OS, Minimal, Minor, "
        "Major, Prod\n"
        ":8: AllowEncodedSlashes: \"maybe\" is none of On, Off, NoDecode\n"
        ":9: MergeSlashes: \"1\" is neither On nor Off\n"
        ":10: ServerName: \"ftp\" is neither http nor https\n"
        ":12: TraceEnable can't stand in <Directory>, only outside all "
        "sections or in <VirtualHost>\n"
        ":15: ServerTokens can't stand in <VirtualHost>, only outside all "
        "sections\n");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_options),
        TEST(test_file_etag),
        TEST(test_error_documents),
        TEST(test_values_of_directories),
        TEST(test_errors_of_directories),
        TEST(test_values_of_servers),
        TEST(test_request_timeouts),
        TEST(test_errors_of_servers),
    };
    int failed;

    apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
