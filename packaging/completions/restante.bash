# SPDX-License-Identifier: MIT
# bash: what can be completed, `restante complete` knows.

_restante()
{
    local cur prev words cword
    _init_completion -n =: || return
    local IFS=$'\n' line word offered
    mapfile -t offered < <("${words[0]}" complete "${words[@]:1:cword}" 2>/dev/null)
    # What bash replaces is the part of the word behind the last of these, if they part words for it.
    local kept=
    if [[ $cur == --*=* ]]; then
        [[ $COMP_WORDBREAKS == *=* ]] || kept=${cur%%=*}=
        cur=${cur#*=}
    fi
    case ${offered[0]} in
    files) _filedir ;;
    folders) _filedir -d ;;
    words)
        for line in "${offered[@]:1}"; do
            word=${line%%$'\t'*}
            if [[ $word == "$cur"* ]]; then
                COMPREPLY+=("$kept$(printf %q "$word")")
            fi
        done
        [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[:/] ]] || compopt -o nospace
        __ltrim_colon_completions "$cur"
        ;;
    esac
} &&
    complete -F _restante restante
