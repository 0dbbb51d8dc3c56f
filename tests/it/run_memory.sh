# Want of memory, or of descriptors, while bmd-run makes itself ready: of the run nothing has begun, so it is begun again. No job is
# held for it, by a sentence about files that are as they should be.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
. "$top_srcdir/tests/it/programs.sh"
ENOMEM=12 EMFILE=24
[ -z "${BMD_SANITIZED:-}" ] || SKIP "the sanitizer has an allocator of its own, which is not made to fail"
: >"$HOME_DIR/go"
bmd_start
add_build

# play FAMILY CODE N HOW: the N-th call of each bmd-run fails, until it was come to; then there is enough again.
played=0 late=0
play() {
    rm -f "$RUN.struck"
    echo "$* starting" >"$RUN.fault"
    job=$(deploy "$1-$2-$3-$4")
    came() { [ -e "$RUN.struck" ] || [ "$(state "$job")" = succeeded ]; }
    retry came || FAIL "$*: neither come to nor over"
    rm "$RUN.fault"
    [ -e "$RUN.struck" ] || return 1
    is "$*: the end" succeeded "$(ended "$job")"
    played=$((played + 1))
    [ "$(job "$job" lateness_us)" -lt 500000 ] || late=$((late + 1))
}
# STEP: not each of them, for one that ends a bmd-run costs a second.
for how in once on; do
    case $how in once) step=${STEP:-49} ;; on) step=${STEP:-197} ;; esac
    n=1
    while play memory $ENOMEM $n $how; do n=$((n + step)); done
    [ $n -gt 300 ] || FAIL "only $n allocations were come to"
done
OK "$played starts without memory, $late of them again"

played=0
n=1
while play open $EMFILE $n once; do n=$((n + ${STEP:-3})); done
[ $n -gt 10 ] || FAIL "only $n files were opened"
OK "$played starts without descriptors"
is "starts of the step" "$(bmctl --json history -n 1000 | jq '.jobs | length')" "$(wc -l <"$HOME_DIR/began")"
bmd_stop
