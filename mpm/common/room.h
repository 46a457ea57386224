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

/**
 * Let one go, if one of those that are looked at is kept and its client has
 * sent nothing yet.  Looks at a bounded number.
 *
 * @return false: there is none, as far as seen; try again after a while.
 *         True: try again at once, if there is no room yet.
 */
bool wr__room_make(const wr__room *room);

#endif
