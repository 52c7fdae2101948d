#!/bin/sh
# SPDX-License-Identifier: MIT
#
# uwsgi.sh - an interpreter inside of another program, that forks when the application is loaded.
#
#   PILLION=/usr/local/lib/pillion PROFILES=/tmp examples/services/uwsgi.sh --http :8000 --module app
#
# None of enable-threads, lazy-apps and skip-atexit is needed.
exec env LD_PRELOAD="$PILLION/libpillion.so" PILLION_OUTPUT="$PROFILES/uwsgi.%p.pillion" \
    PILLION_LABELS="${PILLION_LABELS:-service=web}" \
    uwsgi --master --processes "${WORKERS:-2}" --die-on-term "$@"
