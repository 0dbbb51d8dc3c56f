#!/bin/sh
# Configuration while bmd runs: reload is all or nothing, status shows files that changed, a run whose stage or plan
# is not what bmd read is held and says what to do; and at the start only a broken bmd.conf refuses.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
other() {
    application other <<CONF
    stages = {"production"}
    stage "production" { plan = "second" }
CONF
    plan second <<'CONF'
    step "note" { run = 'true' }
CONF
}
app() {
    application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one"  variables = {"WORD=$1"} }
CONF
    plan one <<CONF
    step "note" { run = 'echo "\$WORD" >>$HOME_DIR/notes' }
CONF
}
noted() { is "the last note" "$1" "$(tail -n 1 "$HOME_DIR/notes")"; }
app first
other
bmd_start
for a in app other; do expect 0 bmctl build add $a 1.0; expect 0 bmctl build add $a 1.0; done
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
noted first
expect 0 bmctl status
! grep -q 'changed' "$HOME_DIR/out" || FAIL "status shows a change that is none"

# Changed, not reloaded: shown, and the run is held; another application's runs go on.
app second
expect 0 bmctl status
prints app.conf
expect 8 bmctl deploy app 1.0/2 --to production --now --wait
id=$(bmctl --json queue app | jq '.jobs[0].id')
is state held "$(job "$id" state)"
bmctl show "$id" | grep -qF "bmctl reload, then bmctl release $id" || FAIL "nothing says what to do"
noted first
expect 0 bmctl deploy other 1.0/1 --to production --now --wait
expect 0 bmctl reload
expect 0 bmctl status
! grep -q 'app.conf' "$HOME_DIR/out" || FAIL "status shows a change that was read"
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
noted second
OK "a change that was not read yet"

# A change of something else, or of white space, holds nothing.
app second
printf '\n# a comment\n' >>"$HOME_DIR/etc/plans.d/one.conf"
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
expect 0 bmctl reload

# All or nothing: a mistake anywhere, and everything stays.
app third
echo 'plan "broken" { step "x" { exec = {"true"} run = "true" } }' >"$HOME_DIR/etc/plans.d/broken.conf"
expect 1 bmctl reload
says "broken.conf:1:"
expect 8 bmctl deploy app 1.0/2 --to production --now --wait # its variables differ on disk
id=$(bmctl --json queue app | jq '.jobs[0].id')
rm "$HOME_DIR/etc/plans.d/broken.conf"
expect 0 bmctl reload
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
noted third
OK "reload is all or nothing"

# Its own file is broken when it comes to start.
echo 'nonsense' >>"$HOME_DIR/etc/applications.d/app.conf"
expect 8 bmctl deploy app 1.0/1 --to production --now --wait
id=$(bmctl --json queue app | jq '.jobs[0].id')
expect 1 bmctl reload
says "app.conf:"
expect 0 bmctl deploy other 1.0/2 --to production --now --wait
app third
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
OK "a file that broke after it was read"

# An application that goes with a reload: its jobs stay visible, and are held when they come to start.
gone_before_due() {
    id=$(bmctl --json deploy other 1.0/1 --to production --at +"$1"s | jq .job.id)
    mv "$HOME_DIR/etc/applications.d/other.conf" "$HOME_DIR/other.conf"
    expect 0 bmctl reload
    in_state "$id" scheduled && return
    mv "$HOME_DIR/other.conf" "$HOME_DIR/etc/applications.d/other.conf"
    expect 0 bmctl reload
    bmctl cancel "$id"
    bmctl wait "$id"
    return 1
}
before_due gone_before_due
expect 8 bmctl wait "$id"
expect 0 bmctl queue
prints other
mv "$HOME_DIR/other.conf" "$HOME_DIR/etc/applications.d/other.conf"
expect 0 bmctl reload
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
OK "an application that went and came back"
bmd_stop

# At the start: a broken application is out, loudly, the rest runs.
app third
echo 'application "other" { stages = {"production"}' >"$HOME_DIR/etc/applications.d/other.conf"
: >"$HOME_DIR/bmd.log"
bmd_start
grep -q 'other.conf:[0-9]*: ' "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
expect 0 bmctl status
prints other
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
expect 3 bmctl deploy other 1.0/1 --to production --now --wait
says other
expect 1 bmctl check
other
expect 0 bmctl reload
expect 0 bmctl deploy other 1.0/2 --to production --now --wait
bmd_stop
echo 'max-running = "many"' >>"$BMD_CONF"
expect 1 bmd -c "$BMD_CONF"
says "bmd.conf:"
sed -i '$d' "$BMD_CONF"
chmod g+w "$HOME_DIR/etc/applications.d/app.conf"
expect 1 bmd -n -c "$BMD_CONF"
says app.conf
expect 1 bmctl check "$BMD_CONF"
prints app.conf
chmod 644 "$HOME_DIR/etc/applications.d/app.conf"
chmod o+w "$BMD_CONF"
expect 1 bmd -c "$BMD_CONF"
says bmd.conf
chmod 644 "$BMD_CONF"
expect 0 bmd -n -c "$BMD_CONF"
OK "at the start"
