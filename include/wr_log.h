/*
 * wr_log.h - the error log, and the rings by which access logs are written.
 */
#ifndef WR_LOG_H
#define WR_LOG_H

#include "wr_base.h"

#include <apr_errno.h>
#include <apr_pools.h>

/** syslog's levels. */
typedef enum wr_log_level {
    WR_LOG_EMERG,
    WR_LOG_ALERT,
    WR_LOG_CRIT,
    WR_LOG_ERROR,
    WR_LOG_WARN,
    WR_LOG_NOTICE,
    WR_LOG_INFO,
    WR_LOG_DEBUG
} wr_log_level;

/**
 * A line in the error log, with time, level and process; written at once by
 * one write().  Control characters are escaped.  @a status: 0 or what failed.
 *
 * @thread any, any process.
 */
WR_API void wr_log_error(const wr_server *server, wr_log_level level,
                         apr_status_t status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** The same, with the client, the request line and the request's id. */
WR_API void wr_log_request(const wr_request *r, wr_log_level level,
                           apr_status_t status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** The same as a module's words, to which LogLevel NAME:level applies. */
WR_API void wr_log_error_of(const wr_server *server, const wr_module *module,
                            wr_log_level level, apr_status_t status,
                            const char *format, ...)
    __attribute__((format(printf, 5, 6)));
WR_API void wr_log_request_of(const wr_request *r, const wr_module *module,
                              wr_log_level level, apr_status_t status,
                              const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** A module that defines this as its record before it includes anything speaks
 *  for itself by the plain names. */
#ifdef WR_LOG_MODULE
extern WR_API wr_module WR_LOG_MODULE;
#    define wr_log_error(SERVER, ...) \
        wr_log_error_of((SERVER), &WR_LOG_MODULE, __VA_ARGS__)
#    define wr_log_request(R, ...) \
        wr_log_request_of((R), &WR_LOG_MODULE, __VA_ARGS__)
#endif

/** With its end. */
#define WR_LOG_ID_SIZE 20

/**
 * What a request is called in the lines of the error log that are about it, so
 * that the access log can say the same: made of when and where it came from.
 *
 * @return @a id, or NULL if there is no such line.
 * @thread whoever may read @a r.
 */
WR_API const char *wr_log_id(const wr_request *r, char id[WR_LOG_ID_SIZE]);

struct wr_command_call;

/**
 * What a directive's argument says a log is: "|program ...", which is left as
 * it is, or a path, made absolute.
 *
 * @return NULL, or what is wrong with it.
 */
WR_API const char *wr_log_target(const struct wr_command_call *call,
                                 const char *text, const char **target);

/**
 * Open a log for many writers: a file to which whole lines are appended, or a
 * program that reads them.  Same target, same log.  In the generation, before
 * it forks.
 *
 * @param target a path or "|program ...".
 */
WR_API apr_status_t wr_log_open(wr_log **log, const char *target,
                                apr_pool_t *pool);

#define WR_LOG_LINE_MAX 16384

/**
 * Space for a line of at most @a max bytes in the calling thread's ring.
 * Never fails and does not sleep while the log takes its lines.
 */
WR_API char *wr_log_begin(wr_log *log, wr_thread *self, size_t max);
/** The line has @a len bytes, its line feed included. */
WR_API void wr_log_commit(wr_log *log, wr_thread *self, size_t len);

#endif
