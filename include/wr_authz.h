/*
 * wr_authz.h - what a module offers that adds a kind of Require.
 *
 *     wr_provider_add(pool, WR_AUTHZ_GROUP, "ip", &ip_provider);
 *
 * in register_hooks; "Require ip ..." is then the provider's.
 */
#ifndef WR_AUTHZ_H
#define WR_AUTHZ_H

#include "wr_base.h"
#include "wr_command.h"
#include "wr_request.h"

#define WR_AUTHZ_GROUP "authz"

typedef enum wr_authz {
    WR_AUTHZ_DENIED,
    WR_AUTHZ_GRANTED,
    WR_AUTHZ_NEUTRAL,  /**< has nothing to say */
    WR_AUTHZ_SUSPENDED /**< asked for an op: see wr_request.h */
} wr_authz;

typedef struct wr_authz_provider {
    /**
     * Read what follows the provider's name.
     *
     * @param parsed what check is given.
     * @return NULL, or what is wrong.
     */
    const char *(*parse)(wr_command_call *call, int argc,
                         const char *const *argv, const void **parsed);
    /** May @a r have it?  Asked again after WR_AUTHZ_SUSPENDED.
     *  @thread any. */
    wr_authz (*check)(wr_request *r, const void *parsed);
} wr_authz_provider;

/** What mod_authz_core offers: wr_provider_find("access", "authz_core"). */
typedef struct wr_authz_access {
    /** Is there nobody who may have it? @thread any. */
    bool (*is_closed)(const wr_dir_config *dir);
} wr_authz_access;

#endif
