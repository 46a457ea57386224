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

#include <limits.h>

/** Bits of FileETag. */
enum {
    WR__ETAG_MTIME = 1,
    WR__ETAG_SIZE = 2,
    WR__ETAG_INODE = 4
};

/** Bits that directives such as "Options +Indexes -MultiViews" set, add and
 *  take away. */
typedef struct wr__bits {
    unsigned bits; /**< what holds, once all is merged */
    unsigned added, removed;
    bool is_absolute; /**< said without + and -: what is around is forgotten */
} wr__bits;

typedef enum wr__error_doc_kind {
    WR__ERROR_DOC_DEFAULT, /**< the server's own words */
    WR__ERROR_DOC_TEXT,    /**< these */
    WR__ERROR_DOC_PATH,    /**< a URL-path here: an internal redirect */
    WR__ERROR_DOC_URL      /**< elsewhere: a redirect of the client (302) */
} wr__error_doc_kind;

/** ErrorDocument. */
typedef struct wr__error_doc {
    wr__error_doc_kind kind;
    const char *text;
} wr__error_doc;

#define WR__RANGES_UNLIMITED INT_MAX

/**
 * The core's configuration of a directory.  In a merged one (wr_request's
 * dir_config) every field has its value; in a section's own, -1, NULL and no
 * bits mean that nothing was said.
 */
typedef struct wr__core_dir {
    const char *handler;     /**< SetHandler; "": none */
    const char *forced_type; /**< ForceType; "": none */
    const char *charset;     /**< AddDefaultCharset; "": none */
    wr__bits options;        /**< Options: WR_OPT_* */
    wr__bits etag;           /**< FileETag: WR__ETAG_*; 0: None */
    const wr__error_doc *const *error_docs; /**< by status - 400; or NULL */
    int64_t limit_request_body;             /**< 0: any length */
    int max_ranges; /**< 0: Range is ignored; or WR__RANGES_UNLIMITED */
    int max_overlaps, max_reversals; /**< of them; likewise */
    int sendfile;                    /**< EnableSendfile */
    int signature;                   /**< ServerSignature: a wr__signature */
    int canonical_name;              /**< UseCanonicalName */
} wr__core_dir;

typedef enum wr__signature {
    WR__SIGNATURE_OFF,
    WR__SIGNATURE_ON,
    WR__SIGNATURE_EMAIL
} wr__signature;

/** The core's part in what holds for a request; never NULL. */
static inline const wr__core_dir *wr__core_dir_of(const wr_dir_config *dir)
{
    return wr_dir_config_of(dir, &wr__core_module);
}

/** The handler that is set for a directory, or NULL. */
static inline const char *wr__core_handler(const wr_dir_config *dir)
{
    const wr__core_dir *core = wr__core_dir_of(dir);

    return *core->handler ? core->handler : NULL;
}

/** What is sent for an error, 400 to 599; or NULL: the server's own words. */
const wr__error_doc *wr__core_error_doc(const wr_dir_config *dir, int status);

/** The core's part in a section, and in a directory. */
void *wr__core_dir_create(apr_pool_t *pool);
void *wr__core_dir_merge(apr_pool_t *pool, const void *base, const void *add);
/** Outside all sections of the main server every field has a value. */
void wr__core_dir_defaults(wr__core_dir *dir);

/** Directives for directories: config_dir.c. */
wr_command_fn wr__set_options;
wr_command_fn wr__set_allow_override;
wr_command_fn wr__set_file_etag;
wr_command_fn wr__set_error_document;
wr_command_fn wr__set_signature;
wr_command_fn wr__set_canonical_name;
wr_command_fn wr__set_max_ranges;
wr_command_fn wr__set_forced_type;
wr_command_fn wr__set_handler;
wr_command_fn wr__set_charset;
wr_command_fn wr__set_default_type;

/** Directives for servers: config_http.c. */
wr_command_fn wr__set_core_int;
wr_command_fn wr__set_core_size;
wr_command_fn wr__set_core_flag;
wr_command_fn wr__set_trace;
wr_command_fn wr__set_encoded_slashes;
wr_command_fn wr__set_request_timeout;
wr_command_fn wr__set_log_level;

/** Names and addresses: config_names.c. */
wr_command_fn wr__set_server_name;
wr_command_fn wr__add_server_alias;
wr_command_fn wr__add_listen;

/** Who serves: config_user.c. */
wr_command_fn wr__set_user;
wr_command_fn wr__set_group;
#define WR__NO_ID ((gid_t)-1) /**< a user or group that is not known yet */
/** What can be said only when all was read; as wr__core_finish(). */
void wr__user_finish(wr__config *config, wr__errors *errors, const char *file);

/** Give all of a configuration's own fields their defaults. */
void wr__core_defaults(wr__config *config);

/** What can be said only when all was read: user, listeners.
 *  @param file of the configuration, for errors that no line is guilty of. */
void wr__core_finish(wr__config *config, wr__errors *errors, const char *file);

#endif
