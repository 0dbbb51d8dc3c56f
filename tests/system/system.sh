#!/bin/sh
# bmd under a real systemd, from installation to power loss: `make check-system`.
. "$(dirname "$0")/boot.sh"
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}" "${prefix:=/usr/local}"
: "${sysconfdir:=$prefix/etc}" "${libexecdir:=$prefix/libexec}" "${MAKE:=make}"
export top_srcdir top_builddir prefix sysconfdir libexecdir
case $prefix in /usr|/usr/local) ;; *) SKIP "systemd reads no units below $prefix: configure with --prefix=/usr or /usr/local" ;; esac
boot_alone "$@"
boot_prepare
$MAKE -s -C "$top_builddir" install DESTDIR="$ROOT" >"$WORK/install" 2>&1 || { cat "$WORK/install"; FAIL "make install"; }

ETC=$ROOT$sysconfdir/bmd
mkdir -p "$ETC/applications.d" "$ETC/plans.d"
echo 'max-running = 120' >"$ETC/bmd.conf"
cat >"$ETC/applications.d/shop.conf" <<'CONF'
application "shop" {
    stages = {"testing", "production"}
    user   = "deploy"
    stage "testing"    { plan = "web"  variables = {"ROOT=/srv/test"} }
    stage "production" { plan = "web"  variables = {"ROOT=/srv/shop"} }
}
CONF
cat >"$ETC/plans.d/web.conf" <<'CONF'
plan "web" {
    step "files" { deploy = "site"  to = '$ROOT' }
    step "wait"  { run = 'id; grep NoNewPrivs /proc/self/status; cat /proc/self/cgroup
        touch "$ROOT/begun.$BM_JOB"; if [ -e "$ROOT/hold" ]; then sleep 1000 & fi
        while [ -e "$ROOT/hold" ]; do sleep 0.1; done; echo "step of $BM_RELEASE"' }
    step "root"  { exec = {"systemctl", "is-active", "bmd.service"}  user = "root"  ignore-failure = true }
}
CONF
{
    echo 'application "many" { user = "deploy"  stages = {'
    n=0; while [ $n -lt 100 ]; do n=$((n + 1)); printf '"s%d",' $n; done | sed 's/,$/ }/'
    n=0; while [ $n -lt 100 ]; do n=$((n + 1)); echo "stage \"s$n\" { plan = \"short\" }"; done
    echo '}'
} >"$ETC/applications.d/many.conf"
echo 'plan "short" { step "one" { run = "sleep 0.2" } }' >"$ETC/plans.d/short.conf"
for release in 1.0.1 1.0.2 1.0.3; do
    mkdir -p "$ROOT/srv/builds/$release"
    echo "$release" >"$ROOT/srv/builds/$release/index"
done
tar -C "$ROOT/srv/builds/1.0.2" -czf "$ROOT/srv/builds/1.0.2.tar.gz" .

boot_start
inside systemd-sysusers && inside systemd-tmpfiles --create bmd.conf || FAIL "sysusers and tmpfiles"
for user in ana deploy eve; do inside useradd -m "$user" || FAIL "useradd $user"; done
inside usermod -aG bmd-operators ana
inside install -d -o deploy /srv/shop /srv/test
inside systemctl daemon-reload
inside systemctl enable --now bmd.socket bmd-run.socket bmd.service 2>"$WORK/err" || { cat "$WORK/err"; FAIL "the units do not start"; }
is "owner and mode of the control socket" "bmd bmd-operators 660" "$(inside stat -c '%U %G %a' /run/bmd/control)"
is "owner and mode of the run socket" "bmd 600" "$(inside stat -c '%U %a' /run/bmd/run.socket)"
is "owner and mode of the run directory" "root bmd 751" "$(inside stat -c '%U %G %a' /var/lib/bmd-run)"
OK "installed and started: $(inside systemctl show -P StatusText bmd)"

bm() { as ana bmctl "$@"; }
job() { bm --json show "$1" | jq -r ".job.$2"; }
live() { bm --json status "$1" | jq -r ".stages[] | select(.stage == \"$2\") | .live | \"\(.release)/\(.build)\""; }
# deploy… → the id of the job; its end is waited for by `ends JOB STATE`.
queue() { bm --json "$@" | jq -r .job.id; }
final() { case $(job "$1" state) in succeeded|failed|cancelled|lost|missed|superseded|held) ;; *) false ;; esac; }
ends() {
    retry final "$1" || FAIL "job $1 does not end: $(bm show "$1")"
    [ "$(job "$1" state)" = "$2" ] || { bm show "$1"; bm log "$1"; FAIL "job $1 is $(job "$1" state), not $2"; }
}
hold() { inside touch /srv/shop/hold; }
let_go() { inside rm -f /srv/shop/hold; }
begun() { inside test -e "/srv/shop/begun.$1"; }
in_flight() { # a run that stands in its second step, id in $flight
    hold
    flight=$(queue "$@" --to production --now --reason flight)
    retry begun "$flight" || { bm show "$flight"; FAIL "job $flight does not run"; }
}
main_pid() { inside systemctl show -P MainPID bmd; }

bm build add shop 1.0.1 site=/srv/builds/1.0.1 && bm build add shop 1.0.2 site=/srv/builds/1.0.2.tar.gz &&
    bm build add shop 1.0.3 site=/srv/builds/1.0.3 || FAIL "build add"
first=$(queue deploy shop 1.0.1 --to production --now)
ends "$first" succeeded
is "what is live" 1.0.1 "$(inside cat /srv/shop/current/index)"
bm log "$first" >"$WORK/log"
grep -q 'uid=[0-9]*(deploy)' "$WORK/log" || FAIL "the step did not run as deploy"
grep -q 'NoNewPrivs:.*0$' "$WORK/log" || { cat "$WORK/log"; FAIL "the step inherited the sandbox of bmd"; }
grep -q '0::/bmd\.slice/bmd-runs\.slice/bmd-run@.*/bmd-steps-' "$WORK/log" || { cat "$WORK/log"; FAIL "the step has no cgroup of its own"; }
is "who asked" ana "$(job "$first" requested_by)"
bm deploy shop 1.0.2 --to production --now --wait >/dev/null || FAIL "a deploy from an archive"
bm redeploy shop --now --wait --reason back >/dev/null || FAIL "redeploy"
is "after the redeploy" 1.0.1/1 "$(live shop production)"
OK "deploy, redeploy --now"

as eve bmctl status >/dev/null 2>"$WORK/err"
is "exit code for a stranger" 4 $?
as bmd touch /var/lib/bmd-run/forged 2>/dev/null && FAIL "bmd can write into the run directory"
as bmd sh -c "echo >> /var/lib/bmd-run/$first/result" 2>/dev/null && FAIL "bmd can forge a result"
inside "$libexecdir/bmd/bmd-run" </dev/null 2>/dev/null && FAIL "bmd-run runs without bmd"
as eve sh -c ': </run/bmd/run.socket' 2>/dev/null && FAIL "a stranger may connect to the run socket"
OK "strangers and forged results are refused"

in_flight deploy shop 1.0.2
before=$(main_pid)
inside systemctl restart bmd.service bmd.socket || FAIL "restart"
[ "$before" != "$(main_pid)" ] || FAIL "bmd was not restarted"
is "state over a restart" running "$(job "$flight" state)"
let_go
ends "$flight" succeeded
in_flight redeploy shop 1.0.1
before=$(main_pid)
inside systemctl kill -s KILL bmd.service
back() { [ "$(inside systemctl is-active bmd)" = active ] && [ "$(main_pid)" != "$before" ]; }
retry back || FAIL "bmd was not started again"
is "state over a kill" running "$(job "$flight" state)"
inside systemctl daemon-reexec
let_go
ends "$flight" succeeded
is "after that" 1.0.1/1 "$(live shop production)"
in_flight redeploy shop 1.0.2
inside systemctl stop bmd.service
let_go
retry inside test -e "/var/lib/bmd-run/$flight/result" || FAIL "the run did not end without bmd"
ends "$flight" succeeded # the socket starts bmd
OK "a run in flight over restart, kill, daemon-reexec and stop: its true result is recorded"

late=$(queue deploy shop 1.0.3 --to production --at +2s)
inside systemctl stop bmd.service bmd.socket 2>/dev/null
sleep 3
inside systemctl start bmd.socket bmd.service
ends "$late" succeeded
[ "$(job "$late" lateness_us)" -gt 0 ] || FAIL "the timed job was not late"
OK "a timed job that was due while bmd was down"

in_flight redeploy shop 1.0.1
group=$(inside jq -r .cgroup "/var/lib/bmd-run/$flight/started")
bm cancel "$flight" >/dev/null || FAIL "cancel"
ends "$flight" cancelled
inside test -d "$group" && FAIL "the cgroup of the step is still there"
let_go
bm redeploy shop --now --wait --reason mend >/dev/null || FAIL "redeploy --now on the dirty stage"
is "units of runs that are left" "" "$(inside systemctl list-units --all --plain --no-legend 'bmd-run@*')"
OK "cancel, and redeploy --now mends the stage"

inside journalctl -u bmd --no-pager | grep -q "job $first" || FAIL "journalctl -u bmd does not know job $first"
inside journalctl --update-catalog
inside journalctl BM_APPLICATION=shop "BM_JOB=$first" BM_RESULT=succeeded -x --no-pager >"$WORK/journal"
grep -q "shop 1.0.1/1 is live on production" "$WORK/journal" || { cat "$WORK/journal"; FAIL "the journal has no fields or no catalog"; }
OK "the journal's fields and catalog"
sed -i 's/= 120/= 110/' "$ETC/bmd.conf"
inside systemctl reload bmd || FAIL "systemctl reload"
echo 'max-running = nonsense' >"$ETC/bmd.conf"
inside systemctl reload bmd 2>/dev/null && FAIL "a broken file was reloaded"
echo 'max-running = 110' >"$ETC/bmd.conf"
inside systemctl reload bmd && [ "$(inside systemctl is-active bmd)" = active ] || FAIL "reload after that"
OK "systemctl reload"

n=0
while [ $n -lt 5 ]; do
    n=$((n + 1))
    inside sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); bmctl version >/dev/null || exit 1; done' &
    calls=$!
    inside systemctl restart bmd || FAIL "restart"
    wait $calls || FAIL "a call failed over a restart"
done
OK "1000 calls over five restarts"

bm build add many 1 >/dev/null
inside sh -c 'n=0; while [ $n -lt 100 ]; do n=$((n + 1)); bmctl --json deploy many 1 --to s$n --now; done' >"$WORK/jobs" || FAIL "a hundred requests"
inside bmctl wait $(jq -r .job.id "$WORK/jobs") >"$WORK/out" 2>&1 || { tail -n 5 "$WORK/out"; FAIL "of a hundred runs one failed"; }
is "the run socket after a burst" active "$(inside systemctl is-active bmd-run.socket)"
OK "a hundred runs at once"

in_flight redeploy shop 1.0.2
boot_stop
boot_start
retry bm status || FAIL "no bmd after the reboot"
ends "$flight" failed
case $(job "$flight" message) in *"stopped by shutdown"*) ;; *) FAIL "a shutdown is called: $(job "$flight" message)" ;; esac
[ "$(bm --json status shop | jq -r '.stages[1].dirty.job')" = "$flight" ] || FAIL "the stage is not dirty"
let_go
bm redeploy shop --now --wait --reason mend >/dev/null || FAIL "redeploy --now after a shutdown"
OK "a reboot with a run in flight: failed, stopped by shutdown"
in_flight redeploy shop 1.0.2
boot_crash
boot_start
retry bm status || FAIL "no bmd after the crash"
ends "$flight" lost
let_go
bm redeploy shop --now --wait --reason mend >/dev/null || FAIL "redeploy --now after a crash"
OK "a crash with a run in flight: lost, and redeploy --now mends it"
boot_stop
