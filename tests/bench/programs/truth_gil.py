# SPDX-License-Identifier: MIT
"""Three threads that compete for the GIL, and compute as 3 : 2 : 1; in between they sleep."""
import threading
import time

import common


def part_first(end):
    total = 0
    while time.thread_time() < end:
        for i in range(1000):
            total += i


def part_second(end):
    total = 0
    while time.thread_time() < end:
        for i in range(1000):
            total ^= i


def part_third(end):
    total = 0
    while time.thread_time() < end:
        for i in range(1000):
            total |= i


def compete(truth, part, burst, turns):
    for _ in range(turns):
        truth.timed(part, time.thread_time() + burst)
        time.sleep(0.002)


def main():
    turns, truths, threads = max(1, round(common.parse_truth(__doc__).seconds / 0.06)), [], []
    for part, burst in ((part_first, 0.03), (part_second, 0.02), (part_third, 0.01)):
        truths.append(common.Truth())
        threads.append(threading.Thread(target=compete, args=(truths[-1], part, burst, turns)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu = {part: spent for truth in truths for part, spent in truth.cpu.items()}
    common.tell(by="function", truths={"cpu": cpu}, roots=["<module>", "compete"],
                calls={"main": ["<module>"], **{part: ["compete"] for part in cpu}})


if __name__ == "__main__":
    main()
