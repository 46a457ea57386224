/*
 * generation_setup.c - all that is done before the first child is forked.
 *
 * In a generation, or in the one process of -X; one thread, with the privileges
 * of the start.  Forks nothing but the spawner.
 */
#include "generation_setup.h"

#include "generation_children.h"
#include "generation_spawner.h"
#include "helper_main.h"
#include "hook.h"
#include "http_conn.h"
#include "listen.h"
#include "log_program.h"
#include "log_ring.h"
#include "pid_file.h"
#include "user.h"

#include "wr_helper.h"
#include "wr_log.h"
#include "wr_mpm.h"

#include <apr_strings.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static apr_status_t refuse_beside_another(const wr__config *config,
                                          FILE *errors, apr_pool_t *pool)
{
    pid_t pid = wr__pid_file_running(config->pid_file, pool);
    if (pid == 0) {
        return APR_SUCCESS;
    }
    fprintf(errors, "weir (pid %ld) already running\n", (long)pid);
    return APR_EEXIST;
}

static apr_status_t refuse_to_serve_as_root(const wr__config *config,
                                            FILE *errors)
{
    if (geteuid() == 0 && config->uid == 0) {
        fprintf(errors,
                "User %s would serve with all privileges: choose"
                " another one\n",
                config->user);
        return APR_EACCES;
    }
    return APR_SUCCESS;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0
        && limit.rlim_cur != limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static apr_status_t bind_all(wr__setup *setup, const wr__setup_options *options,
                             apr_pool_t *pool)
{
    const char *error;
    apr_status_t rv = wr__listen_open(&setup->listeners, setup->config,
                                      options->inherited, &error, pool);
    if (rv != APR_SUCCESS) {
        fprintf(options->config->errors, "%s\n", error);
        return rv;
    }
    for (int i = 0; i < setup->listeners->nelts; i++) {
        wr_listener *l = APR_ARRAY_IDX(setup->listeners, i, wr_listener *);
        l->protocol = &wr__http_protocol;
        l->server = wr__server_default(setup->config, l);
    }
    return APR_SUCCESS;
}

/* A failed assertion or a sanitizer speaks to descriptor 2; and it must not be
 * the starter's any more. */
static apr_status_t redirect_stderr(wr__log_kind kind, const char *path)
{
    int fd = kind == WR__LOG_PROGRAM
                 ? fcntl(wr__log_error_fd(), F_DUPFD_CLOEXEC, 3)
                 : open(kind == WR__LOG_FILE ? path : "/dev/null",
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
        return errno;
    }
    close(fd);
    return APR_SUCCESS;
}

static apr_status_t open_error_log(const wr__config *config,
                                   const wr__setup_options *options,
                                   apr_pool_t *pool)
{
    const char *path = config->error_log;
    wr__log_kind kind = wr__log_kind_of_target(path);

    wr__log_programs_settings(config->server_root, -1);
    apr_status_t rv = wr__log_error_open(path, pool);
    if (rv == APR_SUCCESS && options->is_detached && kind != WR__LOG_STDERR) {
        rv = redirect_stderr(kind, path);
    }
    wr__log_error_borrow(-1); /* that was the generation's before */
    if (kind == WR__LOG_FILE || kind == WR__LOG_PROGRAM) {
        wr__log_programs_settings(config->server_root, wr__log_error_fd());
    }
    if (rv != APR_SUCCESS) {
        char text[128];
        fprintf(options->config->errors,
                "could not open the error log %s: %s\n", path,
                apr_strerror(rv, text, sizeof(text)));
    }
    return rv;
}

static apr_status_t run_post_config(const wr__config *config, FILE *errors,
                                    apr_pool_t *pool)
{
    apr_status_t rv = wr__hooks_run_post_config(pool, config->main_server);
    if (rv != APR_SUCCESS) {
        fprintf(errors, "a module could not start: see %s\n",
                config->error_log);
    }
    return rv;
}

/* Turns in the life of processes are always logged. */
static void set_log_level(const wr__config *config)
{
    int level = config->main_server->log_level;
    wr__log_error_level(level > WR_LOG_NOTICE ? (wr_log_level)level
                                              : WR_LOG_NOTICE);
}

/* Before modules are loaded and listeners bound; of -X when there is something
 * to start, so that it is one process if it can be. */
static apr_status_t start_spawner(const wr__setup_options *options)
{
    wr__spawner_helper(wr__helper_main);
    if (options->is_detached) {
        wr__spawner_quiet();
    }
    if (options->is_single) {
        return APR_SUCCESS;
    }
    apr_status_t rv = wr__spawner_start();
    if (rv != APR_SUCCESS) {
        fprintf(options->config->errors, "could not fork the spawner\n");
    }
    return rv;
}

static int count_writers(const wr__config *config)
{
    wr_mpm_scale scale;
    wr__children_scale(&scale, config);
    return wr__children_places(&scale, config) * scale.writers;
}

/* Helpers are the children's: they are the same user. */
static apr_status_t open_door(const wr__config *config,
                              const wr__setup_options *options)
{
    wr__spawn_helpers who;
    wr_mpm_scale scale;

    if (!(config->mpm->traits & WR_MPM_HELPERS)) {
        return APR_SUCCESS;
    }
    memset(&who, 0, sizeof(who)); /* all of it travels */
    wr__user_init(&who.user, config->user, config->uid, config->gid);
    wr__children_scale(&scale, config);
    who.max = wr__children_places(&scale, config) * WR_HELPERS_MAX;
    apr_cpystrn(who.mpm, config->mpm->name, sizeof(who.mpm));
    apr_status_t rv = wr__spawner_open_door(&who, options->is_single);
    if (rv != APR_SUCCESS) {
        fprintf(options->config->errors, "could not prepare for helpers\n");
    }
    return rv;
}

apr_status_t wr__setup_run(wr__setup *setup, const wr__setup_options *options,
                           apr_pool_t *pool)
{
    FILE *errors = options->config->errors;
    apr_status_t rv = start_spawner(options);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = wr__config_load(&setup->config, options->config, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = refuse_to_serve_as_root(setup->config, errors);
    if (rv == APR_SUCCESS && options->is_first) {
        rv = refuse_beside_another(setup->config, errors, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = bind_all(setup, options, pool);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    raise_descriptor_limit();
    rv = open_error_log(setup->config, options, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (geteuid() != 0 && setup->config->user != NULL) {
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "not started as root: User and Group have no effect");
    }
    rv = run_post_config(setup->config, errors, pool);
    if (rv == APR_SUCCESS && !options->is_single) {
        rv = wr__log_rings_create(pool, count_writers(setup->config));
    }
    set_log_level(setup->config);
    if (rv == APR_SUCCESS) {
        rv = open_door(setup->config, options);
    }
    return rv;
}
