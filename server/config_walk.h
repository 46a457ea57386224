/*
 * config_walk.h - carrying a tree of directives out against the tables of the
 * core, the modules and the MPMs.
 */
#ifndef WR__CONFIG_WALK_H
#define WR__CONFIG_WALK_H

#include "wr_command.h"
#include "wr_mpm.h"

#include "config.h"
#include "config_reader.h"

#include <apr_hash.h>

/** An MPM that the configuration speaks to: the chosen one, or another. */
typedef struct wr__mpm_use {
    const wr_mpm *mpm;
    void *config;
    const wr_directive *last; /**< the one carried out last, or NULL */
} wr__mpm_use;

typedef struct wr__walk {
    wr__config *config;
    wr__errors *errors;
    const char *modules_dir;
    bool names_doubtful;  /**< a module is missing: the names may be its */
    apr_hash_t *commands; /**< by lower-case name: private */
    apr_hash_t *mpms;     /**< wr__mpm_use, by the MPM's name */
    wr__mpm_use *mpm;     /**< whose section this is; NULL outside */
    apr_pool_t *temp_pool;
} wr__walk;

/** For the modules that take part now and config->mpm. */
wr__walk *wr__walk_create(wr__config *config, wr__errors *errors,
                          const char *modules_dir, apr_pool_t *temp_pool);

/** A call for directives of a server outside its sections. */
wr_command_call wr__walk_call(wr__walk *walk, wr_server *server,
                              unsigned context);

/**
 * Check and carry out @a first and those that follow it.
 *
 * @param where all but command and directive: they are filled in for each.
 */
void wr__walk_run(const wr_command_call *where, const wr_directive *first);

/** Does it have as many arguments as it may?  NULL, or what is wrong. */
const char *wr__walk_check_args(const wr_command *command,
                                const wr_directive *directive,
                                apr_pool_t *pool);

/** In words, for messages and lists: "in <VirtualHost>". */
const char *wr__context_text(unsigned context, apr_pool_t *pool);

/** Where a command may stand: an MPM's also outside all sections. */
unsigned wr__command_context(const wr_command *command);

/** An MPM's place in this configuration, made at first use. */
wr__mpm_use *wr__walk_mpm(wr__walk *walk, const wr_mpm *mpm);

/** httpd has it, Weir has not: what to do about it; or NULL. */
const char *wr__absent_hint(const char *name);

/** The directive of that name in a table, or NULL. */
const wr_command *wr__command_find(const wr_command *table, const char *name);

#endif
