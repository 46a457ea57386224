# Modules, a line each: modules/FAMILY/mod_NAME.c makes mod_NAME.so.  One of
# several files has its list below.

modules = \
    modules/aaa/mod_authz_core.la \
    modules/aaa/mod_authz_host.la \
    modules/examples/mod_hello.la \
    modules/generators/mod_asis.la \
    modules/generators/mod_autoindex.la \
    modules/generators/mod_status.la \
    modules/loggers/mod_log_config.la \
    modules/mappers/mod_alias.la \
    modules/mappers/mod_dir.la \
    modules/metadata/mod_env.la \
    modules/metadata/mod_headers.la \
    modules/metadata/mod_mime.la \
    modules/metadata/mod_setenvif.la

modules_generators_mod_autoindex_la_SOURCES = \
    modules/generators/autoindex_page.c \
    modules/generators/autoindex_read.c \
    modules/generators/mod_autoindex.c

modules_generators_mod_status_la_SOURCES = \
    modules/generators/mod_status.c \
    modules/generators/status_auto.c \
    modules/generators/status_gather.c \
    modules/generators/status_html.c \
    modules/generators/status_json.c \
    modules/generators/status_proc.c \
    modules/generators/status_prometheus.c

modules_loggers_mod_log_config_la_SOURCES = \
    modules/loggers/log_fields.c \
    modules/loggers/log_format.c \
    modules/loggers/log_line.c \
    modules/loggers/mod_log_config.c

# With --enable-test-hooks: modules for tests.
if TEST_HOOKS
modules += test/modules/mod_delay.la test/modules/mod_gate.la \
    test/modules/mod_objects.la
endif
# Its threads may outlive what a process does, and then need their code.
test_modules_mod_objects_la_LDFLAGS = $(AM_LDFLAGS) -Wl,-z,nodelete
