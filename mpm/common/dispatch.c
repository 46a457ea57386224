/*
 * dispatch.c - see dispatch.h.
 */
#include "dispatch.h"

static int load_of(const _Atomic int *loads, int place)
{
    return atomic_load_explicit(&loads[place], memory_order_relaxed);
}

/** The first from @a place on, around, that has room. */
static int find_room(const _Atomic int *loads, int count, int most, int place)
{
    for (int i = 0; i < count; i++) {
        int at = (place + i) % count;

        if (load_of(loads, at) < most) {
            return at;
        }
    }
    return -1;
}

/** Of several the first: so few workers do what few can, and stay warm. */
static int find_least(const _Atomic int *loads, int count, int most)
{
    int least = -1;

    for (int i = 0; i < count && most > 0; i++) {
        int load = load_of(loads, i);

        if (load < most) {
            least = i;
            most = load;
        }
    }
    return least;
}

/** xorshift32 (Marsaglia): a few shifts, and no two queues told apart. */
static uint32_t next_random(wr__dispatcher *d)
{
    d->seed ^= d->seed << 13;
    d->seed ^= d->seed >> 17;
    d->seed ^= d->seed << 5;
    return d->seed;
}

int wr__dispatch_choose(wr__dispatcher *d, const _Atomic int *loads, int count,
                        int most)
{
    int place = 0;

    switch (d->rule) {
    case WR__DISPATCH_SHARED:
        break;
    case WR__DISPATCH_ROUND_ROBIN:
        place = find_room(loads, count, most,
                          (int)((d->last + 1) % (uint32_t)count));
        d->last = place < 0 ? d->last : (uint32_t)place;
        return place;
    case WR__DISPATCH_RANDOM:
        place = (int)(next_random(d) % (uint32_t)count);
        break;
    case WR__DISPATCH_LEAST_LOADED:
        return find_least(loads, count, most);
    }
    return find_room(loads, count, most, place);
}
