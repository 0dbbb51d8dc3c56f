#!/bin/sh
# A client of bmd that nobody here wrote, the Go library of Varlink (packages golang-go and golang-github-varlink-go-dev): what the
# service says of itself, errors, more, oneway, calls ahead; and the interface file as that library's parser and generator read it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
GOPATH=/usr/share/gocode
library=$GOPATH/src/github.com/varlink/go/varlink
command -v go >/dev/null && [ -d "$library" ] || SKIP "no foreign client: golang-go or golang-github-varlink-go-dev is missing (tools/packages foreign)"
# Its compiler keeps nothing elsewhere, and asks nobody for anything.
export GOPATH GO111MODULE=off GOFLAGS=-p=1 GOCACHE="$HOME_DIR/cache" GOTMPDIR="$HOME_DIR" GOPROXY=off HOME="$HOME_DIR"
cp "$top_srcdir/tests/it/foreign_client.go" "$HOME_DIR/"
(cd "$HOME_DIR" && go build -o foreign_client foreign_client.go) >"$HOME_DIR/out" 2>&1 || { cat "$HOME_DIR/out"; FAIL "the client does not compile"; }

if command -v varlink-go-interface-generator >/dev/null; then
    # It is of the time when names of interfaces had small letters only.
    sed 's/^interface io.bmd.Control/interface io.bmd.control/' "$top_srcdir/common/io.bmd.Control.varlink" >"$HOME_DIR/io.bmd.control.varlink"
    expect 0 varlink-go-interface-generator "$HOME_DIR/io.bmd.control.varlink"
    methods=$(grep -c '^method ' "$top_srcdir/common/io.bmd.Control.varlink")
    is "methods of the code that it generates" "$methods" "$(grep -cE '^func \(m [A-Za-z]+_methods\) Call\(' "$HOME_DIR/iobmdcontrol.go")"
    cp "$top_srcdir/common/org.varlink.service.varlink" "$HOME_DIR/"
    expect 0 varlink-go-interface-generator "$HOME_DIR/org.varlink.service.varlink"
    OK "the interface files, read by a foreign generator"
else
    echo "skipped: varlink-go-interface-generator is not here (package varlink-go)"
fi

application shop <<'CONF'
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "long" }
CONF
plan one <<'CONF'
    step "one" { run = 'echo one' }
CONF
plan long <<'CONF'
    step "long" { run = 'sleep 1000' }
CONF
bmd_start
expect 0 bmctl build add shop 1.0
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 0 bmctl deploy shop 1.0/1 --to production --now --no-follow
retry in_state 2 running || FAIL "job 2 does not run"
expect 0 "$HOME_DIR/foreign_client" "unix:$BMD_SOCKET" 1 2
grep '^bad' "$HOME_DIR/out" && FAIL "a foreign client does not get what it is promised"
prints "info: bmd bmd [org.varlink.service io.bmd.Control]"
prints "parsed: io.bmd.Control, methods $(grep -c '^method ' "$top_srcdir/common/io.bmd.Control.varlink")"
prints "parsed: org.varlink.service, methods 2"
prints "cancelled by oneway: cancelled"
is "its last line" done "$(tail -n 1 "$HOME_DIR/out")"
is "what its oneway call did" cancelled "$(state 2)"
OK "a foreign client"
bmd_stop
