/*
 * pipeline.c - a request's way through the phases, written once for all MPMs.
 *
 * Runs in the connection's owner's thread.  Where a hook has to wait, the
 * position (phase, hook) stays in the request, and the same hook is called
 * again when what it asked for has come.
 */
#include "request.h"

#include "wr_log.h"

#include "child.h"
#include "config_core.h"
#include "conn.h"
#include "hook.h"
#include "response.h"

#include <apr_strings.h>
#include <string.h>

/** The path cache has the answer of the phases that may be passed over. */
static void use_name(wr_request *r, wr__name *name)
{
    r->core->name = name;
    r->uri = name->uri;
    r->filename = name->filename;
    r->root = name->root;
    r->root_path = name->root_path;
    r->dir_config = name->dir_config;
    r->content_type = name->content_type;
    r->content_encoding = name->content_encoding;
    r->content_language = name->content_language;
    r->handler = name->handler;
    r->file = &name->file->file;
    wr_file_ref(r->file);
}

const wr_dir_config *wr_dir_config_for(const wr_request *r, const char *uri,
                                       const char *path)
{
    return wr__dir_config_for(r->server, uri, path, r->pool);
}

wr_result wr__request_configure(wr_request *r, const char *path)
{
    wr_dir_config *dir = wr__dir_config_for(r->server, r->uri, path, r->pool);

    if (!dir) {
        wr_log_request(r, WR_LOG_ERROR, 0,
                       "a regular expression of a section gave up");
        return 500;
    }
    r->dir_config = dir;
    return WR_OK;
}

/** Before the path is looked at: is it known? */
static int find_path(wr_request *r)
{
    const struct wr_child_core *core = r->conn->child->core;
    const char *path = r->core->path;
    const char *query;
    size_t len = r->core->path_len;
    wr__name *name;
    int status;

    if (!path) {
        return 0; /* "*", or the authority of a CONNECT */
    }
    query = memchr(path, '?', len);
    r->core->key_len = query ? (size_t)(query - path) : len;
    name = wr__cache_name(core->cache, r->server, path, r->core->key_len,
                          r->core->now_ns);
    if (name) {
        use_name(r, name);
        if (query) {
            r->args =
                apr_pstrmemdup(r->pool, query + 1, len - r->core->key_len - 1);
        }
        return 0;
    }
    status = wr__path_from_target(r, path, len);
    return status ? status : wr__request_configure(r, NULL);
}

static apr_status_t unref_name(void *name)
{
    wr__name_unref(name);
    return APR_SUCCESS;
}

/** Start again with another r->uri: what was found before does not hold. */
static wr_result restart(wr_request *r)
{
    wr__request_end_calls(r);
    if (r->core->name) {
        /* Not yet: what hooks have kept may point into it. */
        apr_pool_cleanup_register(r->pool, r->core->name, unref_name,
                                  apr_pool_cleanup_null);
        r->core->name = NULL;
    }
    if (!wr__phases[r->core->phase].is_cached) {
        r->core->is_cacheable = false; /* another request may not be sent on */
    }
    r->content_type = r->content_encoding = r->content_language = NULL;
    r->handler = NULL;
    wr_file_unref(r->file);
    r->file = NULL;
    r->filename = r->root_path = r->path_info = NULL;
    r->root = NULL;
    r->core->first_dir =
        r->core->first_dir ? r->core->first_dir : r->dir_config;
    r->core->phase = WR__TRANSLATE_NAME;
    r->core->hook = 0;
    return wr__request_configure(r, NULL);
}

/** The answer may be kept if all that made it depends on no more than the
 *  name, and access to what it names is asked where it would be asked. */
static void keep_name(wr_request *r)
{
    if (r->core->is_cacheable && !r->core->name && r->core->path
        && !r->path_info && r->file && r->file->is_regular
        && !r->dir_config->is_lent
        && (!r->core->first_dir || r->core->first_dir == r->dir_config)) {
        wr__cache_add_name(r->conn->child->core->cache, r, r->core->path,
                           r->core->key_len);
    }
}

/** One phase from its present hook on.  @return WR_OK when it is over. */
static wr_result run_phase(wr_request *r, const wr__phase *phase)
{
    wr_result result;

    for (; r->core->hook < phase->count; r->core->hook++) {
        const wr__hook *hook = &phase->hooks[r->core->hook];

        if (r->dir_config->inactive & hook->bit) {
            continue;
        }
        r->core->call_next = &r->core->calls;
        result = hook->run(r);
        if (result == WR_SUSPENDED) {
            return result;
        }
        if (r->core->calls) {
            wr__request_end_calls(r);
        }
        if (phase->is_cached && !hook->is_cacheable) {
            r->core->is_cacheable = false;
        }
        if (result == WR_DECLINED || (result == WR_OK && !phase->is_first)) {
            continue;
        }
        return result;
    }
    return WR_OK;
}

/** LimitRequestBody, as far as the length was said. */
static bool is_too_long(const wr_request *r)
{
    int64_t limit = wr__core_dir_of(r->dir_config)->limit_request_body;

    return limit && r->core->declared_length > limit;
}

/** ForceType and SetHandler hold whatever a name says. */
static void force_type(wr_request *r)
{
    const char *type = wr__core_dir_of(r->dir_config)->forced_type;
    const char *handler = wr__core_handler(r->dir_config);

    if (*type && r->file && !r->file->is_dir) {
        r->content_type = type;
    }
    if (handler) {
        r->handler = handler;
    }
}

/** An ErrorDocument of this server takes an error's place: once, so that one
 *  that fails itself can't go in circles. */
static bool document_error(wr_request *r, wr_result result)
{
    const wr__error_doc *doc;

    if (result < 400 || r->core->error_status) {
        return false;
    }
    doc = wr__core_error_doc(r->dir_config, result);
    if (!doc || doc->kind != WR__ERROR_DOC_PATH) {
        return false;
    }
    r->core->error_status = result;
    r->core->path = NULL; /* what is found now is not the target's */
    r->method = r->is_head ? WR_M_HEAD : WR_M_GET;
    r->handler = NULL;
    r->content_type = r->content_encoding = r->content_language = NULL;
    r->headers_out = NULL;
    if (r->core->out) {
        apr_brigade_cleanup(r->core->out);
    }
    return wr_request_redirect(r, doc->text) == WR_REDIRECTED
           && restart(r) == WR_OK;
}

/** What the client is told in the end. */
static wr_result final_result(wr_request *r, wr_result result)
{
    const wr__error_doc *doc;

    if (r->core->error_status) {
        if (result == WR_OK) {
            r->status = r->core->error_status;
            return WR_OK;
        }
        return result == WR_SUSPENDED ? result : r->core->error_status;
    }
    doc = result >= 400 ? wr__core_error_doc(r->dir_config, result) : NULL;
    if (doc && doc->kind == WR__ERROR_DOC_URL) {
        wr_request_set_err_header(r, "Location", doc->text);
        return 302;
    }
    return result;
}

/** The phases, from where the request stands. */
static wr_result run_phases(wr_request *r)
{
    wr_result result;

    for (;;) {
        const wr__phase *phase = &wr__phases[r->core->phase];

        if (!(phase->is_cached && r->core->name)) {
            result = run_phase(r, phase);
            if (result == WR_REDIRECTED) {
                result = restart(r);
                if (result == WR_OK) {
                    continue;
                }
            }
            if (result != WR_OK || r->core->phase == WR__HANDLER) {
                return result;
            }
        }
        if (r->core->phase == WR__POST_READ_REQUEST) {
            result = find_path(r);
            if (result != 0) {
                return result;
            }
        }
        if (r->core->phase == WR__MAP_TO_STORAGE && is_too_long(r)) {
            return 413;
        }
        if (r->core->phase == WR__TYPE_CHECKER && !r->core->name) {
            force_type(r);
        }
        if (r->core->phase == WR__FIXUPS) {
            wr__add_charset(r);
            keep_name(r);
        }
        r->core->phase++;
        r->core->hook = 0;
    }
}

wr_result wr__pipeline_run(wr_request *r, wr_thread *self)
{
    wr_result result;

    r->core->self = self;
    r->core->now_ns = self->now_ns;
    do {
        result = run_phases(r);
    } while (document_error(r, result));
    return final_result(r, result);
}
