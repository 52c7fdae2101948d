# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# mirror.sh - to be sourced: mirror() prints the address of the Debian mirror that this
# machine's own apt uses.

mirror() {
    local list
    # shellcheck disable=SC2016 # apt's own variables
    list=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
        awk '$2 == "Debian" { print $1 }')
    if [ -z "$list" ]; then
        echo "${0##*/}: this machine's apt knows no Debian mirror; add one and run apt-get update" >&2
        return 1
    fi
    head -n 1 <<<"$list"
}
