# SPDX-License-Identifier: MIT
"""Two threads that fight for the GIL, then one that works without it.

    gil.py SECONDS      (with callback_ext importable)
"""
import sys
import threading
import time

import callback_ext


def fight(end):
    x = 0
    while time.monotonic() < end:
        for i in range(1000):
            x ^= i


def work_without(seconds):
    callback_ext.burn_released(seconds)


def work_with(seconds):
    callback_ext.burn(seconds)


def main(seconds):
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=fight, args=(end,)) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    work_without(seconds / 2)
    work_with(seconds / 2)


if __name__ == "__main__":
    main(float(sys.argv[1]))
