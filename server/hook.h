/*
 * hook.h - the hooks, sorted, as the pipeline runs them.
 *
 * Sorted once in the generation, read-only afterwards.
 */
#ifndef WR__HOOK_H
#define WR__HOOK_H

#include "wr_hook.h"
#include "wr_module.h"

#include "config.h"

/** The request's phases, in order. */
typedef enum wr__phase_id {
    WR__POST_READ_REQUEST,
    WR__TRANSLATE_NAME,
    WR__MAP_TO_STORAGE,
    WR__HEADER_PARSER,
    WR__ACCESS_CHECKER,
    WR__CHECK_USER_ID,
    WR__AUTH_CHECKER,
    WR__TYPE_CHECKER,
    WR__FIXUPS,
    WR__HANDLER,
    WR__INSERT_HEADERS, /**< run by the response, not by the pipeline */
    WR__PHASES
} wr__phase_id;

typedef struct wr__hook {
    wr_result (*run)(wr_request *r);
    uint64_t bit;      /**< of its module in wr_dir_config.inactive */
    bool is_cacheable; /**< WR_MODULE_CACHEABLE */
} wr__hook;

typedef struct wr__phase {
    const char *name;
    bool is_first;  /**< until one returns other than DECLINED */
    bool is_cached; /**< passed over when the path cache has the answer */
    int count;
    wr__hook *hooks;
} wr__phase;

extern wr__phase wr__phases[WR__PHASES];

/** Sort all hooks and lay the request's out flat.  After the last module was
 *  loaded, before any hook is run. */
void wr__hooks_sort(wr__config *config);

apr_status_t wr__hooks_run_pre_config(apr_pool_t *pool);
typedef void wr__config_error_fn(void *baton, const wr_directive *where,
                                 const char *error);
void wr__hooks_run_check_config(apr_pool_t *pool, wr_server *main_server,
                                wr__config_error_fn *report, void *baton);
apr_status_t wr__hooks_run_post_config(apr_pool_t *pool,
                                       wr_server *main_server);
void wr__hooks_run_child_init(wr_child *child);
/** Would wr__hooks_run_insert_headers() call any? */
bool wr__hooks_have_insert_headers(const wr_request *r);
void wr__hooks_run_insert_headers(wr_request *r);
void wr__hooks_run_log(wr_request *r, wr_thread *self);

/** The core's own, each the last of its phase. */
wr_result wr__core_translate_name(wr_request *r);
wr_result wr__core_map_to_storage(wr_request *r);
wr_result wr__static_handler(wr_request *r);

#endif
