/*
 * open_walk.h - opening a path below a directory name by name.
 *
 * For links that are to be followed only to what their owner owns, which the
 * kernel has no word for, and for kernels without openat2().  No race: each
 * name is looked up in a directory that is held open, and no link is left to
 * the kernel to follow.
 */
#ifndef WR__OPEN_WALK_H
#define WR__OPEN_WALK_H

#include "wr_base.h"

#include <apr_errno.h>

typedef enum wr__links {
    WR__LINKS_FOLLOW,
    WR__LINKS_IF_OWNER, /**< only to what belongs to the link's owner */
    WR__LINKS_NONE
} wr__links;

/**
 * Open @a path below @a dir.
 *
 * @param flags open()'s; O_NOFOLLOW is added.
 * @return 0 with *fd open; EXDEV if the path leads out of dir; ELOOP for a
 *         link that is not to be followed, or too many of them.
 */
apr_status_t wr__open_walk(int dir, const char *path, wr__links links,
                           int flags, int *fd);

#endif
