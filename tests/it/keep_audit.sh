#!/bin/sh
# keep-audit: as rows are added the oldest go, a row Cut says up to which, and the chain is good from there; a start finds nothing to say.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v jq >/dev/null || SKIP "needs jq"
configure 'keep-audit = "1s"'
application shop <<'CONF'
    stages = {"live"}
    stage "live" { plan = "one" }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
bmd_start
# Rows until some of them are a second old, and 64 more.
cut() { bmctl --json audit -n 100 | jq -e '[.rows[] | select(.method == "Cut")] | length > 0' >/dev/null; }
n=0
until [ $((n % 20)) = 0 ] && [ $n -gt 0 ] && cut; do
    [ $n -lt 5000 ] || FAIL "nothing is cut"
    n=$((n + 1))
    bmctl lock shop live --reason "lock $n" >/dev/null || FAIL "lock"
    bmctl unlock shop live >/dev/null || FAIL "unlock"
done
first=$(bmctl --json audit -n 100000 | jq '[.rows[].id] | min')
[ "$first" -gt 100 ] || FAIL "the first row is $first"
expect 0 bmctl audit verify
bmd_stop
bmd_start
is "damage" "[]" "$(bmctl --json status | jq -c '[.problems[]?]')"
expect 0 bmctl audit verify
bmd_stop
OK "the oldest rows go, after $n locks"
