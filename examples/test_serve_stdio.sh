#!/bin/sh
# SPDX-License-Identifier: MIT
# test_serve_stdio.sh PROGRAM SOURCE: the example serves its maildrop, and stays what it claims to be.
program=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0

check() { # NAME: the last command decides
    if [ $? -eq 0 ]; then result=ok; else result='not ok'; fi
    number=$((number + 1))
    echo "$result $number - $1"
}

printf 'USER alice\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 2\r\nTOP 1 0\r\nDELE 1\r\nQUIT\r\n' |
    "$program" > "$work/out"
check 'the program ends well'
cat > "$work/expected" << 'END'
+OK Example ready
+OK
+OK Mailbox locked and ready
+OK 2 139
+OK 2 messages
1 79
2 60
.
+OK 2 dots
+OK Message follows
From: sender@example.com
Subject: Dots

..
... and so on
.
+OK Top of message follows
From: sender@example.com
To: alice@example.com
Subject: Hello

.
+OK Message marked for deletion
+OK Goodbye
END
sed 's/$/\r/' "$work/expected" | diff -u - "$work/out" >&2
check 'it says what POP3 says'

printf 'USER alice\r\nPASS wrong\r\nSTAT\r\n' | "$program" | tail -n 2 > "$work/out"
printf -- '-ERR [AUTH] Invalid credentials\r\n-ERR Log in first\r\n' | cmp - "$work/out"
check 'a wrong password does not get in'

[ "$(wc -l < "$source")" -lt 120 ]
check 'it is under 120 lines'

! grep '#include' "$source" | grep -v -e '<std' -e '<string.h>' -e '<unistd.h>' -e '<pop3/pop3.h>' >&2
check 'it includes nothing but the C library and the installed header'
echo "1..$number"
