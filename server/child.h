/*
 * child.h - what the core keeps for a serving process.
 */
#ifndef WR__CHILD_H
#define WR__CHILD_H

#include "wr_mpm.h"

#include "config.h"

#include <apr_thread_mutex.h>

struct wr__cache;
struct wr__flights;
struct wr__stock;

struct wr_child_core {
    const wr__config *config;
    const char *server_field;    /**< what ServerTokens says we are */
    struct wr__cache *cache;     /**< cache.h */
    struct wr__flights *flights; /**< flight.h; or NULL */
    struct wr__stock *stock;     /**< stock.h: connections, kits, requests */
    bool is_threaded;            /**< WR_MPM_THREADED */
    bool may_block;              /**< a module has WR_MODULE_BLOCKS */
    bool asks_first;         /**< not WR_MPM_CALLS_INLINE: test before I/O */
    _Atomic uint32_t serial; /**< of the next connection */
    int index;               /**< of the child in its generation */
    int note_fd;             /**< the generation's, for notes; or -1 */
    uint32_t serial_limit;   /**< it leaves after so many; 0: never */
    wr_row *row; /**< the process's own: heir of its threads' gauges */
};

/** Connections that a child may have at a time. */
int wr__child_max_connections(const wr__config *config);

/**
 * Make a child for an MPM in the calling process.  Called after the fork, as
 * the user that serves.
 *
 * @param drain_fd,stop_fd as in wr_child.
 */
apr_status_t wr__child_create(wr_child **child, const wr__config *config,
                              wr_listener *const *listeners, int listener_count,
                              int index, int drain_fd, int stop_fd,
                              apr_pool_t *pool);
/** There is a generation that hears its notes and replaces it when it leaves
 *  (MaxConnectionsPerChild).  Before wr__child_init(). */
void wr__child_supervised(wr_child *child, int note_fd);
/** Tell the generation; a wr__child_note's kind.  Any thread. */
void wr__child_tell(const wr_child *child, int kind);

/** Accept no more, and end when all are served.  Any thread, and a handler of
 *  signals. */
void wr__child_drain(wr_child *child);
/** End.  Likewise. */
void wr__child_stop(wr_child *child);
/** It has accepted as many as it may: leave, and say so.  Any thread. */
void wr__child_leave(wr_child *child);

/** Free all that is left; every thread but the caller's has ended. */
void wr__child_destroy(wr_child *child);

/** child_init hooks and wr_mpm.init.  On success the generation is told that
 *  this child is ready; on failure it was logged and the child ends. */
apr_status_t wr__child_init(wr_child *child);
/** wr_mpm.serve.  @return exit status. */
int wr__child_serve(wr_child *child);

#endif
