/*
 * config_absent.c - httpd's core directives that Weir has not got, and what to
 * write instead.
 *
 * Used where a configuration is read, for messages only: a file that comes from
 * httpd shall not leave its reader alone with "unknown directive".
 */
#include "config_walk.h"

#include <strings.h>

#define NO_HTACCESS   "there are no .htaccess files; delete the line"
#define USE_REQUIRE   "write Require, of the module authz_core"
#define USE_METHOD    "write Require method, in <Location> or <Directory>"
#define USE_PROCESSES "Processes says how many there are; delete the line"
#define NO_PROGRAMS   "no programs are started for requests; delete the line"
#define NOT_NEEDED    "it is not needed; delete the line"

static const struct {
    const char *name, *hint;
} absent[] = {
    {"AcceptFilter", NOT_NEEDED},
    {"AcceptMutex", NOT_NEEDED},
    {"AccessFileName", NO_HTACCESS},
    {"Allow", USE_REQUIRE},
    {"AllowOverrideList", NO_HTACCESS},
    {"ContentDigest", NOT_NEEDED},
    {"Deny", USE_REQUIRE},
    {"Else", "there are no conditions on requests"},
    {"ElseIf", "there are no conditions on requests"},
    {"EnableExceptionHook", NOT_NEEDED},
    {"EnableMMAP", "CacheContent and "
                   "EnableSendfile say how files are sent"},
    {"HostnameLookups", "clients are known by their addresses; delete the "
                        "line"},
    {"If", "there are no conditions on requests; <Location>, <Files> and "
           "<VirtualHost> tell them apart"},
    {"Limit", USE_METHOD},
    {"LimitExcept", USE_METHOD},
    {"LockFile", NOT_NEEDED},
    {"MaxClients", "write MaxConnections"},
    {"MaxRequestsPerChild", "write MaxConnectionsPerChild"},
    {"Mutex", NOT_NEEDED},
    {"NameVirtualHost", NOT_NEEDED},
    {"Order", USE_REQUIRE},
    {"RLimitCPU", NO_PROGRAMS},
    {"RLimitMEM", NO_PROGRAMS},
    {"RLimitNPROC", NO_PROGRAMS},
    {"Satisfy", USE_REQUIRE},
    {"ScoreBoardFile", NOT_NEEDED},
    {"ServerLimit", USE_PROCESSES},
    {"ServerPath", "write an Alias in the virtual host"},
    {"ThreadLimit", NOT_NEEDED},
    {"UseCanonicalPhysicalPort", "ServerName says the port; see "
                                 "UseCanonicalName"},
};

const char *wr__absent_hint(const char *name)
{
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (strcasecmp(absent[i].name, name) == 0) {
            return absent[i].hint;
        }
    }
    return NULL;
}
