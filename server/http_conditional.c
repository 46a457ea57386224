/*
 * http_conditional.c - preconditions of requests (RFC 9110, section 13).
 *
 * Runs in the connection's owner's thread, or in a linear handler's.
 */
#include "wr_request.h"

#include "request.h"
#include "response.h"

#include <apr_date.h>
#include <string.h>

/** Two opaque tags, without their "W/" (RFC 9110, 8.8.3.2). */
static bool same_opaque(const char *a, size_t a_len, const char *b)
{
    return strlen(b) == a_len && memcmp(a, b, a_len) == 0;
}

static const char *skip_weak(const char *tag, bool *is_weak)
{
    *is_weak = tag[0] == 'W' && tag[1] == '/';
    return *is_weak ? tag + 2 : tag;
}

/**
 * Is @a etag in a list of entity tags, or is the list "*"?
 *
 * @param strong a weak tag on either side matches nothing.
 */
static bool list_has(const char *list, const char *etag, bool strong)
{
    bool own_is_weak = false, is_weak;
    const char *own = etag ? skip_weak(etag, &own_is_weak) : NULL;

    while (*list) {
        const char *tag, *end;

        list += strspn(list, ", \t");
        if (*list == '*') {
            return true;
        }
        tag = skip_weak(list, &is_weak);
        if (*tag != '"' || !(end = strchr(tag + 1, '"'))) {
            return false; /* not a list of tags: nothing in it matches */
        }
        end++;
        if (own && same_opaque(tag, (size_t)(end - tag), own)
            && !(strong && (is_weak || own_is_weak))) {
            return true;
        }
        list = end;
    }
    return false;
}

/** Any of the fields of that kind: a list may come in several lines. */
static bool fields_have(const wr_request *r, wr_known_field known,
                        const char *etag, bool strong)
{
    for (int i = r->known[known] - 1; i < r->field_count; i++) {
        if (r->fields[i].known == known
            && list_has(r->fields[i].value, etag, strong)) {
            return true;
        }
    }
    return false;
}

/** RFC 9110, 5.6.7: one of the three forms, and nothing behind it, which
 *  apr_date_parse_http() does not mind. */
static bool is_date(const char *text)
{
    const char *comma = strchr(text, ',');

    return apr_date_checkmask(text, "@$$, ## @$$ #### ##:##:## GMT")
           || apr_date_checkmask(text, "@$$ @$$ ~# ##:##:## ####")
           || (comma && comma - text >= (int)sizeof("Sunday") - 1
               && apr_date_checkmask(comma, ", ##-@$$-## ##:##:## GMT"));
}

/** In seconds.  @return false if it is not understood. */
static bool parse_date(const char *text, apr_time_t *seconds)
{
    *seconds = apr_time_sec(apr_date_parse_http(text));
    /* The epoch is a date too, if one that APR calls bad. */
    return is_date(text) && (*seconds || strstr(text, "01 Jan 1970 00:00:00"));
}

/** A date of a field.  None, or more than one, or one that is not understood
 *  means that the field is ignored (RFC 9110, 13.1.3 and 13.1.4). */
static bool field_date(const wr_request *r, wr_known_field known,
                       apr_time_t *seconds)
{
    int first = r->known[known];

    for (int i = first; first && i < r->field_count; i++) {
        if (r->fields[i].known == known) {
            return false;
        }
    }
    return first && parse_date(r->fields[first - 1].value, seconds);
}

/* The order is that of RFC 9110, 13.2.2. */
wr_result wr_request_preconditions(wr_request *r, const char *etag,
                                   apr_time_t mtime)
{
    bool is_read = r->method == WR_M_GET || r->method == WR_M_HEAD;
    apr_time_t changed = apr_time_sec(mtime), date;

    r->core->etag = etag;
    r->core->mtime = mtime;
    r->core->is_judged = true;
    if (r->known[WR_F_IF_MATCH]) {
        if (!fields_have(r, WR_F_IF_MATCH, etag, true)) {
            return 412;
        }
    }
    else if (mtime && field_date(r, WR_F_IF_UNMODIFIED_SINCE, &date)
             && changed > date) {
        return 412;
    }
    if (r->known[WR_F_IF_NONE_MATCH]) {
        if (fields_have(r, WR_F_IF_NONE_MATCH, etag, false)) {
            return is_read ? 304 : 412;
        }
    }
    else if (is_read && mtime && field_date(r, WR_F_IF_MODIFIED_SINCE, &date)
             && changed <= date) {
        return 304;
    }
    return WR_OK;
}

bool wr__range_is_wanted(const wr_request *r, const char *etag,
                         apr_time_t mtime)
{
    const char *text = wr_request_known(r, WR_F_IF_RANGE);
    apr_time_t date;
    bool is_weak;

    if (!text) {
        return true;
    }
    /* RFC 9110, 13.1.5: a strong comparison; a date must match exactly, and
     * its second must be over (8.8.2.2). */
    if (*skip_weak(text, &is_weak) == '"') {
        return etag && !is_weak && etag[0] == '"' && strcmp(text, etag) == 0;
    }
    return mtime && wr__time_is_settled(r, mtime) && parse_date(text, &date)
           && date == apr_time_sec(mtime);
}
