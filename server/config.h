/*
 * config.h - a whole configuration, as the server's own parts see it.
 *
 * Read and checked by config_*.c in the generation (or by -t, -S, -k in the
 * process of the command line); read-only from the fork of the first child on.
 */
#ifndef WR__CONFIG_H
#define WR__CONFIG_H

#include "wr_base.h"
#include "wr_config.h"
#include "wr_module.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdio.h>
#include <sys/types.h>

/** A Listen directive. */
typedef struct wr__listen {
    const char *address; /**< numeric, without brackets; NULL: any */
    uint16_t port;
    const char *file;
    int line;
} wr__listen;

/** What the command line says about the configuration. */
typedef struct wr__config_options {
    const char *file;                  /**< -f, or the compiled-in path */
    const char *server_root;           /**< -d, or NULL */
    const char *mpm;                   /**< -m, or NULL */
    const char *modules_dir;           /**< NULL: the compiled-in one */
    const apr_array_header_t *defines; /**< -D: const char * */
    const apr_array_header_t *before;  /**< -C: const char * */
    const apr_array_header_t *after;   /**< -c: const char * */
    FILE *errors;                      /**< where FILE:LINE: text goes */
} wr__config_options;

/** ServerTokens: how much of "Weir/1.2.3 (Unix)" the Server field says. */
typedef enum wr__tokens {
    WR__TOKENS_PROD,  /**< Weir */
    WR__TOKENS_MAJOR, /**< Weir/1 */
    WR__TOKENS_MINOR, /**< Weir/1.2 */
    WR__TOKENS_MIN,   /**< Weir/1.2.3 */
    WR__TOKENS_OS,    /**< Weir/1.2.3 (Unix) */
    WR__TOKENS_FULL   /**< the same: no module adds to it */
} wr__tokens;

/** CacheContent */
typedef enum wr__cache_content_mode {
    WR__CONTENT_OFF,       /**< files are opened anew each time */
    WR__CONTENT_MEMORY,    /**< small ones in memory, others open */
    WR__CONTENT_MMAP,      /**< open, small ones mapped too */
    WR__CONTENT_DESCRIPTOR /**< open, none in memory */
} wr__cache_content_mode;

typedef struct wr__config {
    apr_pool_t *pool;
    wr_directive *tree;
    wr_server *main_server; /**< the main one; <VirtualHost>s follow by next */
    apr_array_header_t *listens;   /**< wr__listen * */
    apr_array_header_t *addresses; /**< wr__server_find()'s: config_server.c */
    apr_array_header_t *modules;   /**< wr_module *, by index */
    const char *server_root;
    const char *pid_file;
    const char *error_log;    /**< path, "stderr", "|...", "syslog..." */
    const char *user, *group; /**< as given, or NULL */
    uid_t uid;
    gid_t gid;
    wr_mpm *mpm;
    void *mpm_config;

    int processes;           /**< Processes; not with WR_MPM_PROCESS */
    int listen_backlog;      /**< ListenBacklog */
    int send_buffer_size;    /**< SendBufferSize; 0: the kernel's */
    int receive_buffer_size; /**< ReceiveBufferSize; 0: the kernel's */
    int accept_limit;        /**< AcceptLimit */
    int max_connections;     /**< MaxConnections; 0: descriptors less 64 */
    int max_connections_per_child; /**< MaxConnectionsPerChild; 0: any */
    int64_t quantum;          /**< SendQuantum: bytes to one client in a turn */
    int64_t drain_timeout_ns; /**< GracefulShutdownTimeout */

    int server_tokens;      /**< a wr__tokens */
    bool strict_host_check; /**< of any server */

    int limit_request_fields; /**< LimitRequestFields: the most of any */
    int64_t body_memory;      /**< RequestBodyMemory: beyond it a file */
    const char *spool_dir;    /**< SpoolDirectory: of such files */

    int64_t cache_size;             /**< CacheSize */
    int cache_entries;              /**< CacheEntries */
    int64_t cache_max_file;         /**< CacheMaxFile: content up to it */
    int64_t cache_revalidate_ns;    /**< CacheRevalidate */
    int cache_paths, cache_headers; /**< on/off each */
    int cache_content;              /**< a wr__cache_content_mode */
} wr__config;

/**
 * Read, check and carry out a configuration; load its modules and its MPM.
 * All errors found are printed to options->errors.  Runs the pre_config hooks,
 * but not post_config: that is for those who are about to serve.  A process may
 * load again (tests do); only the configuration loaded last may be used.
 *
 * @return 0, or a status after something was printed.
 */
apr_status_t wr__config_load(wr__config **config,
                             const wr__config_options *options,
                             apr_pool_t *pool);

/** What -S prints: servers, addresses, roots, user, MPM. */
void wr__config_dump(const wr__config *config, FILE *out);
/** What -L prints: every directive of every loaded module, with context. */
void wr__config_list_directives(const wr__config *config, FILE *out);
/** The next module with WR_MODULE_BLOCKS behind @a after (NULL: the first), or
 *  NULL. */
const wr_module *wr__config_blocks(const wr__config *config,
                                   const wr_module *after);

/** What -M prints: loaded modules, "static" or "shared". */
void wr__config_list_modules(const wr__config *config, FILE *out);
/** What -l prints: modules compiled in. */
void wr__config_list_static(FILE *out);
/** MPMs in the compiled-in folder, a line each: "name  summary". */
void wr__config_list_mpms(FILE *out);

/**
 * The server for a request that came by @a c, by the address at this end and
 * Host (lower case, no port; may be NULL).
 *
 * @param is_named set: it is called by that name, not just the default one.
 * @thread the connection's.
 */
wr_server *wr__server_for(const wr__config *config, const wr_conn *c,
                          const char *host, bool *is_named);

/** The server for connections to a listener, before more is known. */
wr_server *wr__server_default(const wr__config *config,
                              const struct wr_listener *listener);

/**
 * What holds for a request: the server's own, then <Directory> from the
 * shortest to the longest, <DirectoryMatch>, <Files> and <Location>.
 *
 * @param uri  decoded, without a query; NULL or "*": no <Location> holds.
 * @param path absolute, a directory's ends in "/"; NULL: not known yet, and
 *        only <Location> is looked at.
 * @param pool the request's.  What is returned lives as long as the server,
 *        unless it says is_lent: then as long as this.
 * @return NULL if a regular expression gave up: nobody knows what holds.
 * @thread any; takes a lock only for a combination of sections that was never
 *         met before.
 */
wr_dir_config *wr__dir_config_for(const wr_server *server, const char *uri,
                                  const char *path, apr_pool_t *pool);

/** The root for a directory: opened now, or found among those open. */
wr_root *wr__root_open(const char *path, apr_pool_t *pool,
                       apr_status_t *status);

#endif
