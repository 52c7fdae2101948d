# SPDX-License-Identifier: MIT
"""One function that spends two thirds of its CPU time in a C library, zlib, and the rest in Python itself.

Its rounds, of about three milliseconds, are of random length: those of one length are in step with the
kernel's ticks for a while, which is what truth_in_step.py is for.
"""
import random
import time
import zlib

import common

DATA = b"".join(b"line %d of something that compresses\n" % (i * i) for i in range(5000))


def part_mixed(cpu):
    clock = time.thread_time
    start = clock()
    total = 0
    for i in range(random.randrange(5_000, 45_001)):
        total += i & 15
    middle = clock()
    zlib.compress(DATA, 6)  # line: native
    end = clock()
    cpu["python"] += middle - start
    cpu["native"] += end - middle


def main():
    cpu, end = {"python": 0.0, "native": 0.0}, time.process_time() + common.parse_truth(__doc__).seconds
    while time.process_time() < end:
        part_mixed(cpu)
    common.tell(by="native", busy=True, truths={"cpu": cpu}, inside="part_mixed", roots=["<module>"],
                lines=common.marked_lines(__file__), calls={"main": ["<module>"], "part_mixed": ["main"]})


if __name__ == "__main__":
    main()
