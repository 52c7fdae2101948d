# SPDX-License-Identifier: MIT
"""A tiny function called thousands of times beside a long one called rarely, 1 : 2 in CPU time."""
import time

import common


def tiny(x):
    return x + 1


def part_often():
    x = 0
    for _ in range(10_000):
        x = tiny(x)


def part_rarely():
    total = 0
    for i in range(20_000):
        total += i & 7


def turns(truth, seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        truth.timed(part_often)
        truth.timed(part_rarely)


def main():
    truth = common.Truth()
    turns(truth, common.parse_truth(__doc__).seconds)
    common.tell(by="function", busy=True, truths={"cpu": truth.cpu}, roots=["<module>"],
                calls={"main": ["<module>"], "turns": ["main"], "part_often": ["turns"], "part_rarely": ["turns"],
                       "tiny": ["part_often"]})


if __name__ == "__main__":
    main()
