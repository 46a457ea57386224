/*
 * config_walk.c - carrying a tree of directives out: every one is looked up,
 * checked for place and number of arguments, and given to its function.
 *
 * Runs where a configuration is read, in one thread.  Which directives the
 * core has and what they do stands in config_core.c.
 */
#include "config_walk.h"

#include "module_load.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include <string.h>
#include <strings.h>

/* A directive of the core or of a module that takes part. */
typedef struct known_command {
    const wr_command *command;
    const wr_module *module;
} known_command;

/* tables ------------------------------------------------------------------ */

static const char *lower(const char *name, apr_pool_t *pool)
{
    char *text = apr_pstrdup(pool, name);

    for (char *c = text; *c; c++) {
        *c = (char)apr_tolower(*c);
    }
    return text;
}

const wr_command *wr__command_find(const wr_command *table, const char *name)
{
    for (; table && table->name; table++) {
        if (strcasecmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

/* A section may share its name with a directive: MPM does. */
static const char *command_key(const char *name, bool is_section,
                               apr_pool_t *pool)
{
    const char *text = lower(name, pool);

    return is_section ? apr_pstrcat(pool, "<", text, NULL) : text;
}

/* A section of that name if it is one, else a directive; else the other. */
static const known_command *find_known(const wr__walk *walk,
                                       const wr_directive *d)
{
    const known_command *known;

    known = apr_hash_get(walk->commands,
                         command_key(d->name, d->is_section, walk->temp_pool),
                         APR_HASH_KEY_STRING);
    if (known) {
        return known;
    }
    return apr_hash_get(walk->commands,
                        command_key(d->name, !d->is_section, walk->temp_pool),
                        APR_HASH_KEY_STRING);
}

static void add_commands(wr__walk *walk, const wr_module *module)
{
    for (const wr_command *c = module->commands; c && c->name; c++) {
        const char *key = command_key(c->name, c->is_section, walk->temp_pool);
        known_command *known;

        if (apr_hash_get(walk->commands, key, APR_HASH_KEY_STRING)) {
            continue; /* whoever was loaded first has the name */
        }
        known = apr_palloc(walk->temp_pool, sizeof(*known));
        known->command = c;
        known->module = module;
        apr_hash_set(walk->commands, key, APR_HASH_KEY_STRING, known);
    }
}

wr__walk *wr__walk_create(wr__config *config, wr__errors *errors,
                          const char *modules_dir, apr_pool_t *temp_pool)
{
    wr__walk *walk = apr_pcalloc(temp_pool, sizeof(*walk));

    walk->config = config;
    walk->errors = errors;
    walk->modules_dir = modules_dir;
    walk->temp_pool = temp_pool;
    walk->commands = apr_hash_make(temp_pool);
    walk->mpms = apr_hash_make(temp_pool);
    for (int i = 0; i < config->modules->nelts; i++) {
        add_commands(walk, APR_ARRAY_IDX(config->modules, i, wr_module *));
    }
    if (config->mpm) {
        config->mpm_config = wr__walk_mpm(walk, config->mpm)->config;
    }
    return walk;
}

wr__mpm_use *wr__walk_mpm(wr__walk *walk, const wr_mpm *mpm)
{
    wr__mpm_use *use = apr_hash_get(walk->mpms, mpm->name, APR_HASH_KEY_STRING);

    if (!use) {
        use = apr_pcalloc(walk->temp_pool, sizeof(*use));
        use->mpm = mpm;
        if (mpm->config_create) {
            use->config = mpm->config_create(walk->config->pool);
        }
        apr_hash_set(walk->mpms, mpm->name, APR_HASH_KEY_STRING, use);
    }
    return use;
}

/* words ------------------------------------------------------------------- */

const char *wr__context_text(unsigned context, apr_pool_t *pool)
{
    static const struct {
        unsigned bit;
        const char *text;
    } places[] = {{WR_IN_GLOBAL, "outside all sections"},
                  {WR_IN_SERVER, "in <VirtualHost>"},
                  {WR_IN_DIRECTORY, "in <Directory>, <Files>, <Location>"},
                  {WR_IN_DIRECTORY_ONLY, "in <Directory>"},
                  {WR_IN_MPM, "in <MPM>"}};
    const char *text = "";
    unsigned left = context;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (left & places[i].bit) {
            left &= ~places[i].bit;
            text = apr_pstrcat(pool, text, *text ? (left ? ", " : " or ") : "",
                               places[i].text, NULL);
        }
    }
    return text;
}

unsigned wr__command_context(const wr_command *command)
{
    return command->context & WR_IN_MPM ? command->context | WR_IN_GLOBAL
                                        : command->context;
}

static const char *count_text(const wr_command *c, apr_pool_t *pool)
{
    if (c->max_args == 0) {
        return "no arguments";
    }
    if (c->min_args == c->max_args) {
        return apr_psprintf(pool, "%d argument%s", c->min_args,
                            c->min_args == 1 ? "" : "s");
    }
    if (c->max_args == WR_ARGS_ANY) {
        return apr_psprintf(pool, "at least %d argument%s", c->min_args,
                            c->min_args == 1 ? "" : "s");
    }
    return apr_psprintf(pool, "%d to %d arguments", c->min_args, c->max_args);
}

const char *wr__walk_check_args(const wr_command *c, const wr_directive *d,
                                apr_pool_t *pool)
{
    if (d->argc >= c->min_args
        && (d->argc <= c->max_args || c->max_args == WR_ARGS_ANY)) {
        return NULL;
    }
    return apr_psprintf(pool, "takes %s, not %d; write %s%s%s%s%s",
                        count_text(c, pool), d->argc, c->is_section ? "<" : "",
                        c->name, c->args && *c->args ? " " : "",
                        c->args ? c->args : "", c->is_section ? ">" : "");
}

/* unknown names -------------------------------------------------------------
 */

#define NAME_MAX_COMPARED 40

static int smallest(int a, int b, int c)
{
    int ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to change, add, drop or swap with their neighbour until a is b. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][NAME_MAX_COMPARED + 1];
    int a_len = (int)strlen(a), b_len = (int)strlen(b);

    if (a_len > NAME_MAX_COMPARED || b_len > NAME_MAX_COMPARED) {
        return NAME_MAX_COMPARED;
    }
    for (int j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= a_len; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3];
        const int *two_before = rows[(i + 1) % 3];

        now[0] = i;
        for (int j = 1; j <= b_len; j++) {
            int change = apr_tolower(a[i - 1]) != apr_tolower(b[j - 1]);

            now[j] =
                smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + change);
            if (i > 1 && j > 1 && apr_tolower(a[i - 1]) == apr_tolower(b[j - 2])
                && apr_tolower(a[i - 2]) == apr_tolower(b[j - 1])
                && two_before[j - 2] + 1 < now[j]) {
                now[j] = two_before[j - 2] + 1;
            }
        }
    }
    return rows[a_len % 3][b_len];
}

/* The name nearest to the one that was written. */
typedef struct nearest {
    const char *written;
    const char *name;
    int distance;
} nearest;

static void consider(nearest *best, const wr_command *table)
{
    for (; table && table->name; table++) {
        int distance = edit_distance(best->written, table->name);

        if (distance < best->distance) {
            best->distance = distance;
            best->name = table->name;
        }
    }
}

static const char *did_you_mean(const nearest *best, apr_pool_t *pool)
{
    return best->name ? apr_psprintf(pool, "; did you mean %s?", best->name)
                      : "";
}

/* "; did you mean X?", or "".  Of modules that are not loaded too: then what
 * is missing is said next. */
static const char *suggestion(const wr__walk *walk, const char *written)
{
    nearest best = {.written = written};
    apr_array_header_t *names;

    best.distance = (int)strlen(written) / 3 + 1;
    if (walk->mpm) {
        consider(&best, walk->mpm->mpm->commands);
        return did_you_mean(&best, walk->temp_pool);
    }
    for (int i = 0; i < walk->config->modules->nelts; i++) {
        const wr_module *m =
            APR_ARRAY_IDX(walk->config->modules, i, const wr_module *);

        consider(&best, m->mpm ? m->mpm->commands : m->commands);
    }
    names = wr__modules_at_hand(walk->modules_dir, "", walk->temp_pool);
    for (int i = 0; i < names->nelts; i++) {
        const wr_module *m =
            wr__module_at_hand(APR_ARRAY_IDX(names, i, const char *),
                               walk->modules_dir, walk->temp_pool);

        if (m) {
            consider(&best, m->mpm ? m->mpm->commands : m->commands);
        }
    }
    return did_you_mean(&best, walk->temp_pool);
}

/* Does a module that is not loaded have it?  Its name, or NULL. */
static const char *module_at_hand_with(const wr__walk *walk, const char *name)
{
    apr_array_header_t *names =
        wr__modules_at_hand(walk->modules_dir, "", walk->temp_pool);

    for (int i = 0; i < names->nelts; i++) {
        const char *module_name = APR_ARRAY_IDX(names, i, const char *);
        const wr_module *m =
            wr__module_at_hand(module_name, walk->modules_dir, walk->temp_pool);

        if (m && wr__command_find(m->commands, name)) {
            return module_name;
        }
    }
    return NULL;
}

/* The MPMs that have a directive, "mt, hybrid", and one of them. */
static const char *mpms_with(const wr__walk *walk, const char *name,
                             const char **first)
{
    apr_array_header_t *names =
        wr__modules_at_hand(walk->modules_dir, "mpm_", walk->temp_pool);
    const char *list = NULL;

    for (int i = 0; i < names->nelts; i++) {
        const wr_module *m =
            wr__module_at_hand(APR_ARRAY_IDX(names, i, const char *),
                               walk->modules_dir, walk->temp_pool);

        if (!m || !m->mpm || !wr__command_find(m->mpm->commands, name)) {
            continue;
        }
        if (list) {
            list = apr_pstrcat(walk->temp_pool, list, ", ", m->mpm->name, NULL);
        }
        else {
            list = *first = m->mpm->name;
        }
    }
    return list;
}

static void unknown_name(const wr__walk *walk, const wr_directive *d)
{
    const char *hint = wr__absent_hint(d->name);
    const char *first = NULL, *mpms, *module;

    if (walk->mpm) {
        wr__errors_add(walk->errors, d->file, d->line,
                       "MPM %s has no directive %.100s%s", walk->mpm->mpm->name,
                       d->name, suggestion(walk, d->name));
        return;
    }
    mpms = mpms_with(walk, d->name, &first);
    if (mpms && walk->config->mpm) {
        wr__errors_add(walk->errors, d->file, d->line,
                       "%s belongs to MPM %s; this server runs %s; put it "
                       "into <MPM %s>",
                       d->name, mpms, walk->config->mpm->name, first);
        return;
    }
    module = mpms ? NULL : module_at_hand_with(walk, d->name);
    if (module) {
        wr__errors_add(walk->errors, d->file, d->line,
                       "%s belongs to a module that is not loaded: "
                       "LoadModule %s_module modules/mod_%s.so",
                       d->name, module, module);
    }
    else if (hint) {
        wr__errors_add(walk->errors, d->file, d->line,
                       "%s is httpd's, and is not supported: %s", d->name,
                       hint);
    }
    else if (!walk->names_doubtful) {
        wr__errors_add(walk->errors, d->file, d->line, "unknown %s %.100s%s",
                       d->is_section ? "section" : "directive", d->name,
                       suggestion(walk, d->name));
    }
}

/* carrying out --------------------------------------------------------------
 */

/* A section's configuration of a module comes into being with the module's
 * first directive there: without one, what is around the section holds. */
static void *lazily(void **config, void *(*create)(apr_pool_t *pool),
                    apr_pool_t *pool)
{
    if (!*config && create) {
        *config = create(pool);
    }
    return *config;
}

/* What a command's function works on. */
static void *config_for(const known_command *known, const wr_command_call *call)
{
    const wr_module *m = known->module;

    if (known->command->context & WR_IN_DIRECTORY) {
        return lazily(&wr_dir_config_of(call->dir, m), m->create_dir_config,
                      call->pool);
    }
    if (m != &wr__core_module) {
        return lazily(&wr_server_config(call->server, m),
                      m->create_server_config, call->pool);
    }
    return known->command->context & WR_IN_SERVER ? (void *)call->server
                                                  : (void *)call->walk->config;
}

static const char *misplaced(const wr_command *c, const wr_command_call *call)
{
    const char *here = call->section
                           ? apr_psprintf(call->temp_pool, "in <%s>",
                                          call->section->directive->name)
                           : wr__context_text(call->context, call->temp_pool);

    return apr_psprintf(
        call->temp_pool, "can't stand %s, only %s", here,
        wr__context_text(wr__command_context(c), call->temp_pool));
}

static const char *check_form(const wr_command *c, const wr_command_call *call)
{
    const wr_directive *d = call->directive;
    unsigned here = call->context;

    if (call->section && call->section->kind == WR_SECTION_DIRECTORY) {
        here |= WR_IN_DIRECTORY_ONLY;
    }
    if (c->is_section != d->is_section) {
        return c->is_section
                   ? apr_psprintf(call->temp_pool, "is a section: <%s %s>",
                                  c->name, c->args ? c->args : "")
                   : "is not a section";
    }
    if (!(c->context & here)) {
        return misplaced(c, call);
    }
    return wr__walk_check_args(c, d, call->temp_pool);
}

static void run_command(wr_command_call *call, const wr_command *c,
                        void *config)
{
    const wr_directive *d = call->directive;
    const char *name = c->is_section
                           ? apr_psprintf(call->temp_pool, "<%s>", c->name)
                           : c->name;
    const char *error;

    call->command = c;
    error = check_form(c, call);
    if (error) {
        wr__errors_add(call->walk->errors, d->file, d->line, "%s %s", name,
                       error);
        return;
    }
    error = c->run(call, config, d->argc, d->argv);
    if (error) {
        bool names_itself = strncasecmp(error, c->name, strlen(c->name)) == 0;

        wr__errors_add(call->walk->errors, d->file, d->line, "%s%s%s",
                       names_itself ? "" : name, names_itself ? "" : ": ",
                       error);
    }
}

/* An MPM's directive: those of the table may stand in <MPM> and bare. */
static void run_mpm_command(wr_command_call *call, wr__mpm_use *use,
                            const wr_command *c)
{
    if (call->context == WR_IN_GLOBAL) {
        call->context = WR_IN_MPM;
    }
    use->last = call->directive;
    run_command(call, c, use->config);
}

static void run_directive(wr_command_call *call)
{
    const wr_directive *d = call->directive;
    wr__walk *walk = call->walk;
    const known_command *known = find_known(walk, d);
    wr__mpm_use *use = walk->mpm;
    const wr_command *c;

    if (!use && walk->config->mpm) {
        use = wr__walk_mpm(walk, walk->config->mpm);
    }
    c = use && (walk->mpm || !known)
            ? wr__command_find(use->mpm->commands, d->name)
            : NULL;
    if (c) {
        run_mpm_command(call, use, c);
    }
    else if (known) {
        run_command(call, known->command, config_for(known, call));
    }
    else {
        unknown_name(walk, d);
    }
}

void wr__walk_run(const wr_command_call *where, const wr_directive *first)
{
    for (const wr_directive *d = first; d; d = d->next) {
        wr_command_call call = *where;

        if (wr__errors_full(where->walk->errors)) {
            return;
        }
        call.directive = d;
        run_directive(&call);
    }
}

void wr_run_children(const wr_command_call *call)
{
    wr__walk_run(call, call->directive->first_child);
}

wr_command_call wr__walk_call(wr__walk *walk, wr_server *server,
                              unsigned context)
{
    wr_command_call call = {
        .server = server,
        .dir = server->dir_config,
        .context = context,
        .pool = walk->config->pool,
        .temp_pool = walk->temp_pool,
        .walk = walk,
    };

    return call;
}
