/*
 * config_names.c - ServerName, ServerAlias, Listen: hosts, and addresses.
 *
 * Runs where a configuration is read, in one thread.
 */
#include "config_core.h"

#include "config_server.h"

#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* A host name, or an address literal, in lower case.  wild: * and ? too. */
static const char *check_host(wr_command_call *call, const char *name,
                              bool wild, const char **host)
{
    char *text = apr_pstrdup(call->pool, name);

    for (char *c = text; *c; c++) {
        *c = (char)apr_tolower(*c);
        if (!apr_isalnum(*c) && !strchr(wild ? "-._*?[]:" : "-._[]:", *c)) {
            return apr_psprintf(call->pool, "\"%.200s\" is not a host name",
                                name);
        }
    }
    if (!*text) {
        return "an empty name";
    }
    *host = text;
    return NULL;
}

/* What stands before "://". */
static const char *check_scheme(wr_command_call *call, const char *text,
                                const char *end, const char **scheme)
{
    const char *name =
        apr_pstrmemdup(call->pool, text, (apr_size_t)(end - text));

    if (strcasecmp(name, "http") != 0 && strcasecmp(name, "https") != 0) {
        return apr_psprintf(call->pool, "\"%.100s\" is neither http nor https",
                            name);
    }
    *scheme = name[4] ? "https" : "http";
    return NULL;
}

const char *wr__set_server_name(wr_command_call *call, void *config, int argc,
                                const char *const *argv)
{
    wr_server *server = config;
    const char *text = argv[0], *scheme_end = strstr(text, "://"), *error;
    const char *scheme = NULL;
    char *host, *scope;
    apr_port_t port;

    (void)argc;
    if (scheme_end) {
        error = check_scheme(call, text, scheme_end, &scheme);
        if (error) {
            return error;
        }
        text = scheme_end + 3;
    }
    if (apr_parse_addr_port(&host, &scope, &port, text, call->pool)
            != APR_SUCCESS
        || !host || scope) {
        return apr_psprintf(call->pool, "\"%.200s\" is not HOST or HOST:PORT",
                            argv[0]);
    }
    if (strchr(host, ':')) {
        host = apr_pstrcat(call->pool, "[", host, "]", NULL);
    }
    error = check_host(call, host, false, &server->name);
    if (!error) {
        server->port = port;
        server->scheme = scheme;
        wr__server_mark(server, offsetof(wr_server, name));
        wr__server_mark(server, offsetof(wr_server, port));
        wr__server_mark(server, offsetof(wr_server, scheme));
    }
    return error;
}

const char *wr__add_server_alias(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    wr_server *server = config;

    for (int i = 0; i < argc; i++) {
        const char *alias = NULL;
        const char *error = check_host(call, argv[i], true, &alias);

        if (error) {
            return error;
        }
        APR_ARRAY_PUSH(server->aliases, const char *) = alias;
    }
    return NULL;
}

/* The address of a Listen in its one spelling; NULL: any. */
static const char *listen_address(wr_command_call *call, const char *host,
                                  const char **address)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    int family = strchr(host, ':') ? AF_INET6 : AF_INET;

    if (strcmp(host, "*") == 0) {
        *address = NULL;
        return NULL;
    }
    if (inet_pton(family, host, bytes) != 1) {
        return apr_psprintf(call->pool,
                            "\"%.200s\" is not a numeric address (IPv6 "
                            "stands in brackets: [::1]:8080)",
                            host);
    }
    *address =
        apr_pstrdup(call->pool, inet_ntop(family, bytes, text, sizeof(text)));
    return NULL;
}

static bool is_same_address(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

const char *wr__add_listen(wr_command_call *call, void *config, int argc,
                           const char *const *argv)
{
    wr__config *whole = config;
    wr__listen *l = apr_pcalloc(call->pool, sizeof(*l));
    const char *error;
    char *host, *scope;
    apr_port_t port;

    (void)argc;
    if (apr_parse_addr_port(&host, &scope, &port, argv[0], call->pool)
            != APR_SUCCESS
        || scope || port == 0) {
        return apr_psprintf(call->pool,
                            "\"%.200s\" is not PORT, IPv4:PORT or [IPv6]:PORT "
                            "with a port of 1 to 65535",
                            argv[0]);
    }
    error = host ? listen_address(call, host, &l->address) : NULL;
    if (error) {
        return error;
    }
    l->port = port;
    l->file = call->directive->file;
    l->line = call->directive->line;
    for (int i = 0; i < whole->listens->nelts; i++) {
        const wr__listen *other =
            APR_ARRAY_IDX(whole->listens, i, const wr__listen *);

        if (other->port == port
            && is_same_address(other->address, l->address)) {
            return apr_psprintf(call->pool,
                                "%.200s is listened on already by %s:%d",
                                argv[0], other->file, other->line);
        }
    }
    APR_ARRAY_PUSH(whole->listens, wr__listen *) = l;
    return NULL;
}
