#!/bin/sh
# The units, without a system that runs them: systemd finds nothing wrong, bmd.service exposes little, and the settings that
# guard against traps are there. What they do is shown by `make check-system`.
set -u
: "${top_srcdir:=.}" "${top_builddir:=.}"
command -v systemd-analyze >/dev/null || { echo "skipped: systemd-analyze is missing (package systemd)"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/bmd-units.XXXXXX") || exit 99
trap 'rm -rf "$folder"' EXIT
failed=0
bad() { echo "FAIL: $*"; failed=1; }
units="bmd.socket bmd-run.socket bmd-runs.slice bmd.service bmd-run@.service"
for unit in $units; do
    from=$top_builddir/systemd/$unit
    [ -f "$from" ] || from=$top_srcdir/systemd/$unit
    # The programs are looked for by verify: those of the build tree.
    sed -E "s|^(Exec[A-Za-z]*=)[^ ]*/bmd/bmd-run|\1$top_builddir/runner/bmd-run|
        s|^(Exec[A-Za-z]*=)[^ ]*/bmd |\1$top_builddir/daemon/bmd |
        s|^(Exec[A-Za-z]*=)[^ ]*/bmctl|\1$top_builddir/ctl/bmctl|" "$from" >"$folder/$unit"
    ! grep -nE '@[a-z]+@' "$folder/$unit" || bad "$unit: something was not filled in"
done
# verify FOLDER: nothing said of our units is the only good answer.
verify() {
    SYSTEMD_UNIT_PATH="$1:" systemd-analyze verify --man=no "$1/bmd.socket" "$1/bmd-run.socket" "$1/bmd-runs.slice" \
        "$1/bmd.service" "$1/bmd-run@1-2-3.service" >"$folder/out" 2>&1
    grep -F bmd "$folder/out" && bad "systemd-analyze verify is not content with the units"
}
cp "$folder/bmd-run@.service" "$folder/bmd-run@1-2-3.service"
verify "$folder"

# exposure LIMIT UNIT…: in tenths. As a gate only: what a score is worth, the booted system shows.
exposure() {
    systemd-analyze security --offline=true --no-pager --threshold="$1" "$2" >"$folder/out" 2>&1 ||
        { tail -n 3 "$folder/out"; bad "exposure of $2 is above $1 tenths"; }
    tail -n 1 "$folder/out"
}
exposure 10 "$folder/bmd.service"

# has UNIT LINE; lacks UNIT PATTERN: the traps.
has() { grep -qx -- "$2" "$folder/$1" || bad "$1 lacks $2"; }
lacks() { ! grep -nE -- "$2" "$folder/$1" || bad "$1 must not have that"; }
has bmd.socket FileDescriptorName=varlink
has bmd.socket SocketGroup=bmd-operators
has bmd.socket SocketMode=0660
has bmd.service Type=notify                    # notify-reload is unknown to systemd 252, silently
has bmd.service Requires=bmd.socket            # else restarting both leaves the socket dead
grep -q '^After=.*bmd\.socket' "$folder/bmd.service" || bad "bmd.service is not After=bmd.socket"
has bmd.service RuntimeDirectoryPreserve=yes
lacks bmd.service '^RuntimeDirectory='         # a stop would remove the sockets
lacks bmd.service '^(PrivateUsers|ProcSubset)='
lacks bmd.service '^Also='                     # debhelper would restart the sockets at an upgrade
has bmd.service OOMPolicy=continue
has bmd.service OOMScoreAdjust=-500
has bmd.service StartLimitIntervalSec=0        # five restarts in a row must not be the last
has bmd.service Restart=on-failure
has bmd.service TimeoutStartSec=5min           # a start reads whole runs, and moves the tables of an older bmd
has bmd.service WatchdogSec=3min
grep -q '^ExecReload=.*/bmctl reload$' "$folder/bmd.service" || bad "bmd.service has no ExecReload= by bmctl"
grep -q '^Wants=.*bmd-run\.socket' "$folder/bmd.service" || bad "bmd.service does not want bmd-run.socket"
has bmd.service User=bmd
has bmd.service Group=bmd
has bmd.service StateDirectory=bmd
has bmd.service StateDirectoryMode=0711
has bmd.service UMask=0022
# The sandbox, each wall of it: a score has room for one to be missing.
for wall in CapabilityBoundingSet= AmbientCapabilities= NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes \
    PrivateNetwork=yes PrivateIPC=yes IPAddressDeny=any DevicePolicy=closed ProtectHostname=yes ProtectKernelLogs=yes ProtectKernelModules=yes \
    ProtectKernelTunables=yes ProtectControlGroups=yes ProtectProc=invisible RestrictAddressFamilies=AF_UNIX RestrictNamespaces=yes \
    RestrictRealtime=yes RestrictSUIDSGID=yes RemoveIPC=yes LockPersonality=yes MemoryDenyWriteExecute=yes KeyringMode=private \
    SystemCallArchitectures=native SystemCallFilter=@system-service 'SystemCallFilter=~@privileged @resources @clock' SystemCallErrorNumber=EPERM; do
    has bmd.service "$wall"
done
has bmd-run.socket Accept=yes
has bmd-run.socket SocketUser=bmd
has bmd-run.socket SocketMode=0600
has bmd-run.socket TriggerLimitIntervalSec=0   # else a burst makes it fail
# Each run holds a connection: as many as bmd.conf may ask for, and some for notices and pruning.
connections=$(sed -n 's/^MaxConnections=//p' "$folder/bmd-run.socket")
running=$(sed -n 's/.*{"max-running",.*[( ]\([0-9]*\), "[0-9]*"},.*/\1/p' "$top_srcdir/common/conf/confread.c")
[ "${connections:-0}" -ge $((${running:-1000000} + 20)) ] ||
    bad "bmd-run.socket: MaxConnections=$connections, and max-running may be $running"
has bmd-run.socket RemoveOnStop=yes            # launcher = "auto" looks for it
has bmd-run@.service CollectMode=inactive-or-failed
has bmd-run@.service RefuseManualStart=yes      # a restart would be a failed run
has bmd-run@.service StandardInput=socket
has bmd-run@.service StandardOutput=journal
has bmd-run@.service KillMode=mixed
has bmd-run@.service Delegate=yes
has bmd-run@.service OOMPolicy=continue
has bmd-run@.service StandardError=journal
has bmd-run@.service NotifyAccess=main
has bmd-run@.service Slice=bmd-runs.slice
has bmd-run@.service TimeoutStopSec=60s          # bmd-run's own patience with a step, and its result
grep -q '^ExecStart=.*/bmd-run -c .*/bmd/bmd\.conf$' "$folder/bmd-run@.service" || bad "bmd-run@.service has no configuration of its own"
has bmd-run@.service OOMScoreAdjust=-500       # runner/child.c takes it from steps
lacks bmd-run@.service '^(Protect|Private|Restrict|NoNewPriv|SystemCall|Capability|MemoryDeny|User|LockPers|IPAddress)'

# The example for launcher = "fork": valid, and nothing is left of the sandbox that a step would inherit.
mkdir "$folder/bmd.service.d"
cp "$top_srcdir/systemd/fork.conf" "$folder/bmd.service.d/"
verify "$folder"
sed -n '/^CapabilityBoundingSet=/,/^SystemCallArch/p' "$folder/bmd.service" | grep -E '^[A-Z]' | cut -d= -f1 | sort -u |
    while read -r key; do
        case $key in AmbientCapabilities) continue ;; esac
        grep -q "^$key=" "$top_srcdir/systemd/fork.conf" || echo "$key"
    done >"$folder/left"
grep -qx StateDirectory= "$top_srcdir/systemd/fork.conf" || bad "fork.conf: systemd gives the state to an owner at each start"
! grep -n '^[a-zA-Z!+=~^-]* /var/lib/bmd ' "$top_srcdir/systemd/bmd.tmpfiles.conf" || bad "tmpfiles gives the state away at each boot"
[ ! -s "$folder/left" ] || bad "fork.conf leaves of the sandbox:" $(cat "$folder/left")
[ $failed = 0 ] && echo "units: systemd is content"
exit $failed
