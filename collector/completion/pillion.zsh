#compdef pillion
# SPDX-License-Identifier: MIT
# Completion of pillion for zsh. Tables come out of the program when it is built; this is what is
# done with them.

@TABLE@

_pillion_profiles()
{
    _files -g '*.pillion(-.)'
}

# Behind "--" there is a command, with a completion of its own.
_pillion_behind_dashes()
{
    local at=${words[(i)--]}
    ((at < CURRENT)) || return
    shift at words
    ((CURRENT -= at))
    _normal
}

_pillion()
{
    local curcontext=$curcontext state verb ret=1
    local -a line matches
    _arguments -C -S \
        '(- : *)'{-h,--help}'[the verbs]' \
        '(- : *)'{-V,--version}'[version, and what it works with]' \
        '1:verb:->verb' \
        '*::argument:->arguments' && ret=0
    case $state in
    verb)
        _describe -t verbs verb _pillion_verbs && ret=0
        ;;
    arguments)
        # It may be shortened.
        verb=$words[1]
        matches=(${(M)${_pillion_verbs%%:*}:#$verb*})
        (($matches[(Ie)$verb])) || (($#matches != 1)) || verb=$matches[1]
        if [[ $verb == help ]]; then
            _describe -t verbs verb _pillion_verbs && ret=0
        elif (($+functions[_pillion_verb_$verb])); then
            curcontext=${curcontext%:*:*}:pillion-$verb:
            _pillion_verb_$verb && ret=0
        fi
        ;;
    esac
    return ret
}

_pillion "$@"
