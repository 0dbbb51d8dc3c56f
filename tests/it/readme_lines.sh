#!/bin/sh
# README.md's lines for a server that builds, for what Capistrano deployed, and for backup and restore, executed as they stand there. The
# machine they speak of is this test's: absolute folders lie in its own, web1 is a real sshd on loopback, sudo is already had, and
# systemctl starts and stops its bmd.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
SSHD_ENV=BMD_SOCKET=$BMD_SOCKET
. "$top_srcdir/tests/it/ssh.sh"
command -v rsync >/dev/null || SKIP "rsync is missing"

# lines TITLE: those of a section, as they stand in README.md.
lines() { awk -v title="### $1" '/^##/{on = $0 == title} on && /^    /{print substr($0, 5)}' "$top_srcdir/README.md"; }
sudo() { "$@"; }
systemctl() {
    is "units that are named" "bmd.socket bmd.service" "$2 $3"
    case $1 in stop) bmd_stop ;; start) bmd_start ;; *) FAIL "systemctl $1" ;; esac
}
chown() { is "whose it becomes" "-R bmd:bmd $HOME_DIR/var/lib/bmd" "$*"; } # no such user is here
ran=0
# run TITLE [PATTERN]: its lines, of those only the ones that match.
run() {
    lines "$1" | grep -E -- "${2:-.}" | sed "s|/var/lib|$HOME_DIR/var/lib|g; s|/srv/shop|$HOME_DIR/srv/shop|g; s|/backup/bmd|$HOME_DIR/backup/bmd|g
        s|deploy@web1|$me@web1|g" >"$HOME_DIR/lines"
    [ -s "$HOME_DIR/lines" ] || FAIL "README.md has no lines under $1"
    while read -r line <&3; do
        eval "$line" >"$HOME_DIR/out" 2>"$HOME_DIR/err" || { cat "$HOME_DIR/out" "$HOME_DIR/err"; FAIL "$line"; }
        ran=$((ran + 1))
    done 3<"$HOME_DIR/lines"
}

mkdir -p "$HOME_DIR/etc/applications.d" "$HOME_DIR/var/lib" "$HOME_DIR/srv" "$HOME_DIR/backup/bmd" "$HOME_DIR/job/dist"
configure "run-directory = \"$HOME_DIR/runs\""
sed -i "s|^state-directory.*|state-directory = \"$HOME_DIR/var/lib/bmd\"|" "$BMD_CONF"
application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/srv/testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/srv/shop"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
for release in 20261101 20261102; do
    mkdir -p "$HOME_DIR/srv/shop/releases/$release"
    echo $release >"$HOME_DIR/srv/shop/releases/$release/index.html"
done
ln -s "$HOME_DIR/srv/shop/releases/20261102" "$HOME_DIR/srv/shop/current"
bmd_start
cd "$HOME_DIR/job" || exit 99

# The key of the server that builds is let in by the line, and to nothing but this.
new_key ci
cp "$keys/ci.pub" ci.pub
host web1 ci "UserKnownHostsFile $keys/known" >>"$keys/config"
mkdir -m 700 "$HOME_DIR/.ssh"
mv "$keys/authorized" "$HOME_DIR/.ssh/authorized_keys"
ln -s "$HOME_DIR/.ssh/authorized_keys" "$keys/authorized"
expect 4 bmctl -H web1 version
ci_home=$HOME
HOME=$HOME_DIR
run 'A server that builds' authorized_keys
HOME=$ci_home
echo three >dist/index.html
run 'A server that builds' 'bmctl -H'
is "live on testing" 1.0.3/1 "$(live shop testing)"
is "its file" three "$(cat "$HOME_DIR/srv/testing/current/index.html")"
ssh web1 id >"$HOME_DIR/out" 2>&1 </dev/null && grep -q uid= "$HOME_DIR/out" && FAIL "the key gives a shell"
OK "a server that builds"

run 'What Capistrano deployed'
is "live on production" 20261102/1 "$(live shop production)"
is "the way back" 20261101/1 "$(bmctl --json status shop | jq -r '.stages[1].previous_good | "\(.release)/\(.build)"')"
is "jobs on production" 0 "$(bmctl --json history shop --stage production | jq '.jobs | length')"
OK "what Capistrano deployed"

run 'Backup and restore' 'bmctl backup'
expect 0 bmctl --json deploy shop 1.0.3 --to production --now --wait
rm -rf "$HOME_DIR/var/lib/bmd.before"
run 'Backup and restore' 'bmd\.s|bmd\.before|chown|cp -r|status'
grep -q 'restored from a backup of' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "status does not ask"; }
is "live, as the backup says" 20261102/1 "$(live shop production)"
expect 0 bmctl build verify
expect 0 bmctl audit verify
lines 'Backup and restore' | sed -n 's/^sudo //p' | grep -E 'bmd\.s|bmd\.before|chown|cp -r' | while read -r line; do
    grep -qxF -- "$line" "$top_srcdir/man/bmd.8" || echo "bmd(8) has it otherwise: $line"
done >"$HOME_DIR/out"
[ ! -s "$HOME_DIR/out" ] || FAIL "$(cat "$HOME_DIR/out")"
OK "backup and restore"
all=$(for title in 'A server that builds' 'What Capistrano deployed' 'Backup and restore'; do lines "$title"; done | grep -c .)
is "lines of README.md that were executed" "$all" "$ran"
