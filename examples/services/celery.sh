#!/bin/sh
# SPDX-License-Identifier: MIT
#
# celery.sh - a worker with its pool of processes; the scheduler, which only waits, is left out.
#
#   PILLION=/usr/local/lib/pillion PROFILES=/tmp examples/services/celery.sh -A app worker
exec env LD_PRELOAD="$PILLION/libpillion.so" PILLION_OUTPUT="$PROFILES/celery.%p.pillion" \
    PILLION_LABELS="${PILLION_LABELS:-service=tasks}" PILLION_EXCLUDE='*celery* beat*' \
    python3 -m celery "$@"
