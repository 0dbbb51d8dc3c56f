#!/bin/sh
# The flip campaign: a database of real jobs at rest, N rounds of one flipped bit (or some wiped bytes), and what bmd makes of it.
#
#   N=     rounds (default 200 in `make check`, 5000 in `make check-flips`)
#   SEED=  which bits (default: the clock); printed, so that a run can be done again
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"

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
# flips N SEED [unsealed]
flips() { "$top_builddir/tests/campaign/flips" "$HOME_DIR/state/bmd.db" "$HOME_DIR/rot" "$@" >"$HOME_DIR/flips.out"; }
# Without the seals rows must be silently other ones, else the campaign would not find any.
flips $((N / 10 > 150 ? N / 10 : 150)) "$SEED" unsealed
silent=$(grep -c '^VIOLATION' "$HOME_DIR/flips.out")
control="control without the digests of rows, $(sed -n '$s/ rounds.*//p' "$HOME_DIR/flips.out") rounds: $silent found silently different"
echo "$control"
[ "$silent" -gt 0 ] || { tail -n 20 "$HOME_DIR/flips.out"; FAIL "nothing differs without the seals"; }
echo "seed $SEED, $N rounds"
flips "$N" "$SEED"
status=$?
grep -B1 '^VIOLATION' "$HOME_DIR/flips.out"
violations=$(grep -c '^VIOLATION' "$HOME_DIR/flips.out")
found=$(sed -n '$s/^[0-9]* rounds: \(.*\), [0-9]* silently different/\1/p' "$HOME_DIR/flips.out")
record flips "one flipped bit, or some wiped bytes, in a database at rest (\`make check-flips\`)" "$N" rounds "$SEED" "$violations" \
    $(($(date +%s) - begin)) "$found; $control"
[ $status = 0 ] || { echo "again: make check-flips SEED=$SEED N=$N"; exit 1; }

# The same of the -wal that a killed bmd leaves.
bmd_start
for n in 1 2 3 4 5 6; do bmctl deploy shop 1.$((n % 3))/1 --to testing --now --wait >/dev/null 2>&1; done
bmctl unlock shop testing >/dev/null 2>&1
for n in 1 2 3; do bmctl deploy shop 1.$n/1 --to testing --at "+$n""d" >/dev/null 2>&1; done
bmd_kill
[ -s "$HOME_DIR/state/bmd.db-wal" ] || FAIL "nothing is left in the -wal"
rm -f "$HOME_DIR"/rot/*
N=$((N / 2)) begin=$(date +%s)
flips "$N" "$SEED" wal
status=$?
grep -B1 '^VIOLATION' "$HOME_DIR/flips.out"
violations=$(grep -c '^VIOLATION' "$HOME_DIR/flips.out")
found=$(sed -n '$s/^[0-9]* rounds: \(.*\), [0-9]* silently different/\1/p' "$HOME_DIR/flips.out")
record flips-wal "one flipped bit, or some wiped bytes, in the -wal that a killed bmd left (\`make check-flips\`)" "$N" rounds "$SEED" "$violations" \
    $(($(date +%s) - begin)) "$found"
[ $status = 0 ] || { tail -n 5 "$HOME_DIR/flips.out"; echo "again: make check-flips SEED=$SEED N=$((N * 2))"; exit 1; }
OK "no rotten bit is answered from"
