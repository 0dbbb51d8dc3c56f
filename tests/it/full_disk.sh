#!/bin/sh
# A full disk refuses changes with a clear sentence, keeps answering, loses nothing, and is over when there is room
# again. The state lies on a small file system of its own, in a mount namespace of this test's.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

mkdir "$HOME_DIR/state"
mount -t tmpfs -o size=8m,mode=711 tmpfs "$HOME_DIR/state" || SKIP "no tmpfs here"
at_exit "[ -z \"\$BMD_PID\" ] || kill -KILL \$BMD_PID; umount -l '$HOME_DIR/state'"
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
plan one <<CONF
    step "gate" { run = 'while test -e $HOME_DIR/gate; do sleep 0.05; done' }
CONF
bmd_start
for n in 1 2; do
    bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"
    expect 0 bmctl deploy app 1.0/$n --to production --now --wait
done
touch "$HOME_DIR/gate"
expect 0 bmctl redeploy --now --no-follow --json
id=$(jq .job.id "$HOME_DIR/out")
running() { [ "$(job "$id" state)" = running ]; }
retry running || FAIL "it does not run"

dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
while echo more >>"$HOME_DIR/state/filler2" 2>/dev/null && head -c 4096 /dev/zero >>"$HOME_DIR/state/filler2" 2>/dev/null; do :; done
# A commit may still fit into room that the database has; in the end one is refused.
refused() {
    bmctl deploy app 1.0/1 --to production --at +5h --no-follow >"$HOME_DIR/out" 2>"$HOME_DIR/err" && return 1
    grep -qiE 'space|full' "$HOME_DIR/err"
}
retry refused || { cat "$HOME_DIR/err"; FAIL "a full disk is not refused as such"; }
head -c 300000 /dev/urandom >"$HOME_DIR/blob"
expect 1 bmctl build add app 1.1 "blob=$HOME_DIR/blob"
# Whatever turn a question falls into, it is answered.
for i in 1 2 3 4 5; do
    expect 0 bmctl status
    expect 0 bmctl history app
done
# Also those that come with changes, in one packet and so in the very turn whose commit fails: the changes are refused,
# what is no message says so, and the questions are answered by what is.
tomorrow=$(TZ=UTC date -d +1day +%Y-%m-%dT%H:%M:%S.000000Z)
for i in $(seq 20); do
    deploy='{"method":"io.bmd.Control.Deploy","parameters":{"key":"full-%s","application":"app","release":"1.0","build":1,"stage":"production","at":"%s","reason":"full"}}\0'
    printf "$deploy"'{"method":"io.bmd.Control.GetJob","parameters":{"job":%s}}\0nonsense\0'"$deploy"'{"method":"io.bmd.Control.Wait","parameters":{"jobs":[1]},"more":true}\0' \
        "$i-a" "$tomorrow" "$id" "$i-b" "$tomorrow" | socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' >"$HOME_DIR/replies"
    is "replies" 5 "$(wc -l <"$HOME_DIR/replies")"
    is "the question" running "$(sed -n 2p "$HOME_DIR/replies" | jq -r .parameters.job.state)"
    is "no message" org.varlink.service.InvalidParameter "$(sed -n 3p "$HOME_DIR/replies" | jq -r .error)"
    is "the stream" succeeded "$(sed -n 5p "$HOME_DIR/replies" | jq -r .parameters.job.state)"
    sed -n '1p;4p' "$HOME_DIR/replies" | jq -r '.error // "accepted"' >>"$HOME_DIR/changes"
done
grep -qx io.bmd.Control.NoSpace "$HOME_DIR/changes" || FAIL "no change was refused: $(sort "$HOME_DIR/changes" | uniq -c)"
! grep -vx -e io.bmd.Control.NoSpace -e accepted "$HOME_DIR/changes" || FAIL "refused for another reason"
OK "refused, and still answering"

# A reload by SIGHUP as well: what the audit cannot tell of is not done.
application other <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
kill -HUP "$BMD_PID"
unread() { grep -q 'error: no space for new requests' "$HOME_DIR/bmd.log"; }
retry unread || { cat "$HOME_DIR/bmd.log"; FAIL "a reload by SIGHUP is not refused"; }
bmctl --json status other >"$HOME_DIR/out" 2>/dev/null && FAIL "it was read again without a row of the audit"
OK "a reload that the audit could not tell of"

# The run ends while the disk is full: its result waits in the run folder.
rm "$HOME_DIR/gate"
rm -f "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
expect 0 bmctl wait "$id"
is live 1.0/1 "$(live app production)"
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
OK "room again: the result is recorded, and work goes on"
bmd_stop
