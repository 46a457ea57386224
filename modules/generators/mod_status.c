/*
 * mod_status.c - the handler server-status: what the server does and has done.
 *
 *     <Location "/server-status">
 *         SetHandler server-status
 *         Require local
 *     </Location>
 *
 * A query says in which form: "?auto", "?json" and "?prometheus" are for
 * programs, all else is a page for people.  It runs in the connection's owner's
 * thread and neither waits nor asks for an op: all that it reads is memory.
 */
#include "wr_conn.h"
#include "wr_hook.h"
#include "wr_module.h"
#include "wr_request.h"

#include "status.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REFRESH_PRESET 10 /* seconds, as in httpd */
#define REFRESH_MAX    3600

static const wr__status_form *const forms[] = {
    &wr__status_auto, &wr__status_json, &wr__status_prometheus};

/** What the query asks for. */
typedef struct wish {
    const wr__status_form *form;
    int refresh; /**< seconds; 0: not */
    bool has_rows;
} wish;

/** With an empty value, too: some programs can't leave the "=" out. */
static bool is_word(const char *word, size_t len, const char *known)
{
    if (len > 0 && word[len - 1] == '=') {
        len--;
    }
    return strlen(known) == len && strncmp(word, known, len) == 0;
}

/** "refresh", or "refresh=N" */
static void wish_refresh(wish *w, const char *word, size_t len)
{
    static const char name[] = "refresh";
    size_t name_len = sizeof(name) - 1;
    long seconds = 0;

    if (len < name_len || strncmp(word, name, name_len) != 0
        || (len > name_len && word[name_len] != '=')) {
        return;
    }
    if (len > name_len) {
        seconds = strtol(word + name_len + 1, NULL, 10);
    }
    w->refresh = seconds < 1             ? REFRESH_PRESET
                 : seconds > REFRESH_MAX ? REFRESH_MAX
                                         : (int)seconds;
}

/** Words with "&" between them, as in "refresh=5&notable"; those that are not
 *  known do nothing. */
static wish read_query(const char *query)
{
    wish w = {.form = &wr__status_html, .has_rows = true};

    while (query && *query) {
        size_t len = strcspn(query, "&");

        for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
            if (is_word(query, len, forms[i]->query)) {
                w.form = forms[i];
            }
        }
        if (is_word(query, len, "notable")) {
            w.has_rows = false;
        }
        wish_refresh(&w, query, len);
        query += len + (query[len] == '&');
    }
    return w;
}

/** What browsers and caches are to know of it. */
static void set_fields(wr_request *r, const wish *w)
{
    r->content_type = w->form->content_type;
    wr_request_set_header(r, "Cache-Control", "no-store");
    if (w->form != &wr__status_html) {
        return;
    }
    wr_request_set_header(r, "Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'; "
                          "frame-ancestors 'none'");
    if (w->refresh) {
        wr_request_set_header(r, "Refresh", apr_itoa(r->pool, w->refresh));
    }
}

static wr_result show_status(wr_request *r)
{
    apr_bucket_brigade *bb;
    wr__status *s;
    wish w;

    if (!r->handler || strcmp(r->handler, "server-status") != 0
        || (r->method != WR_M_GET && r->method != WR_M_HEAD)) {
        return WR_DECLINED;
    }
    w = read_query(r->args);
    s = wr__status_gather(r->pool, r->conn->child->mpm->name);
    s->host = r->host;
    s->has_rows = w.has_rows;
    bb = apr_brigade_create(r->pool, wr_request_bucket_alloc(r));
    w.form->show(s, bb);
    set_fields(r, &w);
    wr_request_append_brigade(r, bb);
    return WR_OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(show_status, NULL, NULL, APR_HOOK_MIDDLE);
}

/** httpd counts more, and slower, where it is on.  Here it is always on. */
static const char *set_extended(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    return strcasecmp(argv[0], "on") == 0
               ? NULL
               : "everything is counted always, since it costs nothing: leave "
                 "this line out, or say On";
}

static const wr_command commands[] = {
    {.name = "ExtendedStatus",
     .run = set_extended,
     .context = WR_IN_GLOBAL,
     .min_args = 1,
     .max_args = 1,
     .args = "On",
     .help = "Nothing: it is always on. For configurations that say so.",
     .preset = "On"},
    {.name = NULL},
};

WR_API wr_module status_module = {
    WR_MODULE_HEAD("status"),
    .commands = commands,
    .register_hooks = register_hooks,
};
