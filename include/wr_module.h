/*
 * wr_module.h - the record by which a module makes itself known.
 *
 *     wr_module hello_module = {
 *         WR_MODULE_HEAD("hello"),
 *         .register_hooks = register_hooks,
 *     };
 *
 * The file is mod_NAME.so, the symbol NAME_module.
 */
#ifndef WR_MODULE_H
#define WR_MODULE_H

#include "wr_base.h"
#include "wr_command.h"
#include "wr_config.h"

#include <apr_pools.h>

/** First line of every record. */
#define WR_MODULE_HEAD(NAME) .magic = WR_MODULE_MAGIC, .name = (NAME)

/** wr_module.flags */
enum {
    /**
     * The module's translate_name, map_to_storage, type_checker and fixups
     * hooks answer by server, URL and files alone, never by method, headers,
     * client or clock.  Only if all such hooks that run are so is the answer
     * kept in the path cache.
     */
    WR_MODULE_CACHEABLE = 1,
    /**
     * The module asks for WR_OP_FUNC, or runs linear code.  An architecture
     * that has no thread to spare then starts some; without a module that says
     * so such ops fail, with APR_ENOTIMPL.  Where only a directive makes a
     * module block, it may set the flag when it meets that.
     */
    WR_MODULE_BLOCKS = 2
};

struct wr_module {
    uint32_t magic;
    const char *name;
    int index; /**< set when it is loaded */
    unsigned flags;
    const wr_command *commands; /**< ended by a NULL name; or NULL */

    /** Make a configuration with its defaults.  NULL: has none. */
    void *(*create_dir_config)(apr_pool_t *pool);
    void *(*create_server_config)(apr_pool_t *pool);
    /** What holds where @a add is inside @a base; neither may be changed.
     *  NULL: @a add alone holds. */
    void *(*merge_dir_config)(apr_pool_t *pool, const void *base,
                              const void *add);
    void *(*merge_server_config)(apr_pool_t *pool, const void *base,
                                 const void *add);
    /** True if under this directory configuration no request hook of the
     *  module would do anything: then none is called. */
    bool (*inactive)(const void *dir_config);
    void (*register_hooks)(apr_pool_t *pool);
    wr_mpm *mpm; /**< of an MPM's module; NULL in all others */
};

/**
 * Offer others something by a name in a group, such as ("authz", "ip"); for as
 * long as @a pool lives.  In register_hooks.
 */
WR_API void wr_provider_add(apr_pool_t *pool, const char *group,
                            const char *name, const void *provider);
/** What was offered first by that name, in any case of letters; or NULL.  From
 *  the first directive on.  @thread any. */
WR_API const void *wr_provider_find(const char *group, const char *name);

/** A loaded module by name ("mime", "mpm_sped"), or NULL. */
WR_API wr_module *wr_module_find(const char *name);

#endif
