#!/bin/sh
# The audit: a row for each change that was asked for, allowed or refused; refusals of a minute together; a chain that tells of each row that
# was edited, removed, moved or cut, and, by a head that was noted elsewhere, of one that was written anew.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v sqlite3 >/dev/null || SKIP "no sqlite3"
[ "$(id -u)" = 0 ] && AS_NOBODY="setpriv --reuid 65534 --regid 65534 --clear-groups" || AS_NOBODY=

application shop <<'CONF'
    stages = {"testing", "production"}
    keep-builds = 50
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" }
CONF
application blog <<'CONF'
    stages = {"live"}
    stage "live" { plan = "web" }
CONF
plan web <<'CONF'
    step "one" { run = 'true' }
CONF
bmd_start
row() { bmctl --json audit -n 1000 | jq -r ".rows[] | select($1) | $2"; }
db=$HOME_DIR/state/bmd.db

# ---- what is a row, and what is none
expect 0 bmctl build add shop 1.0 --reason 'first one'
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 0 bmctl lock shop production --reason freeze
expect 8 bmctl deploy shop 1.0/1 --to production --now --no-follow
expect 0 bmctl unlock shop production --reason thaw
expect 0 bmctl deploy shop 1.0/1 --to production --at +1h --reason "night"
expect 0 bmctl cancel 2 --reason "not needed"
expect 0 bmctl deploy shop 1.0/1 --to production --now --dry-run
expect 0 bmctl reload
expect 0 bmctl build add blog 7
is "the rows, oldest first" "AddBuild Deploy Lock Deploy Unlock Deploy Cancel Reload AddBuild" \
    "$(bmctl --json audit | jq -r '[.rows[].method] | reverse | join(" ")')"
is "a reason" "1.0/1: first one" "$(row '.id == 1' .text)"
is "who" "$(id -un) $(id -u)" "$(row '.id == 1' '"\(.by) \(.uid)"')"
is "a refusal" "shop production 1 Refused" "$(row '.refused > 0' '"\(.application) \(.stage) \(.refused) \(.error)"')"
is "the job of a cancel" "shop production 2 not needed" \
    "$(row '.method == "Cancel"' '"\(.application) \(.stage) \(.job) \(.text | sub(".*: "; ""))"')"
row '.method == "Lock"' .text | grep -q 'freeze$' || FAIL "the reason of the lock"
# A key that is asked again does nothing again.
key="{\"key\":\"again\",\"application\":\"shop\",\"stage\":\"testing\",\"reason\":\"x\"}"
call Lock "$key" >/dev/null
call Lock "$key" >/dev/null
is "rows of one key" 1 "$(row '.method == "Lock" and .stage == "testing"' .id | wc -l)"
OK "each change is a row"

# ---- what takes long is one row as well
mkdir "$HOME_DIR/site"
echo hello >"$HOME_DIR/site/file"
long() { # METHODS VERB…: these rows, and no other, are new
    wanted=$1; shift
    newest=$(row true .id | head -n 1)
    expect 0 bmctl "$@"
    is "rows of $*" "$wanted" "$(row ".id > $newest and .refused == 0" .method | tac | tr '\n' ' ' | sed 's/ $//')"
}
long "Upload AddBuild" build add shop 2.0 site="$HOME_DIR/site"
long "Backup" backup
long "CollectBuilds SweepStore" gc
long "" build verify
OK "what takes long is one row"

# ---- shown
expect 0 bmctl audit shop --stage production -n 2
prints Cancel
is "filtered by application" 1 "$(bmctl --json audit blog | jq '.rows | length')"
is "by what was refused" 1 "$(bmctl --json audit --refused | jq '.rows | length')"
is "by time" 0 "$(call ListAudit '{"since":"2099-01-01T00:00:00.000000Z"}' | jq '.parameters.rows | length')"
is "pages" "9 8 7" "$(ask ListAudit '{"limit":3,"after":"10"}' '[.rows[].id] | join(" ")')"
expect 3 bmctl audit nosuch
OK "shown"

# ---- refusals of a minute are counted together
for i in $(seq 40); do printf '{"method":"io.bmd.Control.Unlock","parameters":{"key":"k%s","application":"none%s","stage":"x"}}\0' "$i" "$i"; done |
    socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | grep -c NoSuchApplication >"$HOME_DIR/refused"
is "refused" 40 "$(cat "$HOME_DIR/refused")"
if [ -n "$AS_NOBODY" ]; then
    for i in $(seq 30); do printf '{"method":"io.bmd.Control.Cancel","parameters":{"key":"k%s","job":1}}\0' "$i"; done |
        $AS_NOBODY socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | grep -c PermissionDenied >"$HOME_DIR/refused"
    is "denied" 30 "$(cat "$HOME_DIR/refused")"
    is "the first is a row at once" "1 PermissionDenied shop testing" \
        "$(row '.uid == 65534' '"\(.refused) \(.error) \(.application) \(.stage)"')"
fi

# ---- a signal is a change as well: a row if it was followed, and one if it was refused
kill -HUP "$BMD_PID"
hangups() { [ "$(row '.by == "SIGHUP"' .id | wc -l)" = "$1" ]; }
retry hangups 1 || FAIL "a reload by SIGHUP is no row"
is "who, of a signal" "SIGHUP Reload 0" "$(row '.by == "SIGHUP"' '"\(.by) \(.method) \(.refused)"')"
echo nonsense >"$HOME_DIR/etc/applications.d/broken.conf"
kill -HUP "$BMD_PID"
retry hangups 2 || FAIL "a refused reload by SIGHUP is no row"
is "a refused one" "Reload ConfigurationError" "$(row '.by == "SIGHUP" and .refused == 1' '"\(.method) \(.error)"')"
row '.by == "SIGHUP" and .refused == 1' .text | grep -q 'broken.conf:1:' || FAIL "it does not say why"
said=$(grep -c 'was not read again' "$HOME_DIR/bmd.log")
again() { [ "$(grep -c 'was not read again' "$HOME_DIR/bmd.log")" -gt "$said" ]; }
kill -HUP "$BMD_PID"
retry again || FAIL "the second one is not refused"
rm "$HOME_DIR/etc/applications.d/broken.conf"
OK "reloads by SIGHUP"
bmd_stop
is "those of the same minute, counted" "SIGHUP 1" \
    "$(sqlite3 "$db" "SELECT who || ' ' || refused FROM audit WHERE who IN ('SIGHUP', 'others') ORDER BY id DESC LIMIT 1")"
grep -o 'audit head: row [0-9]* [0-9a-f]*' "$HOME_DIR/bmd.log" | tail -n 1 >"$HOME_DIR/noted"
noted=$(sed 's/.* //' "$HOME_DIR/noted")
total=$(sqlite3 "$db" 'SELECT count(*) FROM audit')
is "the head in the log is the last row" "audit head: row $total $(sqlite3 "$db" "SELECT hash FROM audit WHERE id = $total")" "$(cat "$HOME_DIR/noted")"
is "the refusals of root" 41 "$(sqlite3 "$db" "SELECT sum(refused) FROM audit WHERE uid = $(id -u)")"
[ -z "$AS_NOBODY" ] || is "those of nobody, in two rows" "2|30" "$(sqlite3 "$db" "SELECT count(*), sum(refused) FROM audit WHERE uid = 65534")"
OK "refusals are counted together"

# ---- the hash can be reckoned by others
net() { if [ "$1" = - ]; then printf -- '-,'; else printf '%s:%s,' "$(printf %s "$1" | wc -c)" "$1"; fi; }
before=0000000000000000000000000000000000000000000000000000000000000000
for id in 1 2 3; do
    got=$({
        printf %s "$before"
        for column in id at_us uid who what application stage job refused error text; do
            net "$(sqlite3 "$db" "SELECT coalesce($column, '-') FROM audit WHERE id = $id")"
        done
    } | sha256sum | cut -d' ' -f1)
    before=$(sqlite3 "$db" "SELECT hash FROM audit WHERE id = $id")
    is "the hash of row $id" "$before" "$got"
done
OK "the hash is as the manual says"

# ---- what was done to the rows is found
cp "$db" "$HOME_DIR/whole.db"
put_back() { cp "$HOME_DIR/whole.db" "$db" && rm -f "$db.last"; } # which knows of later commits
verify() { # WHAT ROW SQL…: changed while bmd is down, ROW is named
    put_back
    sqlite3 "$db" "$3; DELETE FROM seals" || FAIL "sqlite3: $3"
    bmd_start
    expect 1 bmctl audit verify
    says "row $2 of the audit is wrong"
    [ "${4:-}" != told ] || grep -q 'does not end where bmd left it' "$HOME_DIR/bmd.log" || FAIL "the log does not tell of it: $1"
    # What comes later does not mend it.
    expect 0 bmctl lock blog live --reason later
    expect 1 bmctl audit verify
    says "row $2 of the audit is wrong"
    bmd_stop
}
verify "an edited text" 3 "UPDATE audit SET text = 'thaw' WHERE id = 3"
verify "an edited uid" 1 "UPDATE audit SET uid = 12345 WHERE id = 1"
verify "a moved boundary" 3 "UPDATE audit SET application = 'shopp', stage = 'roduction' WHERE id = 3"
verify "a removed row" 4 "DELETE FROM audit WHERE id = 4"
verify "two rows exchanged" 3 "UPDATE audit SET id = 100000 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 100000"
verify "a removed row, the rest moved up" 4 "DELETE FROM audit WHERE id = 4; UPDATE audit SET id = id - 1 WHERE id > 4"
verify "the last row cut" "$total" "DELETE FROM audit WHERE id = $total" told
verify "all cut" 1 "DELETE FROM audit" told
verify "a row added" $((total + 1)) "INSERT INTO audit (at_us, uid, who, what, hash) VALUES (1, 0, 'root', 'Deploy', '$before')" told
OK "edited, removed, moved, cut and added rows are found"

# A chain that is cut with its end written anew is whole by itself: only a head that was noted elsewhere tells.
put_back
sqlite3 "$db" "DELETE FROM audit WHERE id > 3; UPDATE audit_head SET id = 3, hash = '$before'; DELETE FROM seals"
bmd_start
expect 0 bmctl audit verify
expect 1 bmctl audit verify --head "$noted"
says "written anew"
bmd_stop
put_back
bmd_start
expect 0 bmctl audit verify --head "$noted"
prints "is row $total"
is "in JSON" "$total $total null" "$(bmctl --json audit verify --head "$noted" | jq -r '"\(.rows) \(.noted) \(.bad)"')"
expect 2 bmctl audit verify --head 12
bmd_stop
OK "a chain written anew is told by a head that was noted"
