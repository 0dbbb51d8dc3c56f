#!/bin/sh
# The fault campaign: the crash campaign, but instead of kills the n-th call of one kind of bmd, or of
# each bmd-run or bmd-import, fails: fault.c says which kinds there are.
#
#   N=     faults (default 6 in `make check`, 200 in `make check-faults`)
#   SEED=  as in crash.sh
FAULTS=1 N=${N:-6}
export FAULTS N
. "${top_srcdir:-$(dirname "$0")/../..}/tests/campaign/crash.sh"
