# What was committed last of all is missed, whatever took it away: bmd starts, says so, and behaves as after a restore. And it is not
# missed when nothing is gone.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
application shop <<'CONF'
    stages = {"production"}
    stage "production" { plan = "steps" }
CONF
plan steps <<'CONF'
    step "one" { run = 'true' }
CONF
DB=$HOME_DIR/state/bmd.db
lost() { bmctl --json status | jq -r '.warnings[]' | grep -q 'bmd.db is older than its last commit'; }
fine() { lost && FAIL "$1: something is missed"; is "$1: the job" scheduled "$(job "$JOB" state)"; }
missed() { lost || FAIL "$1: nothing is missed"; is "$1: the job" held "$(job "$JOB" state)"; }
# later: the last commit is a request.
later() {
    JOB=$(bmctl --json deploy shop 1.0/1 --to production --at "+$1h" | jq .job.id)
    is "the job" scheduled "$(job "$JOB" state)"
}

bmd_start
expect 0 bmctl build add shop 1.0
later 1
bmd_stop; bmd_start; fine "a stop"
for n in 1 2 3 4 5; do bmctl lock shop production --reason "$n" >/dev/null 2>&1; bmd_kill; bmd_start; fine "a kill"; done
if command -v sqlite3 >/dev/null; then
    bmd_kill
    sqlite3 "$DB" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    bmd_start
    fine "another program that writes the -wal into the database"
fi
bmd_stop
rm "$DB.last"
bmd_start; fine "without its mark"
bmctl unlock shop production >/dev/null 2>&1
OK "nothing is missed where nothing is gone"

# A stop, so that the -wal begins anew: all that is in it afterwards is what follows.
bmd_stop; bmd_start
bmctl build add shop 1.1 >/dev/null 2>&1
bmd_kill
# The last frame of the -wal: one page and its head.
printf 'rotten' | dd of="$DB-wal" bs=1 seek=$(($(stat -c %s "$DB-wal") - 2000)) conv=notrunc 2>/dev/null
bmd_start; missed "a last commit that rotted"
is "the build of the last commit" 0 "$(bmctl --json build list shop --release 1.1 | jq '.builds | length')"
OK "a last commit that rotted"

bmctl release "$JOB" >/dev/null 2>&1 || FAIL "the job cannot be released"
bmd_stop; bmd_start; fine "once it was looked at"
bmctl build add shop 1.2 >/dev/null 2>&1
bmd_kill
rm "$DB-wal"
bmd_start; missed "a -wal that was removed"
OK "a -wal that was removed"

bmctl release "$JOB" >/dev/null 2>&1 || FAIL "the job cannot be released"
bmd_stop
cp -p "$DB" "$HOME_DIR/older"
bmd_start; fine "once it was looked at"
bmctl build add shop 1.3 >/dev/null 2>&1
bmd_stop
cp -p "$HOME_DIR/older" "$DB"
bmd_start; missed "an older copy"
bmd_stop
OK "an older copy"
# A new database has nothing to miss.
rm "$DB"
bmd_start
! lost || FAIL "a new database misses something"
bmd_stop
OK "a new database"
