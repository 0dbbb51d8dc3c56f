#!/bin/sh
# The RPM: built as its spec says, of the tarball, and its life on a booted system: installed, used, upgraded under a run, erased. What
# it requires has other names here, so nothing is asked for; the macros of systemd are told where they are missing, and do what
# their manual says. Part of `make check-system`.
. "$(dirname "$0")/boot.sh"
: "${MAKE:=make}"
export MAKE
command -v rpmbuild >/dev/null || SKIP "rpmbuild is missing (package rpm)"
boot_alone "$@"
boot_prepare

name=$(sed -n 's/^AC_INIT(\[bmd\], \[\(.*\)\])/bmd-\1/p' "$top_srcdir/configure.ac")
shipped=bmd-shipped.$$ # automake wants it below the build folder
$MAKE -s -C "$top_builddir" distdir distdir=$shipped >"$WORK/dist" 2>&1 || { tail -n 20 "$WORK/dist"; FAIL "make distdir"; }
mv "$top_builddir/$shipped" "$WORK/$name"
tar -C "$WORK" -czf "$WORK/$name.tar.gz" "$name"
# build RELEASE: → $WORK/RELEASE.rpm
build() {
    set -- "$1" --define "_topdir $WORK/rpm" --define 'debug_package %{nil}' --define '_smp_mflags -j2'
    [ -n "$(rpm --eval '%{?_unitdir}')" ] || set -- "$@" --define '_unitdir /usr/lib/systemd/system' \
        --define '_sysusersdir /usr/lib/sysusers.d' --define '_tmpfilesdir /usr/lib/tmpfiles.d' \
        --define '_journalcatalogdir /usr/lib/systemd/catalog' \
        --define 'systemd_post() if [ $1 = 1 ]; then systemctl preset %* || :; fi' \
        --define 'systemd_preun() if [ $1 = 0 ]; then systemctl disable --now %* || :; fi' \
        --define 'systemd_postun_with_restart() systemctl daemon-reload || : ; if [ $1 -ge 1 ]; then systemctl try-restart %* || :; fi'
    release=$1
    shift
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS rpmbuild -ta --nodeps --define "dist .$release" "$@" "$WORK/$name.tar.gz" >"$WORK/log" 2>&1 ||
        { tail -n 30 "$WORK/log"; FAIL "rpmbuild"; }
    mv "$WORK"/rpm/RPMS/*/bmd-*.rpm "$ROOT/srv/packages/$release.rpm"
}
mkdir -p "$ROOT/srv/packages"
build 1
build 2
OK "package: $(rpm -qp "$ROOT/srv/packages/1.rpm" 2>/dev/null)"
rpm -qpl "$ROOT/srv/packages/1.rpm" >"$WORK/files" 2>/dev/null
grep -q '^/usr/lib/systemd/system/bmd.service$' "$WORK/files" || FAIL "the RPM has no unit"
# All files are root's, and none but root writes to them.
rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]' "$ROOT/srv/packages/1.rpm" 2>/dev/null |
    awk '$1 !~ /^l/ && ($2 != "root" || $3 != "root" || $1 ~ /^.....w|^........w|s/)' >"$WORK/loose"
[ ! -s "$WORK/loose" ] || { cat "$WORK/loose"; FAIL "owners and modes of the RPM"; }
cp "$top_srcdir/debian/tests/smoke" "$ROOT/srv/packages/"
boot_start
inside sh -c 'command -v rpm' >/dev/null || SKIP "the system has no rpm"
rpm_in() { # Debian's rpm wants to be asked twice
    inside rpm --nodeps --force-debian "$@" >"$WORK/rpm.log" 2>&1 || { cat "$WORK/rpm.log"; FAIL "rpm $*"; }
    grep -v 'force-debian\|database\|saved as /etc/bmd/bmd.conf.rpmsave' "$WORK/rpm.log" | grep -i 'warning\|error\|fail' && FAIL "rpm $*"
    return 0
}
rpm_in -i /srv/packages/1.rpm
inside systemctl enable --now bmd.socket bmd-run.socket bmd.service 2>"$WORK/err" || { cat "$WORK/err"; FAIL "the units do not start"; }
is "owner of the state" "bmd bmd 711" "$(inside stat -c '%U %G %a' /var/lib/bmd)"
is "owner of the run directory" "root bmd 751" "$(inside stat -c '%U %G %a' /var/lib/bmd-run)"
is "the control socket" "bmd bmd-operators 660" "$(inside stat -c '%U %G %a' /run/bmd/control)"
is "what differs from the package" "" "$(inside rpm -V --nodeps bmd)"
inside sh /srv/packages/smoke >"$WORK/smoke" 2>&1 || { cat "$WORK/smoke"; FAIL "debian/tests/smoke"; }
OK "installed and used"

inside touch /srv/smoke/hold
job=$(inside bmctl --json deploy smoke 1 --to here --now | jq .job.id)
begun() { inside test -e "/var/lib/bmd-run/$job/started"; }
retry begun || FAIL "the run does not begin"
before=$(inside systemctl show -P MainPID bmd)
opened=$(inside stat -c %i /run/bmd/control /run/bmd/run.socket)
inside sh -c 'echo "# by hand" >>/etc/bmd/bmd.conf'
rpm_in -U /srv/packages/2.rpm
[ "$(inside systemctl show -P MainPID bmd)" != "$before" ] || FAIL "the upgrade did not restart bmd"
is "the run over the upgrade" running "$(inside bmctl --json show "$job" | jq -r .job.state)"
inside rm /srv/smoke/hold
inside bmctl wait "$job" >/dev/null || FAIL "the run did not succeed over the upgrade"
is "the sockets after the upgrade" "$opened" "$(inside stat -c %i /run/bmd/control /run/bmd/run.socket)"
inside grep -q '^# by hand' /etc/bmd/bmd.conf || FAIL "the upgrade took the configuration"
OK "upgraded under a run"

# With a configuration that is half edited, the one that runs goes on.
before=$(inside systemctl show -P MainPID bmd)
inside sh -c 'echo "max-running = many" >>/etc/bmd/bmd.conf'
rpm_in -U --replacepkgs /srv/packages/2.rpm
grep -q 'max-running = "many": write a whole number' "$WORK/rpm.log" && grep -q 'the one that runs goes on' "$WORK/rpm.log" ||
    { cat "$WORK/rpm.log"; FAIL "rpm does not say what to mend"; }
is "bmd over an upgrade with a broken configuration" "$before active" "$(inside systemctl show -P MainPID bmd) $(inside systemctl is-active bmd)"
inside sed -i '$d' /etc/bmd/bmd.conf
OK "an upgrade with a broken configuration leaves a service that works"

rpm_in -e bmd
for path in /usr/bin/bmctl /usr/sbin/bmd /usr/libexec/bmd /usr/lib/systemd/system/bmd.service /run/bmd/control; do
    inside test -e $path && FAIL "erasing left $path"
done
inside test -e /var/lib/bmd/bmd.db || FAIL "erasing took the history"
inside grep -q '^# by hand' /etc/bmd/bmd.conf.rpmsave || FAIL "erasing took the configuration that was changed by hand"
is "units after that" "" "$(inside systemctl list-units --plain --no-legend 'bmd*' | grep -v '^bmd[a-z-]*\.slice ')"
OK "erased: history and what was written by hand stay"
boot_stop
