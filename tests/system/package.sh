#!/bin/sh
# The Debian package: built from what `make dist` ships, looked at by lintian, and its life on a booted system: installed with
# apt, used, upgraded under a run, removed, installed again, purged; upgraded from the first package that there was; where something is amiss
# (package_amiss.sh); and its own tests by autopkgtest, where the system has that. Part of `make check-system` and `make check-machine`.
. "$(dirname "$0")/boot.sh"
: "${MAKE:=make}"
export MAKE
for program in dpkg-buildpackage dh apt-get; do
    command -v $program >/dev/null || SKIP "$program is missing (packages dpkg-dev, debhelper, apt)"
done
boot_alone "$@"

# On a Debian of its own apt has to find what the package depends on; on the host's root, and in the machine, it is there already.
own=
if [ "$BMD_SYSTEM" = container ]; then
    said=${TMPDIR:-/tmp}/bmd-root.$$
    LOWER=$(sh "$top_srcdir/tests/system/root.sh" 2>"$said") && own=yes ||
        { echo "skipped: what the package depends on, in a Debian that lacks it: $(cat "$said")"; LOWER=; }
    rm -f "$said"
fi
boot_prepare

# clean COMMAND…: with nothing of the make that called us.
clean() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u top_srcdir -u top_builddir -u prefix -u sysconfdir -u libexecdir \
        DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=2" "$@"
}
# BMD_PACKAGE: such a package that was built before. KEEP: a folder for the one that is built now.
if [ -n "${BMD_PACKAGE:-}" ]; then
    cp "$BMD_PACKAGE" "$WORK/" || exit 99
else
    shipped=bmd-shipped.$$ # automake wants it below the build folder
    $MAKE -s -C "$top_builddir" distdir distdir=$shipped >"$WORK/dist" 2>&1 || { tail -n 20 "$WORK/dist"; FAIL "make distdir"; }
    mv "$top_builddir/$shipped" "$WORK/bmd"
    (cd "$WORK/bmd" && clean dpkg-buildpackage -us -uc -b) >"$WORK/build" 2>&1 ||
        { tail -n 30 "$WORK/build"; FAIL "dpkg-buildpackage"; }
fi
deb=$(echo "$WORK"/bmd_*.deb)
[ -f "$deb" ] || FAIL "no package came out"
[ -z "${KEEP:-}" ] || cp "$deb" "$KEEP/"
OK "package: ${deb##*/}"
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$deb" >"$WORK/lintian" 2>&1 || { cat "$WORK/lintian"; FAIL "lintian"; }
    OK "lintian finds neither error nor warning"
else
    echo "skipped: lintian is missing"
fi

# Whoever mends openssl has to find what has it inside.
case $(dpkg-deb -f "$deb" Depends),$(dpkg-deb -f "$deb" Built-Using) in
*libssl3*,) ;;
*libssl3*) FAIL "libcrypto is linked and said to be inside" ;;
*,"openssl (= "*) ;;
*) FAIL "libcrypto is inside and the package does not say so: $(dpkg-deb -I "$deb")" ;;
esac
# Where each is looked for in Debian.
dpkg-deb -c "$deb" | awk '{ print $6 }' >"$WORK/files"
for path in etc/bmd/bmd.conf etc/bmd/applications.d/ etc/bmd/plans.d/ usr/share/bash-completion/completions/bmctl usr/share/zsh/vendor-completions/_bmctl \
    usr/share/fish/vendor_completions.d/bmctl.fish usr/lib/systemd/catalog/bmd.catalog usr/lib/sysusers.d/bmd.conf usr/lib/tmpfiles.d/bmd.conf \
    usr/share/man/man1/bmctl.1.gz usr/share/man/man5/bmd.conf.5.gz usr/share/man/man5/bmd-plan.5.gz usr/share/man/man7/bmd-protocol.7.gz \
    usr/share/man/man8/bmd.8.gz usr/share/man/man8/bmd-run.8.gz usr/share/man/man8/bmd-import.8.gz usr/share/doc/bmd/examples/fork.conf; do
    grep -qxF "./$path" "$WORK/files" || FAIL "the package has no /$path"
done
OK "the package has $(grep -vc '/$' "$WORK/files") files, each where Debian looks for it"

# A newer version of the same, for the upgrade.
dpkg-deb -R "$deb" "$WORK/newer"
sed -i 's/^Version: .*/&+newer/' "$WORK/newer/DEBIAN/control"
mkdir -p "$ROOT/srv/packages"
dpkg-deb -b "$WORK/newer" "$ROOT/srv/packages/newer.deb" >/dev/null
cp "$deb" "$ROOT/srv/packages/bmd.deb"
cp "$top_srcdir/debian/tests/smoke" "$ROOT/srv/packages/"

# The first one: built of its own commit, once, and kept. A tarball has no past.
older=
first=$(git -C "$top_srcdir" log --diff-filter=A --format=%h -- debian/control 2>/dev/null | tail -n 1)
if [ -n "$first" ]; then
    cache=${BMD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bmd}
    older=$cache/bmd_first-$first.deb
    if [ ! -e "$older" ]; then
        mkdir -p "$cache" "$WORK/first/bmd"
        git -C "$top_srcdir" archive "$first" | tar -C "$WORK/first/bmd" -x
        sed -i '1s/(\(.*\))/(\1~first)/' "$WORK/first/bmd/debian/changelog"
        (cd "$WORK/first/bmd" && clean ./autogen.sh && clean dpkg-buildpackage -us -uc -b) >"$WORK/build" 2>&1 </dev/null ||
            { tail -n 30 "$WORK/build"; FAIL "dpkg-buildpackage of $first"; }
        cp "$WORK"/first/bmd_*.deb "$older.new" && mv "$older.new" "$older" || exit 99
    fi
    cp "$older" "$ROOT/srv/packages/first.deb"
fi
mkdir "$ROOT/srv/first"
cp "$deb" "$ROOT/srv/first/"
sed -n '/^## Getting started/,/^### /s/^    //p' "$top_srcdir/README.md" >"$ROOT/srv/first/lines"
[ "$(wc -l <"$ROOT/srv/first/lines")" -le 10 ] || FAIL "README.md takes more than ten lines"

# The system has no network: what apt will want is brought before, and nothing else.
bring() {
    apt-get -q -y -o Dir="$ROOT" -o Dir::State::status="$ROOT/var/lib/dpkg/status" -o APT::Sandbox::User=root --download-only "$@"
}
if [ -n "$own" ]; then
    for wanted in "$deb" $older; do
        { bring install "$wanted" || { bring update && bring install "$wanted"; }; } >"$WORK/bring" 2>&1 ||
            { tail -n 10 "$WORK/bring"; FAIL "what ${wanted##*/} depends on cannot be had from Debian"; }
    done
fi
mkdir -p "$ROOT/etc/apt/apt.conf.d"
echo 'APT::Get::Assume-Yes "true";' >"$ROOT/etc/apt/apt.conf.d/99yes" # as somebody answers who is asked
boot_start
apt() { inside env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o APT::Sandbox::User=root "$@" >"$WORK/apt" 2>&1 ||
    { tail -n 30 "$WORK/apt"; FAIL "apt-get $*"; }; }

# README.md's first ten lines, as they stand there, by somebody who has just booted.
inside sh -c 'command -v sudo' >/dev/null || { # root's own machine may have none
    printf '#!/bin/sh\nexec "$@"\n' | inside sh -c 'cat >/usr/local/bin/sudo; chmod 755 /usr/local/bin/sudo'
}
inside env DEBIAN_FRONTEND=noninteractive sh -ec 'cd /srv/first; . ./lines' >"$WORK/readme" 2>&1 </dev/null ||
    { cat "$WORK/readme"; FAIL "the lines of README.md"; }
[ -z "$own" ] || grep -q '^Setting up libev4' "$WORK/readme" || { cat "$WORK/readme"; FAIL "nothing was missing before"; }
grep -q 'redeploy shop 1.0.1/1 to production, replacing 1.0.2/1' "$WORK/readme" || { cat "$WORK/readme"; FAIL "README.md ends in no re-deploy"; }
is "what README.md ends with" one "$(inside cat /srv/shop/current/index.html)"
apt purge bmd
OK "getting started, as README.md tells it"
[ -z "$own" ] || OK "depends on: $(sed -n 's/^Setting up \([^ :]*\).*/\1/p' "$WORK/readme" | grep -vx bmd | sort | paste -sd' ')"

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
begun() { inside test -e "/var/lib/bmd-run/${1:-$job}/started"; }
retry begun || FAIL "the run does not begin"
# Beside it one that ends badly, in the very moment in which there is no bmd.
inside sh -c 'cat >/etc/bmd/applications.d/seven.conf' <<'CONF' || exit 99
application "seven" { user = "nobody"  stages = {"here"}  stage "here" { plan = "seven"  open = {"PID"} } }
plan "seven" { step "seven" { run = 'while [ -e "/proc/$PID" ]; do sleep 0.02; done; exit 7' } }
CONF
inside systemctl reload bmd && inside bmctl build add seven 1 >/dev/null || FAIL "a second application"
before=$(inside systemctl show -P MainPID bmd)
seven=$(inside bmctl --json deploy seven 1 --to here --var PID="$before" --now | jq .job.id)
retry begun "$seven" || FAIL "the run that is to fail does not begin"
opened=$(inside stat -c %i /run/bmd/control /run/bmd/run.socket)
apt install /srv/packages/newer.deb
[ "$(inside systemctl show -P MainPID bmd)" != "$before" ] || FAIL "the upgrade did not restart bmd"
is "the run over the upgrade" running "$(inside bmctl --json show "$job" | jq -r .job.state)"
inside rm /srv/smoke/hold
inside bmctl wait "$job" >/dev/null || FAIL "the run did not succeed over the upgrade"
inside bmctl wait "$seven" >/dev/null
is "the end of a run that fails while bmd is being upgraded" "1 failed 7" \
    "$? $(inside bmctl --json show "$seven" | jq -r '.job | "\(.state) \(.exit_code)"')"
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

# From the first one, whose database has other tables, with jobs of several kinds in it and a run in flight.
of_past() { inside bmctl --json history past -n 100 | jq -S '[.jobs[] | {id, state, release, build, stage, mode, reason, requested_by, due, started, finished}]'; }
schema() { inside od -An -tu4 --endian=big -j60 -N4 /var/lib/bmd/bmd.db | tr -d ' '; }
if [ -n "$older" ]; then
    apt install /srv/packages/first.deb
    inside sh -c 'cat >/etc/bmd/applications.d/past.conf' <<'CONF' || exit 99
application "past" {
    stages = {"here", "there"}
    user   = "nobody"
    stage "here"  { plan = "past"  variables = {"ROOT=/srv/past/here"} }
    stage "there" { plan = "past"  variables = {"ROOT=/srv/past/there"} }
}
plan "past" {
    step "files" { deploy = "site"  to = '$ROOT' }
    step "wait"  { run = 'while [ -e /srv/past/hold ]; do sleep 0.1; done; [ "$BM_RELEASE" != 4 ]' }
}
CONF
    inside install -d -o nobody /srv/past /srv/past/here /srv/past/there
    inside systemctl reload bmd || FAIL "the first bmd does not read its configuration"
    inside sh -ec 'mkdir /tmp/past
        for n in 1 2 3 4 5; do echo $n >/tmp/past/index; bmctl build add past $n site=/tmp/past; done
        bmctl deploy past 1 --to there --now --wait
        for n in 1 2 3; do bmctl deploy past $n --to here --now --wait; done
        ! bmctl deploy past 4 --to there --now --wait
        bmctl redeploy past 2 --to here --now --wait --reason back
        bmctl build reject past 5 --reason bad' >"$WORK/past" 2>&1 || { cat "$WORK/past"; FAIL "the first bmd"; }
    far=$(inside bmctl --json deploy past 3 --to there --at +2h --reason far | jq .job.id)
    gone=$(inside bmctl --json deploy past 3 --to there --at +3h | jq .job.id)
    inside bmctl cancel "$gone" >/dev/null
    inside touch /srv/past/hold
    job=$(inside bmctl --json redeploy past 1 --to here --now --reason flight 2>/dev/null | jq .job.id)
    retry begun || FAIL "the run does not begin"
    of_past >"$WORK/past.before"
    is "the tables of the first bmd" 1 "$(schema)"
    apt install /srv/packages/bmd.deb
    is "the run over the upgrade" running "$(inside bmctl --json show "$job" | jq -r .job.state)"
    of_past >"$WORK/past.after"
    cmp -s "$WORK/past.before" "$WORK/past.after" || { diff "$WORK/past.before" "$WORK/past.after"; FAIL "the history changed over the upgrade"; }
    is "what waits" "$far scheduled far" "$(inside bmctl --json show "$far" | jq -r '.job | "\(.id) \(.state) \(.reason)"')"
    is "what is bad" rejected "$(inside bmctl --json build show past 5 | jq -r .build.status)"
    inside rm /srv/past/hold
    inside bmctl wait "$job" >/dev/null || FAIL "the run did not succeed over the upgrade"
    is "its mode" rollback "$(inside bmctl --json show "$job" | jq -r .job.mode)"
    inside bmctl build verify past >/dev/null || FAIL "build verify after the upgrade"
    inside bmctl redeploy past 3 --to here --now --wait --reason on >/dev/null || FAIL "redeploy after the upgrade"
    is "what is live" 3 "$(inside cat /srv/past/here/current/index)"
    inside bmctl redeploy past --to there --now --wait --reason mend >/dev/null || FAIL "redeploy of the stage that the first bmd left dirty"
    is "what is live there" 1 "$(inside cat /srv/past/there/current/index)"
    inside bmctl reschedule "$far" --now >/dev/null && inside bmctl release "$far" >/dev/null 2>&1
    inside bmctl wait "$far" >/dev/null || FAIL "a job that the first bmd accepted: $(inside bmctl show "$far")"
    inside systemctl stop bmd.service
    [ "$(schema)" -gt 1 ] || FAIL "the database has still the tables of the first bmd"
    OK "upgraded from the first package ($first) under a run: tables of version 1 to $(schema)"
    apt purge bmd
else
    echo "skipped: the upgrade from the first package: this source has no history"
fi

. "$top_srcdir/tests/system/package_amiss.sh"

# As a distribution would run them.
if inside sh -c 'command -v autopkgtest' >/dev/null; then
    tar -C "$top_srcdir" -c debian/control debian/changelog debian/tests |
        inside sh -c 'mkdir /srv/source && tar -C /srv/source -x && touch /srv/source/debian/files' || exit 99 # files: it is built
    inside autopkgtest -B /srv/packages/bmd.deb /srv/source/ -- null >"$WORK/autopkgtest" 2>&1 ||
        { tail -n 40 "$WORK/autopkgtest"; FAIL "autopkgtest"; }
    sed -n '/summary/,$p' "$WORK/autopkgtest"
    OK "autopkgtest"
else
    echo "skipped: autopkgtest is missing in this system (make check-machine has it)"
fi
boot_stop
