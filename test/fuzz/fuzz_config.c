/*
 * fuzz_config.c - any bytes to the reader of configurations: no crash, bounded
 * memory, and a tree that hangs together.
 *
 * Files can't be included, and what variables multiply is held to 1 MB.
 */
#include "server/config_reader.h"

#include <apr_general.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool has_module(void *baton, const char *name)
{
    (void)baton;
    return name[0] == 'm';
}

static const char *seen(void *baton, wr__reader *reader, const wr_directive *d)
{
    (void)baton;
    (void)reader;
    require(d->parent == NULL);
    return strcmp(d->name, "wrong") == 0 ? "is wrong" : NULL;
}

static void check_tree(const wr_directive *first, const wr_directive *parent,
                       int depth)
{
    for (const wr_directive *d = first; d; d = d->next) {
        require(depth <= WR__SECTION_DEPTH);
        require(d->name && d->args && d->argv && d->line > 0);
        require(d->argv[d->argc] == NULL);
        require(d->parent == parent);
        require(d->is_section || !d->first_child);
        for (int i = 0; i < d->argc; i++) {
            require(d->argv[i] != NULL);
        }
        check_tree(d->first_child, d, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr__reader_options options = {
        .text_max = 1 << 20,
        .no_include = true,
        .seen = seen,
        .has_module = has_module,
    };
    wr__reader *reader;
    apr_pool_t *pool;

    require(apr_initialize() == APR_SUCCESS);
    apr_pool_create(&pool, NULL);
    options.pool = pool;
    options.errors = wr__errors_create(pool);
    options.server_root = "/";
    reader = wr__reader_create(&options);
    wr__reader_define(reader, "a=value of a");
    wr__reader_define(reader, "flag");
    wr__reader_text(reader, "fuzz", (const char *)data, size);
    check_tree(wr__reader_tree(reader), NULL, 0);
    require(options.errors->texts->nelts <= WR__ERRORS_MAX);
    apr_pool_destroy(pool);
    return 0;
}
