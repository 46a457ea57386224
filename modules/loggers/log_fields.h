/*
 * log_fields.h - what can stand in a log format behind a %: a letter, what it
 * appends to a line, and what may stand in its braces.
 *
 * Part of mod_log_config.
 */
#ifndef WR__LOG_FIELDS_H
#define WR__LOG_FIELDS_H

#include "wr_request.h"

#include "log_line.h"

#include <apr_tables.h>
#include <stdbool.h>

/** "%400,501{...}i", "%!200{...}i": for which statuses there is a value. */
typedef struct wr__log_condition {
    bool is_negated;
    apr_array_header_t *statuses; /* int */
} wr__log_condition;

typedef struct wr__log_item wr__log_item;
typedef void wr__log_put_fn(wr__log_line *out, const wr__log_item *it,
                            const wr_request *r);

/** A piece of a compiled format. */
struct wr__log_item {
    wr__log_put_fn *put;
    const char *text; /**< literal text, or what stood in braces; or NULL */
    size_t text_len;
    int choice;       /**< what the text was found to mean */
    bool is_end;      /**< a time: of the request's end */
    bool needs_local; /**< it is, or has, the server's address */
    size_t limit;     /**< it ends before this byte of the line */
    const wr__log_condition *condition; /**< NULL: always */
};

typedef struct wr__log_field {
    char letter;
    wr__log_put_fn *put;
    /** @return NULL, or what is wrong with the text; NULL: nothing may stand in
     *  braces. */
    const char *(*prepare)(wr__log_item *it);
    bool needs_local; /**< the server's address must be asked for in time */
} wr__log_field;

/** The field of a letter, or NULL. */
const wr__log_field *wr__log_field_of(char letter);

#endif
