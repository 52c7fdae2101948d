# SPDX-License-Identifier: MIT
"""Code in step with the sampling period: seven tenths of each period in one function, the rest in another."""
import time

import common


def part_long(end):
    clock = time.thread_time
    while clock() < end:
        pass


def part_short(end):
    clock = time.thread_time
    while clock() < end:
        pass


def steps(truth, period, count):
    start = time.thread_time()
    for i in range(count):
        truth.timed(part_long, start + (i + 0.7) * period)
        truth.timed(part_short, start + (i + 1) * period)


def main():
    truth, options = common.Truth(), common.parse_truth(__doc__)
    steps(truth, 1 / options.rate, max(1, round(options.seconds * options.rate)))
    common.tell(by="function", busy=True, truths={"cpu": truth.cpu}, roots=["<module>"],
                calls={"main": ["<module>"], "steps": ["main"], "part_long": ["steps"], "part_short": ["steps"]})


if __name__ == "__main__":
    main()
