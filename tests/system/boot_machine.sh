# qemu boots Debian's kernel on the disk of image.sh, with the unified cgroup hierarchy and nothing of this host's but its processor.
# Files of $ROOT are brought into it by the first boot_start. Commands go over ssh, by a port of this host's loopback; from inside
# nothing else can be reached. Without a KVM that boots it, the processor is emulated, and all takes longer.
#
# The disk is a layer on image.sh's, and its tables reach the file when the system flushes: what was not flushed is lost with qemu, as
# with the cache of a real disk. So boot_crash is a power cut.
QEMU=
IMAGE=
PORT=
PATIENCE_S=180
BOOT_S=600
MACHINE_MIB=1536

# Standard input of a test is nobody's: ssh would read it.
boot_alone() {
    exec </dev/null
    for program in qemu-system-x86_64 qemu-img setpriv ssh socat; do
        command -v $program >/dev/null ||
            SKIP "$program is missing (packages qemu-system-x86, qemu-utils, util-linux, openssh-client, socat)"
    done
}

# Two seconds of a kernel without a root show whether KVM does more here than exist.
kvm_boots() {
    [ -w /dev/kvm ] || return 1
    timeout -s KILL 20 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35,accel=kvm -m 256 \
        -serial "file:$WORK/kvm" -kernel "$IMAGE/kernel" -append 'console=ttyS0 panic=-1' 2>/dev/null
    grep -q 'Linux version' "$WORK/kvm" && grep -q 'Kernel panic' "$WORK/kvm"
}
# kvm or tcg; once a boot of this host.
accel() {
    now=$(cat /proc/sys/kernel/random/boot_id)
    if [ "$(cut -d' ' -f2 "$IMAGE/accel" 2>/dev/null)" != "$now" ]; then
        kind=tcg
        ! kvm_boots || kind=kvm
        echo "$kind $now" >"$WORK/accel"
        cp "$WORK/accel" "$IMAGE/accel" 2>/dev/null
    fi
    cut -d' ' -f1 "$IMAGE/accel" "$WORK/accel" 2>/dev/null | head -n 1
}

boot_prepare() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/bmd-machine.XXXXXX") || exit 99
    chmod 755 "$WORK"
    trap boot_finish EXIT
    trap 'exit 130' INT TERM
    IMAGE=$(sh "$top_srcdir/tests/system/image.sh" 2>"$WORK/err")
    status=$?
    [ $status = 0 ] || tail -n 20 "$WORK/err"
    [ $status != 77 ] || exit 77
    [ $status = 0 ] || FAIL "image.sh"
    ROOT=$WORK/root
    mkdir -p "$ROOT/etc/systemd/system" "$ROOT/srv" "$ROOT/usr/local/bin"
    qemu-img create -q -f qcow2 -b "$IMAGE/disk" -F raw "$WORK/disk" || SKIP "no disk can be made here"
    ACCEL=$(accel)
    [ "$ACCEL" = kvm ] || echo "the machine's processor is emulated: no KVM boots it here"
}

# The words of a command as one line for the shell over there.
quoted() { for word; do printf "'%s' " "$(printf '%s\n' "$word" | sed "s/'/'\\\\''/g")"; done; }
inside() {
    ssh -F none -i "$IMAGE/key" -p "$PORT" -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ServerAliveInterval=30 -o ServerAliveCountMax=6 \
        -o ControlMaster=auto -o ControlPath="$WORK/ssh" -o ControlPersist=yes root@127.0.0.1 "$(quoted env TZ=UTC "$@")"
}
monitor() { echo "$*" | socat -t 5 - "UNIX-CONNECT:$WORK/monitor"; }
find_port() {
    kill -0 $QEMU 2>/dev/null || return 0
    PORT=$(monitor info usernet | awk '/HOST_FORWARD/ { print $4 }')
    [ -n "$PORT" ]
}

came_up() { ! kill -0 $QEMU 2>/dev/null || booted; }

boot_start() {
    rm -f "$WORK/ssh"
    setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -no-user-config -display none -machine "q35,accel=$ACCEL" \
        -cpu max -smp 2 -m $MACHINE_MIB -rtc base=utc,clock=host -device virtio-rng-pci \
        -drive "if=virtio,format=qcow2,cache=writeback,file=$WORK/disk" \
        -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22 -device virtio-net-pci,netdev=net \
        -serial "file:$WORK/console" -monitor "unix:$WORK/monitor,server=on,wait=off" \
        -kernel "$IMAGE/kernel" -initrd "$IMAGE/initrd" -append 'root=/dev/vda rw console=ttyS0 panic=-1' >"$WORK/qemu" 2>&1 &
    QEMU=$!
    retry find_port && retry_for $BOOT_S came_up && booted || {
        cat "$WORK/qemu"
        tail -n 20 "$WORK/console"
        SKIP "the machine does not boot here"
    }
    UP=yes
    [ ! -d "$ROOT" ] || { tar -C "$ROOT" --owner=0 --group=0 -c . | inside tar -C / --no-overwrite-dir -x; } || exit 99
    rm -rf "$ROOT"
}
boot_gone() {
    wait $QEMU 2>/dev/null
    QEMU= UP=
}
boot_stop() {
    inside systemctl poweroff --no-block
    boot_gone
}
boot_crash() {
    kill -KILL $QEMU
    boot_gone
}

boot_finish() {
    status=$?
    trap - EXIT
    [ -z "$QEMU" ] || { kill -KILL "$QEMU" 2>/dev/null; wait "$QEMU" 2>/dev/null; }
    [ -z "${KEEP:-}" ] || cp "$WORK/console" "$KEEP/"
    rm -rf "$WORK"
    exit "$status"
}
