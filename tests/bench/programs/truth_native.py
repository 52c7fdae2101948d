# SPDX-License-Identifier: MIT
"""One function that spends two thirds of its CPU time in a C library, zlib, and the rest in Python itself.

How long it stays in each is random, as radioactive decay is: where it is at one of the kernel's ticks
says nothing of where it will be at the next. Rounds of about one length are in step with ticks,
which is what truth_in_step.py is for.
"""
import random
import time
import zlib

import common

DATA = memoryview(b"".join(b"line %d of something that compresses\n" % (i * i) for i in range(50_000)))


def part_mixed(cpu, iterations, size):
    clock = time.thread_time
    start = clock()
    total = 0
    for i in range(iterations):
        total += i & 15
    middle = clock()
    zlib.compress(DATA[:size], 6)  # line: native
    end = clock()
    cpu["python"] += middle - start
    cpu["native"] += end - middle


def main():
    cpu, end = {"python": 0.0, "native": 0.0}, time.process_time() + common.parse_truth(__doc__).seconds
    while time.process_time() < end:
        part_mixed(cpu, round(random.expovariate(1 / 25_000)), round(random.expovariate(1 / 200_000)))
    common.tell(by="native", busy=True, truths={"cpu": cpu}, inside="part_mixed", roots=["<module>"],
                lines=common.marked_lines(__file__), calls={"main": ["<module>"], "part_mixed": ["main"]})


if __name__ == "__main__":
    main()
