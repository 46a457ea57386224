/*
 * log_format.c - log formats: compiled while the configuration is read, to an
 * array of items; to make a line is to let each item append to it.
 *
 * Part of mod_log_config.  Lines are made in whatever thread logs, straight in
 * that thread's ring; nothing is allocated, locked or asked of the system.
 *
 * What a client sent is escaped as httpd does it: no control character, quote
 * or backslash gets into a line as itself.  A line is bounded.  Each item
 * leaves room for the ones after it, so that a long field is cut and cannot
 * push status or size out of the line.
 *
 * There is one status of a request, so %s and %>s are the same.
 */
#include "log_format.h"

#include "wr_config.h"
#include "wr_log.h"
#include "wr_mpm.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/** Each field has this much of a line to itself, however long others are. */
#define FIELD_ROOM 64
/** All of that, and the text between the fields, may come to so much. */
#define FORMAT_MAX (WR_LOG_LINE_MAX / 2)

/** A line being made, and where the item at work has to stop. */
typedef struct line {
    char *at;
    const char *end;
} line;

/** "%400,501{...}i", "%!200{...}i": for which statuses there is a value. */
typedef struct condition {
    bool is_negated;
    apr_array_header_t *statuses; /* int */
} condition;

typedef struct item item;
typedef void put_fn(line *out, const item *it, const wr_request *r);

struct item {
    put_fn *put;
    const char *text; /* literal text, or what stood in braces; or NULL */
    size_t text_len;
    int choice;                 /* what the text was found to mean */
    bool is_end;                /* a time: of the request's end */
    size_t limit;               /* it ends before this byte of the line */
    const condition *condition; /* NULL: always */
};

struct wr__log_format {
    const item *items;
    int item_count;
};

/* Appending. */

static void put_bytes(line *out, const char *text, size_t len)
{
    size_t room = (size_t)(out->end - out->at);

    len = len < room ? len : room;
    memcpy(out->at, text, len);
    out->at += len;
}

static void put_char(line *out, char c)
{
    if (out->at < out->end) {
        *out->at++ = c;
    }
}

/** At least @a width digits. */
static void put_number(line *out, uint64_t value, int width)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
        width--;
    } while (value > 0 || width > 0);
    put_bytes(out, digits + at, sizeof(digits) - at);
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/** A byte that is not plain; whole or not at all. */
static void put_escape(line *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\"\\\b\n\r\t\v", meant[] = "\"\\bnrtv";
    char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
    const char *letter = c ? strchr(letters, c) : NULL;
    size_t len = letter ? 2 : 4;

    if (letter) {
        escape[1] = meant[letter - letters];
    }
    if ((size_t)(out->end - out->at) < len) {
        out->end = out->at; /* the value is cut here */
        return;
    }
    put_bytes(out, escape, len);
}

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

static inline uint64_t find_less(uint64_t word, unsigned limit)
{
    return (word - EACH_BYTE * limit) & ~word & HIGH_BITS;
}

/** Are eight bytes plain?  The same as is_plain() on each of them. */
static inline bool are_plain(uint64_t word)
{
    uint64_t not_plain = (word | (word + EACH_BYTE)) & HIGH_BITS;

    not_plain |= find_less(word, ' ');
    not_plain |= find_less(word ^ (EACH_BYTE * '"'), 1);
    not_plain |= find_less(word ^ (EACH_BYTE * '\\'), 1);
    return not_plain == 0;
}

static void put_escaped(line *out, const char *text, size_t len)
{
    const char *stop = text + len;

    while (text < stop) {
        uint64_t word;

        if (stop - text >= 8 && out->end - out->at >= 8) {
            memcpy(&word, text, 8);
            if (are_plain(word)) {
                memcpy(out->at, &word, 8);
                out->at += 8;
                text += 8;
                continue;
            }
        }
        if (is_plain((unsigned char)*text)) {
            put_char(out, *text);
        }
        else {
            put_escape(out, (unsigned char)*text);
        }
        text++;
    }
}

static void put_text(line *out, const char *text)
{
    if (text) {
        put_escaped(out, text, strlen(text));
    }
    else {
        put_char(out, '-');
    }
}

/* The items. */

static void put_literal(line *out, const item *it, const wr_request *r)
{
    (void)r;
    put_bytes(out, it->text, it->text_len);
}

/** Four numbers with dots; inet_ntop() goes through printf() for that. */
static void put_ipv4(line *out, const unsigned char *bytes)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            put_char(out, '.');
        }
        put_number(out, bytes[i], 1);
    }
}

static void put_address(line *out, const struct sockaddr *address)
{
    const void *any = address;
    const struct in6_addr *v6;
    char text[INET6_ADDRSTRLEN];

    if (address && address->sa_family == AF_INET) {
        put_ipv4(out, (const unsigned char *)&((const struct sockaddr_in *)any)
                          ->sin_addr);
        return;
    }
    if (!address || address->sa_family != AF_INET6) {
        put_char(out, '-');
        return;
    }
    v6 = &((const struct sockaddr_in6 *)any)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        put_ipv4(out, v6->s6_addr + 12);
    }
    else if (inet_ntop(AF_INET6, v6, text, sizeof(text))) {
        put_bytes(out, text, strlen(text));
    }
}

static void put_client(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_address(out, &r->peer.any);
}

/** It was asked for when the request came in. */
static void put_local(line *out, const item *it, const wr_request *r)
{
    (void)it;
    /* The connection may be gone: nothing but what is kept is looked at. */
    put_address(out, wr_request_local((wr_request *)(uintptr_t)r));
}

static void put_dash(line *out, const item *it, const wr_request *r)
{
    (void)it;
    (void)r;
    put_char(out, '-');
}

static void put_user(line *out, const item *it, const wr_request *r)
{
    (void)it;
    if (r->user && !*r->user) {
        put_bytes(out, "\"\"", 2);
    }
    else {
        put_text(out, r->user);
    }
}

/** "[06/Nov/1994:08:49:37 +0000]": made once a second by each thread.  Several
 *  are kept, since requests begin and end in each other's seconds. */
static void put_time(line *out, const item *it, const wr_request *r)
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
    put_bytes(out, kept->text, (size_t)kept->len);
}

static apr_time_t time_of(const item *it, const wr_request *r)
{
    return it->is_end ? r->end_time : r->time;
}

static void put_time_as(line *out, const item *it, const wr_request *r)
{
    char text[256];
    apr_size_t len;
    apr_time_exp_t t;

    apr_time_exp_lt(&t, time_of(it, r));
    if (apr_strftime(text, &len, sizeof(text), it->text, &t) == APR_SUCCESS) {
        put_bytes(out, text, len);
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

static void put_time_number(line *out, const item *it, const wr_request *r)
{
    const struct time_unit *unit = &time_units[it->choice];
    int64_t value = time_of(it, r) / unit->divisor;

    put_number(out, (uint64_t)(unit->modulus ? value % unit->modulus : value),
               unit->width);
}

/** choice: how many microseconds are counted as one. */
static void put_duration(line *out, const item *it, const wr_request *r)
{
    int64_t value = r->end_time - r->time; /* clocks can be set back */

    put_number(out, value > 0 ? (uint64_t)(value / it->choice) : 0, 1);
}

static void put_request_line(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->request_line && *r->request_line ? r->request_line : NULL);
}

static void put_status(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_number(out, (uint64_t)r->status, 1);
}

enum {
    WIRE_IN,
    WIRE_OUT,
    WIRE_BOTH
};

static void put_bytes_sent(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_number(out, (uint64_t)r->bytes_sent, 1);
}

static void put_wire(line *out, const item *it, const wr_request *r)
{
    int64_t value = it->choice == WIRE_IN    ? r->wire_received
                    : it->choice == WIRE_OUT ? r->wire_sent
                                             : r->wire_received + r->wire_sent;

    put_number(out, (uint64_t)value, 1);
}

static void put_bytes_or_dash(line *out, const item *it, const wr_request *r)
{
    if (r->bytes_sent > 0) {
        put_bytes_sent(out, it, r);
    }
    else {
        put_char(out, '-');
    }
}

static void put_handler(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->handler);
}

static void put_filename(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->filename);
}

static void put_protocol(line *out, const item *it, const wr_request *r)
{
    (void)it;
    if (r->version_major == 0 && r->version_minor == 0) {
        put_char(out, '-'); /* there was no readable request line */
        return;
    }
    put_bytes(out, "HTTP/", 5);
    put_number(out, r->version_major, 1);
    put_char(out, '.');
    put_number(out, r->version_minor, 1);
}

static void put_method(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->method_name);
}

static void put_uri(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->uri);
}

static void put_query(line *out, const item *it, const wr_request *r)
{
    (void)it;
    if (r->args) {
        put_char(out, '?');
        put_text(out, r->args);
    }
}

static void put_server_name(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->server->name ? r->server->name : r->host);
}

static void put_host(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_text(out, r->host ? r->host : r->server->name);
}

enum {
    PORT_CANONICAL,
    PORT_LOCAL,
    PORT_REMOTE
};

static void put_port(line *out, const item *it, const wr_request *r)
{
    unsigned port = r->server->port;

    if (it->choice == PORT_REMOTE) {
        port = ntohs(r->peer.any.sa_family == AF_INET6 ? r->peer.v6.sin6_port
                                                       : r->peer.v4.sin_port);
    }
    else if (r->listener && (it->choice == PORT_LOCAL || port == 0)) {
        port = r->listener->port;
    }
    put_number(out, port, 1);
}

enum {
    PROCESS,
    PROCESS_THREAD,
    PROCESS_HEX
};

static void put_process(line *out, const item *it, const wr_request *r)
{
    char hex[24];

    (void)r;
    if (it->choice == PROCESS_HEX) {
        apr_snprintf(hex, sizeof(hex), "%lx", (unsigned long)gettid());
        put_bytes(out, hex, strlen(hex));
        return;
    }
    put_number(
        out, (uint64_t)(it->choice == PROCESS_THREAD ? gettid() : getpid()), 1);
}

static void put_connection(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_char(out, r->is_aborted ? 'X' : r->keep_alive ? '+' : '-');
}

static void put_request_number(line *out, const item *it, const wr_request *r)
{
    (void)it;
    put_number(out, r->number, 1);
}

static void put_log_id(line *out, const item *it, const wr_request *r)
{
    char id[WR_LOG_ID_SIZE];

    (void)it;
    put_text(out, wr_log_id(r, id));
}

static void put_field(line *out, const item *it, const wr_request *r)
{
    put_text(out, wr_request_field(r, it->text));
}

/** A field that the core knows by number: no search, no strlen(). */
static void put_known_field(line *out, const item *it, const wr_request *r)
{
    int index = r->known[it->choice];

    if (index) {
        put_escaped(out, r->fields[index - 1].value,
                    r->fields[index - 1].value_len);
    }
    else {
        put_char(out, '-');
    }
}

static const char *value_in(const apr_table_t *table, const char *name)
{
    return table ? apr_table_get(table, name) : NULL;
}

/** A field of the response; some have members of their own. */
static void put_field_out(line *out, const item *it, const wr_request *r)
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
        put_number(out, (uint64_t)r->content_length, 1);
        return;
    }
    put_text(out, value);
}

/** A cookie's value in any Cookie field (RFC 6265, 4.2.1). */
static void put_cookie(line *out, const item *it, const wr_request *r)
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
                put_escaped(out, at + name_len + 1, len - name_len - 1);
                return;
            }
            at += len + (at[len] == ';');
            at += strspn(at, " \t");
        }
    }
    put_char(out, '-');
}

static void put_env(line *out, const item *it, const wr_request *r)
{
    put_text(out, value_in(r->env, it->text));
}

static void put_note(line *out, const item *it, const wr_request *r)
{
    put_text(out, value_in(r->notes, it->text));
}

/* Compiling.  Each function returns NULL or what is wrong. */

static const char *need_name(item *it)
{
    return it->text && *it->text ? NULL : "needs a name, as in %{NAME}";
}

static const char *prepare_field(item *it)
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
static const char *prepare_client(item *it)
{
    return it->text && strcmp(it->text, "c") != 0 ? "takes c or nothing" : NULL;
}

static const char *prepare_received(item *it)
{
    it->choice = WIRE_IN;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_sent(item *it)
{
    it->choice = WIRE_OUT;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_both(item *it)
{
    it->choice = WIRE_BOTH;
    return it->text ? "takes no argument" : NULL;
}

static const char *refuse_trailer(item *it)
{
    (void)it;
    return "can't be had: trailers are read and dropped";
}

static const char *prepare_time(item *it)
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

static const char *prepare_microseconds(item *it)
{
    it->choice = 1;
    return it->text ? "takes no argument" : NULL;
}

static const char *prepare_seconds(item *it)
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

static const char *prepare_port(item *it)
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

static const char *prepare_process(item *it)
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

static const struct field {
    char letter;
    put_fn *put;
    const char *(*prepare)(item *it); /* NULL: nothing in braces */
} fields[] = {
    {'h', put_client, NULL},
    {'a', put_client, prepare_client},
    {'A', put_local, NULL},
    {'l', put_dash, NULL},
    {'u', put_user, NULL},
    {'t', put_time, prepare_time},
    {'r', put_request_line, NULL},
    {'s', put_status, NULL},
    {'b', put_bytes_or_dash, NULL},
    {'B', put_bytes_sent, NULL},
    {'I', put_wire, prepare_received},
    {'O', put_wire, prepare_sent},
    {'S', put_wire, prepare_both},
    {'L', put_log_id, NULL},
    {'R', put_handler, NULL},
    {'^', put_dash, refuse_trailer},
    {'D', put_duration, prepare_microseconds},
    {'T', put_duration, prepare_seconds},
    {'f', put_filename, NULL},
    {'H', put_protocol, NULL},
    {'m', put_method, NULL},
    {'p', put_port, prepare_port},
    {'P', put_process, prepare_process},
    {'q', put_query, NULL},
    {'U', put_uri, NULL},
    {'v', put_server_name, NULL},
    {'V', put_host, NULL},
    {'i', put_field, prepare_field},
    {'o', put_field_out, need_name},
    {'C', put_cookie, need_name},
    {'e', put_env, need_name},
    {'n', put_note, need_name},
    {'X', put_connection, NULL},
    {'k', put_request_number, NULL},
};

/** "!400,501" */
static const char *parse_statuses(apr_pool_t *pool, const char *at, item *it)
{
    condition *cond = apr_pcalloc(pool, sizeof(*cond));

    cond->is_negated = *at == '!';
    at += cond->is_negated;
    cond->statuses = apr_array_make(pool, 4, sizeof(int));
    while (apr_isdigit(*at)) {
        char *end;
        long status = strtol(at, &end, 10);

        APR_ARRAY_PUSH(cond->statuses, int) = status < 1000 ? (int)status : 0;
        at = *end == ',' ? end + 1 : end;
    }
    it->condition = cond;
    return at;
}

/** What stands between '%' and the letter. */
static const char *parse_modifiers(apr_pool_t *pool, const char **text,
                                   item *it)
{
    const char *at = *text, *brace;

    while (*at && strchr("!0123456789<>{", *at)) {
        if (*at == '{') {
            brace = strchr(at, '}');
            if (!brace) {
                return "a brace is not closed";
            }
            it->text = apr_pstrmemdup(pool, at + 1, (size_t)(brace - at - 1));
            at = brace + 1;
        }
        else if (*at == '<' || *at == '>') {
            at++;
        }
        else {
            at = parse_statuses(pool, at, it);
        }
    }
    *text = at;
    return NULL;
}

/** What follows '%'. */
static const char *parse_field(apr_pool_t *pool, const char **text, item *it)
{
    const char *error = parse_modifiers(pool, text, it);
    const char letter = **text;

    if (error) {
        return error;
    }
    for (size_t i = 0; letter && i < sizeof(fields) / sizeof(*fields); i++) {
        if (fields[i].letter != letter) {
            continue;
        }
        ++*text;
        it->put = fields[i].put;
        if (fields[i].prepare) {
            error = fields[i].prepare(it);
        }
        else if (it->text) {
            error = "takes no argument";
        }
        return error ? apr_psprintf(pool, "%%%c %s", letter, error) : NULL;
    }
    return letter ? apr_psprintf(pool, "%%%c is not known", letter)
                  : "a % has no letter after it";
}

/** Text up to the next field; "\n", "\t" and "%%" stand for one character. */
static void parse_literal(apr_pool_t *pool, const char **text, item *it)
{
    const char *at = *text;
    char *copy = apr_palloc(pool, strlen(at) + 1);

    it->put = put_literal;
    it->text = copy;
    while (*at && (*at != '%' || at[1] == '%')) {
        if (*at == '\\' && at[1]) {
            at++;
            *copy++ = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
        }
        else {
            at += *at == '%';
            *copy++ = *at;
        }
        at++;
    }
    it->text_len = (size_t)(copy - it->text);
    *text = at;
}

/** Give each item its share of the line, from the last one back. */
static const char *set_limits(item *items, int count)
{
    size_t reserved = 1; /* the line feed */

    for (int i = count - 1; i >= 0; i--) {
        items[i].limit = WR_LOG_LINE_MAX - reserved;
        reserved +=
            items[i].put == put_literal ? items[i].text_len : FIELD_ROOM;
        if (reserved > FORMAT_MAX) {
            return "the format is too long";
        }
    }
    return NULL;
}

const char *wr__log_format_compile(apr_pool_t *pool, const char *text,
                                   const wr__log_format **format)
{
    apr_array_header_t *items = apr_array_make(pool, 24, sizeof(item));
    wr__log_format *result = apr_palloc(pool, sizeof(*result));
    const char *error;

    while (*text) {
        item *it = apr_array_push(items);

        memset(it, 0, sizeof(*it));
        if (*text == '%' && text[1] != '%') {
            text++;
            error = parse_field(pool, &text, it);
            if (error) {
                return error;
            }
        }
        else {
            parse_literal(pool, &text, it);
        }
    }
    error = set_limits((item *)items->elts, items->nelts);
    if (error) {
        return error;
    }
    result->items = (const item *)items->elts;
    result->item_count = items->nelts;
    *format = result;
    return NULL;
}

bool wr__log_format_needs_local(const wr__log_format *format)
{
    for (int i = 0; i < format->item_count; i++) {
        if (format->items[i].put == put_local) {
            return true;
        }
    }
    return false;
}

/* Making a line. */

static bool has_value(const condition *cond, int status)
{
    for (int i = 0; i < cond->statuses->nelts; i++) {
        if (APR_ARRAY_IDX(cond->statuses, i, int) == status) {
            return !cond->is_negated;
        }
    }
    return cond->is_negated;
}

size_t wr__log_format_line(char *start, const wr__log_format *format,
                           const wr_request *r)
{
    line out = {.at = start};

    for (int i = 0; i < format->item_count; i++) {
        const item *it = &format->items[i];

        out.end = start + it->limit;
        if (it->condition && !has_value(it->condition, r->status)) {
            put_char(&out, '-');
        }
        else {
            it->put(&out, it, r);
        }
    }
    *out.at++ = '\n';
    return (size_t)(out.at - start);
}
