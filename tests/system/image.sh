#!/bin/sh
# The disk that `make check-machine` boots: a small Debian of this host's release, with the kernel and what the tests call. Made
# once by mmdebstrap and kept; another text of this script makes another. Prints the folder:
#
#   disk            a raw ext4 file system, only ever read: each machine writes into a layer of its own
#   kernel, initrd  what qemu boots it with
#   key             root's door for the tests, by ssh
#   accel           kvm or tcg, as `boot` of this host, found out by boot_machine.sh
#
# BMD_CACHE: where it is kept.
set -eu
SKIP() { echo "skipped: $*" >&2; exit 77; }
packages="systemd-sysv dbus udev kmod linux-image-cloud-amd64 initramfs-tools openssh-server sudo psmisc procps iproute2 tzdata
    e2fsprogs jq socat strace sqlite3 curl openssl xz-utils zstd zip unzip autopkgtest
    libev4 libsqlite3-0 libconfuse2 libjansson4 libarchive13 libssl3 libseccomp2 zlib1g"

suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") ||
    SKIP "the machine's disk is made of this host's own Debian, and this is none"
[ "$(dpkg --print-architecture)" = amd64 ] || SKIP "the machine is an amd64, and this host is none"
cache=${BMD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bmd}
folder=$cache/machine-$suite-$(sha256sum <"$0" | cut -c1-12)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$folder/disk" ]; then
    [ "$(id -u)" = 0 ] || SKIP "the machine's disk is made by root, once"
    for program in mmdebstrap mke2fs ssh-keygen; do
        command -v $program >/dev/null || SKIP "$program is missing (packages mmdebstrap, e2fsprogs, openssh-client)"
    done
    work=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    echo "making the disk of the machine, once: $folder" >&2
    mmdebstrap --mode=root --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' \
        --include="$(echo $packages | tr ' ' ',')" "$suite" "$work/root" >"$work/log" 2>&1 9>&- </dev/null ||
        { tail -n 20 "$work/log" >&2; SKIP "mmdebstrap makes no Debian here"; }
    ssh-keygen -q -t ed25519 -N '' -C bmd-tests -f "$work/key" 9>&-
    root=$work/root
    install -d -m 700 "$root/root/.ssh"
    cp "$work/key.pub" "$root/root/.ssh/authorized_keys"
    echo 'MaxSessions 200' >"$root/etc/ssh/sshd_config.d/tests.conf"
    : >"$root/etc/machine-id"
    echo machine >"$root/etc/hostname"
    echo '127.0.0.1 localhost machine' >"$root/etc/hosts"
    # No network but to this host, and so no archive either: what a test installs, it brings.
    rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
    printf '[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\n' >"$root/etc/systemd/network/wired.network"
    ln -s /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
    ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    # What happens by itself some day would be felt by a test that day.
    rm -f "$root"/etc/systemd/system/timers.target.wants/* "$root"/lib/systemd/system/timers.target.wants/*
    echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
    # The journal of a machine that is switched off hard is wanted most.
    printf '[Journal]\nStorage=persistent\nSyncIntervalSec=5s\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf"
    cp "$root"/boot/vmlinuz-* "$work/kernel"
    cp "$root"/boot/initrd.img-* "$work/initrd"
    truncate -s 4G "$work/disk.new"
    mke2fs -q -t ext4 -d "$root" "$work/disk.new" 9>&-
    rm -rf "$root" "$cache"/machine-*
    mv "$work/disk.new" "$work/disk"
    chmod 755 "$work"
    mv "$work" "$folder"
    trap - EXIT
fi
echo "$folder"
