# SPDX-License-Identifier: MIT
"""A generator and its consumer, that work in turns of a few hundred microseconds, 1 : 2."""
import time

import common


def part_generate(n):
    for _ in range(n):
        total = 0
        for i in range(3000):
            total += i * i
        yield total


def part_consume(item):
    total = item
    for i in range(6000):
        total ^= i
    return total


def drive(cpu, seconds):
    clock, source = time.thread_time, part_generate(10**9)
    end = time.process_time() + seconds
    while time.process_time() < end:
        start = clock()
        item = next(source)
        middle = clock()
        part_consume(item)
        cpu["part_consume"] += clock() - middle
        cpu["part_generate"] += middle - start


def main():
    cpu = {"part_generate": 0.0, "part_consume": 0.0}
    drive(cpu, common.parse_truth(__doc__).seconds)
    common.tell(by="function", busy=True, truths={"cpu": cpu}, roots=["<module>"],
                calls={"main": ["<module>"], "drive": ["main"], "part_generate": ["drive"],
                       "part_consume": ["drive"]})


if __name__ == "__main__":
    main()
