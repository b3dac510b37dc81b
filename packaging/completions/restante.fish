# SPDX-License-Identifier: MIT
# fish: what can be completed, `restante complete` knows.

function __restante_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l kept (string match -r -- '^--[^=]*=' $current)
    set -l offered ($words[1] complete $words[2..-1] "$current" 2>/dev/null)
    set -l prefix (string replace -r -- '^--[^=]*=' '' "$current")
    switch "$offered[1]"
        case files
            printf "$kept%s\n" (__fish_complete_path $prefix)
        case folders
            printf "$kept%s\n" (__fish_complete_directories $prefix)
        case words
            for line in $offered[2..-1]
                printf '%s%s\n' "$kept" $line
            end
    end
end

complete -c restante -f -a '(__restante_complete)'
