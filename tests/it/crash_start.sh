#!/bin/sh
# bmd is killed while it makes its database, and while it brings one of version 1 to its own tables, as it enters a call that
# changes files: the next start goes on as if that had been the first, all that was there is there, and of version 1 stays a
# copy. Here each rename, and every STRIDE-th of the other calls from FIRST on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

STRIDE=${STRIDE:-29} FIRST=${FIRST:-3}
CHANGES=write,pwrite64,fsync,fdatasync,ftruncate,fallocate,unlink
STATE=$HOME_DIR/state
strace -qq -o /dev/null true 2>/dev/null || SKIP "strace cannot trace here"
configure
application shop <<'CONF'
    stages = {"production"}
    stage "production" { plan = "web" }
CONF
plan web <<'CONF'
    step "it" { run = "true" }
CONF

# killed CALLS N: bmd begins and is killed as it enters the Nth of these calls; false when it came to answer instead.
killed() {
    strace -f -qq -o "$HOME_DIR/trace" -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" \
        bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    tracer=$!
    ended_or_answers() { ! kill -0 $tracer 2>/dev/null || call GetStatus | grep -q parameters; }
    retry ended_or_answers || FAIL "bmd neither dies nor answers"
    ! kill -0 $tracer 2>/dev/null || {
        kill "$(cat /proc/$tracer/task/*/children)"
        wait $tracer
        return 1
    }
    wait $tracer 2>/dev/null
    grep -q 'killed by SIGKILL' "$HOME_DIR/trace" || FAIL "bmd ended without being killed"
}
fresh() { rm -rf "$STATE"; }
fresh_is() { is "$1: copies" "" "$(ls "$STATE" | grep version)"; }
old() {
    rm -rf "$STATE"
    mkdir -m 711 "$STATE"
    sqlite3 "$STATE/bmd.db" <"$top_srcdir/tests/unit/version-1.sql" && chmod 600 "$STATE/bmd.db"
}
old_is() {
    is "$1: builds" 3 "$(bmctl --json build list shop | jq '.builds | length')"
    is "$1: the copy" 1 "$(sqlite3 "$STATE/bmd.db.version-1" 'PRAGMA user_version')"
}
# each KIND CALLS FIRST STRIDE
each() {
    n=$3 times=0
    while "$1" && killed "$2" "$n"; do
        times=$((times + 1))
        bmd_start
        "$1_is" "$1, call $n of $2"
        is "$1, call $n of $2: what is half" "" "$(ls "$STATE" | grep 'new$')"
        bmd_stop
        n=$((n + $4))
    done
    [ $times -gt 0 ] || FAIL "$1: never killed at $2"
    OK "$1: killed $times times, up to call $n of $2"
}
for kind in fresh old; do
    each $kind rename 1 1
    each $kind $CHANGES "$FIRST" "$STRIDE"
done
