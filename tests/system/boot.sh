# A whole system to test in, of one of two kinds:
#
#   BMD_SYSTEM=container (default)  systemd-nspawn on this host's own kernel: boot_container.sh, `make check-system`
#   BMD_SYSTEM=machine              qemu with a kernel, a disk and a clock of its own: boot_machine.sh, `make check-machine`
#
#   . boot.sh; boot_alone; boot_prepare; …files of the system under $ROOT…; boot_start; inside COMMAND…; boot_stop; boot_start; …
#
# `inside` runs a command in the system as its root, `as USER` as one of its users; once it runs, its files are changed inside.
# boot_stop is an orderly shutdown, boot_crash is none. What is waited for is asked again. Where there is no such system here, a test
# says so and skips (77).
set -u
: "${BMD_SYSTEM:=container}"
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
export top_srcdir top_builddir BMD_SYSTEM
WORK=
ROOT=
UP=
PATIENCE_S=30 # of retry
BOOT_S=300     # of a boot

SKIP() { echo "skipped: $*"; exit 77; }
FAIL() {
    echo "FAIL: $*"
    [ -z "$UP" ] || { echo "--- journal"; inside journalctl --no-pager -n 60 -o short-monotonic -t bmd -t bmd-run -t systemd -t kernel; } 2>&1
    exit 1
}
OK() { echo "ok: $*"; }
retry() { retry_for $PATIENCE_S "$@"; }
retry_for() {
    until=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$until" ] || return 1
        sleep 0.05
    done
}
is() { [ "$2" = "$3" ] || FAIL "$1: expected '$2', got '$3'"; }
as() { user=$1; shift; inside runuser -u "$user" -- "$@"; }
booted() {
    case $(inside systemctl is-system-running 2>/dev/null) in running|degraded) ;; *) false ;; esac
}
. "$top_srcdir/tests/system/boot_$BMD_SYSTEM.sh"
