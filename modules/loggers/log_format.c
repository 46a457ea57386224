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
 */
#include "log_format.h"

#include "log_fields.h"
#include "log_line.h"

#include "wr_log.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <stdlib.h>
#include <string.h>

/** Each field has this much of a line to itself, however long others are. */
#define FIELD_ROOM 64
/** All of that, and the text between the fields, may come to so much. */
#define FORMAT_MAX (WR_LOG_LINE_MAX / 2)

struct wr__log_format {
    const wr__log_item *items;
    int item_count;
};

/* Compiling.  Each function returns NULL or what is wrong. */

static void put_literal(wr__log_line *out, const wr__log_item *it,
                        const wr_request *r)
{
    (void)r;
    wr__put_bytes(out, it->text, it->text_len);
}

/** "!400,501" */
static const char *parse_statuses(apr_pool_t *pool, const char *at,
                                  wr__log_item *it)
{
    wr__log_condition *cond = apr_pcalloc(pool, sizeof(*cond));

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
                                   wr__log_item *it)
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
static const char *parse_field(apr_pool_t *pool, const char **text,
                               wr__log_item *it)
{
    const char *error = parse_modifiers(pool, text, it);
    const char letter = **text;
    const wr__log_field *field;

    if (error) {
        return error;
    }
    if (!letter) {
        return "a % has no letter after it";
    }
    field = wr__log_field_of(letter);
    if (!field) {
        return apr_psprintf(pool, "%%%c is not known", letter);
    }
    ++*text;
    it->put = field->put;
    it->needs_local = field->needs_local;
    if (field->prepare) {
        error = field->prepare(it);
    }
    else if (it->text) {
        error = "takes no argument";
    }
    return error ? apr_psprintf(pool, "%%%c %s", letter, error) : NULL;
}

/** Text up to the next field; "\n", "\t" and "%%" stand for one character. */
static void parse_literal(apr_pool_t *pool, const char **text, wr__log_item *it)
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
static const char *set_limits(wr__log_item *items, int count)
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
    apr_array_header_t *items = apr_array_make(pool, 24, sizeof(wr__log_item));
    wr__log_format *result = apr_palloc(pool, sizeof(*result));
    const char *error;

    while (*text) {
        wr__log_item *it = apr_array_push(items);

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
    error = set_limits((wr__log_item *)items->elts, items->nelts);
    if (error) {
        return error;
    }
    result->items = (const wr__log_item *)items->elts;
    result->item_count = items->nelts;
    *format = result;
    return NULL;
}

bool wr__log_format_needs_local(const wr__log_format *format)
{
    for (int i = 0; i < format->item_count; i++) {
        if (format->items[i].needs_local) {
            return true;
        }
    }
    return false;
}

/* Making a line. */

static bool has_value(const wr__log_condition *cond, int status)
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
    wr__log_line out = {.at = start};

    for (int i = 0; i < format->item_count; i++) {
        const wr__log_item *it = &format->items[i];

        out.end = start + it->limit;
        if (it->condition && !has_value(it->condition, r->status)) {
            wr__put_char(&out, '-');
        }
        else {
            it->put(&out, it, r);
        }
    }
    *out.at++ = '\n';
    return (size_t)(out.at - start);
}
