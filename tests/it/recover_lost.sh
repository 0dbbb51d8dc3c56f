# bmd and bmd-run are both killed: the job is lost, and the stage stays occupied until a human settles it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

begin_run
pid=$(run_pid "$job")
step=$(cat /proc/"$pid"/task/*/children)
grep -q . /proc/self/cgroup && [ -n "$(jq -r '.cgroup // ""' "$HOME_DIR/state/runs/$job/started")" ] && CGROUP=1 || CGROUP=
bmd_kill
kill -KILL "$pid"
at_exit "for p in $step; do kill_tree \$p; done"
bmd_start
# Where the steps had a cgroup, bmd knows when it is empty and waits for that; else nobody knows.
if [ -n "$CGROUP" ]; then
    is "while processes are left" running "$(state "$job")"
    for p in $step; do kill_tree "$p"; done
    is "its end" lost "$(ended "$job")"
else
    is "its end" lost "$(ended "$job")"
    is "occupied by" "$job" "$(ask GetStatus '{}' '.stages[0].occupied_by')"
    next=$(deploy again)
    is "the next job waits" queued "$(state "$next")"
    for p in $step; do kill_tree "$p"; done
    is "settled" null "$(ask Settle '{"key":"s","application":"shop","stage":"production","reason":"looked"}' '.stage.occupied_by')"
    : >"$HOME_DIR/go"
    in_line() { in_state "$next" succeeded || { in_state "$next" held && call Release "{\"key\":\"r\",\"job\":$next}"; false; }; }
    retry in_line || FAIL "the stage is not free after settle: $(state "$next")"
fi
is "starts of the first run" lost "$(state "$job")"
bmd_stop
OK "what nobody knows is lost, and the stage is kept"
