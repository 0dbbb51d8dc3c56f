#!/bin/sh
# bmctl -H over a real sshd on loopback: requests, uploads, following, Ctrl-C, exit codes, and hosts that are none. The sshd, its keys and
# the configuration of ssh are the test's own.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/ssh.sh"

for key in forced strange lacking; do new_key $key; done
{
    cat "$keys/plain.pub"
    printf 'restrict,command="%s -s %s bridge" ' "$BMCTL" "$BMD_SOCKET"
    cat "$keys/forced.pub"
    printf 'restrict,command="no-such-bmctl bridge" '
    cat "$keys/lacking.pub"
} >"$keys/authorized"
printf '[127.0.0.1]:%s %s\n' "$port" "$(cat "$keys/strange.pub")" >"$keys/known-other"
{
    host web plain "UserKnownHostsFile $keys/known" "RemoteCommand echo no"
    host forced forced "UserKnownHostsFile $keys/known"
    host stranger strange "UserKnownHostsFile $keys/known"
    host impostor plain "UserKnownHostsFile $keys/known-other"
    host nobody plain "UserKnownHostsFile $keys/known" "Port 1"
    host lacking lacking "UserKnownHostsFile $keys/known"
} >>"$keys/config"

application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/srv"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
    step "go"    { run = 'echo begun; while [ -e $ROOT/hold ]; do sleep 0.05; done; test ! -e $ROOT/bad' }
CONF
bmd_start
mkdir -p "$HOME_DIR/site/deep" "$HOME_DIR/srv"
head -c 3000000 /dev/urandom >"$HOME_DIR/site/big"
echo one >"$HOME_DIR/site/deep/index"
chmod +x "$HOME_DIR/site/deep/index"

# The socket at the far end is named, or is the one of its environment; that of this machine is not sent along.
there="-s $BMD_SOCKET"
SOCKET=$BMD_SOCKET
export BMD_SOCKET=/nowhere/at/all
expect 0 bmctl -H web $there version
prints "bmd $(bmctl --version | cut -d' ' -f2) at web"
expect 0 bmctl -H forced version
is "what is asked for a far end" "bmctl bridge -s $SOCKET" "$(sed -n '2s/.*-- web //p' "$HOME_DIR/sshs")"
expect 0 bmctl -H forced status shop
BMD_HOST=forced expect 0 bmctl status shop
BMD_HOST=forced expect 5 bmctl -H '' status shop
says /nowhere/at/all
OK "asked"

# What CI does: a build goes up, is deployed, and the exit code tells.
expect 0 bmctl -H forced build add shop 1.0 "site=$HOME_DIR/site"
is "answer" "shop 1.0/1" "$(cat "$HOME_DIR/out")"
tar -C "$HOME_DIR/site" -czf "$HOME_DIR/site.tar.gz" .
expect 0 bmctl -H web $there build add shop 1.0 --number 1 "site=$HOME_DIR/site.tar.gz"
is "the same again" "shop 1.0/1" "$(cat "$HOME_DIR/out")"
expect 0 bmctl -H forced deploy shop 1.0/1 --to production --now --wait
cmp "$HOME_DIR/site/big" "$HOME_DIR/srv/current/big" || FAIL "other bytes than were sent"
is "who asked" "$me" "$(bmctl -H forced --json show 1 | jq -r .job.requested_by)"
expect 0 bmctl -H forced build add shop 1.1 "site=$HOME_DIR/site"
touch "$HOME_DIR/srv/bad"
expect 1 bmctl -H forced deploy shop 1.1/1 --to production --now --wait
rm "$HOME_DIR/srv/bad"
expect 0 bmctl -H forced redeploy --now --follow
prints 'go | begun'
expect 3 bmctl -H forced show 4711
expect 2 bmctl -H forced deploy shop 1.0/1 --to production
expect 8 bmctl -H forced build add shop 1.0 --number 1
OK "uploaded, deployed, followed"

# What can be typed names the machine; with $BMD_HOST it need not.
expect 0 bmctl -H forced redeploy shop 1.0/1 --at +1h
prints 'undo: bmctl -H forced cancel'
undo=$(sed -n 's/^undo: //p' "$HOME_DIR/out")
expect 0 sh -c "$undo"
BMD_HOST=forced expect 0 bmctl redeploy shop 1.0/1 --at +1h
prints 'undo: bmctl cancel'
BMD_HOST=forced expect 0 sh -c "$(sed -n 's/^undo: //p' "$HOME_DIR/out")"
OK "what is printed can be typed"

# Ctrl-C detaches, the run goes on: the whole foreground group gets the signal, as from a terminal.
touch "$HOME_DIR/srv/hold"
rm -f "$HOME_DIR/sshs"
setsid bmctl -H forced redeploy shop 1.0/1 --now --follow >"$HOME_DIR/followed" 2>&1 &
client=$!
begun() { grep -q 'go | begun' "$HOME_DIR/followed"; }
retry begun || { cat "$HOME_DIR/followed"; FAIL "nothing is followed"; }
# A background job of a shell that is no terminal ignores SIGINT; bmctl waits with a handler of its own.
kill -INT "-$client"
wait $client
is "exit code of Ctrl-C" 130 $?
client=
grep -q "detached: job [0-9]* goes on: bmctl -H forced wait" "$HOME_DIR/followed" || { cat "$HOME_DIR/followed"; FAIL "nothing says that it detached"; }
job=$(bmctl -H forced --json queue | jq .jobs[0].id)
is "the run" running "$(bmctl -H forced --json show "$job" | jq -r .job.state)"
expect 7 bmctl -H forced wait "$job" --timeout 1s
rm "$HOME_DIR/srv/hold"
expect 0 bmctl -H forced wait "$job"
gone() { for pid in $(cut -d' ' -f1 "$HOME_DIR/sshs"); do kill -0 "$pid" 2>/dev/null && return 1; done; true; }
retry gone || FAIL "an ssh was left behind"
bridges() { ! pgrep -f "^$BMCTL -s $SOCKET bridge" >/dev/null && ! pgrep -f "bmctl bridge -s $SOCKET" >/dev/null; }
retry bridges || FAIL "a bridge was left behind"
OK "detached by Ctrl-C"

# Who does not get there: 5 when nobody is reached, 4 when somebody refuses.
expect 5 bmctl -H nobody status
says 'cannot reach nobody: connect to host'
expect 5 bmctl -H no.such.host.invalid status
says 'cannot reach no.such.host.invalid'
expect 4 bmctl -H stranger status
says 'stranger refuses'
says 'Permission denied'
expect 4 bmctl -H impostor status
says 'Host key verification failed'
expect 5 bmctl -H web -s "$HOME_DIR/no-such" status
says "cannot reach bmd at web: cannot reach bmd at $HOME_DIR/no-such"
expect 5 bmctl -H lacking status
says 'bmctl has to be installed there'
expect 5 env PATH="${BMCTL%/*}" bmctl -H web status
says 'ssh cannot be started'
bmctl -H stranger --json status 2>/dev/null | jq -e '.error == "org.varlink.service.PermissionDenied"' >/dev/null || FAIL "--json tells no error"
bmd_stop
expect 5 bmctl -H forced redeploy shop 1.0/1 --now
grep -q "may have been accepted" "$HOME_DIR/err" && FAIL "what was never sent cannot have been accepted"
BMD_SOCKET=$SOCKET
bmd_start
BMD_SOCKET=/nowhere/at/all
OK "exit codes"

# Nothing that is given as a host is an option of ssh, or a word of a shell.
for bad in -oProxyCommand=true -v --help 'a b' 'web;id' '$(id)' 'ana@-v' '@web' 'ana@' 'a/b' 'ssh://-v' "web
x"; do
    rm -f "$HOME_DIR/sshs"
    expect 2 bmctl "--host=$bad" status
    BMD_HOST=$bad expect 2 bmctl status
    [ ! -e "$HOME_DIR/sshs" ] || FAIL "ssh was started for $bad"
done
expect 2 bmctl -H -v status
expect 0 bmctl -H "ssh://$me@forced:$port" version
expect 2 bmctl -H forced check /etc/hostname
says 'a file of this machine'
OK "hosts that are none"

# The bridge itself: the end of its input is passed on, the answer still comes, and both ways hold more than a buffer.
export BMD_SOCKET=$SOCKET
one='{"method":"io.bmd.Control.GetStatus"}'
is "an answer after the end of the input" shop "$(printf '%s\0' "$one" | bmctl bridge | tr '\0' '\n' | jq -r .parameters.stages[0].application)"
is "through two" shop "$(printf '%s\0' "$one" | bmctl -H forced bridge | tr '\0' '\n' | jq -r .parameters.stages[0].application)"
# A client of others, where there is one: the protocol over the bridge is the protocol.
if command -v varlinkctl >/dev/null; then
    varlinkctl call "$SOCKET" io.bmd.Control.GetStatus '{}' | grep -q '"stages"' || FAIL "varlinkctl is not answered"
    varlinkctl info "$SOCKET" | grep -q io.bmd.Control || FAIL "varlinkctl finds no interface"
    if varlinkctl --help | grep -q ssh-exec; then
        PATH=$HOME_DIR/bin:$PATH varlinkctl call "ssh-exec:forced:bmctl bridge" io.bmd.Control.GetStatus '{}' | grep -q '"stages"' ||
            FAIL "varlinkctl is not answered over the bridge"
    fi
else
    echo "skipped: varlinkctl is not here"
fi
n=3000
i=0
while [ $i -lt $n ]; do printf '%s\0' "$one"; i=$((i + 1)); done >"$HOME_DIR/many"
is "answers of many calls" $n "$(bmctl bridge <"$HOME_DIR/many" | tr -cd '\0' | wc -c)"
# A reader that has gone ends it, also while it only waits.
mkfifo "$HOME_DIR/silent"
exec 9<>"$HOME_DIR/silent"
timeout 10 sh -c 'bmctl bridge; echo $? >'"$HOME_DIR/code" <"$HOME_DIR/silent" | true
ended() { [ -s "$HOME_DIR/code" ]; }
retry ended || FAIL "the bridge waits for a reader that has gone"
exec 9>&-
OK "the bridge"
bmd_stop
