#!/bin/sh
# A strict umask makes files that only root reads. bmd, which is not root, says what to do; bmctl check says it to root, who reads them.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
[ "$(id -u)" = 0 ] || SKIP "two users need root"
command -v setpriv >/dev/null || SKIP "no setpriv"
application shop <<'CONF'
    stages = {"testing"}
    stage "testing" { plan = "one" }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
configure
sed -i 's/^user = .*/user = "games"/' "$BMD_CONF"
mkdir "$HOME_DIR/state"
chown games "$HOME_DIR/state" "$HOME_DIR"
setpriv --reuid games --regid games --clear-groups "$top_builddir/daemon/bmd" -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
BMD_PID=$!
retry bmctl status || FAIL "bmd does not answer"
expect 0 bmctl check
new=$HOME_DIR/etc/applications.d/new.conf
(umask 077; echo 'application "new" { stages = {"x"} stage "x" { plan = "one" } }' >"$new")
expect 1 bmctl check
prints "$new: bmd itself may not read it: chmod a+rX $new"
is "the same as JSON" 1 "$(bmctl --json check | jq '[.problems[] | select(test("may not read"))] | length')"
expect 1 bmctl reload
says "$new: cannot be opened: Permission denied: whoever runs bmd has to read it: chmod a+rX $new"
expect 1 setpriv --reuid games --regid games --clear-groups "$top_builddir/ctl/bmctl" check
is "said once to who may not read it either" 1 "$(grep -c "$new" "$HOME_DIR/out")"
chmod a+r "$new"
expect 0 bmctl check
expect 0 bmctl reload
OK "a file"
chmod 700 "$HOME_DIR/etc/plans.d"
expect 1 bmctl check
prints "$HOME_DIR/etc/plans.d: bmd itself may not read it"
expect 1 bmctl reload
says "the folder cannot be read: Permission denied: whoever runs bmd has to read it: chmod a+rX $HOME_DIR/etc/plans.d"
chmod 755 "$HOME_DIR/etc/plans.d"
expect 0 bmctl check
OK "a folder"
bmd_stop

# A state folder that bmd may not make.
echo "state-directory = \"$HOME_DIR/etc/state\"" >"$HOME_DIR/etc/bmd.conf.new"
grep -v '^state-directory' "$BMD_CONF" >>"$HOME_DIR/etc/bmd.conf.new"
mv "$HOME_DIR/etc/bmd.conf.new" "$BMD_CONF"
expect 1 setpriv --reuid games --regid games --clear-groups "$top_builddir/daemon/bmd" -c "$BMD_CONF"
says "cannot write to the state folder $HOME_DIR/etc/state: Permission denied: make it, give it to the user of bmd (uid $(id -u games))"
says "ReadWritePaths=$HOME_DIR/etc/state by systemctl edit bmd.service"
OK "a state folder elsewhere"
BMD_PID=
