/*
 * dispatch.h - which queue a task goes to, where each worker has one.
 *
 * A dispatcher is one thread's.  Arithmetic only: no lock, no queue, no clock.
 */
#ifndef WR__DISPATCH_H
#define WR__DISPATCH_H

#include "wr_base.h"

#include <stdatomic.h>

/** TaskDispatch.  An idle worker takes nothing from another's queue: the rules
 *  are there to be compared, so none is mixed with a second one.  A task that
 *  takes long therefore keeps those behind it waiting, as a stuck thread does
 *  with a listener of its own (SO_REUSEPORT). */
typedef enum wr__dispatch {
    WR__DISPATCH_SHARED,      /**< one queue, and whoever is free takes */
    WR__DISPATCH_ROUND_ROBIN, /**< each in turn */
    WR__DISPATCH_RANDOM,      /**< any, all alike */
    WR__DISPATCH_LEAST_LOADED /**< who has least to do; one who has nothing */
} wr__dispatch;
#define WR__DISPATCH_WORDS "shared|round-robin|random|least-loaded"

typedef struct wr__dispatcher {
    wr__dispatch rule;
    uint32_t last; /**< ROUND_ROBIN: after whom it goes on */
    uint32_t seed; /**< RANDOM: not 0 */
} wr__dispatcher;

/**
 * Choose one of @a count queues.
 *
 * @param loads what each has to do, waiting or begun; may fall meanwhile.
 * @param most  a queue that has so much is passed over.
 * @return its place, or -1: all have.
 */
int wr__dispatch_choose(wr__dispatcher *d, const _Atomic int *loads, int count,
                        int most);

#endif
