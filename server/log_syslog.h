/*
 * log_syslog.h - lines of the error log to the system's: "syslog",
 * "syslog:facility", "syslog:facility:tag".
 */
#ifndef WR__LOG_SYSLOG_H
#define WR__LOG_SYSLOG_H

#include "wr_log.h"

#include <stdbool.h>

typedef struct wr__syslog {
    int facility;
    const char *tag;
} wr__syslog;

/** Is an error log of this name the system's? */
bool wr__syslog_is(const char *target);

/** @return NULL, or what is wrong with a target. */
const char *wr__syslog_parse(wr__syslog *to, const char *target,
                             apr_pool_t *pool);

/** Open a socket for it; whether anybody listens is not asked.
 *  @owner *fd: the caller. */
apr_status_t wr__syslog_open(wr__syslog *to, int *fd, const char *target,
                             apr_pool_t *pool);

/** Send a line; waits for nobody.  @return false: it did not go.
 *  @thread any. */
bool wr__syslog_send(const wr__syslog *to, int fd, wr_log_level level,
                     const char *text, size_t len);

#endif
