/*
 * mod_authz_host.c - who may have what, by where the client is: Require ip,
 * host, forward-dns and local.
 *
 * Addresses are read once, with the configuration.  Names are asked of the
 * system's resolver, which may block, so in an op: the thread that steps the
 * connection never waits for it.
 */
#include "wr_authz.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_op.h"
#include "wr_request.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/** IPv4 addresses are kept as IPv6 has them mapped. */
#define MAPPED_BITS 96

typedef struct subnet {
    struct in6_addr address;
    struct in6_addr mask; /* the bits that count */
} subnet;

typedef struct subnets {
    int count;
    subnet list[];
} subnets;

extern WR_API wr_module authz_host_module;

/* Addresses. */

static void map_ipv4(struct in6_addr *to, const struct in_addr *from)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(to->s6_addr, mapped, sizeof(mapped));
    memcpy(to->s6_addr + 12, from, 4);
}

static bool address_of(const struct sockaddr *from, struct in6_addr *to)
{
    if (from->sa_family == AF_INET) {
        map_ipv4(to,
                 &((const struct sockaddr_in *)(const void *)from)->sin_addr);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        *to = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        return true;
    }
    return false;
}

static void set_mask(subnet *net, unsigned bits)
{
    memset(&net->mask, 0, sizeof(net->mask));
    for (unsigned i = 0; i < bits; i++) {
        net->mask.s6_addr[i / 8] |= (unsigned char)(0x80 >> i % 8);
    }
}

/** "10", "10.1", "10.1.2": the beginning of an address. */
static bool parse_partial(const char *text, subnet *net)
{
    unsigned char bytes[4] = {0};
    unsigned count = 0;

    while (count < 4) {
        char *end;
        unsigned long value;

        if (!apr_isdigit(*text)) {
            return false;
        }
        value = strtoul(text, &end, 10);
        if (value > 255 || end - text > 3) {
            return false;
        }
        bytes[count++] = (unsigned char)value;
        text = end;
        if (*text == '.') {
            text++;
        }
        if (!*text) {
            break;
        }
        if (text[-1] != '.') {
            return false;
        }
    }
    if (*text || count == 4) {
        return false; /* whole addresses are for inet_pton() */
    }
    map_ipv4(&net->address, (const struct in_addr *)(const void *)bytes);
    set_mask(net, MAPPED_BITS + 8 * count);
    return true;
}

/** What follows the slash: a number of bits, or 255.255.0.0. */
static bool parse_mask(const char *text, unsigned first_bit, subnet *net)
{
    struct in_addr mask;
    char *end;
    unsigned long bits;

    if (first_bit == MAPPED_BITS && inet_pton(AF_INET, text, &mask) == 1) {
        set_mask(net, MAPPED_BITS);
        memcpy(net->mask.s6_addr + 12, &mask, 4);
        return true;
    }
    if (!apr_isdigit(*text)) {
        return false;
    }
    bits = strtoul(text, &end, 10);
    if (*end || bits > 128 - first_bit) {
        return false;
    }
    set_mask(net, first_bit + (unsigned)bits);
    return true;
}

static bool parse_subnet(apr_pool_t *pool, const char *text, subnet *net)
{
    const char *slash = strchr(text, '/');
    const char *host =
        slash ? apr_pstrmemdup(pool, text, (apr_size_t)(slash - text)) : text;
    unsigned first_bit = 0;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        map_ipv4(&net->address, &v4);
        first_bit = MAPPED_BITS;
    }
    else if (inet_pton(AF_INET6, host, &net->address) != 1) {
        return !slash && parse_partial(text, net);
    }
    if (slash) {
        return parse_mask(slash + 1, first_bit, net);
    }
    set_mask(net, 128);
    return true;
}

static bool is_within(const struct in6_addr *address, const subnet *net)
{
    for (int i = 0; i < 16; i++) {
        if ((address->s6_addr[i] ^ net->address.s6_addr[i])
            & net->mask.s6_addr[i]) {
            return false;
        }
    }
    return true;
}

/* Require ip. */

static const char *parse_ip(wr_command_call *call, int argc,
                            const char *const *argv, const void **parsed)
{
    subnets *nets =
        apr_pcalloc(call->pool, sizeof(*nets) + sizeof(subnet) * (size_t)argc);

    if (argc == 0) {
        return "an address must follow";
    }
    for (int i = 0; i < argc; i++) {
        if (!parse_subnet(call->temp_pool, argv[i], &nets->list[i])) {
            return apr_psprintf(call->temp_pool,
                                "\"%.100s\" is no address: write 192.0.2.1, "
                                "192.0.2, 192.0.2.0/24 or 2001:db8::/32",
                                argv[i]);
        }
    }
    nets->count = argc;
    *parsed = nets;
    return NULL;
}

static wr_authz check_ip(wr_request *r, const void *parsed)
{
    const subnets *nets = parsed;
    struct in6_addr address;

    if (!address_of(&r->peer.any, &address)) {
        return WR_AUTHZ_DENIED;
    }
    for (int i = 0; i < nets->count; i++) {
        if (is_within(&address, &nets->list[i])) {
            return WR_AUTHZ_GRANTED;
        }
    }
    return WR_AUTHZ_DENIED;
}

/* Require local. */

static const char *parse_nothing(wr_command_call *call, int argc,
                                 const char *const *argv, const void **parsed)
{
    (void)call;
    (void)argv;
    *parsed = NULL;
    return argc == 0 ? NULL : "nothing may follow \"local\"";
}

/** Is it the address by which the client reached us? */
static bool is_own(wr_request *r, const struct in6_addr *address)
{
    const struct sockaddr *local = wr_request_local(r);
    struct in6_addr own;

    return local && address_of(local, &own)
           && memcmp(&own, address, sizeof(own)) == 0;
}

static wr_authz check_local(wr_request *r, const void *parsed)
{
    struct in6_addr address;
    subnet loopback = {.address = {{{[10] = 0xff, [11] = 0xff, [12] = 127}}}};

    (void)parsed;
    set_mask(&loopback, MAPPED_BITS + 8);
    if (address_of(&r->peer.any, &address)
        && (is_within(&address, &loopback) || IN6_IS_ADDR_LOOPBACK(&address)
            || is_own(r, &address))) {
        return WR_AUTHZ_GRANTED;
    }
    return WR_AUTHZ_DENIED;
}

/* Names.  The questions are put in an op's thread, which has this to itself
 * until the op is back. */

typedef struct question {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    const char *const *names; /* forward-dns: which to ask for */
    bool is_found;
    char host[NI_MAXHOST]; /* host: the client's */
} question;

/** Is @a address among those that the resolver knows for a name? */
static bool name_has_address(const char *name, const struct in6_addr *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    bool is_found = false;

    if (getaddrinfo(name, NULL, &hints, &list) != 0) {
        return false;
    }
    for (const struct addrinfo *a = list; a && !is_found; a = a->ai_next) {
        struct in6_addr known;

        is_found = address_of(a->ai_addr, &known)
                   && memcmp(&known, address, sizeof(known)) == 0;
    }
    freeaddrinfo(list);
    return is_found;
}

/** The client's name, if that name leads back to its address: anyone may say
 *  any name of an address of his own. */
static apr_status_t ask_for_host(wr_op *op)
{
    question *q = op->arg;
    socklen_t len = q->peer.any.sa_family == AF_INET ? sizeof(q->peer.v4)
                                                     : sizeof(q->peer.v6);
    struct in6_addr address;

    q->is_found = address_of(&q->peer.any, &address)
                  && getnameinfo(&q->peer.any, len, q->host, sizeof(q->host),
                                 NULL, 0, NI_NAMEREQD)
                         == 0
                  && name_has_address(q->host, &address);
    return APR_SUCCESS;
}

static apr_status_t ask_for_addresses(wr_op *op)
{
    question *q = op->arg;
    struct in6_addr address;

    if (address_of(&q->peer.any, &address)) {
        for (const char *const *name = q->names; !q->is_found && *name;
             name++) {
            q->is_found = name_has_address(*name, &address);
        }
    }
    return APR_SUCCESS;
}

/** @return the answered question, or NULL when it was put now. */
static const question *ask(wr_request *r, const char *const *names,
                           apr_status_t (*func)(wr_op *op))
{
    wr_op *op = wr_request_op(r);
    question *q;

    if (op->is_done) {
        return op->arg;
    }
    q = apr_pcalloc(r->pool, sizeof(*q));
    memcpy(&q->peer, &r->peer, sizeof(q->peer));
    if (q->peer.any.sa_family == AF_INET6
        && IN6_IS_ADDR_V4MAPPED(&q->peer.v6.sin6_addr)) {
        memcpy(&q->peer.v4.sin_addr, r->peer.v6.sin6_addr.s6_addr + 12, 4);
        q->peer.v4.sin_family = AF_INET;
    }
    q->names = names;
    op->kind = WR_OP_FUNC;
    op->func = func;
    op->arg = q;
    wr_request_ask(r, op);
    return NULL;
}

static const char *parse_names(wr_command_call *call, int argc,
                               const char *const *argv, const void **parsed)
{
    const char **names;

    if (argc == 0) {
        return "a host name must follow";
    }
    authz_host_module.flags |= WR_MODULE_BLOCKS; /* a name server is asked */
    names = apr_pcalloc(call->pool, sizeof(*names) * (size_t)(argc + 1));
    memcpy(names, argv, sizeof(*names) * (size_t)argc);
    *parsed = names;
    return NULL;
}

/** "example.org" stands for itself and all below it, ".example.org" for those
 *  below it. */
static bool is_in_domain(const char *host, const char *domain)
{
    size_t host_len = strlen(host), domain_len = strlen(domain);

    if (host_len < domain_len
        || strcasecmp(host + host_len - domain_len, domain) != 0) {
        return false;
    }
    return host_len == domain_len || domain[0] == '.'
           || host[host_len - domain_len - 1] == '.';
}

static wr_authz check_host(wr_request *r, const void *parsed)
{
    const question *q = ask(r, NULL, ask_for_host);

    if (!q) {
        return WR_AUTHZ_SUSPENDED;
    }
    for (const char *const *name = parsed; q->is_found && *name; name++) {
        if (is_in_domain(q->host, *name)) {
            return WR_AUTHZ_GRANTED;
        }
    }
    return WR_AUTHZ_DENIED;
}

static wr_authz check_forward(wr_request *r, const void *parsed)
{
    const question *q = ask(r, parsed, ask_for_addresses);

    if (!q) {
        return WR_AUTHZ_SUSPENDED;
    }
    return q->is_found ? WR_AUTHZ_GRANTED : WR_AUTHZ_DENIED;
}

static const wr_authz_provider ip_provider = {parse_ip, check_ip};
static const wr_authz_provider local_provider = {parse_nothing, check_local};
static const wr_authz_provider host_provider = {parse_names, check_host};
static const wr_authz_provider forward_provider = {parse_names, check_forward};

static void register_hooks(apr_pool_t *pool)
{
    wr_provider_add(pool, WR_AUTHZ_GROUP, "ip", &ip_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "local", &local_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "host", &host_provider);
    wr_provider_add(pool, WR_AUTHZ_GROUP, "forward-dns", &forward_provider);
}

WR_API wr_module authz_host_module = {
    WR_MODULE_HEAD("authz_host"),
    .register_hooks = register_hooks,
};
