/*
 * config_server.h - making servers and their sections, and merging them.
 */
#ifndef WR__CONFIG_SERVER_H
#define WR__CONFIG_SERVER_H

#include "wr_command.h"

#include "config.h"
#include "config_walk.h"
#include "module_load.h"

/** Directories that sections say something about, with what holds there. */
typedef struct wr__dir_entry {
    const char *path; /**< as in wr_section */
    size_t len;
    const struct wr__dir_entry *outer; /**< the next one around it, or NULL */
    wr_dir_config *merged;
} wr__dir_entry;

/** The core's own part in a server. */
typedef struct wr__core_server {
    const char *error_log;     /**< of a virtual host, its own; or NULL */
    const wr__dir_entry *dirs; /**< sorted by path */
    int dir_count;
} wr__core_server;

#define wr__core_server_of(server) \
    ((wr__core_server *)wr_server_config((server), &wr__core_module))

void *wr__core_server_create(apr_pool_t *pool);

/** The main server, with every module's defaults. */
wr_server *wr__server_create(const wr__config *config, const char *file);

/** Note that the field at @a offset of wr_server was given. */
void wr__server_mark(wr_server *server, size_t offset);

/** <VirtualHost> and <Directory>. */
wr_command_fn wr__run_virtual_host;
wr_command_fn wr__run_directory;

/** Main into virtual hosts, servers into their sections, and all that is
 *  looked up while serving. */
void wr__servers_finish(wr__config *config, wr__errors *errors);

/** Open the ErrorLogs of virtual hosts. */
apr_status_t wr__servers_open_logs(wr_server *main_server, apr_pool_t *pool);

#endif
