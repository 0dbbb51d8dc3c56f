#!/bin/sh
# How late timed jobs start, with 100, 10,000 and a million others waiting, idle and on a loaded machine, beside a systemd timer with
# AccuracySec=1us, at and cron; and what waiting costs: wake-ups with nothing due within the hour, memory, and the time of one look.
# Prints tables in Markdown. Run by `make bench-lateness`; about five minutes.
#   JOBS=200          timed jobs of each row, one every EVERY_MS=30 ms, over 20 stages
#   WAITING="100 10000 1000000"
#   IDLE=30           seconds in which wake-ups are counted
#   OTHERS=yes        no: without systemd, at and cron
#   SYSTEMD=yes       no: without a system that is booted for its timers where none runs
. "$top_srcdir/tests/it/lib.sh"
. "$top_srcdir/bench/application.sh"
JOBS=${JOBS:-200} EVERY_MS=${EVERY_MS:-30} WAITING=${WAITING:-100 10000 1000000} IDLE=${IDLE:-30} OTHERS=${OTHERS:-yes} SYSTEMD=${SYSTEMD:-yes}
LOAD=

quantiles() { # microseconds, a line each: "p50 | p99 | max"
    sort -n | awk '{ v[NR] = $1 / 1000 } END { if (NR) printf "%.1f ms | %.1f ms | %.1f ms", v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.5)], v[NR]; else printf "- | - | -" }'
}
# A bounded load: one busy process for each processor, and one that writes and syncs 1 MiB over and over. For SECONDS at most.
load_begin() {
    for cpu in $(seq "$(nproc)"); do
        timeout "$1" sh -c 'while :; do :; done' &
        LOAD="$LOAD $!"
    done
    timeout "$1" sh -c 'while :; do dd if=/dev/zero of="$0" bs=64k count=16 conv=fdatasync 2>/dev/null; done' "$HOME_DIR/load" &
    LOAD="$LOAD $!"
}
load_end() { # without a load `wait` would be for all children
    [ -z "$LOAD" ] || { kill $LOAD 2>/dev/null; wait $LOAD 2>/dev/null; }
    LOAD=
}
at_exit load_end

bench_start 'max-waiting = 2000000' 'clock-settle = "0s"'
bmctl build add app 1.0 >/dev/null || FAIL "build add"

# JOBS jobs, one every EVERY_MS; when each started goes to $HOME_DIR/late (until *started* is committed) and late-step.
timed_jobs() {
    start=$(($(date +%s) + 3 + JOBS / 200))
    awk -v n="$JOBS" -v every="$EVERY_MS" -v start="$start" -v tag="$1" 'BEGIN {
        for (i = 0; i < n; i++) {
            ms = i * every
            printf "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"key\":\"late-%s-%d\",\"application\":\"app\",\"release\":\"1.0\",\"build\":1,\"stage\":\"s%d\",\"at\":\"%s.%06dZ\",\"if_changed\":\"run\"}}\n",
                tag, i, i % 20 + 1, strftime("%Y-%m-%dT%H:%M:%S", start + int(ms / 1000), 1), ms % 1000 * 1000
        }
    }' | tr '\n' '\0' | socat -t 60 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | jq -r '.parameters.job.id' >"$HOME_DIR/ids"
    is "timed jobs" "$JOBS" "$(grep -c '^[0-9]' "$HOME_DIR/ids")"
    bmctl wait $(cat "$HOME_DIR/ids") >/dev/null || FAIL "a timed job did not succeed"
    for id in $(cat "$HOME_DIR/ids"); do
        printf '{"method":"io.bmd.Control.GetJob","parameters":{"job":%s}}\0' "$id"
    done | socat -t 60 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' >"$HOME_DIR/timed"
    jq -r '.parameters.job.lateness_us' <"$HOME_DIR/timed" >"$HOME_DIR/late"
    jq -r 'def us: (.[0:19] + "Z" | fromdate) * 1000000 + (.[20:26] | tonumber);
        .parameters.job | (.steps[0].started | us) - (.due | us)' <"$HOME_DIR/timed" >"$HOME_DIR/late-step"
    [ "$(sort -n "$HOME_DIR/late" | head -n 1)" -ge 0 ] || FAIL "a job started before its time"
}
measure() { # LOAD WAITING
    timed_jobs "$1-$2"
    row "bmd, $2 waiting, until *started* is committed" "$1" "$(quantiles <"$HOME_DIR/late")" "$JOBS"
    row "bmd, $2 waiting, until the first step begins" "$1" "$(quantiles <"$HOME_DIR/late-step")" "$JOBS"
}
switches() { awk '/ctxt_switches/ { s += $2 } END { print s }' "/proc/$BMD_PID/status"; }
rss() { awk '/^VmRSS/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$BMD_PID/status"; }
ran_ns() { cut -d' ' -f1 "/proc/$BMD_PID/schedstat"; }
# One look, by a request that changes nothing, each alone in its turn: processor time of bmd.
look_cost() {
    before=$(ran_ns)
    for i in $(seq 200); do call Unlock "{\"key\":\"look-$1-$i\",\"application\":\"app\",\"stage\":\"s1\"}" >/dev/null; done
    echo "$(ran_ns) $before" | awk '{ printf "%.2f ms", ($1 - $2) / 200 / 1000000 }'
}

echo "| what | machine | p50 | p99 | max | N |"
echo "|---|---|---|---|---|---|"
costs=
for waiting in $WAITING; do
    have=$(bmctl call GetStatus | jq .waiting)
    [ "$have" -ge "$waiting" ] ||
        "$bench/pipeline" "$BMD_SOCKET" app 1.0 1 production $((waiting - have)) 1000 1000000 >/dev/null || FAIL "filling the queue"
    sleep 1
    measure idle "$waiting"
    load_begin 60
    measure loaded "$waiting"
    load_end
    sleep 1
    before=$(switches)
    seconds=$IDLE
    [ "$waiting" = "${WAITING##* }" ] || seconds=$((IDLE / 6))
    sleep "$seconds"
    costs="$costs| $waiting | $(($(switches) - before)) in $seconds s | $(rss) | $(look_cost "$waiting") |
"
done
bmd_stop

# ---- the others: each writes when it began, by its own clock

# since FILE: microseconds behind the moments of FILE, "DUE BEGAN" in seconds a line.
since() { awk '{ printf "%d\n", ($2 - $1) * 1000000 }' "$1"; }
note='date "+$1 %s.%N" >>"$2"'

# Timers of a systemd that runs here, or of one that is booted for it (tests/system/boot.sh).
cat >"$HOME_DIR/timers.sh" <<'TIMERS'
# timers.sh N FILE: N transient timers, one every 100 ms; waits for them.
start=$(($(date +%s) + 3 + $1 / 20)) i=0
while [ $i -lt "$1" ]; do
    due=$((start + i / 10)).$((i % 10))
    systemd-run -q --on-calendar="$(TZ=UTC date -u -d "@$due" '+%F %T.%1N UTC')" --timer-property=AccuracySec=1us \
        --timer-property=RemainAfterElapse=no sh -c 'echo "$0 $(date +%s.%N)" >>"$1"' "$due" "$2" || exit 1
    i=$((i + 1))
done
while [ "$(wc -l <"$2" 2>/dev/null || echo 0)" -lt "$1" ] && [ "$(date +%s)" -lt $((start + $1 / 10 + 20)) ]; do sleep 0.5; done
TIMERS
TIMERS_N=${TIMERS_N:-50}
if [ "$OTHERS" != yes ]; then
    :
elif [ -d /run/systemd/system ]; then
    for load in idle loaded; do
        [ $load = idle ] || load_begin 60
        sh "$HOME_DIR/timers.sh" "$TIMERS_N" "$HOME_DIR/timers-$load"
        load_end
        row "systemd timer, AccuracySec=1us, until its command begins" $load "$(since "$HOME_DIR/timers-$load" | quantiles)" "$(wc -l <"$HOME_DIR/timers-$load")"
    done
elif [ "$SYSTEMD" = yes ]; then
    mkdir "$HOME_DIR/out.d"
    cat >"$HOME_DIR/booted.sh" <<'BOOTED'
. "$top_srcdir/tests/system/boot.sh"
boot_alone "$@"
boot_prepare
cp "$1/timers.sh" "$ROOT/timers.sh"
boot_start
for load in idle loaded; do
    pids=
    if [ $load = loaded ]; then
        for cpu in $(seq "$(nproc)"); do timeout 60 sh -c 'while :; do :; done' & pids="$pids $!"; done
        timeout 60 sh -c 'while :; do dd if=/dev/zero of="$0" bs=64k count=16 conv=fdatasync 2>/dev/null; done' "$1/load" & pids="$pids $!"
    fi
    inside sh /timers.sh "$2" "/timers-$load" >&2
    [ -z "$pids" ] || kill $pids 2>/dev/null
    cp "$ROOT/timers-$load" "$1/timers-$load"
done
BOOTED
    sh "$HOME_DIR/booted.sh" "$HOME_DIR" "$TIMERS_N" >"$HOME_DIR/booted" 2>&1
    if [ -s "$HOME_DIR/timers-loaded" ]; then
        for load in idle loaded; do
            row "systemd timer, AccuracySec=1us, until its command begins (in a booted container)" $load "$(since "$HOME_DIR/timers-$load" | quantiles)" "$(wc -l <"$HOME_DIR/timers-$load")"
        done
    else
        row "systemd timer" "" "skipped: $(grep -m 1 -E 'skipped|FAIL' "$HOME_DIR/booted" || tail -n 1 "$HOME_DIR/booted") | - | -" 0
    fi
else
    row "systemd timer" "" "skipped: systemd does not run here | - | -" 0
fi

# at and cron begin at full minutes. Daemons of our own where none runs; what is there already is left alone.
our_daemon() { # PROGRAM ARGUMENTS…: in the foreground, ended at the end
    "$@" >/dev/null 2>&1 &
    at_exit "kill $! 2>/dev/null"
}
minute() { echo $((($(date +%s) + 75) / 60 * 60)); }
at_jobs() { # FILE N
    due=$(minute)
    for i in $(seq "$2"); do echo "echo \"$due \$(date +%s.%N)\" >>$1" | at -t "$(date -d "@$due" +%Y%m%d%H%M)" 2>/dev/null; done
}
if [ "$OTHERS" = yes ] && [ "$(id -u)" = 0 ]; then
    have_at= have_cron=
    if command -v at >/dev/null && command -v atd >/dev/null; then
        have_at=1; pgrep -x atd >/dev/null || our_daemon atd -f
    fi
    if command -v cron >/dev/null; then
        have_cron=1; pgrep -x cron >/dev/null || our_daemon cron -f
    fi
    for load in idle loaded; do
        [ -n "$have_at$have_cron" ] || break
        [ -z "$have_cron" ] || {
            # One line for each of five commands that are due in each minute.
            for i in 1 2 3 4 5; do echo "* * * * * root echo \"\$(date +\\%s.\\%N)\" >>$HOME_DIR/cron-$load"; done >/etc/cron.d/bmd-bench
            at_exit "rm -f /etc/cron.d/bmd-bench"
        }
        [ -z "$have_at" ] || at_jobs "$HOME_DIR/at-$load" 5
        [ $load = idle ] || load_begin 100
        sleep $(($(minute) - $(date +%s) + 3))
        load_end
        rm -f /etc/cron.d/bmd-bench
        [ ! -s "$HOME_DIR/at-$load" ] || row "at, until its command begins" $load "$(since "$HOME_DIR/at-$load" | quantiles)" "$(wc -l <"$HOME_DIR/at-$load")"
        [ ! -s "$HOME_DIR/cron-$load" ] || row "cron, until its command begins" $load "$(awk '{ printf "%d\n", ($1 - int($1 / 60) * 60) * 1000000 }' "$HOME_DIR/cron-$load" | quantiles)" "$(wc -l <"$HOME_DIR/cron-$load")"
    done
    [ -n "$have_at" ] || row at "" "skipped: at is not installed (package at) | - | -" 0
    [ -n "$have_cron" ] || row cron "" "skipped: cron is not installed (package cron) | - | -" 0
fi

echo
echo "| waiting | wake-ups with nothing due within the hour | memory (VmRSS) | one look, with its request and its commit, processor time |"
echo "|---|---|---|---|"
printf '%s' "$costs"
