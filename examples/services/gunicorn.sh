#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gunicorn.sh - a prefork server: master and workers are in one profile, told apart by process.
#
#   PILLION=/usr/local/lib/pillion PROFILES=/tmp examples/services/gunicorn.sh app:application
#
# Workers that gunicorn kills or replaces lose nothing: what they recorded is in shared memory.
exec env LD_PRELOAD="$PILLION/libpillion.so" PILLION_OUTPUT="$PROFILES/gunicorn.%p.pillion" \
    PILLION_LABELS="${PILLION_LABELS:-service=web}" \
    python3 -m gunicorn --workers "${WORKERS:-2}" "$@"
