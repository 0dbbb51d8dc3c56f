#!/bin/sh
# The RPM's spec: read by rpmspec, of this version, and without an error of rpmlint. Built it is by system/reproducible.sh.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
spec=$top_builddir/rpm/bmd.spec
[ -f "$spec" ] || spec=$top_srcdir/rpm/bmd.spec
fail() { echo "FAIL: $*"; exit 1; }
command -v rpmspec >/dev/null || { echo "skipped: rpmspec is missing (package rpm)"; exit 77; }

# Their places are told by systemd-rpm-macros, which not every machine has.
text=$(rpmspec -P --define '_unitdir /usr/lib/systemd/system' --define '_sysusersdir /usr/lib/sysusers.d' \
    --define '_tmpfilesdir /usr/lib/tmpfiles.d' --define '_journalcatalogdir /usr/lib/systemd/catalog' "$spec") || fail "rpmspec -P"
version=$(sed -n "s/^AC_INIT(\[bmd\], \[\(.*\)\])/\1/p" "$top_srcdir/configure.ac")
echo "$text" | grep -qx "Version: *$version" || fail "the spec is not of version $version"
# Each library that configure asks for is asked for here.
for library in $(sed -n 's/^PKG_CHECK_MODULES(\[[A-Z]*\], \[\([a-z0-9]*\).*/\1/p' "$top_srcdir/configure.ac"); do
    echo "$text" | grep -q "^BuildRequires: *pkgconfig($library)" || fail "the spec does not require $library"
done
# Debian's package has the same version, and the two the same date of it.
if [ -f "$top_srcdir/debian/changelog" ]; then
    head -n 1 "$top_srcdir/debian/changelog" | grep -q "($version)" || fail "debian/changelog is not of version $version"
fi
if command -v rpmlint >/dev/null; then
    found=$(rpmlint "$spec" 2>&1)
    echo "$found" | grep -q ': E: ' && { echo "$found"; fail "rpmlint"; }
else
    echo "skipped: rpmlint is not here"
fi
echo "rpm: the spec is right"
