# Tests that are programs; the others are Python's, see test/run.

AM_TESTS_ENVIRONMENT = srcdir='$(srcdir)'; export srcdir;

# Unit tests, a line each: test/unit/test_NAME.c is a program of its own, linked
# with what it needs of the core.

unit_tests = \
    test/unit/test_listen \
    test/unit/test_log_error \
    test/unit/test_log_format \
    test/unit/test_log_ring \
    test/unit/test_mod_mime \
    test/unit/test_pid_file

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

# The contract of the MPMs: one program for each, with a scripted machine in
# place of the core.

libcontract_a_SOURCES = \
    test/mpm/board.c \
    test/mpm/driver.c \
    test/mpm/machine.c \
    test/mpm/machine_child.c \
    test/mpm/machine_end.c \
    test/mpm/machine_op.c
check_LIBRARIES = libcontract.a
contract_sources = test/mpm/contract.c $(mpm_common_sources)
contract_ldadd = libcontract.a $(base_libs)
contract_tests =

contract_tests += test/mpm/contract_mt
test_mpm_contract_mt_SOURCES = $(contract_sources) $(mpm_mt_sources)
test_mpm_contract_mt_CPPFLAGS = $(AM_CPPFLAGS) -DCONTRACT_MODULE=mpm_mt_module
test_mpm_contract_mt_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_sped
test_mpm_contract_sped_SOURCES = $(contract_sources) $(mpm_sped_sources)
test_mpm_contract_sped_CPPFLAGS = $(AM_CPPFLAGS) \
    -DCONTRACT_MODULE=mpm_sped_module
test_mpm_contract_sped_LDADD = $(contract_ldadd)

contract_tests += test/mpm/contract_hybrid
test_mpm_contract_hybrid_SOURCES = $(contract_sources) $(mpm_hybrid_sources)
test_mpm_contract_hybrid_CPPFLAGS = $(AM_CPPFLAGS) \
    -DCONTRACT_MODULE=mpm_hybrid_module
test_mpm_contract_hybrid_LDADD = $(contract_ldadd)

if HAVE_LIBURING
contract_tests += test/mpm/contract_proactor
endif
test_mpm_contract_proactor_SOURCES = $(contract_sources) $(mpm_proactor_sources)
test_mpm_contract_proactor_CPPFLAGS = $(AM_CPPFLAGS) \
    -DCONTRACT_MODULE=mpm_proactor_module
test_mpm_contract_proactor_LDADD = $(contract_ldadd) $(URING_LIBS)

check_PROGRAMS += $(contract_tests)
TESTS += $(contract_tests)

# Fuzz targets, two lines each.  With --enable-fuzz libFuzzer drives them; else
# they try what lies in test/fuzz/corpus/NAME and test/fuzz/crashes/NAME.

fuzz_targets =

if FUZZ
fuzz_ldadd = $(LDADD) $(FUZZ_FLAGS)
else
libreplay_a_SOURCES = test/fuzz/replay.c
check_LIBRARIES += libreplay.a
fuzz_ldadd = libreplay.a $(LDADD)
TESTS += $(fuzz_targets)
endif
check_PROGRAMS += $(fuzz_targets)
