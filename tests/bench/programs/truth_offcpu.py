# SPDX-License-Identifier: MIT
"""Four threads that wait in different ways, for different times: sleep, a lock, select, a queue."""
import queue
import select
import socket
import threading
import time

import common


def part_sleep(turns):
    for _ in range(turns):
        time.sleep(0.04)


def part_select(turns):
    one, other = socket.socketpair()
    for _ in range(turns):
        select.select([one], [], [], 0.03)
    other.close()
    one.close()


def part_lock(turns, lock):
    for _ in range(turns):
        lock.acquire(timeout=0.02)


def part_queue(turns, items):
    for _ in range(turns):
        try:
            items.get(timeout=0.01)
        except queue.Empty:
            pass


def main():
    turns, truths, lock = max(1, round(common.parse_truth(__doc__).seconds / 0.04)), [], threading.Lock()
    lock.acquire()
    threads, waits = [], {part_sleep: (), part_select: (), part_lock: (lock,), part_queue: (queue.Queue(),)}
    for function, arguments in waits.items():
        truths.append(common.Truth())
        threads.append(threading.Thread(target=truths[-1].timed_blocked, args=(function, turns, *arguments)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = {part: spent for truth in truths for part, spent in truth.wall.items()}
    blocked = {part: spent for truth in truths for part, spent in truth.blocked.items()}
    common.tell(by="function", truths={"wall": wall, "offcpu": blocked}, roots=["<module>", *wall],
                calls={"main": ["<module>"], **{part: [] for part in wall}})


if __name__ == "__main__":
    main()
