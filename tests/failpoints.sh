#!/bin/sh
# Every failpoint of the source is played, every seam has its two sides, and whoever gives a file its name says what kills it there.
set -u
cd "${top_srcdir:-.}" || exit 99
failed=0
bad() { echo "$1"; failed=1; }
sources=$(find common artifact import daemon runner -name '*.c' | sort)
points=$(sed -n 's/.*failpoint("\([a-z-]*\)").*/\1/p' $sources | sort)
[ -n "$points" ] || bad "no failpoint is found: has the macro another name?"
for point in $(echo "$points" | uniq -d); do bad "two failpoints are called $point"; done
for point in $points; do
    grep -qwE -- "$point" tests/it/fail_points*.sh || bad "no play for the failpoint $point: tests/it/fail_points*.sh"
done
# Before and after: commit, fork, message, go, event (written, received), result, its commit, reply, claim, switch, recovery, backup, restore.
for pair in commit-before/commit-after fork-before/fork-after request-sent/ready-got go-before/go-after event-before/event-written \
    event-got/event-committed result-before/result-written result-written/result-renamed result-got/end-committed \
    reply-before/reply-after claim-before/claim-linked switch-before/switch-after step-before/step-started place-made/place-named \
    import-read/import-done recover-before/recover-after backup-synced/backup-named restore-before/restore-after; do
    for point in ${pair%/*} ${pair#*/}; do
        echo "$points" | grep -qx -- "$point" || bad "the failpoint $point of $pair is gone"
    done
done
# FILE, how many renames and links it makes, and what kills around them: these points, or each call that touches a file (crash_calls.sh, crash_start.sh).
names="
artifact/damage.c 1 what-is-half-is-ignored
artifact/objects.c 3 backup-linked
artifact/objects_import.c 4 crash_calls
artifact/place_in_place.c 2 crash_calls
artifact/place_release.c 11 crash_calls
daemon/store/store_copy.c 1 crash_start
daemon/store/store_file.c 1 restore-named
daemon/store/store_open.c 1 crash_start
import/backup.c 2 backup-synced
runner/folder.c 2 claim-linked
runner/places.c 1 crash_calls
runner/prune.c 1 prune-renamed
runner/stamps.c 1 crash_calls
"
for file in $sources; do
    count=$(grep -oE '\b(rename|renameat|renameat2|linkat)\(' "$file" | wc -l)
    listed=$(echo "$names" | sed -n "s|^$file \([0-9]*\) .*|\1|p")
    [ "$count" = "${listed:-0}" ] ||
        bad "$file gives $count names, and ${listed:-0} are known: play what a kill there leaves, then count them in tests/failpoints.sh"
done
[ $failed = 0 ] && echo "failpoints: $(echo "$points" | wc -l), each played"
exit $failed
