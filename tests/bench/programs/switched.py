# SPDX-License-Identifier: MIT
"""One program in one process, sampled and not sampled in turns of some 30 ms.

    PILLION_START=off pillion record -- python switched.py PROGRAMS.PY NAME SECONDS

What two processes differ in (where memory lies, which neighbours a machine has, how warm it is)
is several percent, and hides what a sampler costs. Two turns that follow each other in one
process share all of that. Prints, as JSON, a list of pairs
[sampled wall, sampled CPU, unsampled wall, unsampled CPU], in seconds; CPU without our own thread.
"""
import ctypes
import importlib.util
import json
import os
import random
import sys
import time

TURN_S = 0.03


def load(path, name):
    spec = importlib.util.spec_from_file_location("programs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PROGRAMS[name]


def sampling_threads_clock():
    for tid in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/comm" % tid) as f:
            if f.read() == "pillion\n":
                return ~int(tid) << 3 | 6
    raise SystemExit("this process is not recorded")


def main(path, name, seconds):
    library, program = ctypes.CDLL(None), load(path, name)
    clock = sampling_threads_clock()

    def now():
        return time.perf_counter(), time.process_time() - time.clock_gettime(clock)

    def turn(sampled):
        assert (library.pillion_start if sampled else library.pillion_stop)() == 0
        before = now()
        program(repeats)
        return [after - first for after, first in zip(now(), before)]

    repeats, warm = 1, time.perf_counter() + 1
    while time.perf_counter() < warm:
        start = time.perf_counter()
        program(1)
        repeats = max(1, round(TURN_S / (time.perf_counter() - start)))
    turn(True), turn(False)
    pairs, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        order = [True, False] if random.random() < .5 else [False, True]
        took = {sampled: turn(sampled) for sampled in order}
        pairs.append(took[True] + took[False])
    library.pillion_start()
    print(json.dumps({"repeats": repeats, "pairs": pairs}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
