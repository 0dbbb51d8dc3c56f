#!/bin/sh
# The way back hashes only what may have changed since bmd placed it; verify = "always" hashes everything. A
# change behind bmd's back is found with both, and what bmd-run remembers is never believed when it is damaged.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

stage() {
    application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  $1 }
CONF
}
stage ''
plan web <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www' }
CONF
bmd_start
www=$HOME_DIR/www
case $(stat -f -c %T "$HOME_DIR") in ext*|xfs|btrfs|f2fs|zfs) none=0 ;; *) none=3 ;; esac

for n in 1 2; do
    mkdir -p "$HOME_DIR/$n/sub"
    for f in a b sub/c; do echo "$f of $n" >"$HOME_DIR/$n/$f"; done
    ln -s a "$HOME_DIR/$n/link"
    bmctl build add shop 1.0.$n "site=$HOME_DIR/$n" >/dev/null || FAIL "add $n"
    bmctl deploy shop 1.0.$n --to production --now --wait >/dev/null 2>&1 || FAIL "deploy $n"
done

# go RELEASE: deploys it again; the words of bmd-run about it are in $HOME_DIR/log.
go() {
    bmctl deploy shop "$1/1" --to production --now --wait >"$HOME_DIR/out" 2>&1 || FAIL "deploy $1 again"
    bmctl log "$(sed -n 's/^job \([0-9]*\):.*/\1/p' "$HOME_DIR/out" | head -n 1)" >"$HOME_DIR/log"
}
hashed() { grep -qF "($1 of 3 hashed" "$HOME_DIR/log" || { cat "$HOME_DIR/log"; FAIL "not $1 of 3 hashed"; }; }
found() { grep -qF "$1" "$HOME_DIR/log" || { cat "$HOME_DIR/log"; FAIL "not found: $1"; }; }

go 1.0.1; hashed $none
go 1.0.2; hashed $none
OK "an unchanged folder is not hashed"

# change WHAT-IS-SAID COMMAND: in the release that is not live; found, and set right.
change() {
    go 1.0.2
    (cd "$www/releases/1.0.1-1" && eval "$2") || FAIL "$2"
    go 1.0.1
    found "$1"
    diff -r "$HOME_DIR/1" "$www/current/" || FAIL "not the files of the build"
}
changes() {
    change 'a (other content)' 'touch -r a ../../ref; echo "A of 1" >a; touch -r ../../ref a'
    change 'b (other content)' 'touch -r b ../../ref; echo "B of 1" >new; touch -r ../../ref new; mv new b'
    change 'a (other size)' ': >a'
    change 'a (other mode)' 'chmod 600 a'
    change 'new (added)' ': >new'
    change 'sub/c (missing)' 'rm sub/c'
    change 'a (no longer a file)' 'mv a ../../keep; ln -s b a'
    change 'a (other content)' 'printf x | dd of=a bs=1 seek=2 conv=notrunc 2>/dev/null'
    change 'a (other content)' 'touch -r a ../../ref; truncate -s 3 a; truncate -s 7 a; touch -r ../../ref a'
    change 'link (other target)' 'ln -sfn b link'
    change 'link (no longer a link)' 'rm link; cp a link'
    change 'sub (no longer a folder)' 'mv sub ../../sub; ln -s ../../sub sub; rm -rf ../../keep'
    rm -rf "$www/sub"
}
changes
OK "changes are found with verify = changed"

stage 'verify = "always"'
bmctl reload >/dev/null || FAIL "reload"
go 1.0.2; go 1.0.1
hashed 3
changes
OK "changes are found with verify = always"

stage 'verify = "changed"'
bmctl reload >/dev/null || FAIL "reload"
go 1.0.2; go 1.0.1
hashed $none
stamps=$(echo "$HOME_DIR"/state/runs/places/*.stamps)
[ -f "$stamps/1.0.1-1" ] || FAIL "no stamps in $stamps"
printf x | dd of="$stamps/1.0.1-1" bs=1 seek=200 conv=notrunc 2>/dev/null
go 1.0.2; go 1.0.1
hashed 3
: >"$stamps/1.0.1-1"
go 1.0.2; go 1.0.1
hashed 3
go 1.0.2; go 1.0.1
hashed $none
OK "damaged stamps are not believed, and made anew"
