# bmd dies before and after the first, second, … commit and event of a run, until a run passes without: one job, that runs once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin
for point in commit-before commit-after event-got event-committed; do
    n=1
    while [ $n -le 6 ] && play_bmd "$point" $n; do n=$((n + 1)); done
    [ $n -gt 1 ] || FAIL "$point was never passed"
done
bmd_stop
OK "each commit and event of a run"
