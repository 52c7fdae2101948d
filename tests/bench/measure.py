# SPDX-License-Identifier: MIT
"""Run one command in a directory of its own, and measure everything about it from outside.

A program of the suite prints one line `BENCH {json}` with what it measured itself; the
rest comes from wait4(2) and /proc. The child leads a process group of its own, so that
whatever is left of it at a timeout can be ended.
"""
import contextlib
import dataclasses
import fcntl
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import typing

import place

MARK = "BENCH "
# glibc raises its mmap threshold when a large block is freed: what ran earlier in the process, a
# profiler's imports say, then decides how fast large buffers are. Fixed for all sides.
MALLOC = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=1073741824"
FIXED = {"GLIBC_TUNABLES": MALLOC, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1",
         "PYTHONDONTWRITEBYTECODE": "1"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")
LOGS = ("stdout.log", "stderr.log")


@dataclasses.dataclass
class Outcome:
    directory: pathlib.Path
    returncode: int
    wall_s: float
    tree_cpu_s: float  # of the command and all its children that were waited for
    launcher_pid: int
    launcher_rss_kib: int  # the most that the first process held
    result: typing.Optional[dict]  # what the program said; None: nothing
    bytes_written: int

    @property
    def stdout(self):
        return (self.directory / LOGS[0]).read_text(errors="replace")

    @property
    def stderr(self):
        return (self.directory / LOGS[1]).read_text(errors="replace")

    @property
    def ok(self):
        return self.result is not None

    @property
    def outside_cpu_s(self):
        """CPU time that was not the program's own: the profiler's processes, and its end."""
        return self.tree_cpu_s - self.result["process_cpu"] - self.result["children_cpu"]

    @property
    def profiler_rss_kib(self):
        """Of a profiler that is a process of its own; 0 for one that lives in the program."""
        return 0 if self.result["pid"] == self.launcher_pid else self.launcher_rss_kib

    def ending(self):
        """"" for a good end."""
        if self.returncode < 0:
            return "died of %s" % signal.Signals(-self.returncode).name
        return "exit status %d" % self.returncode if self.returncode else ""

    def message(self):
        """How it ended, and its own last words."""
        text = COLOUR.sub("", self.stderr + "\n" + self.stdout)
        said = [line.strip() for line in text.splitlines() if is_text(line) and not line.startswith(MARK)]
        told = [line for line in said if "rror" in line or "not " in line] or said
        return ": ".join(filter(None, [self.ending(), told[-1][:200] if told else ""])) or "no word"


def is_text(line):
    """Neither empty nor a banner drawn with punctuation."""
    return 3 * sum(map(str.isalnum, line)) > len(line.replace(" ", ""))


def environment():
    return dict(place.clean_environment(), **FIXED)


def fresh_directory(path):
    shutil.rmtree(str(path), ignore_errors=True)
    path.mkdir(parents=True)
    return path


@contextlib.contextmanager
def turn():
    """No other work on this machine meanwhile, if that takes the same lock: `flock FILE make`."""
    path = os.environ.get("PLN_BENCH_LOCK")
    if not path:
        yield
        return
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def threads_stopped(pid):
    """[whether it is, by the profiler or by us] of each thread; of a process that is gone, none."""
    found = []
    for path in glob.glob("/proc/%d/task/*/stat" % pid):
        try:
            with open(path) as f:
                found.append(f.read().rsplit(")", 1)[1].split()[0] in "Tt")
        except OSError:
            pass  # a thread that has ended
    return found


class Turns:
    """Stops a process and lets it go on again, in turns, while the program that it measures says that it works.

    One that stops that program, to look at it, is never stopped itself in that moment: the program would stand
    still for the whole turn.
    """

    TRIES, SETTLED = 200, 0.002

    def __init__(self, directory):
        self.working, self.stopped, self.until, self.held = directory / "working", False, 0.0, 0

    def __call__(self, pid):
        working, now = self.working.exists(), time.perf_counter()
        if now < self.until and working or not working and not self.stopped:
            return
        if self.stopped:
            os.kill(pid, signal.SIGCONT)
            self.stopped = False
        else:
            self.stopped = self.stop(pid)
        self.until = time.perf_counter() + random.uniform(0.1, 0.2)

    def stop(self, pid):
        """False: it held the program each time."""
        try:
            program = int(self.working.read_text())
        except OSError:
            return False
        for _ in range(self.TRIES):
            os.kill(pid, signal.SIGSTOP)
            while not all(threads_stopped(pid)):
                time.sleep(0.0001)
            # A stop that was asked for before may take effect by now.
            time.sleep(self.SETTLED)
            if not any(threads_stopped(program)):
                return True
            self.held += 1
            os.kill(pid, signal.SIGCONT)
            time.sleep(random.uniform(0, self.SETTLED))
        return False


def run(argv, directory, timeout=300, meanwhile=None):
    """Runs to the end. `argv` sets further variables by env(1), if it needs any. `meanwhile`: called with its pid."""
    with turn():
        return run_now(argv, pathlib.Path(directory), timeout, meanwhile)


def run_now(argv, directory, timeout, meanwhile):
    start = time.perf_counter()
    with open(directory / LOGS[0], "wb") as out, open(directory / LOGS[1], "wb") as err:
        process = subprocess.Popen([str(a) for a in argv], cwd=str(directory), env=environment(), stdout=out,
                                   stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        status, usage, rss = wait(process.pid, start + timeout, meanwhile)
    finally:
        end_rest(process.pid)
    process.returncode = status
    return Outcome(directory, status, time.perf_counter() - start, usage.ru_utime + usage.ru_stime,
                   process.pid, rss, parse_result(directory / LOGS[0]), bytes_written(directory))


def bytes_written(directory):
    return sum(f.stat().st_size for f in directory.rglob("*") if f.is_file() and f.name not in LOGS)


def wait(pid, deadline, meanwhile=None):
    """(status, resource usage, most memory). ru_maxrss is no use: it has the children's too."""
    rss = 0
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return decode(status), usage, rss
        rss = max(rss, peak_rss_kib(pid))
        if time.perf_counter() > deadline:
            os.killpg(pid, signal.SIGKILL)
        elif meanwhile:
            meanwhile(pid)
        time.sleep(0.01 if meanwhile else 0.02)


def end_rest(group):
    """A program whose profiler has died runs on: not into the next measurement."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def decode(status):
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def peak_rss_kib(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return next((int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def parse_result(path):
    """The first such line: what a forked child prints again does not count."""
    with open(path, errors="replace") as f:
        for line in f:
            if MARK in line:
                try:
                    return json.loads(line[line.index(MARK) + len(MARK):])
                except ValueError:
                    return None
    return None
