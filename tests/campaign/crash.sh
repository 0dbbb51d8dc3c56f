#!/bin/sh
# The crash campaign: N cycles of SIGKILL, at random and at fail points, under load, three ledgers, and what does not agree with what.
#
#   N=     cycles (default 15 in `make check`, 200 in `make check-crash`)
#   SEED=  the decisions of clients, driver and steps (default: the clock); printed, so that a run can be done again
#   FAULTS=1: instead of kills the n-th call of bmd or bmd-run fails
#   POWER= ext4 or xfs: instead of kills the power of a loop-mounted disk is cut (see power.sh)
#   GUESTS=1: instead of kills hostile clients come, one after the other, the N-th way of guest.c; bmd goes on all the while
#   RESULTS= a file that gets what was found as a line (results.sh)
#   KEEP=  a folder that the ledgers are copied to, always; without it, after a violation, their place is printed
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"

N=${N:-15}
. "$top_srcdir/tests/campaign/load.sh"
ledgers=$(mktemp -d "${TMPDIR:-/tmp}/bmd-ledgers.XXXXXX") || exit 99
chmod 755 "$ledgers"
at_exit "[ \"\${keep_ledgers:-}\" ] || rm -rf '$ledgers'"
echo "seed $SEED, $N cycles, $CLIENTS clients, $STAGES stages"

load_application "$ledgers" in-place
plan p <<CONF
    step "files" { deploy = "site"  to = '\$ROOT'  keep = 1 }
    step "one" { exec = {"$here/probe", "$ledgers", "$SEED", '\$ROOT/current/file'} }
    step "two" { exec = {"$here/probe", "$ledgers", "$SEED"} }
CONF
plan in-place <<CONF
    step "files" { deploy = "site"  to = '\$ROOT'  in-place = true }
    step "one" { exec = {"$here/probe", "$ledgers", "$SEED", '\$ROOT/file'} }
    step "two" { exec = {"$here/probe", "$ledgers", "$SEED"} }
CONF
# The programs that pass failpoints: else object for object those that are installed. Where none is used and time counts, these.
own_programs ${GUESTS:-campaign}
name=crash unit=cycles
kind="SIGKILL of bmd and bmd-run at random, at named fail points and during recovery, under $CLIENTS clients and uploads (\`make check-crash\`)"
if [ -n "${FAULTS:-}" ]; then
    name=faults unit=faults
    kind="the n-th call of one kind of bmd, bmd-run or bmd-import fails, once or from then on, under $CLIENTS clients and uploads (\`make check-faults\`)"
    export CAMPAIGN_FAULTS=1
fi
if [ -n "${POWER:-}" ]; then
    name=power-$POWER unit=cuts
    kind="the power is cut on a loop-mounted $POWER, under $CLIENTS clients and uploads (\`make check-power\`)"
    truncate -s 400M "$HOME_DIR/disk" && "mkfs.$POWER" -q "$HOME_DIR/disk" && mkdir "$HOME_DIR/state" &&
        mount -o loop "$HOME_DIR/disk" "$HOME_DIR/state" 2>"$HOME_DIR/err" ||
        SKIP "no loop-mounted $POWER here: $(cat "$HOME_DIR/err")"
    at_exit "umount -l '$HOME_DIR/state'"
    cat >"$HOME_DIR/power" <<HOOK
case \$1 in
cut) exec xfs_io -x -c shutdown "$HOME_DIR/state" ;;
restore)
    n=0
    until umount "$HOME_DIR/state"; do
        n=\$((n + 1)); [ \$n -lt 200 ] || exit 1
        sleep 0.05
    done
    exec mount -o loop "$HOME_DIR/disk" "$HOME_DIR/state" ;;
esac
HOOK
    export CAMPAIGN_POWER="$HOME_DIR/power"
fi
if [ -n "${GUESTS:-}" ]; then
    name=clients unit=attacks
    kind="hostile clients: every split of a frame, garbage, mutants, nesting, over-long, of many small values, never reading, never writing, hoarding halves of messages, 10,000 idle, a storm of connections, dying mid-stream, false uploads, descriptors; beside $CLIENTS polite clients (\`make check-hostile\`)"
    users=
    if [ "$(id -u)" = 0 ]; then
        users="games uucp"
        configure "operators = {\"$(id -gn games)\"}" "viewers = {\"$(id -gn uucp)\"}"
    fi
    cat >"$HOME_DIR/guests" <<HOOK
case \$1 in
begin)
    "$here/guest" "$BMD_SOCKET" fill || exit 1
    sleep 2
    "$here/pulse" "$BMD_SOCKET" \$2 >"$ledgers/pulse" &
    echo \$! >"$HOME_DIR/pulse" ;;
end)
    sleep 4 # what is free goes back to the system when it is calm
    kill \$(cat "$HOME_DIR/pulse")
    while [ ! -s "$ledgers/pulse" ]; do sleep 0.05; done ;;
*) "$here/guest" "$BMD_SOCKET" $SEED \$1 $users ;;
esac
HOOK
    export CAMPAIGN_GUESTS="$HOME_DIR/guests"
fi
bmd_start
load_builds "$ledgers/build"
bmd_stop

begin=$(date +%s)
"$here/crash" "$HOME_DIR/tree/daemon/bmd" "$BMD_CONF" "$BMD_SOCKET" "$ledgers" \
    "$SEED" "$N" $CLIENTS $STAGES >"$ledgers/crash.out"
drove=$?
cat "$ledgers/crash.out"
"$here/check" "$ledgers" one two >"$ledgers/check.out"
checked=$?
cat "$ledgers/check.out"
if [ -n "${GUESTS:-}" ]; then
    . "$top_srcdir/tests/campaign/pulse.sh"
    judge_pulse "$ledgers/pulse" >>"$ledgers/check.out" || checked=1
    tail -n 4 "$ledgers/check.out"
    DETAIL="p99 of status $P99_MS ms, $PULSE_SKIPS skipped"
fi
# With all that was made to fail, what the store holds is what its names say.
bmd_start
bmctl build verify >"$ledgers/verify.out" 2>&1 || { echo "VIOLATION I10: $(tail -n 3 "$ledgers/verify.out")" | tee -a "$ledgers/more.out"; checked=1; }
bmctl audit verify >"$ledgers/audit.out" 2>&1 || { echo "VIOLATION I10: $(tail -n 3 "$ledgers/audit.out")" | tee -a "$ledgers/more.out"; checked=1; }
bmd_stop
integrity=$(sqlite3 "$HOME_DIR/state/bmd.db" 'PRAGMA integrity_check' 2>&1) || integrity=skipped
[ "$integrity" = ok ] || [ "$integrity" = skipped ] || { echo "VIOLATION I10: $integrity" | tee -a "$ledgers/more.out"; checked=1; }
violations=$(cat "$ledgers"/crash.out "$ledgers"/check.out "$ledgers"/more.out 2>/dev/null | grep -c '^VIOLATION')
# Of the jobs many are cancelled, or let go of in the end: those that ran are what was put to the test.
jobs=$(sed -n 's/^jobs \([0-9]* (.*)\), uploads.*/\1/p' "$ledgers/check.out" | tr -d '(),' | awk '{
    for (i = 2; i < NF; i += 2)
        if ($i ~ /succeeded|failed|lost/) ran += $(i + 1)
    print $1 " jobs, " ran + 0 " of them ran" }')
ended=$(sed -n 's/.*, faults [1-9][0-9]* (\([0-9]* were come to, bmd ended over [0-9]*\)).*/, \1/p' "$ledgers/crash.out")
phases=$(sed -n 's/^faults come to while: /; while /p' "$ledgers/crash.out")
record "$name" "$kind" "$N" "$unit" "$SEED" "$violations" $(($(date +%s) - begin)) "$jobs$ended$phases${DETAIL:+; $DETAIL}"
[ -z "${KEEP:-}" ] || { mkdir -p "$KEEP" && cp -r "$ledgers"/. "$KEEP"; }
if [ $drove != 0 ] || [ $checked != 0 ]; then
    keep_ledgers=yes
    cp -r "$HOME_DIR/state" "$ledgers/" 2>/dev/null
    echo "look into $ledgers; again: ${FAULTS:+FAULTS=1 }${GUESTS:+GUESTS=1 }${POWER:+POWER=$POWER }make check-crash SEED=$SEED N=$N"
    exit 1
fi
OK "nothing lost, nothing twice, every end true"
