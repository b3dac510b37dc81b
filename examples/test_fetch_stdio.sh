#!/bin/sh
# SPDX-License-Identifier: MIT
# test_fetch_stdio.sh FETCH SOURCE SERVE: the example takes down what the other example serves, and no more.
program=$1
source=$2
server=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0

check() { # NAME: the last command decides
    if [ $? -eq 0 ]; then result=ok; else result='not ok'; fi
    number=$((number + 1))
    echo "$result $number - $1"
}

mkfifo "$work/to_client"

# The two programs, each the other's peer; what the client said is kept. The shell has no status of the first of a
# pipe, so it goes through a file.
run() { # PASSWORD
    { "$program" alice "$1" < "$work/to_client" 3> "$work/mail"; echo $? > "$work/status"; } |
        tee "$work/said" | "$server" > "$work/to_client"
}

run secret
[ "$(cat "$work/status")" -eq 0 ]
check 'the program ends well'
printf '%s\r\n' 'From: sender@example.com' 'To: alice@example.com' 'Subject: Hello' '' 'The first.' \
    'From: sender@example.com' 'Subject: Dots' '' '.' '.. and so on' | cmp - "$work/mail"
check 'both messages are there, their dots as they were'
printf '%s\r\n' CAPA 'USER alice' 'PASS secret' CAPA STAT 'RETR 1' 'RETR 2' QUIT | cmp - "$work/said"
check 'it says what POP3 says, and deletes nothing'

run wrong
[ "$(cat "$work/status")" -ne 0 ] && [ ! -s "$work/mail" ]
check 'a wrong password gets nothing, and the program says so'

printf '+OK hi\r\n-ERR\r\n+OK\r\n+OK\r\n-ERR\r\n+OK 1 30\r\n+OK\r\nhalf a mess' |
    "$program" alice secret > /dev/null 3> "$work/mail"
[ $? -ne 0 ]
check 'a message that breaks off is no success'

[ "$(wc -l < "$source")" -lt 120 ]
check 'it is under 120 lines'

! grep '#include' "$source" | grep -v -e '<std' -e '<string.h>' -e '<unistd.h>' -e '<pop3/pop3.h>' >&2
check 'it includes nothing but the C library and the installed header'
echo "1..$number"
