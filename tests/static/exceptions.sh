#!/bin/sh
# The short form of `make check-static`: what tests/static/exceptions explains is still there (each file, and each function in it), has a reason, and
# stands there once; and each check that .clang-tidy leaves out has its reason there.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
cd "$top_srcdir" || exit 99
bad=0
wrong() { echo "tests/static/exceptions:$1: $2"; bad=1; }

n=0
while IFS= read -r line; do
    n=$((n + 1))
    case $line in '' | '#'*) continue ;; esac
    IFS='	' read -r tool file function check reason <<LINE
$line
LINE
    case " gcc clang-tidy cppcheck scan-build " in
    *" $tool "*) ;;
    *) wrong $n "no such tool: $tool" ;;
    esac
    [ "$(printf '%s' "$line" | tr -cd '\t' | wc -c)" = 4 ] || wrong $n "TOOL, FILE, FUNCTION, CHECK and REASON with a tab between each"
    [ -f "$file" ] || { wrong $n "no such file: $file"; continue; }
    [ "$function" = - ] || grep -qE "^(START_TEST\()?$function(\(|\))" "$file" || wrong $n "no function $function in $file"
    [ "$(printf '%s\n' "$reason" | wc -w)" -ge 3 ] || wrong $n "no reason"
done <tests/static/exceptions
again=$(grep -v '^#' tests/static/exceptions | cut -f 1-4 | LC_ALL=C sort | uniq -d)
[ -z "$again" ] || { echo "tests/static/exceptions: twice: $again"; bad=1; }

for file in .clang-tidy tests/.clang-tidy; do
    for check in $(sed -n "s/^[^#]*[ ']-\([a-z][a-z0-9-]*[*]\{0,1\}\).*/\1/p" $file); do
        grep -qF "# $check: " $file || { echo "$file: no reason why $check is off"; bad=1; }
    done
done
[ $bad = 0 ] && echo "ok: $(grep -vc '^#' tests/static/exceptions) exceptions, each of something that is there"
exit $bad
