#!/bin/sh
# SPDX-License-Identifier: MIT
# test_headers.sh INCLUDE_FOLDER LIBRARY COMPILER...: each public header compiles alone, as C99 and as C++, without a
# warning, and the library exports what they declare and nothing else.
include=$1
library=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
strict='-Wall -Wextra -Wpedantic -Wconversion -Wundef -Wstrict-prototypes -Werror'

report() { # STATUS NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}

for header in "$include"/pop3/*.h; do
    name=$(basename "$header")
    # Twice: the guard works. With -I of the public folder only: nothing of ours is needed.
    printf '#include <pop3/%s>\n#include <pop3/%s>\nint used(void);\nint used(void) { return 0; }\n' \
        "$name" "$name" > "$work/alone.c"
    # shellcheck disable=SC2086
    "$@" -std=c99 $strict -I"$include" -c "$work/alone.c" -o "$work/alone.o" >&2
    report $? "$name as C99"
    cp "$work/alone.c" "$work/alone.cc"
    c++ -std=c++98 -Wall -Wextra -Wpedantic -Werror -Wno-long-long -I"$include" -c "$work/alone.cc" \
        -o "$work/alone.o" >&2 ||
        c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$include" -c "$work/alone.cc" -o "$work/alone.o" >&2
    report $? "$name as C++"
done

cat "$include"/pop3/*.h | tr '\n' ' ' | grep -o 'POP3_EXPORT [^;]*;' | grep -o 'pop3_[a-z_0-9]*(' | tr -d '(' |
    sort -u > "$work/declared"
nm -D --defined-only "$library" | awk '{ print $3 }' | sort -u > "$work/exported"
diff -u "$work/declared" "$work/exported" >&2
report $? 'the library exports what the headers declare, and nothing else'
[ "$(wc -l < "$work/declared")" -gt 20 ]
report $? 'the declarations were found'
readelf -d "$library" | grep -q 'SONAME.*\[libpop3\.so\.0\]'
report $? 'it has a soname'
echo "1..$number"
