# Want of memory while the configuration is read: whatever libconfuse does then, a bmd that runs outlives it and keeps what it has;
# one that starts ends with a sentence.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
ENOMEM=12
begin
[ -z "${BMD_SANITIZED:-}" ] || SKIP "the sanitizer has an allocator of its own, which is not made to fail"

# The N-th allocation of the child that asks libconfuse fails, alone or with all behind it: each N until it is not come to. A reload
# that is said to be done has read what stands there.
other; whole "$(deploy before)" "before all of them"
meaning() { bmctl --json deploy shop "1.0/$BUILD" --to production --now --dry-run | jq -c '.preview | del(.at)'; }
expected=$(meaning)
is "the plan of the last run" false "$(echo "$expected" | jq .plan_changed)"
for how in on once; do
    n=1 refused=0 crashed=0
    while :; do
        echo "memory $ENOMEM $n $how" >"$BMD.child.fault"
        bmctl reload >"$HOME_DIR/out" 2>"$HOME_DIR/err"
        code=$?
        dead && FAIL "bmd died of a reload without memory, allocation $n: $(cat "$HOME_DIR/err")"
        [ -e "$BMD.struck" ] || break
        rm "$BMD.struck"
        if [ $code = 0 ]; then
            is "what a reload without allocation $n has read" "$expected" "$(meaning)"
        else
            says "the configuration was not read again and the running one stays: "
            refused=$((refused + 1))
        fi
        [ $how = once ] || { is "the reload without all from allocation $n on" 1 $code; says "cannot be read now, try again: "; }
        ! grep -q 'was ended by signal' "$HOME_DIR/err" || crashed=$((crashed + 1))
        n=$((n + 1))
    done
    is "the reload with memory for all of it" 0 $code
    [ $refused -gt 200 ] && [ $crashed -gt 0 ] || FAIL "of $n reloads $refused were refused, $crashed of them for a crash: nothing was shown"
    is "what is read after all of them" "$expected" "$(meaning)"
    OK "$n reloads without memory, $how; $refused refused, in $crashed of which libconfuse crashed"
done
other; whole "$(deploy after)" "after all of them"
rm "$BMD.child.fault"

bmd_stop
# The same at a start: an end with a sentence, which systemd tries again; no application is left out for it.
n=1 refused=0
while [ $n -lt 400 ]; do
    echo "memory $ENOMEM $n on" >"$BMD.child.fault"
    bmd -c "$BMD_CONF" >"$HOME_DIR/out" 2>"$HOME_DIR/err" &
    over() { ! kill -0 $! 2>/dev/null || grep -q listening "$HOME_DIR/err"; }
    retry over || FAIL "bmd neither starts nor ends, allocation $n"
    kill $! 2>/dev/null
    wait $!
    is "the start whose allocation $n fails" 1 $?
    says "bmd does not start without its configuration, which could not be read this time"
    n=$((n + 23))
done
OK "a start without memory says so"
