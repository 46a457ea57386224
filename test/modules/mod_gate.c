/*
 * mod_gate.c - a handler whose code blocks until a test opens a gate.
 *
 *     SetHandler gate
 *
 * The query is the path of a file on which the test holds a lease: opening it
 * sleeps in the kernel until the lease is given back, the test has died, or
 * /proc/sys/fs/lease-break-time has passed.
 */
#include "wr_log.h"
#include "wr_module.h"
#include "wr_request.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static wr_result wait_for_gate(wr_request *r)
{
    int fd;

    do {
        fd = open(r->args, O_RDONLY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        wr_log_request(r, WR_LOG_ERROR, errno, "gate %s", r->args);
        return 500;
    }
    close(fd);
    wr_request_puts(r, "passed\n");
    return WR_OK;
}

static wr_result handle(wr_request *r)
{
    if (!r->handler || strcmp(r->handler, "gate") != 0) {
        return WR_DECLINED;
    }
    if (!r->args) {
        return 404;
    }
    r->content_type = "text/plain";
    return wr_request_run_linear(r, wait_for_gate);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

WR_API wr_module gate_module = {
    WR_MODULE_HEAD("gate"),
    .flags = WR_MODULE_BLOCKS,
    .register_hooks = register_hooks,
};
