# SPDX-License-Identifier: MIT
"""CPU time split between five functions, as 40 : 30 : 15 : 10 : 5, in short turns."""
import time

import common


def part_a():
    total = 0
    for i in range(8000):
        total += i * i


def part_b():
    total = 0
    for i in range(6000):
        total += i ^ 7


def part_c():
    total = 0.0
    for i in range(3000):
        total += i / 3


def part_d():
    items = []
    for i in range(2000):
        items.append(i)
    items.clear()  # or it would be freed when the frame is gone: time of the caller, in every profile


def part_e():
    table = {}
    for i in range(1000):
        table[i] = i
    table.clear()


def turns(truth, seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        for part in (part_a, part_b, part_c, part_d, part_e):
            truth.timed(part)


def main():
    truth = common.Truth()
    turns(truth, common.parse_truth(__doc__).seconds)
    common.tell(by="function", busy=True, truths={"cpu": truth.cpu}, roots=["<module>"],
                calls={"main": ["<module>"], "turns": ["main"],
                       **{part: ["turns"] for part in truth.cpu}})


if __name__ == "__main__":
    main()
