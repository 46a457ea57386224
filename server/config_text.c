/*
 * config_text.c - errors, words and paths of configuration files.
 *
 * Runs where a configuration is read, in one thread.
 */
#include "config_text.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include <stdarg.h>
#include <string.h>

/* errors ------------------------------------------------------------------ */

wr__errors *wr__errors_create(apr_pool_t *pool)
{
    wr__errors *errors = apr_pcalloc(pool, sizeof(*errors));

    errors->pool = pool;
    errors->texts = apr_array_make(pool, 4, sizeof(const char *));
    return errors;
}

bool wr__errors_full(const wr__errors *errors)
{
    return errors->texts->nelts >= WR__ERRORS_MAX;
}

/* Files may hold anything; a terminal shall see text. */
static void blank_controls(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

void wr__errors_add(wr__errors *errors, const char *file, int line,
                    const char *format, ...)
{
    va_list ap;
    char *text;

    if (wr__errors_full(errors)) {
        return;
    }
    va_start(ap, format);
    text = apr_pvsprintf(errors->pool, format, ap);
    va_end(ap);
    blank_controls(text);
    APR_ARRAY_PUSH(errors->texts, const char *) =
        apr_psprintf(errors->pool, "%s:%d: %s", file, line, text);
}

void wr__errors_print(const wr__errors *errors, FILE *out)
{
    for (int i = 0; i < errors->texts->nelts; i++) {
        fprintf(out, "%s\n", APR_ARRAY_IDX(errors->texts, i, const char *));
    }
    if (wr__errors_full(errors)) {
        fprintf(out, "weir: %d errors; what follows was not looked at\n",
                WR__ERRORS_MAX);
    }
    fflush(out);
}

/* words ------------------------------------------------------------------- */

static const char *skip_space(const char *at)
{
    while (apr_isspace(*at)) {
        at++;
    }
    return at;
}

/* The word after an opening quote; *at goes past the closing one.  NULL: there
 * is none. */
static const char *quoted_word(const char **at, apr_pool_t *pool)
{
    const char quote = **at;
    const char *in = *at + 1;
    char *word = apr_palloc(pool, strlen(in) + 1), *out = word;

    for (; *in && *in != quote; in++) {
        if (*in == '\\' && (in[1] == '\\' || in[1] == quote)) {
            in++;
        }
        *out++ = *in;
    }
    if (!*in) {
        return NULL;
    }
    *out = '\0';
    *at = in + 1;
    return word;
}

const char *wr__words_split(const char *text, int *argc,
                            const char *const **argv, apr_pool_t *pool)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    const char *at, *word;

    for (at = skip_space(text); *at; at = skip_space(at)) {
        if (*at == '"' || *at == '\'') {
            const char quote = *at;

            word = quoted_word(&at, pool);
            if (!word) {
                return apr_psprintf(pool,
                                    "a quote (%c) is opened and not "
                                    "closed",
                                    quote);
            }
        }
        else {
            const char *start = at;

            while (*at && !apr_isspace(*at)) {
                at++;
            }
            word = apr_pstrmemdup(pool, start, (apr_size_t)(at - start));
        }
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    *argc = words->nelts;
    APR_ARRAY_PUSH(words, const char *) = NULL;
    *argv = (const char *const *)words->elts;
    return NULL;
}

/* paths ------------------------------------------------------------------- */

const char *wr__path_below(const char *root, const char *path, apr_pool_t *pool)
{
    char *merged;

    if (apr_filepath_merge(&merged, root, path, 0, pool) != APR_SUCCESS) {
        return path;
    }
    return merged;
}
