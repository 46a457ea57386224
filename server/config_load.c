/*
 * config_load.c - wr__config_load(): a configuration from the command line and
 * its files to what can be served by.
 *
 * Runs in the generation before it forks, or in the process of the command
 * line; one thread.  Does not bind, open logs or run post_config: whoever is
 * about to serve does (generation_setup.c), -t does not.
 */
#include "config.h"

#include "wr_mpm.h"

#include "config_core.h"
#include "config_reader.h"
#include "config_server.h"
#include "config_walk.h"
#include "hook.h"
#include "module_load.h"

#include <apr_file_info.h>
#include <apr_strings.h>

#include <string.h>
#include <strings.h>

#define DEFAULT_MPM "hybrid"

/* A configuration that is being made. */
typedef struct loading {
    const wr__config_options *options;
    apr_pool_t *pool; /* the configuration's */
    apr_pool_t *temp_pool;
    wr__errors *errors;
    const char *server_root;
    const char *modules_dir;
    const char *file;
    const char *assumed_mpm;        /* for <IfModule mpm_...> and the like */
    bool asked_for_mpm;             /* there was one */
    bool module_missing;            /* a LoadModule failed */
    wr_module *mpm;                 /* chosen in the files, or NULL */
    const wr_directive *mpm_choice; /* by this directive */
    wr_directive *tree;
} loading;

/* while reading
 * ---------------------------------------------------------------- */

static const char *see_server_root(loading *l, wr__reader *reader,
                                   const char *path)
{
    apr_finfo_t info;

    if (path[0] != '/') {
        return apr_psprintf(l->pool, "\"%.200s\" is not an absolute path",
                            path);
    }
    if (apr_stat(&info, path, APR_FINFO_TYPE, l->temp_pool) != APR_SUCCESS
        || info.filetype != APR_DIR) {
        return apr_psprintf(l->pool, "%s is not a directory", path);
    }
    l->server_root = wr__path_below("/", path, l->pool);
    wr__reader_set_root(reader, l->server_root);
    return NULL;
}

/* One MPM runs.  Said twice is fine; said otherwise is not. */
static const char *choose_mpm(loading *l, wr_module *module,
                              const wr_directive *d)
{
    if (l->mpm && l->mpm != module) {
        return apr_psprintf(l->pool, "the MPM %s was chosen already by %s:%d",
                            l->mpm->mpm->name, l->mpm_choice->file,
                            l->mpm_choice->line);
    }
    if (!l->mpm) {
        l->mpm = module;
        l->mpm_choice = d;
    }
    return NULL;
}

/* Where a module's file is: as written below ServerRoot, or if that is not
 * there and was written without a folder or as modules/..., where Weir's own
 * lie. */
static const char *module_file(const loading *l, const char *written)
{
    const char *path = wr__path_below(l->server_root, written, l->temp_pool);
    const char *name = written;
    apr_finfo_t info;

    if (strncmp(name, "modules/", 8) == 0) {
        name += 8;
    }
    if (strchr(name, '/')
        || apr_stat(&info, path, APR_FINFO_TYPE, l->temp_pool) == APR_SUCCESS) {
        return path;
    }
    return apr_pstrcat(l->temp_pool, l->modules_dir, "/", name, NULL);
}

static const char *see_load_module(loading *l, const wr_directive *d)
{
    const char *path = module_file(l, d->argv[1]);
    wr_module *module;
    const char *error = wr__module_open(&module, d->argv[0], path, l->pool);

    if (!error) {
        error = module->mpm ? choose_mpm(l, module, d)
                            : wr__module_add(module, l->pool);
    }
    if (error) {
        l->module_missing = true;
    }
    return error;
}

static const char *see_mpm(loading *l, const wr_directive *d)
{
    wr_module *module;
    const char *error =
        wr__mpm_open(&module, d->argv[0], l->modules_dir, l->pool);

    return error ? error : choose_mpm(l, module, d);
}

/* Directives that decide how those after them are read.  Their form is
 * checked with all others', later. */
static const char *see_directive(void *baton, wr__reader *reader,
                                 const wr_directive *d)
{
    loading *l = baton;

    if (d->is_section) {
        return NULL;
    }
    if (strcasecmp(d->name, "ServerRoot") == 0 && d->argc == 1) {
        return see_server_root(l, reader, d->argv[0]);
    }
    if (strcasecmp(d->name, "LoadModule") == 0 && d->argc == 2) {
        return see_load_module(l, d);
    }
    if (strcasecmp(d->name, "MPM") == 0 && d->argc == 1) {
        return see_mpm(l, d);
    }
    return NULL;
}

static bool has_module(void *baton, const char *written)
{
    loading *l = baton;
    const char *name = wr__module_name(written, l->temp_pool);

    if (strncmp(name, "mpm_", 4) == 0) {
        l->asked_for_mpm = true;
        return strcmp(name + 4, l->assumed_mpm) == 0;
    }
    return wr_module_find(name) != NULL;
}

static bool has_directive(void *baton, const char *name)
{
    loading *l = baton;
    apr_array_header_t *modules = wr__modules_list(l->temp_pool);
    const wr_module *mpm = wr__module_at_hand(
        apr_pstrcat(l->temp_pool, "mpm_", l->assumed_mpm, NULL), l->modules_dir,
        l->temp_pool);

    for (int i = 0; i < modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(modules, i, const wr_module *);

        if (wr__command_find(m->commands, name)) {
            return true;
        }
    }
    l->asked_for_mpm = true;
    return mpm && mpm->mpm && wr__command_find(mpm->mpm->commands, name);
}

/* Lines of -C or -c. */
static void read_lines(wr__reader *reader, const char *name,
                       const apr_array_header_t *lines, apr_pool_t *pool)
{
    const char *text;

    if (lines && lines->nelts > 0) {
        text = apr_array_pstrcat(pool, lines, '\n');
        wr__reader_text(reader, name, text, strlen(text));
    }
}

static void read_all(loading *l)
{
    const wr__config_options *o = l->options;
    wr__reader_options options = {
        .pool = l->pool,
        .errors = l->errors,
        .server_root = l->server_root,
        .seen = see_directive,
        .has_module = has_module,
        .has_directive = has_directive,
        .baton = l,
    };
    wr__reader *reader = wr__reader_create(&options);

    for (int i = 0; o->defines && i < o->defines->nelts; i++) {
        wr__reader_define(reader, APR_ARRAY_IDX(o->defines, i, const char *));
    }
    read_lines(reader, "-C", o->before, l->pool);
    wr__reader_file(reader, l->file);
    read_lines(reader, "-c", o->after, l->pool);
    l->tree = wr__reader_tree(reader);
}

static void start_reading(loading *l)
{
    const char *root = l->options->server_root;

    wr__modules_reset();
    l->errors = wr__errors_create(l->pool);
    l->server_root =
        wr__path_below(NULL, root ? root : WR_SERVER_ROOT, l->pool);
    l->mpm = NULL;
    l->module_missing = false;
    read_all(l);
}

/* The MPM that is to run by name, as far as the files have said. */
static const char *chosen_mpm(const loading *l)
{
    if (l->options->mpm) {
        return l->options->mpm;
    }
    return l->mpm ? l->mpm->mpm->name : DEFAULT_MPM;
}

/*
 * Read.  An <IfModule mpm_...> may stand above what chooses the MPM, and the
 * default is known only at the end: if one was answered wrongly, read again
 * with what is known now.
 */
static void read_files(loading *l)
{
    l->assumed_mpm = l->options->mpm ? l->options->mpm : DEFAULT_MPM;
    start_reading(l);
    if (l->asked_for_mpm && strcmp(chosen_mpm(l), l->assumed_mpm) != 0) {
        l->assumed_mpm = chosen_mpm(l);
        start_reading(l);
        if (strcmp(chosen_mpm(l), l->assumed_mpm) != 0) {
            wr__errors_add(l->errors, l->file, 1,
                           "the choice of the MPM depends on itself, by "
                           "<IfModule mpm_%s>",
                           l->assumed_mpm);
        }
    }
}

/* after reading
 * ------------------------------------------------------------------ */

static void settle_mpm(loading *l, wr__config *config)
{
    const char *name = chosen_mpm(l), *error = NULL;
    wr_module *module = l->mpm;

    if (!module || strcmp(module->mpm->name, name) != 0) {
        error = wr__mpm_open(&module, name, l->modules_dir, l->pool);
    }
    if (error) {
        wr__errors_add(l->errors, l->options->mpm ? "-m" : l->file, 1, "%s",
                       error);
        l->module_missing = true;
        return;
    }
    wr__module_add(module, l->pool);
    config->mpm = module->mpm;
}

static wr__config *make_config(loading *l)
{
    wr__config *config = apr_pcalloc(l->pool, sizeof(*config));

    config->pool = l->pool;
    config->tree = l->tree;
    config->server_root = l->server_root;
    config->listens = apr_array_make(l->pool, 4, sizeof(wr__listen *));
    config->addresses = apr_array_make(l->pool, 4, sizeof(void *));
    wr__core_defaults(config);
    settle_mpm(l, config);
    config->modules = wr__modules_list(l->pool);
    return config;
}

/* Let the MPMs look at their configuration as a whole: all that were spoken
 * to, run or not. */
static void check_mpms(loading *l, wr__walk *walk)
{
    for (apr_hash_index_t *i = apr_hash_first(l->temp_pool, walk->mpms); i;
         i = apr_hash_next(i)) {
        const wr__mpm_use *use;
        const char *error = NULL;
        void *value;

        apr_hash_this(i, NULL, NULL, &value);
        use = value;
        if (use->mpm->config_check) {
            error = use->mpm->config_check(use->config, l->pool);
        }
        if (error) {
            wr__errors_add(l->errors, use->last ? use->last->file : l->file,
                           use->last ? use->last->line : 1, "MPM %s: %s",
                           use->mpm->name, error);
        }
    }
}

static void report_error(void *baton, const wr_directive *where,
                         const char *error)
{
    loading *l = baton;

    wr__errors_add(l->errors, where ? where->file : l->file,
                   where ? where->line : 1, "%s", error);
}

static void carry_out(loading *l, wr__config *config)
{
    wr__walk *walk;
    wr_command_call call;

    config->main_server = wr__server_create(config, l->file);
    walk = wr__walk_create(config, l->errors, l->modules_dir, l->temp_pool);
    walk->names_doubtful = l->module_missing;
    call = wr__walk_call(walk, config->main_server, WR_IN_GLOBAL);
    wr__walk_run(&call, config->tree);
    check_mpms(l, walk);
    wr__core_finish(config, l->errors, l->file);
    wr__servers_finish(config, l->errors);
    if (l->errors->texts->nelts == 0) {
        wr__hooks_run_check_config(l->pool, config->main_server, report_error,
                                   l);
    }
}

static apr_status_t load(loading *l, wr__config **config)
{
    wr__config *made;
    apr_status_t rv;

    read_files(l);
    made = make_config(l);
    wr__modules_register_hooks();
    wr__hooks_sort(made);
    rv = wr__hooks_run_pre_config(l->pool);
    if (rv != APR_SUCCESS) {
        char text[120];

        wr__errors_add(l->errors, l->file, 1,
                       "a module could not prepare itself: %s",
                       apr_strerror(rv, text, sizeof(text)));
    }
    else {
        carry_out(l, made);
    }
    if (l->errors->texts->nelts > 0) {
        wr__errors_print(l->errors, l->options->errors);
        return APR_EINVAL;
    }
    *config = made;
    return APR_SUCCESS;
}

apr_status_t wr__config_load(wr__config **config,
                             const wr__config_options *options,
                             apr_pool_t *pool)
{
    const char *root = options->server_root;
    loading l = {.options = options, .pool = pool};
    apr_status_t rv;

    l.modules_dir =
        options->modules_dir ? options->modules_dir : WR_MODULES_DIR;
    l.file =
        wr__path_below(wr__path_below(NULL, root ? root : WR_SERVER_ROOT, pool),
                       options->file, pool);
    apr_pool_create(&l.temp_pool, pool);
    rv = load(&l, config);
    apr_pool_destroy(l.temp_pool);
    return rv;
}

const wr_module *wr__config_blocks(const wr__config *config,
                                   const wr_module *after)
{
    for (int i = after ? after->index + 1 : 0; i < config->modules->nelts;
         i++) {
        const wr_module *module =
            APR_ARRAY_IDX(config->modules, i, const wr_module *);

        if (module->flags & WR_MODULE_BLOCKS) {
            return module;
        }
    }
    return NULL;
}
