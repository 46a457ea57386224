# Unit tests, a line each: test/unit/test_NAME.c is a program of its own, linked
# with the core.

unit_tests =

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
