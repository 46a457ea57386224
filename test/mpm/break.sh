#!/bin/sh
# break.sh SED SOURCE OUTPUT - make a broken copy of an MPM's source, for the
# contract test to catch.  Fails if the edit changes nothing any more: then the
# source has moved on, and the edit must follow it.
set -eu
sed -f "$1" "$2" >"$3.new"
if cmp -s "$2" "$3.new"; then
    echo "$1 changes nothing in $2" >&2
    rm -f "$3.new"
    exit 1
fi
mv "$3.new" "$3"
