/*
 * status_html.c - the status as a page for people: no script, nothing from
 * elsewhere, light or dark, on a screen of any width.
 *
 * What is counted stands in tables that are made from the tables of counters.
 * Of processes and threads the first ROWS_SHOWN are shown; "?json" has all.
 * Every text but our own is escaped.
 */
#include "status.h"

#include "wr_version.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <string.h>

#define ROWS_SHOWN 100

#define PUT(...) apr_brigade_printf(bb, NULL, NULL, __VA_ARGS__)

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n<title>Status of Weir</title>\n<style>\n"
    ":root{color-scheme:light dark;--paper:#fbfaf6;--raised:#f1f3ef;"
    "--ink:#1d272b;--soft:#46565c;--line:#cfd8d6;--accent:#0a5a82}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#12191c;"
    "--raised:#1a2428;--ink:#e3eaea;--soft:#a9b9bc;--line:#34444a;"
    "--accent:#7cc4e6}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:80rem;background:var(--paper);"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif;"
    "-webkit-text-size-adjust:100%}\n"
    "h1{font-size:1.5rem;line-height:1.2;margin:.2rem 0;"
    "overflow-wrap:anywhere}\n"
    "h2{font-size:1.15rem;margin:2rem 0 .5rem}\n"
    "p{margin:.4rem 0}p,caption,small{color:var(--soft)}"
    "a{color:var(--accent)}\n"
    "nav a{margin-right:1rem}\n"
    ".tiles{display:grid;gap:.75rem;margin:1rem 0;padding:0;"
    "grid-template-columns:repeat(auto-fill,minmax(8.4rem,1fr))}\n"
    ".tiles div{background:var(--raised);border:1px solid var(--line);"
    "border-radius:.4rem;padding:.6rem .8rem}\n"
    ".tiles dt{color:var(--soft);font-size:.85rem}\n"
    ".tiles dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);"
    "text-align:right;white-space:nowrap}\n"
    "th{font-weight:600}thead th{background:var(--raised)}\n"
    "th:first-child,td.text,th.text{text-align:left}\n"
    "th[scope=row]{white-space:normal;min-width:10rem;font-weight:400}\n"
    "td.small,th.small{min-width:0}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--raised);"
    "border:1px solid var(--line);border-radius:.4rem;padding:.6rem;margin:0}\n"
    "</style>\n</head>\n<body>\n";

static void put_text(apr_bucket_brigade *bb, const char *text)
{
    apr_brigade_puts(bb, NULL, NULL, apr_pescape_entity(bb->p, text, 0));
}

/* Numbers as people read them; in the brigade's pool. */

/** 1234567 is 1,234,567. */
static const char *grouped(apr_pool_t *pool, int64_t n)
{
    const char *digits =
        apr_psprintf(pool, "%" APR_INT64_T_FMT, (apr_int64_t)n) + (n < 0);
    size_t len = strlen(digits);
    char *text = apr_palloc(pool, len + len / 3 + 2);
    char *to = text;

    if (n < 0) {
        *to++ = '-';
    }
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

/** With a unit that leaves three or four digits. */
static const char *scaled(apr_pool_t *pool, double value,
                          const char *const *units, double step)
{
    while (value >= step && units[1]) {
        value /= step;
        units++;
    }
    return apr_psprintf(
        pool,
        value >= 100 || value == (double)(int64_t)value ? "%.0f%s" : "%.2f%s",
        value, *units);
}

static const char *bytes(apr_pool_t *pool, double n)
{
    static const char *const units[] = {" B",   " KiB", " MiB",
                                        " GiB", " TiB", NULL};

    return scaled(pool, n, units, 1024);
}

static const char *seconds(apr_pool_t *pool, double ns)
{
    static const char *const units[] = {" ns", " µs", " ms", " s", NULL};

    return ns == 0 ? "0" : scaled(pool, ns, units, 1000);
}

static const char *amount(apr_pool_t *pool, const wr_counter_info *info,
                          int64_t n)
{
    if (strcmp(info->unit, "bytes") == 0) {
        return bytes(pool, (double)n);
    }
    if (strcmp(info->unit, "ns") == 0) {
        return seconds(pool, (double)n);
    }
    if (strcmp(info->unit, "milli") == 0) {
        return apr_psprintf(pool, "%.2f", (double)n / 1000);
    }
    return grouped(pool, n);
}

static const char *rate(apr_pool_t *pool, const wr_counter_info *info,
                        double per_second)
{
    if (strcmp(info->unit, "bytes") == 0) {
        return bytes(pool, per_second);
    }
    if (strcmp(info->unit, "ns") == 0) {
        return seconds(pool, per_second);
    }
    return per_second >= 100 ? grouped(pool, (int64_t)(per_second + 0.5))
                             : apr_psprintf(pool, "%.2f", per_second);
}

/** "3 d 04:05:06" */
static const char *span(apr_pool_t *pool, int64_t us)
{
    int64_t s = us > 0 ? us / 1000000 : 0;
    const char *clock =
        apr_psprintf(pool, "%02d:%02d:%02d", (int)(s / 3600 % 24),
                     (int)(s / 60 % 60), (int)(s % 60));

    return s < 86400 ? clock
                     : apr_psprintf(pool, "%d d %s", (int)(s / 86400), clock);
}

/* Pieces of the page. */

static void begin_table(apr_bucket_brigade *bb, const char *const *columns)
{
    PUT("<div class=\"wide\"><table>\n<thead><tr>");
    for (; *columns; columns++) {
        PUT("<th scope=\"col\">%s</th>", *columns);
    }
}

static void end_table(apr_bucket_brigade *bb)
{
    PUT("</tbody>\n</table></div>\n");
}

static void put_cell(apr_bucket_brigade *bb, const char *text)
{
    PUT("<td>");
    put_text(bb, text);
    PUT("</td>");
}

static void put_tile(apr_bucket_brigade *bb, const char *what,
                     const char *value)
{
    PUT("<div><dt>%s</dt><dd>%s</dd></div>\n", what, value);
}

/** That are open now: of a process, a generation, or all. */
static int64_t connections(const wr__status_group *group)
{
    return group->n[WR_N_IDLE] + group->n[WR_N_READING] + group->n[WR_N_RUNNING]
           + group->n[WR_N_WRITING] + group->n[WR_N_CLOSING];
}

static void put_tiles(const wr__status *s, apr_bucket_brigade *bb)
{
    double uptime = wr__status_uptime(s);
    double requests = (double)s->all.n[WR_N_REQUESTS];
    double sent = (double)s->all.n[WR_N_BYTES_SENT];
    apr_pool_t *pool = bb->p;

    PUT("<dl class=\"tiles\">\n");
    put_tile(bb, "requests", grouped(pool, s->all.n[WR_N_REQUESTS]));
    put_tile(bb, "requests / s", apr_psprintf(pool, "%.2f", requests / uptime));
    put_tile(bb, "sent", bytes(pool, sent));
    put_tile(bb, "sent / s", bytes(pool, sent / uptime));
    put_tile(bb, "connections now", grouped(pool, connections(&s->all)));
    put_tile(bb, "threads at work",
             apr_psprintf(pool, "%d of %d", s->all.busy, s->all.threads));
    put_tile(bb, "processes", apr_itoa(pool, s->processes->nelts));
    put_tile(bb, "processor time",
             seconds(pool, (double)s->all.usage[WR__U_CPU]));
    PUT("</dl>\n<p>Amounts a second are those since the server began.</p>\n");
}

static void put_gauges(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {"what", "now", NULL};

    PUT("<h2>Now</h2>\n");
    begin_table(bb, columns);
    PUT("</tr></thead>\n<tbody>\n");
    for (int i = 0; i < WR_N_COUNT; i++) {
        if (s->counters[i].kind == WR_GAUGE) {
            PUT("<tr><th scope=\"row\">");
            put_text(bb, s->counters[i].help);
            PUT("</th>");
            put_cell(bb, amount(bb->p, &s->counters[i], s->all.n[i]));
            PUT("</tr>\n");
        }
    }
    end_table(bb);
}

/** What role: "worker", of which MPM if they are several. */
static void put_role(apr_bucket_brigade *bb, const wr__status_group *role)
{
    if (!*role->role) {
        PUT("forgotten");
        return;
    }
    put_text(bb, role->role);
    PUT(" <small>");
    put_text(bb, role->mpm);
    PUT("</small>");
}

static void put_roles_head(const wr__status *s, apr_bucket_brigade *bb)
{
    for (int i = 0; i < s->roles->nelts; i++) {
        PUT("<th scope=\"col\">");
        put_role(bb, &APR_ARRAY_IDX(s->roles, i, wr__status_group));
        PUT("</th>");
    }
    PUT("</tr></thead>\n<tbody>\n");
}

static void put_row_head(apr_bucket_brigade *bb, const wr_counter_info *info)
{
    PUT("<tr><th scope=\"row\">");
    put_text(bb, info->help);
    PUT("</th>");
}

/** What was counted, in all, and by role. */
static void put_counters(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {"what", "in all", "a second", NULL};
    double uptime = wr__status_uptime(s);

    PUT("<h2>Since the start</h2>\n");
    begin_table(bb, columns);
    put_roles_head(s, bb);
    for (int i = 0; i < WR_N_COUNT; i++) {
        const wr_counter_info *info = &s->counters[i];

        if (info->kind != WR_COUNTER) {
            continue;
        }
        put_row_head(bb, info);
        put_cell(bb, amount(bb->p, info, s->all.n[i]));
        put_cell(bb, rate(bb->p, info, (double)s->all.n[i] / uptime));
        for (int k = 0; k < s->roles->nelts; k++) {
            const wr__status_group *role =
                &APR_ARRAY_IDX(s->roles, k, wr__status_group);

            put_cell(bb, amount(bb->p, info, role->n[i]));
        }
        PUT("</tr>\n");
    }
    end_table(bb);
}

static void put_thread_counts(const wr__status *s, apr_bucket_brigade *bb)
{
    PUT("<tr><th scope=\"row\">threads</th><td>%d</td>", s->all.threads);
    for (int i = 0; i < s->roles->nelts; i++) {
        PUT("<td>%d</td>",
            APR_ARRAY_IDX(s->roles, i, wr__status_group).threads);
    }
    PUT("</tr>\n<tr><th scope=\"row\">... of them at work</th><td>%d</td>",
        s->all.busy);
    for (int i = 0; i < s->roles->nelts; i++) {
        PUT("<td>%d</td>", APR_ARRAY_IDX(s->roles, i, wr__status_group).busy);
    }
    PUT("</tr>\n");
}

/** What the kernel counts, in all, and by role. */
static void put_usages(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {"what", "in all", NULL};

    PUT("<h2>Threads that live</h2>\n");
    begin_table(bb, columns);
    put_roles_head(s, bb);
    put_thread_counts(s, bb);
    for (int i = 0; i < WR__U_COUNT; i++) {
        const wr_counter_info *info = &wr__usage_infos[i];

        put_row_head(bb, info);
        put_cell(bb, amount(bb->p, info, s->all.usage[i]));
        for (int k = 0; k < s->roles->nelts; k++) {
            const wr__status_group *role =
                &APR_ARRAY_IDX(s->roles, k, wr__status_group);

            put_cell(bb, amount(bb->p, info, role->usage[i]));
        }
        PUT("</tr>\n");
    }
    end_table(bb);
    if (s->unread > 0) {
        PUT("<p>Without %d more threads, of which the kernel was not "
            "asked.</p>\n",
            s->unread);
    }
}

static void put_rest(apr_bucket_brigade *bb, int count, const char *what)
{
    if (count > ROWS_SHOWN) {
        PUT("<p>And %d more %s: see <a href=\"?json\">all</a>.</p>\n",
            count - ROWS_SHOWN, what);
    }
}

static int shown(int count)
{
    return count < ROWS_SHOWN ? count : ROWS_SHOWN;
}

/** What a process and a generation have in common. */
static void put_group(const wr__status *s, apr_bucket_brigade *bb,
                      const wr__status_group *group)
{
    apr_pool_t *pool = bb->p;

    put_cell(bb, span(pool, s->now_us - group->since_us));
    PUT("<td>%d of %d</td>", group->busy, group->threads);
    put_cell(bb, grouped(pool, connections(group)));
    put_cell(bb, grouped(pool, group->n[WR_N_CONNECTIONS]));
    put_cell(bb, grouped(pool, group->n[WR_N_REQUESTS]));
    put_cell(bb, bytes(pool, (double)group->n[WR_N_BYTES_SENT]));
    put_cell(bb, seconds(pool, (double)group->usage[WR__U_CPU]));
}

/** One there is always; more, while those before have something to end. */
static void put_generations(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {
        "generation", "age",  "at work",   "connected", "connections",
        "requests",   "sent", "processor", NULL};

    if (s->generations->nelts < 2) {
        return;
    }
    PUT("<h2>Generations</h2>\n");
    begin_table(bb, columns);
    PUT("</tr></thead>\n<tbody>\n");
    for (int i = 0; i < shown(s->generations->nelts); i++) {
        const wr__status_group *generation =
            &APR_ARRAY_IDX(s->generations, i, wr__status_group);

        PUT("<tr><th scope=\"row\" class=\"small\">%d</th>",
            generation->generation);
        put_group(s, bb, generation);
        PUT("</tr>\n");
    }
    end_table(bb);
    put_rest(bb, s->generations->nelts, "generations");
}

static void put_process(const wr__status *s, apr_bucket_brigade *bb,
                        const wr__status_group *p)
{
    PUT("<tr><th scope=\"row\" class=\"small\">%d</th><td>%d</td>", p->pid,
        p->generation);
    put_cell(bb, p->mpm);
    put_group(s, bb, p);
    put_cell(bb, bytes(bb->p, (double)p->resident_bytes));
    PUT("</tr>\n");
}

static void put_processes(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {
        "process", "generation", "MPM",         "age",
        "at work", "connected",  "connections", "requests",
        "sent",    "processor",  "memory",      NULL};

    PUT("<h2>Processes</h2>\n");
    begin_table(bb, columns);
    PUT("</tr></thead>\n<tbody>\n");
    for (int i = 0; i < shown(s->processes->nelts); i++) {
        put_process(s, bb, &APR_ARRAY_IDX(s->processes, i, wr__status_group));
    }
    end_table(bb);
    put_rest(bb, s->processes->nelts, "processes");
}

static void put_thread(const wr__status *s, apr_bucket_brigade *bb,
                       const wr__status_thread *t)
{
    apr_pool_t *pool = bb->p;

    PUT("<tr><th scope=\"row\" class=\"small\">%d</th><td>%d</td>", t->row.tid,
        t->row.pid);
    put_cell(bb, t->row.role);
    put_cell(bb, t->row.state == WR_ROLE_WAITING ? "waits" : "works");
    put_cell(bb, span(pool, s->now_us - t->row.since_us));
    put_cell(bb, grouped(pool, t->row.n[WR_N_REQUESTS]));
    put_cell(bb, bytes(pool, (double)t->row.n[WR_N_BYTES_SENT]));
    for (int i = 0; i < WR__U_COUNT; i++) {
        if (i != WR__U_CPU_USER && i != WR__U_CPU_SYSTEM) {
            put_cell(bb, t->has_usage
                             ? amount(pool, &wr__usage_infos[i], t->usage[i])
                             : "-");
        }
    }
    PUT("</tr>\n");
}

static void put_threads(const wr__status *s, apr_bucket_brigade *bb)
{
    static const char *const columns[] = {"thread",       "process",
                                          "role",         "state",
                                          "age",          "requests",
                                          "sent",         "processor",
                                          "kept from it", "minor faults",
                                          "major faults", "slept",
                                          "displaced",    NULL};

    PUT("<h2>Threads</h2>\n");
    begin_table(bb, columns);
    PUT("</tr></thead>\n<tbody>\n");
    for (int i = 0; i < shown(s->threads->nelts); i++) {
        put_thread(s, bb, &APR_ARRAY_IDX(s->threads, i, wr__status_thread));
    }
    end_table(bb);
    put_rest(bb, s->threads->nelts, "threads");
}

static void put_head(const wr__status *s, apr_bucket_brigade *bb)
{
    char date[APR_RFC822_DATE_LEN];

    apr_brigade_puts(bb, NULL, NULL, head);
    PUT("<h1>Status of ");
    put_text(bb, s->host ? s->host : "the server");
    PUT("</h1>\n<p>" WR_SERVER_PRODUCT "/" WR_VERSION ", MPM ");
    put_text(bb, s->mpm);
    apr_rfc822_date(date, s->board.started_us);
    PUT(", generation %d, began %s, %s ago</p>\n", s->board.generation, date,
        span(bb->p, s->now_us - s->board.started_us));
    PUT("<nav>For programs: <a href=\"?auto\">lines</a><a "
        "href=\"?json\">JSON</a><a href=\"?prometheus\">Prometheus</a> "
        "<a href=\"?refresh=5\">Again every 5 s</a></nav>\n");
}

static void show(const wr__status *s, apr_bucket_brigade *bb)
{
    put_head(s, bb);
    put_tiles(s, bb);
    put_gauges(s, bb);
    put_counters(s, bb);
    put_usages(s, bb);
    put_generations(s, bb);
    if (s->has_rows) {
        put_processes(s, bb);
        put_threads(s, bb);
    }
    PUT("</body>\n</html>\n");
}

const wr__status_form wr__status_html = {
    .query = "",
    .content_type = "text/html; charset=utf-8",
    .show = show,
};
