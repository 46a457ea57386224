/*
 * config_core.h - the core's own directives, and its part in a directory's
 * configuration.
 */
#ifndef WR__CONFIG_CORE_H
#define WR__CONFIG_CORE_H

#include "wr_config.h"
#include "wr_module.h"

#include "config.h"
#include "config_walk.h"
#include "module_load.h"

/** The core's configuration of a directory. */
typedef struct wr__core_dir {
    const char *handler; /**< SetHandler; "": none; NULL: not said */
} wr__core_dir;

/** The handler that is set for a directory, or NULL. */
static inline const char *wr__core_handler(const wr_dir_config *dir)
{
    const wr__core_dir *core = wr_dir_config_of(dir, &wr__core_module);

    return core && core->handler && *core->handler ? core->handler : NULL;
}

/** Give all of a configuration's own fields their defaults. */
void wr__core_defaults(wr__config *config);

/** What can be said only when all was read: user, listeners.
 *  @param file of the configuration, for errors that no line is guilty of. */
void wr__core_finish(wr__config *config, wr__errors *errors, const char *file);

#endif
