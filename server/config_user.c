/*
 * config_user.c - User and Group: who serves, where the server may choose.
 *
 * Runs where a configuration is read, in one thread.
 */
#include "config_core.h"

#include <apr_strings.h>
#include <apr_user.h>

#include <limits.h>
#include <unistd.h>

/* "#33" or a name.  *gid: the user's own group, WR__NO_ID if it has no entry.
 */
static const char *find_user(const char *name, uid_t *uid, gid_t *gid,
                             apr_pool_t *pool)
{
    apr_uid_t found;
    apr_gid_t group;
    char *by_number = NULL;
    int64_t number;

    if (name[0] == '#') {
        const char *error =
            wr_parse_int(pool, name + 1, 0, UINT_MAX - 1, &number);

        if (error) {
            return error;
        }
        *uid = (uid_t)number;
        *gid = WR__NO_ID;
        if (apr_uid_name_get(&by_number, *uid, pool) != APR_SUCCESS) {
            return NULL;
        }
        name = by_number;
    }
    if (apr_uid_get(&found, &group, name, pool) != APR_SUCCESS) {
        return apr_psprintf(pool, "there is no user \"%.100s\"", name);
    }
    *uid = found;
    *gid = group;
    return NULL;
}

/* Who serves matters only to a server that may choose. */
const char *wr__set_user(wr_command_call *call, void *config, int argc,
                         const char *const *argv)
{
    wr__config *whole = config;
    gid_t own_group = WR__NO_ID;
    const char *error = NULL;

    (void)argc;
    if (geteuid() == 0) {
        error = find_user(argv[0], &whole->uid, &own_group, call->pool);
    }
    if (!error) {
        whole->user = argv[0];
        if (!whole->group) {
            whole->gid = own_group;
        }
    }
    return error;
}

const char *wr__set_group(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    wr__config *whole = config;
    apr_gid_t gid;
    int64_t number;

    (void)argc;
    if (geteuid() == 0 && argv[0][0] == '#') {
        const char *error =
            wr_parse_int(call->pool, argv[0] + 1, 0, UINT_MAX - 1, &number);

        if (error) {
            return error;
        }
        whole->gid = (gid_t)number;
    }
    else if (geteuid() == 0) {
        if (apr_gid_get(&gid, argv[0], call->pool) != APR_SUCCESS) {
            return apr_psprintf(call->pool, "there is no group \"%.100s\"",
                                argv[0]);
        }
        whole->gid = gid;
    }
    whole->group = argv[0];
    return NULL;
}

static void default_user(wr__config *c, wr__errors *errors, const char *file)
{
    static const char *const names[] = {"www-data", "nobody"};

    for (int i = 0; i < 2; i++) {
        gid_t own_group = WR__NO_ID;

        if (!find_user(names[i], &c->uid, &own_group, c->pool)) {
            c->user = names[i];
            if (!c->group) {
                c->gid = own_group;
            }
            return;
        }
    }
    wr__errors_add(errors, file, 1,
                   "no User is given, and there is neither www-data nor "
                   "nobody");
}

void wr__user_finish(wr__config *c, wr__errors *errors, const char *file)
{
    if (geteuid() != 0) {
        c->uid = geteuid();
        c->gid = getegid();
        return;
    }
    if (!c->user) {
        default_user(c, errors, file);
    }
    if (c->user && c->gid == WR__NO_ID) {
        wr__errors_add(errors, file, 1,
                       "User %s is in no group of its own: write Group",
                       c->user);
    }
}
