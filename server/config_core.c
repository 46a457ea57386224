/*
 * config_core.c - the core's directives: their table and their functions.
 *
 * Runs where a configuration is read, in one thread.  Names and addresses are
 * in config_names.c, User and Group in config_user.c, directives for
 * directories in config_dir.c, <VirtualHost> and <Directory> in
 * config_server.c; what the reader carries out while it reads (Include,
 * <IfModule>, LoadModule, ...) stands here only to be checked and listed.
 */
#include "config_core.h"

#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"

#include "config_server.h"
#include "log_syslog.h"

#include <apr_strings.h>

#include <limits.h>
#include <string.h>
#include <strings.h>

#define DAY (86400 * WR_SEC)

/* servers ------------------------------------------------------------------ */

/* wr_set_* for a field of wr_server, which remembers what was given. */
#define SERVER_FIELD(NAME, SET)                                            \
    static const char *NAME(wr_command_call *call, void *config, int argc, \
                            const char *const *argv)                       \
    {                                                                      \
        wr__server_mark(call->server, call->command->offset);              \
        return SET(call, config, argc, argv);                              \
    }
SERVER_FIELD(set_server_time, wr_set_time)
SERVER_FIELD(set_server_flag, wr_set_flag)
SERVER_FIELD(set_server_int, wr_set_int)
SERVER_FIELD(set_server_string, wr_set_string)

static const char *set_document_root(wr_command_call *call, void *config,
                                     int argc, const char *const *argv)
{
    wr_server *server = config;
    const char *path = wr_server_root_relative(call, argv[0]);
    apr_status_t status;
    wr_root *root = wr__root_open(path, call->pool, &status);
    char text[120];

    (void)argc;
    if (!root) {
        return apr_psprintf(call->pool, "could not open %s: %s", path,
                            apr_strerror(status, text, sizeof(text)));
    }
    server->root = root;
    server->document_root = root->path;
    wr__server_mark(server, offsetof(wr_server, root));
    wr__server_mark(server, offsetof(wr_server, document_root));
    return NULL;
}

/* Where an error log goes: a file, "stderr", a program, or syslog. */
static const char *set_error_log(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    wr_server *server = config;
    wr__config *whole = call->walk->config;
    const char *target = argv[0];
    const char *error = NULL;
    wr__syslog syslog;

    (void)argc;
    if (wr__syslog_is(target)) {
        error = wr__syslog_parse(&syslog, target, call->temp_pool);
    }
    else if (strcmp(target, "stderr") != 0) {
        error = wr_log_target(call, target, &target);
    }
    if (error) {
        return error;
    }
    if (server == whole->main_server) {
        whole->error_log = target;
        return NULL;
    }
    wr__core_server_of(server)->error_log = target;
    return NULL;
}

/* the process ----------------------------------------------------------------
 */

static const char *set_cache_content(wr_command_call *call, void *config,
                                     int argc, const char *const *argv)
{
    static const char *const names[] = {[WR__CONTENT_OFF] = "off",
                                        [WR__CONTENT_MEMORY] = "memory",
                                        [WR__CONTENT_MMAP] = "mmap",
                                        [WR__CONTENT_DESCRIPTOR] = "descriptor",
                                        NULL};
    wr__config *whole = config;

    (void)argc;
    for (int i = 0; names[i]; i++) {
        if (strcasecmp(argv[0], names[i]) == 0) {
            whole->cache_content = i;
            return NULL;
        }
    }
    return apr_psprintf(call->pool,
                        "\"%.100s\" is none of off, memory, mmap, descriptor",
                        argv[0]);
}

static const char *set_tokens(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    static const struct {
        const char *name;
        wr__tokens tokens;
    } names[] = {
        {"Prod", WR__TOKENS_PROD},   {"ProductOnly", WR__TOKENS_PROD},
        {"Major", WR__TOKENS_MAJOR}, {"Minor", WR__TOKENS_MINOR},
        {"Min", WR__TOKENS_MIN},     {"Minimal", WR__TOKENS_MIN},
        {"OS", WR__TOKENS_OS},       {"Full", WR__TOKENS_FULL},
    };
    wr__config *whole = config;

    (void)argc;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(names[i].name, argv[0]) == 0) {
            whole->server_tokens = (int)names[i].tokens;
            return NULL;
        }
    }
    return apr_psprintf(call->pool,
                        "\"%.100s\" is none of Full, OS, Minimal, Minor, "
                        "Major, Prod",
                        argv[0]);
}

static const char *set_processes(wr_command_call *call, void *config, int argc,
                                 const char *const *argv)
{
    const wr_mpm *mpm = call->walk->config->mpm;

    if (mpm && mpm->traits & WR_MPM_PROCESS) {
        return apr_psprintf(call->pool,
                            "MPM %s has a process for each connection: "
                            "StartServers and MaxRequestWorkers say how many",
                            mpm->name);
    }
    return wr_set_int(call, config, argc, argv);
}

/* sections and what is read early
 * ---------------------------------------------- */

static const char *run_mpm_section(wr_command_call *call, void *config,
                                   int argc, const char *const *argv)
{
    wr__walk *walk = call->walk;
    wr_command_call inside = *call;
    wr_module *module;
    const char *error =
        wr__mpm_open(&module, argv[0], walk->modules_dir, call->pool);

    (void)config;
    (void)argc;
    if (error) {
        return error;
    }
    inside.context = WR_IN_MPM;
    walk->mpm = wr__walk_mpm(walk, module->mpm);
    wr__walk_run(&inside, call->directive->first_child);
    walk->mpm = NULL;
    return NULL;
}

/* The reader and config_load.c have done it. */
static const char *done_while_reading(wr_command_call *call, void *config,
                                      int argc, const char *const *argv)
{
    (void)call;
    (void)config;
    (void)argc;
    (void)argv;
    return NULL;
}

/* the table
 * -------------------------------------------------------------------- */

#define IN_CONFIG(FIELD) .offset = offsetof(wr__config, FIELD)
#define IN_SERVER(FIELD) .offset = offsetof(wr_server, FIELD)
#define IN_CORE(FIELD)   .offset = offsetof(wr__core_server, FIELD)
#define IN_DIR(FIELD)    .offset = offsetof(wr__core_dir, FIELD)
#define ONE_ARG          .min_args = 1, .max_args = 1

static const wr_command commands[] = {
    {.name = "ServerRoot",
     .run = done_while_reading,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "directory",
     .preset = WR_SERVER_ROOT,
     .help = "Relative paths in the configuration lie below it."},
    {.name = "LoadModule",
     .run = done_while_reading,
     .context = WR_IN_GLOBAL,
     .min_args = 2,
     .max_args = 2,
     .args = "NAME_module file",
     .help = "Load a module; an MPM's module selects that MPM."},
    {.name = "MPM",
     .run = done_while_reading,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "name",
     .preset = "hybrid",
     .help = "The architecture to serve by."},
    {.name = "MPM",
     .run = run_mpm_section,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "name",
     .is_section = true,
     .help = "Directives of one MPM: always checked, used when it runs."},
    {.name = "VirtualHost",
     .run = wr__run_virtual_host,
     .context = WR_IN_GLOBAL,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "address[:port] ...",
     .is_section = true,
     .help = "A server of its own for these addresses and its names."},
    {.name = "Directory",
     .run = wr__run_directory,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 2,
     .args = "path|~ regex",
     .is_section = true,
     .help =
         "What holds for files in a directory and below it; * ? [...] match "
         "within a component."},
    {.name = "DirectoryMatch",
     .run = wr__run_directory_match,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 1,
     .args = "regex",
     .is_section = true,
     .help = "What holds for files and directories whose path matches."},
    {.name = "Files",
     .run = wr__run_files,
     .context = WR_IN_SERVERS | WR_IN_DIRECTORY_ONLY,
     .min_args = 1,
     .max_args = 2,
     .args = "name|~ regex",
     .is_section = true,
     .help = "What holds for files of that name."},
    {.name = "FilesMatch",
     .run = wr__run_files_match,
     .context = WR_IN_SERVERS | WR_IN_DIRECTORY_ONLY,
     .min_args = 1,
     .max_args = 1,
     .args = "regex",
     .is_section = true,
     .help = "What holds for files whose name matches."},
    {.name = "Location",
     .run = wr__run_location,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 2,
     .args = "URL-path|~ regex",
     .is_section = true,
     .help = "What holds for URLs that are that path or lie below it."},
    {.name = "LocationMatch",
     .run = wr__run_location_match,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 1,
     .args = "regex",
     .is_section = true,
     .help = "What holds for URLs whose path matches."},
    {.name = "Listen",
     .run = wr__add_listen,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "[address:]port",
     .help = "Accept connections there; may be given several times."},
    {.name = "ListenBacklog",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(listen_backlog),
     .min = 1,
     .max = 65535,
     .args = "connections",
     .preset = "511",
     .help = "Connections that the kernel keeps until they are accepted."},
    {.name = "SendBufferSize",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(send_buffer_size),
     .max = 1 << 30,
     .args = "bytes",
     .preset = "0",
     .help = "The kernel's send buffer of a connection; 0: the system's."},
    {.name = "ReceiveBufferSize",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(receive_buffer_size),
     .max = 1 << 30,
     .args = "bytes",
     .preset = "0",
     .help = "The kernel's receive buffer of a connection; 0: the system's."},
    {.name = "ServerName",
     .run = wr__set_server_name,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     .args = "[scheme://]host[:port]",
     .help = "The name by which the server calls itself and is called."},
    {.name = "ServerAlias",
     .run = wr__add_server_alias,
     .context = WR_IN_SERVER,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "host ...",
     .help = "More names of a virtual host; * and ? match any letters."},
    {.name = "DocumentRoot",
     .run = set_document_root,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     .args = "directory",
     .help = "Where the files are that are served."},
    {.name = "ErrorLog",
     .run = set_error_log,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     .args = "file|\"|program\"|syslog[:facility[:tag]]|stderr",
     .preset = WR_LOG_DIR "/error_log",
     .help = "Where errors are written to."},
    {.name = "LogLevel",
     .run = wr__set_log_level,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "[module:]emerg|alert|crit|error|warn|notice|info|debug ...",
     .preset = "warn",
     .help = "The least important messages that are written: of all, or of a "
             "module."},
    {.name = "PidFile",
     .run = wr_set_path,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(pid_file),
     .args = "file",
     .preset = WR_STATE_DIR "/weir.pid",
     .help = "Holds the master's process number while it runs."},
    {.name = "User",
     .run = wr__set_user,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "name|#number",
     .preset = "www-data, or nobody",
     .help = "Who serves, if the server is started by root."},
    {.name = "Group",
     .run = wr__set_group,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "name|#number",
     .preset = "the user's own",
     .help = "The group that serves, if the server is started by root."},
    {.name = "Timeout",
     .run = set_server_time,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_SERVER(timeout_ns),
     .min = WR_MS,
     .max = DAY,
     .args = "time",
     .preset = "60",
     .help = "How long a client may neither send nor take anything."},
    {.name = "KeepAlive",
     .run = set_server_flag,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_SERVER(keep_alive),
     .args = "on|off",
     .preset = "on",
     .help = "Whether a connection may carry several requests."},
    {.name = "MaxKeepAliveRequests",
     .run = set_server_int,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_SERVER(max_keep_alive_requests),
     .args = "requests",
     .preset = "1000",
     .help = "Requests in one connection; 0: any number."},
    {.name = "KeepAliveTimeout",
     .run = set_server_time,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_SERVER(keep_alive_timeout_ns),
     .min = WR_MS,
     .max = DAY,
     .args = "time",
     .preset = "5",
     .help = "How long a connection is kept for the next request."},
    {.name = "Processes",
     .run = set_processes,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(processes),
     .min = 1,
     .max = 1024,
     .args = "number",
     .preset = "1",
     .help = "Processes that serve, each with the whole MPM in it."},
    {.name = "MaxConnectionsPerChild",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(max_connections_per_child),
     .max = 1 << 30,
     .args = "connections",
     .preset = "0",
     .help = "Connections after which a process ends, and another takes its "
             "place; 0: any number."},
    {.name = "MaxConnections",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(max_connections),
     .max = 1 << 24,
     .args = "number",
     .preset = "0",
     .help = "Open connections of one process; 0: as many as it may have "
             "descriptors, less 64.  Where no thread waits for a connection, "
             "one that is kept for a next request makes room for a new one: "
             "the one idle for longest."},
    {.name = "AcceptLimit",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(accept_limit),
     .min = 1,
     .max = 65535,
     .args = "connections",
     .preset = "64",
     .help = "Connections accepted before others are looked after again."},
    {.name = "SendQuantum",
     .run = wr_set_size,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(quantum),
     .min = 4096,
     .max = 1 << 30,
     .args = "bytes",
     .preset = "1M",
     .help = "Bytes sent to one client before others are looked after."},
    {.name = "GracefulShutdownTimeout",
     .run = wr_set_time,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(drain_timeout_ns),
     .max = DAY,
     .args = "time",
     .preset = "0",
     .help = "How long a graceful stop waits for clients; 0: for ever."},
    {.name = "LimitRequestLine",
     .run = wr__set_core_int,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(limit_request_line),
     .min = 32,
     .max = 1 << 20,
     .args = "bytes",
     .preset = "8190",
     .help = "The longest request line."},
    {.name = "LimitRequestFields",
     .run = wr__set_core_int,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(limit_request_fields),
     .min = 1,
     .max = 10000,
     .args = "number",
     .preset = "100",
     .help = "The most header fields in a request."},
    {.name = "LimitRequestFieldSize",
     .run = wr__set_core_int,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(limit_request_field_size),
     .min = 32,
     .max = 1 << 20,
     .args = "bytes",
     .preset = "8190",
     .help = "The longest header field of a request."},
    {.name = "LimitRequestHead",
     .run = wr__set_core_size,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(limit_request_head),
     .min = 64,
     .max = 16 << 20,
     .args = "bytes",
     .preset = "64K",
     .help = "The longest head of a request: line and fields together."},
    {.name = "LimitRequestBody",
     .run = wr_set_size,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(limit_request_body),
     .max = INT64_C(1) << 50,
     .args = "bytes",
     .preset = "1M",
     .help = "The longest body of a request; 0: any length."},
    {.name = "RequestBodyMemory",
     .run = wr_set_size,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(body_memory),
     .min = 1024,
     .max = INT64_C(1) << 30,
     .args = "bytes",
     .preset = "64K",
     .help = "How much of a request's content is kept in memory; what is "
             "longer goes to a file without a name."},
    {.name = "SpoolDirectory",
     .run = wr_set_path,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(spool_dir),
     .args = "directory",
     .preset = "/tmp",
     .help = "Where such files lie; the serving user must be able to write "
             "there."},
    {.name = "RequestReadTimeout",
     .run = wr__set_request_timeout,
     .context = WR_IN_SERVERS,
     .min_args = 1,
     .max_args = 2,
     .args = "[header=time[-max][,MinRate=bytes]] "
             "[body=time[-max][,MinRate=bytes]]",
     .preset = "header=20-40,MinRate=500 body=20,MinRate=500",
     .help = "How long the head and the body of a request may take from their "
             "first byte; a second more for every MinRate bytes, up to max."},
    {.name = "SendMinRate",
     .run = wr__set_core_int,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(send_min_rate),
     .max = INT_MAX,
     .args = "bytes",
     .preset = "500",
     .help = "How slowly a client may take a response: so many bytes a second, "
             "counted over Timeout.  0: any byte within Timeout is enough."},
    {.name = "CacheSize",
     .run = wr_set_size,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_size),
     .min = 65536,
     .max = INT64_C(1) << 40,
     .args = "bytes",
     .preset = "64M",
     .help = "Memory that a process's caches may take."},
    {.name = "CacheEntries",
     .run = wr_set_int,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_entries),
     .min = 16,
     .max = 1 << 24,
     .args = "number",
     .preset = "16384",
     .help = "Files that a process's caches may hold."},
    {.name = "CacheMaxFile",
     .run = wr_set_size,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_max_file),
     .min = 0,
     .max = 1 << 30,
     .args = "bytes",
     .preset = "64K",
     .help = "The largest file whose content is held in memory, or mapped."},
    {.name = "CacheRevalidate",
     .run = wr_set_time,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_revalidate_ns),
     .max = DAY,
     .args = "time",
     .preset = "1s",
     .help = "How long a file is served without a look at whether it "
             "changed."},
    {.name = "CachePaths",
     .run = wr_set_flag,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_paths),
     .args = "on|off",
     .preset = "on",
     .help = "Remember which file a URL leads to."},
    {.name = "CacheHeaders",
     .run = wr_set_flag,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     IN_CONFIG(cache_headers),
     .args = "on|off",
     .preset = "on",
     .help = "Keep a file's response header ready to send."},
    {.name = "CacheContent",
     .run = set_cache_content,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "off|memory|mmap|descriptor",
     .preset = "memory",
     .help = "What is held of files: the content of small ones (memory), or "
             "a mapping of it (mmap), and of all others, or of all, the open "
             "descriptor."},
    {.name = "SetHandler",
     .run = wr__set_handler,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "name|None",
     .preset = "None",
     .help = "All requests there are answered by that handler."},
    {.name = "ForceType",
     .run = wr__set_forced_type,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "media-type|None",
     .preset = "None",
     .help = "All files there are of that type, whatever their names say."},
    {.name = "AddDefaultCharset",
     .run = wr__set_charset,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "On|Off|charset",
     .preset = "Off",
     .help = "The character set of text/plain and text/html that names none; "
             "On: iso-8859-1."},
    {.name = "DefaultType",
     .run = wr__set_default_type,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "none",
     .preset = "none",
     .help = "A type that is not known is not sent; nothing else can be said."},
    {.name = "Options",
     .run = wr__set_options,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "[+|-]option ...",
     .preset = "FollowSymLinks",
     .help = "What may be done there: None, All (but MultiViews), Indexes, "
             "Includes, IncludesNOEXEC, ExecCGI, FollowSymLinks, "
             "SymLinksIfOwnerMatch, MultiViews; with + and -, besides what "
             "may be done around it."},
    {.name = "AllowOverride",
     .run = wr__set_allow_override,
     .context = WR_IN_DIRECTORY_ONLY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "None",
     .preset = "None",
     .help = "There are no .htaccess files; nothing else can be said."},
    {.name = "FileETag",
     .run = wr__set_file_etag,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = WR_ARGS_ANY,
     .args = "[+|-]part ...",
     .preset = "MTime Size",
     .help = "What of a file goes into its ETag: None, All, INode, MTime, "
             "Size; with + and -, besides what goes into it around."},
    {.name = "ErrorDocument",
     .run = wr__set_error_document,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 2,
     .args = "status path|URL|text|default",
     .preset = "default",
     .help = "What is sent for an error: a page of this server (/...), a "
             "redirect to another one, a text, or the server's own words."},
    {.name = "ServerSignature",
     .run = wr__set_signature,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(signature),
     .args = "On|Off|EMail",
     .preset = "Off",
     .help = "Name the server (EMail: with ServerAdmin) below pages it makes."},
    {.name = "UseCanonicalName",
     .run = wr__set_canonical_name,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(canonical_name),
     .args = "On|Off",
     .preset = "Off",
     .help = "In URLs of its own the server calls itself by ServerName, not as "
             "the client did."},
    {.name = "EnableSendfile",
     .run = wr_set_flag,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(sendfile),
     .args = "On|Off",
     .preset = "On",
     .help = "Let the kernel send files; off: read them first, for file "
             "systems on which it can't be trusted."},
    {.name = "MaxRanges",
     .run = wr__set_max_ranges,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(max_ranges),
     .args = "default|unlimited|none|number",
     .preset = "200",
     .help = "The most ranges in a Range field; with more, or with none, the "
             "whole is sent."},
    {.name = "MaxRangeOverlaps",
     .run = wr__set_max_ranges,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(max_overlaps),
     .args = "default|unlimited|none|number",
     .preset = "20",
     .help = "How often a range of a Range field may overlap the one before "
             "it; with more the whole is sent."},
    {.name = "MaxRangeReversals",
     .run = wr__set_max_ranges,
     .context = WR_IN_ANY,
     ONE_ARG,
     IN_DIR(max_reversals),
     .args = "default|unlimited|none|number",
     .preset = "20",
     .help = "How often a range of a Range field may begin before the one "
             "before it; with more the whole is sent."},
    {.name = "ServerAdmin",
     .run = set_server_string,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_SERVER(admin),
     .args = "address|URL",
     .help = "Whom clients may write to."},
    {.name = "ServerTokens",
     .run = set_tokens,
     .context = WR_IN_GLOBAL,
     ONE_ARG,
     .args = "Full|OS|Minimal|Minor|Major|Prod",
     .preset = "Minimal",
     .help = "How much the Server field says about the server."},
    {.name = "TraceEnable",
     .run = wr__set_trace,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     .args = "on|off|extended",
     .preset = "off",
     .help = "Whether TRACE is answered; extended: with a body too."},
    {.name = "MergeSlashes",
     .run = wr__set_core_flag,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(merge_slashes),
     .args = "on|off",
     .preset = "on",
     .help = "Whether // in a path is the same as /."},
    {.name = "StrictHostCheck",
     .run = wr__set_core_flag,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     IN_CORE(strict_host_check),
     .args = "on|off",
     .preset = "off",
     .help = "Refuse requests for hosts that no server names (status 400)."},
    {.name = "AllowEncodedSlashes",
     .run = wr__set_encoded_slashes,
     .context = WR_IN_SERVERS,
     ONE_ARG,
     .args = "On|Off|NoDecode",
     .preset = "Off",
     .help = "A path with %2F: taken as /, refused (404), or left as it is."},
    {.name = "Define",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     .min_args = 1,
     .max_args = 2,
     .args = "name [value]",
     .help = "From here on ${name} stands for the value."},
    {.name = "UnDefine",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "name",
     .help = "Forget a Define."},
    {.name = "Include",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "file|directory|pattern",
     .help = "Read these files here; there must be some."},
    {.name = "IncludeOptional",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "file|directory|pattern",
     .help = "Read these files here if there are any."},
    {.name = "IfDefine",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "[!]name",
     .is_section = true,
     .help = "Holds if the name was defined, by Define or -D."},
    {.name = "IfDirective",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "[!]directive",
     .is_section = true,
     .help = "Holds if the core, a module loaded above or the chosen MPM has "
             "that directive."},
    {.name = "IfFile",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "[!]file",
     .is_section = true,
     .help = "Holds if there is such a file or directory."},
    {.name = "IfModule",
     .run = done_while_reading,
     .context = WR_IN_ANY,
     ONE_ARG,
     .args = "[!]module",
     .is_section = true,
     .help = "Holds if the module was loaded above, or is the chosen MPM's."},
    {.name = NULL},
};

/* as a whole
 * --------------------------------------------------------------------- */

void wr__core_defaults(wr__config *c)
{
    c->error_log = WR_LOG_DIR "/error_log";
    c->pid_file = WR_STATE_DIR "/weir.pid";
    c->uid = WR__NO_ID;
    c->gid = WR__NO_ID;
    c->processes = 1;
    c->listen_backlog = 511;
    c->accept_limit = 64;
    c->quantum = 1 << 20;
    c->server_tokens = WR__TOKENS_MIN;
    c->body_memory = 64 << 10;
    c->spool_dir = "/tmp";
    c->cache_size = 64 << 20;
    c->cache_entries = 16384;
    c->cache_max_file = 64 << 10;
    c->cache_revalidate_ns = WR_SEC;
    c->cache_paths = c->cache_headers = 1;
    c->cache_content = WR__CONTENT_MEMORY;
}

void wr__core_finish(wr__config *c, wr__errors *errors, const char *file)
{
    if (c->listens->nelts == 0) {
        wr__errors_add(errors, file, 1,
                       "no Listen: there is no address to serve on");
    }
    wr__user_finish(c, errors, file);
}

static apr_status_t open_logs(apr_pool_t *pool, wr_server *main_server)
{
    return wr__servers_open_logs(main_server, pool);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_config(open_logs, NULL, NULL, APR_HOOK_FIRST);
}

wr_module wr__core_module = {
    WR_MODULE_HEAD("core"),
    .commands = commands,
    .create_dir_config = wr__core_dir_create,
    .merge_dir_config = wr__core_dir_merge,
    .create_server_config = wr__core_server_create,
    .merge_server_config = wr__core_server_merge,
    .register_hooks = register_hooks,
};
