# SPDX-License-Identifier: MIT
"""Waits of every kind beside threads that are busy, counting interrupted calls.

    eintr.py SECONDS [pester]      (with eintr_ext importable)

Prints JSON: per kind [calls, interrupted]. The busy threads release the GIL often, so
that all of them are sampled while the others wait. `pester` sends real signals to the
process, as a check that the count can see one.
"""
import hashlib
import json
import signal
import sys
import threading
import time

import eintr_ext

RESULT = {}


def wait(kind, seconds):
    RESULT[kind] = eintr_ext.run(kind, seconds)


def busy(end):
    data = bytes(50_000)
    while time.monotonic() < end:
        hashlib.sha256(data).digest()
        sum(range(1000))


def pester(threads):
    """A handler with SA_RESTART, a signal to each waiting thread, until they end."""
    for thread in threads:
        if thread.is_alive():
            signal.pthread_kill(thread.ident, signal.SIGUSR1)


def main(seconds, pestered):
    end = time.monotonic() + seconds
    if pestered:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, False)
    waiters = [threading.Thread(target=wait, args=(k, seconds)) for k in eintr_ext.names]
    others = [threading.Thread(target=busy, args=(end,)) for _ in range(2)]
    for t in waiters + others:
        t.start()
    while pestered and any(t.is_alive() for t in waiters):
        pester(waiters)
        time.sleep(0.001)
    for t in waiters + others:
        t.join()
    print(json.dumps(RESULT))
    sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), "pester" in sys.argv[2:])
