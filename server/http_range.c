/*
 * http_range.c - parts of a content (RFC 9110, section 14).
 *
 * Runs in the connection's owner's thread, on content whose length is known
 * and whose buckets can be copied: a range of a file stays one.
 */
#include "response.h"

#include "config_core.h"
#include "request.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

typedef struct range {
    int64_t first, last; /* both in it */
} range;

/** 1*DIGIT at *at.  @return false if there is none, or too many. */
static bool parse_number(const char **at, int64_t *n)
{
    const char *start = *at;

    *n = 0;
    while (apr_isdigit(**at)) {
        if (*at - start >= 18) {
            return false;
        }
        *n = *n * 10 + (*(*at)++ - '0');
    }
    return *at > start;
}

/**
 * One range-spec (RFC 9110, 14.1.1).
 *
 * @return -1: not one; 0: one that this content can't satisfy; 1: in *out.
 */
static int parse_spec(const char **at, int64_t len, range *out)
{
    int64_t first, last;

    if (**at == '-') {
        (*at)++;
        if (!parse_number(at, &last)) {
            return -1;
        }
        out->first = last < len ? len - last : 0;
        out->last = len - 1;
        return last > 0;
    }
    if (!parse_number(at, &first) || *(*at)++ != '-') {
        return -1;
    }
    out->first = first;
    out->last = len - 1;
    if (apr_isdigit(**at)) {
        if (!parse_number(at, &last) || last < first) {
            return -1;
        }
        out->last = last < len ? last : len - 1;
    }
    return first < len;
}

/**
 * The ranges of a field that can be had, in their order.
 *
 * @return how many; 0: none can; -1: the field is to be ignored.
 */
static int parse_ranges(const char *text, int64_t len, int max, range *out)
{
    int count = 0, specs = 0;
    int64_t sum = 0;

    if (strncasecmp(text, "bytes", 5) != 0) {
        return -1;
    }
    text += 5;
    text += strspn(text, " \t");
    if (*text++ != '=') {
        return -1;
    }
    for (;;) {
        range one;
        int found;

        text += strspn(text, " \t,");
        if (*text == '\0') {
            break;
        }
        if (++specs > max) {
            return -1;
        }
        found = parse_spec(&text, len, &one);
        text += strspn(text, " \t");
        if (found < 0 || (*text && *text != ',')) {
            return -1;
        }
        if (found) {
            out[count++] = one;
            sum += one.last - one.first + 1;
        }
    }
    /* RFC 9110, 14.2: who asks for more in parts than there is in all gets the
     * whole: less work for both, and nothing to be gained by overlaps. */
    return specs == 0 || (count > 1 && sum >= len) ? -1 : count;
}

/** MaxRangeOverlaps, MaxRangeReversals: as httpd counts them. */
static bool is_too_tangled(const wr__core_dir *core, const range *parts,
                           int count)
{
    int overlaps = 0, reversals = 0;

    for (int i = 1; i < count; i++) {
        const range *one = &parts[i - 1], *next = &parts[i];

        overlaps += next->first <= one->last && one->first <= next->last;
        reversals += next->first < one->first;
    }
    return overlaps > core->max_overlaps || reversals > core->max_reversals;
}

/** Copy a range of the content to the end of @a to. */
static void copy_range(const apr_bucket_brigade *from, const range *part,
                       apr_bucket_brigade *to)
{
    int64_t at = 0;

    for (apr_bucket *b = APR_BRIGADE_FIRST(from);
         b != APR_BRIGADE_SENTINEL(from) && at <= part->last;
         b = APR_BUCKET_NEXT(b)) {
        int64_t end = at + (int64_t)b->length;
        apr_bucket *copy;

        if (end > part->first && b->length > 0
            && apr_bucket_copy(b, &copy) == APR_SUCCESS) {
            int64_t skip = part->first > at ? part->first - at : 0;
            int64_t cut = end > part->last + 1 ? end - part->last - 1 : 0;

            copy->start += skip;
            copy->length -= (apr_size_t)(skip + cut);
            APR_BRIGADE_INSERT_TAIL(to, copy);
        }
        at = end;
    }
}

static void put_text(apr_bucket_brigade *to, const char *text)
{
    APR_BRIGADE_INSERT_TAIL(
        to, apr_bucket_immortal_create(text, strlen(text), to->bucket_alloc));
}

/** multipart/byteranges (RFC 9110, 14.6). */
static void make_parts(wr_request *r, const range *parts, int count,
                       int64_t len, apr_bucket_brigade *to)
{
    const char *type = r->content_type;
    const char *boundary =
        apr_psprintf(r->pool, "%" APR_UINT64_T_HEX_FMT "%" APR_UINT64_T_HEX_FMT,
                     (apr_uint64_t)r->time, (apr_uint64_t)r->conn->serial);

    for (int i = 0; i < count; i++) {
        put_text(to, apr_psprintf(r->pool,
                                  "\r\n--%s\r\n%s%s%sContent-Range: bytes "
                                  "%" APR_INT64_T_FMT "-%" APR_INT64_T_FMT
                                  "/%" APR_INT64_T_FMT "\r\n\r\n",
                                  boundary, type ? "Content-Type: " : "",
                                  type ? type : "", type ? "\r\n" : "",
                                  parts[i].first, parts[i].last, len));
        copy_range(r->core->out, &parts[i], to);
    }
    put_text(to, apr_psprintf(r->pool, "\r\n--%s--\r\n", boundary));
    r->content_type =
        apr_psprintf(r->pool, "multipart/byteranges; boundary=%s", boundary);
}

/** So many ranges can't be more: the list is as long as a field may be. */
static size_t count_commas(const char *text)
{
    size_t count = 1;

    for (; *text; text++) {
        count += *text == ',';
    }
    return count;
}

int wr__range_apply(wr_request *r, int64_t len)
{
    const char *text = wr_request_known(r, WR_F_RANGE);
    const wr__core_dir *core = wr__core_dir_of(r->dir_config);
    apr_bucket_brigade *to;
    range *parts;
    int count;

    if (core->max_ranges == 0
        || !wr__range_is_wanted(r, r->core->etag, r->core->mtime)) {
        return 200;
    }
    parts = apr_palloc(r->pool, count_commas(text) * sizeof(*parts));
    count = parse_ranges(text, len, core->max_ranges, parts);
    if (count < 0 || is_too_tangled(core, parts, count)) {
        return 200;
    }
    if (count == 0) {
        wr_request_set_err_header(
            r, "Content-Range",
            apr_psprintf(r->pool, "bytes */%" APR_INT64_T_FMT, len));
        return 416;
    }
    /* What described the whole does not describe its parts. */
    wr__response_open_header(r);
    to = apr_brigade_create(r->pool, r->core->out->bucket_alloc);
    if (count == 1) {
        copy_range(r->core->out, parts, to);
        wr_request_set_header(r, "Content-Range",
                              apr_psprintf(r->pool,
                                           "bytes %" APR_INT64_T_FMT
                                           "-%" APR_INT64_T_FMT
                                           "/%" APR_INT64_T_FMT,
                                           parts->first, parts->last, len));
    }
    else {
        make_parts(r, parts, count, len, to);
    }
    apr_brigade_cleanup(r->core->out);
    r->core->out = to;
    return 206;
}
