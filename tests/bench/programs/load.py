# SPDX-License-Identifier: MIT
"""The same amount of work, spread over many threads or processes, or at the bottom of a deep stack."""
import argparse
import os
import sys
import threading

import common

UNIT = 300  # calls


def call(value):
    return value * 3 + 1


def compute(units):
    total = 0
    for unit in range(units):
        for i in range(UNIT):
            total ^= call(i)
        if unit % 500 == 499:
            common.mark()
    return total


def loop(units):
    """The same without a call: the stack stays what it is."""
    total = 0
    for unit in range(units):
        for i in range(UNIT):
            total ^= i * 3 + 1
        if unit % 500 == 499:
            common.mark()
    return total


def down(depth, units, at_the_bottom=compute):
    if depth > 1:
        return down(depth - 1, units, at_the_bottom)
    return at_the_bottom(units)


def share(units, count, number):
    """The rest goes to the first ones."""
    return units // count + (number < units % count)


class Threads:
    """They are there before the clock starts."""

    def __init__(self, count, target):
        self.gate, started = threading.Event(), threading.Semaphore(0)

        def body(number):
            started.release()
            self.gate.wait()
            target(number)

        self.threads = [threading.Thread(target=body, args=(n,), daemon=True) for n in range(count)]
        for thread in self.threads:
            thread.start()
            started.acquire()

    def run(self):
        self.gate.set()
        for thread in self.threads:
            thread.join()


def busy_threads(count, units):
    threading.stack_size(256 * 1024)
    common.measured(Threads(count, lambda number: compute(share(units, count, number))).run)


def idle_threads(count, units):
    """All but one wait; they end with the process's work."""
    threading.stack_size(256 * 1024)
    others = Threads(count - 1, lambda number: None)
    common.measured(compute, units)
    others.run()


def depth(count, units):
    sys.setrecursionlimit(count + 1000)
    common.measured(down, count, units)


def depth_loop(count, units):
    sys.setrecursionlimit(count + 1000)
    common.measured(down, count, units, loop)


def processes(count, units):
    def work():
        children = []
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                compute(share(units, count, number))
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)

    common.measured(work)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["busy-threads", "idle-threads", "depth", "depth-loop", "processes"])
    parser.add_argument("count", type=int)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual work (default 1)")
    options = parser.parse_args()
    kinds = {"busy-threads": busy_threads, "idle-threads": idle_threads, "depth": depth, "depth-loop": depth_loop,
             "processes": processes}
    kinds[options.kind](options.count, max(options.count, round(50_000 * options.scale)))


if __name__ == "__main__":
    main()
