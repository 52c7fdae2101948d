# SPDX-License-Identifier: MIT
"""How every program of the suite starts, measures itself, and tells the result.

The clocks are read around the work alone: neither the interpreter's start nor the
making of the input is part of it. Where the work is the same again and again, it is told
in pieces of some of these times, and how fast the CPU was before and after each. Runs on
every CPython that is measured.
"""
import argparse
import ctypes
import json
import os
import random
import resource
import sys
import threading
import time
import zlib

PIECE = 0.005  # seconds of a piece at least
TURN = 0.03  # seconds of a turn with the profiler, or without it, at least
FIXED = bytes(range(256)) * 512
MARKS = []  # (times since the one before, clocks, pace(), is_on(), clocks) when the work began, and after each piece
COUNTED = [0]  # times since the last mark
WORKING = "working"  # a file that is there meanwhile, with the process's number


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
    parser.add_argument("--turns", choices=["self", "parent"], help="the profiler that works in turns: Pillion, or the "
                        "process that started this one")
    options = parser.parse_args()
    global profiler
    profiler = PROFILER[options.turns]()
    return max(1, round(default * options.scale))


def clocks():
    return time.process_time() + children_cpu(), time.perf_counter()


def pace():
    """Seconds that a fixed calculation takes: more of them when a virtual CPU's neighbour is busy."""
    begin = time.thread_time()
    zlib.crc32(FIXED)
    return time.thread_time() - begin


class Always:
    """Whether the profiler works is not asked."""

    exact = False  # it changes when a piece ends, and else never

    def begin(self):
        pass

    end = begin

    def is_on(self):
        """From now on: a piece of the work ends here."""
        return None


class InTurns(Always):
    """Pillion, switched here; the two turns of a pair are in an order of their own."""

    exact = True

    def __init__(self):
        self.library, self.order, self.until = ctypes.CDLL(None), [], 0.0

    def is_on(self):
        if time.perf_counter() >= self.until:
            self.order = self.order or random.sample([True, False], 2)
            self.on, self.until = self.order.pop(), time.perf_counter() + TURN
            if (self.library.pillion_start if self.on else self.library.pillion_stop)():
                raise SystemExit("Pillion cannot be switched")
        return self.on


class WhileParentRuns(Always):
    """The process that started this one; somebody stops it and lets it go on while the file is there."""

    def begin(self):
        with open(WORKING + ".new", "w") as f:
            f.write(str(os.getpid()))
        os.rename(WORKING + ".new", WORKING)

    def end(self):
        os.remove(WORKING)

    def is_on(self):
        with open("/proc/%d/stat" % os.getppid()) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "Tt"


PROFILER = {None: Always, "self": InTurns, "parent": WhileParentRuns}
profiler = Always()


def put_mark():
    MARKS.append((COUNTED[0], clocks(), pace(), profiler.is_on(), clocks()))
    COUNTED[0] = 0


def begin():
    """The input is made."""
    del MARKS[:]
    COUNTED[0] = 0
    profiler.begin()
    put_mark()


def mark():
    """One of the repeats is done. What others than the main thread say is not heard."""
    if threading.current_thread() is threading.main_thread():
        COUNTED[0] += 1
        if time.perf_counter() - MARKS[-1][4][1] >= PIECE:
            put_mark()


def run(work, repeats, description):
    """Calls work(repeats * scale), whose work is the same each time, and tells what it took."""
    repeats = parse(description, repeats)
    measured(work, repeats)


def measured(work, *arguments):
    begin()
    work(*arguments)
    marks = MARKS + [(0, clocks(), pace(), None, None)]
    profiler.end()
    spans = [tuple(round(b - a, 7) for a, b in zip(one[4], other[1])) + (other[0], round(one[2], 7), round(other[2], 7))
             for one, other in zip(marks, marks[1:])]
    # (CPU, wall, times, pace before, pace after) of each piece; what comes behind the last is none.
    tell(cpu=sum(s[0] for s in spans), wall=sum(s[1] for s in spans), units=spans[:-1], pace=(marks[0][2], marks[-1][2]),
         on=[mark[3] for mark in MARKS], exact=profiler.exact)


# ------------------------------------------------------- programs whose truth is known

def parse_truth(description):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="about as much time is spent (default 4)")
    parser.add_argument("--rate", type=float, default=100.0, help="what the profiler samples at (default 100)")
    parser.add_argument("--library", help="libburn.so, for native threads")
    return parser.parse_args()


def marked_lines(path):
    """{line number: part}, of those that end in `# line: part`"""
    with open(path) as f:
        return {number: line.rsplit("# line: ", 1)[1].strip() for number, line in enumerate(f, 1) if "# line: " in line}


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
