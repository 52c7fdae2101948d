# SPDX-License-Identifier: MIT
"""What shells offer for a line with the cursor at its end, by the completion that is installed.

No keys are typed and nothing is read off a screen: bash is called as readline calls it, fish has a
command for it, and zsh's line editor, on a terminal of its own, is given each line when it starts.
"""
import os
import pathlib
import pty
import re
import shutil
import subprocess
import threading

import place

END = "-- end of what is offered --"

# Words as readline splits them: "=" is one of its own.
BASH = r'''
source "$1"; shift
[ -z "$WITH" ] || source "$WITH"
compopt() { :; } # is for readline, which is not here
for line; do
    COMP_LINE=$line COMP_POINT=${#line}
    mapfile -t COMP_WORDS < <(printf '%s' "$line" | sed 's/=/ = /g; s/  */\n/g')
    case $line in *' ') [ -n "${COMP_WORDS[-1]}" ] && COMP_WORDS+=('') ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _pillion pillion "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}" "$END"
done
'''

# What compadd would add goes to a file; calls that only filter for their caller are none of ours.
ZSH = r'''
fpath=("$DIRECTORY" $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    if [[ -n ${@[(r)-*[OAD]]} && ${@[(i)-*[OAD]]} -lt ${@[(i)--]} ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits
    builtin compadd -A hits "$@"
    (($#hits)) && print -rl -- $hits >>"$OUT"
    builtin compadd "$@"
}
LISTMAX=100000
zstyle ':completion:*' insert-tab false
zle-line-init() {
    local line
    for line in "${(f)LINES_TO_COMPLETE}"; do
        BUFFER=$line CURSOR=$#line
        zle list-choices
        print -r -- "$END" >>"$OUT"
    done
    exit
}
zle -N zle-line-init
'''

FISH = '''
source $argv[1]
for line in $argv[2..]
    complete -C $line | string replace -r '\\t.*' ''
    echo "$END"
end
'''


def _split(text):
    """A list for each line; what is offered in order, once."""
    parts = re.split("^%s\n" % re.escape(END), text, flags=re.M)
    assert not parts[-1].strip(), parts[-1]
    return [list(dict.fromkeys(filter(None, part.splitlines()))) for part in parts[:-1]]


def _run(here, argv, env, cwd):
    result = here.run(argv, env=dict(env, END=END, LC_ALL="C.UTF-8"), cwd=cwd)
    assert result.returncode == 0 and not result.stderr, result
    return _split(result.stdout)


def bash(here, lines, cwd, extra=""):
    """`extra`: another file of completions, that of bash-completion."""
    file = here.prefix / "share/bash-completion/completions/pillion"
    return _run(here, ["bash", "--norc", "--noprofile", "-c", BASH, "bash", file, *lines], {"WITH": extra}, cwd)


def bash_completion(here, lines, cwd):
    return bash(here, lines, cwd, "/usr/share/bash-completion/bash_completion")


def fish(here, lines, cwd):
    file = here.prefix / "share/fish/vendor_completions.d/pillion.fish"
    return _run(here, ["fish", "--no-config", "-c", FISH, file, *lines], {"HOME": str(cwd)}, cwd)


def zsh(here, lines, cwd):
    home = pathlib.Path(cwd).parent / (pathlib.Path(cwd).name + "-zsh")
    home.mkdir(exist_ok=True)
    (home / ".zshrc").write_text(ZSH)
    env = dict(place.clean_environment(), ZDOTDIR=str(home), HOME=str(home), TERM="xterm", LC_ALL="C.UTF-8",
               OUT=str(home / "out"), END=END, LINES_TO_COMPLETE="\n".join(lines),
               DIRECTORY=str(here.prefix / "share/zsh/site-functions"))
    (home / "out").write_text("")
    master, slave = pty.openpty()
    process = subprocess.Popen(["zsh", "-d", "-i"], stdin=slave, stdout=slave, stderr=slave, env=env, cwd=str(cwd),
                               start_new_session=True)
    os.close(slave)
    hung = threading.Timer(120, process.kill)
    hung.start()
    screen = b""
    while True:
        try:
            screen += os.read(master, 65536)
        except OSError:  # its last writer is gone
            break
    os.close(master)
    process.wait()
    hung.cancel()
    offered = _split((home / "out").read_text())
    shutil.rmtree(str(home))
    assert len(offered) == len(lines), screen.decode(errors="replace")
    return offered


ALL = {"bash": bash, "fish": fish, "zsh": zsh}
