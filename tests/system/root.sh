#!/bin/sh
# A Debian of its own for the package to be installed in: mmdebstrap makes it of this host's release, from the archives that this
# host's apt is configured for; apt, systemd and jq are in it, and nothing of what bmd depends on. Made once, kept, and only ever
# read; another text of this script makes another. Prints the folder. Says why, and ends with 77, where it cannot be made.
#
# BMD_CACHE: where it is kept.
set -eu
SKIP() { echo "$*" >&2; exit 77; }
suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || SKIP "this host is no Debian"
cache=${BMD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bmd}
folder=$cache/root-$suite-$(sha256sum <"$0" | cut -c1-12)
mkdir -p "$cache"
exec 9>"$cache/root.lock"
flock 9
if [ ! -e "$folder" ]; then
    [ "$(id -u)" = 0 ] || SKIP "it is made by root, once"
    command -v mmdebstrap >/dev/null || SKIP "mmdebstrap is missing (package mmdebstrap)"
    work=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    # What apt of this host says of its archives, and of the ways there.
    apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u >"$work/sources"
    [ -s "$work/sources" ] || SKIP "apt of this host is configured for no archive"
    apt-config dump Acquire >"$work/acquire"
    echo "making a Debian for the package, once: $folder" >&2
    mmdebstrap --mode=root --quiet --variant=minbase --include=systemd-sysv,ca-certificates,jq --skip=cleanup/apt/lists \
        --aptopt="$work/acquire" "$suite" "$work/root" - <"$work/sources" >"$work/log" 2>&1 9>&- ||
        { tail -n 5 "$work/log" >&2; SKIP "mmdebstrap makes no $suite here"; }
    rm -rf "$cache"/root-*/
    mv "$work/root" "$folder"
fi
echo "$folder"
