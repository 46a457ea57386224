/*
 * open_walk.c - see open_walk.h.
 *
 * Any thread, any process.  Descriptors directly: APR opens by whole paths.
 */
#include "open_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 64 /* directories below dir */
#define MAX_LINKS 40 /* as the kernel's */

/** A link that was followed: what it names is known once the path to be walked
 *  is as short again as behind it. */
typedef struct followed {
    size_t rest;
    uid_t owner;
} followed;

typedef struct walk {
    int dirs[MAX_DEPTH]; /* [0] is the caller's */
    int depth;           /* of the last one */
    wr__links links;
    int flags;
    char path[PATH_MAX]; /* what is still to be walked */
    followed checks[MAX_LINKS];
    int check_count, link_count;
} walk;

static void leave_all(walk *w)
{
    while (w->depth > 0) {
        close(w->dirs[w->depth--]);
    }
}

/** Take the next name off the path.  One that is too long for any file stays
 *  too long: the look-up says so.  @return false at the path's end. */
static bool next_name(walk *w, char *name)
{
    char *from = w->path + strspn(w->path, "/");
    size_t len = strcspn(from, "/");
    size_t kept = len <= NAME_MAX ? len : NAME_MAX + 1;

    memcpy(name, from, kept);
    name[kept] = '\0';
    memmove(w->path, from + len, strlen(from + len) + 1);
    return len > 0;
}

/** Does what @a st describes end links, and is it their owners'? */
static bool owners_match(walk *w, const struct stat *st)
{
    size_t rest = strlen(w->path);

    while (w->check_count > 0 && w->checks[w->check_count - 1].rest == rest) {
        if (w->checks[--w->check_count].owner != st->st_uid) {
            return false;
        }
    }
    return true;
}

/** Put a link's target before the rest of the path. */
static apr_status_t follow(walk *w, int link, const struct stat *st)
{
    char target[PATH_MAX];
    size_t rest = strlen(w->path);
    ssize_t len;

    if (w->links == WR__LINKS_NONE || w->link_count == MAX_LINKS) {
        return ELOOP;
    }
    len = readlinkat(link, "", target, sizeof(target) - 1);
    if (len < 0) {
        return errno;
    }
    if (len == 0 || target[0] == '/') {
        return len ? EXDEV : ENOENT;
    }
    while (target[len - 1] == '/') {
        len--; /* so that its end is where the rest begins */
    }
    if ((size_t)len + 1 + rest >= sizeof(w->path)) {
        return ENAMETOOLONG;
    }
    memmove(w->path + len, w->path, rest + 1); /* it begins with "/", or ends */
    memcpy(w->path, target, (size_t)len);
    w->link_count++;
    if (w->links == WR__LINKS_IF_OWNER) {
        w->checks[w->check_count++] =
            (followed){.rest = rest, .owner = st->st_uid};
    }
    return APR_SUCCESS;
}

/** "." or "..": a link may have ended in the directory. */
static apr_status_t stay_or_go_up(walk *w, bool goes_up)
{
    struct stat st;

    if (goes_up) {
        if (w->depth == 0) {
            return EXDEV;
        }
        close(w->dirs[w->depth--]);
    }
    if (w->check_count == 0) {
        return APR_SUCCESS;
    }
    if (fstat(w->dirs[w->depth], &st) < 0) {
        return errno;
    }
    return owners_match(w, &st) ? APR_SUCCESS : ELOOP;
}

/** The last name: open it as the caller wants it. */
static apr_status_t open_last(walk *w, const char *name, int *fd)
{
    struct stat st;
    int opened =
        openat(w->dirs[w->depth], name, w->flags | O_NOFOLLOW | O_CLOEXEC);

    if (opened < 0) {
        return errno;
    }
    if (fstat(opened, &st) < 0 || !owners_match(w, &st)) {
        close(opened);
        return ELOOP;
    }
    *fd = opened;
    return APR_SUCCESS;
}

/** One name.  *fd is set when it was the last. */
static apr_status_t walk_name(walk *w, const char *name, int *fd)
{
    struct stat st;
    apr_status_t status = APR_SUCCESS;
    int found;

    found = openat(w->dirs[w->depth], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found < 0) {
        return errno;
    }
    if (fstat(found, &st) < 0) {
        status = errno;
    }
    else if (S_ISLNK(st.st_mode)) {
        status = follow(w, found, &st);
    }
    else if (w->path[0] == '\0') {
        status = open_last(w, name, fd);
    }
    else if (!S_ISDIR(st.st_mode)) {
        status = ENOTDIR;
    }
    else if (!owners_match(w, &st)) {
        status = ELOOP;
    }
    else if (w->depth == MAX_DEPTH - 1) {
        status = ENAMETOOLONG;
    }
    else {
        w->dirs[++w->depth] = found;
        return APR_SUCCESS;
    }
    close(found);
    return status;
}

/** The path has ended in a directory: by "/", "." or "..". */
static apr_status_t open_here(walk *w, int *fd)
{
    return open_last(w, ".", fd);
}

apr_status_t wr__open_walk(int dir, const char *path, wr__links links,
                           int flags, int *fd)
{
    walk w = {.dirs = {dir}, .links = links, .flags = flags};
    size_t len = strlen(path);
    char name[NAME_MAX + 2];
    apr_status_t status = APR_SUCCESS;
    int opened = -1;

    if (len >= sizeof(w.path)) {
        return ENAMETOOLONG;
    }
    if (path[0] == '/') {
        return EXDEV;
    }
    memcpy(w.path, path, len + 1);
    while (status == APR_SUCCESS && opened < 0) {
        if (!next_name(&w, name)) {
            status = open_here(&w, &opened);
            break;
        }
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            status = stay_or_go_up(&w, name[1] == '.');
        }
        else {
            status = walk_name(&w, name, &opened);
        }
    }
    leave_all(&w);
    if (status == APR_SUCCESS) {
        *fd = opened;
    }
    return status;
}
