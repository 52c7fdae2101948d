#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docker.sh - a container that is recorded: by the library alone, or by a collector that others share.
#
#   export PILLION=/opt/pillion PROFILES="$PWD/profiles"
#   examples/services/docker.sh alone IMAGE python3 app.py
#
#   examples/services/docker.sh collector IMAGE
#   examples/services/docker.sh served IMAGE python3 app.py
#   docker stop collector
#
# PILLION is the unpacked archive for containers (cmake --preset container), whose pillion is static:
# the collector runs in any image, the application's too. PROFILES must be writable for the
# container's user, who alone may read what is in it. pillion env --shell docker prints the first
# one with your own settings.
set -eu

labels=${PILLION_LABELS:-service=app}
how=${1:?alone, collector or served}
shift

case $how in
alone)
    exec docker run -v "$PILLION:/pillion:ro" -v "$PROFILES:/profiles" \
        -e LD_PRELOAD=/pillion/libpillion.so -e PILLION_OUTPUT=/profiles/%h.%p.pillion \
        -e PILLION_LABELS="$labels" "$@"
    ;;
collector)
    # As root, whose a new volume is; it serves containers of all users.
    exec docker run -d --rm --name collector --user 0 --entrypoint /pillion/pillion \
        -v "$PILLION:/pillion:ro" -v pillion-run:/run/pillion -v "$PROFILES:/profiles" \
        "${1:?an image}" collect --listen /run/pillion/sock --allow all \
        -o /profiles/%e.%t.%n.pillion --rotate 5min --keep 2G
    ;;
served)
    exec docker run -v "$PILLION:/pillion:ro" -v pillion-run:/run/pillion \
        -e LD_PRELOAD=/pillion/libpillion.so -e PILLION_SOCKET=/run/pillion/sock \
        -e PILLION_LABELS="$labels" "$@"
    ;;
*)
    echo "docker.sh: $how: alone, collector or served" >&2
    exit 2
    ;;
esac
