/*
 * mod_delay.c - a directive that makes all disks slow, where no slow disk can
 * be had.
 *
 *     DebugDiskDelay 10ms
 *
 * So long waits each op that has to go to a disk, whoever runs it.  What is in
 * memory is found there first, under MPMs too that otherwise need not ask.  It
 * does not touch what the kernel does by itself (io_uring), and is no disk:
 * nothing queues.
 */
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_op.h"

#include <stddef.h>

typedef struct delay_config {
    int64_t delay_ns;
} delay_config;

WR_API wr_module delay_module;

static void *create_config(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(delay_config));
}

static apr_status_t set_delay(apr_pool_t *pool, wr_server *main_server)
{
    const delay_config *config = wr_server_config(main_server, &delay_module);

    (void)pool;
    wr_op_delay_all((uint32_t)(config->delay_ns / 1000));
    return APR_SUCCESS;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_config(set_delay, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "DebugDiskDelay",
     .run = wr_set_time,
     .context = WR_IN_GLOBAL,
     .min_args = 1,
     .max_args = 1,
     .offset = offsetof(delay_config, delay_ns),
     .max = 10 * WR_SEC,
     .args = "time",
     .preset = "0",
     .help = "How long each operation waits that has to go to a disk."},
    {0},
};

WR_API wr_module delay_module = {
    WR_MODULE_HEAD("delay"),
    .create_server_config = create_config,
    .commands = commands,
    .register_hooks = register_hooks,
};
