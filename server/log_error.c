/*
 * log_error.c - the error log: a line for people, written at once.
 *
 *     [2026-11-22 10:00:00.123456] [error] [pid 123] text: No such file (2)
 *
 * and, of a request, with `[client ADDRESS:PORT] [id ...]` before the text and
 * `, request: "GET / HTTP/1.1"` at the end.  Any thread of any
 * process; a line is one write() to a file opened for appending, or to a pipe,
 * for which it is cut to what the kernel takes as a whole, so that lines of
 * several writers do not mix.  syslog is given time, level and process in its
 * own form.  All that was not in the server's own format is escaped: no control
 * character, no quote and no backslash stands in a line as itself, so no client
 * can forge one. Uses no pool and no lock of its own.  What can't be written is
 * gone: there is nowhere to say so.
 */
#include "log_ring.h"

#include "log_syslog.h"

#include "wr_config.h"
#include "wr_module.h"
#include "wr_request.h"

#include <apr_hash.h>
#include <apr_time.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX  4096 /* of a message before it is escaped; longer: cut */
#define LINE_SIZE 8192

struct line {
    size_t len;
    char text[LINE_SIZE];
};

static wr_log *main_log;
static int fallback_fd = STDERR_FILENO;
static _Atomic wr_log_level main_level = WR_LOG_NOTICE;

static const char *const level_names[] = {
    [WR_LOG_EMERG] = "emerg", [WR_LOG_ALERT] = "alert",
    [WR_LOG_CRIT] = "crit",   [WR_LOG_ERROR] = "error",
    [WR_LOG_WARN] = "warn",   [WR_LOG_NOTICE] = "notice",
    [WR_LOG_INFO] = "info",   [WR_LOG_DEBUG] = "debug",
};

static apr_status_t forget_main_log(void *data)
{
    if (main_log == data) {
        main_log = NULL;
    }
    return APR_SUCCESS;
}

apr_status_t wr__log_error_open(const char *target, apr_pool_t *pool)
{
    wr_log *log;
    apr_status_t rv = wr_log_open(&log, target, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    main_log = log;
    apr_pool_cleanup_register(pool, log, forget_main_log,
                              apr_pool_cleanup_null);
    return APR_SUCCESS;
}

int wr__log_error_fd(void)
{
    return main_log ? wr__log_fd(main_log) : fallback_fd;
}

void wr__log_error_borrow(int fd)
{
    if (fallback_fd != STDERR_FILENO) {
        close(fallback_fd);
    }
    fallback_fd = fd >= 0 ? fd : STDERR_FILENO;
}

void wr__log_error_level(wr_log_level level)
{
    atomic_store(&main_level, level);
}

/** @a module: whose words they are; NULL: the core's. */
static bool is_wanted(const wr_server *server, const wr_module *module,
                      wr_log_level level)
{
    int own;

    if (!server) {
        return level <= atomic_load(&main_level);
    }
    own = server->module_levels
              ? server->module_levels[module ? module->index : 0]
              : -1;
    return (int)level <= (own >= 0 ? own : server->log_level);
}

/** The server's own words; one byte is always left for the line feed. */
static void put_format(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_format(struct line *line, const char *format, ...)
{
    size_t room = sizeof(line->text) - 1 - line->len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line->text + line->len, room, format, args);
    va_end(args);
    if (n > 0) {
        line->len += (size_t)n < room ? (size_t)n : room - 1;
    }
}

/** Text from anywhere. */
static void put_escaped(struct line *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";

    for (; *text && line->len + 4 < sizeof(line->text); text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            line->text[line->len++] = '\\';
            line->text[line->len++] = (char)c;
        }
        else if (c < ' ' || c >= 0x7f) {
            line->text[line->len++] = '\\';
            line->text[line->len++] = 'x';
            line->text[line->len++] = hex[c >> 4];
            line->text[line->len++] = hex[c & 15];
        }
        else {
            line->text[line->len++] = (char)c;
        }
    }
}

static void put_head(struct line *line, wr_log_level level)
{
    apr_time_exp_t t;

    apr_time_exp_lt(&t, apr_time_now());
    put_format(line, "[%04d-%02d-%02d %02d:%02d:%02d.%06d] [%s] [pid %ld] ",
               t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
               t.tm_sec, t.tm_usec, level_names[level], (long)getpid());
}

static void put_client(struct line *line, const wr_request *r)
{
    char address[INET6_ADDRSTRLEN];

    if (r->peer.any.sa_family == AF_INET
        && inet_ntop(AF_INET, &r->peer.v4.sin_addr, address, sizeof(address))) {
        put_format(line, "[client %s:%u] ", address,
                   ntohs(r->peer.v4.sin_port));
    }
    else if (r->peer.any.sa_family == AF_INET6
             && inet_ntop(AF_INET6, &r->peer.v6.sin6_addr, address,
                          sizeof(address))) {
        put_format(line, "[client [%s]:%u] ", address,
                   ntohs(r->peer.v6.sin6_port));
    }
}

/** The last @a count of them, from behind @a at. */
static void put_digits(char *at, int count, uint64_t value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                 "stuvwxyz0123456789-_";

    for (; count > 0; count--, value >>= 6) {
        *--at = digits[value & 63];
    }
}

/** Of an address, what tells it from most others. */
static uint32_t digest(const wr_request *r)
{
    const char *bytes = (const char *)r->peer.v6.sin6_addr.s6_addr;
    apr_ssize_t len = sizeof(r->peer.v6.sin6_addr);

    return r->peer.any.sa_family == AF_INET6
               ? apr_hashfunc_default(bytes, &len)
               : ntohl(r->peer.v4.sin_addr.s_addr);
}

/** When, of a turn; from which connection, since a port lies at the same place
 *  in either family; and which of its requests. */
static void make_id(const wr_request *r, char id[WR_LOG_ID_SIZE])
{
    put_digits(id + 9, 9, (uint64_t)r->time);
    put_digits(id + 17, 8,
               (uint64_t)ntohs(r->peer.v4.sin_port) << 32 | digest(r));
    put_digits(id + 19, 2, r->number);
    id[19] = '\0';
}

const char *wr_log_id(const wr_request *r, char id[WR_LOG_ID_SIZE])
{
    if (!__atomic_load_n(&r->has_error_lines, __ATOMIC_RELAXED)) {
        return NULL;
    }
    make_id(r, id);
    return id;
}

/** From now on wr_log_id() has one; whoever runs the request's calls may be
 *  the one who says something, in any thread. */
static void put_id(struct line *line, const wr_request *r)
{
    bool *has_lines = (bool *)(uintptr_t)&r->has_error_lines;
    char id[WR_LOG_ID_SIZE];

    make_id(r, id);
    put_format(line, "[id %s] ", id);
    __atomic_store_n(has_lines, true, __ATOMIC_RELAXED);
}

static void write_whole(int fd, const struct line *line)
{
    ssize_t n = write(fd, line->text, line->len);

    (void)n;
}

static void cut(struct line *line, size_t max)
{
    if (line->len > max) {
        line->len = max;
        line->text[max - 1] = '\n';
    }
}

static void write_line(wr_log *log, wr_log_level level, struct line *line)
{
    if (!log) {
        if (fallback_fd != STDERR_FILENO) {
            cut(line, PIPE_BUF);
        }
        write_whole(fallback_fd, line);
        return;
    }
    switch (wr__log_kind_of(log)) {
    case WR__LOG_PROGRAM:
        cut(line, PIPE_BUF);
        wr__log_append_line(log, line->text, line->len);
        break;
    case WR__LOG_SYSLOG:
        if (!wr__syslog_send(wr__log_syslog(log), wr__log_fd(log), level,
                             line->text, line->len - 1)) {
            write_whole(fallback_fd, line);
        }
        break;
    case WR__LOG_STDERR:
    case WR__LOG_FILE:
        write_whole(wr__log_fd(log), line);
        break;
    }
}

/** A line from its parts; @a r may be NULL.  errno is kept. */
static void log_line(const wr_server *server, const wr_request *r,
                     wr_log_level level, apr_status_t status, const char *text)
{
    wr_log *log = server && server->error_log ? server->error_log : main_log;
    int kept_errno = errno;
    char reason[256];
    struct line line;

    line.len = 0;
    if (!log || wr__log_kind_of(log) != WR__LOG_SYSLOG) {
        put_head(&line, level);
    }
    if (r) {
        put_client(&line, r);
        put_id(&line, r);
    }
    put_escaped(&line, text);
    if (status != APR_SUCCESS) {
        put_format(&line, ": ");
        put_escaped(&line, apr_strerror(status, reason, sizeof(reason)));
        put_format(&line, " (%d)", status);
    }
    if (r && r->request_line && *r->request_line) {
        put_format(&line, ", request: \"");
        put_escaped(&line, r->request_line);
        put_format(&line, "\"");
    }
    line.text[line.len++] = '\n';
    write_line(log, level, &line);
    errno = kept_errno;
}

static void log_error(const wr_server *server, const wr_module *module,
                      wr_log_level level, apr_status_t status,
                      const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void log_error(const wr_server *server, const wr_module *module,
                      wr_log_level level, apr_status_t status,
                      const char *format, va_list args)
{
    char text[TEXT_MAX];

    if (is_wanted(server, module, level)) {
        vsnprintf(text, sizeof(text), format, args);
        log_line(server, NULL, level, status, text);
    }
}

static void log_request(const wr_request *r, const wr_module *module,
                        wr_log_level level, apr_status_t status,
                        const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void log_request(const wr_request *r, const wr_module *module,
                        wr_log_level level, apr_status_t status,
                        const char *format, va_list args)
{
    char text[TEXT_MAX];

    if (is_wanted(r->server, module, level)) {
        vsnprintf(text, sizeof(text), format, args);
        log_line(r->server, r, level, status, text);
    }
}

void wr_log_error(const wr_server *server, wr_log_level level,
                  apr_status_t status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_error(server, NULL, level, status, format, args);
    va_end(args);
}

void wr_log_request(const wr_request *r, wr_log_level level,
                    apr_status_t status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_request(r, NULL, level, status, format, args);
    va_end(args);
}

void wr_log_error_of(const wr_server *server, const wr_module *module,
                     wr_log_level level, apr_status_t status,
                     const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_error(server, module, level, status, format, args);
    va_end(args);
}

void wr_log_request_of(const wr_request *r, const wr_module *module,
                       wr_log_level level, apr_status_t status,
                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_request(r, module, level, status, format, args);
    va_end(args);
}
