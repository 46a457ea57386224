# The core, a line a file.  All but main.c is also what unit tests link with.

server_sources = \
    server/board.c \
    server/bucket.c \
    server/cache.c \
    server/channel.c \
    server/child.c \
    server/child_fork.c \
    server/child_helper.c \
    server/child_process.c \
    server/compute.c \
    server/config_absent.c \
    server/config_core.c \
    server/config_dir.c \
    server/config_dump.c \
    server/config_http.c \
    server/config_load.c \
    server/config_names.c \
    server/config_reader.c \
    server/config_root.c \
    server/config_section.c \
    server/config_server.c \
    server/config_set.c \
    server/config_text.c \
    server/config_user.c \
    server/config_walk.c \
    server/conn.c \
    server/end.c \
    server/file.c \
    server/flight.c \
    server/generation_children.c \
    server/generation_main.c \
    server/generation_setup.c \
    server/generation_spawner.c \
    server/helper_main.c \
    server/helper_wire.c \
    server/hook.c \
    server/http_body.c \
    server/http_conditional.c \
    server/http_conn.c \
    server/http_deadline.c \
    server/http_parse.c \
    server/http_range.c \
    server/http_status.c \
    server/list.c \
    server/listen.c \
    server/log_error.c \
    server/log_pipe.c \
    server/log_program.c \
    server/log_ring.c \
    server/log_syslog.c \
    server/log_target.c \
    server/lookup.c \
    server/master_main.c \
    server/module_load.c \
    server/op.c \
    server/open.c \
    server/open_walk.c \
    server/path.c \
    server/pid_file.c \
    server/pipeline.c \
    server/provider.c \
    server/regex.c \
    server/read_file.c \
    server/request.c \
    server/residency.c \
    server/response.c \
    server/spool.c \
    server/spawner_main.c \
    server/static.c \
    server/stock.c \
    server/stream.c \
    server/thread.c \
    server/title.c \
    server/user.c

nodist_libweir_a_SOURCES = no_modules.c
libweir_a_SOURCES = $(server_sources)
noinst_LIBRARIES += libweir.a

# Whole, not from the library: modules call what weir itself does not.
weir_SOURCES = server/main.c $(server_sources)
nodist_weir_SOURCES = static_modules.c
weir_LDADD = $(static_modules) $(base_libs)
sbin_PROGRAMS += weir
