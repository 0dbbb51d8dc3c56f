# What every whole-program test begins with: a private folder, a configuration, a real bmd.
#
#   . "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
#   application shop <<CONF … CONF      plan web <<'CONF' … CONF
#   bmd_start; bmctl …; bmd_stop
#
# One script, one behaviour. A test ends by itself at its end (0), by FAIL (1) or by SKIP (77); nothing is
# waited for by the clock: `retry` asks again until it holds, `bmctl wait` blocks.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
PATH=$top_builddir/ctl:$top_builddir/daemon:$PATH
HOME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/bmd-test.XXXXXX") || exit 99
chmod 755 "$HOME_DIR"
BMD_SOCKET=$HOME_DIR/control
BMD_CONF=$HOME_DIR/etc/bmd.conf
TZ=Europe/Berlin
unset NO_COLOR 2>/dev/null
export PATH BMD_SOCKET TZ
umask 022
BMD_PID=
AT_EXIT=
FAILED=0

OK() { echo "ok: $*"; }
FAIL() {
    echo "FAIL: $*"
    [ ! -f "$HOME_DIR/bmd.log" ] || { echo "--- bmd.log"; tail -n 60 "$HOME_DIR/bmd.log"; }
    exit 1
}
SKIP() { echo "skipped: $*"; exit 77; }
at_exit() { AT_EXIT="$*; $AT_EXIT"; }
# Pids of the bmd-run of every run folder that is still theirs: the folder's lock is open there.
run_pids() {
    for claim in "$HOME_DIR"/state/runs/*/started; do
        [ -f "$claim" ] || continue
        pid=$(jq -r .pid "$claim" 2>/dev/null) || continue
        [ -d "/proc/$pid" ] && ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF "${claim%started}lock" && echo "$pid"
    done
}
# kill_tree PID: it and all below it, one by one.
kill_tree() {
    below=$(cat /proc/"$1"/task/*/children 2>/dev/null)
    kill -KILL "$1" 2>/dev/null
    for child in $below; do kill_tree "$child"; done
}
# end_run PID: a bmd-run, which kills what its steps are; a fork bomb is not to be killed one by one.
end_run() {
    tries=0
    while [ -d "/proc/$1" ] && [ $tries -lt 50 ]; do
        kill -TERM "$1" 2>/dev/null && kill -CONT "$1" 2>/dev/null # the second TERM waits for no grace
        tries=$((tries + 1))
        sleep 0.1
    done
    kill_tree "$1"
}
finish() {
    status=$?
    trap - EXIT
    eval "$AT_EXIT"
    [ -z "$BMD_PID" ] || { kill -KILL "$BMD_PID" 2>/dev/null; wait "$BMD_PID" 2>/dev/null; }
    # What a test killed bmd over may still run: nothing of this folder's outlives the test.
    for pid in $(run_pids); do end_run "$pid"; done
    rm -rf "$HOME_DIR"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# retry COMMAND…: asks again for up to 15 s until it succeeds.
retry() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || return 1
        sleep 0.05
    done
}

# before_due FUNCTION [ARGUMENT…]: calls FUNCTION SECONDS [ARGUMENT…], which asks for a job so far ahead and does something before
# it is due; it answers 1 when that took longer, undoes it, and is called again with more.
before_due() {
    try=$1
    shift
    for ahead in 2 6 18 54; do
        "$try" $ahead "$@" && return
    done
    FAIL "not within a minute: $try"
}

# call METHOD [PARAMETERS [OTHER]]: one call by socat; prints its replies, a line each. OTHER: '"more":true'.
call() {
    printf '{"method":"io.bmd.Control.%s","parameters":%s%s}\0' "$1" "${2:-{\}}" "${3:+,$3}" |
        socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n'
}
# ask METHOD PARAMETERS FILTER: the same, as jq reads the parameters of the (last) reply.
ask() { call "$1" "$2" | tail -n 1 | jq -r ".parameters | $3"; }
# state JOB: its state by the protocol. in_state JOB STATE: for retry.
state() { ask GetJob "{\"job\":$1}" .job.state; }
in_state() { [ "$(state "$1")" = "$2" ]; }

# expect CODE COMMAND…: runs it, keeps its output in $HOME_DIR/out and err, and compares the exit code.
expect() {
    want=$1
    shift
    "$@" >"$HOME_DIR/out" 2>"$HOME_DIR/err"
    got=$?
    [ "$got" = "$want" ] || {
        cat "$HOME_DIR/out" "$HOME_DIR/err"
        FAIL "exit code $got instead of $want: $*"
    }
}
# says TEXT: the error output of the last expect holds it; prints TEXT: its standard output does.
says() { grep -qF -- "$1" "$HOME_DIR/err" || { cat "$HOME_DIR/err"; FAIL "nothing says: $1"; }; }
prints() { grep -qF -- "$1" "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "nothing prints: $1"; }; }
# is WHAT EXPECTED GOT
is() { [ "$2" = "$3" ] || FAIL "$1: expected '$2', got '$3'"; }
# job ID KEY: one value of a job, as JSON text without quotes.
job() { bmctl --json show "$1" | jq -r ".job.$2"; }
# new COMMAND…: a verb that asks for a job and is not to follow it; prints the job's number.
new() { "$@" --json --no-follow >"$HOME_DIR/new" || { cat "$HOME_DIR/new"; FAIL "$*"; }; jq -r .job.id "$HOME_DIR/new"; }
# object FILE: where the store has its content.
object() {
    sum=$(sha256sum <"$1" | cut -c1-64)
    echo "$HOME_DIR/state/store/objects/$(echo "$sum" | cut -c1-2)/$(echo "$sum" | cut -c3-)"
}
# live APP STAGE: "1.0.2/3", or "null/null".
live() { bmctl --json status "$1" | jq -r ".stages[] | select(.stage == \"$2\") | .live | \"\(.release)/\(.build)\""; }

# configure [LINE…]: the main file, with lines of the test's own; called by bmd_start if the test did not.
configure() {
    mkdir -p "$HOME_DIR/etc/applications.d" "$HOME_DIR/etc/plans.d"
    {
        echo "state-directory = \"$HOME_DIR/state\""
        echo "socket = \"$BMD_SOCKET\""
        echo 'launcher = "fork"'
        [ "$(id -u)" != 0 ] || echo 'user = "root"'
        for line; do echo "$line"; done
    } >"$BMD_CONF"
}
application() {
    mkdir -p "$HOME_DIR/etc/applications.d" "$HOME_DIR/etc/plans.d"
    { echo "application \"$1\" {"; cat; echo "}"; } >"$HOME_DIR/etc/applications.d/$1.conf"
}
plan() {
    mkdir -p "$HOME_DIR/etc/applications.d" "$HOME_DIR/etc/plans.d"
    { echo "plan \"$1\" {"; cat; echo "}"; } >"$HOME_DIR/etc/plans.d/$1.conf"
}
# own_programs [campaign]: bmd, bmd-run and bmd-import as copies in $HOME_DIR/tree, for a test that puts something else in the place
# of one of them; or those of tests/campaign, which die where they are told to.
own_programs() {
    for program in daemon/bmd runner/bmd-run import/bmd-import; do
        mkdir -p "$HOME_DIR/tree/${program%/*}"
        if [ "${1:-}" = campaign ]; then from=tests/campaign/${program##*/}; else from=$program; fi
        cp "$top_builddir/$from" "$HOME_DIR/tree/$program"
    done
    PATH=$HOME_DIR/tree/daemon:$PATH
}
bmd_start() {
    [ -f "$BMD_CONF" ] || configure
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    bmd_answers() { ! kill -0 "$BMD_PID" 2>/dev/null || call GetStatus | grep -q parameters; }
    retry bmd_answers && kill -0 "$BMD_PID" 2>/dev/null || FAIL "bmd did not start"
}
bmd_stop() {
    kill "$BMD_PID"
    wait "$BMD_PID"
    is "exit code of bmd" 0 $?
    BMD_PID=
}
bmd_kill() {
    kill -KILL "$BMD_PID"
    wait "$BMD_PID" 2>/dev/null
    BMD_PID=
}
