#!/bin/sh
# For tests that go over ssh, behind lib.sh: a real sshd on loopback at $port with keys and a configuration of the test's own, and an
# ssh in $PATH that reads $keys/config, where host() adds machines. Its account is the one that runs the test. $SSHD_ENV: more of the
# environment at the far end.
SSHD=$(command -v sshd || command -v /usr/sbin/sshd) || SKIP "sshd is missing (package openssh-server)"
for program in ssh ssh-keygen socat; do command -v $program >/dev/null || SKIP "$program is missing"; done

BMCTL=$(command -v bmctl)
me=$(id -un)
keys=$HOME_DIR/ssh
mkdir -m 700 "$keys"
new_key() { ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$keys/$1" || FAIL "ssh-keygen"; }
new_key host
new_key plain
cp "$keys/plain.pub" "$keys/authorized"
if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
    mkdir -m 755 /run/sshd || SKIP "/run/sshd cannot be made, which sshd wants"
fi
# A port that is free now; another is taken if somebody was faster.
serve() {
    for port in 22022 22122 22222 22322; do
        port=$((port + $$ % 97))
        cat >"$keys/sshd_config" <<CONF
ListenAddress 127.0.0.1
Port $port
HostKey $keys/host
AuthorizedKeysFile $keys/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH=${BMCTL%/*}:/usr/bin:/bin ${SSHD_ENV:-}
CONF
        "$SSHD" -D -e -f "$keys/sshd_config" >"$keys/log" 2>&1 &
        SERVER=$!
        listens() { grep -q "listening on 127" "$keys/log" || ! kill -0 $SERVER 2>/dev/null; }
        retry listens
        kill -0 $SERVER 2>/dev/null && return
    done
    cat "$keys/log"
    SKIP "sshd does not start"
}
SERVER=
client=
at_exit 'kill $SERVER $client 2>/dev/null'
serve
printf '[127.0.0.1]:%s %s\n' "$port" "$(cat "$keys/host.pub")" >"$keys/known"
# host NAME KEY [LINE…]
host() {
    printf 'Host %s\n HostName 127.0.0.1\n User %s\n IdentityFile %s\n' "$1" "$me" "$keys/$2"
    printf ' IdentitiesOnly yes\n BatchMode yes\n StrictHostKeyChecking yes\n'
    shift 2
    for line; do printf ' %s\n' "$line"; done
    printf ' Port %s\n' "$port" # of a key that stands twice ssh takes the first
}
host bare plain "UserKnownHostsFile $keys/known" >"$keys/config"
# The user's configuration of ssh is found by the password database, not by $HOME: a wrapper names the test's own.
mkdir "$HOME_DIR/bin"
printf '#!/bin/sh\necho "$$ $*" >>%s\nexec %s -F %s "$@"\n' "$HOME_DIR/sshs" "$(command -v ssh)" "$keys/config" >"$HOME_DIR/bin/ssh"
chmod +x "$HOME_DIR/bin/ssh"
PATH=$HOME_DIR/bin:$PATH
ssh bare true || { cat "$keys/log"; SKIP "ssh to this machine's own user does not work"; }

