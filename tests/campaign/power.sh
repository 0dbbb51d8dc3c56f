#!/bin/sh
# The power campaign: a disk below the state folder loses all that was not synced (the shutdown ioctl of ext4 and XFS, without
# flushing the log) under load; three ledgers on another disk, and the judge of the crash campaign. The long form (N of 50
# and more) begins with a control: with fsync switched off the judge must find losses, else it would not find any.
#
#   N=     cuts of each file system (default 3 in `make check`, 200 in `make check-power`)
#   SEED=  as in crash.sh
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
export top_srcdir top_builddir
N=${N:-3}
export N
[ "$(id -u)" = 0 ] || { echo "skipped: only root mounts disks"; exit 77; }
for tool in xfs_io mkfs.ext4 mkfs.xfs unshare; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
unshare -m true 2>/dev/null || { echo "skipped: no mounts of our own here"; exit 77; }
crash() { unshare -m sh "$top_srcdir/tests/campaign/crash.sh"; }

if [ "$N" -ge 50 ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/bmd-power.XXXXXX") || exit 99
    trap 'rm -rf "$folder"' EXIT
    ${CC:-cc} -shared -fPIC -o "$folder/nosync.so" "$top_srcdir/tests/campaign/nosync.c" || exit 99
    for POWER in ext4 xfs; do
        export POWER
        RESULTS= TMPDIR=$folder CAMPAIGN_PRELOAD=$folder/nosync.so N=20 crash >"$folder/out" 2>&1
        status=$?
        [ $status != 77 ] || { cat "$folder/out"; exit 77; }
        losses=$(grep -c '^VIOLATION' "$folder/out")
        echo "| control of the power campaign, $POWER | the same without fsync, which must be found | 20 cycles | $losses | - | |"
        eval "CONTROL_$POWER=\"control without fsync, 20 cuts: $losses violations found\""
        [ "$losses" -gt 0 ] || { tail -n 20 "$folder/out"; echo "FAIL: the judge finds nothing without fsync"; exit 1; }
    done
fi
failed=0
for POWER in ext4 xfs; do
    eval "DETAIL=\${CONTROL_$POWER:-}"
    export POWER DETAIL
    crash
    status=$?
    [ $status != 77 ] || exit 77
    [ $status = 0 ] || failed=1
done
exit $failed
