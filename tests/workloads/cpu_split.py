# SPDX-License-Identifier: MIT
"""CPU time split 50/30/15/5 over four functions, and how it really came out.

    cpu_split.py SECONDS

Prints JSON: per function the CPU time by this thread's own clock, and the clocks of
thread and process at the end. Slices are short and shuffled, so that the split holds
in every stretch of the run, and no rhythm can hide from a sampler.
"""
import json
import random
import sys
import time

SHARES = {"half": 50, "third": 30, "seventh": 15, "rest": 5}
SLICE = 0.0007  # seconds of CPU per percent


def spin(until):
    while time.thread_time() < until:
        for _ in range(200):
            pass


def half(until):
    spin(until)


def third(until):
    spin(until)


def seventh(until):
    spin(until)


def rest(until):
    spin(until)


def main(seconds):
    spent = dict.fromkeys(SHARES, 0)
    order = list(SHARES)
    random.seed(1)
    wall_start = time.monotonic_ns()
    now = time.thread_time()
    end = now + seconds
    while now < end:
        random.shuffle(order)
        for name in order:
            start = time.thread_time()
            globals()[name](start + SHARES[name] * SLICE)
            now = time.thread_time()
            spent[name] += now - start
    print(json.dumps({"spent": spent, "wall_ns": time.monotonic_ns() - wall_start,
                      "thread_ns": time.thread_time_ns(), "process_ns": time.process_time_ns()}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
