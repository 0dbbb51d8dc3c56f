# bmd is killed while a run lives: the run goes on, the next bmd adopts it and records its true result, once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

begin_run
bmd_kill
bmd_start
is "the adopted job" running "$(state "$job")"
: >"$HOME_DIR/go"
is "its end" succeeded "$(ended "$job")"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
is "its step" "hold succeeded 0" "$(ask GetJob "{\"job\":$job}" '.job.steps[] | "\(.name) \(.state) \(.exit_code)"')"
is "live" 1.0.0/1 "$(live_build)"
bmd_stop
OK "a run outlives bmd and is adopted"
