# bmd-import dies while it gives a backup its place: there is a whole one, the old or the new. bmd dies while it takes one that was
# restored: whenever that is, in the end all is held, once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin
expect 0 bmctl deploy shop 1.0/1 --to production --at +5h --no-follow
expect 0 bmctl backup
whole_backup() {
    [ -s "$HOME_DIR/state/backup/bmd.db.backup" ] && [ -d "$HOME_DIR/state/backup/store/objects" ] || FAIL "$1: no whole backup"
}
for point in backup-linked backup-synced backup-named; do
    arm "$IMPORT" $point
    bmctl backup >/dev/null 2>&1 && FAIL "$point: a backup that was killed succeeded"
    hit "$IMPORT" || FAIL "the point $point was not passed"
    whole_backup $point
    expect 0 bmctl backup
    whole_backup "after $point"
    [ ! -e "$HOME_DIR/state/backup.new" ] || FAIL "$point: something half is left"
done
cp -rL "$HOME_DIR/state/backup" "$HOME_DIR/elsewhere"
bmd_stop
OK "a backup that is killed"

mv "$HOME_DIR/state/runs" "$HOME_DIR/runs"
for point in restore-named restore-before restore-after recover-before commit-before; do
    rm -rf "$HOME_DIR/state"
    cp -r "$HOME_DIR/elsewhere" "$HOME_DIR/state"
    cp -r "$HOME_DIR/runs" "$HOME_DIR/state/runs"
    arm "$BMD" $point
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    bmd_again $point
    is "$point: the queue" held "$(ask ListQueue '{}' '[.jobs[].state] | unique | join(" ")')"
    is "$point: who restored" 1 "$(ask ListAudit '{"limit":1000}' '[.rows[] | select(.method == "Restore")] | length')"
    bmd_stop
done
OK "a restore that is killed"
