/*
 * status_auto.c - the status as httpd shows it to programs by "?auto": a line a
 * number, with httpd's names where the meaning is the same, and after them all
 * that the scoreboard counts.
 */
#include "status.h"

#include "wr_version.h"

#include <apr_time.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LINE(...) apr_brigade_printf(bb, NULL, NULL, __VA_ARGS__)

/** A name: whatever is in it, it stays on its line. */
static void put_name(apr_bucket_brigade *bb, const char *name)
{
    for (; *name; name++) {
        apr_brigade_putc(bb, NULL, NULL,
                         iscntrl((unsigned char)*name) ? '?' : *name);
    }
    LINE("\n");
}

static void put_time(apr_bucket_brigade *bb, const char *key, int64_t us)
{
    char text[64];
    apr_size_t len = 0;
    apr_time_exp_t t;

    apr_time_exp_lt(&t, us);
    apr_strftime(text, &len, sizeof(text), "%A, %d-%b-%Y %H:%M:%S %Z", &t);
    LINE("%s: %s\n", key, text);
}

static void put_part(apr_bucket_brigade *bb, int64_t count, const char *unit)
{
    if (count > 0) {
        LINE(" %" APR_INT64_T_FMT " %s%s", (apr_int64_t)count, unit,
             count == 1 ? "" : "s");
    }
}

/** "1 day 3 hours 20 minutes 5 seconds" */
static void put_uptime(apr_bucket_brigade *bb, int64_t seconds)
{
    LINE("ServerUptimeSeconds: %" APR_INT64_T_FMT "\nServerUptime:",
         (apr_int64_t)seconds);
    put_part(bb, seconds / 86400, "day");
    put_part(bb, seconds / 3600 % 24, "hour");
    put_part(bb, seconds / 60 % 60, "minute");
    put_part(bb, seconds % 60, "second");
    LINE(seconds > 0 ? "\n" : " 0 seconds\n");
}

static void put_server(const wr__status *s, apr_bucket_brigade *bb)
{
    double loads[3];

    put_name(bb, s->host ? s->host : "localhost");
    LINE("ServerVersion: " WR_SERVER_PRODUCT "/" WR_VERSION "\n");
    LINE("ServerMPM: ");
    put_name(bb, s->mpm);
    put_time(bb, "CurrentTime", s->now_us);
    put_time(bb, "RestartTime", s->board.started_us);
    LINE("ParentServerConfigGeneration: %d\n", s->board.generation);
    put_uptime(bb, (int64_t)wr__status_uptime(s));
    if (getloadavg(loads, 3) == 3) { /* of memory, too: /proc/loadavg */
        LINE("Load1: %.2f\nLoad5: %.2f\nLoad15: %.2f\n", loads[0], loads[1],
             loads[2]);
    }
}

static void put_totals(const wr__status *s, apr_bucket_brigade *bb)
{
    double uptime = wr__status_uptime(s);
    double requests = (double)s->all.n[WR_N_REQUESTS];
    double bytes = (double)s->all.n[WR_N_BYTES_SENT];
    double user = (double)s->all.usage[WR__U_CPU_USER] / 1e9;
    double system = (double)s->all.usage[WR__U_CPU_SYSTEM] / 1e9;

    LINE("Total Accesses: %" APR_INT64_T_FMT "\n",
         (apr_int64_t)s->all.n[WR_N_REQUESTS]);
    LINE("Total kBytes: %" APR_INT64_T_FMT "\n",
         (apr_int64_t)s->all.n[WR_N_BYTES_SENT] / 1024);
    LINE("CPUUser: %.2f\nCPUSystem: %.2f\n", user, system);
    LINE("CPULoad: %.6f\n", 100 * (user + system) / uptime);
    LINE("Uptime: %" APR_INT64_T_FMT "\n", (apr_int64_t)uptime);
    LINE("ReqPerSec: %.6f\n", requests / uptime);
    LINE("BytesPerSec: %.3f\n", bytes / uptime);
    if (requests > 0) {
        LINE("BytesPerReq: %.3f\n", bytes / requests);
    }
}

static void put_now(const wr__status *s, apr_bucket_brigade *bb)
{
    static const wr_counter states[] = {WR_N_IDLE, WR_N_READING, WR_N_RUNNING,
                                        WR_N_WRITING, WR_N_CLOSING};
    int64_t conns = 0;

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        conns += s->all.n[states[i]];
    }
    LINE("BusyWorkers: %d\nIdleWorkers: %d\nProcesses: %d\n", s->all.busy,
         s->all.threads - s->all.busy, s->processes->nelts);
    LINE("ConnsTotal: %" APR_INT64_T_FMT "\n", (apr_int64_t)conns);
    LINE("ConnsAsyncWriting: %" APR_INT64_T_FMT "\n",
         (apr_int64_t)s->all.n[WR_N_WRITING]);
    LINE("ConnsAsyncKeepAlive: %" APR_INT64_T_FMT "\n",
         (apr_int64_t)s->all.n[WR_N_IDLE]);
    LINE("ConnsAsyncClosing: %" APR_INT64_T_FMT "\n",
         (apr_int64_t)s->all.n[WR_N_CLOSING]);
}

/** "bytes_sent" is WeirBytesSent: never a name that httpd may take. */
static void put_counter(apr_bucket_brigade *bb, const wr_counter_info *info,
                        int64_t value)
{
    bool is_start = true;

    LINE(WR_SERVER_PRODUCT);
    for (const char *at = info->name; *at; at++) {
        if (isalnum((unsigned char)*at)) {
            apr_brigade_putc(
                bb, NULL, NULL,
                (char)(is_start ? toupper((unsigned char)*at) : *at));
        }
        is_start = *at == '_';
    }
    LINE(": %" APR_INT64_T_FMT "\n", (apr_int64_t)value);
}

/** A letter a thread: "_" waits, "W" works. */
static void put_scoreboard(const wr__status *s, apr_bucket_brigade *bb)
{
    LINE("Scoreboard: ");
    for (int i = 0; i < s->threads->nelts; i++) {
        const wr__status_thread *t =
            &APR_ARRAY_IDX(s->threads, i, wr__status_thread);

        apr_brigade_putc(bb, NULL, NULL,
                         t->row.state == WR_ROLE_WAITING ? '_' : 'W');
    }
    LINE("\n");
}

static void show(const wr__status *s, apr_bucket_brigade *bb)
{
    put_server(s, bb);
    put_totals(s, bb);
    put_now(s, bb);
    for (int i = 0; i < WR_N_COUNT; i++) {
        put_counter(bb, &s->counters[i], s->all.n[i]);
    }
    for (int i = 0; i < WR__U_COUNT; i++) {
        put_counter(bb, &wr__usage_infos[i], s->all.usage[i]);
    }
    put_scoreboard(s, bb);
}

const wr__status_form wr__status_auto = {
    .query = "auto",
    .content_type = "text/plain; charset=utf-8",
    .show = show,
};
