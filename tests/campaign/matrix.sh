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
"$matrix" "$BMD_SOCKET" $jobs $schedules >"$HOME_DIR/matrix" || { cat "$HOME_DIR/matrix"; FAIL "see above"; }
OK "$(tail -n 1 "$HOME_DIR/matrix")"
bmd_stop
