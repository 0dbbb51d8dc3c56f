#!/bin/sh
# After an outage many jobs are due at once: they start in the order of their times, one a stage, never more than max-running, and
# bmd answers meanwhile. JOBS are due, of which the first COUNTED are run and looked at; `make check-outage` runs them all.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
JOBS=${JOBS:-10000} COUNTED=${COUNTED:-300}
RUNNING=4 APPLICATIONS=50

configure "max-running = $RUNNING" 'clock-settle = "0s"'
for a in $(seq "$APPLICATIONS"); do
    application "app$a" <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one" }
CONF
done
plan one <<CONF
    step "one" { run = 'echo "+ \$BM_JOB \$BM_APPLICATION.\$BM_STAGE" >>$HOME_DIR/ledger; while test -e $HOME_DIR/gate; do sleep 0.05; done; echo "- \$BM_JOB" >>$HOME_DIR/ledger' }
CONF
bmd_start
for a in $(seq "$APPLICATIONS"); do echo "{\"method\":\"io.bmd.Control.AddBuild\",\"parameters\":{\"key\":\"b$a\",\"application\":\"app$a\",\"release\":\"1.0\",\"artifacts\":[]}}"; done |
    tr '\n' '\0' | socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" >/dev/null
is builds 1 "$(bmctl --json build list "app$APPLICATIONS" | jq '.builds | length')"

# Times that pass while bmd is down, a tenth of a millisecond apart, in an order that is not that of the numbers.
due=$(($(date +%s) + 20))
awk -v n="$JOBS" -v due="$due" -v apps="$APPLICATIONS" 'BEGIN {
    for (i = 0; i < n; i++) {
        k = (i * 7919) % n  # the rank of its time: 7919 is a prime that n has not
        cmd = ""
        printf "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"key\":\"j%d\",\"application\":\"app%d\",\"release\":\"1.0\",\"build\":1,\"stage\":\"%s\",\"at\":\"%s.%06dZ\",\"if_changed\":\"run\"}}\n",
            i, k % apps + 1, int(k / apps) % 2 ? "production" : "testing", strftime("%Y-%m-%dT%H:%M:%S", due + int(k / 10000), 1), k % 10000 * 100
    }
}' >"$HOME_DIR/asked" 2>"$HOME_DIR/err" || FAIL "awk: $(cat "$HOME_DIR/err")"
tr '\n' '\0' <"$HOME_DIR/asked" | socat -t 60 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' |
    jq -r '.parameters.job | "\(.due) \(.id)"' | sort >"$HOME_DIR/order"
is "jobs" "$JOBS" "$(grep -c '^2' "$HOME_DIR/order")"
is "the last is not due before bmd is down" 1 "$([ "$(date +%s)" -lt "$due" ] && echo 1)"
: >"$HOME_DIR/gate"
bmd_kill
last=$((due + JOBS / 10000))
passed() { [ "$(date +%s)" -gt "$last" ]; }
OK "$JOBS jobs fall due while bmd is down"
until passed; do sleep 0.2; done

bmd_start
begun() { [ "$(grep -c '^+' "$HOME_DIR/ledger" 2>/dev/null)" -ge "$1" ]; }
retry begun "$RUNNING" || FAIL "nothing starts"
expect 0 bmctl status
is "what runs" "$RUNNING" "$(call GetStatus | jq .parameters.running)"
is "the first" "$(head -n "$RUNNING" "$HOME_DIR/order" | cut -d' ' -f2 | sort -n | tr '\n' ' ')" "$(sed -n 's/^+ \([0-9]*\) .*/\1/p' "$HOME_DIR/ledger" | sort -n | tr '\n' ' ')"
sleep 0.5
is "no more than these" "$RUNNING" "$(grep -c '^+' "$HOME_DIR/ledger")"
rm "$HOME_DIR/gate"
began=$(date +%s)
tries=0
until begun "$COUNTED"; do
    tries=$((tries + 1)); [ $tries -lt $((COUNTED * 6)) ] || FAIL "only $(grep -c '^+' "$HOME_DIR/ledger") of $COUNTED started"
    sleep 0.05
done
t0=$(date +%s%N)
expect 0 bmctl queue app1
ms=$((($(date +%s%N) - t0) / 1000000))
bmd_stop
OK "$COUNTED started within $(($(date +%s) - began)) s; bmctl queue took $ms ms meanwhile"

# Of all that are due those that began are the first, but for as many as have a slot; a stage is one at a time, in order.
awk -v running="$RUNNING" '
    NR == FNR { rank[$2] = NR; next }
    $1 == "+" {
        n++
        if (rank[$2] > furthest) furthest = rank[$2]
        # Those before the furthest that have not begun are on their way: no more than there are slots.
        if (furthest - n >= running) { print "job " $2 " began, number " rank[$2] " by its time, and only " n " have"; exit 1 }
        if (busy[$3]) { print "two runs on " $3; exit 1 }
        if (rank[$2] < before[$3]) { print "job " $2 " started behind a later one of " $3; exit 1 }
        busy[$3] = 1; before[$3] = rank[$2]; stage[$2] = $3
        if (++now > running) { print now " runs at one time"; exit 1 }
    }
    $1 == "-" { now--; busy[stage[$2]] = 0 }
' "$HOME_DIR/order" "$HOME_DIR/ledger" >"$HOME_DIR/out" || FAIL "$(cat "$HOME_DIR/out")"
is "starts of the same job" 0 "$(sed -n 's/^+ \([0-9]*\) .*/\1/p' "$HOME_DIR/ledger" | sort | uniq -d | wc -l)"
OK "in order, one a stage, never more than $RUNNING"
