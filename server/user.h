/*
 * user.h - who serves: the user that a process becomes for good.
 */
#ifndef WR__USER_H
#define WR__USER_H

#include <apr_errno.h>
#include <sys/types.h>

#define WR__USER_NAME_MAX 256

/** Plain data: it is told to the spawner. */
typedef struct wr__user {
    uid_t uid;
    gid_t gid;
    char name[WR__USER_NAME_MAX]; /**< ""; or whose other groups it has, too */
} wr__user;

/** Who @a name, "#UID" or NULL is. */
void wr__user_init(wr__user *user, const char *name, uid_t uid, gid_t gid);

/**
 * Give up all privileges for good; a process that has none only gives up the
 * hope of any.  One thread.
 */
apr_status_t wr__user_become(const wr__user *user);

#endif
