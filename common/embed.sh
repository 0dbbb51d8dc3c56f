#!/bin/sh
# Makes C text constants out of files: embed.sh NAME FILE [NAME FILE]…
set -eu
echo '/* Made by embed.sh. */'
echo '#include "common/varlink.h"'
while [ $# -ge 2 ]; do
    echo "const char $1[] ="
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t"/' -e 's/$/\\n"/' "$2"
    echo '    ;'
    shift 2
done
