/*
 * master_main.h - the process that keeps the listeners and starts generations.
 */
#ifndef WR__MASTER_MAIN_H
#define WR__MASTER_MAIN_H

#include "config.h"

#include <apr_pools.h>
#include <stdbool.h>

typedef struct wr__master_options {
    const wr__config_options *config;
    bool stays_in_foreground;
} wr__master_options;

/**
 * Serve.  Unless it stays in the foreground the caller returns as soon as the
 * server serves, or can't, and another process goes on.
 *
 * @return exit status.
 */
int wr__master_main(const wr__master_options *options, apr_pool_t *pool);

#endif
