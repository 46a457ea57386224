/*
 * log_fields.c - see log_fields.h.
 *
 * Each field appends in whatever thread logs, straight in that thread's ring;
 * nothing is allocated, locked or asked of the system.  There is one status of
 * a request, so %s and %>s are the same.
 */
#include "log_fields.h"

#include "wr_config.h"
#include "wr_log.h"
#include "wr_mpm.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* What they append. */

static void put_client(wr__log_line *out, const wr__log_item *it,
                       const wr_request *r)
{
    (void)it;
    wr__put_address(out, &r->peer.any);
}

/** It was asked for when the request came in. */
static void put_local(wr__log_line *out, const wr__log_item *it,
                      const wr_request *r)
{
    (void)it;
    /* The connection may be gone: nothing but what is kept is looked at. */
    wr__put_address(out, wr_request_local((wr_request *)(uintptr_t)r));
}

static void put_dash(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    (void)it;
    (void)r;
    wr__put_char(out, '-');
}

static void put_user(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    (void)it;
    if (r->user && !*r->user) {
        wr__put_bytes(out, "\"\"", 2);
    }
    else {
        wr__put_text(out, r->user);
    }
}

/** "[06/Nov/1994:08:49:37 +0000]": made once a second by each thread.  Several
 *  are kept, since requests begin and end in each other's seconds. */
static void put_time(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    static _Thread_local struct {
        int64_t second;
        int len; /* 0: not yet made */
        char text[40];
    } cache[4], *kept;
    int64_t second = apr_time_sec(r->time);

    (void)it;
    kept = &cache[second & 3];
    if (kept->len == 0 || kept->second != second) {
        apr_time_exp_t t;

        apr_time_exp_lt(&t, apr_time_from_sec(second));
        kept->second = second;
        kept->len = apr_snprintf(
            kept->text, sizeof(kept->text),
            "[%02d/%s/%d:%02d:%02d:%02d %c%02d%02d]", t.tm_mday,
            apr_month_snames[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min,
            t.tm_sec, t.tm_gmtoff < 0 ? '-' : '+', abs(t.tm_gmtoff) / 3600,
            abs(t.tm_gmtoff) / 60 % 60);
    }
    wr__put_bytes(out, kept->text, (size_t)kept->len);
}

static apr_time_t time_of(const wr__log_item *it, const wr_request *r)
{
    return it->is_end ? r->end_time : r->time;
}

static void put_time_as(wr__log_line *out, const wr__log_item *it,
                        const wr_request *r)
{
    char text[256];
    apr_size_t len;
    apr_time_exp_t t;

    apr_time_exp_lt(&t, time_of(it, r));
    if (apr_strftime(text, &len, sizeof(text), it->text, &t) == APR_SUCCESS) {
        wr__put_bytes(out, text, len);
    }
}

/** What "%{...}t" may name but a format of strftime(). */
static const struct time_unit {
    const char *name;
    int64_t divisor; /* of microseconds */
    int64_t modulus; /* 0: none */
    int width;
} time_units[] = {
    {"sec", APR_USEC_PER_SEC, 0, 1},
    {"msec", 1000, 0, 1},
    {"usec", 1, 0, 1},
    {"msec_frac", 1000, 1000, 3},
    {"usec_frac", 1, APR_USEC_PER_SEC, 6},
};

static void put_time_number(wr__log_line *out, const wr__log_item *it,
                            const wr_request *r)
{
    const struct time_unit *unit = &time_units[it->choice];
    int64_t value = time_of(it, r) / unit->divisor;

    wr__put_number(out,
                   (uint64_t)(unit->modulus ? value % unit->modulus : value),
                   unit->width);
}

/** choice: how many microseconds are counted as one. */
static void put_duration(wr__log_line *out, const wr__log_item *it,
                         const wr_request *r)
{
    int64_t value = r->end_time - r->time; /* clocks can be set back */

    wr__put_number(out, value > 0 ? (uint64_t)(value / it->choice) : 0, 1);
}

static void put_request_line(wr__log_line *out, const wr__log_item *it,
                             const wr_request *r)
{
    (void)it;
    wr__put_text(out,
                 r->request_line && *r->request_line ? r->request_line : NULL);
}

static void put_status(wr__log_line *out, const wr__log_item *it,
                       const wr_request *r)
{
    (void)it;
    wr__put_number(out, (uint64_t)r->status, 1);
}

enum {
    WIRE_IN,
    WIRE_OUT,
    WIRE_BOTH
};

static void put_bytes_sent(wr__log_line *out, const wr__log_item *it,
                           const wr_request *r)
{
    (void)it;
    wr__put_number(out, (uint64_t)r->bytes_sent, 1);
}

static void put_wire(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    int64_t value = it->choice == WIRE_IN    ? r->wire_received
                    : it->choice == WIRE_OUT ? r->wire_sent
                                             : r->wire_received + r->wire_sent;

    wr__put_number(out, (uint64_t)value, 1);
}

static void put_bytes_or_dash(wr__log_line *out, const wr__log_item *it,
                              const wr_request *r)
{
    if (r->bytes_sent > 0) {
        put_bytes_sent(out, it, r);
    }
    else {
        wr__put_char(out, '-');
    }
}

static void put_handler(wr__log_line *out, const wr__log_item *it,
                        const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->handler);
}

static void put_filename(wr__log_line *out, const wr__log_item *it,
                         const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->filename);
}

static void put_protocol(wr__log_line *out, const wr__log_item *it,
                         const wr_request *r)
{
    (void)it;
    if (r->version_major == 0 && r->version_minor == 0) {
        wr__put_char(out, '-'); /* there was no readable request line */
        return;
    }
    wr__put_bytes(out, "HTTP/", 5);
    wr__put_number(out, r->version_major, 1);
    wr__put_char(out, '.');
    wr__put_number(out, r->version_minor, 1);
}

static void put_method(wr__log_line *out, const wr__log_item *it,
                       const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->method_name);
}

static void put_uri(wr__log_line *out, const wr__log_item *it,
                    const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->uri);
}

static void put_query(wr__log_line *out, const wr__log_item *it,
                      const wr_request *r)
{
    (void)it;
    if (r->args) {
        wr__put_char(out, '?');
        wr__put_text(out, r->args);
    }
}

static void put_server_name(wr__log_line *out, const wr__log_item *it,
                            const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->server->name ? r->server->name : r->host);
}

static void put_host(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    (void)it;
    wr__put_text(out, r->host ? r->host : r->server->name);
}

enum {
    PORT_CANONICAL,
    PORT_LOCAL,
    PORT_REMOTE
};

static void put_port(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    unsigned port = r->server->port;

    if (it->choice == PORT_REMOTE) {
        port = ntohs(r->peer.any.sa_family == AF_INET6 ? r->peer.v6.sin6_port
                                                       : r->peer.v4.sin_port);
    }
    else if (r->listener && (it->choice == PORT_LOCAL || port == 0)) {
        port = r->listener->port;
    }
    wr__put_number(out, port, 1);
}

enum {
    PROCESS,
    PROCESS_THREAD,
    PROCESS_HEX
};

static void put_process(wr__log_line *out, const wr__log_item *it,
                        const wr_request *r)
{
    char hex[24];

    (void)r;
    if (it->choice == PROCESS_HEX) {
        apr_snprintf(hex, sizeof(hex), "%lx", (unsigned long)gettid());
        wr__put_bytes(out, hex, strlen(hex));
        return;
    }
    wr__put_number(
        out, (uint64_t)(it->choice == PROCESS_THREAD ? gettid() : getpid()), 1);
}

static void put_connection(wr__log_line *out, const wr__log_item *it,
                           const wr_request *r)
{
    (void)it;
    wr__put_char(out, r->is_aborted ? 'X' : r->keep_alive ? '+' : '-');
}

static void put_request_number(wr__log_line *out, const wr__log_item *it,
                               const wr_request *r)
{
    (void)it;
    wr__put_number(out, r->number, 1);
}

static void put_log_id(wr__log_line *out, const wr__log_item *it,
                       const wr_request *r)
{
    char id[WR_LOG_ID_SIZE];

    (void)it;
    wr__put_text(out, wr_log_id(r, id));
}

static void put_field(wr__log_line *out, const wr__log_item *it,
                      const wr_request *r)
{
    wr__put_text(out, wr_request_field(r, it->text));
}

/** A field that the core knows by number: no search, no strlen(). */
static void put_known_field(wr__log_line *out, const wr__log_item *it,
                            const wr_request *r)
{
    int index = r->known[it->choice];

    if (index) {
        wr__put_escaped(out, r->fields[index - 1].value,
                        r->fields[index - 1].value_len);
    }
    else {
        wr__put_char(out, '-');
    }
}

static const char *value_in(const apr_table_t *table, const char *name)
{
    return table ? apr_table_get(table, name) : NULL;
}

/** A field of the response; some have members of their own. */
static void put_field_out(wr__log_line *out, const wr__log_item *it,
                          const wr_request *r)
{
    const char *value = value_in(r->err_headers_out, it->text);

    if (!value) {
        value = value_in(r->headers_out, it->text);
    }
    if (!value && strcasecmp(it->text, "Content-Type") == 0) {
        value = r->content_type;
    }
    else if (!value && strcasecmp(it->text, "Content-Encoding") == 0) {
        value = r->content_encoding;
    }
    else if (!value && strcasecmp(it->text, "Content-Language") == 0) {
        value = r->content_language;
    }
    else if (!value && strcasecmp(it->text, "Content-Length") == 0
             && r->content_length >= 0) {
        wr__put_number(out, (uint64_t)r->content_length, 1);
        return;
    }
    wr__put_text(out, value);
}

/** A cookie's value in any Cookie field (RFC 6265, 4.2.1). */
static void put_cookie(wr__log_line *out, const wr__log_item *it,
                       const wr_request *r)
{
    size_t name_len = strlen(it->text);

    for (int i = 0; i < r->field_count; i++) {
        const char *at = r->fields[i].value;

        if (strcasecmp(r->fields[i].name, "Cookie") != 0) {
            continue;
        }
        while (*at) {
            size_t len = strcspn(at, ";");

            if (len > name_len && at[name_len] == '='
                && strncmp(at, it->text, name_len) == 0) {
                wr__put_escaped(out, at + name_len + 1, len - name_len - 1);
                return;
            }
            at += len + (at[len] == ';');
            at += strspn(at, " \t");
        }
    }
    wr__put_char(out, '-');
}

static void put_env(wr__log_line *out, const wr__log_item *it,
                    const wr_request *r)
{
    wr__put_text(out, value_in(r->env, it->text));
}

static void put_note(wr__log_line *out, const wr__log_item *it,
                     const wr_request *r)
{
    wr__put_text(out, value_in(r->notes, it->text));
}

/* What may stand in braces.  Each returns NULL or what is wrong. */

static const char *need_name(wr__log_item *it)
{
    return it->text && *it->text ? NULL : "needs a name, as in %{NAME}";
}

static const char *prepare_field(wr__log_item *it)
{
    static const struct {
        const char *name;
        wr_known_field number;
    } known[] = {
        {"Host", WR_F_HOST},
        {"User-Agent", WR_F_USER_AGENT},
        {"Referer", WR_F_REFERER},
        {"Range", WR_F_RANGE},
        {"If-Modified-Since", WR_F_IF_MODIFIED_SINCE},
        {"If-None-Match", WR_F_IF_NONE_MATCH},
    };

    for (size_t i = 0; it->text && i < sizeof(known) / sizeof(*known); i++) {
        if (strcasecmp(it->text, known[i].name) == 0) {
            it->put = put_known_field;
            it->choice = (int)known[i].number;
        }
    }
    return need_name(it);
}

/** %{c}a: the connection's address, which is the client's. */
static const char *prepare_client(wr__log_item *it)
{
    return it->text && strcmp(it->text, "c") != 0 ? "takes c or nothing" : NULL;
}

static const char *prepare_received(wr__log_item *it)
{
    it->choice = WIRE_IN;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_sent(wr__log_item *it)
{
    it->choice = WIRE_OUT;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_both(wr__log_item *it)
{
    it->choice = WIRE_BOTH;
    return it->text ? "takes no argument" : NULL;
}

static const char *refuse_trailer(wr__log_item *it)
{
    (void)it;
    return "can't be had: trailers are read and dropped";
}

static const char *prepare_time(wr__log_item *it)
{
    if (!it->text) {
        return NULL;
    }
    if (strncmp(it->text, "begin:", 6) == 0) {
        it->text += 6;
    }
    else if (strncmp(it->text, "end:", 4) == 0) {
        it->text += 4;
        it->is_end = true;
    }
    it->put = put_time_as;
    for (size_t i = 0; i < sizeof(time_units) / sizeof(*time_units); i++) {
        if (strcmp(it->text, time_units[i].name) == 0) {
            it->put = put_time_number;
            it->choice = (int)i;
        }
    }
    return *it->text ? NULL : "needs a format of strftime() in its braces";
}

static const char *prepare_microseconds(wr__log_item *it)
{
    it->choice = 1;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_seconds(wr__log_item *it)
{
    const char *unit = it->text ? it->text : "s";

    if (strcmp(unit, "s") == 0) {
        it->choice = APR_USEC_PER_SEC;
    }
    else if (strcmp(unit, "ms") == 0) {
        it->choice = 1000;
    }
    else if (strcmp(unit, "us") == 0) {
        it->choice = 1;
    }
    else {
        return "takes the units s, ms and us";
    }
    return NULL;
}

static const char *prepare_port(wr__log_item *it)
{
    const char *which = it->text ? it->text : "canonical";

    if (strcmp(which, "local") == 0) {
        it->choice = PORT_LOCAL;
    }
    else if (strcmp(which, "remote") == 0) {
        it->choice = PORT_REMOTE;
    }
    else if (strcmp(which, "canonical") != 0) {
        return "takes canonical, local or remote";
    }
    return NULL;
}

static const char *prepare_process(wr__log_item *it)
{
    if (it->text && strcmp(it->text, "tid") == 0) {
        it->choice = PROCESS_THREAD;
    }
    else if (it->text && strcmp(it->text, "hextid") == 0) {
        it->choice = PROCESS_HEX;
    }
    else if (it->text && strcmp(it->text, "pid") != 0) {
        return "takes pid, tid or hextid";
    }
    return NULL;
}

static const wr__log_field fields[] = {
    {.letter = 'h', .put = put_client},
    {.letter = 'a', .put = put_client, .prepare = prepare_client},
    {.letter = 'A', .put = put_local, .needs_local = true},
    {.letter = 'l', .put = put_dash},
    {.letter = 'u', .put = put_user},
    {.letter = 't', .put = put_time, .prepare = prepare_time},
    {.letter = 'r', .put = put_request_line},
    {.letter = 's', .put = put_status},
    {.letter = 'b', .put = put_bytes_or_dash},
    {.letter = 'B', .put = put_bytes_sent},
    {.letter = 'I', .put = put_wire, .prepare = prepare_received},
    {.letter = 'O', .put = put_wire, .prepare = prepare_sent},
    {.letter = 'S', .put = put_wire, .prepare = prepare_both},
    {.letter = 'L', .put = put_log_id},
    {.letter = 'R', .put = put_handler},
    {.letter = '^', .put = put_dash, .prepare = refuse_trailer},
    {.letter = 'D', .put = put_duration, .prepare = prepare_microseconds},
    {.letter = 'T', .put = put_duration, .prepare = prepare_seconds},
    {.letter = 'f', .put = put_filename},
    {.letter = 'H', .put = put_protocol},
    {.letter = 'm', .put = put_method},
    {.letter = 'p', .put = put_port, .prepare = prepare_port},
    {.letter = 'P', .put = put_process, .prepare = prepare_process},
    {.letter = 'q', .put = put_query},
    {.letter = 'U', .put = put_uri},
    {.letter = 'v', .put = put_server_name},
    {.letter = 'V', .put = put_host},
    {.letter = 'i', .put = put_field, .prepare = prepare_field},
    {.letter = 'o', .put = put_field_out, .prepare = need_name},
    {.letter = 'C', .put = put_cookie, .prepare = need_name},
    {.letter = 'e', .put = put_env, .prepare = need_name},
    {.letter = 'n', .put = put_note, .prepare = need_name},
    {.letter = 'X', .put = put_connection},
    {.letter = 'k', .put = put_request_number},
};

const wr__log_field *wr__log_field_of(char letter)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (fields[i].letter == letter) {
            return &fields[i];
        }
    }
    return NULL;
}
