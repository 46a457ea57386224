/*
 * log_syslog.c - lines of the error log to the system's.
 *
 * Any thread of any process.  Not by the C library's syslog(): that has one tag
 * for the process, a lock for its threads, and waits while the system's log
 * does not read; a thread that serves must not.
 */
#include "log_syslog.h"

#include <apr_strings.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    int code;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"kern", LOG_KERN},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},     {"lpr", LOG_LPR},
    {"mail", LOG_MAIL},     {"news", LOG_NEWS},         {"syslog", LOG_SYSLOG},
    {"user", LOG_USER},     {"uucp", LOG_UUCP},
};

bool wr__syslog_is(const char *target)
{
    return strcmp(target, "syslog") == 0 || strncmp(target, "syslog:", 7) == 0;
}

static bool find_facility(int *code, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
        if (strlen(facilities[i].name) == len
            && strncasecmp(facilities[i].name, name, len) == 0) {
            *code = facilities[i].code;
            return true;
        }
    }
    return false;
}

const char *wr__syslog_parse(wr__syslog *to, const char *target,
                             apr_pool_t *pool)
{
    wr__syslog result = {.facility = LOG_LOCAL7, .tag = "weir"};
    const char *name = strchr(target, ':');
    size_t len = name ? strcspn(name + 1, ":") : 0;

    if (len > 0 && !find_facility(&result.facility, name + 1, len)) {
        return apr_psprintf(pool, "syslog has no facility %.*s", (int)len,
                            name + 1);
    }
    if (name && name[1 + len] == ':' && name[2 + len] != '\0') {
        result.tag = apr_pstrdup(pool, name + 2 + len);
    }
    *to = result;
    return NULL;
}

apr_status_t wr__syslog_open(wr__syslog *to, int *fd, const char *target,
                             apr_pool_t *pool)
{
    int opened;

    if (wr__syslog_parse(to, target, pool)) {
        return APR_EINVAL;
    }
    opened = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        return errno;
    }
    *fd = opened;
    return APR_SUCCESS;
}

bool wr__syslog_send(const wr__syslog *to, int fd, wr_log_level level,
                     const char *text, size_t len)
{
    /* Said each time, as whoever listens there may have been restarted. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[8192 + 256], date[32];
    time_t now = time(NULL);
    struct tm local;
    int head;

    apr_cpystrn(address.sun_path, _PATH_LOG, sizeof(address.sun_path));
    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%b %e %T", &local);
    head = snprintf(line, 256, "<%d>%s %.64s[%ld]: ", to->facility | (int)level,
                    date, to->tag, (long)getpid());
    if (len > sizeof(line) - (size_t)head) {
        len = sizeof(line) - (size_t)head;
    }
    memcpy(line + head, text, len);
    return sendto(fd, line, (size_t)head + len, MSG_NOSIGNAL,
                  (const struct sockaddr *)&address, sizeof(address))
           >= 0;
}
