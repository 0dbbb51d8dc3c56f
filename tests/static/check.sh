#!/bin/sh
# gcc -fanalyzer, clang-tidy, cppcheck and scan-build over every C file of the tree. Fails for each finding that no line of `exceptions` explains, and
# for each line there that explains nothing any more. `make check-static` calls it with the flags of the preprocessor.
#   FILES="common/conf.c …"   only these (lines that explain nothing are then left alone)
#   TOOLS="gcc cppcheck"      only these
#   JOBS=2                    so many at once
# planted.c holds a fault of each tool's: a tool that does not see it sees nothing, and fails too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${TOOLS:=gcc clang-tidy cppcheck scan-build}" "${JOBS:=2}"
for tool in $TOOLS; do
    command -v "$tool" >/dev/null || { echo "no $tool: tools/packages static installs it" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
top_srcdir=$(cd "$top_srcdir" && pwd -P)
export top_srcdir

cd "$top_srcdir"
files=${FILES:-$(find artifact bench common ctl daemon import notify runner tests -name '*.c' | LC_ALL=C sort)}
cd "$OLDPWD"
# Largest first, so that no job waits at the end for one file.
files=$(cd "$top_srcdir" && ls -S $files tests/static/planted.c | uniq)
all=$(echo "$files" | wc -l)
status=0

# What one of several jobs does: FLAG… TOOL FILE.
for flag; do printf '%s\n' "$flag"; done | sed "s/'/'\\\\''/g; s/^/'/; s/\$/'/" | tr '\n' ' ' >"$work/flags"
cat >"$work/one" <<SH2
eval "set -- \$1 \$2 \$(cat '$work/flags')"
sh '$here/analyze.sh' "\$@" >"$work/found.\$\$" || exit 1
mv "$work/found.\$\$" "$work/\$1.\$(echo "\$2" | tr / _).found"
SH2
for tool in $TOOLS; do
    begin=$(date +%s)
    echo "$tool: $all files"
    (
        while sleep 20 >/dev/null 2>&1; do echo "$tool: $(ls "$work" | grep -c "^$tool\..*found\$") of $all"; done
    ) &
    ticker=$!
    echo "$files" | xargs -P "$JOBS" -n 1 sh "$work/one" "$tool" || { echo "$tool could not look at every file" >&2; status=1; }
    kill "$ticker"
    wait "$ticker" 2>/dev/null || :
    cat "$work/$tool".*.found | LC_ALL=C sort -u >"$work/$tool"
    grep -q "	tests/static/planted\.c	" "$work/$tool" || { echo "$tool does not see the fault of tests/static/planted.c" >&2; status=1; }
    echo "$tool: $(wc -l <"$work/$tool") findings in $(($(date +%s) - begin)) s"
done

for tool in $TOOLS; do cat "$work/$tool"; done | awk -F '\t' -v file="$here/exceptions" -v whole="${FILES:+no}" -v tools=" $TOOLS " '
    function key_of() { return $1 ", " $2 ", " $3 ", " $4 }
    BEGIN {
        while ((getline <file) > 0) {
            n++
            if ($0 !~ /^#|^$/ && index(tools, " " $1 " ")) line[key_of()] = n
        }
    }
    $2 == "tests/static/planted.c" { next }
    key_of() in line { used[key_of()] = 1; next }
    { print "found: " key_of() ": " $5; bad = 1 }
    END {
        for (key in line)
            if (!(key in used) && whole == "") {
                print "tests/static/exceptions:" line[key] ": explains nothing any more: " key
                bad = 1
            }
        exit bad
    }' || status=1
[ $status = 0 ] && echo "nothing that tests/static/exceptions does not explain"
exit $status
