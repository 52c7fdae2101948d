# SPDX-License-Identifier: MIT
# Completion of pillion for fish. Tables come out of the program when it is built; this is what is
# done with them.

# The verb that a word is, or is a clear beginning of.
function __pillion_verb
    contains -- "$argv[1]" $__pillion_verbs; and echo $argv[1]; and return
    set -l matches (string match -- "$argv[1]*" $__pillion_verbs)
    test (count $matches) -eq 1; and echo $matches
end

# What the cursor is at: "VERB OPERAND", the second a number; in a command "command WORD", where
# it begins. A third word says that "--" stands before it.
function __pillion_where
    set -l words (commandline -opc)
    set -l verb (__pillion_verb "$words[2]")
    set -l operand 1
    set -l dashes
    set -l i 3
    test (count $words) -gt 1; and test -n "$verb"; or return
    while test $i -le (count $words)
        set -l word $words[$i]
        if test -n "$dashes"; or not string match -q -- '-?*' $word
            contains -- "$verb first" $__pillion_commands; and break
            set operand (math $operand + 1)
        else if test "$word" = --
            set dashes dashes
            contains -- "$verb behind dashes" $__pillion_commands; and set i (math $i + 1); and break
        else if contains -- "$verb $word" $__pillion_values
            set i (math $i + 1)
        end
        set i (math $i + 1)
    end
    if contains -- "$verb first" $__pillion_commands; and test $i -le (math (count $words) + 1)
        echo command $i $dashes
    else if test -n "$dashes"; and contains -- "$verb behind dashes" $__pillion_commands
        echo command $i $dashes
    else
        echo $verb $operand $dashes
    end
end

function __pillion_needs_verb
    test (count (commandline -opc)) -eq 1
end

# VERB, and the place of an operand or "any".
function __pillion_at
    set -l where (__pillion_where | string split ' ')
    test "$where[1]" = $argv[1]; and contains -- $argv[2] any $where[2]
end

# VERB: whether one of its own options may stand at the cursor.
function __pillion_at_option
    set -l words (commandline -opc)
    set -l where (__pillion_where | string split ' ')
    test (count $where) -eq 2; and test "$(__pillion_verb "$words[2]")" = $argv[1]
    and begin
        test $where[1] != command; or test $where[2] -gt (count $words)
    end
end

# The command at the cursor, completed as itself.
function __pillion_command
    set -l words (commandline -opc)
    set -l from (__pillion_where | string split ' ')[2]
    complete --do-complete=(string join ' ' -- (string escape -- $words[$from..]) (commandline -ct))
end

complete -c pillion -f
@TABLE@
