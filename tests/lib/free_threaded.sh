#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# free_threaded.sh - a CPython without the GIL, built from Debian's source package.
#
#   free_threaded.sh PREFIX    builds and installs it there: PREFIX/bin/python3.13t
#
# Debian has no package of one. Some ten minutes on two cores; nothing to do when it is
# there. The mirror is the one that this machine's own apt uses. Needs a C compiler, no root.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/mirror.sh"

readonly suite=trixie package=python3.13

# Apt with lists of its own: the system's sources stay as they are.
fetch_source() {
    local work=$1
    mkdir -p "$work/lists/partial"
    echo "deb-src $(mirror) $suite main" >"$work/sources.list"
    local options=(-qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=)
    apt-get "${options[@]}" update
    (cd "$work" && apt-get "${options[@]}" source --download-only "$package")
    mkdir "$work/source"
    tar -xf "$work/$package"_*.orig.tar.?z -C "$work/source" --strip-components=1
}

build() (
    local work=$1 prefix=$2
    cd "$work/source"
    ./configure -q --prefix="$prefix" --disable-gil --disable-test-modules --without-ensurepip
    make -s -j "${PLN_JOBS:-2}"
    make -s install
)

main() {
    if [ $# -ne 1 ] || [ "${1:0:1}" = - ]; then
        sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
        return 2
    fi
    [ ! -x "$1/bin/${package}t" ] || return 0
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # now, not then
    trap "rm -rf '$work'" EXIT
    fetch_source "$work"
    build "$work" "$(realpath -m "$1")" >"$work.log" 2>&1 || { tail -n 40 "$work.log" >&2 && return 1; }
    rm -f "$work.log"
}

main "$@"
