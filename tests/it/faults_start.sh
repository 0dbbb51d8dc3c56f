# What passes does not fail a step: a signal while its streams are set up, a kernel that is short of processes or memory
# when it is forked. Of the step nothing has begun then, and it is begun again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin
EINTR=4 EAGAIN=11 ENOMEM=12 ENFILE=23
# play FAMILY CODE N HOW
play() {
    echo "$*" >"$RUN.fault"
    other
    job=$(deploy "$1-$2-$3-$4")
    whole "$job" "$*"
    rm "$RUN.fault"
    [ -e "$RUN.struck" ] || return 1
    rm "$RUN.struck"
}
other; whole "$(deploy first)" "the first"
for code in $EAGAIN $ENOMEM; do
    for n in 1 2 3; do play fork $code $n once || FAIL "bmd-run forks no $n times"; done
done
OK "a fork that does not succeed at once"
for n in 1 2 3 4; do play dup $EINTR $n on || FAIL "streams are not set up $n times"; done
# The first two are of bmd-run itself, its loop and its socket: there it begins anew as a whole, and meets the same.
hits=0
for n in 3 4 5 6 7 8; do ! play pipe $ENFILE $n once || hits=$((hits + 1)); done
[ $hits -ge 5 ] || FAIL "hardly any of the calls was reached"
OK "streams that cannot be had at once"

# The claim is linked, and the disk does not take its folder: the third fsync of a bmd-run, behind two of what the claim will say. Nothing has
# begun, so the claim is taken back and the job begun anew.
echo "sync 5 3 once starting" >"$RUN.fault"
other
job=$(deploy claim)
struck() { [ -e "$RUN.struck" ]; }
retry struck || FAIL "no claim meets the fault"
rm "$RUN.fault"
whole "$job" "a claim that the disk does not take"
bmd_stop
OK "a claim that is not durable is none"
