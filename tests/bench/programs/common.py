# SPDX-License-Identifier: MIT
"""How every program of the suite starts, measures itself, and tells the result.

The clocks are read around the work alone: neither the interpreter's start nor the
making of the input is part of it. Where the work is the same again and again, they are
read after each time, too. Runs on every CPython that is measured.
"""
import argparse
import json
import os
import resource
import sys
import threading
import time

MARKS = []  # (CPU, wall) when the work began, and after each time


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_rss_kib():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def tell(**values):
    """One line, at the end of the process's work."""
    values.update(pid=os.getpid(), process_cpu=time.process_time(), children_cpu=children_cpu(),
                  rss_kib=peak_rss_kib(), python=sys.version.split()[0])
    sys.stdout.write("BENCH " + json.dumps(values) + "\n")
    sys.stdout.flush()


def parse(description, default):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="times the usual work (default 1)")
    return max(1, round(default * parser.parse_args().scale))


def clocks():
    return time.process_time() + children_cpu(), time.perf_counter()


def begin():
    """The input is made."""
    MARKS[:] = [clocks()]


def mark():
    """One of the repeats is done. What others than the main thread say is not heard."""
    if threading.current_thread() is threading.main_thread():
        MARKS.append(clocks())


def run(work, repeats, description):
    """Calls work(repeats * scale), whose work is the same each time, and tells what it took."""
    repeats = parse(description, repeats)
    measured(work, repeats)


def measured(work, *arguments):
    begin()
    work(*arguments)
    (cpu, wall), (last_cpu, last_wall) = MARKS[0], clocks()
    units = [[round(b - a, 6) for a, b in zip(one, other)] for one, other in zip(MARKS, MARKS[1:])]
    tell(cpu=last_cpu - cpu, wall=last_wall - wall, units=units)


# ------------------------------------------------------- programs whose truth is known

def parse_truth(description):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="about as much time is spent (default 4)")
    parser.add_argument("--rate", type=float, default=100.0, help="what the profiler samples at (default 100)")
    parser.add_argument("--library", help="libburn.so, for native threads")
    return parser.parse_args()


def run_delay():
    """Seconds that this thread was ready to run, and waited for a CPU."""
    try:
        with open("/proc/thread-self/schedstat") as f:
            return int(f.read().split()[1]) / 1e9
    except OSError:
        return 0.0


class Truth:
    """Time spent in each part, as the thread's own clocks tell it; one for each thread."""

    def __init__(self):
        self.cpu, self.wall, self.blocked = {}, {}, {}

    def timed(self, function, *arguments):
        wall, cpu = time.perf_counter(), time.thread_time()
        function(*arguments)
        self.add(function.__name__, time.thread_time() - cpu, time.perf_counter() - wall)

    def timed_blocked(self, function, *arguments):
        """As above, and how long the thread was blocked, which is not the wait for a CPU."""
        delay, part = run_delay(), function.__name__
        cpu, wall = self.cpu.get(part, 0), self.wall.get(part, 0)
        self.timed(function, *arguments)
        spent = self.wall[part] - wall - (self.cpu[part] - cpu) - (run_delay() - delay)
        self.blocked[part] = self.blocked.get(part, 0) + max(0.0, spent)

    def add(self, part, cpu, wall):
        self.cpu[part] = self.cpu.get(part, 0) + cpu
        self.wall[part] = self.wall.get(part, 0) + wall
