/*
 * generation_setup.h - all that is done before the first child is forked, with
 * the privileges of the start.
 */
#ifndef WR__GENERATION_SETUP_H
#define WR__GENERATION_SETUP_H

#include "config.h"

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>

/** What it is made from. */
typedef struct wr__setup_options {
    const wr__config_options *config;
    const apr_array_header_t *inherited; /**< wr__bound: open listeners */
    bool is_first;    /**< no generation serves: refuse beside another server */
    bool is_detached; /**< no terminal: stray output goes to the error log */
    bool is_single;   /**< no other process writes out the log rings */
} wr__setup_options;

/** What it gives. */
typedef struct wr__setup {
    wr__config *config;
    apr_array_header_t *listeners; /**< wr_listener * */
} wr__setup;

/**
 * Fork the spawner (of -X: when there is something to start), read the
 * configuration, bind, raise limits, open logs, run post_config.
 *
 * @return 0, or a status after options->config->errors was told why.
 */
apr_status_t wr__setup_run(wr__setup *setup, const wr__setup_options *options,
                           apr_pool_t *pool);

#endif
