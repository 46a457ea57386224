/*
 * mod_hello.c - the smallest module: copy it to start your own.
 *
 * docs/modules.md explains it, and how it is built, loaded and configured.
 */
#include "wr_config.h"
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_request.h"

#include <string.h>

extern WR_API wr_module hello_module;

/* One for each section with a directive of ours; read-only while serving. */
struct hello_config {
    const char *name;
};

static void *create_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(struct hello_config));
}

/* Called for every request, in any thread: look first whether it is ours.
 * A handler appends its response and returns; it writes to no one. */
static wr_result say_hello(wr_request *r)
{
    struct hello_config *conf = wr_dir_config_of(r->dir_config, &hello_module);

    if (!r->handler || strcmp(r->handler, "hello") != 0) {
        return WR_DECLINED;
    }
    r->content_type = "text/plain; charset=utf-8";
    wr_request_printf(r, "Hello, %s!\n", conf->name ? conf->name : "you");
    return WR_OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(say_hello, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {"HelloName", wr_set_string, WR_IN_ANY, 1, 1, "NAME", "Whom to greet.",
     "you", offsetof(struct hello_config, name), 0, 0, false},
    {.name = NULL},
};

WR_API wr_module hello_module = {
    WR_MODULE_HEAD("hello"),
    .commands = commands,
    .create_dir_config = create_config,
    .register_hooks = register_hooks,
};
