# judge_pulse FILE: what pulse has measured against the bounds: a status within 50 ms at p99, less than 1 MiB of memory, no descriptor.
# Sets P99_MS, and PULSE_SKIPS to 1 where the machine itself was too slow for the first.
PULSE_P99_US=50000
# A sanitizer takes two to three times the time for the same.
[ -z "${BMD_SANITIZED:-}" ] || PULSE_P99_US=150000
judge_pulse() {
    PULSE_SKIPS=0 pulse_bad=0
    read -r asked failed p50 p99 max control grown peak fds <"$1"
    P99_MS=$((p99 / 1000)).$((p99 / 100 % 10))
    echo "status asked $asked times meanwhile, $failed without an answer: p50 $p50 µs, p99 $p99 µs, max $max µs; 5 ms of computing on this machine: $control µs"
    echo "memory of bmd: $grown KiB more, at most $peak KiB more; $fds descriptors more"
    if [ "$p99" -gt $PULSE_P99_US ] && [ "$control" -gt $((PULSE_P99_US / 2)) ]; then
        echo "skipped: the time of an answer: this machine itself answers late"
        PULSE_SKIPS=1
    elif [ "$p99" -gt $PULSE_P99_US ]; then
        echo "VIOLATION I11 status takes $p99 µs at p99"
        pulse_bad=1
    fi
    [ "$failed" = 0 ] || { echo "VIOLATION I11 status has no answer, $failed times"; pulse_bad=1; }
    if [ -n "${BMD_SANITIZED:-}" ]; then
        echo "skipped: the memory of bmd: most of it is the sanitizer's"
        PULSE_SKIPS=$((PULSE_SKIPS + 1)) grown=0 peak=0
    fi
    [ "$grown" -lt "${PULSE_KIB:-1024}" ] || { echo "VIOLATION I11 memory grew by $grown KiB"; pulse_bad=1; }
    [ -z "${PULSE_PEAK_KIB:-}" ] || [ "$peak" -lt "$PULSE_PEAK_KIB" ] ||
        { echo "VIOLATION I11 memory grew by $peak KiB for a while"; pulse_bad=1; }
    # Those of the polite that are connected just now are not counted.
    [ "$fds" -le "${PULSE_FDS:-1}" ] || { echo "VIOLATION I11 $fds descriptors are left"; pulse_bad=1; }
    return $pulse_bad
}
