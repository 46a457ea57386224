/*
 * status_prometheus.c - the status in Prometheus' text format, 0.0.4.
 *
 * A counter is a sample for each MPM and role.  A gauge means something only as
 * the sum over all (wr_board.h), so it has no labels; so has what the kernel
 * counts, since what threads that have ended used is not known: those are
 * gauges, of the threads that live.  Times are in seconds, as is the custom.
 */
#include "status.h"

#include "wr_version.h"

#include <ctype.h>
#include <string.h>

#define PUT(...) apr_brigade_printf(bb, NULL, NULL, __VA_ARGS__)

static void put_escaped(apr_bucket_brigade *bb, const char *text,
                        const char *special)
{
    for (; *text; text++) {
        if (*text == '\n') {
            PUT("\\n");
        }
        else {
            PUT(strchr(special, *text) ? "\\%c" : "%c",
                isascii((unsigned char)*text) ? *text : '?');
        }
    }
}

static void put_help(apr_bucket_brigade *bb, const char *text)
{
    put_escaped(bb, text, "\\");
}

/** name="value" */
static void put_label(apr_bucket_brigade *bb, const char *name,
                      const char *value)
{
    PUT("%s=\"", name);
    put_escaped(bb, value, "\\\"");
    PUT("\"");
}

static bool is_time(const wr_counter_info *info)
{
    return strcmp(info->unit, "ns") == 0;
}

/** "blocked_ns" is weir_blocked_seconds_total. */
static void put_name(apr_bucket_brigade *bb, const char *prefix,
                     const wr_counter_info *info, const char *suffix)
{
    size_t len = strlen(info->name);

    if (is_time(info) && len > 3 && strcmp(info->name + len - 3, "_ns") == 0) {
        len -= 3;
    }
    PUT("weir_%s", prefix);
    apr_brigade_write(bb, NULL, NULL, info->name, len);
    PUT("%s%s", is_time(info) ? "_seconds" : "", suffix);
}

static void put_value(apr_bucket_brigade *bb, const wr_counter_info *info,
                      int64_t value)
{
    if (is_time(info)) {
        PUT(" %.9f\n", (double)value / 1e9);
    }
    else if (strcmp(info->unit, "milli") == 0) {
        PUT(" %.3f\n", (double)value / 1e3);
    }
    else {
        PUT(" %" APR_INT64_T_FMT "\n", (apr_int64_t)value);
    }
}

static void put_head(apr_bucket_brigade *bb, const char *prefix,
                     const wr_counter_info *info, const char *suffix)
{
    PUT("# HELP ");
    put_name(bb, prefix, info, suffix);
    PUT(" ");
    put_help(bb, info->help);
    PUT("\n# TYPE ");
    put_name(bb, prefix, info, suffix);
    PUT(" %s\n", *suffix ? "counter" : "gauge");
}

/** @a state: NULL: none. */
static void put_labels(apr_bucket_brigade *bb, const wr__status_group *role,
                       const char *state)
{
    PUT("{");
    put_label(bb, "mpm", role->mpm);
    PUT(",");
    put_label(bb, "role", role->role);
    if (state) {
        PUT(",");
        put_label(bb, "state", state);
    }
    PUT("}");
}

static void put_counter(const wr__status *s, apr_bucket_brigade *bb, int number)
{
    const wr_counter_info *info = &s->counters[number];

    if (info->kind == WR_GAUGE) {
        put_head(bb, "", info, "");
        put_name(bb, "", info, "");
        put_value(bb, info, s->all.n[number]);
        return;
    }
    put_head(bb, "", info, "_total");
    for (int i = 0; i < s->roles->nelts; i++) {
        const wr__status_group *role =
            &APR_ARRAY_IDX(s->roles, i, wr__status_group);

        put_name(bb, "", info, "_total");
        put_labels(bb, role, NULL);
        put_value(bb, info, role->n[number]);
    }
}

static void put_usage(const wr__status *s, apr_bucket_brigade *bb, int number)
{
    const wr_counter_info *info = &wr__usage_infos[number];

    put_head(bb, "live_", info, "");
    for (int i = 0; i < s->roles->nelts; i++) {
        const wr__status_group *role =
            &APR_ARRAY_IDX(s->roles, i, wr__status_group);

        put_name(bb, "live_", info, "");
        put_labels(bb, role, NULL);
        put_value(bb, info, role->usage[number]);
    }
}

static void put_threads(const wr__status *s, apr_bucket_brigade *bb)
{
    PUT("# HELP weir_threads threads that live\n# TYPE weir_threads gauge\n");
    for (int i = 0; i < s->roles->nelts; i++) {
        const wr__status_group *role =
            &APR_ARRAY_IDX(s->roles, i, wr__status_group);

        PUT("weir_threads");
        put_labels(bb, role, "busy");
        PUT(" %d\nweir_threads", role->busy);
        put_labels(bb, role, "waiting");
        PUT(" %d\n", role->threads - role->busy);
    }
}

static void put_one(apr_bucket_brigade *bb, const char *name, const char *help,
                    int value)
{
    PUT("# HELP %s %s\n# TYPE %s gauge\n%s %d\n", name, help, name, name,
        value);
}

static void show(const wr__status *s, apr_bucket_brigade *bb)
{
    PUT("# HELP weir_info this server\n# TYPE weir_info gauge\nweir_info{");
    put_label(bb, "version", WR_VERSION);
    PUT(",");
    put_label(bb, "mpm", s->mpm);
    PUT("} 1\n");
    PUT("# HELP weir_start_time_seconds when the server began, since 1970\n"
        "# TYPE weir_start_time_seconds gauge\nweir_start_time_seconds %.6f\n",
        (double)s->board.started_us / 1e6);
    put_one(bb, "weir_generation", "number of the configuration that serves",
            s->board.generation);
    put_one(bb, "weir_generations", "configurations with processes that live",
            s->generations->nelts);
    put_one(bb, "weir_processes", "processes that serve, and helpers",
            s->processes->nelts);
    put_threads(s, bb);
    for (int i = 0; i < WR_N_COUNT; i++) {
        put_counter(s, bb, i);
    }
    for (int i = 0; i < WR__U_COUNT; i++) {
        put_usage(s, bb, i);
    }
}

const wr__status_form wr__status_prometheus = {
    .query = "prometheus",
    .content_type = "text/plain; version=0.0.4; charset=utf-8",
    .show = show,
};
