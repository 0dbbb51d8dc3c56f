# Sourced first, by what mounts: the test begins anew in a mount namespace of its own, with which all of it goes.
if [ "${BMD_UNSHARED:-}" != yes ]; then
    BMD_UNSHARED=yes
    export BMD_UNSHARED
    unshare -m true 2>/dev/null || { echo "skipped: no mount namespace here (needs root)"; exit 77; }
    exec unshare -m sh "$0" "$@"
fi
# small_state SIZE: bmd's state lies on a file system of this size. After lib.sh.
small_state() {
    mkdir "$HOME_DIR/state"
    mount -t tmpfs -o "size=$1,mode=711" bmd-test "$HOME_DIR/state" 2>/dev/null || SKIP "needs to mount a small file system"
    at_exit "umount -l '$HOME_DIR/state'"
}
