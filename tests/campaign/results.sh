# Sourced by campaigns: what they found, as a row on standard output and, where RESULTS names a file, as a line of it. README's table is
# made of that file: tools/campaign-table.
#
#   record NAME WHAT N UNIT SEED VIOLATIONS SECONDS DETAIL
#
# A line is: date, name, what, N, unit, seed, violations, seconds, detail, commit; "-" for what is not known; without a repository, as in a
# tarball, too.
bound() { [ "$2" = 0 ] && awk "BEGIN { b = 300 / $1; printf \"%.2g %%\", b < 100 ? b : 100 }" || echo -; }
record() {
    echo "| $1 | $2${8:+: $8} | $3 $4 | $6 | $(bound "$3" "$6") | seed $5, $7 s |"
    [ -z "${RESULTS:-}" ] ||
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%Y-%m-%d)" "$1" "$2" "$3" "$4" "$5" "$6" "$7" "${8:--}" \
            "$(git -C "$top_srcdir" describe --always --dirty 2>/dev/null || echo -)" >>"$RESULTS"
}
