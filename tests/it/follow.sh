# A step that floods its output is followed to its end: the head, a gap, the tail, then the job; a reader that stays away
# for a while loses nothing of what is kept, and bmd stays small.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
plan hold <<'CONF'
    step "flood" { run = 'echo first; seq 1 900000; printf "\033[31mred\n"; echo last' }
CONF
bmd_start
add_build
job=$(deploy run)
call Log "{\"job\":$job,\"follow\":true}" '"more":true' >"$HOME_DIR/log"
is "the job at the end" succeeded "$(tail -n 1 "$HOME_DIR/log" | jq -r .parameters.job.state)"
is "only the last ends it" false "$(head -n -1 "$HOME_DIR/log" | jq -r '.continues | not' | sort -u)"
jq -r '.parameters.lines[] | "\(.stream) \(.text)"' "$HOME_DIR/log" >"$HOME_DIR/lines"
is "the first line" "out first" "$(grep -m 1 '^out' "$HOME_DIR/lines")"
is "the last line" "out last" "$(grep '^out' "$HOME_DIR/lines" | tail -n 1)"
is "control bytes" 1 "$(grep -c 'out \\x1b\[31mred' "$HOME_DIR/lines")"

# From a cursor, without following: what is kept, page by page. (Who followed saw more of it: the tail rolls.)
call Log "{\"job\":$job}" '"more":true' | jq -c '.parameters.lines[]' >"$HOME_DIR/kept"
after=0 n=0
while :; do
    page=$(call Log "{\"job\":$job,\"after\":$after}")
    next=$(printf '%s\n' "$page" | jq .parameters.next)
    [ "$next" != "$after" ] || break
    after=$next n=$((n + $(printf '%s\n' "$page" | jq '.parameters.lines | length')))
done
is "lines by pages" "$(wc -l <"$HOME_DIR/kept")" "$n"
is "a gap is told" 1 "$(grep -c '"stream":"gap"' "$HOME_DIR/kept")"

# A reader that does not read, beside one that does.
mkfifo "$HOME_DIR/pipe"
call Log "{\"job\":$job,\"follow\":true}" '"more":true' >"$HOME_DIR/pipe" &
slow=$!
exec 3<"$HOME_DIR/pipe"
is "beside a slow reader" succeeded "$(call Log "{\"job\":$job,\"follow\":true}" '"more":true' | tail -n 1 | jq -r .parameters.job.state)"
is "the slow reader" succeeded "$(tail -n 1 <&3 | jq -r .parameters.job.state)"
exec 3<&-
wait $slow
bmd_stop
OK "a flood is followed"
