dnl weir.m4 - what configure.ac needs more than once.

dnl WR_C11: gnu11, which the compiler may call by another name.
AC_DEFUN([WR_C11], [
    WR_TRY_FLAG([-std=gnu11], [CC="$CC -std=gnu11"],
        [AC_MSG_ERROR([$CC does not know C11: gcc 5 or clang 4 at least])])
])

dnl WR_TRY_FLAG(FLAG, IF-TAKEN, IF-NOT): clang warns about flags that it does
dnl not know, so warnings count.
AC_DEFUN([WR_TRY_FLAG], [
    AS_VAR_PUSHDEF([taken], [wr_cv_flag_$1])
    AC_CACHE_CHECK([whether $CC takes $1], [taken], [
        wr_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $1"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()],
            [AS_VAR_SET([taken], [yes])], [AS_VAR_SET([taken], [no])])
        CFLAGS=$wr_saved_CFLAGS
    ])
    AS_VAR_IF([taken], [yes], [$2], [$3])
    AS_VAR_POPDEF([taken])
])

dnl WR_PACKAGE(NAME, PKG-CONFIG NAME, DEBIAN PACKAGE): NAME_CFLAGS, NAME_LIBS.
dnl Headers of others come in as system headers: their warnings are not ours.
AC_DEFUN([WR_PACKAGE], [
    PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [
        have_$1=no
        wr_missing="$wr_missing $3"
    ])
    WR_PACKAGE_FLAGS([$1], [$2])
])

dnl The same for what Weir can do without.
AC_DEFUN([WR_PACKAGE_OPTIONAL], [
    PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no])
    WR_PACKAGE_FLAGS([$1], [$2])
    AS_VAR_IF([have_$1], [no],
        [wr_version_$1="not built (Debian package: $3)"])
])

AC_DEFUN([WR_PACKAGE_FLAGS], [
    $1_CFLAGS=`AS_ECHO(["$$1_CFLAGS"]) | $SED 's/-I/-isystem /g'`
    dnl APR-util names its own LDAP libraries, which nothing here calls.
    $1_LIBS=`AS_ECHO(["$$1_LIBS"]) | $SED 's/-lldap[[^ ]]*//; s/-llber//'`
    wr_version_$1=`$PKG_CONFIG --modversion m4_car(m4_unquote(m4_split([$2]))) \
        2>/dev/null`
])

AC_DEFUN([WR_MISSING_END], [
    AS_IF([test -n "$wr_missing"], [AC_MSG_ERROR([
    Not found: the development files in$wr_missing.
    On Debian:  apt-get install$wr_missing])])
])

dnl WR_WARNINGS: WARN_CFLAGS, of all that this compiler takes.  Left out, since
dnl they speak of code that is meant: -Wpedantic (the language is gnu11),
dnl -Wswitch-enum (-Wall finds the forgotten state where there is no default),
dnl -Wcast-align=strict (APR's arrays hold char), -Wnull-dereference (its guesses
dnl change with the optimizer).
AC_DEFUN([WR_WARNINGS], [
    WARN_CFLAGS=
    m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes
        -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
        -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
        -Wconversion -Wsign-conversion -Wdouble-promotion],
        [WR_TRY_FLAG(flag, [WARN_CFLAGS="$WARN_CFLAGS flag"])])
    dnl Each compiler has some which the other lacks, or is noisy with.
    AC_CHECK_DECL([__clang__], [
        m4_foreach_w([flag], [-Wcomma -Wunreachable-code -Wassign-enum
            -Wthread-safety],
            [WR_TRY_FLAG(flag, [WARN_CFLAGS="$WARN_CFLAGS flag"])])
    ], [
        m4_foreach_w([flag], [-Wcast-qual -Wduplicated-cond
            -Wduplicated-branches -Wlogical-op],
            [WR_TRY_FLAG(flag, [WARN_CFLAGS="$WARN_CFLAGS flag"])])
    ])
    AS_VAR_IF([enable_werror], [yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
    AC_SUBST([WARN_CFLAGS])
])

dnl WR_SANITIZERS: SANITIZE_FLAGS to compile and link with, FUZZ_FLAGS to link
dnl a libFuzzer target with.
AC_DEFUN([WR_SANITIZERS], [
    SANITIZE_FLAGS= FUZZ_FLAGS=
    wr_undefined="-fsanitize=undefined -fno-sanitize-recover=all"
    AS_IF([test "$enable_asan$enable_tsan" = yesyes],
        [AC_MSG_ERROR([--enable-asan and --enable-tsan exclude each other])])
    AS_VAR_IF([enable_fuzz], [yes], [
        enable_asan=yes
        FUZZ_FLAGS="-fsanitize=fuzzer"
        WR_TRY_FLAG([-fsanitize=fuzzer-no-link],
            [SANITIZE_FLAGS="-fsanitize=fuzzer-no-link"],
            [AC_MSG_ERROR([--enable-fuzz needs clang (configure CC=clang) and
    its libraries.  On Debian:  apt-get install clang libclang-rt-dev])])
    ])
    AS_VAR_IF([enable_asan], [yes],
        [SANITIZE_FLAGS="$SANITIZE_FLAGS -fsanitize=address $wr_undefined"])
    AS_VAR_IF([enable_tsan], [yes],
        [SANITIZE_FLAGS="$SANITIZE_FLAGS -fsanitize=thread"])
    AS_IF([test -n "$SANITIZE_FLAGS"], [
        WR_TRY_FLAG([$SANITIZE_FLAGS], [],
            [AC_MSG_ERROR([$CC has no such sanitizer])])
        SANITIZE_FLAGS="$SANITIZE_FLAGS -fno-omit-frame-pointer"
    ])
    AC_SUBST([SANITIZE_FLAGS])
    AC_SUBST([FUZZ_FLAGS])
])

dnl WR_DEFINE_PATH(NAME, DIRECTORY, WHAT): into config.h, fully expanded.
AC_DEFUN([WR_DEFINE_PATH], [
    AS_IF([test "$prefix" = NONE],
        [wr_prefix=$ac_default_prefix], [wr_prefix=$prefix])
    wr_$1=`prefix=$wr_prefix
        exec_prefix=$exec_prefix
        test "$exec_prefix" != NONE || exec_prefix=$wr_prefix
        path='$2'
        while :; do
            eval "next=\"$path\""
            test "$next" != "$path" || break
            path=$next
        done
        AS_ECHO(["$path"])`
    AC_DEFINE_UNQUOTED([$1], ["$wr_$1"], [$3])
])
