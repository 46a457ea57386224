/*
 * pool_size.h - how many a pool should have of those who work: threads or
 * processes, in whatever architecture.
 *
 * Arithmetic, and the words for it in a configuration.  Starts nobody, holds
 * no lock and reads no clock.
 */
#ifndef WR__POOL_SIZE_H
#define WR__POOL_SIZE_H

#include "wr_command.h"

/** N is the number of processors that the process may use. */
typedef enum wr__size_rule {
    WR__SIZE_NUMBER,  /**< as it was said */
    WR__SIZE_CPU,     /**< N + 1: who works computes; one more covers a page
                           that is not in memory */
    WR__SIZE_IO,      /**< 2 N + 1: each waits about as long as it computes */
    WR__SIZE_MEASURED /**< by what comes, and how long it takes */
} wr__size_rule;

/** A pool's size as configured. */
typedef struct wr__pool_size {
    wr__size_rule rule;
    int number; /**< NUMBER */
    int max;    /**< MEASURED: at most; set to its default beforehand */
} wr__pool_size;

/** "NUMBER | auto [cpu|io|measured]"; a plain "auto" is measured.  A
 *  wr_command_fn, for the wr__pool_size at command->offset; command->min and
 *  max hold for the number. */
const char *wr__set_pool_size(wr_command_call *call, void *config, int argc,
                              const char *const *argv);
#define WR__POOL_SIZE_ARGS "number|auto [cpu|io|measured]"

/** N: by the affinity, so that a process kept to one processor knows it. */
int wr__cores(void);

/** How many to start with; of MEASURED, the least there are. */
int wr__pool_least(const wr__pool_size *size, int cores);
/** How many there can be. */
int wr__pool_most(const wr__pool_size *size, int cores);

/** A line that shows how the size comes about, for weir -S.
 *  @param name the directive's. */
const char *wr__pool_describe(const char *name, const wr__pool_size *size,
                              int cores, apr_pool_t *pool);

/** What a pool has counted since it began. */
typedef struct wr__pool_totals {
    int64_t arrived;  /**< tasks */
    int64_t finished; /**< of these */
    int64_t held_ns;  /**< time in which somebody had one, added up: of those
                           that are being worked on, until now */
} wr__pool_totals;

/** What a pool's size is measured with.  Zeroed, it knows nothing yet. */
typedef struct wr__pool_meter {
    int64_t looked_ns; /**< when it was looked at last; 0: never */
    wr__pool_totals then;
    /* Of the last seconds, the more the later. */
    double seconds, arrived, finished, held;
    /* What came of it. */
    double rate; /**< tasks a second */
    double time; /**< seconds that a task holds one who works */
} wr__pool_meter;

/** So often it is measured. */
#define WR__POOL_PERIOD WR_SEC

/**
 * How many are needed, by Little's law: as many tasks are being worked on as
 * come in the time that one takes; and some more, since they do not come
 * evenly.
 *
 * @param now monotonic ns.
 */
int wr__pool_measure(wr__pool_meter *m, const wr__pool_size *size, int cores,
                     const wr__pool_totals *totals, int64_t now);

#endif
