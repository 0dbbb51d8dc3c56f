#!/bin/sh
# What only a machine shows that has a kernel, a disk and a sleep of its own: limits that the kernel keeps, hostile steps below them,
# power that goes, a machine that sleeps. Part of `make check-machine`.
#
#   CUTS=  power cuts (default 3)
#   PLAYS= of limits remains hostile power sleeps (default: all)
. "$(dirname "$0")/boot.sh"
. "$(dirname "$0")/installed.sh"
[ "$BMD_SYSTEM" = machine ] || SKIP "not without a machine: BMD_SYSTEM=machine"
: "${CUTS:=3}" "${PLAYS:=limits remains hostile power sleeps}"
install_prepare "$@"
install_shop
cat >"$ETC/bmd.conf" <<'CONF'
max-running = 120
CONF
cat >"$ETC/applications.d/tight.conf" <<'CONF'
application "tight" {
    user   = "deploy"
    stages = {"memory", "below", "tasks", "endless", "weight", "remains", "deaf"}
    stage "memory"  { plan = "eat"      memory-max = "32MiB" }
    stage "below"   { plan = "feed"     memory-max = "32MiB" }
    stage "tasks"   { plan = "bomb"     tasks-max = 20 }
    stage "endless" { plan = "endless"  tasks-max = 20 }
    stage "weight"  { plan = "wait"     cpu-weight = 50  memory-max = "64MiB"  tasks-max = 30 }
    stage "remains" { plan = "remains" }
    stage "deaf"    { plan = "deaf" }
}
plan "eat"     { step "eat"  { exec = {"tail", "/dev/zero"} } }
plan "feed"    { step "feed" { run = 'tail /dev/zero || exit 4' } }
plan "bomb"    { step "bomb" { run = 'while :; do sleep 1000 & done' } }
plan "endless" { step "bomb" { exec = {"/srv/nasty", "bomb", "/srv/test"}  timeout = "10s" } }
plan "wait"    { step "wait" { run = 'touch /srv/test/weight; while [ -e /srv/test/weight ]; do sleep 0.1; done' } }
plan "remains" { step "go"   { exec = {"/srv/remains"} } }
plan "deaf"    { step "go"   { run = 'trap "" TERM HUP INT; /srv/remains; touch /srv/test/deaf; while :; do sleep 1; done' } }
CONF
cp "$top_builddir/tests/campaign/nasty" "$ROOT/srv/" # a bomb that does not give up
# Everything that has ever been done to outlive somebody.
cat >"$ROOT/srv/remains" <<'SH'
#!/bin/sh
trap '' TERM HUP INT
setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &
(setsid nohup sleep 1001 >/dev/null 2>&1 </dev/null &)
sh -c 'kill -STOP $$; sleep 1002' &
sleep 1003 &
SH
chmod 755 "$ROOT/srv/remains"
{
    echo 'application "many" { user = "deploy"  stages = {'
    n=0; while [ $n -lt 40 ]; do n=$((n + 1)); printf '"s%d",' $n; done | sed 's/,$/ }/'
    n=0; while [ $n -lt 40 ]; do n=$((n + 1)); echo "stage \"s$n\" { plan = \"note\"  on-failure = \"continue\" }"; done
    echo '}'
} >"$ETC/applications.d/many.conf"
# A start is a line on the disk before anything else is done.
cat >"$ETC/plans.d/note.conf" <<'CONF'
plan "note" { step "note" { run = 'echo "$BM_JOB" >"/srv/ledger/$BM_JOB.$$"; sync "/srv/ledger/$BM_JOB.$$" /srv/ledger; sleep 0.3' } }
CONF
install_start
inside install -d -o deploy /srv/ledger
is "the hierarchy of cgroups" cgroup2fs "$(inside stat -f -c %T /sys/fs/cgroup)"
bm build add shop 1.0.1 site=/srv/builds/1.0.1 >/dev/null && bm build add shop 1.0.2 site=/srv/builds/1.0.2 >/dev/null &&
    bm build add tight 1 >/dev/null && bm build add many 1 >/dev/null || FAIL "build add"
for release in 1.0.1 1.0.2; do bm deploy shop $release --to production --now --wait >/dev/null || FAIL "deploy"; done
OK "Linux $(inside uname -r), installed and started: $(inside systemctl show -P StatusText bmd)"

# says JOB TEXT: its message does.
says() { case $(job "$1" message) in *"$2"*) ;; *) FAIL "job $1 says '$(job "$1" message)', not '$2'" ;; esac; }
# nothing STAGE JOB: no process of the steps' user is there, and no cgroup of that run.
nothing() {
    left=$(inside pgrep -a -u deploy)
    [ -z "$left" ] || FAIL "$1: there is left $left"
    inside test -d "$(inside jq -r .cgroup "/var/lib/bmd-run/$2/started")" && FAIL "$1: the cgroup of its steps is left"
    return 0
}
runner() { inside jq -r .pid "/var/lib/bmd-run/$1/started"; }

limits() {
    in_flight redeploy shop 1.0.1 # the neighbour
    before=$(main_pid) neighbour=$(runner "$flight")
    eat=$(queue deploy tight 1 --to memory --now)
    feed=$(queue deploy tight 1 --to below --now)
    bomb=$(queue deploy tight 1 --to tasks --now)
    endless=$(queue deploy tight 1 --to endless --now)
    for tight in $eat $feed $bomb $endless; do ends "$tight" failed; done
    says "$eat" "killed by signal 9 (KILL): out of memory"
    says "$feed" "exited with 4, and the kernel killed a process meanwhile: out of memory"
    says "$bomb" "and tasks-max of the stage refused it a process meanwhile"
    says "$endless" "timed out after 10s, and tasks-max of the stage refused it a process meanwhile"
    is "bmd after that" "$before" "$(main_pid)"
    inside test -d "/proc/$neighbour" || FAIL "the neighbour's bmd-run is gone"
    is "the neighbour" running "$(job "$flight" state)"
    for tight in $eat $feed $bomb $endless; do
        inside test -s "/var/lib/bmd-run/$tight/result" || FAIL "bmd-run of job $tight left no result: it was killed as well"
    done
    let_go
    ends "$flight" succeeded
    is "units that failed" "" "$(inside systemctl list-units --failed --plain --no-legend 'bmd*')"
    nothing "limits" "$endless"
    OK "memory-max and tasks-max: the job says so, bmd, bmd-run and a neighbour go on"

    weight=$(queue deploy tight 1 --to weight --now)
    retry inside test -e /srv/test/weight || FAIL "job $weight does not begin"
    group=$(inside jq -r .cgroup "/var/lib/bmd-run/$weight/started")
    is "the files of its cgroup" "50 67108864 30" "$(inside cat "$group/cpu.weight" "$group/memory.max" "$group/pids.max" | xargs)"
    inside rm /srv/test/weight
    ends "$weight" succeeded
    OK "cpu-weight, memory-max and tasks-max stand in the cgroup of the steps"
}

remains() {
    remains=$(queue deploy tight 1 --to remains --now)
    ends "$remains" succeeded
    nothing "a run that succeeded" "$remains"
    bm log "$remains" | grep -q 'left behind, ending it' || FAIL "the log does not say what was left: $(bm log "$remains")"
    deaf=$(queue deploy tight 1 --to deaf --now)
    retry inside test -e /srv/test/deaf || FAIL "job $deaf does not begin"
    group=$(inside jq -r .cgroup "/var/lib/bmd-run/$deaf/started")
    [ "$(inside cat "$group/cgroup.procs" | wc -l)" -ge 5 ] || FAIL "the processes of a step are not in its cgroup"
    bm cancel "$deaf" >/dev/null && bm cancel "$deaf" >/dev/null || FAIL "cancel"
    ends "$deaf" cancelled
    nothing "a run that was cancelled" "$deaf"
    OK "cgroup.kill: nothing of a run survives it, not even what ignores signals, is stopped or went away"
}

# The campaign of hostile steps, with this kernel's limits: its own bmd, of the build tree.
hostile() {
    tree=/srv/tree
    (cd "$top_srcdir" && tar -c tests/it/lib.sh tests/campaign/*.sh) | inside sh -c "mkdir $tree && tar -C $tree -x" || exit 99
    (cd "$top_builddir" && tar -c daemon/bmd runner/bmd-run import/bmd-import ctl/bmctl tests/campaign/bmd tests/campaign/bmd-run \
        tests/campaign/bmd-import tests/campaign/nasty tests/campaign/pulse) | inside sh -c "mkdir $tree/build && tar -C $tree/build -x" || exit 99
    slow=1
    [ "$ACCEL" = kvm ] || slow=8 # an emulated processor
    inside env top_srcdir=$tree top_builddir=$tree/build SEED="${SEED:-1}" SLOW=$slow sh $tree/tests/campaign/hostile_steps.sh >"$WORK/hostile" 2>&1
    status=$?
    sed 's/^/    /' "$WORK/hostile"
    [ $status = 0 ] || FAIL "hostile steps"
    grep -q '^skipped: .*memory' "$WORK/hostile" && FAIL "the want of memory was skipped"
    OK "hostile steps, the want of memory among them"
}

# ask_on N: client N, who asks without end for what is due at once and for what is due soon, each with its reply; what it was told is on this side of the cut.
ask_on() {
    as ana sh -c 'n=$1
        while :; do
            n=$((n + 3))
            case $((n % 2)) in 0) at="--at +8s" ;; *) at=--now ;; esac
            bmctl --json deploy many 1 --to s$((n % 40 + 1)) $at --if-changed run || exit 1
        done' sh "$1" 2>/dev/null
}
new_boot() { [ "$(inside cat /proc/sys/kernel/random/boot_id)" != "$1" ] && booted; }
quiet() { [ "$(bm --json queue many | jq '.jobs | length')" = 0 ]; }
# after_power WORD: what has to be so when it is back; the run in flight is $flight, the accepted requests stand in $WORK/told.*.
after_power() {
    retry bm status || FAIL "no bmd after $1"
    ends "$flight" lost
    let_go
    is "the stage after $1" "$flight" "$(bm --json status shop | jq -r '.stages[] | select(.stage == "production") | .dirty.job')"
    bm redeploy shop --now --wait --reason mend >/dev/null || FAIL "redeploy --now after $1"
    is "the stage after redeploy --now" null "$(bm --json status shop | jq -r '.stages[] | select(.stage == "production") | .dirty')"
    retry quiet || FAIL "jobs do not end after $1: $(bm queue many)"
    for told in "$WORK"/told.*; do jq -r .job.id "$told" 2>/dev/null; done | sort -un >"$WORK/accepted" # the last one may be half a reply
    bm --json history many -n 1000 | jq -r ".jobs[] | select(.id > $floor) | \"\(.id) \(.state)\"" >"$WORK/history"
    inside ls /srv/ledger | awk -F. -v floor="$floor" '$1 > floor { print $1 }' >"$WORK/ledger"
    # accepted and unknown; started twice; succeeded without a start; started, and neither succeeded nor lost.
    awk 'FILENAME ~ /history$/ { state[$1] = $2; next }
        FILENAME ~ /ledger$/ { starts[$1]++; next }
        { accepted[$1] = 1; if (!($1 in state)) print "job " $1 " was accepted and is lost" }
        END {
            for (id in starts) if (starts[id] > 1) print "job " id " was started " starts[id] " times"
            for (id in state) {
                if (state[id] == "succeeded" && !(id in starts)) print "job " id " succeeded and never ran"
                if (id in starts && state[id] !~ /^(succeeded|lost)$/) print "job " id " ran and is " state[id]
                if (state[id] !~ /^(succeeded|lost)$/) print "job " id " is " state[id]
            }
        }' "$WORK/history" "$WORK/ledger" "$WORK/accepted" >"$WORK/wrong"
    [ ! -s "$WORK/wrong" ] || { cat "$WORK/wrong"; FAIL "after $1"; }
}

power() {
    cut=0
    floor=$(bm --json history -n 1 | jq '.jobs[0].id') # what was before has been judged
    while [ $cut -lt "$CUTS" ]; do
        cut=$((cut + 1))
        in_flight redeploy shop "1.0.$((cut % 2 + 1))"
        asking=
        for client in 1 2 3; do
            ask_on $client >"$WORK/told.$cut.$client" &
            asking="$asking $!"
        done
        sleep $((8 + cut * 7 % 5))
        boot_crash
        wait $asking 2>/dev/null
        boot_start
        after_power "power cut $cut"
    done
    OK "$CUTS power cuts: $(wc -l <"$WORK/accepted") requests were accepted, none is lost, none ran twice, $(grep -c lost "$WORK/history") ended lost;" \
        "the run in flight is lost, and redeploy --now mends its stage"

    in_flight redeploy shop 1.0.2
    boot=$(inside cat /proc/sys/kernel/random/boot_id)
    monitor system_reset >/dev/null
    rm -f "$WORK/ssh"
    retry_for $BOOT_S new_boot "$boot" || FAIL "the machine does not come back after a reset"
    after_power "a reset"
    OK "the button of reset: lost, and mended"
}

believed() { [ "$(bm --json status | jq '[.warnings[] | select(test("clock"))] | length')" = 0 ]; }
asleep() { monitor info status | grep -q suspended; }
# at SECONDS GRACE STAGE: a job so far ahead on the wall clock.
at() { queue deploy many 1 --to "$3" --at "@$(($(inside date +%s) + $1))" --grace "$2"; }
sleep_over() { # falls asleep at once; awake again 10 s after $due
    inside systemctl suspend
    retry asleep || FAIL "the machine does not fall asleep"
    [ "$(date +%s)" -lt "$due" ] || FAIL "it took too long to fall asleep"
    while [ "$(date +%s)" -lt $((due + 10)) ]; do sleep 1; done
    monitor system_wakeup >/dev/null
    retry inside true || FAIL "the machine does not wake"
}
sleeps() {
    inside grep -qw mem /sys/power/state || { echo "skipped: sleep: this kernel cannot suspend to memory"; return; }
    retry believed || FAIL "the clock does not settle: $(bm status)" # this boot may be younger than clock-settle, which would be a reason, too
    in_flight redeploy shop 1.0.1
    late=$(at 60 10min s1)
    elapsed=$(queue deploy many 1 --to s2 --at +60s)
    missed=$(at 60 1s s3)
    due=$(($(date +%s) + 60)) before=$(main_pid)
    sleep_over
    ends "$late" succeeded
    ends "$elapsed" succeeded
    ends "$missed" missed
    is "bmd over the sleep" "$before" "$(main_pid)"
    is "the run in flight over the sleep" running "$(job "$flight" state)"
    let_go
    ends "$flight" succeeded
    for slept in $late $elapsed; do
        [ "$(job "$slept" lateness_us)" -ge 5000000 ] || FAIL "job $slept was late by $(job "$slept" lateness_us) µs only"
        bm show "$slept" | grep -q '^late by' || FAIL "show does not say that job $slept was late"
        inside journalctl BM_JOB="$slept" --no-pager -o cat | grep -q 'late: the machine was asleep from 20' ||
            { inside journalctl BM_JOB="$slept" --no-pager; FAIL "the journal does not say why job $slept was late"; }
    done
    says "$missed" "the machine was asleep from 20"
    is "starts of the three" "$late $elapsed" "$(inside ls /srv/ledger | cut -d. -f1 | grep -xE "$late|$elapsed|$missed" | sort -n | xargs)"
    OK "asleep while jobs fell due: they start late and say why, or are missed and say why; the run in flight goes on"
}

for play in $PLAYS; do $play; done
boot_stop
