/*
 * wr_config.h - a configuration once it is read: servers, per-directory
 * configurations, and each module's part in them.
 *
 * Made by the generation before it forks; from then on read-only, so any
 * thread may look.
 */
#ifndef WR_CONFIG_H
#define WR_CONFIG_H

#include "wr_base.h"

#include <apr_pools.h>
#include <apr_tables.h>

/** A line of a configuration file; a section has children. */
struct wr_directive {
    const char *name;
    const char *args; /**< raw, as it stood, variables replaced */
    int argc;
    const char *const *argv;
    const char *file;
    int line;
    bool is_section; /**< "<name ...>", be it empty */
    wr_directive *next, *parent, *first_child;
};

/** Modules' configurations, by wr_module.index. */
typedef void **wr_config_vector;

/** One server: the main one, or a <VirtualHost>. */
struct wr_server {
    wr_server *next;
    const char *name;   /**< ServerName without a port, or NULL */
    uint16_t port;      /**< ServerName's, or 0 */
    const char *scheme; /**< ServerName's, or NULL: as the client came */
    const char *admin;  /**< ServerAdmin, or NULL */
    const char *file;   /**< where it is defined */
    int line;
    apr_array_header_t *aliases;   /**< const char *, may hold * and ? */
    apr_array_header_t *addresses; /**< const char *, of <VirtualHost> */
    wr_config_vector config;       /**< per server */
    wr_dir_config *dir_config;     /**< outside all sections */
    apr_array_header_t *sections;  /**< wr_section *, outside others */
    const char *document_root;
    wr_root *root; /**< document_root opened; NULL before */
    wr_log *error_log;
    int64_t timeout_ns; /**< Timeout */
    int64_t keep_alive_timeout_ns;
    int keep_alive;              /**< KeepAlive */
    int max_keep_alive_requests; /**< 0: no bound */
    int log_level;               /**< LogLevel; modules may have their own: */
    signed char *module_levels;  /**< by wr_module.index; -1: none; or NULL */
    unsigned is_set; /**< which of these were given: for the merge */
};

/** Bits of Options. */
enum {
    WR_OPT_INDEXES = 1,
    WR_OPT_INCLUDES = 2,
    WR_OPT_INCLUDES_EXEC = 4, /**< with WR_OPT_INCLUDES: may run programs */
    WR_OPT_EXEC_CGI = 8,
    WR_OPT_FOLLOW_SYMLINKS = 16,
    WR_OPT_SYMLINKS_IF_OWNER = 32, /**< only to what the link's owner has */
    WR_OPT_MULTIVIEWS = 64
};

/** What holds in a directory. */
struct wr_dir_config {
    wr_config_vector config; /**< per directory */
    uint64_t inactive;       /**< bit wr_module.index: see wr_module.inactive */
    bool is_lent; /**< made for one request, in its pool: not to be kept */
};

typedef enum wr_section_kind {
    WR_SECTION_DIRECTORY,
    WR_SECTION_FILES,
    WR_SECTION_LOCATION
} wr_section_kind;

/** A <Directory>, <Files> or <Location> section, or the Match form of one. */
struct wr_section {
    wr_section_kind kind;
    const char *path; /**< as written; a directory's is absolute, ends in "/" */
    size_t len;
    int depth;             /**< slashes in path: shorter is merged first */
    bool is_pattern;       /**< with *, ? or [...] */
    const wr_regex *regex; /**< path is one; or NULL */
    wr_dir_config *dir;
    apr_array_header_t *files; /**< wr_section *: the <Files> inside it */
    const wr_directive *directive;
};

/** Options: WR_OPT_* bits. */
WR_API unsigned wr_dir_options(const wr_dir_config *dir);

/**
 * What holds for another file than the request's: for who shows it or looks at
 * it in passing.
 *
 * @param uri  its URL-path, decoded.
 * @param path absolute, a directory's ends in "/".
 * @return lives as long as the request; NULL if it can't be told.
 */
WR_API const wr_dir_config *wr_dir_config_for(const wr_request *r,
                                              const char *uri,
                                              const char *path);

/** A module's own part. */
#define wr_server_config(server, module) ((server)->config[(module)->index])
#define wr_dir_config_of(dir, module)    ((dir)->config[(module)->index])

#endif
