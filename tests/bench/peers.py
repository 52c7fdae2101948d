#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The profilers that are compared: how each is started, what it yields, how it is read.

    tests/bench/peers.py [--again] [INTERPRETER...]

installs them, starts each on a small program, and shows which of them work, and what those
that do not work say. A peer that cannot run is never left out.
"""
import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import interpreters  # noqa: E402
import measure  # noqa: E402
import place  # noqa: E402
import readers  # noqa: E402
import shape  # noqa: E402
import subjects  # noqa: E402

PYTHON, LINES, NATIVE, MEMORY = "python", "lines", "native", "memory"
CPU, WALL, OFFCPU = "cpu", "wall", "offcpu"
SAMPLER, TRACER = "sampler", "tracer"
CONVERT = str(place.REPO / "tests" / "bench" / "convert.py")


TRIES = 3  # without one good run, before a peer is given up


class CannotRun(Exception):
    """With the message to show in the peer's place."""

    def __init__(self, message, final=False):
        super().__init__(message)
        self.final = final  # another try would end the same way


@dataclasses.dataclass(frozen=True)
class Launch:
    """What a peer is asked to do."""
    subject: subjects.Subject
    program: tuple  # path and arguments
    rate: int
    clock: str
    children: bool  # follow fork

    @property
    def command(self):
        return [self.subject.python, *self.program]

    def module(self, *arguments):
        return [self.subject.python, "-m", *arguments, *self.program]


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    kind: str
    yields: frozenset
    clocks: dict  # clock: the options that select it; the first is the default
    start: typing.Callable  # (launch, options of the clock) -> argv, run in a directory of its own
    read: typing.Callable  # (subject, outcome) -> Profile; by clock if a dict
    package: str = ""  # as in subjects.PEERS; "": comes with the interpreter, or is Pillion
    since: tuple = (3, 8)  # where the interpreter itself brings it
    follows: tuple = None  # options to follow children; None: it cannot
    paced_by: str = WALL  # the time that its samples are spaced by
    rate: int = 0  # its own, whatever is asked for

    @property
    def default_clock(self):
        return next(iter(self.clocks))

    @property
    def samples(self):
        return self.kind == SAMPLER

    def argv(self, launch):
        if launch.clock not in self.clocks:
            raise CannotRun("has no %s clock" % launch.clock)
        if launch.children and self.follows is None:
            raise CannotRun("does not follow child processes")
        self.require(launch.subject)
        options = [*self.clocks[launch.clock], *(self.follows if launch.children else ())]
        return launch.subject.enter(self.start(launch, options), None)

    def require(self, subject):
        if subject.interpreter.minor < self.since:
            raise CannotRun("comes with CPython %d.%d" % self.since)
        message = subject.installed().get(self.package, "not installed") if self.package else ""
        if message:
            raise CannotRun(message)

    def profile(self, launch, outcome):
        """The profile of a run, or CannotRun with the peer's own words."""
        read = self.read[launch.clock] if isinstance(self.read, dict) else self.read
        try:
            found = read(launch.subject, outcome)
        except (OSError, ValueError, KeyError, IndexError, EOFError) as error:
            raise CannotRun("%s (%s)" % (outcome.message(), error))
        if not found.stacks:
            raise CannotRun("recorded nothing: " + outcome.message())
        found.says = ", ".join(filter(None, [outcome.ending(), found.says]))
        return found


# ------------------------------------------------------------------ how each is started

def pillion(*extra):
    def start(launch, options):
        return pillion_record(launch, "-F", launch.rate, *extra, *options)
    return start


def pillion_burst(rate=0):
    return lambda launch, options: pillion_record(launch, "--burst=%d" % (rate or launch.rate), *options)


def pillion_record(launch, *options):
    where = launch.subject.place
    if not os.path.exists(where.pillion):
        raise CannotRun("Pillion is not built there: run tests/run.sh")
    return [where.pillion, "record", "-q", "-o", "out.pillion", *options, "--", *launch.command]


@functools.lru_cache(maxsize=None)
def has_burst():
    """Does the Pillion of this system know the mode?"""
    if not os.path.exists(place.HERE.pillion):
        return False
    return "--burst" in place.HERE.run([place.HERE.pillion, "record", "--help"]).stdout


def py_spy(*extra):
    def start(launch, options):
        return [launch.subject.tool("py-spy"), "record", "-r", launch.rate, "-f", "raw", "-o", "out.folded",
                "--full-filenames", *extra, *options, "--", *launch.command]
    return start


@functools.lru_cache(maxsize=None)
def newer_libc(binary):
    """What must stand before a program that wants a newer libc than this system's: the sid tree's loader."""
    plain = subprocess.run([str(binary), "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if b"GLIBC_" not in plain.stderr:
        return ()
    tree = interpreters.SID_TREE
    loader = tree / "lib64" / "ld-linux-x86-64.so.2"
    if not loader.exists():
        raise CannotRun(plain.stderr.decode(errors="replace").strip().rsplit(": ", 1)[-1])
    return (str(loader), "--library-path", ":".join(str(tree / d) for d in ("lib/x86_64-linux-gnu",
                                                                             "usr/lib/x86_64-linux-gnu")))


def austin(program):
    def start(launch, options):
        binary = launch.subject.tool(program)
        prefix = () if launch.subject.interpreter.root else newer_libc(binary)
        return [*prefix, binary, "-i", "%dus" % (1_000_000 // launch.rate), "-o", "out.mojo", *options,
                *launch.command]
    return start


def sampling(*extra):
    def start(launch, options):
        return launch.module("profiling.sampling", "run", "-a", "-r", launch.rate, "--collapsed", "-o",
                             "out.folded", *extra, *options)
    return start


def scalene(*extra):
    def start(launch, options):
        interval = "%g" % (1 / launch.rate)
        return launch.module("scalene", "run", "-o", "out.json", "--cpu-sampling-rate", interval, *extra, *options)
    return start


def memray(*extra):
    def start(launch, options):
        return launch.module("memray", "run", "-q", "-o", "out.memray", *extra, *options)
    return start


def module(*arguments):
    return lambda launch, options: launch.module(*arguments, *options)


def pyinstrument(launch, options):
    interval = "%g" % (1 / launch.rate)
    return launch.module("pyinstrument", "-i", interval, "-r", "pyisession", "-o", "out.session", *options)


def line_profiler(launch, options):
    return launch.module("kernprof", "-q", "-l", "-p", launch.program[0], "-o", "out.lprof", *options)


def tracemalloc(launch, _):
    return [launch.subject.python, CONVERT, "tracemalloc", "out.json", *launch.program]


def everything():
    """All, in the order of the tables."""
    own = {CPU: readers.pillion("cpu_ns"), WALL: readers.pillion("wall_ns"), OFFCPU: readers.pillion("offcpu_ns")}
    any_clock = {CPU: (), WALL: (), OFFCPU: ()}
    spy, fly = {CPU: (), WALL: ("--idle",)}, {WALL: (), CPU: ("-c",)}
    modes, virtual = {WALL: (), CPU: ("--mode", "cpu")}, {WALL: (), CPU: ("--use-virtual-time",)}
    stacks, mixed = frozenset({PYTHON, LINES}), frozenset({PYTHON, LINES, NATIVE})
    flat, memory = frozenset({PYTHON}), frozenset({PYTHON, LINES, MEMORY})
    wall, followed = {WALL: ()}, ("--subprocesses",)
    # It looks at the thread that holds the GIL: whose CPU time that is, and no waits.
    bursts = [Peer("pillion --burst" + name, SAMPLER, stacks, {CPU: ()}, pillion_burst(rate), readers.pillion_burst,
                   follows=(), rate=rate) for name, rate in (("", 0), ("=1000000", 1_000_000))] if has_burst() else []
    return [
        Peer("pillion", SAMPLER, mixed, any_clock, pillion(), own, follows=(), paced_by=CPU),
        Peer("pillion --no-native", SAMPLER, stacks, any_clock, pillion("--no-native"), own, follows=(), paced_by=CPU),
        *bursts,
        Peer("py-spy", SAMPLER, stacks, spy, py_spy(), readers.py_spy, "py-spy", follows=followed),
        Peer("py-spy --nonblocking", SAMPLER, stacks, spy, py_spy("--nonblocking"), readers.py_spy, "py-spy",
             follows=followed),
        Peer("py-spy --native", SAMPLER, mixed, spy, py_spy("--native"), readers.py_spy, "py-spy", follows=followed),
        Peer("austin", SAMPLER, stacks, fly, austin("austin"), readers.austin, "austin", follows=("-C",)),
        # With -c it dies of SIGSEGV in every run, without it in some.
        Peer("austinp", SAMPLER, mixed, wall, austin("austinp"), readers.austin, "austin", follows=("-C",)),
        Peer("profiling.sampling", SAMPLER, stacks, modes, sampling(), readers.sampling, since=(3, 15),
             follows=followed),
        # With --mode cpu it records nothing: a thread that it has stopped is never on a CPU.
        Peer("profiling.sampling --blocking", SAMPLER, stacks, wall, sampling("--blocking"), readers.sampling,
             since=(3, 15), follows=followed),
        Peer("scalene --cpu-only", SAMPLER, mixed, virtual, scalene("--cpu-only"), readers.scalene, "scalene"),
        Peer("scalene", SAMPLER, mixed | {MEMORY}, virtual, scalene("--memory"), readers.scalene, "scalene"),
        Peer("pyinstrument", SAMPLER, stacks, wall, pyinstrument, readers.pyinstrument, "pyinstrument"),
        Peer("cProfile", TRACER, flat | {NATIVE}, wall, module("cProfile", "-o", "out.pstats"), readers.pstats),
        Peer("yappi", TRACER, flat | {NATIVE}, {CPU: ("-c", "cpu"), WALL: ("-c", "wall")},
             module("yappi", "-b", "-f", "pstat", "-o", "out.pstats"), readers.pstats, "yappi"),
        Peer("line_profiler", TRACER, frozenset({PYTHON, LINES}), wall, line_profiler,
             readers.converted("line_profiler", "*.lprof"), "line_profiler"),
        Peer("memray", TRACER, memory, {MEMORY: ()}, memray(), readers.converted("memray", "out.memray"), "memray",
             follows=("--follow-fork",)),
        Peer("memray --native", TRACER, memory | {NATIVE}, {MEMORY: ()}, memray("--native"),
             readers.converted("memray", "out.memray"), "memray", follows=("--follow-fork",)),
        Peer("memray --trace-python-allocators", TRACER, memory, {MEMORY: ()}, memray("--trace-python-allocators"),
             readers.converted("memray", "out.memray"), "memray", follows=("--follow-fork",)),
        Peer("tracemalloc", TRACER, memory, {MEMORY: ()}, tracemalloc, readers.tracemalloc),
    ]


def chosen(names):
    every = everything()
    unknown = [n for n in names if n not in {p.name for p in every} | {p.name.split()[0] for p in every}]
    if unknown:
        raise SystemExit("no such peer: %s; there are: %s" % (unknown[0], ", ".join(p.name for p in every)))
    return [p for p in every if not names or p.name in names or p.name.split()[0] in names]


def run(peer, launch, directory, timeout=300, meanwhile=None):
    """
    One run under the peer (None: alone); `meanwhile` as in measure.run(). Raises CannotRun when the program did
    not come to its end.
    """
    if peer:
        argv = peer.argv(launch)
    else:
        argv = launch.subject.enter(launch.command, None)
    argv = _in_directory(launch.subject, argv, directory)
    outcome = measure.run(argv, measure.fresh_directory(pathlib.Path(directory)), timeout, meanwhile)
    if outcome.wall_s > timeout:
        raise CannotRun("not done after %d s" % timeout, final=True)
    if not outcome.ok:
        raise CannotRun(outcome.message())
    return outcome


def _in_directory(subject, argv, directory):
    """chroot(8) changes to the root; env(1) inside goes back."""
    if not subject.interpreter.root:
        return argv
    at = argv.index("env") + 1
    return [*argv[:at], "-C", str(directory), *argv[at:]]


def failures_told(failures, tries):
    """What stands beside the figures of a peer that failed in some of its runs."""
    return ", failed in %d of %d runs: %s" % (len(failures), tries, failures[-1]) if failures else ""


def trial(peer, subject, directory):
    """"" when the peer works there, else its message; and what a small program's profile was."""
    launch = Launch(subject, (str(subjects.PROGRAMS / "records.py"), "--scale", "0.2"), 100, peer.default_clock, False)
    try:
        return "", peer.profile(launch, run(peer, launch, directory, 120))
    except CannotRun as error:
        return str(error), shape.Profile([])


def main():
    names = [a for a in sys.argv[1:] if a != "--again"]
    every = subjects.named(names)
    subjects.prepare(every, "--again" in sys.argv)
    for subject in every:
        for peer in everything():
            message, profile = trial(peer, subject, place.WORK / "bench-run" / "trial")
            depth = max((len(stack) for stack, _ in profile.stacks), default=0)
            works = "%d stacks, depth %d, %s" % (len(profile.stacks), depth, profile.says)
            told = "CANNOT RUN: " + message if message else works
            print("%-14s %-34s %s" % (subject.id, peer.name, told), flush=True)


if __name__ == "__main__":
    main()
