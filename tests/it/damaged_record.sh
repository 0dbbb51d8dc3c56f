# Records that changed on disk: of what is over they are reported and block only the default build of their stage, until settle;
# of what is not over they refuse the start.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v sqlite3 >/dev/null || SKIP "sqlite3 is not installed"

application shop <<'CONF'
    stages = {"testing", "production"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" }
CONF
plan web <<'CONF'
    step "one" { exec = {"true"} }
CONF
db=$HOME_DIR/state/bmd.db
rot() { sqlite3 "$db" "$1" || FAIL "sqlite3: $1"; }
bmd_start
bmctl build add shop 1.0 >/dev/null
bmctl build add shop 1.1 >/dev/null
for stage in testing production; do
    bmctl deploy shop 1.0/1 --to $stage --now --wait >/dev/null 2>&1 # jobs 1 and 3
    bmctl deploy shop 1.1/1 --to $stage --now --wait >/dev/null 2>&1 # jobs 2 and 4
done
bmctl deploy shop 1.0/1 --to testing --at "tomorrow 02:00" >/dev/null
bmd_stop
cp "$db" "$HOME_DIR/good.db"

# A changed row of a final job.
rot "UPDATE jobs SET reason = 'another', finished_us = finished_us + 1 WHERE id = 3"
bmd_start
grep -q "the record of job 3 changed on disk" "$HOME_DIR/bmd.log" || FAIL "the log does not name job 3"
is "show" "the record of job 3 changed on disk" "$(job 3 damaged)"
is "show of another" null "$(job 4 damaged)"
expect 0 bmctl show 3
prints "changed on disk"
expect 0 bmctl status shop
prints "bmctl settle shop production BUILD --reason TEXT"
expect 3 bmctl redeploy shop --now --no-follow
says "the record of job 3 changed on disk"
is "previous good" null "$(bmctl --json status shop | jq -r '.stages[] | select(.stage == "production") | .previous_good')"
is "of the other stage" 1.0 "$(bmctl --json status shop | jq -r '.stages[] | select(.stage == "testing") | .previous_good.release')"
expect 0 bmctl redeploy shop 1.0/1 --to production --now --wait
bmd_stop
bmd_start
expect 3 bmctl redeploy shop --now --no-follow
expect 0 bmctl settle shop production 1.1/1 --reason "looked"
is "after settle" 1.0 "$(bmctl --json status shop | jq -r '.stages[] | select(.stage == "production") | .previous_good.release')"
expect 0 bmctl redeploy shop --now --wait
is "for ever" "the record of job 3 changed on disk" "$(job 3 damaged)"
bmd_stop
bmd_start
is "after another start" 0 "$(bmctl --json status shop | jq '[.warnings[] | select(test("changed on disk"))] | length')"
bmd_stop

# A row that is gone is named as well; a state that became another one starts nothing.
cp "$HOME_DIR/good.db" "$db"
rot "PRAGMA foreign_keys = OFF; DELETE FROM jobs WHERE id = 4; UPDATE jobs SET state = 'queued' WHERE id = 2"
bmd_start
grep -q "the record of job 4 is gone" "$HOME_DIR/bmd.log" || FAIL "the log does not name job 4"
is "a final job whose state became queued" lost "$(state 2)"
expect 3 bmctl redeploy shop --to testing --now --no-follow
bmd_stop

# What decides what will happen refuses the start.
for change in "UPDATE jobs SET due_us = 1 WHERE id = 5" "UPDATE jobs SET final = 1, state = 'failed' WHERE id = 5" \
    "DELETE FROM jobs WHERE id = 5" "UPDATE stack SET number = 2" "DELETE FROM stack WHERE position = 1" \
    "UPDATE builds SET rejected = 1" "UPDATE jobs SET stage = 'testing' WHERE id = 3" "UPDATE keys SET reply = '{}'" \
    "INSERT INTO stages VALUES ('shop', 'testing', NULL, NULL, 0, 0, 1, 0, 0, 0)" "DROP INDEX jobs_queued"; do
    cp "$HOME_DIR/good.db" "$db"
    rot "PRAGMA foreign_keys = OFF; $change"
    expect 1 bmd -c "$BMD_CONF"
    says "bmd.db is damaged"
done
OK "a record that changed on disk is found, and answered from by nobody"
