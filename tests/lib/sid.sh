#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# sid.sh - a tree of Debian sid, for the newest CPythons, libunwind and libdwarf.
#
#   sid.sh make TREE          creates it, or brings an existing one up to date
#   sid.sh share TREE DIR...  makes DIRs visible inside, under the same paths
#   sid.sh show TREE DIR...   the same, read-only
#   sid.sh unmount TREE       undoes every mount of this script
#
# Idempotent, and fast when there is nothing to do. The mirror is the one that this
# machine's own apt uses. Needs root.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/mirror.sh"

readonly packages=(
    gcc libc6-dev cmake ninja-build pkg-config zlib1g-dev
    libunwind-dev libdwarf-dev libxxhash-dev libzstd-dev libelf-dev libiberty-dev
    python3-numpy
)
# One of sid's minors may be gone by the day of reading: whatever is there is taken.
readonly pythons='^(python3\.1[3-9](-dev)?|libpython3\.1[3-9]-testsuite)$'

mount_kernel() {
    local tree=$1
    mountpoint -q "$tree/proc" || mount -t proc proc "$tree/proc"
    mountpoint -q "$tree/sys" || mount --bind /sys "$tree/sys"
    mountpoint -q "$tree/dev" || mount --rbind --make-rslave /dev "$tree/dev"
}

# The tree reaches its mirror the way that this machine does.
borrow_network() {
    local tree=$1
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    if [ -d /etc/ssl/certs ]; then
        mkdir -p "$tree/etc/ssl/certs"
        cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/" 2>/dev/null || true
    fi
    apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries)' \
        >"$tree/etc/apt/apt.conf.d/99host" || true
}

install_packages() {
    local tree=$1 wanted have
    wanted=$(printf '%s\n' "${packages[@]}" "$pythons" | LC_ALL=C sort)
    # Up to date means: all of this list, installed within a week.
    if [ -f "$tree/.pillion-packages" ] && [ "$(<"$tree/.pillion-packages")" = "$wanted" ] &&
        [ -n "$(find "$tree/.pillion-packages" -mtime -7)" ]; then
        return
    fi
    chroot "$tree" apt-get update -qq
    have=$(chroot "$tree" apt-cache pkgnames | grep -E "$pythons")
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get install -y -qq \
        --no-install-recommends "${packages[@]}" $have >/dev/null
    printf '%s\n' "$wanted" >"$tree/.pillion-packages"
}

make_tree() {
    local tree=$1
    if [ ! -x "$tree/usr/bin/apt-get" ]; then
        debootstrap --variant=minbase sid "$tree" "$(mirror)"
    fi
    mount_kernel "$tree"
    borrow_network "$tree"
    install_packages "$tree"
}

# A mount outlives its directory: one that was deleted and made anew is not shared by it.
is_shared() {
    mountpoint -q "$1$2" && [ "$(stat -c %d:%i "$1$2")" = "$(stat -c %d:%i "$2")" ]
}

share() {
    local mode=$1 tree=$2 dir
    shift 2
    for dir in "$@"; do
        dir=$(realpath "$dir")
        is_shared "$tree" "$dir" && continue
        mountpoint -q "$tree$dir" && umount -l "$tree$dir"
        mkdir -p "$tree$dir"
        mount --bind "$dir" "$tree$dir"
        mount -o "remount,bind,$mode" "$tree$dir"
    done
}

unmount_tree() {
    local tree
    tree=$(realpath "$1")
    awk -v tree="$tree/" 'index($2, tree) == 1 { print $2 }' /proc/mounts | LC_ALL=C sort -r |
        while read -r where; do
            umount -l "$where" || echo "sid.sh: $where stays mounted" >&2
        done
}

main() {
    local verb=${1:-}
    if [ $# -lt 2 ] || [ "$(id -u)" -ne 0 ]; then
        sed -n '4,13s/^# \{0,1\}//p' "$0" >&2
        return 2
    fi
    shift
    case $verb in
    make) make_tree "$@" ;;
    share) share rw "$@" ;;
    show) share ro "$@" ;;
    unmount) unmount_tree "$@" ;;
    *)
        echo "sid.sh: no such verb: $verb" >&2
        return 2
        ;;
    esac
}

main "$@"
