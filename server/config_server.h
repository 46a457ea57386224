/*
 * config_server.h - making servers and their sections, and merging them.
 */
#ifndef WR__CONFIG_SERVER_H
#define WR__CONFIG_SERVER_H

#include "wr_command.h"

#include "config.h"
#include "config_walk.h"
#include "module_load.h"

/** The sections of a server, as they are looked up: config_section.c. */
typedef struct wr__sections wr__sections;

/** RequestReadTimeout, of a head or a body.  The time grows by a second for
 *  every min_rate bytes that have come, up to max_ns. */
typedef struct wr__read_timeout {
    int64_t first_ns; /**< from the first byte on; 0: any time */
    int64_t max_ns;   /**< 0: no bound to its growing */
    int min_rate;     /**< bytes a second; 0: does not grow */
} wr__read_timeout;

/** AllowEncodedSlashes */
typedef enum wr__encoded_slashes {
    WR__SLASHES_REFUSED, /**< %2F in a path: 404 */
    WR__SLASHES_DECODED,
    WR__SLASHES_KEPT /**< %2F stays as it is */
} wr__encoded_slashes;

/** TraceEnable */
typedef enum wr__trace {
    WR__TRACE_OFF,
    WR__TRACE_ON,
    WR__TRACE_EXTENDED /**< with a body */
} wr__trace;

/**
 * The core's own part in a server.  What concerns a request's head holds as
 * the default server of its address has it (wr_listener.server); when Host is
 * known, as its own server has it.  While it is read, -1 is: not said.
 */
typedef struct wr__core_server {
    int limit_request_line;
    int limit_request_fields;
    int limit_request_field_size;
    int64_t limit_request_head;
    wr__read_timeout head_timeout, body_timeout;
    int send_min_rate;     /**< SendMinRate, bytes a second; 0: none */
    int trace;             /**< a wr__trace */
    int merge_slashes;     /**< MergeSlashes: "//" in a path is "/" */
    int strict_host_check; /**< a Host that no server has: 400 */
    int encoded_slashes;   /**< a wr__encoded_slashes */
    const char *error_log; /**< of a virtual host, its own; or NULL */
    wr__sections *sections;
} wr__core_server;

#define wr__core_server_of(server) \
    ((wr__core_server *)wr_server_config((server), &wr__core_module))

void *wr__core_server_create(apr_pool_t *pool);
void *wr__core_server_merge(apr_pool_t *pool, const void *base,
                            const void *add);
/** In the main server every field has a value. */
void wr__core_server_defaults(wr__core_server *core);

/** The main server, with every module's defaults. */
wr_server *wr__server_create(const wr__config *config, const char *file);

/** A virtual host's LogLevel NAME:level, once all were read. */
void wr__log_levels_inherit(const wr__config *config, wr_server *server,
                            bool has_own_level);

/** Note that the field at @a offset of wr_server was given. */
void wr__server_mark(wr_server *server, size_t offset);

/** <VirtualHost>. */
wr_command_fn wr__run_virtual_host;

/** Sections of a server, and <Files>, also in <Directory>; and their Match
 *  forms. */
wr_command_fn wr__run_directory;
wr_command_fn wr__run_directory_match;
wr_command_fn wr__run_files;
wr_command_fn wr__run_files_match;
wr_command_fn wr__run_location;
wr_command_fn wr__run_location_match;

/** What a section says, before anything is said. */
wr_dir_config *wr__dir_config_make(const wr__config *config, apr_pool_t *pool);
/** What holds where @a add is inside @a base. */
wr_dir_config *wr__dir_config_merge(const wr__config *config,
                                    const wr_dir_config *base,
                                    const wr_dir_config *add, apr_pool_t *pool);
/** One module's part of that. */
typedef void *wr__merge_fn(apr_pool_t *pool, const void *base, const void *add);
void *wr__part_merge(void *base, void *add, wr__merge_fn *merge,
                     apr_pool_t *pool);
/** Note which modules have nothing to do there. */
void wr__dir_config_mark(const wr__config *config, wr_dir_config *dir);
/** Lay a server's sections out for being looked up.  Its own dir_config and
 *  server->sections are complete. */
void wr__sections_index(const wr__config *config, wr_server *server);

/** Main into virtual hosts, servers into their sections, and all that is
 *  looked up while serving. */
void wr__servers_finish(wr__config *config, wr__errors *errors);

/** Open the ErrorLogs of virtual hosts. */
apr_status_t wr__servers_open_logs(wr_server *main_server, apr_pool_t *pool);

#endif
