#!/bin/sh
# Hostile steps: nothing of them survives its run, the job says what happened, two runs are never on one stage, and
# meanwhile bmd answers within 50 ms at p99 and grows by less than 1 MiB. N runs of the cases below, four at a time; in the
# last quarter bmd is killed meanwhile, and what it says afterwards has to be the same.
#
#   N=     runs (default: each case once, in `make check`; 400 in `make check-hostile`)
#   SEED=  the order of the cases and the moments of the kills (default: the clock)
#   SLOW=  how many times slower this machine is than a real one (default 1): so much longer may the flood of output and the line of 1 GiB take
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/pulse.sh"
. "$top_srcdir/tests/campaign/results.sh"

here=$top_builddir/tests/campaign
SEED=${SEED:-$(date +%s)} SLOW=${SLOW:-1}
PULSE_PEAK_KIB=1024 LOG_BYTES=$((2 * 1024 * 1024 + 65536))
violations=0 skips=0
violation() { echo "VIOLATION $*"; violations=$((violations + 1)); }
skipped() { echo "skipped: $*"; skips=$((skips + 1)); }
# dice N: the next number below N of the seed.
dice() { SEED_NOW=$(((SEED_NOW * 1103515245 + 12345) % 2147483648)); DICE=$((SEED_NOW / 8 % $1)); }
SEED_NOW=$((SEED % 2147483648))

# The steps run as somebody of whom no process lives: a bomb is limited by its user's count of processes.
user=
if [ "$(id -u)" = 0 ]; then
    for user in games uucp news lp list irc; do
        id "$user" >/dev/null 2>&1 && ! ps -u "$user" >/dev/null && break
    done
fi
folder=$HOME_DIR/steps
mkdir "$folder"
own_programs campaign
cp "$here/nasty" "$folder/nasty"
[ -z "$user" ] || chown "$user" "$folder"

# What can be executed in no way.
printf 'no program\n' >"$folder/format"
printf '#!/nonexistent/interpreter\n' >"$folder/interpreter"
printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\002\000\000\001' >"$folder/machine"
head -c 64 /dev/zero >>"$folder/machine"
printf '#!/bin/sh\n' >"$folder/forbidden"
mkdir "$folder/folder"
ln -s loop "$folder/loop"
chmod 755 "$folder/format" "$folder/interpreter" "$folder/machine"

# NAME | options of the step | action | state and message | what the log has to say
cat >"$HOME_DIR/cases" <<CASES
escape       |                   | exec = {"$folder/nasty", "escape", "$folder"}       | succeeded                             | left behind, ending it: nasty
holder       |                   | exec = {"$folder/nasty", "holder", "$folder"}       | succeeded                             | left behind, ending it: nasty
stopped-left |                   | exec = {"$folder/nasty", "stopped-left", "$folder"} | succeeded                             | left behind, ending it: nasty
deaf         | timeout = "300ms" | exec = {"$folder/nasty", "deaf", "$folder"}         | failed timed out after 300ms          | timed out
stopped      | timeout = "300ms" | exec = {"$folder/nasty", "stopped", "$folder"}      | failed timed out after 300ms          | timed out
bomb         | timeout = "1s"    | exec = {"$folder/nasty", "bomb", "$folder"}         | failed timed out after 1s             | timed out
flood        | timeout = "$((2 * SLOW))s" | exec = {"$folder/nasty", "flood", "$folder"} | failed timed out after $((2 * SLOW))s | of output were not kept
line         |                   | exec = {"$folder/nasty", "line", "$folder"}         | succeeded                             | last
binary       |                   | exec = {"$folder/nasty", "binary", "$folder"}       | succeeded                             | last
killed       |                   | run = 'kill -9 \$\$'                                | failed killed by signal 9 (KILL)      | killed by signal 9
crashed      |                   | run = 'kill -SEGV \$\$'                             | failed killed by signal 11 (SEGV)     | killed by signal 11
missing      |                   | exec = {"$folder/missing"}                          | failed could not execute: $folder/missing: No such file or directory        | could not execute
forbidden    |                   | exec = {"$folder/forbidden"}                        | failed could not execute: $folder/forbidden: Permission denied              | could not execute
folder       |                   | exec = {"$folder/folder"}                           | failed could not execute: $folder/folder: Permission denied                 | could not execute
format       |                   | exec = {"$folder/format"}                           | failed could not execute: $folder/format: Exec format error                 | could not execute
machine      |                   | exec = {"$folder/machine"}                          | failed could not execute: $folder/machine: Exec format error                | could not execute
interpreter  |                   | exec = {"$folder/interpreter"}                      | failed could not execute: $folder/interpreter: the interpreter that it names is missing | could not execute
loop         |                   | exec = {"$folder/loop"}                             | failed could not execute: $folder/loop: Too many levels of symbolic links   | could not execute
nowhere      |                   | exec = {"no-such-program"}                          | failed could not execute: no-such-program: No such file or directory        | could not execute
real-127     |                   | run = 'exit 127'                                    | failed exited with 127                | exited with 127
exec-fails   |                   | exec = {"/bin/true"}                                | failed could not execute: /bin/true: Cannot allocate memory           | could not execute
fork-fails   |                   | exec = {"/bin/true"}                                | failed could not start a process: Cannot allocate memory              | could not start
CASES
if [ -z "$user" ] && [ "$(id -u)" = 0 ]; then
    sed -i '/^bomb /d' "$HOME_DIR/cases"
    skipped "the fork bomb: no user without processes"
fi
# A small file system that a step fills: that of the state.
if [ "$(id -u)" = 0 ] && mkdir "$HOME_DIR/state" && mount -t tmpfs -o size=48m,mode=711 tmpfs "$HOME_DIR/state"; then
    at_exit "umount -l '$HOME_DIR/state'"
    mkdir "$HOME_DIR/state/open"
    chown "${user:-0}" "$HOME_DIR/state/open"
    echo "fill | | exec = {\"$folder/nasty\", \"fill\", \"$folder\", \"$HOME_DIR/state/open/full\"} | failed exited with 3 | " \
        >>"$HOME_DIR/cases"
else
    skipped "the full disk: no small file system without root"
fi
# A limit of memory, around bmd and all that it starts: v1's, or a v2 that has the controller. A sanitizer alone needs more.
cgroup=
: "${BMD_SANITIZED:=}"
for parent in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    [ -z "$cgroup$BMD_SANITIZED" ] && [ -w "$parent/cgroup.procs" ] && mkdir "$parent/bmd-hostile-$$" 2>/dev/null || continue
    at_exit "[ -z \"\$BMD_PID\" ] || { kill -KILL \$BMD_PID; wait \$BMD_PID; }; rmdir '$parent/bmd-hostile-$$' 2>/dev/null"
    for limit in memory.limit_in_bytes memory.max; do
        echo 268435456 2>/dev/null >"$parent/bmd-hostile-$$/$limit" && cgroup=$parent/bmd-hostile-$$
    done
done
if [ -n "$cgroup" ]; then
    echo "memory | | exec = {\"$folder/nasty\", \"memory\", \"$folder\"} | failed killed by signal 9 (KILL): out of memory | out of memory" \
        >>"$HOME_DIR/cases"
    echo "memory-below | | run = 'if ! $folder/nasty memory $folder; then exit 4; fi' | failed exited with 4, and the kernel killed a process meanwhile: out of memory | out of memory" \
        >>"$HOME_DIR/cases"
else
    skipped "out of memory: no cgroup here that can have a limit"
fi
# bmd_limited: bmd, in that cgroup, and spared by the kernel as its unit has it, where that may be asked for (CAP_SYS_RESOURCE): a bomb of
# processes fills the cgroup too.
bmd_limited() {
    bmd_start
    sh -c 'echo -500 >"/proc/$1/oom_score_adj"' sh "$BMD_PID" 2>/dev/null
    [ -z "$cgroup" ] || echo "$BMD_PID" >"$cgroup/cgroup.procs" || violation "bmd is not limited"
}
field() { awk -F ' *[|] *' -v name="$1" -v field="$2" '$1 == name { print $field }' "$HOME_DIR/cases"; }
names=$(sed 's/ *|.*//' "$HOME_DIR/cases")
count=$(echo "$names" | wc -l)
N=${N:-$count}

# The output of all runs would fill that small file system by itself.
configure 'max-running = 4' 'keep-runs = 10'
{
    printf '    stages = {'
    for name in $names; do printf '%s"%s"' "${separator:-}" "$name"; separator=', '; done
    echo '}'
    [ -z "$user" ] || echo "    user = \"$user\""
    for name in $names; do echo "    stage \"$name\" { plan = \"$name\"  on-failure = \"continue\" }"; done
} | application app
while IFS='|' read -r name options action _; do
    plan "${name%% *}" <<PLAN
    step "hostile" { environment = {"HOSTILE=$HOME_DIR"} $options $action }
PLAN
done <"$HOME_DIR/cases"
bmd_limited
expect 0 bmctl build add app 1.0

# survivors JOB: processes that still have the environment of its steps.
survivors() {
    for environ in $(grep -lzxF "HOSTILE=$HOME_DIR" /proc/[0-9]*/environ 2>/dev/null); do
        grep -qzxF "BM_JOB=$1" "$environ" 2>/dev/null && echo "${environ%/environ}" | cut -d/ -f3
    done
}
# judge JOB NAME: the run is over; nothing of it is there, and what is said of it is so.
judge() {
    left=$(survivors "$1")
    [ -z "$left" ] || violation "I9 job $1, $2: $(echo "$left" | wc -l) processes survive: $(echo $left)"
    said=$(bmctl --json show "$1" | jq -r '.job | if .state == "succeeded" then .state else "\(.state) \(.message)" end')
    case $said in
    "$(field "$2" 4)" | *": $(field "$2" 4 | sed 's/^failed //')"*) ;;
    *) violation "I7 job $1, $2: said '$said', expected '$(field "$2" 4)'" ;;
    esac
    bmctl log "$1" >"$HOME_DIR/log" 2>&1
    [ -z "$(field "$2" 5)" ] || grep -aqF -- "$(field "$2" 5)" "$HOME_DIR/log" || violation "I7 job $1, $2: its log says nothing of '$(field "$2" 5)'"
    ! LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]' "$HOME_DIR/log" || violation "I11 job $1, $2: control bytes reach the terminal"
    kept=$(cat "$HOME_DIR/state/runs/$1"/log* | wc -c)
    [ "$kept" -le $LOG_BYTES ] || violation "I11 job $1, $2: $kept bytes of its output are kept"
}
# batch NAME…: deploys to all of these at once; KILL=yes: bmd is killed meanwhile.
batch() {
    jobs=
    case $1 in *-fails) echo "${1%-fails} 12 1 on" >"$HOME_DIR/tree/runner/bmd-run.fault" ;; esac
    for name; do
        id=$(bmctl --json deploy app 1.0/1 --to "$name" --now --no-follow 2>"$HOME_DIR/err" | jq -r .job.id)
        case $id in
        [0-9]*) jobs="$jobs $id:$name" ;;
        *) violation "I1 $name: $(cat "$HOME_DIR/err")" ;;
        esac
    done
    if [ -n "${KILL:-}" ]; then
        dice 15
        sleep "$(awk "BEGIN { print $DICE / 10 }")"
        bmd_kill
        bmd_limited
    fi
    for job in $jobs; do
        # What a full disk cannot take is recorded when there is room again.
        [ "${job##*:}" != fill ] || {
            retry test -e "$HOME_DIR/state/runs/${job%%:*}/result" || violation "I3 job ${job%%:*}, fill: no result"
            rm -f "$HOME_DIR/state/open/full"
        }
        ended "${job%%:*}" && judge "${job%%:*}" "${job##*:}"
    done
    rm -f "$HOME_DIR/tree/runner/bmd-run.fault"
}
# ended JOB: it does, within a minute and a half (or so much longer as the machine is slow); a connection that bmd's end cuts, or a full disk, is no answer.
ended() {
    for try in $(seq $((6 * SLOW))); do
        bmctl wait "$1" --timeout 15s >/dev/null 2>"$HOME_DIR/err"
        case $(job "$1" finished 2>/dev/null) in
        [0-9]*) return 0 ;;
        esac
    done
    violation "I3 job $1 does not end: $(cat "$HOME_DIR/err")"
    return 1
}
# Each case once, then again in an order of the seed.
order() {
    echo "$names" | head -n "$N"
    i=$count
    while [ $i -lt "$N" ]; do
        dice "$count"
        echo "$names" | sed -n "$((DICE + 1))p"
        i=$((i + 1))
    done
}
# Four at a time, but those alone that are felt by all runs of their time.
batches() {
    awk '/^(fill|memory.*|.*-fails)$/ { print; next } { group = group " " $0 } ++n % 4 == 0 { print group; group = "" }
        END { if (group) print group }'
}

echo "seed $SEED, $N runs of $count hostile steps"
begin=$(date +%s)
for name in escape missing binary; do batch $name; done # what bmd needs once is no growth
order >"$HOME_DIR/order"
calm=$N
[ "$N" -le "$count" ] || calm=$((N * 3 / 4))
"$here/pulse" "$BMD_SOCKET" "$BMD_PID" >"$HOME_DIR/pulse" &
pulse=$!
head -n "$calm" "$HOME_DIR/order" | batches >"$HOME_DIR/batches"
while read -r names_of_batch; do batch $names_of_batch </dev/null; done <"$HOME_DIR/batches"
kill $pulse
wait $pulse
KILL=yes
tail -n +$((calm + 1)) "$HOME_DIR/order" | batches >"$HOME_DIR/batches"
while read -r names_of_batch; do batch $names_of_batch </dev/null; done <"$HOME_DIR/batches"
overlaps=$(grep -c ^overlap "$folder/R" 2>/dev/null)
[ "${overlaps:-0}" = 0 ] || violation "I5 two runs on one stage: $overlaps times"
bmd_stop
left=$(grep -lzxF "HOSTILE=$HOME_DIR" /proc/[0-9]*/environ 2>/dev/null | wc -l)
[ "$left" = 0 ] || violation "I9 $left processes survive bmd"

judge_pulse "$HOME_DIR/pulse" || violations=$((violations + 1))
record steps "hostile steps: $count ways to stay, to bomb, to flood, to fill, to starve, not to start; in the last quarter with SIGKILL of bmd (\`make check-hostile\`)" \
    "$N" runs "$SEED" "$violations" $(($(date +%s) - begin)) "p99 of status $P99_MS ms, $((skips + PULSE_SKIPS)) skipped"
[ $violations = 0 ] || { echo "again: SEED=$SEED N=$N make check-hostile"; exit 1; }
OK "nothing survived, everything was said"
