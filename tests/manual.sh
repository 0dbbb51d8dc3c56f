#!/bin/sh
# The manual is whole: mandoc finds nothing, and every verb, state, exit code and configuration key has its entry.
set -u
cd "${top_srcdir:-.}" || exit 99
failed=0
bad() { echo "$1"; failed=1; }
if command -v mandoc >/dev/null; then
    for page in man/*.[1-8]; do
        mandoc -T lint -W warning "$page" || bad "$page: see above"
    done
fi
for key in $(sed -n 's/.*CFG_[A-Z_]*("\([a-z-]*\)".*/\1/p' common/conf.c | sort -u); do
    grep -qE "^\.It Ic.*(^| )$key( |$)|^\.Ic $key|\b$key\b" man/bmd.conf.5 || bad "bmd.conf.5 does not know the key $key"
done
for state in $(sed -n 's/.*X([A-Z]*, *"[a-z]*", *"\([a-z]*\)".*/\1/p' daemon/job.h | sort -u); do
    grep -q "^\.It $state" man/bmd.8 || bad "bmd.8 does not know the state $state"
done
for variable in $(grep -ohE '"BM_[A-Z_]+"' runner/*.c | tr -d '"' | sort -u); do
    grep -q "$variable" man/bmd.conf.5 || [ "$variable" = BM_ ] || bad "bmd.conf.5 does not know $variable"
done
for verb in $("${top_builddir:-build}/ctl/bmctl" --help | sed -n 's/^    *\([a-z]*\) .*/\1/p' | sort -u); do
    grep -qE "\b$verb\b" man/bmctl.1 || bad "bmctl.1 does not know the verb $verb"
done
for code in 0 1 2 3 4 5 6 7 8 130; do
    grep -qE "^\.It $code( |$)" man/bmctl.1 || bad "bmctl.1 does not know the exit code $code"
done
[ $failed = 0 ] && echo "manual: whole"
exit $failed
