/*
 * room.h - when there are as many connections as may be, those that are kept
 * for a next request make room for new ones.
 *
 * The poller's thread's.  The one whose time is up first goes first: with one
 * KeepAliveTimeout for all, the one that has been idle for longest.
 */
#ifndef WR__ROOM_H
#define WR__ROOM_H

#include "timers.h"

typedef struct wr__room {
    wr__timers *timers;
    bool is_shared; /**< connections may be with other threads: claim first */
    /** Carry a connection on.  @owner of it: this function. */
    void (*carry)(void *arg, wr_conn *c);
    void *arg;
} wr__room;

typedef enum wr__room_result {
    WR__ROOM_NONE,  /**< none can go, as far as seen: try after a while */
    WR__ROOM_AGAIN, /**< some deadlines had moved on: try again at once */
    WR__ROOM_MADE   /**< one goes, unless its client has just sent something */
} wr__room_result;

/** Let one go that is kept.  Looks at a bounded number. */
wr__room_result wr__room_make(const wr__room *room);

#endif
