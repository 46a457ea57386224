/*
 * status_json.c - the status for programs: all that there is, by name.
 *
 * Keys stay what they are; new ones may come.  Whole numbers are up to 64 bits
 * wide.  Texts are escaped to ASCII.
 */
#include "status.h"

#include "wr_version.h"

#include <apr_strings.h>

/** Objects, arrays, and the commas between what is in them.  Thousands of rows
 *  are many small pieces: they are gathered here, not in the brigade. */
typedef struct json {
    apr_bucket_brigade *bb;
    bool is_first; /**< of what is open */
    size_t len;
    char text[APR_BUCKET_BUFF_SIZE];
} json;

static void flush(json *j)
{
    apr_brigade_write(j->bb, NULL, NULL, j->text, j->len);
    j->len = 0;
}

static void put_char(json *j, char c)
{
    if (j->len == sizeof(j->text)) {
        flush(j);
    }
    j->text[j->len++] = c;
}

static void put(json *j, const char *text)
{
    for (; *text; text++) {
        put_char(j, *text);
    }
}

static void put_string(json *j, const char *text)
{
    put_char(j, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            char escaped[8];

            apr_snprintf(escaped, sizeof(escaped), "\\u%04x", c);
            put(j, escaped);
        }
        else {
            put_char(j, (char)c);
        }
    }
    put_char(j, '"');
}

static void separate(json *j)
{
    put(j, j->is_first ? "" : ", ");
    j->is_first = false;
}

static void put_key(json *j, const char *key)
{
    separate(j);
    put_string(j, key);
    put(j, ": ");
}

static void put_number(json *j, const char *key, int64_t value)
{
    char text[24];

    put_key(j, key);
    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, (apr_int64_t)value);
    put(j, text);
}

static void put_text(json *j, const char *key, const char *value)
{
    put_key(j, key);
    put_string(j, value);
}

static void begin(json *j, const char *bracket)
{
    put(j, bracket);
    j->is_first = true;
}

static void end(json *j, const char *bracket)
{
    put(j, bracket);
    j->is_first = false;
}

static void put_numbers(json *j, const char *key, const wr_counter_info *infos,
                        int count, const int64_t *n)
{
    put_key(j, key);
    begin(j, "{");
    for (int i = 0; i < count; i++) {
        put_number(j, infos[i].name, n[i]);
    }
    end(j, "}");
}

static void put_infos(json *j, const char *key, const wr_counter_info *infos,
                      int count)
{
    put_key(j, key);
    begin(j, "[");
    for (int i = 0; i < count; i++) {
        separate(j);
        begin(j, "\n  {");
        put_text(j, "name", infos[i].name);
        put_text(j, "kind", infos[i].kind == WR_GAUGE ? "gauge" : "counter");
        put_text(j, "unit", infos[i].unit);
        put_text(j, "help", infos[i].help);
        end(j, "}");
    }
    end(j, "]");
    put(j, "\n");
}

static void put_sums(json *j, const wr__status *s, const wr__status_group *g)
{
    put_number(j, "threads", g->threads);
    put_number(j, "busy", g->busy);
    put_numbers(j, "counters", s->counters, WR_N_COUNT, g->n);
    put_numbers(j, "usage", wr__usage_infos, WR__U_COUNT, g->usage);
}

static void put_role(json *j, const wr__status *s, const wr__status_group *g)
{
    put_text(j, "mpm", g->mpm);
    put_text(j, "role", g->role);
    put_sums(j, s, g);
}

static void put_generation(json *j, const wr__status *s,
                           const wr__status_group *g)
{
    put_number(j, "generation", g->generation);
    put_sums(j, s, g);
}

static void put_process(json *j, const wr__status *s, const wr__status_group *g)
{
    put_number(j, "pid", g->pid);
    put_number(j, "generation", g->generation);
    put_number(j, "child", g->child);
    put_text(j, "mpm", g->mpm);
    put_number(j, "since_us", g->since_us);
    put_number(j, "resident_bytes", g->resident_bytes);
    put_sums(j, s, g);
}

static void put_groups(json *j, const wr__status *s, const char *key,
                       const apr_array_header_t *groups,
                       void (*put_one)(json *, const wr__status *,
                                       const wr__status_group *))
{
    put_key(j, key);
    begin(j, "[");
    for (int i = 0; i < groups->nelts; i++) {
        separate(j);
        begin(j, "\n  {");
        put_one(j, s, &APR_ARRAY_IDX(groups, i, wr__status_group));
        end(j, "}");
    }
    end(j, "]");
    put(j, "\n");
}

static const char *word_of(wr_role_state state)
{
    switch (state) {
    case WR_ROLE_NONE:
        return "ended";
    case WR_ROLE_WAITING:
        return "waiting";
    case WR_ROLE_BUSY:
        break;
    }
    return "busy";
}

static void put_thread(json *j, const wr__status *s, const wr__status_thread *t)
{
    put_number(j, "pid", t->row.pid);
    put_number(j, "tid", t->row.tid);
    put_number(j, "generation", t->row.generation);
    put_number(j, "child", t->row.child);
    put_text(j, "mpm", t->row.mpm);
    put_text(j, "role", t->row.role);
    put_text(j, "state", word_of(t->row.state));
    put_number(j, "since_us", t->row.since_us);
    put_numbers(j, "counters", s->counters, WR_N_COUNT, t->row.n);
    if (t->has_usage) {
        put_numbers(j, "usage", wr__usage_infos, WR__U_COUNT, t->usage);
    }
    else {
        put_key(j, "usage");
        put(j, "null");
    }
}

static void put_threads(json *j, const wr__status *s)
{
    put_key(j, "threads");
    begin(j, "[");
    for (int i = 0; i < s->threads->nelts; i++) {
        separate(j);
        begin(j, "\n  {");
        put_thread(j, s, &APR_ARRAY_IDX(s->threads, i, wr__status_thread));
        end(j, "}");
    }
    end(j, "]");
    put(j, "\n");
}

static void show(const wr__status *s, apr_bucket_brigade *bb)
{
    json j = {.bb = bb};

    begin(&j, "{");
    put_number(&j, "version", s->board.version);
    put_text(&j, "server", WR_SERVER_PRODUCT "/" WR_VERSION);
    put_text(&j, "mpm", s->mpm);
    put_number(&j, "generation", s->board.generation);
    put_number(&j, "started_us", s->board.started_us);
    put_number(&j, "now_us", s->now_us);
    put_number(&j, "busy", s->all.busy);
    put_number(&j, "waiting", s->all.threads - s->all.busy);
    put_number(&j, "usage_unread", s->unread);
    put_numbers(&j, "totals", s->counters, WR_N_COUNT, s->all.n);
    put_numbers(&j, "usage", wr__usage_infos, WR__U_COUNT, s->all.usage);
    put_groups(&j, s, "roles", s->roles, put_role);
    put_groups(&j, s, "generations", s->generations, put_generation);
    put_groups(&j, s, "processes", s->processes, put_process);
    put_threads(&j, s);
    put_infos(&j, "counter_infos", s->counters, WR_N_COUNT);
    put_infos(&j, "usage_infos", wr__usage_infos, WR__U_COUNT);
    end(&j, "}\n");
    flush(&j);
}

const wr__status_form wr__status_json = {
    .query = "json",
    .content_type = "application/json",
    .show = show,
};
