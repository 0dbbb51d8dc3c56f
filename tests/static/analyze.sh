#!/bin/sh
# One analyzer over one file: prints each finding as TOOL, FILE, FUNCTION, CHECK and MESSAGE, between tabs.
#   analyze.sh gcc|clang-tidy|cppcheck|scan-build FILE FLAG…
# FILE lies below $top_srcdir; the flags are the preprocessor's. Fails when the tool could not do its work.
set -eu
tool=$1 file=$2
shift 2
here=$(dirname "$0")
raw=$(mktemp)
trap 'rm -rf "$raw" "$raw.reports"' EXIT
trap 'exit 130' INT TERM
at=$top_srcdir/$file
# What no tool sees that reads one file at a time; of err.c itself that is what is to be shown.
model="-include $here/model.h"
[ "$file" != common/err.c ] || model=

analyze() {
    case $tool in
    # Without optimisation: the paths are then those of the source.
    gcc) gcc -std=gnu17 "$@" $model -O0 -fanalyzer -fanalyzer-verbosity=0 -S -o /dev/null "$at" ;;
    clang-tidy) clang-tidy --quiet "$at" -- -std=gnu17 "$@" 2>/dev/null ;;
    # Of the flags it takes these.
    cppcheck)
        for flag; do
            shift
            case $flag in -D* | -I*) set -- "$@" "$flag" ;; esac
        done
        cppcheck --quiet --std=c11 --enable=warning,performance,portability --library="$here/cppcheck.cfg" \
            --template='{file}:{line}: warning: {message} [{id}]' "$@" "$at"
        ;;
    # It hands its analyzer over as $CC, and tells what it finds while it compiles.
    scan-build)
        scan-build -o "$raw.reports" --use-cc=gcc \
            sh -c 'exec $CC "$@"' compile -std=gnu17 "$@" $model -O0 -w -S -o /dev/null "$at"
        ;;
    esac
}
analyze "$@" >"$raw" 2>&1 || { echo "$tool failed over $file:"; cat "$raw"; exit 1; } >&2
sed -n -E ":again; s|^(/[^ :]*)?/[^/ :.][^/ :]*/\.\./|\1/|; t again; s|/\./|/|; s|^$top_srcdir/||; s|^(\.\./)+||
    s/^([^ :]+):([0-9]+):([0-9]+:)? (warning|error): (.*) \[-?W?([^][]*)\]\$/\1\t\2\t\6\t\5/p
    s|^cc1: warning: (.*) \[-W([^][]*)\]\$|$file\t0\t\2\t\1|p" "$raw" |
    awk -F '\t' -v tool="$tool" -v top="$top_srcdir" -f "$here/findings.awk" | sort -u
