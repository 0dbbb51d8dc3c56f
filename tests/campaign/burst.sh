#!/bin/sh
# Forty jobs at once, half of them due now and half of them in two seconds, while bmd and its bmd-runs are killed, stopped and
# restarted, the launcher blocks, slots come and go and stages are locked. When that ends, each of them has to end by itself within
# BOUND seconds, no job may have begun twice, and none may say for long that it is being started.
#
#   N=      bursts of each launcher (default 1 in `make check`, 20 in `make check-burst`)
#   SEED=   of a run to be done again
#   BOUND=  seconds (150: a back-off of 60 s, 30 s for bmd-run to be ready, and as much again for a slow machine)
#   ONLY=   launchers: fork, and socket as under systemd, with bmd as a user of its own (root alone)
. "$(dirname "$0")/../it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"
N=${N:-1} SEED=${SEED:-$(date +%s)} JOBS=40 NOISE=8 BOUND=${BOUND:-150} LAUNCHERS=${ONLY:-fork socket}
for tool in socat jq setpriv systemd-socket-activate; do command -v $tool >/dev/null || SKIP "needs $tool"; done
seed=$SEED
began=$(date +%s)
echo "seed $SEED, $N bursts of $JOBS jobs with each of: $LAUNCHERS"
# pick N: a number below N, into $picked.
pick() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); picked=$((seed / 65536 % $1)); }

BMD=$HOME_DIR/tree/daemon/bmd RUN=$HOME_DIR/tree/runner/bmd-run
own_programs campaign
chmod 777 "$HOME_DIR/tree/daemon" "$HOME_DIR/tree/runner" # who is struck takes the order away
mkdir -p /run/bmd && mount -t tmpfs -o mode=755 bmd-test /run/bmd || SKIP "needs a /run/bmd of its own"
at_exit "umount -l /run/bmd"
at_exit 'listener_stop'
{
    echo 'stages = {'
    n=0; while [ $n -lt $JOBS ]; do printf '"s%d"%s ' $n "$([ $n -lt $((JOBS - 1)) ] && echo ,)"; n=$((n + 1)); done
    echo '}'
    n=0; while [ $n -lt $JOBS ]; do echo "stage \"s$n\" { plan = \"note\"  on-failure = \"continue\" }"; n=$((n + 1)); done
} | application many
plan note <<CONF
    step "note" { run = 'echo "\$BM_JOB" >>$HOME_DIR/begun; sleep 1; echo "\$BM_JOB" >>$HOME_DIR/over' }
CONF
echo '#!/bin/sh' >"$HOME_DIR/tree/bmd"
chmod 755 "$HOME_DIR/tree/bmd"
PATH=$HOME_DIR/tree:$PATH

# ---- the launchers
# systemd's part of the socket: a bmd-run as root for each connection.
listener_start() {
    systemd-socket-activate -l /run/bmd/run.socket --accept --inetd "$RUN" -c "$BMD_CONF" 2>>"$HOME_DIR/listener.log" &
    LISTENER=$!
    retry test -S /run/bmd/run.socket || FAIL "no run.socket"
    chown nobody /run/bmd/run.socket
}
LISTENER=
listener_stop() {
    [ -n "$LISTENER" ] || return 0
    kill -KILL "$LISTENER" 2>/dev/null
    wait "$LISTENER" 2>/dev/null
    LISTENER=
    rm -f /run/bmd/run.socket
}
# settings MAX: what the launcher of this burst needs, and so many runs at once. A bmd-run that starts meanwhile reads all of it.
settings() {
    BMD_CONF=$HOME_DIR/etc/bmd.conf.new
    case $launcher in
    fork)
        configure "max-running = $1"
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$BMD" >"$HOME_DIR/tree/bmd" ;;
    socket)
        configure "max-running = $1" "run-directory = \"$HOME_DIR/runs\""
        sed -i 's/^launcher = .*/launcher = "systemd"/' "$BMD_CONF"
        printf '#!/bin/sh\nexec setpriv --reuid nobody --regid nogroup --clear-groups "%s" "$@"\n' "$BMD" >"$HOME_DIR/tree/bmd" ;;
    esac
    mv "$BMD_CONF" "$HOME_DIR/etc/bmd.conf"
    BMD_CONF=$HOME_DIR/etc/bmd.conf
}
prepare() {
    rm -rf "$HOME_DIR/state" "$HOME_DIR/runs"
    mkdir "$HOME_DIR/state" "$HOME_DIR/runs"
    settings 8
    BMD_SOCKET=$HOME_DIR/control
    if [ $launcher = socket ]; then
        chown nobody:nogroup "$HOME_DIR/state" && chown root:nogroup "$HOME_DIR/runs" && chmod 751 "$HOME_DIR/runs"
        BMD_SOCKET=$HOME_DIR/state/control
        settings 8
        listener_start
    fi
    bmd_start
    bmctl build add many 1 >/dev/null 2>&1 || FAIL "build add"
}

# ---- the noise
runs() { for exe in /proc/[0-9]*/exe; do [ "$(readlink "$exe" 2>/dev/null)" = "$RUN" ] && basename "${exe%/exe}"; done; }
a_run() { # into $pid
    set -- $(runs)
    [ $# -gt 0 ] || return 1
    pick $#
    shift "$picked"
    pid=$1
}
alive() { [ "$BMD_PID" != 0 ] && kill -0 "$BMD_PID" 2>/dev/null; }
# One that is told to die while it starts is started once more.
again() {
    alive && return
    wait "$BMD_PID" 2>/dev/null
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    until timeout 20 bmctl --json status >/dev/null 2>&1; do
        alive || { rm -f "$BMD.fail"; wait "$BMD_PID" 2>/dev/null; bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" & BMD_PID=$!; }
        sleep 0.05
    done
}
arm() { echo "$2 $3 $4" >"$1.new" && mv "$1.new" "$1.fail"; }
disturb() {
    pick 16
    case $picked in
    0) bmd_kill; BMD_PID=0 ;;
    1) kill -TERM "$BMD_PID" 2>/dev/null; wait "$BMD_PID" 2>/dev/null ;;
    2 | 3) ! a_run || kill -STOP "$pid" 2>/dev/null ;;
    4) ! a_run || kill -CONT "$pid" 2>/dev/null ;;
    5) ! a_run || kill -KILL "$pid" 2>/dev/null ;;
    6) kill -STOP "$BMD_PID" 2>/dev/null; sleep 0.3; kill -CONT "$BMD_PID" 2>/dev/null ;;
    7) pick 12; settings $((picked + 1)); timeout 5 bmctl reload >/dev/null 2>&1 ;;
    8) pick 60; arm "$RUN" '*' $((picked + 1)) 9 ;;
    9) pick 60; arm "$RUN" '*' $((picked + 1)) 19 ;;
    10 | 11) pick 40; arm "$BMD" '*' $((picked + 1)) 9 ;;
    12) pick $JOBS; timeout 5 bmctl lock many "s$picked" --reason noise >/dev/null 2>&1; locked="$locked s$picked" ;;
    13) for stage in $locked; do timeout 5 bmctl unlock many "$stage" >/dev/null 2>&1; done ;;
    14) pick $JOBS; timeout 5 bmctl cancel $((highest - picked)) >/dev/null 2>&1 ;;
    15) [ -z "$LISTENER" ] || { pick 3; case $picked in
            0) kill -STOP "$LISTENER" ;;
            1) kill -CONT "$LISTENER" ;;
            2) listener_stop; sleep 0.2; listener_start ;;
        esac; } ;;
    esac
    again
}
quiet_down() {
    rm -f "$RUN.fail" "$BMD.fail"
    again
    for pid in $(runs); do kill -CONT "$pid" 2>/dev/null; done
    [ -z "$LISTENER" ] || kill -CONT "$LISTENER"
    settings 8
    expect 0 bmctl reload
    for stage in $(bmctl --json status many | jq -r '.stages[] | select(.locked) | .stage'); do expect 0 bmctl unlock many "$stage"; done
}

# ---- one burst
ask_all() { # all in one turn of bmd's loop
    n=0
    while [ $n -lt $JOBS ]; do
        if [ $((n % 2)) = 0 ]; then when='"now":true'; else when="\"at\":\"$due\""; fi
        printf '{"method":"io.bmd.Control.Deploy","parameters":{"key":"%s-%d","application":"many","release":"1","stage":"s%d",%s,"if_changed":"run"}}\0' \
            "$launcher-$burst-$SEED" $n $n "$when"
        n=$((n + 1))
    done | socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' >"$HOME_DIR/answers"
}
waiting() { bmctl --json queue many >"$HOME_DIR/queue" || FAIL "bmctl queue"; }
# What waits, and says the same as before: "JOB SECONDS TEXT" in $HOME_DIR/said.
watch() {
    : >"$HOME_DIR/said"
    since=$(date +%s)
    while :; do
        now=$(date +%s)
        waiting
        [ "$(jq '.jobs | length' "$HOME_DIR/queue")" != 0 ] || return 0
        jq -r '.jobs[] | "\(.id) \(.waits_for.text // .state)"' "$HOME_DIR/queue" >"$HOME_DIR/says"
        while read -r job text; do
            before=$(sed -n "s/^$job //p" "$HOME_DIR/said")
            if [ "${before#* }" = "$text" ]; then echo "$job ${before%% *} $text"; else echo "$job $now $text"; fi
        done <"$HOME_DIR/says" >"$HOME_DIR/said.new"
        mv "$HOME_DIR/said.new" "$HOME_DIR/said"
        while read -r job at text; do
            case $text in "it is being started"*) ;; *) continue ;; esac
            [ $((now - at)) -lt 45 ] || {
                bmctl status; ls -la "$HOME_DIR/state/runs/$job" "$HOME_DIR/runs/$job" 2>/dev/null
                FAIL "job $job says for $((now - at)) s that it is being started: seed $SEED, $launcher, burst $burst"; }
        done <"$HOME_DIR/said"
        [ $((now - since)) -lt "$BOUND" ] || { bmctl status; bmctl queue; FAIL "these jobs wait for ever: seed $SEED, $launcher, burst $burst"; }
        sleep 1
    done
}
burst() {
    : >"$HOME_DIR/begun"; : >"$HOME_DIR/over"
    chmod 666 "$HOME_DIR/begun" "$HOME_DIR/over"
    highest=$(bmctl --json history -n 1000 | jq '[.jobs[].id] | max // 0')
    floor=$highest
    due=$(($(date +%s) + 2))
    due=$(date -u -d "@$due" +%Y-%m-%dT%H:%M:%S.000000Z)
    ask_all
    highest=$((highest + JOBS))
    locked=
    stop=$(($(date +%s) + NOISE))
    while [ "$(date +%s)" -lt $stop ]; do
        disturb
        pick 4
        sleep 0.$((picked + 1))
    done
    quiet_down
    watch
    bmctl --json history many -n 1000 | jq -r ".jobs[] | select(.id > $floor) | \"\(.id) \(.state) \(.stage)\"" >"$HOME_DIR/history"
    is "jobs that were accepted" "$(grep -c '"job"' "$HOME_DIR/answers")" "$(wc -l <"$HOME_DIR/history")"
    twice=$(sort "$HOME_DIR/begun" | uniq -d)
    [ -z "$twice" ] || FAIL "begun twice: $twice: seed $SEED, $launcher, burst $burst"
    while read -r job state stage; do
        case $state in
        succeeded) grep -qx "$job" "$HOME_DIR/over" || FAIL "job $job succeeded and did not end" ;;
        cancelled | failed) ;;
        lost) bmctl settle many "$stage" 1/1 --reason noise >/dev/null ;; # where bmd died as well its stage is occupied
        *) FAIL "job $job is $state: $(job "$job" message)" ;;
        esac
    done <"$HOME_DIR/history"
    OK "$launcher, burst $burst: $(cut -d ' ' -f 2 "$HOME_DIR/history" | sort | uniq -c | xargs), $(($(date +%s) - stop)) s after the noise"
}

for launcher in $LAUNCHERS; do
    prepare
    burst=0
    while [ $burst -lt "$N" ]; do
        burst=$((burst + 1))
        burst
    done
    bmd_stop
    listener_stop
done
record burst "$JOBS jobs at once while bmd, bmd-run and the launcher are killed, stopped and blocked: each ends within $BOUND s of quiet (\`make check-burst\`)" \
    "$((N * $(echo $LAUNCHERS | wc -w)))" bursts "$SEED" 0 "$(($(date +%s) - began))"
