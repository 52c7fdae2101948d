# SPDX-License-Identifier: MIT
"""One thread that computes, sleeps and reads from a pipe, in turns: wall, CPU and off-CPU time all differ."""
import os
import threading
import time

import common


def part_compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def part_sleep(seconds):
    time.sleep(seconds)


def part_read(pipe):
    os.read(pipe, 1)


def feed(pipe, stop):
    while not stop.wait(0.08):
        os.write(pipe, b"x")


def turns(truth, pipe, seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        truth.timed(part_compute, 0.02)
        truth.timed(part_sleep, 0.03)
        truth.timed(part_read, pipe)


def main():
    seconds, truth, stop = common.parse_truth(__doc__).seconds, common.Truth(), threading.Event()
    reading, writing = os.pipe()
    feeder = threading.Thread(target=feed, args=(writing, stop))
    feeder.start()
    turns(truth, reading, seconds)
    stop.set()
    feeder.join()
    blocked = {part: truth.wall[part] - truth.cpu[part] for part in ("part_sleep", "part_read")}
    common.tell(by="function", truths={"cpu": truth.cpu, "wall": truth.wall, "offcpu": blocked},
                roots=["<module>", "feed"],
                calls={"main": ["<module>"], "turns": ["main"], "part_compute": ["turns"], "part_sleep": ["turns"],
                       "part_read": ["turns"]})


if __name__ == "__main__":
    main()
