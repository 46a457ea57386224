/*
 * room.c - see room.h.
 */
#include "room.h"

#define LOOKS 16 /* connections that are looked at for one */

/** Taken out of the heap, with the time that it had there. */
typedef struct candidate {
    wr_conn *conn;
    int64_t when;
} candidate;

/** Is it the caller's to look at? */
static bool claim(const wr__room *room, wr_conn *c)
{
    return room->is_shared ? wr_conn_post(c, WR_POST_EVENT)
                           : !wr__seat_of(c)->is_queued;
}

/**
 * Let it go if it can.  @a k->when is that of the heap; the deadline may have
 * moved on.
 *
 * @param soonest of those looked at before, as it was found to be.
 */
static bool try_one(const wr__room *room, const candidate *k, int64_t *soonest)
{
    wr_conn *c = k->conn;
    bool has_moved = c->deadline > k->when;
    bool goes = !has_moved && k->when <= *soonest && wr_conn_is_kept(c);

    wr__timers_set(room->timers, c, has_moved ? c->deadline : k->when);
    if (has_moved && c->deadline < *soonest) {
        *soonest = c->deadline;
    }
    if (goes) {
        wr_conn_post(c, WR_POST_ROOM);
    }
    if (goes || room->is_shared) {
        room->carry(room->arg, c);
    }
    return goes;
}

wr__room_result wr__room_make(const wr__room *room)
{
    candidate found[LOOKS];
    int64_t soonest = WR_NEVER;
    bool has_gone = false;
    int count = 0;

    while (count < LOOKS
           && (found[count].conn =
                   wr__timers_first(room->timers, &found[count].when))) {
        wr__timers_remove(room->timers, found[count++].conn);
    }
    for (int i = 0; i < count; i++) {
        if (!has_gone && claim(room, found[i].conn)) {
            has_gone = try_one(room, &found[i], &soonest);
        }
        else {
            wr__timers_set(room->timers, found[i].conn, found[i].when);
        }
    }
    return has_gone              ? WR__ROOM_MADE
           : soonest != WR_NEVER ? WR__ROOM_AGAIN
                                 : WR__ROOM_NONE;
}
