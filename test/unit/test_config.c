/*
 * test_config.c - whole configurations: directives against their tables,
 * modules and MPMs chosen, servers and directories merged and found, and every
 * error with its file and line.
 *
 * Modules and MPMs are made up and "compiled in": the table of such is this
 * file's.
 */
#include "wr_conn.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_mpm.h"

#include "server/config.h"
#include "server/config_core.h"
#include "server/config_server.h"
#include "server/hook.h"
#include "server/module_load.h"
#include "server/static_modules.h"

#include <apr_general.h>
#include <apr_strings.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* made-up modules -------------------------------------------------------------
 */

typedef struct fake_config {
    const char *text, *path;
    int flag, choice, number;
    int64_t size, ns;
} fake_config;

static void *create_fake(apr_pool_t *pool)
{
    fake_config *c = apr_pcalloc(pool, sizeof(*c));

    c->number = -1;
    return c;
}

/* Texts are joined, so that the order of merges can be seen. */
static void *merge_fake(apr_pool_t *pool, const void *base, const void *add)
{
    const fake_config *outer = base, *inner = add;
    fake_config *c = apr_pmemdup(pool, inner, sizeof(*c));

    c->number = inner->number >= 0 ? inner->number : outer->number;
    c->text = apr_pstrcat(pool, outer->text ? outer->text : "",
                          inner->text ? inner->text : "", NULL);
    return c;
}

static bool is_fake_inactive(const void *config)
{
    return ((const fake_config *)config)->number < 0;
}

static const char *refuse(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    (void)argv;
    return "never right";
}

static int hooks_registered, pre_configs;
static apr_status_t pre_config_result;

static apr_status_t count_pre_config(apr_pool_t *p)
{
    (void)p;
    pre_configs++;
    return pre_config_result;
}

static void register_fake_hooks(apr_pool_t *p)
{
    (void)p;
    hooks_registered++;
    wr_hook_pre_config(count_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
}

#define FAKE(FIELD) .offset = offsetof(fake_config, FIELD)
#define ONE         .min_args = 1, .max_args = 1

static const wr_command fake_commands[] = {
    {"FakeText", wr_set_string, WR_IN_ANY, ONE, FAKE(text), .args = "text"},
    {"FakeNumber", wr_set_int, WR_IN_ANY, ONE, FAKE(number), .max = 100},
    {"FakeFlag", wr_set_flag, WR_IN_SERVERS, ONE, FAKE(flag)},
    {"FakeChoice", wr_set_choice, WR_IN_SERVERS, ONE, FAKE(choice),
     .args = "one|two|twofold"},
    {"FakeServer", wr_set_int, WR_IN_SERVERS, ONE, FAKE(number), .max = 100},
    {"FakeSize", wr_set_size, WR_IN_GLOBAL, ONE, FAKE(size), .min = 10,
     .max = 1 << 20},
    {"FakeTime", wr_set_time, WR_IN_GLOBAL, ONE, FAKE(ns), .min = WR_MS,
     .max = 3600 * WR_SEC},
    {"FakePath", wr_set_path, WR_IN_GLOBAL, ONE, FAKE(path)},
    {"FakeRefuse", refuse, WR_IN_GLOBAL, .max_args = WR_ARGS_ANY},
    {"FakePair", refuse, WR_IN_GLOBAL, .min_args = 1, .max_args = 2,
     .args = "one [two]"},
    {.name = "FakeNone", .run = refuse, .context = WR_IN_GLOBAL},
    {.name = NULL},
};

static wr_module fake_module = {
    WR_MODULE_HEAD("fake"),           .commands = fake_commands,
    .create_dir_config = create_fake, .create_server_config = create_fake,
    .merge_dir_config = merge_fake,   .merge_server_config = merge_fake,
    .inactive = is_fake_inactive,     .register_hooks = register_fake_hooks,
};

static const wr_command other_commands[] = {
    {"OtherText", wr_set_string, WR_IN_GLOBAL, ONE, FAKE(text)},
    {.name = NULL},
};
static wr_module other_module = {
    WR_MODULE_HEAD("other"),
    .commands = other_commands,
};
static wr_module old_module = {.magic = 1, .name = "old"};

/* made-up MPMs ----------------------------------------------------------------
 */

static const char *check_threads(void *config, apr_pool_t *p)
{
    const fake_config *c = config;

    (void)p;
    return c->number == 13 ? "13 threads bring bad luck" : NULL;
}

static const char *describe_threads(const void *config, apr_pool_t *p)
{
    return apr_psprintf(p, "Threads: %d\n",
                        ((const fake_config *)config)->number);
}

static const wr_command thread_commands[] = {
    {"ThreadsPerChild", wr_set_int, WR_IN_MPM, ONE, FAKE(number), .min = 1,
     .max = 64, .args = "threads"},
    {.name = NULL},
};
static const wr_command loop_commands[] = {
    {"LoopBatch", wr_set_int, WR_IN_MPM, ONE, FAKE(number)},
    {.name = NULL},
};

#define MPM(NAME, COMMANDS)                                               \
    static wr_mpm NAME##_mpm = {.name = #NAME,                            \
                                .summary = "made up",                     \
                                .commands = COMMANDS,                     \
                                .config_create = create_fake,             \
                                .config_check = check_threads,            \
                                .describe = describe_threads};            \
    static wr_module mpm_##NAME##_module = {WR_MODULE_HEAD("mpm_" #NAME), \
                                            .mpm = &NAME##_mpm}
MPM(hybrid, thread_commands);
MPM(mt, thread_commands);
MPM(sped, loop_commands);

wr_module *const wr__static_modules[] = {
    &fake_module,   &other_module,    &old_module, &mpm_hybrid_module,
    &mpm_mt_module, &mpm_sped_module, NULL,
};

/* helpers
 * ----------------------------------------------------------------------- */

static apr_pool_t *pool;
static char folder[64];
static wr__config *config;
static char *output;

static char *path_of(const char *name)
{
    return apr_pstrcat(pool, folder, "/", name, NULL);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The errors, with "~" for the folder. */
static char *local(char *text)
{
    char *found;

    while ((found = strstr(text, folder))) {
        text = apr_pstrcat(
            pool, apr_pstrmemdup(pool, text, (apr_size_t)(found - text)), "~",
            found + strlen(folder), NULL);
    }
    return text;
}

static apr_status_t load_options(wr__config_options *options)
{
    size_t len;
    char *text;
    apr_status_t rv;

    options->file = "x.conf";
    options->server_root = folder;
    options->modules_dir = folder;
    options->errors = open_memstream(&text, &len);
    config = NULL;
    rv = wr__config_load(&config, options, pool);
    fclose(options->errors);
    output = local(apr_pstrdup(pool, text));
    free(text);
    return rv;
}

static void expect_good(const char *text)
{
    wr__config_options options = {0};

    write_file("x.conf", text);
    load_options(&options);
    assert_string_equal(output, "");
    assert_non_null(config);
}

/* Errors after "Listen 80" in the first line. */
static void expect_errors(const char *text, const char *errors)
{
    wr__config_options options = {0};

    write_file("x.conf", apr_pstrcat(pool, "Listen 80\n", text, NULL));
    assert_int_not_equal(load_options(&options), APR_SUCCESS);
    assert_string_equal(output, apr_pstrcat(pool, errors, "\n", NULL));
    assert_null(config);
}

static wr_dir_config *dir_config_at(const wr_server *server, const char *path)
{
    return wr__dir_config_for(server, NULL, path, pool);
}

static const fake_config *dir_at(const wr_server *server, const char *path)
{
    return wr_dir_config_of(dir_config_at(server, path), &fake_module);
}

static int set_up(void **state)
{
    (void)state;
    apr_pool_create(&pool, NULL);
    pre_config_result = APR_SUCCESS;
    strcpy(folder, "/tmp/weir-config-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (system(apr_pstrcat(pool, "rm -rf ", folder, NULL)) != 0) {
        return -1;
    }
    apr_pool_destroy(pool);
    return 0;
}

/* the core's directives
 * ------------------------------------------------------------ */

static void test_defaults(void **state)
{
    const wr_server *s;

    (void)state;
    expect_good("Listen 127.0.0.1:8080\n");
    s = config->main_server;
    assert_string_equal(config->mpm->name, "hybrid");
    assert_string_equal(config->server_root, folder);
    assert_int_equal(s->timeout_ns, 60 * WR_SEC);
    assert_int_equal(s->keep_alive_timeout_ns, 5 * WR_SEC);
    assert_int_equal(s->keep_alive, 1);
    assert_int_equal(s->max_keep_alive_requests, 1000);
    assert_int_equal(config->processes, 1);
    assert_int_equal(config->accept_limit, 64);
    assert_int_equal(config->quantum, 1024 * 1024);
    assert_int_equal(config->cache_size, 64 << 20);
    assert_int_equal(config->cache_revalidate_ns, WR_SEC);
    assert_int_equal(config->cache_content, 1);
    assert_int_not_equal(config->uid, -1);
    assert_int_not_equal(config->gid, -1);
    assert_null(s->root);
}

static void test_every_directive(void **state)
{
    const wr_server *s;

    (void)state;
    expect_good("Listen 8080\nListen [::1]:8080\nListen 127.0.0.1:81\n"
                "ListenBacklog 100\nSendBufferSize 65536\n"
                "ServerName http://Example.ORG:8080\n"
                "ErrorLog logs/error\nLogLevel Debug\nPidFile /run/x.pid\n"
                "User root\nGroup #0\nTimeout 300\nKeepAlive off\n"
                "MaxKeepAliveRequests 0\nKeepAliveTimeout 1500ms\n"
                "Processes 2\nMaxConnections 1000\nAcceptLimit 1\n"
                "SendQuantum 64K\nGracefulShutdownTimeout 1min\n"
                "LimitRequestLine 100\nLimitRequestFields 10\n"
                "LimitRequestFieldSize 200\nLimitRequestHead 1K\n"
                "LimitRequestBody 1G\nRequestReadTimeout header=3\n"
                "CacheSize 1M\nCacheEntries 100\nCacheMaxFile 0\n"
                "CacheRevalidate 0\nCachePaths off\nCacheHeaders off\n"
                "CacheContent off\nSetHandler hello\n");
    s = config->main_server;
    assert_int_equal(config->listens->nelts, 3);
    assert_string_equal(
        APR_ARRAY_IDX(config->listens, 1, wr__listen *)->address, "::1");
    assert_int_equal(APR_ARRAY_IDX(config->listens, 2, wr__listen *)->port, 81);
    assert_null(APR_ARRAY_IDX(config->listens, 0, wr__listen *)->address);
    assert_int_equal(config->listen_backlog, 100);
    assert_int_equal(config->send_buffer_size, 65536);
    assert_string_equal(s->name, "example.org");
    assert_int_equal(s->port, 8080);
    assert_string_equal(config->error_log, path_of("logs/error"));
    assert_int_equal(s->log_level, 7);
    assert_string_equal(config->pid_file, "/run/x.pid");
    assert_string_equal(config->user, "root");
    assert_string_equal(config->group, "#0");
    assert_int_equal(s->timeout_ns, 300 * WR_SEC);
    assert_int_equal(s->keep_alive, 0);
    assert_int_equal(s->max_keep_alive_requests, 0);
    assert_int_equal(s->keep_alive_timeout_ns, 1500 * WR_MS);
    assert_int_equal(config->processes, 2);
    assert_int_equal(config->max_connections, 1000);
    assert_int_equal(config->accept_limit, 1);
    assert_int_equal(config->quantum, 65536);
    assert_int_equal(config->drain_timeout_ns, 60 * WR_SEC);
    assert_int_equal(config->limit_request_fields, 10);
    assert_int_equal(wr__core_dir_of(s->dir_config)->limit_request_body,
                     1 << 30);
    assert_int_equal(wr__core_server_of(s)->head_timeout.first_ns, 3 * WR_SEC);
    assert_int_equal(config->cache_size, 1 << 20);
    assert_int_equal(config->cache_entries, 100);
    assert_int_equal(config->cache_max_file, 0);
    assert_int_equal(config->cache_revalidate_ns, 0);
    assert_int_equal(config->cache_paths, 0);
    assert_int_equal(config->cache_headers, 0);
    assert_int_equal(config->cache_content, 0);
    assert_string_equal(wr__core_handler(s->dir_config), "hello");
}

static void test_document_root(void **state)
{
    const wr_server *s;
    struct stat opened, named;

    (void)state;
    mkdir(path_of("htdocs"), 0755);
    write_file("file", "");
    expect_good("Listen 80\nDocumentRoot htdocs/\n<VirtualHost *>\n"
                "DocumentRoot htdocs\n</VirtualHost>\n");
    s = config->main_server;
    assert_string_equal(s->document_root, path_of("htdocs"));
    assert_ptr_equal(s->root, s->next->root);
    assert_int_equal(fstat(s->root->fd, &opened), 0);
    assert_int_equal(stat(path_of("htdocs"), &named), 0);
    assert_int_equal(opened.st_ino, named.st_ino);
    assert_int_equal(s->root->device, named.st_dev);
    assert_int_equal(fcntl(s->root->fd, F_GETFD), FD_CLOEXEC);
    expect_errors("DocumentRoot none\nDocumentRoot file\n",
                  "~/x.conf:2: DocumentRoot: could not open ~/none: No such "
                  "file or directory\n"
                  "~/x.conf:3: DocumentRoot: could not open ~/file: Not a "
                  "directory");
}

static void test_root_of_all(void **state)
{
    apr_status_t status;
    wr_root *root = wr__root_open("/", pool, &status);

    (void)state;
    assert_non_null(root);
    assert_string_equal(root->path, "");
}

static void test_memory_file_system(void **state)
{
    apr_status_t status;
    wr_root *root = wr__root_open("/dev/shm", pool, &status);

    (void)state;
    if (root) {
        assert_int_equal(root->residency, WR_RESIDENT_ALWAYS);
    }
}

static void test_listen_errors(void **state)
{
    (void)state;
    expect_errors("Listen 127.0.0.1:80\nListen 80\nListen *:80\nListen 0\n"
                  "Listen 65536\nListen localhost:80\nListen ::1\n"
                  "Listen 1.2.3.4\nListen [::0:1]:9\nListen [::1]:9\n",
                  "~/x.conf:3: Listen: 80 is listened on already by "
                  "~/x.conf:1\n"
                  "~/x.conf:4: Listen: *:80 is listened on already by "
                  "~/x.conf:1\n"
                  "~/x.conf:5: Listen: \"0\" is not PORT, IPv4:PORT or "
                  "[IPv6]:PORT with a port of 1 to 65535\n"
                  "~/x.conf:6: Listen: \"65536\" is not PORT, IPv4:PORT or "
                  "[IPv6]:PORT with a port of 1 to 65535\n"
                  "~/x.conf:7: Listen: \"localhost\" is not a numeric address "
                  "(IPv6 stands in brackets: [::1]:8080)\n"
                  "~/x.conf:8: Listen: \":\" is not a numeric address (IPv6 "
                  "stands in brackets: [::1]:8080)\n"
                  "~/x.conf:9: Listen: \"1.2.3.4\" is not PORT, IPv4:PORT or "
                  "[IPv6]:PORT with a port of 1 to 65535\n"
                  "~/x.conf:11: Listen: [::1]:9 is listened on already by "
                  "~/x.conf:10");
}

static void test_no_listen(void **state)
{
    wr__config_options options = {0};

    (void)state;
    write_file("x.conf", "Timeout 5\n");
    assert_int_not_equal(load_options(&options), APR_SUCCESS);
    assert_string_equal(output, "~/x.conf:1: no Listen: there is no address "
                                "to serve on\n");
}

static void test_value_errors(void **state)
{
    (void)state;
    expect_errors("Timeout x\nTimeout 0\nTimeout 2d\nTimeout 25h\n"
                  "KeepAlive maybe\nProcesses 0\nProcesses 1.5\n"
                  "SendQuantum 1\nCacheSize 99999999999999999999\n"
                  "LogLevel loud\nRequestReadTimeout boody=3\n"
                  "CacheContent map\nTraceEnable maybe\nServerName a/b\n"
                  "ServerName \"\"\nMaxConnections -1\n",
                  "~/x.conf:2: Timeout: \"x\" is not a time such as 5, 500ms, "
                  "2min or 1h\n"
                  "~/x.conf:3: Timeout: 0 is too small: at least 1ms\n"
                  "~/x.conf:4: Timeout: \"2d\" is not a time such as 5, "
                  "500ms, 2min or 1h\n"
                  "~/x.conf:5: Timeout: 25h is too large: at most 24h\n"
                  "~/x.conf:6: KeepAlive: \"maybe\" is neither On nor Off\n"
                  "~/x.conf:7: Processes: 0 is too small: at least 1\n"
                  "~/x.conf:8: Processes: \"1.5\" is not a whole number\n"
                  "~/x.conf:9: SendQuantum: 1 is too small: at least 4K\n"
                  "~/x.conf:10: CacheSize: 99999999999999999999 is too large: "
                  "at most 1024G\n"
                  "~/x.conf:11: LogLevel: \"loud\" is none of emerg, alert, "
                  "crit, error, warn, notice, info, debug\n"
                  "~/x.conf:12: RequestReadTimeout: \"boody=3\" is neither "
                  "header=TIME nor body=TIME, TIME being 20, 20,MinRate=500 or "
                  "20-40,MinRate=500\n"
                  "~/x.conf:13: CacheContent: \"map\" is none of off, memory, "
                  "mmap, descriptor\n"
                  "~/x.conf:14: TraceEnable: \"maybe\" is none of on, off, "
                  "extended\n"
                  "~/x.conf:15: ServerName: \"a/b\" is not a host name\n"
                  "~/x.conf:16: ServerName: \"\" is not HOST or HOST:PORT\n"
                  "~/x.conf:17: MaxConnections: -1 is too small: at least 0");
}

static void test_log_levels(void **state)
{
    const wr_server *s, *one, *two;

    (void)state;
    expect_good("Listen 80\nLoadModule fake_module x\n"
                "LogLevel fake:emerg info mod_fake.c:debug\n"
                "<VirtualHost *>\nLogLevel core:error\n</VirtualHost>\n"
                "<VirtualHost *>\nLogLevel crit\n</VirtualHost>\n");
    s = config->main_server;
    one = s->next;
    two = one->next;
    assert_int_equal(s->log_level, WR_LOG_INFO);
    assert_int_equal(s->module_levels[fake_module.index], WR_LOG_DEBUG);
    assert_int_equal(s->module_levels[0], -1);
    assert_int_equal(one->log_level, WR_LOG_INFO);
    assert_int_equal(one->module_levels[fake_module.index], WR_LOG_DEBUG);
    assert_int_equal(one->module_levels[0], WR_LOG_ERROR);
    assert_int_equal(two->log_level, WR_LOG_CRIT);
    assert_null(two->module_levels);
    expect_errors("LogLevel info x:debug\nLogLevel core:loud\nLogLevel :warn\n",
                  "~/x.conf:2: LogLevel: there is no module \"x\" loaded "
                  "above\n"
                  "~/x.conf:3: LogLevel: \"loud\" is none of emerg, alert, "
                  "crit, error, warn, notice, info, debug\n"
                  "~/x.conf:4: LogLevel: there is no module \"\" loaded "
                  "above");
}

static void test_users(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        expect_good("Listen 80\nUser no-such-user\n");
        assert_int_equal(config->uid, geteuid());
        return;
    }
    expect_errors("User no-such-user\nGroup no-such-group\nUser #x\n",
                  "~/x.conf:2: User: there is no user \"no-such-user\"\n"
                  "~/x.conf:3: Group: there is no group \"no-such-group\"\n"
                  "~/x.conf:4: User: \"x\" is not a whole number");
    expect_good("Listen 80\nGroup #12345\nUser nobody\n");
    assert_int_equal(config->gid, 12345);
    expect_good("Listen 80\nUser nobody\nGroup #12345\n");
    assert_int_equal(config->gid, 12345);
    expect_good("Listen 80\nUser #4000000\nGroup #7\n");
    assert_int_equal(config->uid, 4000000);
    expect_errors("User #4000000\n", "~/x.conf:1: User #4000000 is in no "
                                     "group of its own: write Group");
}

/* form
 * ------------------------------------------------------------------------- */

static void test_form_errors(void **state)
{
    (void)state;
    expect_errors(
        "LoadModule fake_module x\nTimeout\nTimeout 1 2\nFakePair\n"
        "FakePair 1 2 3\nFakeNone x\n<Listen 81>\n</Listen>\n"
        "Directory /\n<VirtualHost>\n</VirtualHost>\nMPM\n",
        "~/x.conf:3: Timeout takes 1 argument, not 0; write Timeout "
        "time\n"
        "~/x.conf:4: Timeout takes 1 argument, not 2; write Timeout "
        "time\n"
        "~/x.conf:5: FakePair takes 1 to 2 arguments, not 0; write "
        "FakePair one [two]\n"
        "~/x.conf:6: FakePair takes 1 to 2 arguments, not 3; write "
        "FakePair one [two]\n"
        "~/x.conf:7: FakeNone takes no arguments, not 1; write "
        "FakeNone\n"
        "~/x.conf:8: Listen is not a section\n"
        "~/x.conf:10: <Directory> is a section: <Directory path|~ regex>"
        "\n"
        "~/x.conf:11: <VirtualHost> takes at least 1 argument, not "
        "0; write <VirtualHost address[:port] ...>\n"
        "~/x.conf:13: MPM takes 1 argument, not 0; write MPM name");
}

static void test_place_errors(void **state)
{
    (void)state;
    expect_errors("<VirtualHost *>\nListen 81\nLoadModule a b\n"
                  "ThreadsPerChild 1\n</VirtualHost>\n<Directory />\n"
                  "DocumentRoot /\n<Directory /x>\n</Directory>\n"
                  "ServerAlias x\n</Directory>\nServerAlias y\n<MPM sped>\n"
                  "Timeout 5\n</MPM>\n",
                  "~/x.conf:3: Listen can't stand in <VirtualHost>, only "
                  "outside all sections\n"
                  "~/x.conf:4: LoadModule can't stand in <VirtualHost>, only "
                  "outside all sections\n"
                  "~/x.conf:5: ThreadsPerChild can't stand in <VirtualHost>, "
                  "only outside all sections or in <MPM>\n"
                  "~/x.conf:8: DocumentRoot can't stand in <Directory>, only "
                  "outside all sections or in <VirtualHost>\n"
                  "~/x.conf:9: <Directory> can't stand in <Directory>, only "
                  "outside all sections or in <VirtualHost>\n"
                  "~/x.conf:11: ServerAlias can't stand in <Directory>, only "
                  "in <VirtualHost>\n"
                  "~/x.conf:13: ServerAlias can't stand outside all sections, "
                  "only in <VirtualHost>\n"
                  "~/x.conf:15: Timeout can't stand in <MPM>, only outside "
                  "all sections or in <VirtualHost>");
}

static void test_unknown_names(void **state)
{
    (void)state;
    expect_errors(
        "Tiemout 5\nKeepAliv on\nXyzzyPlugh 1\n<Drectory />\n"
        "Nonsense\n</Drectory>\nFakeText a\nThreadsPerChil 5\nOthrText x\n"
        "EnableMMAP on\n<Limit GET>\n</Limit>\n",
        "~/x.conf:2: unknown directive Tiemout; did you mean "
        "Timeout?\n"
        "~/x.conf:3: unknown directive KeepAliv; did you mean "
        "KeepAlive?\n"
        "~/x.conf:4: unknown directive XyzzyPlugh\n"
        "~/x.conf:5: unknown section Drectory; did you mean "
        "Directory?\n"
        "~/x.conf:8: FakeText belongs to a module that is not "
        "loaded: LoadModule fake_module modules/mod_fake.so\n"
        "~/x.conf:9: unknown directive ThreadsPerChil; did you mean "
        "ThreadsPerChild?\n"
        "~/x.conf:10: unknown directive OthrText; did you mean "
        "OtherText?\n"
        "~/x.conf:11: EnableMMAP is httpd's, and is not supported: "
        "CacheContent and EnableSendfile say how files are sent\n"
        "~/x.conf:12: Limit is httpd's, and is not supported: write Require "
        "method, in <Location> or <Directory>");
}

static void test_names_of_a_missing_module(void **state)
{
    (void)state;
    expect_errors("LoadModule gone_module modules/mod_gone.so\nGone 5\n",
                  "~/x.conf:2: LoadModule: could not open ~/mod_gone.so: No "
                  "such file or directory");
}

static void test_values(void **state)
{
    const fake_config *c;

    (void)state;
    expect_good("Listen 80\nLoadModule fake_module x\nFakeSize 64k\n"
                "FakeTime 2min\nFakePath a/../b\nFakeFlag ON\nFakeServer 7\n"
                "FakeChoice Two\n");
    c = wr_server_config(config->main_server, &fake_module);
    assert_int_equal(c->size, 65536);
    assert_int_equal(c->ns, 120 * WR_SEC);
    assert_string_equal(c->path, path_of("b"));
    assert_int_equal(c->flag, 1);
    assert_int_equal(c->choice, 1);
    assert_int_equal(c->number, 7);
    expect_errors("LoadModule fake_module x\nFakeRefuse\nFakeSize 9\n"
                  "FakeChoice twofol\nFakeChoice twofoldly\n",
                  "~/x.conf:3: FakeRefuse: never right\n"
                  "~/x.conf:4: FakeSize: 9 is too small: at least 10\n"
                  "~/x.conf:5: FakeChoice: \"twofol\" is none of "
                  "one|two|twofold\n"
                  "~/x.conf:6: FakeChoice: \"twofoldly\" is none of "
                  "one|two|twofold");
}

/* the command line
 * ---------------------------------------------------------------- */

static apr_array_header_t *list(const char *first, const char *second)
{
    apr_array_header_t *lines = apr_array_make(pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(lines, const char *) = first;
    if (second) {
        APR_ARRAY_PUSH(lines, const char *) = second;
    }
    return lines;
}

static void test_command_line(void **state)
{
    wr__config_options options = {0};

    (void)state;
    options.defines = list("PORT=8081", "EXTRA");
    options.before = list("Timeout 1", "KeepAliveTimeout 1");
    options.after = list("Timeout 3", NULL);
    write_file("x.conf", "Listen ${PORT}\nTimeout 2\n<IfDefine EXTRA>\n"
                         "Listen 82\n</IfDefine>\n");
    assert_int_equal(load_options(&options), APR_SUCCESS);
    assert_int_equal(config->listens->nelts, 2);
    assert_int_equal(config->main_server->timeout_ns, 3 * WR_SEC);
    assert_int_equal(config->main_server->keep_alive_timeout_ns, WR_SEC);
}

static void test_command_line_errors(void **state)
{
    wr__config_options options = {0};

    (void)state;
    options.before = list("Listen 80", "Timeout a");
    options.after = list("Timeout b", NULL);
    options.mpm = "nothing";
    write_file("x.conf", "Timeout c\n");
    assert_int_not_equal(load_options(&options), APR_SUCCESS);
    assert_string_equal(
        output, "-m:1: there is no MPM \"nothing\"; there are hybrid, mt, "
                "sped\n"
                "-C:2: Timeout: \"a\" is not a time such as 5, 500ms, 2min or "
                "1h\n"
                "~/x.conf:1: Timeout: \"c\" is not a time such as 5, 500ms, "
                "2min or 1h\n"
                "-c:1: Timeout: \"b\" is not a time such as 5, 500ms, 2min or "
                "1h\n");
}

static void test_server_root(void **state)
{
    (void)state;
    mkdir(path_of("d"), 0755);
    expect_good(apr_psprintf(pool,
                             "Listen 80\nServerRoot \"%s\"\n"
                             "PidFile x.pid\n",
                             path_of("d")));
    assert_string_equal(config->pid_file, path_of("d/x.pid"));
    expect_errors("ServerRoot d\nServerRoot /no/such/thing\n",
                  "~/x.conf:2: ServerRoot: \"d\" is not an absolute path\n"
                  "~/x.conf:3: ServerRoot: /no/such/thing is not a directory");
}

/* modules
 * ------------------------------------------------------------------------- */

static void test_modules(void **state)
{
    (void)state;
    expect_good("Listen 80\nLoadModule other_module x\n"
                "LoadModule fake_module x\nLoadModule fake_module x\n");
    assert_int_equal(config->modules->nelts, 4);
    assert_ptr_equal(APR_ARRAY_IDX(config->modules, 0, wr_module *),
                     &wr__core_module);
    assert_int_equal(wr__core_module.index, 0);
    assert_int_equal(other_module.index, 1);
    assert_int_equal(fake_module.index, 2);
    assert_ptr_equal(APR_ARRAY_IDX(config->modules, 3, wr_module *),
                     &mpm_hybrid_module);
    assert_ptr_equal(wr_module_find("fake"), &fake_module);
    assert_ptr_equal(wr_module_find("mpm_hybrid"), &mpm_hybrid_module);
    assert_null(wr_module_find("mpm_sped"));
    expect_good("Listen 80\n");
    assert_null(wr_module_find("fake"));
}

static void test_hooks_are_registered_once(void **state)
{
    int before;

    (void)state;
    expect_good("Listen 80\nLoadModule fake_module x\n");
    before = pre_configs;
    expect_good("Listen 80\nLoadModule fake_module x\n");
    assert_int_equal(hooks_registered, 1);
    assert_int_equal(pre_configs, before + 1);
}

static void test_pre_config_fails(void **state)
{
    (void)state;
    pre_config_result = APR_ENOENT;
    expect_errors("LoadModule fake_module x\n",
                  "~/x.conf:1: a module could not prepare itself: No such "
                  "file or directory");
}

static void test_if_module(void **state)
{
    (void)state;
    expect_good("<IfModule fake_module>\nNonsense\n</IfModule>\n"
                "LoadModule fake_module x\n"
                "<IfModule fake>\nListen 81\n</IfModule>\n"
                "<IfModule mod_fake.c>\nListen 82\n</IfModule>\n"
                "<IfModule mod_fake.so>\nListen 83\n</IfModule>\n"
                "<IfModule fake_module>\nListen 84\n</IfModule>\n"
                "<IfModule !other_module>\nListen 85\n</IfModule>\n");
    assert_int_equal(config->listens->nelts, 5);
}

static void test_module_errors(void **state)
{
    Dl_info info;

    (void)state;
    assert_int_not_equal(dladdr((void *)apr_initialize, &info), 0);
    write_file("mod_text.so", "not a library\n");
    write_file("x.conf", "");
    expect_errors(
        apr_psprintf(pool,
                     "LoadModule mime x\nLoadModule old_module x\n"
                     "LoadModule apr_module %s\n"
                     "LoadModule none_module sub/mod_none.so\n",
                     info.dli_fname),
        apr_psprintf(pool,
                     "~/x.conf:2: LoadModule: \"mime\" does not end in "
                     "_module\n"
                     "~/x.conf:3: LoadModule: old_module was made for another "
                     "Weir (its record has 00000001, this one needs %08x): "
                     "compile it again\n"
                     "~/x.conf:4: LoadModule: %s has no apr_module\n"
                     "~/x.conf:5: LoadModule: could not open "
                     "~/sub/mod_none.so: No such file or directory",
                     WR_MODULE_MAGIC, info.dli_fname));
    expect_errors("LoadModule text_module modules/mod_text.so\n",
                  "~/x.conf:2: LoadModule: could not load ~/mod_text.so: "
                  "~/mod_text.so: file too short");
}

static void test_module_names(void **state)
{
    (void)state;
    assert_string_equal(wr__module_name("mime", pool), "mime");
    assert_string_equal(wr__module_name("mod_mime.c", pool), "mime");
    assert_string_equal(wr__module_name("mod_mime.so", pool), "mime");
    assert_string_equal(wr__module_name("mime_module", pool), "mime");
    assert_string_equal(wr__module_name("log_config", pool), "log_config");
}

/* MPMs
 * ----------------------------------------------------------------------------
 */

static int threads(void)
{
    return ((const fake_config *)config->mpm_config)->number;
}

static void test_mpm_choice(void **state)
{
    wr__config_options options = {.mpm = "sped"};

    (void)state;
    expect_good("Listen 80\nMPM mt\nThreadsPerChild 3\n");
    assert_string_equal(config->mpm->name, "mt");
    assert_int_equal(threads(), 3);
    expect_good("ThreadsPerChild 3\nListen 80\nMPM mt\n");
    assert_string_equal(config->mpm->name, "mt");
    assert_int_equal(threads(), 3);
    expect_good("Listen 80\nLoadModule mpm_mt_module x\nMPM mt\n");
    assert_string_equal(config->mpm->name, "mt");
    write_file("x.conf", "Listen 80\nMPM mt\n");
    assert_int_equal(load_options(&options), APR_SUCCESS);
    assert_string_equal(config->mpm->name, "sped");
    assert_null(wr_module_find("mpm_mt"));
}

static void test_mpm_sections(void **state)
{
    (void)state;
    expect_good("Listen 80\n<MPM mt>\nThreadsPerChild 5\n</MPM>\n"
                "<MPM hybrid>\nThreadsPerChild 7\n</MPM>\n"
                "<MPM sped>\nLoopBatch 9\n</MPM>\n");
    assert_int_equal(threads(), 7);
    expect_good("Listen 80\nMPM sped\n<MPM mt>\nThreadsPerChild 5\n</MPM>\n"
                "<MPM sped>\nLoopBatch 9\n</MPM>\n");
    assert_int_equal(threads(), 9);
}

static void test_if_module_mpm(void **state)
{
    (void)state;
    expect_good("<IfModule mpm_mt>\nListen 81\n</IfModule>\n"
                "<IfModule !mpm_hybrid_module>\nTimeout 7\n</IfModule>\n"
                "<IfModule mpm_hybrid>\nNonsense\n</IfModule>\nMPM mt\n");
    assert_int_equal(config->listens->nelts, 1);
    assert_int_equal(config->main_server->timeout_ns, 7 * WR_SEC);
    expect_good("<IfModule mpm_hybrid>\nListen 81\n</IfModule>\n");
    expect_good("<IfDirective ThreadsPerChild>\nNonsense\n</IfDirective>\n"
                "<IfDirective loopbatch>\nListen 82\n</IfDirective>\n"
                "<IfDirective Directory>\nMPM sped\n</IfDirective>\n"
                "<IfDirective FakeText>\nNonsense\n</IfDirective>\n");
    assert_int_equal(config->listens->nelts, 1);
    expect_errors("<IfModule mpm_hybrid>\nMPM mt\n</IfModule>\n",
                  "~/x.conf:1: the choice of the MPM depends on itself, by "
                  "<IfModule mpm_mt>");
}

static void test_mpm_errors(void **state)
{
    (void)state;
    expect_errors("MPM fast\n<MPM faster>\nX\n</MPM>\n",
                  "~/x.conf:2: MPM: there is no MPM \"fast\"; there are "
                  "hybrid, mt, sped\n"
                  "~/x.conf:3: <MPM>: there is no MPM \"faster\"; there are "
                  "hybrid, mt, sped");
    expect_errors(
        "MPM mt\nMPM sped\nLoadModule mpm_hybrid_module x\n",
        "~/x.conf:3: MPM: the MPM mt was chosen already by ~/x.conf:2\n"
        "~/x.conf:4: LoadModule: the MPM mt was chosen already by "
        "~/x.conf:2");
    expect_errors("MPM sped\nThreadsPerChild 3\n",
                  "~/x.conf:3: ThreadsPerChild belongs to MPM hybrid, mt; "
                  "this server runs sped; put it into <MPM hybrid>");
    expect_errors("<MPM mt>\nThreadsPerChild 65\nLoopBatch 1\n"
                  "ThreadsPerChid 1\n</MPM>\n",
                  "~/x.conf:3: ThreadsPerChild: 65 is too large: at most 64\n"
                  "~/x.conf:4: MPM mt has no directive LoopBatch\n"
                  "~/x.conf:5: MPM mt has no directive ThreadsPerChid; did "
                  "you mean ThreadsPerChild?");
    expect_errors("<MPM mt>\nThreadsPerChild 13\n</MPM>\n",
                  "~/x.conf:3: MPM mt: 13 threads bring bad luck");
}

/* merges
 * ----------------------------------------------------------------------------
 */

static void test_virtual_hosts(void **state)
{
    const wr_server *one, *two;

    (void)state;
    mkdir(path_of("a"), 0755);
    mkdir(path_of("b"), 0755);
    expect_good("Listen 80\nLoadModule fake_module x\nTimeout 9\n"
                "DocumentRoot a\nServerName main\nFakeServer 1\nFakeText m\n"
                "FakeNumber 1\n<VirtualHost *:80 *:*>\n</VirtualHost>\n"
                "<VirtualHost _default_>\nServerName two\nDocumentRoot b\n"
                "KeepAlive off\nFakeServer 2\nFakeText v\nSetHandler x\n"
                "</VirtualHost>\nKeepAliveTimeout 2\n");
    one = config->main_server->next;
    two = one->next;
    assert_null(two->next);
    assert_int_equal(one->addresses->nelts, 2);
    assert_int_equal(one->line, 9);
    assert_int_equal(one->timeout_ns, 9 * WR_SEC);
    assert_int_equal(two->timeout_ns, 9 * WR_SEC);
    assert_int_equal(two->keep_alive_timeout_ns, 2 * WR_SEC);
    assert_int_equal(one->keep_alive, 1);
    assert_int_equal(two->keep_alive, 0);
    assert_string_equal(one->document_root, path_of("a"));
    assert_string_equal(two->document_root, path_of("b"));
    assert_string_equal(one->name, "main");
    assert_string_equal(two->name, "two");
    assert_int_equal(
        ((fake_config *)wr_server_config(one, &fake_module))->number, 1);
    assert_int_equal(
        ((fake_config *)wr_server_config(two, &fake_module))->number, 2);
    assert_string_equal(dir_at(one, "/")->text, "m");
    assert_string_equal(dir_at(two, "/")->text, "mv");
    assert_null(wr__core_handler(one->dir_config));
    assert_string_equal(wr__core_handler(two->dir_config), "x");
}

static void test_virtual_host_errors(void **state)
{
    (void)state;
    expect_errors("<VirtualHost name:80>\nNonsense\n</VirtualHost>\n"
                  "<VirtualHost *:81>\n</VirtualHost>\n"
                  "<VirtualHost 127.0.0.1:82>\nNonsense\n</VirtualHost>\n",
                  "~/x.conf:2: <VirtualHost>: \"name:80\" is not *, IPv4 or "
                  "[IPv6], with :PORT or without\n"
                  "~/x.conf:8: unknown directive Nonsense\n"
                  "~/x.conf:5: <VirtualHost *:81> fits no Listen: there must "
                  "be one of the same address and port\n"
                  "~/x.conf:7: <VirtualHost 127.0.0.1:82> fits no Listen: "
                  "there must be one of the same address and port");
}

static void test_directories(void **state)
{
    const wr_server *s, *v;

    (void)state;
    expect_good("Listen 80\nLoadModule fake_module x\nFakeText m\n"
                "<Directory /a/b/c>\nFakeText 3\n</Directory>\n"
                "<Directory /a/>\nFakeText 1\n</Directory>\n"
                "<Directory /a/b>\nFakeText 2\nFakeNumber 5\n</Directory>\n"
                "<Directory /a//b/./>\nFakeText +\n</Directory>\n"
                "<Directory /a-b>\nFakeText d\n</Directory>\n"
                "<VirtualHost *>\nFakeText v\n<Directory /a>\nFakeText V\n"
                "</Directory>\n</VirtualHost>\n");
    s = config->main_server;
    v = s->next;
    assert_string_equal(dir_at(s, "/")->text, "m");
    assert_string_equal(dir_at(s, "/x/a/")->text, "m");
    assert_string_equal(dir_at(s, "/a/")->text, "m1");
    assert_string_equal(dir_at(s, "/a/x/")->text, "m1");
    assert_string_equal(dir_at(s, "/a/b/")->text, "m12+");
    assert_string_equal(dir_at(s, "/a/bb/")->text, "m1");
    assert_string_equal(dir_at(s, "/a/b/c/")->text, "m12+3");
    assert_string_equal(dir_at(s, "/a/b/c/d/e/")->text, "m12+3");
    assert_string_equal(dir_at(s, "/a/b/cc/")->text, "m12+");
    assert_string_equal(dir_at(s, "/a-b/")->text, "md");
    assert_string_equal(dir_at(s, "/b/")->text, "m");
    assert_int_equal(dir_at(s, "/a/b/c/d/")->number, 5);
    assert_string_equal(dir_at(v, "/b/")->text, "mv");
    assert_string_equal(dir_at(v, "/a/z/")->text, "mv1V");
    assert_string_equal(dir_at(v, "/a/b/c/")->text, "mv1V2+3");
    assert_ptr_equal(dir_config_at(s, "/a/b/x/"), dir_config_at(s, "/a/b/y/"));
    assert_ptr_equal(dir_config_at(s, "/z/"), s->dir_config);
}

static void test_inactive(void **state)
{
    const wr_server *s;
    uint64_t bit;

    (void)state;
    expect_good("Listen 80\nLoadModule fake_module x\n"
                "<Directory /a>\nFakeNumber 5\n</Directory>\n"
                "<Directory /b>\nFakeText 5\n</Directory>\n");
    s = config->main_server;
    bit = UINT64_C(1) << fake_module.index;
    assert_int_equal(s->dir_config->inactive & bit, bit);
    assert_int_equal(dir_config_at(s, "/a/")->inactive & bit, 0);
    assert_int_equal(dir_config_at(s, "/b/")->inactive & bit, bit);
    assert_int_equal(s->dir_config->inactive & 1, 0);
}

static void test_handler_merge(void **state)
{
    const wr_server *s;

    (void)state;
    expect_good("Listen 80\nSetHandler all\n<Directory /a>\n"
                "SetHandler None\n</Directory>\n<Directory /a/b>\n"
                "</Directory>\n<Directory /a/b/c>\nSetHandler some\n"
                "</Directory>\n");
    s = config->main_server;
    assert_string_equal(wr__core_handler(s->dir_config), "all");
    assert_null(wr__core_handler(dir_config_at(s, "/a/")));
    assert_null(wr__core_handler(dir_config_at(s, "/a/b/")));
    assert_string_equal(wr__core_handler(dir_config_at(s, "/a/b/c/")), "some");
}

static void test_directory_errors(void **state)
{
    (void)state;
    expect_errors("<Directory a>\n</Directory>\n"
                  "<Directory /a /b>\n</Directory>\n",
                  "~/x.conf:2: <Directory>: \"a\" is not an absolute path\n"
                  "~/x.conf:4: <Directory>: takes one path, or ~ and a regular "
                  "expression");
}

/* names ----------------------------------------------------------------------
 */

static wr_listener listener_at(const char *address, uint16_t port)
{
    wr_listener l = {.port = port};

    if (strchr(address, ':')) {
        l.addr.v6.sin6_family = AF_INET6;
        inet_pton(AF_INET6, address, &l.addr.v6.sin6_addr);
    }
    else {
        l.addr.v4.sin_family = AF_INET;
        inet_pton(AF_INET, address, &l.addr.v4.sin_addr);
    }
    return l;
}

static int line_of(const wr_listener *l, const char *host)
{
    wr_conn conn = {.listener = l};
    bool is_named;

    return wr__server_for(config, &conn, host, &is_named)->line;
}

static void test_names(void **state)
{
    wr_listener any4, any6, one, other;

    (void)state;
    expect_good("Listen 80\nListen 127.0.0.1:81\nListen [::1]:82\n" /* 3 */
                "<VirtualHost *:80>\nServerName a\n"
                "ServerAlias *.a WWW.a\n</VirtualHost>\n" /* 4 - 7 */
                "<VirtualHost *:80>\nServerName b\n"
                "ServerAlias b.a b.?\n</VirtualHost>\n" /* 8 - 11 */
                "<VirtualHost 127.0.0.1:81>\nServerName c\n"
                "</VirtualHost>\n" /* 12 - 14 */
                "<VirtualHost *>\nServerName d\nServerAlias a\n"
                "</VirtualHost>\n"); /* 15 */
    any4 = listener_at("0.0.0.0", 80);
    any6 = listener_at("::", 80);
    one = listener_at("127.0.0.1", 81);
    other = listener_at("::1", 82);
    assert_int_equal(line_of(&any4, NULL), 4);
    assert_int_equal(line_of(&any4, "zzz"), 4);
    assert_int_equal(line_of(&any4, "a"), 4);
    assert_int_equal(line_of(&any4, "www.a"), 4);
    assert_int_equal(line_of(&any4, "b"), 8);
    assert_int_equal(line_of(&any4, "b.a"), 4);
    assert_int_equal(line_of(&any4, "b.x"), 8);
    assert_int_equal(line_of(&any4, "d"), 15);
    assert_int_equal(line_of(&any6, "b"), 8);
    assert_int_equal(line_of(&one, NULL), 12);
    assert_int_equal(line_of(&one, "d"), 12);
    assert_int_equal(line_of(&other, "a"), 15);
}

static void test_no_virtual_host_fits(void **state)
{
    wr_listener l = listener_at("0.0.0.0", 80);

    (void)state;
    expect_good("Listen 80\nListen 81\n<VirtualHost *:81>\nServerName a\n"
                "</VirtualHost>\n");
    assert_int_equal(line_of(&l, "a"), 1);
    assert_ptr_equal(wr__server_default(config, &l), config->main_server);
    l.port = 81;
    assert_ptr_equal(wr__server_default(config, &l), config->main_server->next);
}

/* lists
 * ----------------------------------------------------------------------------
 */

typedef void print_fn(const wr__config *config, FILE *out);

static char *printed(print_fn *print)
{
    size_t len;
    char *text, *copy;
    FILE *out = open_memstream(&text, &len);

    print(config, out);
    fclose(out);
    copy = local(apr_pstrdup(pool, text));
    free(text);
    return copy;
}

static void test_lists(void **state)
{
    const char *text;

    (void)state;
    mkdir(path_of("a"), 0755);
    expect_good("Listen [::1]:80\nLoadModule fake_module x\nUser root\n"
                "Group root\n<VirtualHost *:80>\nServerName v\n"
                "ServerAlias w\nDocumentRoot a\n<Directory /x>\n"
                "</Directory>\n</VirtualHost>\n");
    text = printed(wr__config_list_modules);
    assert_string_equal(text, "Loaded modules:\n core_module (static)\n"
                              " fake_module (static)\n"
                              " mpm_hybrid_module (static)\n");
    text = printed(wr__config_dump);
    assert_non_null(strstr(text, "MPM: hybrid (made up)\nThreads: -1\n"));
    assert_non_null(strstr(text, "Listen: [::1]:80 (~/x.conf:1)\n"));
    assert_non_null(strstr(text, "*:80 v (~/x.conf:5)\n    alias w\n"
                                 "    DocumentRoot: \"~/a\" ("));
    assert_non_null(strstr(text, "    <Directory /x/> (~/x.conf:9)\n"));
    text = printed(wr__config_list_directives);
    assert_non_null(strstr(text, "Timeout time (core)\n"));
    assert_non_null(strstr(text, "ThreadsPerChild threads (mpm_hybrid)\n"));
    assert_non_null(strstr(text, "<Directory path|~ regex> (core)\n"));
    assert_non_null(strstr(text, "FakeText text (fake)\n"));
}

/* Every directive of the core says what the reference will print. */
static void test_core_table_is_complete(void **state)
{
    (void)state;
    for (const wr_command *c = wr__core_module.commands; c->name; c++) {
        assert_non_null(c->run);
        assert_non_null(c->help);
        assert_non_null(c->args);
        assert_int_not_equal(c->context, 0);
        assert_true(c->min_args <= c->max_args);
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_directive),
        TEST(test_document_root),
        TEST(test_root_of_all),
        TEST(test_memory_file_system),
        TEST(test_listen_errors),
        TEST(test_no_listen),
        TEST(test_value_errors),
        TEST(test_log_levels),
        TEST(test_users),
        TEST(test_form_errors),
        TEST(test_place_errors),
        TEST(test_unknown_names),
        TEST(test_names_of_a_missing_module),
        TEST(test_values),
        TEST(test_command_line),
        TEST(test_command_line_errors),
        TEST(test_server_root),
        TEST(test_modules),
        TEST(test_hooks_are_registered_once),
        TEST(test_pre_config_fails),
        TEST(test_if_module),
        TEST(test_module_errors),
        TEST(test_module_names),
        TEST(test_mpm_choice),
        TEST(test_mpm_sections),
        TEST(test_if_module_mpm),
        TEST(test_mpm_errors),
        TEST(test_virtual_hosts),
        TEST(test_virtual_host_errors),
        TEST(test_directories),
        TEST(test_inactive),
        TEST(test_handler_merge),
        TEST(test_directory_errors),
        TEST(test_names),
        TEST(test_no_virtual_host_fits),
        TEST(test_lists),
        TEST(test_core_table_is_complete),
    };
    int failed;

    apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
