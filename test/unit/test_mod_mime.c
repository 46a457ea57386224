/*
 * test_mod_mime.c - types and encodings of names, and the directives.
 */
#include "modules/metadata/mod_mime.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_general.h>

struct fixture {
    apr_pool_t *pool;
    wr_command_call call;
    void *dir_vector[1], *server_vector[1];
    wr_dir_config dir;
    wr_server server;
};

static int warnings;

void wr_hook_post_config(wr_HOOK_post_config_t *hook, const char *const *before,
                         const char *const *after, int order)
{
    (void)hook;
    (void)before;
    (void)after;
    (void)order;
}

void wr_hook_type_checker(wr_HOOK_type_checker_t *hook,
                          const char *const *before, const char *const *after,
                          int order)
{
    (void)hook;
    (void)before;
    (void)after;
    (void)order;
}

void wr_provider_add(apr_pool_t *pool, const char *group, const char *name,
                     const void *provider)
{
    (void)pool;
    (void)group;
    (void)name;
    (void)provider;
}

const char *wr_set_string(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    (void)argv;
    return NULL;
}

const char *wr_server_root_relative(const wr_command_call *call,
                                    const char *path)
{
    (void)call;
    return path;
}

void wr_log_error_of(const wr_server *server, const wr_module *module,
                     wr_log_level level, apr_status_t status,
                     const char *format, ...)
{
    (void)server;
    (void)module;
    (void)level;
    (void)status;
    (void)format;
    warnings++;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    apr_hash_t *types;

    apr_pool_create(&f->pool, NULL);
    f->call.pool = f->call.temp_pool = f->pool;
    f->dir.config = f->dir_vector;
    f->server.config = f->server_vector;
    f->dir_vector[0] = create_dir_config(f->pool);
    f->server_vector[0] = create_server_config(f->pool);
    types = apr_hash_make(f->pool);
    apr_hash_set(types, "html", APR_HASH_KEY_STRING, "text/html");
    apr_hash_set(types, "tar", APR_HASH_KEY_STRING, "application/x-tar");
    apr_hash_set(types, "gz", APR_HASH_KEY_STRING, "application/gzip");
    ((mime_server_config *)f->server_vector[0])->types = types;
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

static void assert_type(struct fixture *f, const char *filename,
                        const char *type, const char *encoding)
{
    wr_request r = {.pool = f->pool,
                    .server = &f->server,
                    .dir_config = &f->dir,
                    .filename = filename};

    assert_int_equal(find_type(&r), type || encoding ? WR_OK : WR_DECLINED);
    if (type) {
        assert_string_equal(r.content_type, type);
    }
    else {
        assert_null(r.content_type);
    }
    if (encoding) {
        assert_string_equal(r.content_encoding, encoding);
    }
    else {
        assert_null(r.content_encoding);
    }
}

/** Carry out "ARG ARG ..." in a section's configuration. */
static const char *run(struct fixture *f, wr_command_fn *command, void *config,
                       const char *text)
{
    char **argv;
    int argc = 0;

    apr_tokenize_to_argv(text, &argv, f->pool);
    while (argv[argc]) {
        argc++;
    }
    return command(&f->call, config, argc, (const char *const *)argv);
}

static void extension_gives_type(void **state)
{
    struct fixture *f = *state;

    assert_type(f, "/srv/index.html", "text/html", NULL);
    assert_type(f, "/srv/INDEX.HTML", "text/html", NULL);
    assert_type(f, "/srv.html/index", NULL, NULL);
    assert_type(f, "/srv/html", NULL, NULL);
    assert_type(f, "/srv/.html", NULL, NULL);
    assert_type(f, "/srv/..a.html", "text/html", NULL);
    assert_type(f, "/srv/index.html.", "text/html", NULL);
    assert_type(f, "/srv/index..html", "text/html", NULL);
    assert_type(f, "/srv/index.html.unknown", "text/html", NULL);
    assert_type(f, "/srv/index.htm", NULL, NULL);
    assert_type(f, "/srv/", NULL, NULL);
}

static void last_type_holds(void **state)
{
    struct fixture *f = *state;

    assert_type(f, "/srv/a.html.tar", "application/x-tar", NULL);
    assert_type(f, "/srv/a.tar.html", "text/html", NULL);
    assert_type(f, "/srv/a.tar.gz", "application/gzip", NULL);
}

static void encoding_is_no_type(void **state)
{
    struct fixture *f = *state;
    void *dir = f->dir_vector[0];

    assert_null(run(f, add_encoding, dir, "GZip .gz tgz"));
    assert_null(run(f, add_encoding, dir, "br br"));
    assert_type(f, "/srv/a.html.gz", "text/html", "gzip");
    assert_type(f, "/srv/a.gz.html", "text/html", "gzip");
    assert_type(f, "/srv/a.gz", NULL, "gzip");
    assert_type(f, "/srv/a.html.gz.br", "text/html", "gzip, br");
    assert_null(run(f, add_type, dir, "application/x-tar .tgz"));
    assert_type(f, "/srv/a.tgz", "application/x-tar", "gzip");
}

static void section_replaces_types(void **state)
{
    struct fixture *f = *state;
    void *inner = create_dir_config(f->pool), *outer = f->dir_vector[0];

    assert_null(run(f, add_type, outer, "text/plain .HTML .log"));
    assert_null(run(f, add_encoding, outer, "gzip .gz"));
    assert_null(run(f, add_type, inner, "text/x-log .log"));
    f->dir_vector[0] = merge_dir_config(f->pool, outer, inner);
    assert_type(f, "/srv/a.html", "text/plain", NULL);
    assert_type(f, "/srv/a.log.gz", "text/x-log", "gzip");
    assert_null(run(f, add_encoding, inner, "br .log"));
    f->dir_vector[0] = merge_dir_config(f->pool, outer, inner);
    assert_type(f, "/srv/a.log", "text/x-log", "br");
    f->dir_vector[0] = outer;
    assert_type(f, "/srv/a.log", "text/plain", NULL);
    assert_ptr_equal(((mime_dir_config *)merge_dir_config(
                          f->pool, outer, create_dir_config(f->pool)))
                         ->meanings,
                     ((mime_dir_config *)outer)->meanings);
}

static void type_must_look_like_one(void **state)
{
    struct fixture *f = *state;

    assert_non_null(run(f, add_type, f->dir_vector[0], "html .html"));
    assert_non_null(run(f, add_type, f->dir_vector[0], "/html .html"));
    assert_non_null(run(f, add_type, f->dir_vector[0], "text/ .html"));
}

static void overlong_extension_has_no_meaning(void **state)
{
    struct fixture *f = *state;
    char name[3000] = "/srv/a.";

    memset(name + 7, 'x', sizeof(name) - 8);
    assert_type(f, name, NULL, NULL);
    memcpy(name + sizeof(name) - 6, ".html", 5);
    assert_type(f, name, "text/html", NULL);
}

static void directory_has_no_type(void **state)
{
    struct fixture *f = *state;
    wr_file file = {.is_dir = true};
    wr_request r = {.pool = f->pool,
                    .server = &f->server,
                    .dir_config = &f->dir,
                    .file = &file,
                    .filename = "/srv/site.html"};

    assert_int_equal(find_type(&r), WR_DECLINED);
    r.filename = NULL;
    r.file = NULL;
    assert_int_equal(find_type(&r), WR_DECLINED);
    assert_null(r.content_type);
}

static void types_file_is_read(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/weir-types-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# a comment\n\ntext/plain\ttxt  TEXT # more\n"
                               "image/png\nimage/jpeg jpg jpeg\r\n"
                               "text/css css";

    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_null(run(f, types_config, f->server_vector[0], path));
    assert_type(f, "/a.txt", "text/plain", NULL);
    assert_type(f, "/a.text", "text/plain", NULL);
    assert_type(f, "/a.more", NULL, NULL);
    assert_type(f, "/a.png", NULL, NULL);
    assert_type(f, "/a.jpeg", "image/jpeg", NULL);
    assert_type(f, "/a.css", "text/css", NULL);
    unlink(path);
    assert_non_null(run(f, types_config, f->server_vector[0], path));
    assert_type(f, "/a.css", "text/css", NULL);
}

static void servers_share_the_types(void **state)
{
    struct fixture *f = *state;
    void *vector[1] = {create_server_config(f->pool)};
    wr_server other = {.config = vector};

    f->server.next = &other;
    assert_int_equal(read_default_types(f->pool, &f->server), APR_SUCCESS);
    assert_int_equal(warnings, 0);
    assert_ptr_equal(((mime_server_config *)vector[0])->types,
                     ((mime_server_config *)f->server_vector[0])->types);
    f->server.next = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(extension_gives_type),    TEST(last_type_holds),
        TEST(encoding_is_no_type),     TEST(section_replaces_types),
        TEST(type_must_look_like_one), TEST(overlong_extension_has_no_meaning),
        TEST(directory_has_no_type),   TEST(types_file_is_read),
        TEST(servers_share_the_types),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
