/*
 * config_dump.c - what -S, -L, -M and -l print about a configuration.
 *
 * Runs in the process of the command line.  Changes nothing.
 */
#include "wr_file.h"
#include "wr_mpm.h"

#include "child.h"
#include "config.h"
#include "config_walk.h"
#include "module_load.h"
#include "static_modules.h"

#include <string.h>

static const char *residency_text(const wr_root *root)
{
    switch (root->residency) {
    case WR_RESIDENT_NOWAIT:
        return "asks the kernel whether a read would block";
    case WR_RESIDENT_ALWAYS:
        return "in memory, reads never block";
    case WR_RESIDENT_NEVER:
        break;
    }
    return "reads may block, always";
}

static void dump_listens(const wr__config *config, FILE *out)
{
    for (int i = 0; i < config->listens->nelts; i++) {
        const wr__listen *l =
            APR_ARRAY_IDX(config->listens, i, const wr__listen *);
        bool is_ipv6 = l->address && strchr(l->address, ':');

        fprintf(out, "Listen: %s%s%s:%d (%s:%d)\n", is_ipv6 ? "[" : "",
                l->address ? l->address : "*", is_ipv6 ? "]" : "", l->port,
                l->file, l->line);
    }
}

static void dump_sections(const apr_array_header_t *sections,
                          const char *indent, FILE *out)
{
    for (int i = 0; sections && i < sections->nelts; i++) {
        const wr_section *s = APR_ARRAY_IDX(sections, i, const wr_section *);

        fprintf(out, "%s<%s %s%s> (%s:%d)\n", indent, s->directive->name,
                s->regex && s->directive->argc == 2 ? "~ " : "", s->path,
                s->directive->file, s->directive->line);
        dump_sections(s->files, "        ", out);
    }
}

static void dump_server(const wr_server *s, FILE *out)
{
    for (int i = 0; i < s->addresses->nelts; i++) {
        fprintf(out, "%s ", APR_ARRAY_IDX(s->addresses, i, const char *));
    }
    fprintf(out, "%s (%s:%d)\n", s->name ? s->name : "(no ServerName)", s->file,
            s->line);
    for (int i = 0; i < s->aliases->nelts; i++) {
        fprintf(out, "    alias %s\n",
                APR_ARRAY_IDX(s->aliases, i, const char *));
    }
    if (s->root) {
        fprintf(out, "    DocumentRoot: \"%s\" (%s)\n",
                *s->document_root ? s->document_root : "/",
                residency_text(s->root));
    }
    dump_sections(s->sections, "    ", out);
}

static void dump_mpm(const wr__config *config, FILE *out)
{
    const wr_mpm *mpm = config->mpm;
    apr_pool_t *pool;

    fprintf(out, "MPM: %s (%s)\n", mpm->name, mpm->summary);
    if (mpm->describe) {
        apr_pool_create(&pool, config->pool);
        fputs(mpm->describe(config->mpm_config, pool), out);
        apr_pool_destroy(pool);
    }
}

/** How many processes, and how many connections each may have.  How many there
 *  are of those with one connection each, the MPM has said itself. */
static void dump_sizes(const wr__config *config, FILE *out)
{
    if (config->mpm->traits & WR_MPM_PROCESS) {
        fputs("Connections: one in a process\n", out);
    }
    else {
        fprintf(out, "Processes: %d\n", config->processes);
        fprintf(out, "Connections: %d in a process, at most\n",
                wr__child_max_connections(config));
    }
}

static void dump_blocking(const wr__config *config, FILE *out)
{
    const wr_module *module = NULL;

    if (wr__config_blocks(config, NULL)) {
        fputs("Code that blocks:", out);
        while ((module = wr__config_blocks(config, module))) {
            fprintf(out, " %s", module->name);
        }
        fputc('\n', out);
    }
    else {
        fputs("Code that blocks: in no module\n", out);
    }
}

void wr__config_dump(const wr__config *config, FILE *out)
{
    dump_mpm(config, out);
    dump_sizes(config, out);
    dump_blocking(config, out);
    fprintf(out, "ServerRoot: \"%s\"\n", config->server_root);
    fprintf(out, "ErrorLog: \"%s\"\n", config->error_log);
    fprintf(out, "PidFile: \"%s\"\n", config->pid_file);
    fprintf(out, "User: name=\"%s\" id=%lu\n", config->user ? config->user : "",
            (unsigned long)config->uid);
    fprintf(out, "Group: name=\"%s\" id=%lu\n",
            config->group ? config->group : "", (unsigned long)config->gid);
    dump_listens(config, out);
    fputs("Main server: ", out);
    dump_server(config->main_server, out);
    if (config->main_server->next) {
        fputs("Virtual hosts:\n", out);
    }
    for (const wr_server *s = config->main_server->next; s; s = s->next) {
        dump_server(s, out);
    }
}

static void list_commands(const char *module, const wr_command *c, FILE *out,
                          apr_pool_t *pool)
{
    for (; c && c->name; c++) {
        fprintf(out, "%s%s%s%s%s (%s)\n", c->is_section ? "<" : "", c->name,
                c->args && *c->args ? " " : "", c->args ? c->args : "",
                c->is_section ? ">" : "", module);
        fprintf(out, "    %s\n", c->help ? c->help : "");
        fprintf(out, "    Allowed %s.\n",
                wr__context_text(wr__command_context(c), pool));
        if (c->preset) {
            fprintf(out, "    Default: %s\n", c->preset);
        }
    }
}

void wr__config_list_directives(const wr__config *config, FILE *out)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, config->pool);
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        list_commands(m->name, m->mpm ? m->mpm->commands : m->commands, out,
                      pool);
    }
    apr_pool_destroy(pool);
}

void wr__config_list_modules(const wr__config *config, FILE *out)
{
    fputs("Loaded modules:\n", out);
    for (int i = 0; i < config->modules->nelts; i++) {
        const wr_module *m = APR_ARRAY_IDX(config->modules, i, wr_module *);

        fprintf(out, " %s_module (%s)\n", m->name,
                wr__module_path(m) ? "shared" : "static");
    }
}

void wr__config_list_static(FILE *out)
{
    fputs("Compiled in modules:\n  core\n", out);
    for (wr_module *const *m = wr__static_modules; *m; m++) {
        fprintf(out, "  %s\n", (*m)->name);
    }
}

void wr__config_list_mpms(FILE *out)
{
    apr_array_header_t *names;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    names = wr__modules_at_hand(WR_MODULES_DIR, "mpm_", pool);
    for (int i = 0; i < names->nelts; i++) {
        const wr_module *m = wr__module_at_hand(
            APR_ARRAY_IDX(names, i, const char *), WR_MODULES_DIR, pool);

        if (m && m->mpm) {
            fprintf(out, "%-10s  %s\n", m->mpm->name, m->mpm->summary);
        }
    }
    apr_pool_destroy(pool);
}
