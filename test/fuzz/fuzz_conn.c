/*
 * fuzz_conn.c - any bytes to the connection machine, the pipeline and the
 * handlers of test/unit/support.c: no crash, nothing left, and what comes out
 * is a sequence of responses, one for each request that was logged.
 *
 * The first five bytes say how the rest is fed and taken.
 */
#include "test/unit/support.h"

#include "server/child.h"

#include <stdint.h>
#include <stdlib.h>

#define HOW 5 /* bytes of them */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Narrow bounds, so that few bytes reach them. */
static const site_options options = {
    .asks_first = true,
    .is_cold = true,
    .config =
        "LimitRequestLine 200\nLimitRequestFields 6\n"
        "LimitRequestFieldSize 100\nLimitRequestHead 500\n"
        "LimitRequestBody 3000\nRequestBodyMemory 1024\nCacheRevalidate 0\n"
        "MaxKeepAliveRequests 40\n"};

static site *s;

/** How a byte of the input says it: a size, or none. */
static size_t size_of(uint8_t byte, size_t unit)
{
    return byte % 16 * unit;
}

static rig_rules read_rules(const uint8_t *how)
{
    return (rig_rules){.late_ops = how[0] & 1,
                       .late_logs = how[0] & 2,
                       .keeps_open = how[0] & 4,
                       .on_sockets = how[0] & 8,
                       .seed = how[1],
                       .feed_max = size_of(how[2], 1),
                       .send_max = size_of(how[3], 100),
                       .quantum = size_of(how[4], 3000)};
}

/** Did a connection break of itself?  Then its output may be cut. */
static bool any_aborted(void)
{
    for (int i = 0; i < logged_count(); i++) {
        if (logged_at(i).is_aborted) {
            return true;
        }
    }
    return false;
}

static void check_output(const rig *g)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, s->pool);
    read_responses(pool, g->output, g->output_len, any_aborted());
    apr_pool_destroy(pool);
}

static void end_site(void)
{
    s->descriptors = -1; /* libFuzzer's symbolizer opens some */
    site_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rig_rules rules;
    int served;
    rig *g;

    if (!s) {
        s = site_create(&options);
        atexit(end_site);
    }
    if (size < HOW) {
        return 0;
    }
    rules = read_rules(data);
    logged_clear();
    g = rig_create(s, &rules, (const char *)data + HOW, size - HOW);
    require(g->peer < 100); /* else some were left open */
    rig_run(g);
    rig_log(g);
    served = (int)g->served;
    require(logged_count() == served);
    check_output(g);
    rig_destroy(g);
    require(atomic_load(&s->child->connections) == 0);
    return 0;
}
