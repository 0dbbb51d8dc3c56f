#!/bin/sh
# The manual is whole, and says nothing of what is not there: the words of the programs, as unit/vocabulary prints them from their tables,
# against the entries of the pages, in both directions. mandoc finds nothing.
set -u
cd "${top_srcdir:-.}" || exit 99
build=${top_builddir:-build}
failed=0
bad() { echo "$1"; failed=1; }
words=$("$build/tests/unit/vocabulary") || exit 99
folder=$(mktemp -d "${TMPDIR:-/tmp}/bmd-manual.XXXXXX") || exit 99
trap 'rm -rf "$folder"' EXIT
# of KIND [FIRST]: the words of a kind, the rest of the line behind FIRST.
of() { echo "$words" | sed -n "s/^$1 ${2:+$2 }//p" | sort -u; }
# same WHAT PAGE WANTED THERE: two sets, a word a line.
same() {
    for word in $(echo "$3" | tr ' ' '+'); do
        echo "$4" | tr ' ' '+' | grep -qxF -- "$word" || bad "$2 has no entry for the $1 $(echo "$word" | tr '+' ' ')"
    done
    for word in $(echo "$4" | tr ' ' '+'); do
        echo "$3" | tr ' ' '+' | grep -qxF -- "$word" || bad "$2 has an entry for $(echo "$word" | tr '+' ' '), which is no $1"
    done
}
# section PAGE TITLE: the lines of a section. entries MACRO: what the items of a list are named, several on a line apart.
# awk_width N: the lines of more than N characters; bytes that go on a character do not count.
awk_width() { LC_ALL=C awk -v most="$1" '{ line = $0; gsub(/[\200-\277]/, "", line) } length(line) > most'; }
section() { awk -v title="$2" '/^\.S[hs] /{on = substr($0, 5) == title} on' "$1"; }
entries() { sed -n "s/^\.It ${1:+$1 }//p" | sed 's/ No and Ic / , /g; s/ , /\n/g' | awk '{print $1}' | sort -u; }

if command -v mandoc >/dev/null; then
    for page in man/*.[1-8]; do
        # Whether other pages are installed is no matter of this one.
        found=$(mandoc -T lint "$page" 2>/dev/null | grep -vE 'referenced manual not found|mandoc\.db')
        [ -z "$found" ] || bad "$found"
        ! grep -n '\\$' "$page" || bad "$page: a line that ends in a backslash is joined with the next, without it: write \\e"
        # As a terminal of 80 columns shows it.
        wide=$(mandoc -T utf8 -O width=78 "$page" 2>/dev/null | sed 's/.\x08//g' | awk_width 80)
        [ -z "$wide" ] || bad "$page has lines of more than 80 columns: $wide"
    done
else
    echo "skipped: mandoc is not here"
fi
for page in man/*.[1-8]; do
    grep -qw "${page#man/}" man/Makefile.am || bad "man/Makefile.am does not install $page"
    for other in $(sed -n 's/^\.Xr \([a-z.-]*\) \([1-8]\).*/\1.\2/p' "$page" | grep '^bm' | sort -u); do
        [ "$other" = bmd-import.8 ] || [ -f "man/$other" ] || bad "$page refers to $other, which is not there"
    done
done

# ---- bmctl(1): an entry is `.It Cm VERB …`, or `.It Xo` and a line `.Cm VERB …` after it.
heads=$(awk '
    /^\.Sh /{verbs = $2 == "VERBS"}
    !verbs{next}
    /^\.It Cm /{sub(/^\.It /, ""); print}
    /^\.It Xo/{head = ""; inside = 1; next}
    /^\.Xc/{print head; inside = 0}
    inside{sub(/^\./, ""); head = head (head == "" ? "" : " ") $0}' man/bmctl.1)
# The words behind Cm, up to the next macro (of two capitals or one capital and a small letter).
same verb "bmctl(1)" "$(of verb)" "$(echo "$heads" | sed 's/^Cm //; s/ [A-Z][a-z] .*//; s/ [A-Z][a-z]$//' | sort -u)"
same option "bmctl(1)" "$(of option)" "$(grep -ohE '(^\.|Fl )Fl [a-z-]+' man/bmctl.1 | grep 'Fl Fl ' | awk '{print $NF}' | sort -u)"
echo "$heads" | while read -r head; do
    verb=$(echo "$head" | sed 's/^Cm //; s/ [A-Z][a-z] .*//; s/ [A-Z][a-z]$//')
    for option in $(echo "$head" | grep -oE 'Fl Fl [a-z-]+' | awk '{print $3}'); do
        echo "$words" | grep -qx "takes $option $verb" || echo "bmctl(1) gives $verb an option --$option, which it does not take"
    done
    for letter in $(echo "$head" | grep -oE 'Fl [A-Za-z]( |$)' | awk '{print $2}'); do
        option=$(echo "$words" | sed -n "s/^letter $letter //p")
        echo "$words" | grep -qx "takes $option $verb" || echo "bmctl(1) gives $verb an option -$letter, which it does not take"
    done
done >"$folder/heads"
[ ! -s "$folder/heads" ] || bad "$(cat "$folder/heads")"
same "exit code" "bmctl(1)" "$(of exit)" "$(section man/bmctl.1 'EXIT STATUS' | entries '')"
same "environment variable" "bmctl(1)" \
    "$( (grep -ohE '(getenv|from_environment)\("[A-Z_]+"' ctl/*.c ctl/verbs/*.c common/time/*.c) | cut -d'"' -f2 | sort -u)" \
    "$(section man/bmctl.1 ENVIRONMENT | entries Ev)"

# ---- bmd(8)
same state "bmd(8)" "$(of state)" "$(section man/bmd.8 'States of a job' | entries '')"
same option "bmd(8)" "$(sed -n 's/.*getopt_long(argc, argv, "\([^"]*\)".*/\1/p' daemon/main.c | tr -d : | fold -w 1)" \
    "$(sed -n 's/^\.It Fl \([a-zA-Z]\).*/\1/p' man/bmd.8 | sort -u)"
# read_by FILE…: variables that are read there. exits FILE…: the codes that a program ends with.
read_by() { grep -ohE '(getenv|variable)\("[A-Z_]+"' "$@" | cut -d'"' -f2; }
exits() {
    echo 0
    grep -ohE '\bEX_[A-Z]+|\bEXIT_FAILURE' "$@" | sort -u | sed 's/EX_USAGE/64/; s/EX_OSERR/71/; s/EX_IOERR/74/; s/EXIT_FAILURE/1/'
}
same "environment variable" "bmd(8)" \
    "$( (read_by daemon/*.c daemon/*/*.c common/notify.c common/journal.c common/time/*.c
        sed -n '/kept\[\] = {/,/}/p' daemon/launch.c | grep -oE '"[A-Z_]+"' | tr -d '"' | grep -v SAN_OPTIONS) | sort -u)" \
    "$(section man/bmd.8 ENVIRONMENT | entries Ev)"
same "exit code" "bmd(8)" "$(exits daemon/*.c daemon/*/*.c common/xalloc.c common/loop.c | sort -u)" "$(section man/bmd.8 'EXIT STATUS' | entries '')"
same event "bmd(8)" "$(of event)" "$(section man/bmd.8 'Under systemd' | entries '')"
for variable in $(grep -ohE '"BM_[A-Z_]+"' common/journal.c | tr -d '"' | sort -u); do
    grep -q "^\.Va .*\b$variable\b" man/bmd.8 || bad "bmd(8) does not know the field $variable"
done
for variable in $(grep -ohE 'BM_[A-Z_]+' man/bmd.8 | sort -u); do
    grep -q "\"$variable\"" common/journal.c || bad "bmd(8) names a field $variable that the journal does not get"
done

# ---- bmd-run(8), which is bmd-import's page too
same option "bmd-run(8)" "$( (sed -n 's/.*getopt(argc, argv, "\(.*\)").*/\1/p' runner/main.c | tr -d : | fold -w 1
    sed -n '/struct option options/,/{0}/p' import/main.c | grep -oE '\{"[a-z]+"' | tr -d '{"') | sort -u)" \
    "$(sed -n 's/^\.It Fl \(Fl \)*\([a-z-]*\).*/\2/p' man/bmd-run.8 | sort -u)"
same "exit code" "bmd-run(8)" \
    "$( (exits runner/*.c common/xalloc.c common/loop.c; sed -n 's/^	return \([1-9][0-9]*\);/\1/p' runner/main.c import/main.c) | sort -u)" "$(section man/bmd-run.8 'EXIT STATUS' | entries '')"
same "environment variable" "bmd-run(8)" "$( (read_by runner/*.c; ! grep -q 'notify_status(' runner/*.c || echo NOTIFY_SOCKET
        ! grep -q 'journal_is_stderr(' runner/*.c || echo JOURNAL_STREAM) | sort -u)" \
    "$(section man/bmd-run.8 ENVIRONMENT | entries Ev)"
same refusal "bmd-run(8)" "$( (grep -ohE 'code = "[a-z]+"' runner/*.c; sed -n '/^folder_code/,/^}/p' runner/main.c | grep -oE '"[a-z]+"') |
    sed 's/"$//; s/.*"//' | sort -u)" "$(section man/bmd-run.8 'Runs that do not begin' | entries '')"
same file "bmd-run(8)" "$( (grep -ohE '"(lock|started|events|result|control)"' runner/folder.c | sed 's/"\(.*\)"/JOB\/\1/'
    grep -ohE '"log"' common/runlog.c | sed 's/.*/JOB\/log/; p; s/$/.OFFSET/'
    grep -ohE '"(work|begun)"' runner/deploy.c runner/begun.c | tr -d '"') | sort -u)" "$(section man/bmd-run.8 FILES | entries Pa)"

# ---- bmd.conf(5) and bmd-plan(5): keys, section by section
same key "bmd.conf(5), THE MAIN FILE" "$(of key main)" "$(section man/bmd.conf.5 'THE MAIN FILE' | entries Ic)"
same key "bmd-plan(5)" "$(of key plan; of key step; echo step)" "$(entries Ic <man/bmd-plan.5)"
all=$(echo "$words" | grep -vE '^(key|section) (main|plan|step) ' | sed -n 's/^\(key\|section\) [a-z]* //p' | sort -u)
same key "bmd.conf(5)" "$( (of key main; echo "$all") | sort -u)" "$(entries Ic <man/bmd.conf.5)"
same "environment variable" "bmd-plan(5)" \
    "$( (grep -ohE 'set(_number)?\(environment, "[A-Z_]+"' runner/environ.c | cut -d'"' -f2
        sed -n 's/^#define SUFFIX[^"]*"\(_FILE\)"/NAME\1/p' common/conf/confsecrets.c) | sort -u)" \
    "$(section man/bmd-plan.5 ENVIRONMENT | entries Ev)"
same "environment variable" "bmd.conf(5), NOTICES" \
    "$( (grep -ohE 'set(_member)?\(environment, "[A-Z_]+"' runner/notice.c; sed -n '/^} given/,/^};/p' runner/notice.c | grep -oE '^    \{"BM_[A-Z_]+"') |
        cut -d'"' -f2 | sort -u)" "$(section man/bmd.conf.5 NOTICES | entries Ev)"
same event "bmd.conf(5), on" "$(of notice)" \
    "$(section man/bmd.conf.5 NOTICES | awk '/^\.It /{on = $0 == ".It Ic on"} on && /^\.Ql/' | grep -oE '\b[a-z]+\b' | sort -u)"
for variable in $(grep -ohE '\$\{[A-Z_]+' notify/notify-* | tr -d '${' | grep -v ^BM_ | sort -u); do
    section man/bmd.conf.5 NOTICES | grep -qx ".Ev $variable" || bad "bmd.conf(5) does not know $variable of notify/"
done

# ---- bmd-protocol(7): the interface file, declaration by declaration, as `method NAME SIGNATURE`, `error NAME SIGNATURE` and
# `type NAME.FIELD TYPE`; the same of the page, where each has a meaning behind it. Blanks do not count.
interface() { sed 's/#.*//' common/io.bmd.Control.varlink | awk '
    function field(text) {
        sub(/^ */, "", text)
        name = text; sub(/:.*/, "", name); sub(/^[^:]*:/, "", text)
        if (text != "") { gsub(/ /, "", text); print "type " declared "." name " " text }
    }
    function fields(text,   i, c, depth, part) {
        for (i = 2; i < length(text); i++) {
            c = substr(text, i, 1)
            depth += c == "(" || c == "[" ? 1 : c == ")" || c == "]" ? -1 : 0
            if (c == "," && depth == 0) { field(part); part = "" } else part = part c
        }
        field(part)
    }
    function end() {
        gsub(/[\t ]+/, " ", all); sub(/^ /, "", all); sub(/ $/, "", all)
        if (kind == "type") fields(all)
        else if (kind != "") { gsub(/ /, "", all); print kind " " declared " " all }
    }
    /^(type|method|error) /{end(); kind = $1; declared = $2; sub(/\(.*/, "", declared); all = $0; sub(/^[a-z]+ [A-Za-z]+/, "", all); next}
    {all = all " " $0}
    END{end()}' | sort; }
described() { awk '
    function end() {
        if (kind == "") return
        if (kind == "type") sub(/ : No /, "@", all)
        gsub(/ /, "", all); sub(/@/, " ", all)
        print kind " " declared (kind == "type" ? "." : " ") all
        if (!said) print "nothing " kind " " declared " " all
        kind = ""
    }
    /^\.It Ic /{end(); kind = "method"; declared = $3; all = ""; said = 0; next}
    /^\.It Er [A-Z]/{end(); kind = "error"; declared = $3; all = ""; said = 0; next}
    /^\.It Vt /{end(); of = $3; next}
    /^\.It Va .* : No /{end(); kind = "type"; declared = of; all = $0; sub(/^\.It Va /, "", all); said = 0; next}
    /^\.(It|Sh|Ss|El)/{end(); next}
    /^\.Bd/{literal = 1; next}
    /^\.Ed/{literal = 0; next}
    literal{all = all $0; next}
    {said = 1}
    END{end()}' man/bmd-protocol.7 | sort; }
interface >"$folder/interface"
described >"$folder/described"
grep -vxFf "$folder/described" "$folder/interface" | sed 's/^/bmd-protocol(7) lacks, or has otherwise: /' >"$folder/found"
grep '^nothing ' "$folder/described" | sed 's/^nothing/bmd-protocol(7) does not say what it means:/' >>"$folder/found"
# Errors of others than the interface file are on the page without a signature.
grep -vE '^nothing |^error [A-Za-z]+ $' "$folder/described" | grep -vxFf "$folder/interface" |
    sed 's/^/bmd-protocol(7) has what is not in the interface: /' >>"$folder/found"
[ ! -s "$folder/found" ] || bad "$(cat "$folder/found")"
[ "$(wc -l <"$folder/interface")" -gt 200 ] || bad "hardly anything was found in the interface file"
# Errors: each with its exit code, those of org.varlink.service and of bmctl itself too.
same error "bmd-protocol(7)" "$(of error | sed 's/^[A-Za-z.]*\.//' | sort -u)" "$(awk '
    /^\.It Er /{name = $3}
    /^Exit code [0-9]+\.$/{sub(/\./, "", $3); print name " " $3}' man/bmd-protocol.7 | sort -u)"
# Each parameter of a method is a common one, or named in the text of the method. Roles.
common=$(section man/bmd-protocol.7 PARAMETERS | sed -n 's/^\.It Va //p' | sed 's/ , /\n/g' | sort -u)
methods=$(grep '^method ' "$folder/interface")
echo "$methods" | while read -r _ name signature; do
    entry=$(awk -v name="$name" '/^\.It |^\.El/{on = 0} $0 == ".It Ic " name{on = 1} on && !/^\.It/' man/bmd-protocol.7)
    said=$(echo "$entry" | awk '/^\.Bd/{l = 1} /^\.Ed/{l = 0; next} !l')
    for word in $(echo "$signature" | sed 's/([a-z]*:[^()]*)/&/g' | awk '{
            depth = 0; part = ""
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (c == "(") depth++
                else if (c == ")") depth--
                if (c ~ /[a-z_]/) part = part c
                else { if (c == ":" && depth == 1) print part; part = "" }
            }}' | sort -u); do
        echo "$common" | grep -qxF "$word" || echo "$said" | grep -qE "^\.Va (.* , )?$word( |\$)" ||
            echo "bmd-protocol(7) does not say what $word of $name is"
        echo "$word" >>"$folder/parameters"
    done
    role=$(echo "$words" | sed -n "s/^role $name //p")
    echo "$said" | tr '\n' ' ' | grep -qE "For ([a-z ]* or )?$role\b" || echo "bmd-protocol(7) does not say that $name is for $role"
done >"$folder/found"
[ ! -s "$folder/found" ] || bad "$(cat "$folder/found")"
for word in $common; do
    grep -qxF "$word" "$folder/parameters" || bad "bmd-protocol(7) has a parameter $word that no method has"
done
same rule "bmd-protocol(7)" "$(of rule)" "$(section man/bmd-protocol.7 Rules | entries '')"
same "kind of waiting" "bmd-protocol(7)" \
    "$( (grep -ohE 'waits\("[a-z]+"' daemon/queue/queue_show.c; grep -ohE '"kind", "[a-z]+"' daemon/queue/queue_window.c) | sed 's/"$//; s/.*"//' | sort -u)" \
    "$(section man/bmd-protocol.7 'Kinds of waiting' | entries '')"

same "state of a step" "bmd-protocol(7)" \
    "$( (sed -n '/^step_state/,/^}/p' runner/steps.c; grep 'step->state, sizeof' daemon/queue/queue_run.c | grep snprintf) | grep -oE '"[a-z]+"' | tr -d '"' | sort -u)" \
    "$(awk '/^\.It /{on = $0 == ".It Va state : No string" && type == "Step"} /^\.It Vt /{type = $3} on && /^\.Ql/' man/bmd-protocol.7 | grep -oE '\b[a-z]+\b' | sort -u)"
same "rule of keep-builds" "bmd-protocol(7)" \
    "$(sed -n '/define RULES/,/format on/p' daemon/queue/queue_collect.c | grep -oE '"[a-z-]+"' | tr -d '"' | sort -u)" \
    "$(awk '/^\.It /{on = $0 == ".It Ic CollectBuilds"} on && /^\.Ql/ && !/more/' man/bmd-protocol.7 | sed 's/^\.Ql //' | grep -oE '\b[a-z-]+\b' | sort -u)"

# ---- what is shipped as an example names no key that is not there, and every key of the main file
for key in $(of key main); do
    grep -qE "^#?$key +=" conf/bmd.conf || bad "conf/bmd.conf does not show the key $key"
done
[ $failed = 0 ] && echo "manual: whole"
exit $failed
