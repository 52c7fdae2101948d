# SPDX-License-Identifier: MIT
"""short_threads.py LIFE SECONDS: threads that live for LIFE seconds of CPU time each, one after the
other, in turns with work on the main thread. Prints, as JSON, the CPU time of either."""
import json
import random
import sys
import threading
import time

spent = {"short": 0, "main": 0}


def burn(name, seconds):
    before = time.thread_time_ns()
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    spent[name] += time.thread_time_ns() - before


def short(seconds):
    burn("short", seconds)


def long_(seconds):
    burn("main", seconds)


life, seconds = map(float, sys.argv[1:])
while time.process_time() < seconds:
    thread = threading.Thread(target=short, args=(life,))
    thread.start()
    thread.join()
    long_(life * random.uniform(0.5, 2.5))  # not in step with the kernel's ticks
print(json.dumps(spent))
