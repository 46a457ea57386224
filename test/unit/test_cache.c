/*
 * test_cache.c - the caches of files and names: bounds, age, replacement,
 * references that outlive an entry, and many threads at once.
 */
#include "server/cache.h"
#include "server/config_core.h"
#include "server/request.h"
#include "server/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

static apr_pool_t *pool;
static wr__config config;
static wr_root root;
static wr_server server, other_server;
static wr__core_dir core_dir; /* the core is the first of all modules */
static void *dir_vector[1] = {&core_dir};
static wr_dir_config dir = {.config = dir_vector};

static int set_up(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    config = (wr__config){.cache_size = 1 << 20,
                          .cache_entries = 100,
                          .cache_revalidate_ns = WR_SEC,
                          .cache_paths = 1,
                          .cache_headers = 1,
                          .cache_content = 1};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    return 0;
}

/* Files and names that are made up. */

static struct stat a_stat(int64_t size)
{
    struct stat st = {.st_size = size, .st_ino = 7, .st_mode = S_IFREG};

    st.st_mtim.tv_sec = 784111777;
    return st;
}

/** With content of that size, or with a descriptor if it is 0. */
static wr__file *make_file(size_t size)
{
    struct stat st = a_stat((int64_t)size);
    wr__file *file = wr__file_create(
        size ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC), &st, &root);

    if (size) {
        file->file.content = calloc(1, size);
    }
    return file;
}

/** Put a new file in; the cache alone holds it then. */
static wr__file *put_file(wr__cache *cache, const char *name, size_t size)
{
    wr__file *file = make_file(size);

    wr__cache_add_file(cache, name, 0, file);
    wr_file_unref(&file->file);
    return file;
}

static bool has_file(wr__cache *cache, const char *name)
{
    wr__file *file = wr__cache_file(cache, name, 0);

    if (file) {
        wr_file_unref(&file->file);
    }
    return file != NULL;
}

/** Of the last few that were asked for. */
static const char *name_of(int i)
{
    static char names[4][32];
    static int next;
    char *name = names[next++ % 4];

    snprintf(name, sizeof(names[0]), "/srv/file%d", i);
    return name;
}

static int count_files(wr__cache *cache, int max)
{
    int count = 0;

    for (int i = 0; i < max; i++) {
        count += has_file(cache, name_of(i));
    }
    return count;
}

static void put_name(wr__cache *cache, wr_server *of, const char *target,
                     wr__file *file)
{
    wr_request r = {.pool = pool,
                    .server = of,
                    .dir_config = &dir,
                    .time = INT64_MAX, /* the file was changed long ago */
                    .uri = target,
                    .filename = apr_pstrcat(pool, "/srv", target, NULL),
                    .root = &root,
                    .file = &file->file,
                    .content_type = "text/plain"};

    r.root_path = r.filename + 5;
    wr__cache_add_name(cache, &r, target, strlen(target));
}

static wr__name *get_name(wr__cache *cache, wr_server *of, const char *target,
                          int64_t now_ns)
{
    return wr__cache_name(cache, of, target, strlen(target), now_ns);
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Tests. */

static void test_found_and_removed(void **state)
{
    wr__cache *cache = wr__cache_create(&config, false, pool);
    wr__file *file;

    (void)state;
    assert_false(has_file(cache, "/a"));
    file = put_file(cache, "/a", 10);
    assert_ptr_equal(wr__cache_file(cache, "/a", 0), file);
    assert_false(has_file(cache, "/"));
    assert_false(has_file(cache, "/ab"));
    wr__cache_remove_file(cache, "/a", 0);
    wr__cache_remove_file(cache, "/a", 0);
    assert_false(has_file(cache, "/a"));
    assert_int_equal(file->file.refs, 1); /* ours, from above */
    wr_file_unref(&file->file);
    wr__cache_destroy(cache);
}

static void test_bound_of_entries(void **state)
{
    wr__cache *cache;

    (void)state;
    for (int entries = 1; entries <= 64; entries *= 4) {
        config.cache_entries = entries;
        cache = wr__cache_create(&config, false, pool);
        for (int i = 0; i < 200; i++) {
            put_file(cache, name_of(i), 1);
            assert_int_equal(count_files(cache, i + 1),
                             i + 1 < entries ? i + 1 : entries);
        }
        wr__cache_destroy(cache);
    }
}

static void test_bound_of_bytes(void **state)
{
    wr__cache *cache;

    (void)state;
    config.cache_size = 100000;
    config.cache_entries = 1000;
    cache = wr__cache_create(&config, false, pool);
    for (int i = 0; i < 50; i++) {
        int count;

        put_file(cache, name_of(i), 9000);
        count = count_files(cache, i + 1);
        assert_true(count <= 11); /* content alone would fill it */
        assert_true(count == i + 1 || count >= 10);
    }
    /* One that would need all of it, and one that does not fit. */
    put_file(cache, "/large", 99000);
    assert_true(has_file(cache, "/large"));
    assert_int_equal(count_files(cache, 50), 0);
    put_file(cache, "/larger", 100001);
    assert_false(has_file(cache, "/larger"));
    assert_true(has_file(cache, "/large"));
    put_file(cache, "/large", 100001); /* the old one is no longer right */
    assert_false(has_file(cache, "/large"));
    wr__cache_destroy(cache);
}

/** Least recently used first, against a list in an array. */
static void test_age(void **state)
{
    enum {
        ENTRIES = 8,
        NAMES = 14
    };
    int ages[ENTRIES], count = 0;
    uint32_t seed = 5;
    wr__cache *cache;

    (void)state;
    config.cache_entries = ENTRIES;
    cache = wr__cache_create(&config, false, pool);
    for (int n = 0; n < 20000; n++) {
        int i, at = 0;

        seed = seed * 1664525 + 1013904223;
        i = (int)(seed >> 16) % NAMES;
        while (at < count && ages[at] != i) {
            at++;
        }
        if (seed >> 31) { /* asked for */
            assert_int_equal(has_file(cache, name_of(i)), at < count);
            if (at == count) {
                continue;
            }
        }
        else { /* put in, maybe anew */
            put_file(cache, name_of(i), 1);
            if (at == count) {
                at = count < ENTRIES ? count++ : ENTRIES - 1;
            }
        }
        memmove(ages + 1, ages, (size_t)at * sizeof(ages[0]));
        ages[0] = i;
    }
    wr__cache_destroy(cache);
}

static void test_references_outlive_entries(void **state)
{
    wr__cache *cache;
    wr__file *file;
    wr__name *name;
    int before = count_descriptors();

    (void)state;
    config.cache_entries = 2;
    cache = wr__cache_create(&config, false, pool);
    put_file(cache, "/a", 0);
    file = wr__cache_file(cache, "/a", 0);
    put_name(cache, &server, "/a", file);
    name = get_name(cache, &server, "/a", file->checked_ns);
    assert_non_null(name);
    for (int i = 0; i < 5; i++) {
        put_file(cache, name_of(i), 0);
        put_name(cache, &server, name_of(i), file);
    }
    assert_false(has_file(cache, "/a"));
    assert_null(get_name(cache, &server, "/a", 0));
    assert_string_equal(name->uri, "/a");
    assert_int_equal(fcntl(file->file.fd, F_GETFD), FD_CLOEXEC);
    wr__cache_destroy(cache);
    assert_int_equal(count_descriptors(), before + 1);
    assert_string_equal(name->filename, "/srv/a");
    wr_file_unref(&file->file);
    assert_int_equal(count_descriptors(), before + 1);
    wr__name_unref(name);
    wr__name_unref(NULL);
    assert_int_equal(count_descriptors(), before);
}

static void test_names(void **state)
{
    wr__cache *cache = wr__cache_create(&config, false, pool);
    wr__file *file = make_file(5);
    wr__name *name;

    (void)state;
    put_name(cache, &server, "/a/b", file);
    assert_null(get_name(cache, &other_server, "/a/b", 0));
    assert_null(get_name(cache, &server, "/a/", 0));
    atomic_store(&file->checked_ns, 50 * WR_SEC);
    assert_null(get_name(cache, &server, "/a/b", 51 * WR_SEC)); /* due */
    name = get_name(cache, &server, "/a/b", 51 * WR_SEC - 1);
    assert_non_null(name);
    assert_string_equal(name->uri, "/a/b");
    assert_string_equal(name->filename, "/srv/a/b");
    assert_string_equal(name->root_path, "a/b");
    assert_string_equal(name->content_type, "text/plain");
    assert_null(name->content_encoding);
    assert_non_null(
        memmem(name->header, name->header_len, "Content-Length: 5\r\n", 19));
    assert_memory_equal(name->header + name->header_len - 2, "\r\n", 2);
    wr__name_unref(name);
    wr_file_unref(&file->file);
    wr__cache_destroy(cache);
}

static void test_switches(void **state)
{
    wr__file *file = make_file(5);
    wr__cache *cache;
    wr__name *name;

    (void)state;
    config.cache_paths = config.cache_headers = config.cache_content = 0;
    cache = wr__cache_create(&config, false, pool);
    wr__cache_add_file(cache, "/a", 0, file);
    assert_false(has_file(cache, "/a"));
    put_name(cache, &server, "/a", file);
    assert_null(get_name(cache, &server, "/a", 0));
    wr__cache_destroy(cache);
    config.cache_paths = 1;
    cache = wr__cache_create(&config, false, pool);
    put_name(cache, &server, "/a", file);
    name = get_name(cache, &server, "/a", 0);
    assert_non_null(name);
    assert_int_equal(name->header_len, 0);
    wr__name_unref(name);
    wr__cache_destroy(cache);
    assert_int_equal(file->file.refs, 1);
    wr_file_unref(&file->file);
}

/** Names hold files: these count, whatever the other table has let go of. */
static void test_names_are_bounded_by_files(void **state)
{
    struct rlimit limit, low = {.rlim_cur = 256};
    int before = count_descriptors();
    wr__cache *cache;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    low.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &low);
    config.cache_entries = 100000;
    cache = wr__cache_create(&config, false, pool);
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 500; i++) { /* an eighth in each table at most */
        wr__file *file = make_file(0);

        wr__cache_add_file(cache, name_of(i), 0, file);
        put_name(cache, &server, name_of(i), file);
        put_name(cache, &server, name_of(1000 - i), file);
        wr_file_unref(&file->file);
        assert_true(count_descriptors() - before <= 64);
    }
    wr__cache_destroy(cache);
    assert_int_equal(count_descriptors(), before);
    config.cache_size = 100000;
    cache = wr__cache_create(&config, false, pool);
    for (int i = 0; i < 100; i++) {
        wr__file *file = make_file(30000);

        put_name(cache, &server, name_of(i), file);
        wr_file_unref(&file->file);
    }
    before = 0;
    for (int i = 0; i < 100; i++) {
        wr__name *name = get_name(cache, &server, name_of(i), 0);

        before += name != NULL;
        wr__name_unref(name);
    }
    assert_int_equal(before, 3);
    wr__cache_destroy(cache);
}

static void test_file_is_same(void **state)
{
    struct stat st = a_stat(5), changed;
    wr__file *file = wr__file_create(-1, &st, &root);

    (void)state;
    assert_true(wr__file_is_same(file, &st));
#define CHANGED(FIELD)                                  \
    do {                                                \
        changed = st;                                   \
        changed.FIELD++;                                \
        assert_false(wr__file_is_same(file, &changed)); \
    } while (0)
    CHANGED(st_ino);
    CHANGED(st_dev);
    CHANGED(st_size);
    CHANGED(st_mtim.tv_sec);
    CHANGED(st_mtim.tv_nsec);
    CHANGED(st_ctim.tv_sec);
    CHANGED(st_ctim.tv_nsec);
#undef CHANGED
    wr_file_unref(&file->file);
}

/* Threads. */

static wr__cache *shared;

/** Put, get, remove: few names, so that they meet. */
static void *disturb(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    char name[32];

    for (int n = 0; n < 20000; n++) {
        wr__file *file;

        seed = seed * 1664525 + 1013904223;
        snprintf(name, sizeof(name), "/srv/%u", (seed >> 12) % 60);
        switch (seed >> 30) {
        case 0:
            put_file(shared, name, 100);
            break;
        case 1:
            if (seed >> 26 & 1) {
                wr__cache_remove_file(shared, name, 0);
            }
            break;
        default:
            file = wr__cache_file(shared, name, 0);
            if (file) {
                if (file->file.size != 100 || file->file.content[99] != 0) {
                    abort();
                }
                atomic_store(&file->checked_ns, n);
                wr_file_unref(&file->file);
            }
            break;
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    config.cache_entries = 32;
    shared = wr__cache_create(&config, true, pool);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, disturb,
                       (void *)(uintptr_t)(i * 77 + 1));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    wr__cache_destroy(shared);
}

/** In sixteen parts the bounds hold for the whole. */
static void test_bounds_of_shards(void **state)
{
    wr__cache *cache;

    (void)state;
    config.cache_entries = 64;
    cache = wr__cache_create(&config, true, pool);
    for (int i = 0; i < 1000; i++) {
        put_file(cache, name_of(i), 1);
    }
    assert_in_range(count_files(cache, 1000), 32, 64);
    wr__cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
        TEST(test_found_and_removed),
        TEST(test_bound_of_entries),
        TEST(test_bound_of_bytes),
        TEST(test_age),
        TEST(test_references_outlive_entries),
        TEST(test_names),
        TEST(test_switches),
        TEST(test_names_are_bounded_by_files),
        TEST(test_file_is_same),
        TEST(test_threads),
        TEST(test_bounds_of_shards),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
