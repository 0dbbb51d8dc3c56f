#!/bin/sh
# Reads the includes: every arrow between modules points down, and what has one door has no other.
# A new arrow is added here, with thought, or not at all.
set -u
cd "${top_srcdir:-.}" || exit 99
failed=0
bad() { echo "$1"; failed=1; }

# level FOLDER/FILE: the higher may include the lower, never the other way round; modules of one
# level do not know each other, but for the files of one module.
level() {
    case $1 in
    daemon/main) echo 90 ;;
    daemon/methods/*) echo 70 ;;        # answers through control.h: the one agreed exception, below
    daemon/control/*) echo 80 ;;
    daemon/schedule|daemon/steady) echo 30 ;;         # rules of values, as job
    daemon/patrol|daemon/notices|daemon/prune|daemon/records) echo 65 ;;
    daemon/sched/*|daemon/tend/*) echo 60 ;;
    daemon/watchdog) echo 60 ;;
    daemon/turn) echo 55 ;;
    daemon/audit) echo 57 ;;
    daemon/queue/*) echo 50 ;;
    daemon/store/*) echo 45 ;;
    daemon/history) echo 40 ;;
    daemon/launch|daemon/sweep|daemon/channel) echo 35 ;;
    daemon/job) echo 30 ;;
    daemon/log|daemon/clock|daemon/zones) echo 25 ;;
    */main|ctl/verbs/*) echo 90 ;;
    ctl/table|ctl/upload) echo 60 ;;
    ctl/*|runner/*|import/*) echo 70 ;;
    artifact/place*) echo 24 ;;
    artifact/files*|artifact/damage) echo 22 ;;
    artifact/objects*|artifact/manifest) echo 20 ;;
    common/*) echo 10 ;;
    *) echo 0 ;;
    esac
}
sources=$(find common artifact import daemon runner ctl -name '*.[ch]' | sort)
for file in $sources; do
    from=${file%.[ch]}
    folder=${file%%/*}
    for include in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$file"); do
        to_folder=${include%%/*}
        case $folder/$to_folder in
        "$to_folder/$to_folder"|*/common) ;;
        daemon/artifact|runner/artifact|import/artifact) ;;
        *) bad "$file includes $include.h: $folder does not know $to_folder" ;;
        esac
        case $from/$include in
        daemon/methods/*/daemon/control/control) continue ;;
        esac
        [ "$folder" = daemon ] || [ "$folder" = artifact ] || continue
        [ "$(level "$from")" -ge "$(level "$include")" ] ||
            bad "$file includes $include.h: the arrow points up"
    done
done

# one door each: HEADER and the only files that open it
door() {
    header=$1; shift
    found=$(grep -l "#include <$header>" $sources)
    for file in $found; do
        for allowed; do
            [ "$file" = "$allowed" ] && continue 2
        done
        bad "$file includes <$header>: its door is $*"
    done
}
door sqlite3.h daemon/store/store_private.h
for file in $(grep -l '#include "daemon/store/store_private.h"' $sources); do
    case $file in
    daemon/store/*.c) ;;
    *) bad "$file includes daemon/store/store_private.h: SQLite is known to daemon/store/ alone" ;;
    esac
done
door confuse.h common/conf/confvalues.c
door archive.h import/reader.c
door archive_entry.h import/reader.c
door openssl/sha.h common/digest.c
door openssl/evp.h common/sigverify.c
door zlib.h import/gunzip.c
door seccomp.h import/reader.c import/cage.c
forks=$(grep -lE '(^|[^a-z_])v?fork\(\)' $sources)
for file in $forks; do
    case $file in
    daemon/launch.c|runner/child.c|import/*.c|ctl/remote.c|common/conf/confapart.c) ;;
    *) bad "$file forks: the doors are daemon/launch.c, runner/child.c, ctl/remote.c, common/conf/confapart.c and import/" ;;
    esac
done
[ $failed = 0 ] && echo "layers: every arrow points down"
exit $failed
