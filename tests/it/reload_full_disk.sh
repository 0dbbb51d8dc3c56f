#!/bin/sh
# A reload that a full disk refuses changes nothing: neither what is in force nor the schedules; nor does one by SIGHUP. With room
# again it is read as ever.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

mkdir "$HOME_DIR/state"
mount -t tmpfs -o size=8m,mode=711 tmpfs "$HOME_DIR/state" || SKIP "no tmpfs here"
at_exit "[ -z \"\$BMD_PID\" ] || kill -KILL \$BMD_PID; umount -l '$HOME_DIR/state'"
configure 'disk-reserve = "0B"' # requests come as far as their commit
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
    schedule "nightly" { build = "live"  to = "production"  on = "02:00" }
CONF
plan one <<'CONF'
    step "note" { run = 'true' }
CONF
bmd_start
expect 0 bmctl build add app 1.0
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
is "applications" app "$(bmctl --json status | jq -r '[.stages[].application] | join(" ")')"

dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
n=0
lock_refused() {
    n=$((n + 1))
    call Lock "{\"key\":\"f$n\",\"application\":\"app\",\"stage\":\"production\",\"reason\":\"$(head -c "$1" /dev/zero | tr '\0' x)\"}" | grep -q NoSpace
}
in_a_row() { for i in 1 2 3 4 5 6; do lock_refused 1 || return 1; done; }
retry lock_refused 3000 || FAIL "no change was ever refused"
retry in_a_row || FAIL "small changes are never refused"

# Another application, with a schedule of its own; the other's has gone.
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
application other <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
    schedule "weekly" { build = "live"  to = "production"  on = "sun 03:00" }
CONF
known() {
    is "$1: applications" "$2" "$(bmctl --json status | jq -r '[.stages[].application] | join(" ")')"
    is "$1: schedules" "$3" "$(bmctl --json schedule list | jq -r '[.schedules[].name] | join(" ")')"
}
expect 1 bmctl reload
known "refused" app nightly
! grep 'configuration read again' "$HOME_DIR/bmd.log" || FAIL "the log says that it was read"
kill -HUP "$BMD_PID"
hup_refused() { grep 'the configuration was not read again and the running one stays: no room' "$HOME_DIR/bmd.log"; }
retry hup_refused || FAIL "the log says nothing of the refused SIGHUP"
known "refused by SIGHUP" app nightly
! grep 'configuration read again' "$HOME_DIR/bmd.log" || FAIL "the log says that it was read"
OK "what was refused is not in force"

rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
known "with room" app nightly
expect 0 bmctl reload
known "read" "app other" weekly
rm "$HOME_DIR/etc/applications.d/other.conf"
kill -HUP "$BMD_PID"
gone() { [ "$(bmctl --json status | jq -r '[.stages[].application] | join(" ")')" = app ]; }
retry gone || FAIL "SIGHUP does nothing any more"
known "read by SIGHUP" app ""
is "told" 2 "$(grep -c 'configuration read again' "$HOME_DIR/bmd.log")"
bmd_stop
OK "with room it is read"
