#!/usr/bin/env bash
# build.sh FOLDER [CONFIGURE OPTION]... - builds below FOLDER, and installs into
# FOLDER/stage.  Does no more than has changed; its output goes to
# FOLDER/build.log, of which the end is shown when something fails.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
top=$PWD
folder=$1
shift
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit
log=$folder/build.log
: >"$log" || exit

step()
{
    local what=$1
    shift
    echo "$what"
    "$@" >>"$log" 2>&1 </dev/null && return
    grep -m 5 -E 'error:|\*\*\*' "$log" >&2
    echo "... (the end of $log:)" >&2
    tail -n 30 "$log" >&2
    exit 1
}

if [ -e config.status ]; then
    echo "Weir has been configured in $top itself, which keeps it from being" \
        "built in other folders.  Run  make distclean  there." >&2
    exit 1
fi

# Who builds in the same folder, or makes the configure that all share, waits.
exec 8<"$folder" 9<"$top"
flock 8
flock 9
newest=$(ls -t configure Makefile.in configure.ac Makefile.am m4/weir.m4 \
    include/wr_version.h */sources.mk 2>/dev/null | head -n 1)
if [ ! -e configure ] || [ ! -e Makefile.in ] \
    || { [ "$newest" != configure ] && [ "$newest" != Makefile.in ]; }; then
    step "Preparing configure (autoreconf)" ./bootstrap
    touch configure Makefile.in
fi
flock -u 9

cd "$folder" || exit
configuration="--prefix=$folder/stage --enable-silent-rules $*"
if [ ! -e config.status ] || [ "$top/configure" -nt config.status ] \
    || [ "$(cat configuration 2>/dev/null)" != "$configuration" ]; then
    step "Configuring (${*:-as usual})" "$top/configure" \
        --prefix="$folder/stage" --enable-silent-rules "$@"
    printf '%s\n' "$configuration" >configuration
    rm -rf stage
fi
step "Compiling" make -j "$(nproc)"

# A server may be running from there: only what has changed is installed.
if [ ! -e stage/sbin/weir ] || [ "$(find "$top/docs" "$top/conf" \
    "$top/include" conf Makefile weir* mpm modules -newer stage/sbin/weir \
    -print -quit 2>/dev/null)" ]; then
    rm -f stage/etc/weir/weir.conf
    step "Installing into $folder/stage" make install
    touch stage/sbin/weir
fi
