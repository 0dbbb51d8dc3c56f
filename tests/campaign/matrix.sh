#!/bin/sh
# Users × methods × places, asked of a real bmd by real users: see matrix.c and tests/matrix.h.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
[ "$(id -u)" = 0 ] || SKIP "several users need root (unit/test_reach asks the gate itself)"
matrix=$top_builddir/tests/campaign/matrix
configure "$("$matrix" --conf)"
bmd_start
for place in open:live shop:testing shop:production zqhide:zqlive; do
    app=${place%:*} stage=${place#*:}
    bmctl build show "$app" 1.0/1 >/dev/null 2>&1 || expect 0 bmctl build add "$app" 1.0
    expect 0 bmctl --json deploy "$app" 1.0/1 --to "$stage" --now --no-follow
    job=$(jq .job.id "$HOME_DIR/out")
    expect 0 bmctl wait "$job"
    jobs="${jobs:-} $job"
    schedules="${schedules:-} $(bmctl --json schedule list | jq ".schedules[] | select(.application == \"$app\" and .stage == \"$stage\") | .id")"
done
rows() { sqlite3 "$HOME_DIR/state/bmd.db" "$1"; }
before=$(bmctl --json audit -n 1 | jq '.rows[0].id')
"$matrix" "$BMD_SOCKET" $jobs $schedules >"$HOME_DIR/matrix" || { cat "$HOME_DIR/matrix"; FAIL "see above"; }
OK "$(tail -n 1 "$HOME_DIR/matrix")"
bmd_stop
# Each change that was asked for is a row that was done, or counted in one of those that were refused.
if command -v sqlite3 >/dev/null; then
    sed -n 's/^audit //p' "$HOME_DIR/matrix" >"$HOME_DIR/tallies"
    while read -r uid done refused; do
        is "what $uid did, and what was refused to it" "$done|$refused" \
            "$(rows "SELECT count(CASE WHEN refused = 0 THEN 1 END), coalesce(sum(refused), 0) FROM audit WHERE id > $before AND uid = $uid")"
        total=$((${total:-0} + done + refused))
    done <"$HOME_DIR/tallies"
    OK "$total changes that were asked for are all in the audit"
else
    echo "skipped: no sqlite3 to count rows of the audit"
fi
