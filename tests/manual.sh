#!/bin/sh
# The manual is whole, and says nothing of what is not there: the words of the programs, as unit/vocabulary prints them from their tables,
# against the entries of the pages, in both directions. mandoc finds nothing.
set -u
cd "${top_srcdir:-.}" || exit 99
build=${top_builddir:-build}
failed=0
bad() { echo "$1"; failed=1; }
words=$("$build/tests/unit/vocabulary") || exit 99
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
section() { awk -v title="$2" '/^\.S[hs] /{on = substr($0, 5) == title} on' "$1"; }
entries() { sed -n "s/^\.It ${1:+$1 }//p" | sed 's/ No and Ic / , /g; s/ , /\n/g' | awk '{print $1}' | sort -u; }

if command -v mandoc >/dev/null; then
    for page in man/*.[1-8]; do
        # Whether other pages are installed is no matter of this one.
        found=$(mandoc -T lint "$page" 2>/dev/null | grep -vE 'referenced manual not found|mandoc\.db')
        [ -z "$found" ] || bad "$found"
    done
else
    echo "left out: mandoc is not here"
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
done >"${TMPDIR:-/tmp}/manual.$$"
[ ! -s "${TMPDIR:-/tmp}/manual.$$" ] || bad "$(cat "${TMPDIR:-/tmp}/manual.$$")"
rm -f "${TMPDIR:-/tmp}/manual.$$"
same "exit code" "bmctl(1)" "$(of exit)" "$(section man/bmctl.1 'EXIT STATUS' | entries '')"
same "environment variable" "bmctl(1)" \
    "$( (grep -ohE '(getenv|from_environment)\("[A-Z_]+"' ctl/*.c ctl/verbs/*.c common/time/*.c) | cut -d'"' -f2 | sort -u)" \
    "$(section man/bmctl.1 ENVIRONMENT | entries Ev)"

# ---- bmd(8)
same state "bmd(8)" "$(of state)" "$(section man/bmd.8 'States of a job' | entries '')"
same option "bmd(8)" "$(sed -n 's/.*getopt(argc, argv, "\(.*\)").*/\1/p' daemon/main.c | tr -d : | fold -w 1)" \
    "$(sed -n 's/^\.It Fl \([a-zA-Z]\).*/\1/p' man/bmd.8 | sort -u)"
for variable in $(grep -ohE '(getenv|variable)\("[A-Z_]+"' daemon/*.c daemon/*/*.c common/notify.c | cut -d'"' -f2 | sort -u) \
    $(grep -ohE '"BM_[A-Z_]+"' daemon/journal.c | tr -d '"' | sort -u); do
    grep -q "\b$variable\b" man/bmd.8 || bad "bmd(8) does not know $variable"
done

# ---- bmd.conf(5) and bmd-plan(5): keys, section by section
same key "bmd.conf(5), THE MAIN FILE" "$(of key main)" "$(section man/bmd.conf.5 'THE MAIN FILE' | entries Ic)"
same key "bmd-plan(5)" "$(of key plan; of key step; echo step)" "$(entries Ic <man/bmd-plan.5)"
all=$(echo "$words" | grep -vE '^(key|section) (main|plan|step) ' | sed -n 's/^\(key\|section\) [a-z]* //p' | sort -u)
same key "bmd.conf(5)" "$( (of key main; echo "$all") | sort -u)" "$(entries Ic <man/bmd.conf.5)"
same "environment variable" "bmd-plan(5)" \
    "$(grep -ohE 'set(_number)?\(environment, "[A-Z_]+"' runner/environ.c | cut -d'"' -f2 | grep ^BM_ | sort -u)" \
    "$(section man/bmd-plan.5 ENVIRONMENT | entries Ev)"

# ---- what is shipped as an example names no key that is not there, and every key of the main file
for key in $(of key main); do
    grep -qE "^#?$key +=" conf/bmd.conf || bad "conf/bmd.conf does not show the key $key"
done
[ $failed = 0 ] && echo "manual: whole"
exit $failed
