# The package where something is not as it should be, for package.sh, which sources this with no bmd in the system: a configuration
# with a mistake, a strict umask, names that are taken, units that are masked, runs in flight over a removal. What is said on the way is held
# against what an operator has to know.
#
# said TEXT: the last apt said it. unsaid TEXT: it did not.
said() { grep -qF -- "$1" "$WORK/apt" || { cat "$WORK/apt"; FAIL "apt does not say: $1"; }; }
unsaid() { ! grep -F -- "$1" "$WORK/apt" || FAIL "apt says: $1"; }
pid() { inside systemctl show -P MainPID bmd; }
in_conf() { inside sh -c 'echo "$1" >>/etc/bmd/bmd.conf' sh "$1"; }
mend() { inside sed -i '$d' /etc/bmd/bmd.conf; }
# One application: its step waits while there is /srv/amiss/hold.
amiss_application() {
    inside sh -c 'mkdir -p /srv/amiss; cat >/etc/bmd/applications.d/amiss.conf' <<'CONF' || exit 99
application "amiss" { user = "nobody"  stages = {"here"}  stage "here" { plan = "amiss" } }
plan "amiss" { step "wait" { run = 'while [ -e /srv/amiss/hold ]; do sleep 0.1; done' } }
CONF
    inside systemctl reload bmd && inside bmctl build add amiss "$1" >/dev/null || FAIL "an application"
    inside touch /srv/amiss/hold
    amiss=$(inside bmctl --json deploy amiss "$1" --to here --now | jq .job.id)
    retry begun "$amiss" || FAIL "the run does not begin"
}

# An upgrade over a file that is half edited: the service goes on, with what it has read.
apt install /srv/packages/bmd.deb
running=$(pid)
in_conf 'max-running = many'
apt install /srv/packages/newer.deb
said 'bmd.conf:'
said 'max-running = "many": write a whole number'
said "the one that runs goes on: mend this, then systemctl restart bmd"
unsaid "deb-systemd-invoke"
is "bmd over an upgrade with a broken configuration" "$running active" "$(pid) $(inside systemctl is-active bmd)"
inside bmctl status >/dev/null || FAIL "bmd does not answer"
mend
apt install --reinstall /srv/packages/newer.deb
unsaid "bmd: "
[ "$(pid)" != "$running" ] || FAIL "an upgrade with a good configuration does not start bmd again"
# The umask of whom security is dear: a file that only root reads is none for bmd.
inside sh -c 'umask 077; echo "application \"mine\" { stages = {} }" >/etc/bmd/applications.d/mine.conf'
running=$(pid)
apt install --reinstall /srv/packages/newer.deb
said "mine.conf: cannot be opened: Permission denied"
said "goes on: mend this"
is "bmd over an upgrade with a file that it cannot read" "$running" "$(pid)"
inside rm /etc/bmd/applications.d/mine.conf
# Where it does not run, that is said.
in_conf 'max-running = many'
inside systemctl stop bmd.service bmd.socket 2>/dev/null
apt install --reinstall /srv/packages/newer.deb
said "bmd does not run: mend this, then systemctl restart bmd"
is "the package for all that" "install ok installed" "$(inside dpkg-query -W -f '${Status}' bmd)"
mend
inside systemctl restart bmd.socket bmd.service && inside bmctl status >/dev/null || FAIL "bmd does not start when it is mended"
OK "an upgrade with a broken configuration leaves a service that works, and says what to mend"

# What somebody has changed stays, also where the package has another; nobody is asked.
in_conf 'max-running = 5'
inside sh -ec 'dpkg-deb -R /srv/packages/newer.deb /tmp/other; echo "# of the package" >>/tmp/other/etc/bmd/bmd.conf
    sed -i "s/^Version: .*/&+other/" /tmp/other/DEBIAN/control
    cd /tmp/other; md5sum etc/bmd/bmd.conf >/dev/null; dpkg-deb -b /tmp/other /srv/packages/other.deb >/dev/null' || exit 99
apt install -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /srv/packages/other.deb
inside grep -qx 'max-running = 5' /etc/bmd/bmd.conf || FAIL "the upgrade took what was changed"
inside grep -qx '# of the package' /etc/bmd/bmd.conf.dpkg-dist || FAIL "the package's own bmd.conf is not beside it"
inside bmctl check >/dev/null || FAIL "bmctl check with both beside each other"
apt purge bmd
inside test -e /etc/bmd && FAIL "purge left $(inside ls /etc/bmd)"
OK "a bmd.conf that was changed stays over an upgrade that has another"

# A strict umask, also of who installs.
inside sh -c 'umask 077; exec env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o APT::Sandbox::User=root install /srv/packages/bmd.deb' >"$WORK/apt" 2>&1 ||
    { cat "$WORK/apt"; FAIL "apt-get install with umask 077"; }
is "folders and sockets with umask 077" "755 755 755 711 751 660 600" \
    "$(inside stat -c %a /etc/bmd /etc/bmd/applications.d /run/bmd /var/lib/bmd /var/lib/bmd-run /run/bmd/control /run/bmd/run.socket | xargs)"
amiss_application 1
# Removed under the run: it goes on, and its result is there for who installs again.
apt remove bmd
said "a run goes on, and a bmd that is installed again takes its result: job $amiss: amiss 1/1 to here: step 1 of 1, wait"
inside rm /srv/amiss/hold
retry inside test -e "/var/lib/bmd-run/$amiss/result" || FAIL "the run does not end without the package"
apt install /srv/packages/bmd.deb
inside bmctl wait "$amiss" >/dev/null || FAIL "the run over the removal: $(inside bmctl show "$amiss")"
# Purged under one: nothing of it is left.
amiss_application 2
apt purge bmd
is "units of runs after the purge" "" "$(inside systemctl list-units --plain --no-legend 'bmd-run@*')"
inside pgrep -a -u nobody 2>/dev/null && FAIL "a step outlives the purge"
inside rm /srv/amiss/hold
for path in /etc/bmd /var/lib/bmd /var/lib/bmd-run /run/bmd; do inside test -e $path && FAIL "purge left $path"; done
OK "umask 077; removed and purged under a run"

# A user of that name who was here before stays what he is; so does the group.
inside useradd -m -u 1234 bmd && inside groupadd -g 1235 bmd-operators || exit 99
apt install /srv/packages/bmd.deb
is "the owner of the state" "1234 1234" "$(inside stat -c '%u %g' /var/lib/bmd)"
inside sh /srv/packages/smoke >"$WORK/smoke" 2>&1 || { cat "$WORK/smoke"; FAIL "debian/tests/smoke with a user bmd who was here before"; }
apt remove bmd
inside usermod -u 1240 bmd && inside systemctl daemon-reload # whoever moves ids
apt install /srv/packages/bmd.deb
is "owners after the id has changed" 1240 "$(inside find /var/lib/bmd -printf '%U\n' | sort -u | xargs)"
inside bmctl build verify smoke >/dev/null && inside bmctl redeploy smoke --now --wait --reason ids >/dev/null || FAIL "after the id has changed"
apt purge bmd
is "who was here before" "1240 1235" "$(inside id -u bmd) $(inside getent group bmd-operators | cut -d: -f3)"
inside test -d /home/bmd || FAIL "purge took his home"
inside userdel -r bmd 2>/dev/null
inside groupdel bmd-operators
OK "a user bmd who was here before, and whose id changes"

# Masked is masked: an upgrade neither fails nor starts it.
apt install /srv/packages/bmd.deb
inside systemctl mask --now bmd.service bmd.socket bmd-run.socket 2>/dev/null
apt install /srv/packages/newer.deb
unsaid "bmd: "
is "masked units after an upgrade" "inactive inactive" "$(inside systemctl is-active bmd.service) $(inside systemctl is-active bmd.socket)"
inside systemctl unmask bmd.service bmd.socket bmd-run.socket 2>/dev/null
inside systemctl start bmd.socket bmd-run.socket bmd.service && inside bmctl status >/dev/null || FAIL "unmasked, bmd does not start"
# A state folder elsewhere: what is said is what has to be done.
in_conf 'state-directory = "/srv/state"'
inside systemctl restart bmd 2>/dev/null && FAIL "bmd starts with a state folder outside of its sandbox"
inside journalctl -u bmd -n 20 --no-pager -o cat | grep -q "cannot write to the state folder /srv/state: .*ReadWritePaths=/srv/state by systemctl edit bmd.service" ||
    { inside journalctl -u bmd -n 20 --no-pager; FAIL "the journal does not say what to do for a state folder elsewhere"; }
inside sh -ec 'install -d -o bmd -g bmd -m 711 /srv/state; mkdir -p /etc/systemd/system/bmd.service.d
    printf "[Service]\nReadWritePaths=/srv/state\n" >/etc/systemd/system/bmd.service.d/state.conf; systemctl daemon-reload; systemctl restart bmd' ||
    FAIL "bmd does not start with a state folder elsewhere, done as it says: $(inside journalctl -u bmd -n 5 --no-pager -o cat)"
inside test -e /srv/state/bmd.db || FAIL "the state is elsewhere"
mend
inside rm -r /etc/systemd/system/bmd.service.d /srv/state
inside systemctl daemon-reload
inside systemctl restart bmd || FAIL "bmd does not go back"
# A drop-in stays in force over an upgrade, and over a boot.
inside sh -ec 'mkdir -p /etc/systemd/system/bmd.service.d; printf "[Service]\nEnvironment=AMISS=yes\n" >/etc/systemd/system/bmd.service.d/amiss.conf
    systemctl daemon-reload'
apt install --reinstall /srv/packages/newer.deb
boot_stop
boot_start
retry inside bmctl status || FAIL "the installed package does not come up at a boot"
inside sh -c 'tr "\0" "\n" <"/proc/$(systemctl show -P MainPID bmd)/environ"' | grep -qx AMISS=yes || FAIL "the drop-in is not in force"
inside rm -r /etc/systemd/system/bmd.service.d
inside systemctl daemon-reload
apt purge bmd
is "failed units after all that" "" "$(inside systemctl list-units --failed --plain --no-legend 'bmd*')"
OK "masked units, a state folder elsewhere, a drop-in, a boot"
