#!/bin/sh
# Lines of C end at 100 columns, but for those of a table that says so (clang-format off) and of a list in a comment. What else
# .clang-format has to say is for whoever has clang-format.
set -u
cd "${top_srcdir:-.}" || exit 99
LC_ALL=C.UTF-8
export LC_ALL
failed=0
for file in $(find artifact common ctl daemon import notify runner -name '*.[ch]' | sort); do
    # What may be longer becomes an empty line, so that the others keep their numbers.
    long=$(sed '/clang-format off/,/clang-format on/s/.*//; /^ \*\t/s/.*//' "$file" | expand | grep -nE '.{101}') || continue
    echo "$long" | sed "s|^|$file:|"
    failed=1
done
[ $failed = 0 ] && echo "ok: no line is longer than 100 columns" || echo "longer than 100 columns: clang-format -i breaks them"
exit $failed
