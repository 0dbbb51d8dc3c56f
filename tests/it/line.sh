#!/bin/sh
# The line of a stage and the slots over all: due time and then id, --now is not first, max-running, one run a stage; and
# what grace does: a timed job that waits too long is missed, a held one never, release begins it again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure 'max-running = 2'
application app <<CONF
    stages = {"a", "b", "c"}
    stage "a" { plan = "one" }
    stage "b" { plan = "one" }
    stage "c" { plan = "one" }
CONF
plan one <<CONF
    step "gate" { run = 'echo "\$BM_STAGE \$BM_JOB" >>$HOME_DIR/order; while test -e "$HOME_DIR/gate-\$BM_STAGE"; do sleep 0.02; done' }
CONF
: >"$HOME_DIR/order"
bmd_start
expect 0 bmctl build add app 1.0
expect 0 bmctl build add app 1.0
in_kind() { [ "$(job "$1" waits_for.kind)" = "$2" ]; }
put() { new bmctl deploy app 1.0/1 --to "$@" --if-changed run; }
touch "$HOME_DIR/gate-a" "$HOME_DIR/gate-b" "$HOME_DIR/gate-c"
a=$(put a --now)
b=$(put b --now)
retry in_state "$a" running && retry in_state "$b" running || FAIL "two do not run"
c=$(put c --now)
retry in_kind "$c" slot || FAIL "the third waits for $(job "$c" waits_for.kind)"
is "shown as" queued "$(job "$c" state)"
# In the line of a: a timed job whose time has come before another was asked for goes first.
timed=$(put a --at +1s)
retry in_state "$timed" queued || FAIL "it is not due"
last=$(put a --now)
middle=$(put a --now)
is "behind it" job "$(job "$timed" waits_for.kind)"
lost=$(put a --at +1s --grace 1s)
slow=$(put c --at +1s --grace 1s)
expect 6 bmctl wait "$lost" "$slow"
is "beyond its grace behind a run" missed "$(job "$lost" state)"
is "beyond its grace behind the slots" missed "$(job "$slow" state)"
is "lateness is known" true "$(bmctl --json show "$lost" | jq '.job.message | test("grace")')"
is "a --now job is never missed" queued "$(job "$c" state)"
rm "$HOME_DIR/gate-a" "$HOME_DIR/gate-b" "$HOME_DIR/gate-c"
expect 0 bmctl wait "$a" "$b" "$c" "$timed" "$last" "$middle"
is "the order" "$a $timed $last $middle" "$(echo $(sed -n 's/^a //p' "$HOME_DIR/order"))"
OK "the line and the slots"

# Held: never missed. Released: its grace begins again.
rejected_before() {
    id=$(new bmctl deploy app 1.0/2 --to b --at +"$1"s --grace 1s)
    expect 0 bmctl build reject app 1.0/2 --reason "a test"
    case $(state "$id") in scheduled|held) return ;; esac
    expect 0 bmctl build restore app 1.0/2
    bmctl cancel "$id"
    bmctl wait "$id"
    return 1
}
before_due rejected_before
expect 8 bmctl wait "$id"
due=$(job "$id" due)
past() { [ "$(date -u -d '3 seconds ago' +%Y-%m-%dT%H:%M:%S)" \> "$due" ]; }
retry past || FAIL "time stands still"
is "long after its grace" held "$(job "$id" state)"
expect 0 bmctl build restore app 1.0/2
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
expect 8 bmctl release "$id"
expect 8 bmctl cancel "$id"
is "a final state stays" succeeded "$(job "$id" state)"
OK "held is never missed"
bmd_stop
