# bmd-run is killed under a living bmd: what it left is swept, the job is lost, the stage is dirty and free.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

begin_run
pid=$(run_pid "$job")
step=$(cat /proc/"$pid"/task/*/children)
kill -KILL "$pid"
is "its end" lost "$(ended "$job")"
for p in $step; do
    [ ! -d "/proc/$p" ] || FAIL "process $p of the dead run is still there"
done
is "not occupied, but dirty" "null $job" "$(ask GetStatus '{}' '.stages[0] | "\(.occupied_by) \(.dirty.job)"')"
bmd_stop
OK "a dead bmd-run is swept"
