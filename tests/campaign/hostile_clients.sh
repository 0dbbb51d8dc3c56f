#!/bin/sh
# The campaign of hostile clients: each of guest.c's ways, N times one of them, beside polite clients whose every answer is
# checked as in the crash campaign; they are served meanwhile, and nothing is left: no memory, no descriptor.
#
#   N=     attacks (default: each once, in `make check`; 240 in `make check-hostile`)
#   SEED=  as in crash.sh
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
GUESTS=1 N=${N:-$("$top_builddir/tests/campaign/guest" count)}
export GUESTS N
PULSE_PEAK_KIB=28672 # 16 MiB of bytes in and out, 8 of the largest call as values, and what many connections and one turn take besides
PULSE_FDS=12 # the polite ones and what they have running
. "$top_srcdir/tests/campaign/crash.sh"
