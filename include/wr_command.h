/*
 * wr_command.h - directives: the tables in which modules, MPMs and the core
 * declare them, and what their functions are given.
 *
 * Used while a configuration is read, by the one thread that reads it.
 */
#ifndef WR_COMMAND_H
#define WR_COMMAND_H

#include "wr_base.h"

#include <apr_pools.h>

/** Where a directive may stand. */
enum {
    WR_IN_GLOBAL = 1,          /**< outside every section */
    WR_IN_SERVER = 2,          /**< in <VirtualHost> */
    WR_IN_DIRECTORY = 4,       /**< in <Directory> and its kin */
    WR_IN_MPM = 8,             /**< in <MPM>; bare, it goes to the chosen MPM */
    WR_IN_DIRECTORY_ONLY = 16, /**< in <Directory>, but not in its kin */
    WR_IN_SERVERS = WR_IN_GLOBAL | WR_IN_SERVER,
    WR_IN_ANY = WR_IN_GLOBAL | WR_IN_SERVER | WR_IN_DIRECTORY
};

/** As wr_command.max_args: any number. */
#define WR_ARGS_ANY 255

typedef struct wr_command wr_command;

/** A directive that is being carried out. */
typedef struct wr_command_call {
    const wr_command *command;
    const wr_directive *directive; /**< where it stands; its children */
    wr_server *server;             /**< the one it is for */
    wr_dir_config *dir;            /**< the section's, or the server's own */
    const wr_section *section;     /**< the innermost one, or NULL */
    const char *dir_path;          /**< its path, or NULL */
    unsigned context;              /**< one WR_IN_* bit */
    apr_pool_t *pool;              /**< lives as long as the configuration */
    apr_pool_t *temp_pool;         /**< until it is all read */
    struct wr__walk *walk;         /**< private to the core */
} wr_command_call;

/**
 * Carry a directive out.
 *
 * @param config the module's configuration: per directory for a command with
 *        WR_IN_DIRECTORY, else per server; an MPM's own for an MPM's command.
 * @return NULL, or what is wrong, to which file and line are put.
 */
typedef const char *wr_command_fn(wr_command_call *call, void *config, int argc,
                                  const char *const *argv);

struct wr_command {
    const char *name;
    wr_command_fn *run;
    unsigned context; /**< WR_IN_* bits */
    uint8_t min_args, max_args;
    const char *args;   /**< as the reference shows them: "on|off" */
    const char *help;   /**< one sentence */
    const char *preset; /**< the default, as one would write it; or NULL */
    size_t offset;      /**< for wr_set_*: of the field in the config */
    int64_t min, max;   /**< for wr_set_*: bounds, both allowed; max 0: none
                             but what the field holds */
    bool is_section;    /**< "<name ...>": directive->first_child follows */
};

/** Store argv[0] at command->offset: const char *. */
WR_API wr_command_fn wr_set_string;
/** On or Off: int, 1 or 0. */
WR_API wr_command_fn wr_set_flag;
/** One of the words of command->args, as in "one|other": int, its place from 0
 *  on, so that an enum may list them in that order. */
WR_API wr_command_fn wr_set_choice;
/** A whole number between min and max: int. */
WR_API wr_command_fn wr_set_int;
/** A number of bytes, with K, M or G: int64_t. */
WR_API wr_command_fn wr_set_size;
/** A time: "5", "5s", "500ms", "2min", "1h": int64_t nanoseconds, the bounds
 *  likewise. */
WR_API wr_command_fn wr_set_time;
/** A path; not absolute: below ServerRoot: const char *. */
WR_API wr_command_fn wr_set_path;

/** The same conversions for a module's own functions; NULL or an error. */
WR_API const char *wr_parse_int(apr_pool_t *pool, const char *text, int64_t min,
                                int64_t max, int64_t *value);
WR_API const char *wr_parse_time(apr_pool_t *pool, const char *text,
                                 int64_t min, int64_t max, int64_t *ns);
WR_API const char *wr_parse_size(apr_pool_t *pool, const char *text,
                                 int64_t min, int64_t max, int64_t *bytes);

/**
 * Carry out what stands in the section that @a call is, where it stands: for
 * sections that group directives of a module.  Errors are reported by those
 * they are about.
 */
WR_API void wr_run_children(const wr_command_call *call);

/** @a path below ServerRoot unless it is absolute; in call->pool. */
WR_API const char *wr_server_root_relative(const wr_command_call *call,
                                           const char *path);

#endif
