#!/bin/sh
# What is given to others is made twice, at other times, in other folders, under another umask, locale and number of jobs, and is the same
# byte for byte: the tarball, the Debian package and the RPM. `make check-reproducible`.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}" "${MAKE:=make}"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/bmd-reproducible.XXXXXX") || exit 99
trap 'chmod -R u+w "$WORK"; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
OK() { echo "ok: $*"; }
FAIL() { echo "FAIL: $*"; exit 1; }
same() { cmp "$1" "$2" || FAIL "$3: two builds differ"; OK "$3: $(sha256sum <"$1" | cut -c1-16), twice"; }
clean="env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u top_srcdir -u top_builddir"

# ---- the tarball: the second one is made from the first one
name=$(sed -n 's/^AC_INIT(\[bmd\], \[\(.*\)\])/bmd-\1/p' "$top_srcdir/configure.ac")
mkdir "$WORK/one" "$WORK/two"
$clean $MAKE -s -C "$top_builddir" dist-gzip >"$WORK/log" 2>&1 || { tail -n 20 "$WORK/log"; FAIL "make dist"; }
mv "$top_builddir/$name.tar.gz" "$WORK/one/" || FAIL "no tarball"
tar -C "$WORK/two" -xf "$WORK/one/$name.tar.gz"
(
    umask 027
    mkdir "$WORK/two/elsewhere" && cd "$WORK/two/elsewhere" &&
        $clean LC_ALL=C.UTF-8 TZ=Asia/Tokyo "../$name/configure" --without-systemdsystemunitdir &&
        $clean LC_ALL=C.UTF-8 TZ=Asia/Tokyo $MAKE -s dist-gzip
) >"$WORK/log" 2>&1 || { tail -n 20 "$WORK/log"; FAIL "make dist from the tarball"; }
same "$WORK/one/$name.tar.gz" "$WORK/two/elsewhere/$name.tar.gz" "the tarball"

# ---- the Debian package
if command -v dpkg-buildpackage >/dev/null && command -v dh >/dev/null; then
    for n in 1 2; do
        mkdir -p "$WORK/deb$n/folder-$n"
        tar -C "$WORK/deb$n/folder-$n" --strip-components=1 -xf "$WORK/one/$name.tar.gz"
        # The date is that of debian/changelog.
        (
            cd "$WORK/deb$n/folder-$n" || exit 1
            [ $n = 1 ] || { umask 027; export TZ=Asia/Tokyo LC_ALL=C.UTF-8; }
            $clean -u SOURCE_DATE_EPOCH DEB_BUILD_OPTIONS="nocheck parallel=$n" dpkg-buildpackage -us -uc -b
        ) >"$WORK/log" 2>&1 || { tail -n 30 "$WORK/log"; FAIL "dpkg-buildpackage"; }
        rm -rf "$WORK/deb$n/folder-$n"
    done
    for deb in "$WORK"/deb1/*.deb; do same "$deb" "$WORK/deb2/${deb##*/}" "${deb##*/}"; done
else
    echo "skipped: dpkg-buildpackage or dh is missing (packages dpkg-dev, debhelper)"
fi

# ---- the RPM. Requirements to build it have other names here; the places of systemd are told by macros that may not be here. No package
# of debugging information is made here, which would have taken the folder out of what the compiler writes, so the compiler is told.
if command -v rpmbuild >/dev/null; then
    for n in 1 2; do
        top=$WORK/rpm$n/folder-$n
        mkdir -p "$top"
        [ $n = 1 ] || { umask 027; export TZ=Asia/Tokyo LC_ALL=C.UTF-8; }
        $clean SOURCE_DATE_EPOCH=1795392000 CFLAGS="$(rpm --eval '%{optflags}') -ffile-prefix-map=$top/BUILD=/usr/src" \
            rpmbuild -tb --nodeps --define "_topdir $top" --define 'debug_package %{nil}' \
            --define '_buildhost build' --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
            --define '_unitdir /usr/lib/systemd/system' --define '_sysusersdir /usr/lib/sysusers.d' \
            --define '_tmpfilesdir /usr/lib/tmpfiles.d' --define '_journalcatalogdir /usr/lib/systemd/catalog' \
            --define "_smp_mflags -j$n" "$WORK/one/$name.tar.gz" >"$WORK/log" 2>&1 || { tail -n 30 "$WORK/log"; FAIL "rpmbuild"; }
        mv "$top/RPMS" "$WORK/rpm$n/"
        rm -rf "$top"
    done
    rpm=$(echo "$WORK"/rpm1/RPMS/*/*.rpm)
    same "$rpm" "$(echo "$WORK"/rpm2/RPMS/*/*.rpm)" "${rpm##*/}"
    rpm -qlp "$rpm" >"$WORK/files"
    for file in /usr/bin/bmctl /usr/sbin/bmd /usr/libexec/bmd/bmd-run /usr/lib/systemd/system/bmd.service /etc/bmd/bmd.conf \
        /usr/lib/sysusers.d/bmd.conf /usr/share/bash-completion/completions/bmctl; do
        grep -qx "$file" "$WORK/files" || FAIL "the RPM has no $file"
    done
    for page in bmctl.1 bmd.8 bmd-run.8 bmd.conf.5 bmd-plan.5 bmd-protocol.7; do
        grep -q "/$page" "$WORK/files" || FAIL "the RPM has no page $page"
    done
else
    echo "skipped: rpmbuild is missing (package rpm)"
fi
