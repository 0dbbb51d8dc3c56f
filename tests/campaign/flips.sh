#!/bin/sh
# The flip campaign: a database of real jobs at rest, N rounds of one flipped bit (or some wiped bytes), and what bmd makes of it.
#
#   N=     rounds (default 200 in `make check`, 5000 in `make check-flips`)
#   SEED=  which bits (default: the clock); printed, so that a run can be done again
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

N=${N:-200}
SEED=${SEED:-$(date +%s)}
application shop <<'CONF'
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  on-failure = "continue" }
    stage "production" { plan = "web"  on-failure = "continue" }
CONF
plan web <<'CONF'
    step "migrate" { exec = {"true"}  irreversible = true }
    step "check" { run = 'test "$BM_RELEASE" != 1.3' }
CONF
bmd_start
for release in 1.0 1.1 1.2 1.3; do
    bmctl build add shop $release --note "release $release" >/dev/null || FAIL "build add"
    for stage in testing production; do
        bmctl deploy shop $release/1 --to $stage --now --wait --reason "release $release" >/dev/null 2>&1
    done
done
bmctl build reject shop 1.3/1 --reason "does not start" >/dev/null 2>&1
bmctl redeploy shop --now --wait >/dev/null 2>&1 || FAIL "redeploy"
bmctl deploy shop 1.1/1 --to testing --at tomorrow\ 02:00 >/dev/null || FAIL "a timed job"
bmctl lock shop testing --reason freeze >/dev/null 2>&1
bmctl schedule add shop live --to testing --on "daily" --name nightly >/dev/null 2>&1
bmd_stop
mkdir "$HOME_DIR/rot"
begin=$(date +%s)
echo "seed $SEED, $N rounds"
"$top_builddir/tests/campaign/flips" "$HOME_DIR/state/bmd.db" "$HOME_DIR/rot" "$N" "$SEED" >"$HOME_DIR/flips.out"
status=$?
grep -B1 '^VIOLATION' "$HOME_DIR/flips.out"
tail -n 1 "$HOME_DIR/flips.out"
violations=$(grep -c '^VIOLATION' "$HOME_DIR/flips.out")
bound=$([ "$violations" = 0 ] && awk "BEGIN { printf \"%.2g %%\", 300 / $N }" || echo -)
echo "| flip campaign | one flipped bit, or some wiped bytes, in a database at rest | $N rounds | $violations | $bound | seed $SEED, $(($(date +%s) - begin)) s |"
[ $status = 0 ] || { echo "again: make check-flips SEED=$SEED N=$N"; exit 1; }
OK "no rotten bit is answered from"
