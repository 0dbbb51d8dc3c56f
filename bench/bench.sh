#!/bin/sh
# The first figures, as a table: each beside the nearest thing that everybody has. Run by `make bench`.
#   N=51       pairs of whole-process times        REQUESTS=20000   pipelined requests
#   JOBS=1000  timed jobs for lateness             WAITING=100000   scheduled jobs for memory
#   FINISHED=1000000  finished jobs, for what they cost
#   IDLE=70    seconds of doing nothing (libev's own look at the clock comes each minute, if it comes)
. "$top_srcdir/tests/it/lib.sh"
. "$top_srcdir/bench/application.sh"
N=${N:-51} REQUESTS=${REQUESTS:-20000} JOBS=${JOBS:-1000} WAITING=${WAITING:-100000} IDLE=${IDLE:-70} FINISHED=${FINISHED:-1000000}
rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$BMD_PID/status"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f\n", n / s }'; }
seconds() { # COMMAND…: its time
    t0=$(date +%s.%N); "$@" >/dev/null 2>&1; t1=$(date +%s.%N)
    echo "$t0 $t1" | awk '{ print $2 - $1 }'
}

bench_start
bmctl build add app 1.0 >/dev/null && bmctl build add app 1.0 >/dev/null || FAIL "adding builds"
bmctl deploy app 1.0/1 --to production --now --wait >/dev/null || FAIL "deploy"
bmctl deploy app 1.0/2 --to production --now --wait >/dev/null || FAIL "deploy"

echo "| what | bmd | beside | N, how |"
echo "|---|---|---|---|"

# 1. A whole re-deploy beside the bare step. (An exact build, so that each run is the same.)
set -- $("$bench/pairs" "$N" "bmctl redeploy app 1.0/2 --now --wait 2>/dev/null" "sh -eu -c true")
row "\`bmctl redeploy --now --wait\`, one-step plan, whole process" "$1 ms (median)" \
    "the bare step: $2 ms; difference $3 ms" "$N pairs"

# The same through tsp, which keeps its queue in memory.
if command -v tsp >/dev/null; then
    TS_SOCKET=$HOME_DIR/tsp; export TS_SOCKET
    set -- $("$bench/pairs" "$N" "tsp -nf sh -eu -c true" "sh -eu -c true")
    row "the same through \`tsp -nf\` (nothing on disk)" "" "$1 ms (median); difference $3 ms" "$N pairs"
    tsp -K
fi

# 2. Memory and wake-ups, idle.
sleep 1
idle=$(rss_kib)
before=$(awk '/ctxt_switches/ { s += $2 } END { print s }' "/proc/$BMD_PID/status")
sleep "$IDLE"
after=$(awk '/ctxt_switches/ { s += $2 } END { print s }' "/proc/$BMD_PID/status")
row "memory of bmd, idle" "$((idle / 1024)).$((idle % 1024 * 10 / 1024)) MiB" "" "VmRSS, after the runs above"
row "wake-ups of bmd, idle" "$((after - before)) in $IDLE s" "" "context switches"

# 3. Durable requests a second.
for i in 1 2 3 4 5; do
    set -- $("$bench/pipeline" "$BMD_SOCKET" app 1.0 1 production "$REQUESTS" 1000 86400)
    is accepted "$REQUESTS" "$1"
    per_second "$1" "$2"
done >"$HOME_DIR/pipelined"
row "durable requests a second, one connection, pipelined" "$(median <"$HOME_DIR/pipelined")" "" "5 × $REQUESTS"
many() { for i in $(seq 200); do "$@"; done; }
for i in 1 2 3 4 5; do
    seconds many bmctl deploy app 1.0/1 --to production --at +20h --no-follow >>"$HOME_DIR/by-bmctl"
    if command -v at >/dev/null; then
        one_at() { echo true | at now + 20 hours; }
        seconds many one_at >>"$HOME_DIR/by-at"
        for id in $(atq | cut -f1); do atrm "$id"; done
    fi
    if command -v tsp >/dev/null; then
        TS_SOCKET=$HOME_DIR/tsp; TMPDIR=$HOME_DIR; export TS_SOCKET
        tsp sleep 1000 >/dev/null
        seconds many tsp true >>"$HOME_DIR/by-tsp"
        tsp -k; tsp -K
    fi
done
rate() { [ -f "$1" ] && per_second 200 "$(median <"$1")" || echo "not here"; }
row "requests a second by separate processes" "$(rate "$HOME_DIR/by-bmctl") (durable)" \
    "at: $(rate "$HOME_DIR/by-at") (file, not synced), tsp: $(rate "$HOME_DIR/by-tsp") (memory)" "5 × 200"

# 4. Memory with many waiting jobs.
have=$(bmctl call GetStatus | jq .waiting)
if [ "$have" -lt "$WAITING" ]; then
    "$bench/pipeline" "$BMD_SOCKET" app 1.0 1 production $((WAITING - have)) 1000 86400 >/dev/null
fi
full=$(rss_kib)
row "memory of bmd, $(bmctl call GetStatus | jq .waiting) scheduled jobs" "$((full / 1024)).$((full % 1024 * 10 / 1024)) MiB" "" "VmRSS"

# 5. Lateness: JOBS jobs, one every 30 ms, over 20 stages, with those many waiting.
start=$(($(date +%s) + 5 + JOBS / 100))
i=0
while [ $i -lt "$JOBS" ]; do
    ms=$((i * 30))
    at=$(TZ=UTC date -d "@$((start + ms / 1000)).$(printf %03d $((ms % 1000)))" +%Y-%m-%dT%H:%M:%S.%NZ | sed 's/000Z$/Z/')
    printf '{"method":"io.bmd.Control.Deploy","parameters":{"key":"late-%s","application":"app","release":"1.0","build":1,"stage":"s%s","at":"%s","if_changed":"run"}}\0' \
        $i $((i % 20 + 1)) "$at"
    i=$((i + 1))
done | socat -t 60 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | jq -r '.parameters.job.id' >"$HOME_DIR/ids"
is "timed jobs" "$JOBS" "$(wc -l <"$HOME_DIR/ids")"
bmctl wait $(cat "$HOME_DIR/ids") >/dev/null || FAIL "a timed job did not succeed"
for id in $(cat "$HOME_DIR/ids"); do
    printf '{"method":"io.bmd.Control.GetJob","parameters":{"job":%s}}\0' "$id"
done | socat -t 60 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' >"$HOME_DIR/timed"
quantiles() {
    sort -n | awk '{ v[NR] = $1 / 1000 }
        END { printf "p50 %.1f ms, p99 %.1f ms, max %.1f ms", v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.5)], v[NR] }'
}
jq -r '.parameters.job.lateness_us' <"$HOME_DIR/timed" | quantiles >"$HOME_DIR/late"
jq -r 'def us: (.[0:19] + "Z" | fromdate) * 1000000 + (.[20:26] | tonumber);
    .parameters.job | (.steps[0].started | us) - (.due | us)' <"$HOME_DIR/timed" | quantiles >"$HOME_DIR/late-step"
row "lateness of timed jobs, due until *started* is committed" "$(cat "$HOME_DIR/late")" "" "$JOBS jobs, one every 30 ms, over 20 stages"
row "the same, until the first step begins" "$(cat "$HOME_DIR/late-step")" "" "claim and its syncs included"
bmd_stop

# 6. What finished jobs cost, beside a state without them: a look at what is due, which follows every change, and a start.
# 20 jobs wait in both, so that the look has something to find.
rm -rf "$HOME_DIR/state"
bmd_start
bmctl build add app 1.0 >/dev/null || FAIL "adding a build"
for i in $(seq 20); do bmctl deploy app 1.0/1 --to s1 --at +20h --no-follow >/dev/null; done
bmctl deploy app 1.0/1 --to production --now --wait >/dev/null || FAIL "deploy"
bmd_stop
answered() { bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" & BMD_PID=$!; until bmctl call GetStatus; do sleep 0.005; done; }
starts() { for i in 1 2 3; do seconds answered; bmd_stop; done | median; }
look_without=$("$bench/look" "$BMD_CONF" time 2001) start_without=$(starts)
"$bench/look" "$BMD_CONF" fill "$FINISHED" || FAIL "filling"
start_with=$(starts) look_with=$("$bench/look" "$BMD_CONF" time 2001)
row "a look at what is due, $FINISHED finished jobs" "$look_with µs" "with one: $look_without µs" "median of 2,001"
row "a start, until it answers, $FINISHED finished jobs" "$start_with s" "with one: $start_without s" "median of 3"
row "the database then" "$(($(wc -c <"$HOME_DIR/state/bmd.db") / 1048576)) MiB" "" "each job with a step and a row of the audit"
