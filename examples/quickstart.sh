#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# quickstart.sh - from a fresh Debian (12 or later) to a first profile.
#
#   examples/quickstart.sh [DIRECTORY]
#
# Installs what is missing with apt (as root, or through sudo), builds Pillion, installs it
# under DIRECTORY (default: build/quickstart in this checkout), records examples/mixed.py
# and prints its report.
set -euo pipefail

repo=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
readonly repo packages=(
    gcc libc6-dev cmake ninja-build pkg-config python3 zlib1g-dev
    libunwind-dev libdwarf-dev libxxhash-dev libzstd-dev libelf-dev libiberty-dev libcapstone-dev
)

install_packages() {
    local missing=() name as_root=()
    for name in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "Installing ${missing[*]} ..."
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build() {
    local directory=$1
    echo "Building ..."
    cmake -S "$repo" -B "$directory/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DPILLION_TESTS=OFF "-DCMAKE_INSTALL_PREFIX=$directory" >/dev/null
    cmake --build "$directory/build" -- --quiet
    cmake --install "$directory/build" >/dev/null
}

main() {
    local directory=${1:-$repo/build/quickstart} pillion profile
    mkdir -p "$directory"
    directory=$(realpath "$directory")
    install_packages
    build "$directory"

    pillion=$directory/bin/pillion
    profile=$directory/mixed.pillion
    echo "Recording examples/mixed.py, about five seconds ..."
    "$pillion" record --force -o "$profile" -- python3 "$repo/examples/mixed.py"
    "$pillion" report "$profile"

    cat <<END

The profile is $profile.
To look at it from other sides:
  $pillion report --view offcpu $profile
  $pillion report --tree $profile
  $pillion html -o mixed.html $profile   # then open it in a browser
  $pillion export -f speedscope -o mixed.json $profile   # then open it at speedscope.app
And to record your own program:
  $pillion record -- python3 app.py
END
}

main "$@"
