/*
 * generation_main.h - the process that reads a configuration and keeps the
 * children that serve it.
 */
#ifndef WR__GENERATION_MAIN_H
#define WR__GENERATION_MAIN_H

#include "generation_setup.h"

#include <apr_pools.h>
#include <sys/types.h>

typedef struct wr__generation_options {
    wr__setup_options setup;
    int number;   /**< of the generation: 1, 2, ... */
    int channel;  /**< its end: see channel.h */
    pid_t master; /**< with whom it ends */
} wr__generation_options;

/**
 * All of a generation's life.  SIGTERM stops it and its children, SIGUSR1
 * drains them.
 *
 * @return exit status.
 */
int wr__generation_main(const wr__generation_options *options,
                        apr_pool_t *pool);

#endif
