/*
 * path.c - from a request's target to a path that can be trusted: decoded
 * once, without dot segments, without an empty one.
 */
#include "config_server.h"
#include "request.h"

#include <apr_strings.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c - 'a' + 10; /* the parser saw to it that it is one */
}

/** Decode "%XX" in place.  @return its length, or the negative status. */
static int decode(char *path, size_t len, int slashes)
{
    char *to = path;

    for (size_t i = 0; i < len; i++) {
        char c = path[i];

        if (c == '%') {
            c = (char)(hex(path[i + 1]) * 16 + hex(path[i + 2]));
            if (c == '\0') {
                return -400;
            }
            if (c == '/' && slashes == WR__SLASHES_REFUSED) {
                return -404; /* it would name another file than it shows */
            }
            if (c == '/' && slashes == WR__SLASHES_KEPT) {
                *to++ = path[i++];
                *to++ = path[i++];
                c = path[i];
            }
            else {
                i += 2;
            }
        }
        *to++ = c;
    }
    *to = '\0';
    return (int)(to - path);
}

/** RFC 3986, 5.2.4, and "//" as "/" if it merges: in place.  A ".." above the
 * root is refused rather than dropped.  @return false for such. */
static bool remove_dots(char *path, bool merges)
{
    char *from = path, *to = path;

    while (*from) {
        size_t len;

        from++;
        while (merges && *from == '/') {
            from++;
        }
        len = strcspn(from, "/");
        if (len == 1 && from[0] == '.') {
            from += 1;
            if (*from == '\0') {
                *to++ = '/';
            }
            continue;
        }
        if (len == 2 && from[0] == '.' && from[1] == '.') {
            if (to == path) {
                return false;
            }
            while (*--to != '/') {
            }
            from += 2;
            if (*from == '\0') {
                *to++ = '/';
            }
            continue;
        }
        *to++ = '/';
        memmove(to, from, len);
        to += len;
        from += len;
    }
    *to = '\0';
    return true;
}

int wr__path_from_target(wr_request *r, const char *path, size_t len)
{
    const char *query = memchr(path, '?', len);
    size_t path_len = query ? (size_t)(query - path) : len;
    char *uri = apr_pstrmemdup(r->pool, path, path_len);
    const wr__core_server *core = wr__core_server_of(r->server);
    int result;

    if (query) {
        r->args = apr_pstrmemdup(r->pool, query + 1, len - path_len - 1);
    }
    r->uri = uri;
    if (memchr(uri, '%', path_len)) {
        result = decode(uri, path_len, core->encoded_slashes);
        if (result < 0) {
            return -result;
        }
    }
    if ((strstr(uri, "/.") || strstr(uri, "//"))
        && !remove_dots(uri, core->merge_slashes)) {
        return 400;
    }
    return 0;
}
