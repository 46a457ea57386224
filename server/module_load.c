/*
 * module_load.c - modules and MPMs: found, opened, checked, numbered.
 *
 * Runs where a configuration is read, in one thread.  Opened objects are never
 * closed: hooks and configurations point into them.
 */
#include "module_load.h"

#include "wr_mpm.h"

#include "static_modules.h"

#include <apr_dso.h>
#include <apr_file_info.h>
#include <apr_hooks.h>
#include <apr_strings.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A record that was opened. */
typedef struct opened {
    struct opened *next;
    wr_module *module;
    const char *path; /* NULL: compiled in */
    bool has_hooks;   /* registered */
} opened;

/* The process's: wr_module_find() has nothing else to look in, and what is
 * opened outlives every configuration. */
static struct {
    apr_pool_t *pool;
    opened *all;
    apr_array_header_t *modules; /* wr_module *, those that take part */
} registry;

static apr_pool_t *registry_pool(void)
{
    if (!registry.pool) {
        apr_pool_create(&registry.pool, NULL);
        apr_pool_tag(registry.pool, "modules");
        registry.modules =
            apr_array_make(registry.pool, 16, sizeof(wr_module *));
    }
    return registry.pool;
}

static opened *find_opened(const char *name, const char *path)
{
    for (opened *o = registry.all; o; o = o->next) {
        if (strcmp(o->module->name, name) == 0
            && (!path || !o->path || strcmp(o->path, path) == 0)) {
            return o;
        }
    }
    return NULL;
}

static opened *opened_of(const wr_module *module)
{
    for (opened *o = registry.all; o; o = o->next) {
        if (o->module == module) {
            return o;
        }
    }
    return NULL;
}

static opened *remember(wr_module *module, const char *path)
{
    apr_pool_t *pool = registry_pool();
    opened *o = apr_pcalloc(pool, sizeof(*o));

    o->module = module;
    o->path = apr_pstrdup(pool, path);
    o->next = registry.all;
    registry.all = o;
    return o;
}

/* those that take part ------------------------------------------------------
 */

static void push_module(wr_module *module)
{
    module->index = registry.modules->nelts;
    APR_ARRAY_PUSH(registry.modules, wr_module *) = module;
}

void wr__modules_reset(void)
{
    registry_pool();
    apr_array_clear(registry.modules);
    if (!opened_of(&wr__core_module)) {
        remember(&wr__core_module, NULL);
    }
    push_module(&wr__core_module);
}

wr_module *wr_module_find(const char *name)
{
    for (int i = 0; registry.modules && i < registry.modules->nelts; i++) {
        wr_module *m = APR_ARRAY_IDX(registry.modules, i, wr_module *);

        if (strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

const char *wr__module_add(wr_module *module, apr_pool_t *pool)
{
    const wr_module *same = wr_module_find(module->name);

    if (same == module) {
        return NULL;
    }
    if (same) {
        const char *path = wr__module_path(same);

        return apr_psprintf(pool, "%s_module is loaded already, %s%s",
                            module->name, path ? "from " : "compiled in",
                            path ? path : "");
    }
    push_module(module);
    return NULL;
}

apr_array_header_t *wr__modules_list(apr_pool_t *pool)
{
    return apr_array_copy(pool, registry.modules);
}

void wr__modules_register_hooks(void)
{
    if (!apr_hook_global_pool) {
        apr_hook_global_pool = registry_pool();
    }
    for (int i = 0; i < registry.modules->nelts; i++) {
        wr_module *m = APR_ARRAY_IDX(registry.modules, i, wr_module *);
        opened *o = opened_of(m);

        if (m->register_hooks && !o->has_hooks) {
            apr_hook_debug_current = m->name;
            m->register_hooks(registry.pool);
        }
        o->has_hooks = true;
    }
    apr_hook_debug_current = NULL;
}

const char *wr__module_path(const wr_module *module)
{
    const opened *o = opened_of(module);

    return o ? o->path : NULL;
}

/* opening ------------------------------------------------------------------ */

static bool cut_end(char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    if (len <= end_len || strcmp(text + len - end_len, end) != 0) {
        return false;
    }
    text[len - end_len] = '\0';
    return true;
}

const char *wr__module_name(const char *written, apr_pool_t *pool)
{
    char *name = apr_pstrdup(pool, written);

    if (cut_end(name, "_module")) {
        return name;
    }
    if (!cut_end(name, ".c")) {
        cut_end(name, ".so");
    }
    return strncmp(name, "mod_", 4) == 0 ? name + 4 : name;
}

static wr_module *find_static(const char *name)
{
    for (wr_module *const *m = wr__static_modules; *m; m++) {
        if (strcmp((*m)->name, name) == 0) {
            return *m;
        }
    }
    return NULL;
}

/* Is it a record that we can use, and the one that was asked for? */
static const char *check_record(const wr_module *m, const char *symbol,
                                const char *name, apr_pool_t *pool)
{
    assert(m);
    if (m->magic != WR_MODULE_MAGIC) {
        return apr_psprintf(pool,
                            "%s was made for another Weir (its record has "
                            "%08x, this one needs %08x): compile it again",
                            symbol, m->magic, WR_MODULE_MAGIC);
    }
    if (!m->name || strcmp(m->name, name) != 0) {
        return apr_psprintf(pool, "%s calls itself \"%s\", not \"%s\"", symbol,
                            m->name ? m->name : "", name);
    }
    return NULL;
}

static const char *open_file(wr_module **module, const char *symbol,
                             const char *path, apr_pool_t *pool)
{
    apr_dso_handle_t *dso;
    apr_dso_handle_sym_t found;
    apr_finfo_t info;
    apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE, pool);
    char text[400];

    if (rv != APR_SUCCESS) {
        return apr_psprintf(pool, "could not open %s: %s", path,
                            apr_strerror(rv, text, sizeof(text)));
    }
    if (apr_dso_load(&dso, path, registry_pool()) != APR_SUCCESS) {
        return apr_psprintf(pool, "could not load %s: %s", path,
                            apr_dso_error(dso, text, sizeof(text)));
    }
    if (apr_dso_sym(&found, dso, symbol) != APR_SUCCESS) {
        return apr_psprintf(pool, "%s has no %s", path, symbol);
    }
    *module = (wr_module *)found;
    return NULL;
}

const char *wr__module_open(wr_module **module, const char *symbol,
                            const char *path, apr_pool_t *pool)
{
    char *name = apr_pstrdup(pool, symbol);
    const char *error;
    wr_module *m;
    opened *o;

    if (!cut_end(name, "_module")) {
        return apr_psprintf(pool, "\"%s\" does not end in _module", symbol);
    }
    o = find_opened(name, path);
    if (o) {
        *module = o->module;
        return NULL;
    }
    m = find_static(name);
    if (m) {
        path = NULL;
    }
    else {
        error = open_file(&m, symbol, path, pool);
        if (error) {
            return error;
        }
    }
    error = check_record(m, symbol, name, pool);
    if (error) {
        return error;
    }
    *module = remember(m, path)->module;
    return NULL;
}

/* the folder ----------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_name(apr_array_header_t *names, const char *name,
                     const char *prefix)
{
    if (strncmp(name, prefix, strlen(prefix)) != 0) {
        return;
    }
    for (int i = 0; i < names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names, i, const char *), name) == 0) {
            return;
        }
    }
    APR_ARRAY_PUSH(names, const char *) = name;
}

apr_array_header_t *wr__modules_at_hand(const char *dir, const char *prefix,
                                        apr_pool_t *pool)
{
    apr_array_header_t *names = apr_array_make(pool, 8, sizeof(const char *));
    apr_finfo_t info;
    apr_dir_t *open;

    for (wr_module *const *m = wr__static_modules; *m; m++) {
        add_name(names, (*m)->name, prefix);
    }
    if (apr_dir_open(&open, dir, pool) == APR_SUCCESS) {
        while (apr_dir_read(&info, APR_FINFO_NAME, open) == APR_SUCCESS) {
            char *name = apr_pstrdup(pool, info.name);

            if (strncmp(name, "mod_", 4) == 0 && cut_end(name, ".so")) {
                add_name(names, name + 4, prefix);
            }
        }
        apr_dir_close(open);
    }
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *),
          compare_names);
    return names;
}

static const char *open_at_hand(wr_module **module, const char *name,
                                const char *dir, apr_pool_t *pool)
{
    opened *o = find_opened(name, NULL);

    if (o) {
        *module = o->module;
        return NULL;
    }
    return wr__module_open(module, apr_pstrcat(pool, name, "_module", NULL),
                           apr_pstrcat(pool, dir, "/mod_", name, ".so", NULL),
                           pool);
}

wr_module *wr__module_at_hand(const char *name, const char *dir,
                              apr_pool_t *pool)
{
    wr_module *module = NULL;

    open_at_hand(&module, name, dir, pool);
    return module;
}

/* "there are mt, sped" */
static const char *mpms_at_hand(const char *dir, apr_pool_t *pool)
{
    apr_array_header_t *names = wr__modules_at_hand(dir, "mpm_", pool);
    const char *text = NULL;

    for (int i = 0; i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *) + 4;

        text = text ? apr_pstrcat(pool, text, ", ", name, NULL) : name;
    }
    return text ? apr_pstrcat(pool, "there are ", text, NULL)
                : apr_pstrcat(pool, "there are none in ", dir, NULL);
}

const char *wr__mpm_open(wr_module **module, const char *name, const char *dir,
                         apr_pool_t *pool)
{
    const char *full = apr_pstrcat(pool, "mpm_", name, NULL);
    const char *path = apr_pstrcat(pool, dir, "/mod_", full, ".so", NULL);
    const char *error;
    apr_finfo_t info;

    if (strchr(name, '/')
        || (!find_opened(full, NULL) && !find_static(full)
            && apr_stat(&info, path, APR_FINFO_TYPE, pool) != APR_SUCCESS)) {
        return apr_psprintf(pool, "there is no MPM \"%s\"; %s", name,
                            mpms_at_hand(dir, pool));
    }
    error = open_at_hand(module, full, dir, pool);
    if (!error && !(*module)->mpm) {
        return apr_psprintf(pool, "%s_module is not an MPM", full);
    }
    return error;
}
