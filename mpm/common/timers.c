/*
 * timers.c - see timers.h.
 */
#include "timers.h"

#include <assert.h>

struct wr__timer {
    int64_t when; /**< here too, so that sifting stays in the array */
    wr_conn *conn;
};

void wr__timers_init(wr__timers *t, int max, apr_pool_t *pool)
{
    /* Not zeroed: memory that no connection needs is never touched. */
    t->heap = apr_palloc(pool, ((size_t)max + 1) * sizeof(*t->heap));
    t->count = 0;
    t->max = (uint32_t)max;
}

static void place(wr__timers *t, uint32_t at, struct wr__timer entry)
{
    t->heap[at] = entry;
    wr__seat_of(entry.conn)->heap_place = at;
}

static void sift_up(wr__timers *t, uint32_t at, struct wr__timer entry)
{
    while (at > 1) {
        uint32_t parent = (at + 2) / 4;

        if (t->heap[parent].when <= entry.when) {
            break;
        }
        place(t, at, t->heap[parent]);
        at = parent;
    }
    place(t, at, entry);
}

static void sift_down(wr__timers *t, uint32_t at, struct wr__timer entry)
{
    for (;;) {
        uint32_t first = at * 4 - 2, least = first;

        if (first > t->count) {
            break;
        }
        for (uint32_t i = first + 1; i < first + 4 && i <= t->count; i++) {
            if (t->heap[i].when < t->heap[least].when) {
                least = i;
            }
        }
        if (entry.when <= t->heap[least].when) {
            break;
        }
        place(t, at, t->heap[least]);
        at = least;
    }
    place(t, at, entry);
}

static void set_wake(wr_conn *c, int64_t when)
{
    atomic_store_explicit(&wr__seat_of(c)->wake_ns, when, memory_order_relaxed);
}

void wr__timers_set(wr__timers *t, wr_conn *c, int64_t when)
{
    struct wr__timer entry = {when, c};
    uint32_t at = wr__seat_of(c)->heap_place;

    if (at == 0) {
        assert(t->count < t->max);
        sift_up(t, ++t->count, entry);
    }
    else if (when < t->heap[at].when) {
        sift_up(t, at, entry);
    }
    else {
        sift_down(t, at, entry);
    }
    set_wake(c, when);
}

void wr__timers_remove(wr__timers *t, wr_conn *c)
{
    uint32_t at = wr__seat_of(c)->heap_place;
    struct wr__timer last;

    if (at == 0) {
        return;
    }
    last = t->heap[t->count--];
    wr__seat_of(c)->heap_place = 0;
    set_wake(c, 0);
    if (last.conn == c) {
        return;
    }
    if (at > 1 && last.when < t->heap[(at + 2) / 4].when) {
        sift_up(t, at, last);
    }
    else {
        sift_down(t, at, last);
    }
}

wr_conn *wr__timers_first(const wr__timers *t, int64_t *when)
{
    *when = wr__timers_next(t);
    return t->count ? t->heap[1].conn : NULL;
}

int64_t wr__timers_next(const wr__timers *t)
{
    return t->count ? t->heap[1].when : WR_NEVER;
}

wr_conn *wr__timers_fire(wr__timers *t, int64_t now)
{
    wr_conn *c;

    if (t->count == 0 || t->heap[1].when > now) {
        return NULL;
    }
    c = t->heap[1].conn;
    wr__timers_remove(t, c);
    return c;
}
