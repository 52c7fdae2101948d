# SPDX-License-Identifier: MIT
# Completion of pillion for bash. Tables come out of the program when it is built; this is what
# is done with them. Works alone; with bash-completion the recorded command is completed as itself.

@TABLE@

# Sets verb to the one that $1 is, or is a clear beginning of.
_pillion_resolve()
{
    local matches
    case " $_pillion_verbs " in
    *" $1 "*)
        verb=$1
        return
        ;;
    esac
    mapfile -t matches < <(compgen -W "$_pillion_verbs" -- "$1")
    [ ${#matches[@]} -eq 1 ] && verb=${matches[0]}
}

# What begins as the word at the cursor: of words, or of what <...> stands for.
_pillion_offer()
{
    case $1 in
    '<profile>'*)
        mapfile -t COMPREPLY < <(compgen -f -X '!*.pillion' -- "$cur" && compgen -d -- "$cur")
        [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        ;;
    '<file>')
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        ;;
    '<process>') mapfile -t COMPREPLY < <(cd /proc && compgen -G "$cur*" | grep '^[0-9]*$') ;;
    '<command>') _pillion_command "$COMP_CWORD" ;;
    *) mapfile -t COMPREPLY < <(compgen -W "${1//|/ }" -- "$cur") ;;
    esac
}

# The command that begins at word $1, with its own completion where there is one.
_pillion_command()
{
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif [ "$1" -eq "$COMP_CWORD" ]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        _pillion_offer '<file>'
    fi
}

# The operand at this place; the last of them may stand for any number.
_pillion_operand()
{
    local place=$1 kinds
    read -ra kinds <<<"$operands"
    [ "$place" -le ${#kinds[@]} ] || [[ ${operands##* } == *'*' ]] || return
    [ "$place" -le ${#kinds[@]} ] || place=${#kinds[@]}
    _pillion_offer "${kinds[place - 1]}"
}

_pillion()
{
    local cur=${COMP_WORDS[COMP_CWORD]} verb='' options='' operands='' value='' word='' dashes='' place=1 i=2
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        case $cur in
        -*) _pillion_offer '-h --help -V --version' ;;
        *) _pillion_offer "$_pillion_verbs" ;;
        esac
        return
    fi
    _pillion_resolve "${COMP_WORDS[1]}"
    _pillion_describe "$verb"
    while [ "$i" -lt "$COMP_CWORD" ]; do
        word=${COMP_WORDS[i]}
        if [ -n "$dashes" ] || [[ $word != -?* ]]; then
            if [ "$operands" = '<command>' ]; then
                _pillion_command "$i"
                return
            fi
            place=$((place + 1))
        elif [ "$word" = -- ]; then
            dashes=1
            if [[ $operands == *'--<command>' ]]; then
                _pillion_command $((i + 1))
                return
            fi
        elif [ "${COMP_WORDS[i + 1]}" = '=' ]; then
            i=$((i + 2)) # words are split there
        elif _pillion_value "$verb" "$word"; then
            i=$((i + 1))
        fi
        i=$((i + 1))
    done
    if [ "$i" -gt "$COMP_CWORD" ]; then
        [ "$cur" = '=' ] && cur=''
        _pillion_value "$verb" "$word" && _pillion_offer "$value"
    elif [[ $cur == -* && -z $dashes ]]; then
        _pillion_offer "$options"
    else
        _pillion_operand "$place"
    fi
}

complete -F _pillion pillion
