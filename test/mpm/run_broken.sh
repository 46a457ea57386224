#!/bin/sh
# run_broken.sh - the contract test must fail for each broken MPM, and for the
# reason that its edit in test/mpm/broken names.  Started by make check in the
# build folder, with $srcdir set.  An MPM that is not built here is left out; at
# least five must be caught.
set -u
failed=0
caught=0
for edit in "$srcdir"/test/mpm/broken/*.sed; do
    name=$(basename "$edit" .sed)
    field() { sed -n "s/^# $1: //p" "$edit"; }
    if [ ! -x "test/mpm/contract_$(field mpm)" ]; then
        echo "skip $name: its MPM is not built"
        continue
    fi
    if ! line=$("test/mpm/broken_$name" -s 2 -f "$(field test)" \
        "$(field reason)"); then
        failed=1
    else
        caught=$((caught + 1))
    fi
    echo "${line:-not ok (did not run)} [$name]"
done
[ $failed -eq 0 ] && [ $caught -ge 5 ]
