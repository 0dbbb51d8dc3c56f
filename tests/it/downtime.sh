# What was due while bmd was down: a timed job within its grace still starts, one beyond it is missed, a --now job
# that waited longer than its grace is held, if that is known: after an orderly end to the moment, after a crash but for the time
# between two signs of life. And a lock ends by itself, at its time.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

in_future() { date -u -d "+$1" +%Y-%m-%dT%H:%M:%S.%6NZ; }
at() { ask Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"at\":\"$2\",\"grace_us\":$3,\"if_changed\":\"run\"}" .job.id; }
now() { ask Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"now\":true,\"grace_us\":$2}" .job.id; }
lock() { ask Lock "{\"key\":\"$1\",\"application\":\"shop\",\"stage\":\"production\",\"reason\":\"test\"${2:+,\"until\":\"$2\"}}" .stage.locked.by >/dev/null; }
alive() { sqlite3 "$HOME_DIR/state/bmd.db" "SELECT value FROM meta WHERE name = 'last_alive'"; }
kind() { ask GetJob "{\"job\":$1}" .job.waits_for.kind; }
run_ends_before() {
    rm -f "$HOME_DIR/go" "$HOME_DIR/began"
    job=$(deploy "run-$1")
    retry test -s "$HOME_DIR/began" || FAIL "the step did not begin"
    behind=$(now "behind-$1" 100000)
    is "behind a run" job "$(kind "$behind")"
    until=$(in_future "$1"seconds)
    lock "l-$1" "$until"
    : >"$HOME_DIR/go"
    is "the run" succeeded "$(ended "$job")"
    [ "$(kind "$behind")" = lock ] && return
    is "after the lock" succeeded "$(ended "$behind")"
    return 1
}
bmd_start
add_build
before_due run_ends_before
is "after the lock" succeeded "$(ended "$behind")"
started=$(ask GetJob "{\"job\":$behind}" .job.started)
[ "$started" \> "$until" ] || FAIL "it started at $started, before the lock ended at $until"

locked_before() {
    due=$(in_future "$1"seconds)
    late=$(at "late-$1" "$due" 1)
    good=$(at "good-$1" "$due" 3600000000)
    lock "m-$1"
    in_state "$late" scheduled && in_state "$good" scheduled && return
    ask Unlock "{\"key\":\"n-$1\",\"application\":\"shop\",\"stage\":\"production\"}" .stage.locked >/dev/null
    ended "$late"
    is "a try" succeeded "$(ended "$good")"
    return 1
}
before_due locked_before
bmd_kill
passed() { [ "$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)" \> "$due" ]; }
retry passed
bmd_start
is "beyond its grace" missed "$(ended "$late")"
is "within its grace" queued "$(state "$good")"
ask Unlock '{"key":"n","application":"shop","stage":"production"}' .stage.locked >/dev/null
is "within its grace" succeeded "$(ended "$good")"

rm "$HOME_DIR/go" "$HOME_DIR/began"
job=$(deploy again)
retry test -s "$HOME_DIR/began" || FAIL "the step did not begin"
short=$(now short 100000)
long=$(now long 3600000000)
last=$(date +%s%6N)
bmd_stop
[ "$(alive)" -ge "$last" ] || FAIL "its last commit does not say when it ended"
due=$(in_future 1second)
retry passed
bmd_start
is "a --now job over a stop" held "$(ended "$short")"

# What was killed may have lived for two minutes behind its last commit.
crashed=$(now crashed 1000000)
bmd_kill
due=$(in_future 2seconds)
retry passed
bmd_start
is "over a crash, and nobody knows how long it was" queued "$(state "$crashed")"
older=$(now older 100000000)
bmd_kill
sqlite3 "$HOME_DIR/state/bmd.db" "UPDATE meta SET value = value - 200000000 WHERE name = 'last_alive'; DELETE FROM seals" || FAIL "sqlite3"
rm "$HOME_DIR/state/bmd.db.last" # it knows better
bmd_start
is "less than its grace is known" queued "$(state "$older")"
is "more than its grace is known" held "$(ended "$crashed")"
: >"$HOME_DIR/go"
is "one with a longer grace" succeeded "$(ended "$long")"
is "one that might have slept" succeeded "$(ended "$older")"
bmd_stop
OK "what was due while bmd was down is started, missed or held"
