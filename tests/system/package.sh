#!/bin/sh
# The Debian package: built from what `make dist` ships, looked at by lintian, and its life on a booted system: installed with
# apt, used, upgraded under a run, removed, installed again, purged. Part of `make check-system`.
. "$(dirname "$0")/boot.sh"
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}" "${MAKE:=make}"
export top_srcdir top_builddir MAKE
for program in dpkg-buildpackage dh apt-get; do
    command -v $program >/dev/null || SKIP "$program is missing (packages dpkg-dev, debhelper, apt)"
done
boot_alone "$@"
boot_prepare

# BMD_PACKAGE: such a package that was built before.
if [ -n "${BMD_PACKAGE:-}" ]; then
    cp "$BMD_PACKAGE" "$WORK/" || exit 99
else
    shipped=bmd-shipped.$$ # automake wants it below the build folder
    $MAKE -s -C "$top_builddir" distdir distdir=$shipped >"$WORK/dist" 2>&1 || { tail -n 20 "$WORK/dist"; FAIL "make distdir"; }
    mv "$top_builddir/$shipped" "$WORK/bmd"
    (cd "$WORK/bmd" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u top_srcdir -u top_builddir \
        DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=2" dpkg-buildpackage -us -uc -b) >"$WORK/build" 2>&1 ||
        { tail -n 30 "$WORK/build"; FAIL "dpkg-buildpackage"; }
fi
deb=$(echo "$WORK"/bmd_*.deb)
[ -f "$deb" ] || FAIL "no package came out"
OK "package: ${deb##*/}"
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$deb" >"$WORK/lintian" 2>&1 || { cat "$WORK/lintian"; FAIL "lintian"; }
    OK "lintian finds neither error nor warning"
else
    echo "skipped: lintian is missing"
fi

# A newer version of the same, for the upgrade.
dpkg-deb -R "$deb" "$WORK/newer"
sed -i 's/^Version: .*/&+newer/' "$WORK/newer/DEBIAN/control"
mkdir "$ROOT/srv/packages"
dpkg-deb -b "$WORK/newer" "$ROOT/srv/packages/newer.deb" >/dev/null
cp "$deb" "$ROOT/srv/packages/bmd.deb"
cp "$top_srcdir/debian/tests/smoke" "$ROOT/srv/packages/"
boot_start
apt() { inside env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o APT::Sandbox::User=root "$@" >"$WORK/apt" 2>&1 ||
    { tail -n 30 "$WORK/apt"; FAIL "apt-get $*"; }; }

# README.md's first ten lines, as they stand there, by somebody who has just booted.
mkdir "$ROOT/srv/first"
cp "$deb" "$ROOT/srv/first/"
sed -n '/^## Getting started/,/^## /s/^    //p' "$top_srcdir/README.md" >"$ROOT/srv/first/lines"
[ "$(wc -l <"$ROOT/srv/first/lines")" -le 10 ] || FAIL "README.md takes more than ten lines"
inside sh -c 'command -v sudo' >/dev/null || { # root's own machine may have none
    printf '#!/bin/sh\nexec "$@"\n' >"$ROOT/usr/local/bin/sudo"
    chmod +x "$ROOT/usr/local/bin/sudo"
}
inside env DEBIAN_FRONTEND=noninteractive sh -ec 'cd /srv/first; . ./lines' >"$WORK/first" 2>&1 </dev/null ||
    { cat "$WORK/first"; FAIL "the lines of README.md"; }
grep -q 'redeploy shop 1.0.1/1 to production, replacing 1.0.2/1' "$WORK/first" || { cat "$WORK/first"; FAIL "README.md ends in no re-deploy"; }
is "what README.md ends with" one "$(inside cat /srv/shop/current/index.html)"
apt purge bmd
OK "getting started, as README.md tells it"

apt install /srv/packages/bmd.deb
for unit in bmd.socket bmd-run.socket bmd.service; do
    is "$unit after the installation" "active enabled" "$(inside systemctl is-active $unit) $(inside systemctl is-enabled $unit)"
done
is "owner of the state" "bmd bmd 711" "$(inside stat -c '%U %G %a' /var/lib/bmd)"
is "owner of the run directory" "root bmd 751" "$(inside stat -c '%U %G %a' /var/lib/bmd-run)"
inside bmctl check || FAIL "the configuration of the package is not right"
inside sh /srv/packages/smoke >"$WORK/smoke" 2>&1 || { cat "$WORK/smoke"; FAIL "debian/tests/smoke"; }
OK "installed and used"

inside touch /srv/smoke/hold
job=$(inside bmctl --json deploy smoke 2 --to here --now | jq .job.id)
begun() { inside test -e "/var/lib/bmd-run/$job/started"; }
retry begun || FAIL "the run does not begin"
before=$(inside systemctl show -P MainPID bmd)
opened=$(inside stat -c %i /run/bmd/control /run/bmd/run.socket)
apt install /srv/packages/newer.deb
[ "$(inside systemctl show -P MainPID bmd)" != "$before" ] || FAIL "the upgrade did not restart bmd"
is "the run over the upgrade" running "$(inside bmctl --json show "$job" | jq -r .job.state)"
inside rm /srv/smoke/hold
inside bmctl wait "$job" >/dev/null || FAIL "the run did not succeed over the upgrade"
is "the sockets after the upgrade" "$opened" "$(inside stat -c %i /run/bmd/control /run/bmd/run.socket)"
OK "upgraded under a run"

apt remove bmd
inside test -e /run/bmd/control && FAIL "the socket is still there"
inside test -e /var/lib/bmd/bmd.db || FAIL "remove took the history"
apt install /srv/packages/newer.deb
is "history after remove and install" succeeded "$(inside bmctl --json show "$job" | jq -r .job.state)"
apt purge bmd
for path in /etc/bmd /var/lib/bmd /var/lib/bmd-run /run/bmd /usr/libexec/bmd /etc/systemd/system/multi-user.target.wants/bmd.service; do
    inside test -e $path && FAIL "purge left $path"
done
inside getent passwd bmd && FAIL "purge left the user"
inside getent group bmd-operators && FAIL "purge left the group"
is "failed units after all" "" "$(inside systemctl list-units --failed --plain --no-legend 'bmd*')"
OK "removed, installed again, purged"
boot_stop
