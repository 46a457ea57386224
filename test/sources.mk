# Tests that are programs; the others are Python's, see test/run.

AM_TESTS_ENVIRONMENT = srcdir='$(srcdir)'; export srcdir;

# Unit tests, a line each: test/unit/test_NAME.c is a program of its own, linked
# with what it needs of the core.

unit_tests = \
    test/unit/test_board \
    test/unit/test_cache \
    test/unit/test_config \
    test/unit/test_config_directives \
    test/unit/test_config_reader \
    test/unit/test_config_section \
    test/unit/test_conn \
    test/unit/test_conn_threads \
    test/unit/test_helper_wire \
    test/unit/test_http_body \
    test/unit/test_http_parse \
    test/unit/test_listen \
    test/unit/test_log_error \
    test/unit/test_log_format \
    test/unit/test_log_pipe \
    test/unit/test_log_program \
    test/unit/test_log_ring \
    test/unit/test_mod_mime \
    test/unit/test_open_walk \
    test/unit/test_path \
    test/unit/test_pid_file \
    test/unit/test_poller \
    test/unit/test_pool_size \
    test/unit/test_queue \
    test/unit/test_regex \
    test/unit/test_residency \
    test/unit/test_response \
    test/unit/test_spawner \
    test/unit/test_status \
    test/unit/test_threads \
    test/unit/test_timers \
    test/unit/test_workers
if HAVE_LIBURING
unit_tests += test/unit/test_ring
endif
test_unit_test_ring_LDADD = $(LDADD) $(URING_LIBS)

# A site and a client without a network.
support_sources = test/unit/support.c test/unit/support.h
test_unit_test_conn_SOURCES = test/unit/test_conn.c $(support_sources)
test_unit_test_conn_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
    -Wl,--wrap=calloc -Wl,--wrap=realloc
test_unit_test_conn_threads_SOURCES = test/unit/test_conn_threads.c \
    $(support_sources)
test_unit_test_response_SOURCES = test/unit/test_response.c $(support_sources)
test_unit_test_path_SOURCES = test/unit/test_path.c $(support_sources)

# The forms of mod_status, compiled anew: those of the module are libtool's.
test_unit_test_status_CPPFLAGS = $(AM_CPPFLAGS)
test_unit_test_status_SOURCES = test/unit/test_status.c \
    modules/generators/status_auto.c \
    modules/generators/status_gather.c \
    modules/generators/status_html.c \
    modules/generators/status_json.c \
    modules/generators/status_proc.c \
    modules/generators/status_prometheus.c

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

# The contract of the MPMs: one program for each, linked with a scripted machine
# in place of the core.  The MPM's record goes by the name contract_module.

libcontract_a_SOURCES = \
    test/mpm/board.c \
    test/mpm/contract.c \
    test/mpm/driver.c \
    test/mpm/machine.c \
    test/mpm/machine_child.c \
    test/mpm/machine_end.c \
    test/mpm/machine_helper.c \
    test/mpm/machine_op.c \
    test/mpm/variant_none.c \
    server/helper_wire.c
libcommon_a_SOURCES = $(mpm_common_sources)
if HAVE_LIBURING
libcommon_a_SOURCES += $(mpm_ring_sources)
endif
libcommon_a_CPPFLAGS = $(AM_CPPFLAGS)
check_LIBRARIES = libcontract.a libcommon.a

contract_cppflags = $(AM_CPPFLAGS) -iquote $(top_srcdir)/mpm/common \
    -Dmpm_amped_module=contract_module \
    -Dmpm_hybrid_module=contract_module \
    -Dmpm_mp_module=contract_module \
    -Dmpm_mt_module=contract_module \
    -Dmpm_proactor_module=contract_module \
    -Dmpm_sped_module=contract_module
contract_ldflags = $(AM_LDFLAGS) -Wl,--wrap=accept4 -Wl,--wrap=close
# The MPMs' common parts call the machine, too.
contract_ldadd = libcontract.a libcommon.a libcontract.a $(base_libs) \
    $(URING_LIBS)
contract_tests =

contract_tests += test/mpm/contract_amped
test_mpm_contract_amped_SOURCES = $(mpm_amped_sources)
test_mpm_contract_amped_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_amped_LDFLAGS = $(contract_ldflags)
test_mpm_contract_amped_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_amped_threads
test_mpm_contract_amped_threads_SOURCES = $(mpm_amped_sources) \
    test/mpm/variant_threads.c
test_mpm_contract_amped_threads_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_amped_threads_LDFLAGS = $(contract_ldflags)
test_mpm_contract_amped_threads_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_amped_ready
test_mpm_contract_amped_ready_SOURCES = $(mpm_amped_sources) \
    test/mpm/variant_ready.c
test_mpm_contract_amped_ready_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_amped_ready_LDFLAGS = $(contract_ldflags)
test_mpm_contract_amped_ready_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_hybrid
test_mpm_contract_hybrid_SOURCES = $(mpm_hybrid_sources)
test_mpm_contract_hybrid_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_hybrid_LDFLAGS = $(contract_ldflags)
test_mpm_contract_hybrid_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_mp
test_mpm_contract_mp_SOURCES = $(mpm_mp_sources)
test_mpm_contract_mp_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_mp_LDFLAGS = $(contract_ldflags)
test_mpm_contract_mp_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_mp_fork
test_mpm_contract_mp_fork_SOURCES = $(mpm_mp_sources) \
    test/mpm/variant_fork.c
test_mpm_contract_mp_fork_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_mp_fork_LDFLAGS = $(contract_ldflags)
test_mpm_contract_mp_fork_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_mt
test_mpm_contract_mt_SOURCES = $(mpm_mt_sources)
test_mpm_contract_mt_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_mt_LDFLAGS = $(contract_ldflags)
test_mpm_contract_mt_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_mt_apart
test_mpm_contract_mt_apart_SOURCES = $(mpm_mt_sources) \
    test/mpm/variant_apart.c
test_mpm_contract_mt_apart_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_mt_apart_LDFLAGS = $(contract_ldflags)
test_mpm_contract_mt_apart_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_sped
test_mpm_contract_sped_SOURCES = $(mpm_sped_sources)
test_mpm_contract_sped_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_sped_LDFLAGS = $(contract_ldflags)
test_mpm_contract_sped_LDADD = $(contract_ldadd)

if HAVE_LIBURING
contract_tests += test/mpm/contract_proactor test/mpm/contract_proactor_pipes
endif
test_mpm_contract_proactor_SOURCES = $(mpm_proactor_sources)
test_mpm_contract_proactor_CPPFLAGS = $(contract_cppflags)
test_mpm_contract_proactor_LDFLAGS = $(contract_ldflags)
test_mpm_contract_proactor_LDADD = $(contract_ldadd)

# The same with pieces so small as the machine's through pipes.
test_mpm_contract_proactor_pipes_SOURCES = $(mpm_proactor_sources) \
    mpm/common/ring_span.c
test_mpm_contract_proactor_pipes_CPPFLAGS = $(contract_cppflags) \
    -DSPLICE_MIN=4096
test_mpm_contract_proactor_pipes_LDFLAGS = $(contract_ldflags)
test_mpm_contract_proactor_pipes_LDADD = $(contract_ldadd)

check_PROGRAMS += $(contract_tests)
TESTS += $(contract_tests)

# MPMs broken on purpose, which the contract test has to catch: copies of an
# MPM's file or of a common one, changed by test/mpm/broken/NAME.sed.

break = $(AM_V_GEN)$(MKDIR_P) test/mpm/broken && \
    $(SHELL) $(srcdir)/test/mpm/break.sh
broken_tests =
broken_sources =

broken_tests += test/mpm/broken_double_close
broken_sources += test/mpm/broken/double_close.c
test_mpm_broken_double_close_SOURCES = $(mpm_sped_sources)
nodist_test_mpm_broken_double_close_SOURCES = test/mpm/broken/double_close.c
test_mpm_broken_double_close_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_double_close_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_double_close_LDFLAGS = $(contract_ldflags)
test_mpm_broken_double_close_LDADD = $(contract_ldadd)
test/mpm/broken/double_close.c: $(srcdir)/test/mpm/broken/double_close.sed \
    $(srcdir)/mpm/common/loop.c
	$(break) $^ $@

broken_tests += test/mpm/broken_foreign_close
broken_sources += test/mpm/broken/foreign_close.c
nodist_test_mpm_broken_foreign_close_SOURCES = test/mpm/broken/foreign_close.c
test_mpm_broken_foreign_close_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_foreign_close_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_foreign_close_LDFLAGS = $(contract_ldflags)
test_mpm_broken_foreign_close_LDADD = $(contract_ldadd)
test/mpm/broken/foreign_close.c: $(srcdir)/test/mpm/broken/foreign_close.sed \
    $(srcdir)/mpm/hybrid/mpm_hybrid.c
	$(break) $^ $@

broken_tests += test/mpm/broken_forgotten_job
broken_sources += test/mpm/broken/forgotten_job.c
test_mpm_broken_forgotten_job_SOURCES = $(mpm_amped_sources)
nodist_test_mpm_broken_forgotten_job_SOURCES = test/mpm/broken/forgotten_job.c
test_mpm_broken_forgotten_job_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_forgotten_job_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_forgotten_job_LDFLAGS = $(contract_ldflags)
test_mpm_broken_forgotten_job_LDADD = $(contract_ldadd)
test/mpm/broken/forgotten_job.c: $(srcdir)/test/mpm/broken/forgotten_job.sed \
    $(srcdir)/mpm/common/helpers.c
	$(break) $^ $@

broken_tests += test/mpm/broken_ignored_deadline
broken_sources += test/mpm/broken/ignored_deadline.c
test_mpm_broken_ignored_deadline_SOURCES = $(mpm_sped_sources)
nodist_test_mpm_broken_ignored_deadline_SOURCES = test/mpm/broken/ignored_deadline.c
test_mpm_broken_ignored_deadline_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_ignored_deadline_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_ignored_deadline_LDFLAGS = $(contract_ldflags)
test_mpm_broken_ignored_deadline_LDADD = $(contract_ldadd)
test/mpm/broken/ignored_deadline.c: $(srcdir)/test/mpm/broken/ignored_deadline.sed \
    $(srcdir)/mpm/common/loop.c
	$(break) $^ $@

broken_tests += test/mpm/broken_leaked_descriptor
broken_sources += test/mpm/broken/leaked_descriptor.c
test_mpm_broken_leaked_descriptor_SOURCES = $(mpm_sped_sources)
nodist_test_mpm_broken_leaked_descriptor_SOURCES = test/mpm/broken/leaked_descriptor.c
test_mpm_broken_leaked_descriptor_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_leaked_descriptor_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_leaked_descriptor_LDFLAGS = $(contract_ldflags)
test_mpm_broken_leaked_descriptor_LDADD = $(contract_ldadd)
test/mpm/broken/leaked_descriptor.c: $(srcdir)/test/mpm/broken/leaked_descriptor.sed \
    $(srcdir)/mpm/common/poller.c
	$(break) $^ $@

broken_tests += test/mpm/broken_lost_wakeup
broken_sources += test/mpm/broken/lost_wakeup.c
nodist_test_mpm_broken_lost_wakeup_SOURCES = test/mpm/broken/lost_wakeup.c
test_mpm_broken_lost_wakeup_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_lost_wakeup_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_lost_wakeup_LDFLAGS = $(contract_ldflags)
test_mpm_broken_lost_wakeup_LDADD = $(contract_ldadd)
test/mpm/broken/lost_wakeup.c: $(srcdir)/test/mpm/broken/lost_wakeup.sed \
    $(srcdir)/mpm/hybrid/mpm_hybrid.c
	$(break) $^ $@

broken_tests += test/mpm/broken_stale_clock
broken_sources += test/mpm/broken/stale_clock.c
nodist_test_mpm_broken_stale_clock_SOURCES = test/mpm/broken/stale_clock.c
test_mpm_broken_stale_clock_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_stale_clock_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_stale_clock_LDFLAGS = $(contract_ldflags)
test_mpm_broken_stale_clock_LDADD = $(contract_ldadd)
test/mpm/broken/stale_clock.c: $(srcdir)/test/mpm/broken/stale_clock.sed \
    $(srcdir)/mpm/sped/mpm_sped.c
	$(break) $^ $@

broken_tests += test/mpm/broken_starvation
broken_sources += test/mpm/broken/starvation.c
nodist_test_mpm_broken_starvation_SOURCES = test/mpm/broken/starvation.c
test_mpm_broken_starvation_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_starvation_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_starvation_LDFLAGS = $(contract_ldflags)
test_mpm_broken_starvation_LDADD = $(contract_ldadd)
test/mpm/broken/starvation.c: $(srcdir)/test/mpm/broken/starvation.sed \
    $(srcdir)/mpm/sped/mpm_sped.c
	$(break) $^ $@

broken_tests += test/mpm/broken_two_owners
broken_sources += test/mpm/broken/two_owners.c
test_mpm_broken_two_owners_SOURCES = $(mpm_hybrid_sources)
nodist_test_mpm_broken_two_owners_SOURCES = test/mpm/broken/two_owners.c
test_mpm_broken_two_owners_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_two_owners_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_two_owners_LDFLAGS = $(contract_ldflags)
test_mpm_broken_two_owners_LDADD = $(contract_ldadd)
test/mpm/broken/two_owners.c: $(srcdir)/test/mpm/broken/two_owners.sed \
    $(srcdir)/mpm/common/loop.c
	$(break) $^ $@

if HAVE_LIBURING
broken_tests += test/mpm/broken_early_advance
endif
broken_sources += test/mpm/broken/early_advance.c
test_mpm_broken_early_advance_SOURCES = $(mpm_proactor_sources)
nodist_test_mpm_broken_early_advance_SOURCES = test/mpm/broken/early_advance.c
test_mpm_broken_early_advance_CPPFLAGS = $(contract_cppflags)
test_mpm_broken_early_advance_CFLAGS = $(AM_CFLAGS) -w
test_mpm_broken_early_advance_LDFLAGS = $(contract_ldflags)
test_mpm_broken_early_advance_LDADD = $(contract_ldadd)
test/mpm/broken/early_advance.c: $(srcdir)/test/mpm/broken/early_advance.sed \
    $(srcdir)/mpm/common/ring_span.c
	$(break) $^ $@

CLEANFILES += $(broken_sources)
check_PROGRAMS += $(broken_tests)
TESTS += test/mpm/run_broken.sh
TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(SHELL)

# Fuzz targets, two lines each.  With --enable-fuzz libFuzzer drives them; else
# they try what lies in test/fuzz/corpus/NAME and test/fuzz/crashes/NAME.

fuzz_targets = test/fuzz/fuzz_config test/fuzz/fuzz_conn

if FUZZ
fuzz_ldadd = $(LDADD) $(FUZZ_FLAGS)
else
libreplay_a_SOURCES = test/fuzz/replay.c
check_LIBRARIES += libreplay.a
fuzz_ldadd = libreplay.a $(LDADD)
TESTS += $(fuzz_targets)
endif
check_PROGRAMS += $(fuzz_targets)

test_fuzz_fuzz_config_LDADD = $(fuzz_ldadd)
test_fuzz_fuzz_conn_SOURCES = test/fuzz/fuzz_conn.c $(support_sources)
test_fuzz_fuzz_conn_LDADD = $(fuzz_ldadd)
