/*
 * module_load.h - modules and MPMs: found, opened, checked, numbered.
 *
 * A record once opened stays for the life of the process; which of them take
 * part, and under which index, is decided anew by each configuration that is
 * read.  So only the configuration read last may be used.  One thread.
 */
#ifndef WR__MODULE_LOAD_H
#define WR__MODULE_LOAD_H

#include "wr_module.h"

#include <apr_pools.h>
#include <apr_tables.h>

/** The core's own record, index 0; config_core.c. */
extern wr_module wr__core_module;

/** Forget which modules take part; but for the core, none does. */
void wr__modules_reset(void);

/**
 * Open a module by its symbol, "mime_module", and check it.  One that is
 * compiled in needs no file.  It does not take part yet.
 *
 * @param path absolute.
 * @return NULL, or what is wrong, in @a pool.
 */
const char *wr__module_open(wr_module **module, const char *symbol,
                            const char *path, apr_pool_t *pool);

/** Let an open module take part: it gets the next index.  Twice is once.
 *  @return NULL, or what is wrong: its name is taken by another file. */
const char *wr__module_add(wr_module *module, apr_pool_t *pool);

/** Those that take part, wr_module *, by index. */
apr_array_header_t *wr__modules_list(apr_pool_t *pool);

/** Let those that take part register their hooks; each once per process. */
void wr__modules_register_hooks(void);

/** "mime" for all ways of <IfModule>: mime, mod_mime.c, mod_mime.so,
 *  mime_module. */
const char *wr__module_name(const char *written, apr_pool_t *pool);

/** Where it was loaded from; NULL: compiled in. */
const char *wr__module_path(const wr_module *module);

/** An MPM by name: opened before, compiled in, or in the folder @a dir. */
const char *wr__mpm_open(wr_module **module, const char *name, const char *dir,
                         apr_pool_t *pool);

/** Names (const char *, "mime", "mpm_sped"; sorted) of what begins so among
 *  the modules in the folder @a dir and those compiled in. */
apr_array_header_t *wr__modules_at_hand(const char *dir, const char *prefix,
                                        apr_pool_t *pool);

/** Open one of wr__modules_at_hand(); NULL when it can't be. */
wr_module *wr__module_at_hand(const char *name, const char *dir,
                              apr_pool_t *pool);

#endif
