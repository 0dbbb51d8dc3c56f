#!/bin/sh
# bmd dies when it hears that a notice was delivered, bmd-run before it says so: the notice is told again under the same id, until that is
# on record. bmd-run dies while it removes a run folder: nothing is left that looks like a run, and the next removal takes the rest.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
cat >"$HOME_DIR/receive" <<CONF
#!/bin/sh
cat >/dev/null
echo "\$BM_JOB \$BM_NOTICE \$BM_ATTEMPT" >>$HOME_DIR/told
CONF
chmod 755 "$HOME_DIR/receive"
: >"$HOME_DIR/told"
configure "keep-runs = 10" "notify \"all\" { exec = {\"$HOME_DIR/receive\"}  on = {\"succeeded\"} }"
begin
quiet() { [ "$(ask GetStatus '{}' .notices.waiting)" = 0 ]; }
lines() { grep -c "^$1 " "$HOME_DIR/told"; }
ids() { sed -n "s/^$1 \([0-9a-f]*\) .*/\1/p" "$HOME_DIR/told" | sort -u | wc -l; }
given_up() { ask GetStatus '{}' .notices.given_up; }

other; job=$(deploy first)
whole "$job" first
retry quiet || FAIL "a notice waits"
is "told of the first" 1 "$(lines "$job")"

for point in notice-told commit-before commit-after; do
    arm "$BMD" $point
    other; job=$(deploy $point)
    retry hit "$BMD" || FAIL "$point was not passed"
    bmd_again $point
    [ -n "$job" ] || job=$(deploy $point)
    whole "$job" $point
    retry quiet || FAIL "$point: a notice waits"
    [ "$(lines "$job")" -ge 1 ] || FAIL "$point: nobody was told"
    is "$point: ids" 1 "$(ids "$job")"
done
OK "bmd dies: told again, under one id"

arm "$RUN" errand-done
other; job=$(deploy errand-done)
whole "$job" errand-done
retry hit "$RUN" || FAIL "errand-done was not passed"
retry quiet || FAIL "errand-done: a notice waits"
is "told twice" 2 "$(lines "$job")"
is "ids" 1 "$(ids "$job")"
is "attempts" "1 2" "$(sed -n "s/^$job [0-9a-f]* //p" "$HOME_DIR/told" | tr '\n' ' ' | sed 's/ $//')"
is "given up" 0 "$(given_up)"
OK "bmd-run dies: told again, under the same id"

runs=$HOME_DIR/state/runs
folders() { ls "$runs" | grep -cx '[0-9]*'; }
while [ "$(folders)" -lt 13 ]; do other; job=$(deploy "more-$(folders)"); whole "$job" more; done
retry quiet || FAIL "a notice waits"
highest=$(ls "$runs" | grep -x '[0-9]*' | sort -n | tail -n 1)
arm "$RUN" prune-renamed
expect 0 bmctl reload
retry hit "$RUN" || FAIL "prune-renamed was not passed"
is "folders that are left" 12 "$(folders)"
is "half removed" 1 "$(ls -d "$runs"/pruned.* | wc -l)"
expect 0 bmctl reload
few() { [ "$(folders)" = 10 ] && [ -z "$(ls -d "$runs"/pruned.* 2>/dev/null)" ]; }
retry few || FAIL "folders: $(ls "$runs")"
while [ "$(folders)" -lt 13 ]; do other; job=$(deploy "again-$(folders)"); whole "$job" again; done
highest=$(ls "$runs" | grep -x '[0-9]*' | sort -n | tail -n 1)
arm "$RUN" prune-noted
expect 0 bmctl reload
retry hit "$RUN" || FAIL "prune-noted was not passed"
is "folders that are left" 13 "$(folders)"
expect 0 bmctl reload
retry few || FAIL "folders: $(ls "$runs")"
other; next=$(deploy last)
whole "$next" last
is "the next id" $((highest + 1)) "$next"
OK "bmd-run dies while it removes a folder"
bmd_stop
