#!/bin/sh
# A command that a sentence tells a person to type is one: whatever stands behind "bmctl" in the sentences of the programs, the catalog of
# the journal, the pages, the examples and README is a verb, with options that this verb takes.
set -u
cd "${top_srcdir:-.}" || exit 99
failed=0
words=$("${top_builddir:-build}/tests/unit/vocabulary") || exit 99
verbs=$(echo "$words" | sed -n 's/^verb //p' | sort -r)
# What prose says that bmctl does, and is no verb.
prose="a alone and as asks gave has is of or says speaks talks to was writes"

# Of C the texts alone, one line a file where they go over several; of the others each line.
{
    for file in $(find common import daemon runner ctl -name '*.c' -o -name verbs.h | sort); do
        tr '\n' ' ' <"$file" | sed 's/"[ \t]*"//g; s/" PRI[a-z0-9]* "/lld/g' | grep -oE '"([^"\\]|\\.)*"' | grep bmctl | sed "s|^|$file |"
    done
    for file in systemd/bmd.catalog README.md conf/* conf/*/* debian/README* debian/*.NEWS; do
        [ -f "$file" ] && grep bmctl "$file" | sed "s|^|$file |"
    done
} >"${TMPDIR:-/tmp}/commands.$$"
trap 'rm -f "${TMPDIR:-/tmp}/commands.$$"' EXIT

found=$(sed 's/bmctl /\n&/g' "${TMPDIR:-/tmp}/commands.$$" | awk -v verbs="$verbs" -v prose="$prose" -v words="$words" '
    BEGIN {
        for (n = split(verbs, list, "\n"); n > 0; n--) verb[list[n]] = 1
        for (n = split(prose, list, " "); n > 0; n--) allowed[list[n]] = 1
        for (n = split(words, list, "\n"); n > 0; n--) takes[list[n]] = 1
    }
    !/^bmctl /{ file = $1; next }
    {
        # The command ends where its sentence goes on.
        command = $0
        sub(/[`;"(),|:&].*/, "", command)
        gsub(/^bmctl +/, "", command)
        while (match(command, /^(-H +[^ ]+|-s +[^ ]+|--json|--color=[a-z]+) +/)) command = substr(command, RLENGTH + 1)
        n = split(command, word, /[ ]+/)
        if (n == 0 || word[1] !~ /^[a-z]+$/) next
        name = word[1] " " word[2]
        if (!(name in verb)) name = word[1]
        if (!(name in verb)) {
            if (!(name in allowed) && name !~ /^(build|schedule|notify)$/) print file ": bmctl " command ": no such verb"
            next
        }
        count++
        for (i = 2; i <= n; i++) if (match(word[i], /^--[a-z-]+/)) {
            option = substr(word[i], 3, RLENGTH - 2)
            if (!(("takes " option " " name) in takes)) print file ": bmctl " command ": it takes no --" option
        }
    }
    END { print count " commands" }')
echo "$found"
case $found in *:*) exit 1 ;; esac
# What is looked at is there: the sentences are many.
[ "${found% commands}" -gt 100 ]
