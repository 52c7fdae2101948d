# SPDX-License-Identifier: MIT
"""Record a program, and look at every sample of its profile.

What is read here is what report and export read: dump_profile goes through the
collector's own reader.
"""
import collections
import contextlib
import dataclasses
import glob
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing

import place as places

PYTHON, NATIVE = 0, 1
HEAP_MALLOC, HEAP_MAPPING, HEAP_OBJECT, HEAP_NESTED = range(4)
CAUSE_CPU, CAUSE_BLOCKED, CAUSE_FORCED, CAUSE_EXIT = range(4)
GIL_UNKNOWN, GIL_NONE, GIL_HOLDS, GIL_WAITS = range(4)
FLAG_NATIVE_TRUNCATED = 1 << 2
FLAG_PYTHON_TRUNCATED = 1 << 3
FLAG_GUESSED = 1 << 4
FLAG_PYTHON_FAILED = 1 << 5
FLAG_JOIN_MISMATCH = 1 << 24
CHECKED, REFUSED = 1, 2
STARTED, FORKED = range(2)
DROP_LANE_FULL, DROP_SMALL_STACK, DROP_NO_LANE, DROP_SIGNAL_BLOCKED, DROP_ALLOC_NESTED, DROP_CHILD = 0, 2, 3, 6, 10, 13
DROPS_OF_BLOCKS = (0, 2, 10, 11, 12)  # no room in a lane or on a stack; nested; not followed; a free


class Frame(typing.NamedTuple):
    """One source-level frame; inlined calls are frames of their own."""
    kind: int
    name: str
    file: str
    line: int
    module: str
    address: int  # native: of the file; 0 for Python

    @property
    def is_python(self):
        return self.kind == PYTHON

    def __str__(self):
        where = "%s:%d" % (self.file.rsplit("/", 1)[-1], self.line) if self.is_python else self.module
        return "%s (%s)" % (self.name, where)


class Sample(typing.NamedTuple):
    time_ns: int
    cpu_ns: int
    offcpu_ns: int
    runnable_ns: int
    thread: int
    stack: tuple  # of Frame, innermost first; empty: none
    syscall: int
    flags: int
    cause: int
    gil: int
    alloc_calls: int  # of malloc on this thread, since its last sample on a CPU
    alloc_bytes: int
    free_calls: int
    free_bytes: int

    @property
    def wall_ns(self):
        return self.cpu_ns + self.offcpu_ns + self.runnable_ns

    @property
    def on_cpu(self):
        """Taken on the thread itself: by its timer, or forced at rates above the kernel's."""
        return self.cause in (CAUSE_CPU, CAUSE_FORCED)

    def python(self):
        return [f for f in self.stack if f.is_python]

    def calls(self, name):
        """Is a Python function of this name anywhere in the stack?"""
        return any(f.is_python and f.name.rsplit(".", 1)[-1] == name for f in self.stack)


class Block(typing.NamedTuple):
    """A sampled allocation, and what became of it."""
    time_ns: int
    freed_ns: int  # 0: live at the end, or not followed
    size: int
    interval: int
    thread: int
    stack: tuple
    kind: int
    unfollowed: bool

    @property
    def weight(self):
        """Blocks of its kind that it stands for."""
        return 1 / -math.expm1(-self.size / self.interval)

    @property
    def bytes(self):
        return self.size * self.weight

    def calls(self, name):
        return any(f.is_python and f.name.rsplit(".", 1)[-1] == name for f in self.stack)


class Heap(typing.NamedTuple):
    alloc_calls: int
    alloc_bytes: int
    free_calls: int
    free_bytes: int


class Profile:
    """A profile as dump_profile tells it, with frames and stacks resolved."""

    def __init__(self, data):
        self.data = data
        self.processes = data["processes"]
        self.threads = data["threads"]
        self.notes = [n["text"] for n in data["notes"]]
        self._frames = [self._expand(f) for f in data["frames"]]
        self._stacks = {-1: ()}
        self.samples = [Sample(*row[:5], self._stack(row[5]), *row[6:]) for row in data["samples"]]

        self.blocks = [Block(*row[:5], self._stack(row[5]), *row[6:]) for row in data["blocks"]]

    def _expand(self, frame):
        """A native frame stands for as many calls as were inlined there."""
        expanded = []
        for function, line in frame["locations"]:
            f = self.data["functions"][function]
            address = frame["address"] if f["kind"] == NATIVE else 0
            expanded.append(Frame(f["kind"], f["name"], f["file"], line, f["module"], address))
        return tuple(expanded)

    def _stack(self, node):
        """A node is the innermost frame; parents lead to the root."""
        path = []
        while node not in self._stacks:
            path.append(node)
            node = self.data["stacks"][node][0]
        tail = self._stacks[node]
        for node in reversed(path):
            tail = self._stacks[node] = self._frames[self.data["stacks"][node][1]] + tail
        return tail

    def thread(self, sample):
        return self.threads[sample.thread]

    def process_of(self, sample):
        return self.processes[self.thread(sample)["process"]]

    def calling(self, name):
        return [s for s in self.samples if s.calls(name)]

    def total(self, field, samples=None):
        return sum(getattr(s, field) for s in (self.samples if samples is None else samples))

    def by_thread(self, field):
        totals = collections.Counter()
        for s in self.samples:
            totals[s.thread] += getattr(s, field)
        return totals

    def handler_calls(self, *reasons):
        """How often a signal of ours was handled, whatever came of it; in processes that began so, or in all."""
        return sum(p["handler_calls"] for p in self.processes if not reasons or p["reason"] in reasons)

    @property
    def drops(self):
        return [sum(p["drops"][i] for p in self.processes) for i in range(len(self.processes[0]["drops"]))]


def lost_blocks(profile):
    """Samples that are missing, of any kind, and frees of them; 0: sums are unbiased."""
    return sum(profile.drops[i] for i in DROPS_OF_BLOCKS)


def load(path):
    """Reads the profile with the collector's reader, on this system."""
    dump = places.HERE.build / "tests" / "lib" / "dump_profile"
    result = subprocess.run([str(dump), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert result.returncode == 0, "%s: %s" % (path, result.stderr.decode())
    return Profile(json.loads(result.stdout.decode("utf-8", "replace")))


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited %d s in vain for %s" % (seconds, condition))


def wait_for_samples(path, seconds=20):
    """The file is written once a second, and more often in the first one."""
    wait_for(lambda: path.exists() and path.stat().st_size and load(path).samples, seconds)


def all_complete(directory, pattern="*.pillion", least=1, seconds=20):
    """The profiles of these names, in their order, when all have their end: a collector ends after its program does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        paths = sorted(pathlib.Path(directory).glob(pattern))
        if len(paths) >= least and all(p.stat().st_size for p in paths):
            profiles = [load(p) for p in paths]
            if all(p.data["complete"] for p in profiles):
                return profiles
        time.sleep(0.05)
    raise AssertionError("not %d complete %s; there is %s" % (least, pattern, os.listdir(str(directory))))


def complete(path, seconds=20):
    path = pathlib.Path(path)
    [profile] = all_complete(path.parent, glob.escape(path.name), seconds=seconds)
    return profile


@dataclasses.dataclass
class Recording:
    path: pathlib.Path
    returncode: int
    stdout: str
    stderr: str

    def load(self):
        assert self.path.exists(), "no profile was written:\n" + self.stderr
        return load(self.path)


# Two threads that compute, and recurse() to wait n calls deep; join the threads at the end.
PACKS_AND_PARSES = """
import json, threading, time, zlib

def recurse(n):
    return time.sleep(0.02) if n == 0 else recurse(n - 1)

def pack():
    end = time.thread_time() + 0.25
    while time.thread_time() < end:
        zlib.compress(b"spam;eggs" * 50000)

def parse():
    text = json.dumps([{"key": i} for i in range(3000)])
    end = time.thread_time() + 0.25
    while time.thread_time() < end:
        json.loads(text)

threads = [threading.Thread(target=f, name=f.__name__) for f in (pack, parse)]
for t in threads: t.start()
"""

# 7 : 3, and calls in between at which the kernel takes the thread off its CPU when its turn is over.
ASKS = """
import time
def asks(): return time.thread_time()
def works(n):
    s = 0
    for i in range(n): s += i * i
def long(): works(7000)
def short(): works(3000)
def both(seconds):
    end = asks() + seconds
    while asks() < end:
        long(); asks(); short()
"""


@contextlib.contextmanager
def crowd():
    """Meanwhile, more programs that want a CPU than there are."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() + 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def record(interpreter, arguments, directory, options=(), env=None, timeout=120, name="out.pillion"):
    """`pillion record -o directory/name OPTIONS -- PYTHON ARGUMENTS`"""
    place = places.of(interpreter)
    path = pathlib.Path(directory) / name
    argv = [place.pillion, "record", "-o", path, *options, "--", interpreter.path, *arguments]
    result = place.run(argv, cwd=directory, env=env, timeout=timeout)
    return Recording(path, result.returncode, result.stdout, result.stderr)


def record_ok(interpreter, arguments, directory, **options):
    """As record(), for a program that ends well; returns the profile and its standard output."""
    recording = record(interpreter, arguments, directory, **options)
    assert recording.returncode == 0, (recording.returncode, recording.stderr)
    return recording.load(), recording.stdout


def collect(where, address, path, *options, wrap=(), **more):
    """`pillion collect`, begun by the words of `wrap`, when it listens; `more` is for popen()."""
    argv = [*wrap, where.pillion, "collect", "--listen", address, "-o", path, *options]
    process = where.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    assert "listening" in process.stderr.readline()
    return process


def finish(collector):
    """Returns the collector's last words."""
    collector.send_signal(signal.SIGTERM)
    return collector.communicate(timeout=60)[1]


def make_profile(path, *options):
    """Synthetic, by lib/make_profile.c."""
    tool = places.HERE.build / "tests" / "unit" / "pillion_make_profile"
    subprocess.run([str(tool), *map(str, options), str(path)], check=True)
    return path


def report(here, profile, *options):
    result = here.run([here.pillion, "report", "--json", *options, profile])
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def export(here, profile, target, form, *options):
    result = here.run([here.pillion, "export", "-f", form, "-o", target, *options, profile])
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    return target
