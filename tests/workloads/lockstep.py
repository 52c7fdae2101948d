# SPDX-License-Identifier: MIT
"""Two functions that take turns in step with the thread's own CPU clock.

    lockstep.py SECONDS PERIOD_MS

Each period of CPU time, the first half is first_half's and the second second_half's: a
profiler that looks at equal distances always sees the same one. Prints the true share of
first_half.
"""
import sys
import time

clock = time.thread_time


def first_half(end):
    while clock() < end:
        pass


def second_half(end):
    while clock() < end:
        pass


def main(seconds, period):
    start, first = clock(), 0
    for i in range(int(seconds / period)):
        before = clock()
        first_half(start + (i + 0.5) * period)
        first += clock() - before
        second_half(start + (i + 1) * period)
    print(first / (clock() - start))


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]) / 1e3)
