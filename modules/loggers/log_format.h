/*
 * log_format.h - log formats, as LogFormat has them.
 */
#ifndef WR__LOG_FORMAT_H
#define WR__LOG_FORMAT_H

#include "wr_request.h"

#include <apr_pools.h>

typedef struct wr__log_format wr__log_format;

/**
 * Compile a format.
 *
 * @return NULL, or what is wrong with it.
 */
const char *wr__log_format_compile(apr_pool_t *pool, const char *text,
                                   const wr__log_format **format);

/** Is the server's address in it, so that it has to be asked for in time? */
bool wr__log_format_needs_local(const wr__log_format *format);

/**
 * Make a line for a request that is over.
 *
 * @param start  WR_LOG_LINE_MAX bytes.
 * @thread any.
 * @return the line's length, its line feed included.
 */
size_t wr__log_format_line(char *start, const wr__log_format *format,
                           const wr_request *r);

#endif
