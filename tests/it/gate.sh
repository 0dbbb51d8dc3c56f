#!/bin/sh
# A socket that systemd made is a gate before bmd's rules. Who is kept out is told which group is let in; whom the configuration names and the
# gate keeps out stands in status and in the log, with what to type; so does a socket that is elsewhere than the configuration says. A bmd that
# does not come up is no silence: whoever waits at a terminal is told.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
[ "$(id -u)" = 0 ] || SKIP "a socket of another group needs root"
for program in systemd-socket-activate setpriv script; do command -v $program >/dev/null || SKIP "no $program"; done
for group in daemon bin; do getent group $group >/dev/null || SKIP "no group $group"; done
application shop <<'CONF'
    stages = {"testing"}
    viewers = {"user:games"}
    stage "testing" { plan = "one"  approvers = {"bin"} }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
configure 'operators = {"daemon"}' 'viewers = {"no-such-group"}'
# given PATH MODE: bmd with a socket at PATH, of the group daemon.
given() {
    systemd-socket-activate -E PATH -E TZ -l "$1" "$top_builddir/daemon/bmd" -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry test -S "$1" || FAIL "no socket"
    chgrp daemon "$1"
    chmod "$2" "$1"
    retry bmctl -s "$1" status || FAIL "bmd does not answer at $1"
}
kept_out() { bmctl -s "$1" --json status | jq -r '.warnings[]'; }
given "$BMD_SOCKET" 0660
is "whom the gate keeps out" "the group bin, which approvers names
the user games, which viewers names" "$(kept_out "$BMD_SOCKET" | sed -n 's/^the socket .* keeps out \(.* names\): .*SocketMode=0666.*systemctl edit bmd.socket.*/\1/p' | sort)"
grep -q 'warning: the socket .* keeps out the user games, which viewers names' "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
grep -q ' 1 application, 1 plan, listening on ' "$HOME_DIR/bmd.log" || FAIL "the log counts wrongly"
expect 4 setpriv --reuid games --regid games --clear-groups "$top_builddir/ctl/bmctl" status
says "not permitted to ask bmd at $BMD_SOCKET: it lets in the group daemon (usermod -aG daemon games, as root; then games has to log in again)"
expect 0 setpriv --reuid games --regid daemon --clear-groups "$top_builddir/ctl/bmctl" status
# What is opened keeps nobody out, from the next reload on.
chmod 666 "$BMD_SOCKET"
expect 0 bmctl reload
is "with an open gate" "" "$(kept_out "$BMD_SOCKET")"
expect 0 setpriv --reuid games --regid games --clear-groups "$top_builddir/ctl/bmctl" status
bmd_stop
OK "who is kept out, and what opens it"

: >"$HOME_DIR/bmd.log"
rm -f "$BMD_SOCKET"
given "$HOME_DIR/elsewhere" 0666
grep -q "listening on $HOME_DIR/elsewhere" "$HOME_DIR/bmd.log" || FAIL "the log names another socket"
kept_out "$HOME_DIR/elsewhere" | grep -q "^bmd listens at $HOME_DIR/elsewhere, where systemd made its socket, and not at socket = \"$BMD_SOCKET\"" ||
    FAIL "status does not say where bmd listens: $(kept_out "$HOME_DIR/elsewhere")"
bmd_stop
OK "a socket elsewhere than the configuration says"

# A socket that nobody serves, as when a broken bmd.conf lets bmd not start.
systemd-socket-activate -l "$BMD_SOCKET" sleep 1000 2>/dev/null &
BMD_PID=$!
retry test -S "$BMD_SOCKET" || FAIL "no socket"
{ script -qec "timeout 6 bmctl status" /dev/null </dev/null; } >"$HOME_DIR/terminal" 2>&1
grep -q "bmd at $BMD_SOCKET has not answered yet, waiting (is it starting? systemctl status bmd)" "$HOME_DIR/terminal" ||
    { cat "$HOME_DIR/terminal"; FAIL "whoever waits is not told for what"; }
expect 124 timeout 5 bmctl status
is "what a script gets meanwhile" "" "$(cat "$HOME_DIR/out" "$HOME_DIR/err")"
OK "whoever waits is told"
