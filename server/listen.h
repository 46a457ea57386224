/*
 * listen.h - sockets to accept on: made by the first generation that names
 * their address, kept open by the master, inherited by those that follow.
 */
#ifndef WR__LISTEN_H
#define WR__LISTEN_H

#include "wr_mpm.h"

#include "config.h"

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>

/** A socket that is already open, by the address that it was bound to. */
typedef struct wr__bound {
    const char *name; /**< "127.0.0.1:8080", "[::1]:8080" */
    int fd;
} wr__bound;

/**
 * A socket for every address of the configuration: one of @a inherited, or a
 * new one.  An address without a host gives two, for either family, or one
 * where the system has no IPv6.  Options that may have changed are set on
 * inherited ones too.
 *
 * @param listeners on success: of wr_listener *.  Protocol and server are left
 *        to the caller.
 * @param inherited of wr__bound.  Its descriptors stay the caller's.
 * @param error     on failure: "FILE:LINE: could not ...", in @a pool.
 * @owner new descriptors: the pool; closed with it, and on failure at once.
 */
apr_status_t wr__listen_open(apr_array_header_t **listeners,
                             const wr__config *config,
                             const apr_array_header_t *inherited,
                             const char **error, apr_pool_t *pool);

/** Is it one of @a inherited? */
bool wr__listen_is_inherited(const wr_listener *listener,
                             const apr_array_header_t *inherited);

#endif
