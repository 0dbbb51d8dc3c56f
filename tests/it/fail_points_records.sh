#!/bin/sh
# bmd dies while it removes records of finished jobs, before and after the commit: whole records are gone or there, nothing twice, and the
# next walk takes what is left.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
command -v sqlite3 >/dev/null || SKIP "needs sqlite3"
begin
other; job=$(deploy first)
whole "$job" first
later() { bmctl deploy shop 1.0/1 --to production --at +1h --no-follow >/dev/null 2>&1 && bmctl cancel "$1" >/dev/null || FAIL "job $1"; }
rows() { sqlite3 "$HOME_DIR/copy.db" "$1"; }
# What is on disk now, as sqlite3 recovers it.
copy() {
    rm -f "$HOME_DIR"/copy.db*
    cp "$HOME_DIR/state/bmd.db" "$HOME_DIR/copy.db"
    [ ! -f "$HOME_DIR/state/bmd.db-wal" ] || cp "$HOME_DIR/state/bmd.db-wal" "$HOME_DIR/copy.db-wal"
}
last=$job
for point in records-removed commit-before commit-after; do
    configure 'keep-jobs = 0'
    expect 0 bmctl reload
    for i in $(seq 100); do last=$((last + 1)); later $last; done
    bmd_stop
    sqlite3 "$HOME_DIR/state/bmd.db" "DELETE FROM keys; DELETE FROM seals" || FAIL sqlite3
    bmd_start
    configure 'keep-jobs = 10'
    # The reload itself is a commit, and so are portions that find nothing.
    for n in 1 2 3 4; do
        copy; before=$(rows "SELECT count(*) FROM jobs")
        arm "$BMD" $point $n
        bmctl reload >/dev/null 2>&1
        retry dead || { rm -f "$BMD.fail"; break; }
        copy; after=$(rows "SELECT count(*) FROM jobs")
        [ "$after" -le "$before" ] || FAIL "$point: $before jobs, then $after"
        is "$point: records in parts" 0 "$(rows "SELECT count(*) FROM steps WHERE job NOT IN (SELECT id FROM jobs)")"
        is "$point: told of" "$(rows "SELECT count(*) FROM audit WHERE what = 'Prune'")" \
            "$(rows "SELECT count(DISTINCT text) FROM audit WHERE what = 'Prune'")"
        bmd_again $point
        expect 0 bmctl show "$job"
    done
    few() { [ "$(bmctl --json history -n 1000 | jq '.jobs | length')" = 11 ]; }
    retry few || FAIL "$point: $(bmctl --json history -n 1000 | jq '.jobs | length') records"
    is "$point: damage" "[]" "$(bmctl --json status | jq -c '[.problems[]?]')"
done
expect 0 bmctl audit verify
last=$((last + 1))
other; next=$(deploy last)
is "the next id" $last "$next"
whole "$next" last
bmd_stop
OK "whole records or none"
