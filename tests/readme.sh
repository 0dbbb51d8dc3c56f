#!/bin/sh
# README's table of campaigns is what their results give; a line with a violation, or a wrong one, is not passed over.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
"$top_srcdir/tools/campaign-table" --check || exit 1
folder=$(mktemp -d "${TMPDIR:-/tmp}/bmd-readme.XXXXXX") || exit 99
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tools" "$folder/tests/campaign"
cp "$top_srcdir/tools/campaign-table" "$folder/tools/"
cp "$top_srcdir/README.md" "$folder/"
cp "$top_srcdir/tests/campaign/results.tsv" "$folder/tests/campaign/"
bad() { echo "FAIL: $*"; exit 1; }
(
    RESULTS=$folder/tests/campaign/results.tsv
    . "$top_srcdir/tests/campaign/results.sh"
    record crash "kills" 150 cycles 7 2 60 "10 jobs" >/dev/null
)
"$folder/tools/campaign-table" --check >/dev/null 2>&1 && bad "an old table is taken for the new one"
"$folder/tools/campaign-table" || bad "it is not made"
grep -qE '^\| kills: 10 jobs \| [0-9-]+, 7(, [0-9a-f]+(-dirty)?)? \| 150 cycles \| 2 \| - \|$' "$folder/README.md" || bad "violations are not shown"
"$folder/tools/campaign-table" --check || bad "it is not what was just made"
echo "2026	crash	x" >>"$folder/tests/campaign/results.tsv"
"$folder/tools/campaign-table" --check >/dev/null 2>&1 && bad "a line that is none is passed over"
echo "ok: README's table is what the results give"
