#!/bin/sh
# static_modules.sh FAMILY/mod_NAME.la... - prints the C table of these modules.

names=
for library in "$@"; do
    name=${library##*/mod_}
    names="$names ${name%.la}"
done

echo '/* Made by server/static_modules.sh. */'
echo '#include "server/static_modules.h"'
echo
for name in $names; do
    echo "extern wr_module ${name}_module;"
done
echo
echo 'wr_module *const wr__static_modules[] = {'
for name in $names; do
    echo "    &${name}_module,"
done
echo '    NULL};'
