# SPDX-License-Identifier: MIT
"""Two threads that compute: in Python, where they take turns, and in C, where they need not.

    pillion record -o held.pillion -- python3 examples/gil.py count
    pillion record -o released.pillion -- python3 examples/gil.py compress
    pillion report --view gil held.pillion
    pillion report --view gil released.pillion

Only the thread that holds CPython's global interpreter lock runs Python code. `count` is
Python: while one thread works, the other waits for the lock. `compress` is zlib, which lets go
of the lock while it works on a large piece: both work, where there are two CPUs. Each thread
works until it has used a second of CPU time: the first program takes two seconds for that, the
second one. More threads help the second only; the first needs processes.
"""
import sys
import threading
import time
import zlib

THREADS, SECONDS = 2, 1  # seconds of CPU time, for each thread


def count(text):
    """Pure Python: holds the lock from its first instruction to the last."""
    counts = {}
    for letter in text:
        counts[letter] = counts.get(letter, 0) + 1
    return len(counts)


def compress(text):
    """C code that gives the lock away before it begins."""
    return len(zlib.compress(text, 6))


def work(function):
    text = b"".join(b"record %d; " % i for i in range(20_000))
    while time.thread_time() < SECONDS:
        function(text)


def main(function):
    begin = time.monotonic()
    threads = [threading.Thread(target=work, args=(function,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("%s: %.1f s for %d s of CPU time" % (function.__name__, time.monotonic() - begin, THREADS * SECONDS))


if __name__ == "__main__":
    main({"count": count, "compress": compress}[sys.argv[1]])
