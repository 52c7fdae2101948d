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


def feed(pipe, wanted, turns):
    """Answers each time only when it is waited for, however slow the machine is."""
    while turns.acquire(blocking=False):
        wanted.acquire()
        time.sleep(0.03)
        os.write(pipe, b"x")


def turn(truth, pipe, wanted):
    truth.timed_blocked(part_compute, 0.02)
    truth.timed_blocked(part_sleep, 0.03)
    wanted.release()
    truth.timed_blocked(part_read, pipe)


def main():
    count, truth = max(1, round(common.parse_truth(__doc__).seconds / 0.08)), common.Truth()
    reading, writing = os.pipe()
    wanted = threading.Semaphore(0)
    feeder = threading.Thread(target=feed, args=(writing, wanted, threading.Semaphore(count)))
    feeder.start()
    for _ in range(count):
        turn(truth, reading, wanted)
    feeder.join()
    blocked = {part: truth.blocked[part] for part in ("part_sleep", "part_read")}
    common.tell(by="function", truths={"cpu": truth.cpu, "wall": truth.wall, "offcpu": blocked},
                roots=["<module>", "feed"],
                calls={"main": ["<module>"], "turn": ["main"], "part_compute": ["turn"], "part_sleep": ["turn"],
                       "part_read": ["turn"]})


if __name__ == "__main__":
    main()
