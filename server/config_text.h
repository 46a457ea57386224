/*
 * config_text.h - what all parts of reading a configuration share: the errors
 * found so far, words, and paths.
 */
#ifndef WR__CONFIG_TEXT_H
#define WR__CONFIG_TEXT_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>
#include <stdio.h>

#define WR__ERRORS_MAX 20 /**< then nothing more is looked at */

/** What is wrong with a configuration, in the order in which it was found. */
typedef struct wr__errors {
    apr_pool_t *pool;
    apr_array_header_t *texts; /**< const char *, "FILE:LINE: text" */
} wr__errors;

wr__errors *wr__errors_create(apr_pool_t *pool);
void wr__errors_add(wr__errors *errors, const char *file, int line,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** Have so many been found that looking for more helps nobody? */
bool wr__errors_full(const wr__errors *errors);
void wr__errors_print(const wr__errors *errors, FILE *out);

/** @a path, below @a root unless it is absolute, without dot segments. */
const char *wr__path_below(const char *root, const char *path,
                           apr_pool_t *pool);

/** Split @a text into words as a directive's arguments are.
 *  @return NULL, or what is wrong. */
const char *wr__words_split(const char *text, int *argc,
                            const char *const **argv, apr_pool_t *pool);

#endif
