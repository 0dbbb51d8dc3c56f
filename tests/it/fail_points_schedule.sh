# A schedule, and a bmd that dies before and after each commit between one occurrence and the next: never two jobs of one
# occurrence, never two that wait, no run twice, and none lost: what is missing passed while bmd was down or a job waited.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
application clock <<CONF
    stages = {"testing"}
    stage "testing" { plan = "note"  on-failure = "continue" }
CONF
plan note <<CONF
    step "note" { run = 'echo "\$BM_JOB" >>$HOME_DIR/noted' }
CONF
: >"$HOME_DIR/noted"
bmd_start
bmctl build add clock 1.0 >/dev/null 2>&1 || FAIL "build add"
expect 0 bmctl schedule add clock 1.0 --to testing --on '*-*-* *:*:0/2'
jobs() { bmctl --json history clock -n 10000 | jq -r '.jobs[]' | jq -s "$1"; }
waiting() { bmctl --json queue clock | jq '[.jobs[] | select(.state != "running")] | length'; }
more() { [ "$(wc -l <"$HOME_DIR/noted")" -gt "$1" ]; }
for point in commit-before commit-after; do
    for n in 1 2 3 4; do
        arm "$BMD" "$point" $n
        retry hit "$BMD" || FAIL "$point $n is not hit"
        retry dead || FAIL "bmd did not die at $point $n"
        before=$(wc -l <"$HOME_DIR/noted")
        bmd_again "$point $n"
        [ "$(waiting)" -le 1 ] || FAIL "$point $n: two jobs wait"
        retry more "$before" || FAIL "$point $n: nothing comes any more"
    done
done
expect 0 bmctl schedule pause 1
quiet() { [ "$(bmctl --json queue clock | jq '.jobs | length')" = 0 ]; }
retry quiet || FAIL "jobs of a paused schedule"
is "jobs of one occurrence" 0 "$(jobs '[.[] | select(.state != "cancelled") | .due] | length - (unique | length)')"
is "states" '["succeeded"]' "$(jobs '[.[] | select(.state != "cancelled") | .state] | unique' | jq -c .)"
is "runs, once each" "$(jobs '[.[] | select(.state == "succeeded")] | length')" "$(wc -l <"$HOME_DIR/noted")"
is "runs, once each" "$(wc -l <"$HOME_DIR/noted")" "$(sort -u "$HOME_DIR/noted" | wc -l)"
# Job, due, start, in seconds, by due time; what lies between two was folded into one of them.
jobs '[.[] | select(.state == "succeeded")] | sort_by(.due)' | jq -r '.[] |
    [.id, (.due[0:19] + "Z" | fromdate), (.started[0:19] + "Z" | fromdate)] | @tsv' >"$HOME_DIR/line"
last=
while read -r id due started; do
    if [ -n "$last" ] && [ $((due - last)) -gt 2 ] && [ "$began" -lt $((due - 2)) ] &&
        ! grep -q "job $id: .* occurrences this is the last" "$HOME_DIR/bmd.log"; then
        cat "$HOME_DIR/line"
        FAIL "between $last and job $id an occurrence was lost"
    fi
    last=$due began=$started
done <"$HOME_DIR/line"
[ "$(wc -l <"$HOME_DIR/line")" -ge 8 ] || FAIL "too few occurrences"
bmd_stop
OK "a schedule survives each commit: no occurrence twice, none lost"
