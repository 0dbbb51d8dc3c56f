# Sourced first, by what mounts: the test begins anew in a mount namespace of its own, with which all of it goes.
if [ "${BMD_UNSHARED:-}" != yes ]; then
    BMD_UNSHARED=yes
    export BMD_UNSHARED
    unshare -m true 2>/dev/null || { echo "skipped: no mount namespace here (needs root)"; exit 77; }
    exec unshare -m sh "$0" "$@"
fi
