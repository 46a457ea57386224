/*
 * hook.c - the hooks' registration and sorting, by APR-util's apr_hooks.
 *
 * The arrays are APR's and so are global; they are filled while modules are
 * loaded and read-only afterwards.
 */
#include "hook.h"

#include "wr_request.h"

#include <apr_strings.h>

APR_HOOK_STRUCT(
    APR_HOOK_LINK(pre_config) APR_HOOK_LINK(check_config)
        APR_HOOK_LINK(post_config) APR_HOOK_LINK(child_init)
            APR_HOOK_LINK(post_read_request) APR_HOOK_LINK(translate_name)
                APR_HOOK_LINK(map_to_storage) APR_HOOK_LINK(header_parser)
                    APR_HOOK_LINK(access_checker) APR_HOOK_LINK(check_user_id)
                        APR_HOOK_LINK(auth_checker) APR_HOOK_LINK(type_checker)
                            APR_HOOK_LINK(fixups) APR_HOOK_LINK(handler)
                                APR_HOOK_LINK(insert_headers)
                                    APR_HOOK_LINK(log_transaction))

APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, pre_config)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, check_config)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, post_config)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, child_init)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, post_read_request)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, translate_name)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, map_to_storage)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, header_parser)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, access_checker)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, check_user_id)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, auth_checker)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, type_checker)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, fixups)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, handler)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, insert_headers)
APR_IMPLEMENT_EXTERNAL_HOOK_BASE(wr, WR, log_transaction)

wr__phase wr__phases[WR__PHASES] = {
    [WR__POST_READ_REQUEST] = {.name = "post_read_request"},
    [WR__TRANSLATE_NAME] = {.name = "translate_name",
                            .is_first = true,
                            .is_cached = true},
    [WR__MAP_TO_STORAGE] = {.name = "map_to_storage",
                            .is_first = true,
                            .is_cached = true},
    [WR__HEADER_PARSER] = {.name = "header_parser"},
    [WR__ACCESS_CHECKER] = {.name = "access_checker"},
    [WR__CHECK_USER_ID] = {.name = "check_user_id", .is_first = true},
    [WR__AUTH_CHECKER] = {.name = "auth_checker", .is_first = true},
    [WR__TYPE_CHECKER] = {.name = "type_checker",
                          .is_first = true,
                          .is_cached = true},
    [WR__FIXUPS] = {.name = "fixups", .is_cached = true},
    [WR__HANDLER] = {.name = "handler", .is_first = true},
    [WR__INSERT_HEADERS] = {.name = "insert_headers"},
};

/** Every request hook's entry begins alike: a function and a name. */
typedef wr_LINK_handler_t link_entry;

static void lay_out(wr__phase *phase, const apr_array_header_t *links,
                    wr_result (*core)(wr_request *), apr_pool_t *pool)
{
    int links_count = links ? links->nelts : 0;
    const link_entry *entries = links ? (const void *)links->elts : NULL;

    phase->count = links_count + (core != NULL);
    phase->hooks = apr_pcalloc(pool, (apr_size_t)(phase->count + 1)
                                         * sizeof(*phase->hooks));
    for (int i = 0; i < links_count; i++) {
        wr__hook *hook = &phase->hooks[i];
        const wr_module *module = wr_module_find(entries[i].szName);

        hook->run = entries[i].pFunc;
        if (module) {
            hook->bit = module->index < 64 ? UINT64_C(1) << module->index : 0;
            hook->is_cacheable = module->flags & WR_MODULE_CACHEABLE;
        }
    }
    if (core) {
        phase->hooks[links_count].run = core;
        phase->hooks[links_count].is_cacheable = true;
    }
}

void wr__hooks_sort(wr__config *config)
{
    apr_pool_t *pool = config->pool;

    /* The arrays register themselves for the sort at their first use. */
    apr_hook_sort_all();
#define LAY_OUT(ID, NAME, CORE) \
    lay_out(&wr__phases[ID], wr_hook_get_##NAME(), CORE, pool)
    LAY_OUT(WR__POST_READ_REQUEST, post_read_request, NULL);
    LAY_OUT(WR__TRANSLATE_NAME, translate_name, wr__core_translate_name);
    LAY_OUT(WR__MAP_TO_STORAGE, map_to_storage, wr__core_map_to_storage);
    LAY_OUT(WR__HEADER_PARSER, header_parser, NULL);
    LAY_OUT(WR__ACCESS_CHECKER, access_checker, NULL);
    LAY_OUT(WR__CHECK_USER_ID, check_user_id, NULL);
    LAY_OUT(WR__AUTH_CHECKER, auth_checker, NULL);
    LAY_OUT(WR__TYPE_CHECKER, type_checker, NULL);
    LAY_OUT(WR__FIXUPS, fixups, NULL);
    LAY_OUT(WR__HANDLER, handler, wr__static_handler);
    LAY_OUT(WR__INSERT_HEADERS, insert_headers, NULL);
#undef LAY_OUT
}

/** The entries of a hook's array. */
#define FOR_EACH_HOOK(NAME, VAR)                                              \
    for (int i_ = 0;                                                          \
         wr_hook_get_##NAME() && i_ < wr_hook_get_##NAME()->nelts             \
         && ((VAR) = &((wr_LINK_##NAME##_t *)wr_hook_get_##NAME()->elts)[i_], \
            true);                                                            \
         i_++)

apr_status_t wr__hooks_run_pre_config(apr_pool_t *pool)
{
    const wr_LINK_pre_config_t *link;
    apr_status_t status;

    FOR_EACH_HOOK(pre_config, link)
    {
        status = link->pFunc(pool);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    return APR_SUCCESS;
}

void wr__hooks_run_check_config(apr_pool_t *pool, wr_server *main_server,
                                wr__config_error_fn *report, void *baton)
{
    const wr_LINK_check_config_t *link;

    FOR_EACH_HOOK(check_config, link)
    {
        const wr_directive *where = NULL;
        const char *error = link->pFunc(pool, main_server, &where);

        if (error) {
            report(baton, where, error);
        }
    }
}

apr_status_t wr__hooks_run_post_config(apr_pool_t *pool, wr_server *main_server)
{
    const wr_LINK_post_config_t *link;
    apr_status_t status;

    FOR_EACH_HOOK(post_config, link)
    {
        status = link->pFunc(pool, main_server);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    return APR_SUCCESS;
}

void wr__hooks_run_child_init(wr_child *child)
{
    const wr_LINK_child_init_t *link;

    FOR_EACH_HOOK(child_init, link)
    {
        link->pFunc(child);
    }
}

bool wr__hooks_have_insert_headers(const wr_request *r)
{
    const wr__phase *phase = &wr__phases[WR__INSERT_HEADERS];

    for (int i = 0; i < phase->count; i++) {
        if (!(r->dir_config->inactive & phase->hooks[i].bit)) {
            return true;
        }
    }
    return false;
}

void wr__hooks_run_insert_headers(wr_request *r)
{
    const wr__phase *phase = &wr__phases[WR__INSERT_HEADERS];

    for (int i = 0; i < phase->count; i++) {
        if (!(r->dir_config->inactive & phase->hooks[i].bit)) {
            phase->hooks[i].run(r);
        }
    }
}

void wr__hooks_run_log(wr_request *r, wr_thread *self)
{
    const wr_LINK_log_transaction_t *link;

    FOR_EACH_HOOK(log_transaction, link)
    {
        link->pFunc(r, self);
    }
}
