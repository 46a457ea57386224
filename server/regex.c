/*
 * regex.c - see wr_regex.h.
 *
 * Compiling runs where a configuration is read; matching in any thread.  A
 * regex keeps PCRE2's work space of one match for the next: whoever finds it
 * in use makes another, and one of them stays.
 */
#include "wr_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8

#include <apr_lib.h>
#include <apr_strings.h>
#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Far more than an honest pattern needs for a URL of some kilobytes, and over
 * in milliseconds. */
#define MATCH_LIMIT 1000000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT  1024 /* KiB */

struct wr_regex {
    pcre2_code *code;
    pcre2_match_context *context;
    int groups;
    _Atomic(pcre2_match_data *) spare;
};

static apr_status_t free_regex(void *data)
{
    wr_regex *regex = data;

    pcre2_match_data_free(atomic_load(&regex->spare));
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    return APR_SUCCESS;
}

static const char *error_text(apr_pool_t *pool, int error, size_t offset,
                              const char *pattern)
{
    PCRE2_UCHAR text[128];

    pcre2_get_error_message(error, text, sizeof(text));
    return apr_psprintf(pool,
                        "\"%.200s\" is no regular expression: %s, at its "
                        "character %lu",
                        pattern, (const char *)text,
                        (unsigned long)(offset + 1));
}

const char *wr_regex_compile(const wr_regex **regex, const char *pattern,
                             unsigned flags, apr_pool_t *pool)
{
    uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF;
    wr_regex *made;
    uint32_t groups = 0;
    size_t offset;
    int error;
    pcre2_code *code;

    if (flags & WR_REGEX_NOCASE) {
        options |= PCRE2_CASELESS;
    }
    code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options,
                         &error, &offset, NULL);
    if (!code) {
        return error_text(pool, error, offset, pattern);
    }
    /* Where memory may not be made executable, it is interpreted. */
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    made = apr_pcalloc(pool, sizeof(*made));
    made->code = code;
    made->groups = (int)groups;
    made->context = pcre2_match_context_create(NULL);
    if (!made->context) {
        abort();
    }
    pcre2_set_match_limit(made->context, MATCH_LIMIT);
    pcre2_set_depth_limit(made->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(made->context, HEAP_LIMIT);
    apr_pool_cleanup_register(pool, made, free_regex, apr_pool_cleanup_null);
    *regex = made;
    return NULL;
}

int wr_regex_groups(const wr_regex *regex)
{
    return regex->groups;
}

static void fill_in(wr_match *match, const char *subject, int count,
                    const PCRE2_SIZE *offsets)
{
    if (count == 0 || count > WR_REGEX_GROUPS) {
        count = WR_REGEX_GROUPS; /* there are more than are remembered */
    }
    memset(match, 0, sizeof(*match));
    match->subject = subject;
    match->count = count;
    for (int i = 0; i < count; i++) {
        /* By \K a match can begin behind its end. */
        if (offsets[2 * i] != PCRE2_UNSET
            && offsets[2 * i] <= offsets[2 * i + 1]) {
            match->group[i].start = offsets[2 * i];
            match->group[i].end = offsets[2 * i + 1];
        }
    }
}

wr_regex_result wr_regex_match(const wr_regex *regex, const char *subject,
                               size_t len, wr_match *match)
{
    /* Only the spare work space is ever written. */
    wr_regex *shared = (wr_regex *)(uintptr_t)regex;
    pcre2_match_data *data = atomic_exchange(&shared->spare, NULL);
    int count;

    if (!data) {
        data = pcre2_match_data_create(WR_REGEX_GROUPS, NULL);
    }
    if (!data) {
        abort();
    }
    count = pcre2_match(regex->code, (PCRE2_SPTR)subject, len, 0, 0, data,
                        regex->context);
    if (count >= 0 && match) {
        fill_in(match, subject, count, pcre2_get_ovector_pointer(data));
    }
    pcre2_match_data_free(atomic_exchange(&shared->spare, data));
    if (count == PCRE2_ERROR_NOMATCH) {
        return WR_REGEX_NO;
    }
    return count >= 0 ? WR_REGEX_YES : WR_REGEX_GAVE_UP;
}

/** A reference at the beginning of @a at: its group, or -1.  @a len: its
 *  length, or that of the text up to the next one. */
static int next_reference(const char *at, size_t *len)
{
    if (at[0] == '&') {
        *len = 1;
        return 0;
    }
    if (at[0] == '$' && apr_isdigit(at[1])) {
        *len = 2;
        return at[1] - '0';
    }
    *len = 1 + strcspn(at + 1, "$&\\");
    return -1;
}

static bool is_escape(const char *at)
{
    return at[0] == '\\' && (at[1] == '$' || at[1] == '&');
}

/** Append text and references to @a to, or, if that is NULL, only count. */
static size_t expand(char *to, const char *text, const wr_match *match)
{
    size_t total = 0, len;

    for (const char *at = text; *at; at += len) {
        const char *piece = at;
        size_t piece_len;
        int group;

        if (is_escape(at)) {
            piece = at + 1;
            piece_len = 1;
            len = 2;
        }
        else {
            group = next_reference(at, &len);
            piece_len = len;
            if (group >= 0) {
                piece = match->subject + match->group[group].start;
                piece_len = match->group[group].end - match->group[group].start;
            }
        }
        if (to) {
            memcpy(to + total, piece, piece_len);
        }
        total += piece_len;
    }
    return total;
}

const char *wr_regex_expand(apr_pool_t *pool, const char *text,
                            const wr_match *match)
{
    size_t len = expand(NULL, text, match);
    char *result = apr_palloc(pool, len + 1);

    expand(result, text, match);
    result[len] = '\0';
    return result;
}

int wr_regex_highest(const char *text)
{
    int highest = 0;
    size_t len;

    for (const char *at = text; *at; at += len) {
        int group;

        if (is_escape(at)) {
            len = 2;
            continue;
        }
        group = next_reference(at, &len);
        highest = group > highest ? group : highest;
    }
    return highest;
}
