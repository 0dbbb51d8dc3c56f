# systemd-nspawn boots the host's own root, or the one in the folder LOWER, under an overlay that keeps every write in memory, with its own
# network (none), /run and processes. Needs root and systemd-container.
NSPAWN=
LEADER=

# All mounts are made in a mount namespace of this script, and go with it.
boot_alone() {
    [ -z "${BMD_ALONE:-}" ] || return 0
    [ "$(id -u)" = 0 ] || SKIP "booting a system needs root"
    for program in systemd-nspawn unshare nsenter; do
        command -v $program >/dev/null || SKIP "$program is missing (package systemd-container, util-linux)"
    done
    [ -x /lib/systemd/systemd ] || SKIP "this system has no systemd to boot"
    unshare -m true 2>/dev/null || SKIP "no mount namespace can be made here"
    BMD_ALONE=1 exec unshare -m --propagation private -- sh "$0" "$@"
}

boot_prepare() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/bmd-system.XXXXXX") || exit 99
    trap boot_finish EXIT
    trap 'exit 130' INT TERM
    mount -t tmpfs -o size=1g,mode=755 tmpfs "$WORK" || SKIP "no tmpfs can be mounted here"
    mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
    ROOT=$WORK/root
    mount -t overlay overlay -o "lowerdir=${LOWER:-/},upperdir=$WORK/upper,workdir=$WORK/work" "$ROOT" 2>"$WORK/err" ||
        SKIP "no overlay of ${LOWER:-/} can be mounted here: $(cat "$WORK/err")"
    mount -t tmpfs tmpfs /run
    : >"$ROOT/etc/machine-id"
    # Nothing of the host's own services, and nothing of a bmd that it may have.
    rm -f "$ROOT"/etc/systemd/system/*.wants/* "$ROOT"/etc/rc?.d/S*
    # A machine image may forbid packages to start services; this system is there for that.
    rm -f "$ROOT/usr/sbin/policy-rc.d" "$ROOT"/etc/apt/apt.conf.d/20packagekit
    rm -rf "$ROOT/var/lib/bmd" "$ROOT/var/lib/bmd-run" "$ROOT/etc/bmd" "$ROOT/usr/local/etc/bmd"
    ln -sf /lib/systemd/system/multi-user.target "$ROOT/etc/systemd/system/default.target"
}

find_leader() {
    for child in $(cat "/proc/$NSPAWN/task/$NSPAWN/children" 2>/dev/null); do
        case $(cat "/proc/$child/comm") in
        systemd) LEADER=$child; return 0 ;;
        systemd-nspawn)
            LEADER=$(cat "/proc/$child/task/$child/children" | tr -d ' ')
            [ -n "$LEADER" ] && return 0 ;;
        esac
    done
    return 1
}
inside() { nsenter -t "$LEADER" -m -u -i -n -p -r -w -- env -u NOTIFY_SOCKET -u TMPDIR TZ=UTC "$@"; }

boot_start() {
    systemd-nspawn -q --register=no --keep-unit --private-network --kill-signal=SIGRTMIN+3 --console=pipe \
        -D "$ROOT" -b </dev/null >"$WORK/console" 2>&1 &
    NSPAWN=$!
    retry find_leader && retry_for $BOOT_S booted || {
        tail -n 20 "$WORK/console"
        SKIP "systemd does not boot in systemd-nspawn here"
    }
    UP=yes
}
# An orderly shutdown, and one that nobody was told of.
boot_stop() {
    inside systemctl poweroff --no-block 2>/dev/null # its answer may not come any more
    wait "$NSPAWN"
    NSPAWN= LEADER= UP=
}
boot_crash() {
    kill -KILL "$LEADER"
    wait "$NSPAWN" 2>/dev/null
    NSPAWN= LEADER= UP=
}

boot_finish() {
    status=$?
    trap - EXIT
    [ -z "$LEADER" ] || kill -KILL "$LEADER" 2>/dev/null
    [ -z "$NSPAWN" ] || { kill -TERM "$NSPAWN" 2>/dev/null; wait "$NSPAWN" 2>/dev/null; }
    [ -z "$ROOT" ] || umount -l "$ROOT" 2>/dev/null
    umount -l "$WORK" 2>/dev/null
    rmdir "$WORK"
    exit "$status"
}
