# This build, installed in a system of boot.sh, and how a play speaks with it:
#
#   . boot.sh; . installed.sh; install_prepare; …configuration under $ETC…; install_start; bm …; job …; ends …
: "${prefix:=/usr/local}" "${sysconfdir:=/etc}" "${libexecdir:=$prefix/libexec}" "${MAKE:=make}"
export prefix sysconfdir libexecdir
ETC=

# A prepared system with the files of `make install`.
install_prepare() {
    case $prefix in /usr|/usr/local) ;; *) SKIP "systemd reads no units below $prefix: configure with --prefix=/usr or /usr/local" ;; esac
    boot_alone "$@"
    boot_prepare
    $MAKE -s -C "$top_builddir" install DESTDIR="$ROOT" >"$WORK/install" 2>&1 || { cat "$WORK/install"; FAIL "make install"; }
    ETC=$ROOT$sysconfdir/bmd
    mkdir -p "$ETC/applications.d" "$ETC/plans.d" "$ROOT/srv"
}

# shop: two stages of a plan that stands in its second step while there is a file ROOT/hold, begun.JOB tells that it is there; and its builds.
install_shop() {
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
    for release in 1.0.1 1.0.2 1.0.3; do
        mkdir -p "$ROOT/srv/builds/$release"
        echo "$release" >"$ROOT/srv/builds/$release/index"
    done
    tar -C "$ROOT/srv/builds/1.0.2" -czf "$ROOT/srv/builds/1.0.2.tar.gz" .
}

# Users: ana is an operator, steps run as deploy, eve is nobody. Then the units.
install_start() {
    boot_start
    inside systemd-sysusers && inside systemd-tmpfiles --create bmd.conf || FAIL "sysusers and tmpfiles"
    for user in ana deploy eve; do inside useradd -m "$user" || FAIL "useradd $user"; done
    inside usermod -aG bmd-operators ana
    inside install -d -o deploy /srv/shop /srv/test
    inside systemctl daemon-reload
    inside systemctl enable --now bmd.socket bmd-run.socket bmd.service 2>"$WORK/err" || { cat "$WORK/err"; FAIL "the units do not start"; }
}

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
