/*
 * child.c - a serving process, from the core's side: what its threads share,
 * and its phases.
 */
#include "child.h"

#include "wr_log.h"
#include "wr_version.h"

#include "board.h"
#include "cache.h"
#include "child_process.h"
#include "conn.h"
#include "flight.h"
#include "hook.h"
#include "stock.h"

#include <apr_strings.h>
#include <assert.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

/** Descriptors that are not for connections. */
#define SPARE_DESCRIPTORS 64

/** The soft limit is raised to the hard one at the start. */
static int default_max_connections(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0
        || limit.rlim_max <= 2 * SPARE_DESCRIPTORS) {
        return SPARE_DESCRIPTORS;
    }
    /* A quarter may lie in the file cache. */
    return (int)((limit.rlim_max - limit.rlim_max / 4) - SPARE_DESCRIPTORS);
}

int wr__child_max_connections(const wr__config *config)
{
    return config->max_connections ? config->max_connections
                                   : default_max_connections();
}

/** ServerTokens */
static const char *make_server_field(int tokens)
{
    switch ((wr__tokens)tokens) {
    case WR__TOKENS_PROD:
        return WR_SERVER_PRODUCT;
    case WR__TOKENS_MAJOR:
        return WR_SERVER_PRODUCT "/" WR_VERSION_MAJOR;
    case WR__TOKENS_MINOR:
        return WR_SERVER_PRODUCT "/" WR_VERSION_MAJOR "." WR_VERSION_MINOR;
    case WR__TOKENS_MIN:
        return WR_SERVER_PRODUCT "/" WR_VERSION;
    case WR__TOKENS_OS:
    case WR__TOKENS_FULL:
        break;
    }
    return WR_SERVER_PRODUCT "/" WR_VERSION " (Unix)";
}

apr_status_t wr__child_create(wr_child **child, const wr__config *config,
                              wr_listener *const *listeners, int listener_count,
                              int index, int drain_fd, int stop_fd,
                              apr_pool_t *pool)
{
    wr_child *made = apr_pcalloc(pool, sizeof(*made));
    struct wr_child_core *core = apr_pcalloc(pool, sizeof(*core));

    made->mpm = config->mpm;
    made->mpm_config = config->mpm_config;
    made->pool = pool;
    made->listeners = listeners;
    made->listener_count = listener_count;
    made->drain_fd = drain_fd;
    made->stop_fd = stop_fd;
    made->quantum = (size_t)config->quantum;
    made->accept_limit = config->accept_limit;
    made->max_connections = wr__child_max_connections(config);
    made->core = core;
    core->config = config;
    core->server_field = make_server_field(config->server_tokens);
    core->index = index;
    core->note_fd = -1;
    core->is_threaded = config->mpm->traits & WR_MPM_THREADED;
    core->may_block = wr__config_blocks(config, NULL);
    core->asks_first = !(config->mpm->traits & WR_MPM_CALLS_INLINE)
                       || wr__op_delay(WR_OP_PAGE) > 0;
    core->cache = wr__cache_create(config, core->is_threaded, pool);
    core->flights = wr__flights_create(made, pool);
    core->stock = wr__stock_create(made, pool);
    core->row = wr__board_claim(made->mpm->name, index, "child");
    *child = made;
    return APR_SUCCESS;
}

void wr__child_destroy(wr_child *child)
{
    assert(atomic_load(&child->connections) == 0);
    wr__cache_destroy(child->core->cache);
    wr__stock_destroy(child->core->stock);
    wr__board_release(child->core->row, NULL);
}

apr_status_t wr__child_init(wr_child *child)
{
    apr_status_t status;

    wr__hooks_run_child_init(child);
    status = child->mpm->init(child);
    if (status != APR_SUCCESS) {
        wr_log_error(child->core->config->main_server, WR_LOG_CRIT, status,
                     "MPM %s can't start", child->mpm->name);
    }
    return status;
}

int wr__child_serve(wr_child *child)
{
    apr_status_t status = child->mpm->serve(child);

    if (status != APR_SUCCESS) {
        wr_log_error(child->core->config->main_server, WR_LOG_CRIT, status,
                     "MPM %s has failed", child->mpm->name);
        return 1;
    }
    return 0;
}

void wr__child_supervised(wr_child *child, int note_fd)
{
    child->core->note_fd = note_fd;
    child->core->serial_limit =
        (uint32_t)child->core->config->max_connections_per_child;
}

void wr__child_tell(const wr_child *child, int kind)
{
    wr__child_note note = {.pid = getpid(), .kind = kind};
    /* The generation reads them; if it is far behind, it will see us end. */
    ssize_t written = write(child->core->note_fd, &note, sizeof(note));

    (void)written;
}

/* Phases.  Writing to an eventfd fails only when it is readable already. */

void wr__child_drain(wr_child *child)
{
    int expected = WR_CHILD_RUNNING;

    atomic_compare_exchange_strong(&child->phase, &expected, WR_CHILD_DRAINING);
    eventfd_write(child->drain_fd, 1);
}

void wr__child_stop(wr_child *child)
{
    atomic_store(&child->phase, WR_CHILD_STOPPING);
    eventfd_write(child->drain_fd, 1);
    eventfd_write(child->stop_fd, 1);
}

void wr__child_leave(wr_child *child)
{
    wr__child_tell(child, WR__CHILD_LEAVES);
    wr__child_drain(child);
}

wr_child_phase wr_child_state(const wr_child *child)
{
    return (wr_child_phase)atomic_load_explicit(&child->phase,
                                                memory_order_relaxed);
}

void wr_child_fail(wr_child *child, const char *what, int error)
{
    wr_log_error(child->core->config->main_server, WR_LOG_CRIT, error, "%s",
                 what);
    wr__child_stop(child);
}
