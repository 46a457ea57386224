/*
 * user.c - see user.h.
 *
 * In children and helpers, before they do anything else.
 */
#include "user.h"

#include <apr_strings.h>

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void wr__user_init(wr__user *user, const char *name, uid_t uid, gid_t gid)
{
    memset(user, 0, sizeof(*user)); /* all of it may travel */
    user->uid = uid;
    user->gid = gid;
    if (name != NULL && name[0] != '#' && strlen(name) < sizeof(user->name)) {
        apr_cpystrn(user->name, name, sizeof(user->name));
    }
}

static apr_status_t change(const wr__user *user)
{
    int failed = user->name[0] == '\0' ? setgroups(1, &user->gid)
                                       : initgroups(user->name, user->gid);

    if (failed || setgid(user->gid) != 0 || setuid(user->uid) != 0) {
        return errno;
    }
    if (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
        return APR_EGENERAL; /* the privileges came back */
    }
    return APR_SUCCESS;
}

apr_status_t wr__user_become(const wr__user *user)
{
    apr_status_t rv = APR_SUCCESS;

    if (geteuid() == 0) {
        rv = change(user);
    }
    if (rv == APR_SUCCESS && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        rv = errno;
    }
    return rv;
}
