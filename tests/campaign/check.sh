#!/bin/sh
# The judge itself: it is silent about ledgers that agree, and names what does not when one line of them is changed.
: "${top_srcdir:=$(dirname "$0")/../..}" "${top_builddir:=$top_srcdir/build}"
set -u
folder=$(mktemp -d "${TMPDIR:-/tmp}/bmd-check.XXXXXX") || exit 99
trap 'rm -rf "$folder"' EXIT
failed=0

ledgers() {
    cat >"$folder/A" <<'A'
{"did":"ask","client":0,"method":"Deploy","key":"c0-1","us":10,"parameters":{}}
{"did":"answer","client":0,"method":"Deploy","key":"c0-1","asked_us":10,"us":20,"error":"","job":1,"state":"queued"}
{"did":"answer","client":0,"method":"Deploy","key":"c0-1","asked_us":21,"us":22,"error":"","job":1,"state":"queued"}
{"did":"answer","client":1,"method":"Deploy","key":"c1-1","asked_us":10,"us":20,"error":"","job":2,"state":"queued"}
{"did":"answer","client":1,"method":"Redeploy","key":"c1-2","asked_us":30,"us":40,"error":"Refused","job":0,"state":""}
{"did":"answer","client":1,"method":"GetJob","key":"","asked_us":50,"us":60,"error":"","job":1,"state":"succeeded"}
{"did":"answer","client":1,"method":"GetJob","key":"","asked_us":70,"us":80,"error":"","job":1,"state":"succeeded"}
{"did":"answer","client":1,"method":"Deploy","key":"c1-3","asked_us":50,"us":60,"error":"","job":3,"state":"queued","due":"1970-01-01T00:00:01.000000Z"}
{"did":"kill-run","job":3,"pid":7}
{"did":"ask","client":2,"method":"Deploy","key":"c2-1","us":10,"parameters":{"at":"1970-01-01T00:00:03.000000Z"}}
{"did":"answer","client":2,"method":"Deploy","key":"c2-1","asked_us":10,"us":20,"error":"","job":4,"state":"scheduled"}
{"did":"ask","client":2,"method":"Cancel","key":"","us":10,"parameters":{"job":5}}
{"did":"upload","release":"u1","code":0}
{"did":"upload","release":"u2","code":1}
{"did":"upload","release":"u3","code":5}
{"did":"fault","program":"bmd-run","call":"sync","code":5,"n":1,"on":true,"phase":"any"}
{"did":"struck","program":"bmd-run","call":"sync","code":5,"pid":8,"phase":"finishing","job":6}
{"did":"end-run","job":6,"pid":8,"status":1,"claim":"made","result":"struck","latest":"sync"}
{"did":"struck","program":"bmd-run","call":"fork","code":11,"pid":9,"phase":"running","job":7}
{"did":"ask","client":3,"method":"Deploy","key":"c3-1","us":10,"parameters":{"now":true,"if_changed":"skip"}}
{"did":"answer","client":3,"method":"Deploy","key":"c3-1","asked_us":10,"us":20,"error":"","job":8,"state":"queued"}
A
    cat >"$folder/R" <<'R'
start 1 s0 one 100 1000 2000000 0
end 1 s0 one 100 1001 2000001 0
start 1 s0 two 101 1002 2000002 0
end 1 s0 two 101 1003 2000003 0
start 2 s0 one 102 1004 2000004 0
end 2 s0 one 102 1005 2000005 9
start 3 s1 one 103 1002 2000004 0
start 7 s3 one 104 1002 2000004 0
end 7 s3 one 104 1003 2000005 0
start 6 s2 one 105 1002 2000004 0
R
    cat >"$folder/D" <<'D'
{"list":"ListHistory","listed":{"state":"succeeded"},"job":{"id":1,"state":"succeeded","reason":"c0-1","stage":"s0","due":"1970-01-01T00:00:02.000000Z","started":"1970-01-01T00:00:02Z","exit_code":0,"steps":[{"name":"files","state":"succeeded","exit_code":0},{"name":"one","state":"succeeded","exit_code":0},{"name":"two","state":"succeeded","exit_code":0}]}}
{"list":"ListHistory","listed":{"state":"failed"},"job":{"id":2,"state":"failed","reason":"c1-1","stage":"s0","due":"1970-01-01T00:00:01.000000Z","started":"1970-01-01T00:00:02Z","exit_code":9,"failed_step":"one","steps":[{"name":"one","state":"failed","exit_code":9}]}}
{"list":"ListHistory","listed":{"state":"lost"},"job":{"id":3,"state":"lost","reason":"c1-3","stage":"s1","due":"1970-01-01T00:00:01.000000Z","started":"1970-01-01T00:00:02Z","steps":[{"name":"one","state":"running","exit_code":null}]}}
{"list":"ListHistory","listed":{"state":"missed"},"job":{"id":4,"state":"missed","reason":"c2-1","stage":"s2","due":"1970-01-01T00:00:03.000000Z","grace_us":1000000,"finished":"1970-01-01T00:00:04.500000Z"}}
{"list":"ListHistory","listed":{"state":"cancelled"},"job":{"id":5,"state":"cancelled","reason":"other","stage":"s2"}}
{"list":"ListAudit","row":{"method":"Deploy","refused":0,"text":"c2-1"}}
{"list":"ListAudit","row":{"method":"Deploy","refused":0,"text":"1.0/1, due 1970-01-01T00:00:01.000000Z: c1-3"}}
{"list":"ListAudit","row":{"method":"Redeploy","refused":1,"text":"no: c1-2"}}
{"list":"ListAudit","row":{"method":"Deploy","refused":0,"text":"1.0/1: c1-1"}}
{"list":"ListAudit","row":{"method":"Deploy","refused":0,"text":"c0-1"}}
{"list":"ListBuilds","release":"u1","builds":1}
{"list":"ListBuilds","release":"u2","builds":0}
{"list":"ListBuilds","release":"u3","builds":1}
{"list":"ListHistory","listed":{"state":"lost"},"job":{"id":6,"state":"lost","reason":"other","stage":"s2","due":"1970-01-01T00:00:01.000000Z","started":"1970-01-01T00:00:02Z"}}
{"list":"ListHistory","listed":{"state":"failed"},"job":{"id":7,"state":"failed","reason":"other","stage":"s3","due":"1970-01-01T00:00:01.000000Z","started":"1970-01-01T00:00:02Z","exit_code":null,"failed_step":"two","steps":[{"name":"one","state":"succeeded","exit_code":0},{"name":"two","state":"failed","exit_code":null}]}}
{"list":"ListHistory","listed":{"state":"superseded"},"job":{"id":8,"state":"superseded","reason":"c3-1","stage":"s3"}}
{"list":"ListAudit","row":{"method":"Deploy","refused":0,"text":"c3-1"}}
D
}
# says INVARIANT LEDGER SED-SCRIPT
says() {
    ledgers
    sed -i "$3" "$folder/$2"
    "$top_builddir/tests/campaign/check" "$folder" one two >"$folder/out"
    grep -q "^VIOLATION $1:" "$folder/out" || { echo "FAIL: no $1 after $2: $3"; cat "$folder/out"; failed=1; }
}
# fits [LEDGER SED-SCRIPT]
fits() {
    ledgers
    [ $# = 0 ] || sed -i "$2" "$folder/$1"
    "$top_builddir/tests/campaign/check" "$folder" one two >"$folder/out" || { echo "FAIL: not silent after $*"; cat "$folder/out"; failed=1; }
}
fits
says I1 A '3s/"job":1/"job":2/'                 # the same key, another job
says I1 A '3s/"error":""/"error":"Refused"/'    # the same key, refused
says I1 D 1d                                    # an accepted job is not there
says I1 D '3s/c1-3/c0-1/'                       # one key, two jobs
says I11 D '3s/c1-3/c1-2/'                      # refused, and a job
says I2 R '5s/2 s0 one/1 s0 one/'               # a step twice
says I3 D '2s/"started":"[^"]*"/"started":null/' # never started, and it ran
says I3 R '7s/start 3/start 4/'                 # ran, and is not known
says I4 D '1s/02.000000Z/02.500000Z/'           # before its time
says I5 R '5s/ 1004 / 1001 /'                   # begun during another's
says I5 R '7s/^start/overlap/'                  # found the stage in use
says I6 A '7s/succeeded/running/'               # an end that is taken back
says I6 D '1s/succeeded/failed/g'               # told one end, recorded another
says I7 D '3s/lost/held/g'                      # waits for ever
says I8 R '4s/0$/3/'                            # succeeded, and a step did not
says I8 R 4d                                    # succeeded, and a step has no end
says I8 D '2s/"exit_code":9/"exit_code":8/'     # another exit code
says I8 A 9d                                    # lost, and nobody killed it, though others met faults
# Of job 6, lost: what excuses it, and what does not.
fits A '18s/"status":1,/"status":71,/;18s/struck","latest":"sync/none","latest":"memory/' # ended for want of memory
fits A '18s/"status":1,/"status":71,/;18s/struck","latest":"sync/none","latest":"watch/'  # or of a watch
says I8 A 18d                                   # its bmd-run met a fault, and told no end: it crashed
says I8 A '18s/"job":6/"job":7/'                # the bmd-run of another could not write
says I8 A '18s/"struck"/"made"/'                # wrote its result
says I8 A '18s/"struck"/"failed"/'              # did not, and nothing was made to fail
says I8 A '18s/"struck"/"none"/'                # did not try
says I8 A '18s/"made"/"none"/'                  # had no claim
says I8 A '18s/"made"/"struck"/;18s/"result":"struck"/"result":"none"/' # had taken it back
says I8 A '18s/"status":1,/"status":71,/;18s/struck","latest":"sync/none","latest":"-/' # out of memory by itself, long after a fault
says I8 A '18s/struck","latest":"sync/none","latest":"memory/' # met one for want of memory, and ended otherwise
says I8 A '16,18s/bmd-run/bmd/;18d'             # the fault was bmd's
# Of job 7, failed in a step that wrote nothing.
says I8 A '19s/"job":7/"job":2/'                # the fault came to another
says I8 A 19d                                   # no fault came to it
says I8 D '15s/"exit_code":null/"exit_code":3/'  # a code that no step said
says I8 D '15s/"two"/"one"/'                    # and the step had said 0
# Steps.
says I8 D '3s/"name":"one"/"name":"other"/'     # lost, and that a step began is not known
says I8 A '17s/"sync"/"memory"/'                # of job 6 it is not known either, and nothing kept it from being written
says I8 D '2s/"exit_code":9}]/"exit_code":8}]/'  # ended otherwise than it said
says I8 D '2s/failed","exit_code":9}]/succeeded","exit_code":9},{"name":"two","state":"succeeded","exit_code":0}]/' # succeeded, and never ended
says I8 A '20s/"skip"/"hold"/'                  # superseded, and was not to be skipped
says I6 D '3s/01.000000Z/00.500000Z/'           # told one time, recorded another
says I11 D 7d                                   # accepted, and no row of the audit
says I11 D '7s/c1-3/c1-1/'                      # a row twice, another not at all
says I11 D '8s/"refused":1/"refused":0/'        # refused, and a row says that it was done
says I1 D '11s/"builds":1/"builds":0/'           # an upload that was accepted is not there
says I1 D '11s/"builds":1/"builds":2/'           # or twice
says I4 D '4s/"finished":"1970-01-01T00:00:04.5/"finished":"1970-01-01T00:00:03.5/' # missed within its grace
says I4 A '10s/"at"/"now"/'                     # missed without a time
says I4 D '4s/"missed"/"lost"/g;4s/,"finished"/,"started":"1970-01-01T00:00:20.000000Z","finished"/' # started after its grace
says I8 A 12d                                   # cancelled, and nobody wanted it
says I11 D '12s/"builds":0/"builds":1/'          # one that was refused is
says I10 R '2s/^end/wrong/'                     # a step met other files
[ $failed = 0 ] && echo "ok: every untruth is named"
exit $failed
