#!/bin/sh
# The backup campaign: N backups of a bmd under load, each restored, and judged by what clients were told (ledger A) and what became of the
# jobs in the end: what was accepted before a backup began is in it, what is over in it ended so, all else is held, nothing runs.
#
#   N=     backups (default 2 in `make check`, 20 in `make check-backups`)
#   SEED=  as in crash.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"
command -v jq >/dev/null && command -v socat >/dev/null || SKIP "needs socat and jq"

N=${N:-2}
. "$top_srcdir/tests/campaign/load.sh"
ledgers=$HOME_DIR/ledgers
mkdir "$ledgers"
echo "seed $SEED, $N backups, $CLIENTS clients, $STAGES stages"
load_application "$ledgers" p
plan p <<CONF
    step "files" { deploy = "site"  to = '\$ROOT' }
    step "one" { exec = {"$here/probe", "$ledgers", "$SEED", '\$ROOT/current/file'} }
CONF
bmd_start
load_builds "$HOME_DIR/site"
begin=$(date +%s)
"$here/clients" "$BMD_SOCKET" "$ledgers" "$SEED" $CLIENTS $STAGES &
CLIENTS_PID=$!
"$here/uploads" "$ledgers" "$SEED" &
UPLOADS_PID=$!
at_exit "kill $CLIENTS_PID $UPLOADS_PID 2>/dev/null"
now_us() { awk '{ printf "%.0f\n", $1 * 1e6 }' /proc/uptime; }
i=1
while [ $i -le "$N" ]; do
    sleep 0.$((3 + i % 5))
    now_us >"$HOME_DIR/began.$i"
    bmctl backup >/dev/null 2>"$HOME_DIR/err" || { cat "$HOME_DIR/err"; FAIL "backup $i"; }
    cp -r "$HOME_DIR/state/backup" "$HOME_DIR/copy.$i"
    i=$((i + 1))
done
kill $CLIENTS_PID $UPLOADS_PID
wait $CLIENTS_PID $UPLOADS_PID
for job in $(bmctl --json queue | jq '.jobs[] | select(.state != "running").id'); do bmctl cancel "$job" >/dev/null 2>&1; done
over() { [ "$(bmctl --json queue | jq '.jobs | length')" = 0 ] || { bmctl --json queue | jq '.jobs[] | select(.state == "held").id' | while read -r job; do bmctl cancel "$job"; done; false; }; }
retry over || FAIL "jobs are left"
# jobs FILE: {"id": state, …} of all that this bmd knows.
jobs() { { bmctl --json queue; bmctl --json history -n 100000; } | jq -c '.jobs[]' | jq -s 'map({(.id | tostring): .state}) | add // {}' >"$1"; }
jobs "$HOME_DIR/ended"
bmd_stop
mv "$HOME_DIR/state" "$HOME_DIR/lost"

violations=0 told=0
violation() { echo "VIOLATION: backup $1: $2"; violations=$((violations + 1)); }
i=1
while [ $i -le "$N" ]; do
    mv "$HOME_DIR/copy.$i" "$HOME_DIR/state"
    bmd_start
    jobs "$HOME_DIR/restored"
    jq -s --argjson before "$(cat "$HOME_DIR/began.$i")" \
        '[.[] | select(.did == "answer" and .error == "" and .job > 0 and .us < $before and (.method == "Deploy" or .method == "Redeploy")).job | tostring] | unique' \
        "$ledgers/A" >"$HOME_DIR/accepted"
    told=$((told + $(jq length "$HOME_DIR/accepted")))
    missing=$(jq -r --slurpfile is "$HOME_DIR/restored" '[.[] | select($is[0][.] == null)] | join(" ")' "$HOME_DIR/accepted")
    [ -z "$missing" ] || violation $i "accepted before it, and not there: $missing"
    others=$(jq -r --slurpfile ended "$HOME_DIR/ended" \
        '[to_entries[] | select(.value != "held" and .value != $ended[0][.key]) | "\(.key) \(.value)"] | join(", ")' "$HOME_DIR/restored")
    [ -z "$others" ] || violation $i "neither held nor as it ended: $others"
    bmctl build verify >"$HOME_DIR/out" 2>&1 || violation $i "files: $(tail -n 1 "$HOME_DIR/out")"
    bmctl audit verify >"$HOME_DIR/out" 2>&1 || violation $i "audit: $(tail -n 1 "$HOME_DIR/out")"
    starts=$(wc -l <"$ledgers/R")
    bmd_stop
    [ "$starts" = "$(wc -l <"$ledgers/R")" ] || violation $i "a step began"
    rm -rf "$HOME_DIR/state"
    i=$((i + 1))
done
record backups "a backup under $CLIENTS clients and uploads, restored (\`make check-backups\`)" "$N" backups "$SEED" $violations \
    $(($(date +%s) - begin)) "$told jobs accepted before them"
[ $violations = 0 ] || { echo "again: make check-backups SEED=$SEED N=$N"; exit 1; }
[ "$told" -gt "$N" ] || FAIL "hardly any job was accepted"
OK "every backup holds what was accepted before it, and comes up held"
