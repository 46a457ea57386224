/*
 * wr_regex.h - regular expressions: compiled while the configuration is read,
 * matched while serving.
 *
 * Perl's, by PCRE2 with its compiler to machine code.  Bytes, not UTF-8; "$"
 * is the very end of the subject.  What a match may cost is bounded, since its
 * subject is a client's.
 */
#ifndef WR_REGEX_H
#define WR_REGEX_H

#include "wr_base.h"

#include <apr_pools.h>

/** Flags of wr_regex_compile(). */
enum {
    WR_REGEX_NOCASE = 1 /**< "a" matches "A" too */
};

/** Groups that a match remembers: the whole, and $1 to $9. */
#define WR_REGEX_GROUPS 10

/** What matched, as offsets into a subject that must live as long. */
typedef struct wr_match {
    const char *subject;
    int count; /**< groups that are filled in; the others did not take part */
    struct {
        size_t start, end; /**< equal: empty, or it did not take part */
    } group[WR_REGEX_GROUPS];
} wr_match;

typedef enum wr_regex_result {
    WR_REGEX_NO,
    WR_REGEX_YES,
    WR_REGEX_GAVE_UP /**< the bound was reached: it is not known */
} wr_regex_result;

/**
 * Compile @a pattern; it lives as long as @a pool.
 *
 * @return NULL, or what is wrong with it, in @a pool.
 */
WR_API const char *wr_regex_compile(const wr_regex **regex, const char *pattern,
                                    unsigned flags, apr_pool_t *pool);

/** How many groups, $1 and up, the pattern has. */
WR_API int wr_regex_groups(const wr_regex *regex);

/**
 * Does @a regex match somewhere in @a subject?
 *
 * @param match filled in on WR_REGEX_YES; or NULL.
 * @thread any; takes no lock.
 */
WR_API wr_regex_result wr_regex_match(const wr_regex *regex,
                                      const char *subject, size_t len,
                                      wr_match *match);

/**
 * A copy of @a text with $0 to $9 and & replaced by what matched; a backslash
 * takes the meaning from the "$" or "&" that follows it.
 */
WR_API const char *wr_regex_expand(apr_pool_t *pool, const char *text,
                                   const wr_match *match);

/** The largest n of a $n in @a text; 0 for "&" and for none. */
WR_API int wr_regex_highest(const char *text);

#endif
