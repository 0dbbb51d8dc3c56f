#!/bin/sh
# Timed verification: a pass that is due begins by itself, names what is damaged with its builds, survives a
# restart without beginning again, and is not repeated once it is whole.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
configure
bmd_start
for n in 1 2; do
    mkdir "$HOME_DIR/site$n"
    echo "page $n" >"$HOME_DIR/site$n/index.html"
    echo shared >"$HOME_DIR/site$n/shared"
    expect 0 bmctl build add app 1.0 "site=$HOME_DIR/site$n"
    expect 0 bmctl deploy app 1.0/$n --to production --now --wait
done
verification() { call GetStatus | jq -e ".parameters.verification | $1"; }
is "without the key" null "$(verification .)"
bmd_stop

# The key was never there: the first pass comes a span after it was seen.
configure 'verify-every = "1d"'
bmd_start
verification '.next != null and .last == null and .running == null and .every == "1d"' >/dev/null || FAIL "waits"
expect 0 bmctl status
prints "stored files: not verified yet; next "
bmd_stop
OK "the key"

# It is due at once with a span that has passed, also when bmd was down: one pass, then it waits.
flip=$(object "$HOME_DIR/site1/index.html")
chmod 644 "$flip"
printf X | dd of="$flip" bs=1 seek=0 conv=notrunc status=none
rm "$(object "$HOME_DIR/site2/shared")"
sqlite3 "$HOME_DIR/state/bmd.db" "UPDATE meta SET value = value - 2 * 86400000000 WHERE name = 'verify-since'; DELETE FROM seals"
bmd_start
retry verification '.last != null'
verification '.last.files == 4 and .last.damaged == 3 and .damaged and .running == null' >/dev/null ||
    { call GetStatus; FAIL "the first pass"; }
grep -q 'index.html of artifact site is damaged in the store: builds app 1.0/1; ' "$HOME_DIR/bmd.log" || FAIL "log: damaged"
is "lines of the shared one" 2 "$(grep -c 'shared of artifact site is missing in the store' "$HOME_DIR/bmd.log")"
expect 0 bmctl status
prints "stored files: 4 verified "
prints ", 3 damaged; next "
prints "damaged stored files"
expect 8 bmctl redeploy app 1.0/1 --to production --now
first=$(verification .last.began)
bmd_stop
bmd_start
is "not again after a restart" "$first" "$(verification .last.began)"
verification '.running == null' >/dev/null || FAIL "runs again"
OK "a pass is done once, and names what is damaged"

# Repaired files: the next pass takes the marks away and says so.
expect 0 bmctl build repair app 1.0/1 "site=$HOME_DIR/site1"
expect 0 bmctl build repair app 1.0/2 "site=$HOME_DIR/site2"
bmd_stop
sqlite3 "$HOME_DIR/state/bmd.db" "UPDATE meta SET value = value - 2 * 86400000000 WHERE name = 'verify-since'; DELETE FROM seals"
bmd_start
retry verification '.last.damaged == 0'
verification '.damaged | not' >/dev/null || FAIL "still damaged"
bmd_stop

# A pass that was interrupted behind the first manifest goes on with the second: two files are read, none twice.
# What is before the cursor was counted before.
first=$(sqlite3 "$HOME_DIR/state/bmd.db" "SELECT min(digest) FROM artifacts" | cut -c1-15)
began=$(($(date +%s) - 60))
sqlite3 "$HOME_DIR/state/bmd.db" "INSERT OR REPLACE INTO meta VALUES ('verify-began', ${began}000000), ('verify-files', 100),
    ('verify-cursor', $(printf %d "0x$first")), ('verify-damaged', 7); DELETE FROM seals"
bmd_start
retry verification '.last.files == 102'
verification '.last.damaged == 7' >/dev/null || FAIL "what was counted before"
OK "an interrupted pass goes on"

# Reload: without the key none is due, a new one counts from now on; nonsense stays out.
configure
expect 0 bmctl reload
is "switched off" null "$(verification .next)"
configure 'verify-every = "Sun 03:00"'
expect 0 bmctl reload
verification '.next | test("T0[0-9]:00:00")' >/dev/null || FAIL "next Sunday: $(verification .next)"
configure 'verify-every = "soon"'
expect 1 bmctl reload
says 'neither a span, such as 7d, nor a recurring time'
verification '.every == "Sun 03:00"' >/dev/null || FAIL "the running one stays"
OK "reload"

# Every second: passes come by themselves, and a helper that is killed costs nothing but time.
configure 'verify-every = "1s"'
expect 0 bmctl reload
retry verification '.last.files == 4'
seen=$(verification .last.began)
again() { [ "$(verification .last.began)" != "$seen" ]; }
retry again || FAIL "no second pass"
OK "by itself"
bmd_stop
