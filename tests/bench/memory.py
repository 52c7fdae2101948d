# SPDX-License-Identifier: MIT
"""What it costs to watch memory: a malloc with its free, and real programs, beside other memory profilers.

Both sides of each figure are of one run, in turns. Nothing here passes or fails.
"""
import dataclasses
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import tempfile

import limits
import measure
import overhead
import peers
import place
import rounds
import stats
import subjects

PROGRAMS = ["allocation", "records", "documents", "web_django"]
MODES = {"off": ("--memory", "off"), "count": ("--memory", "count"), "sample": ("--memory", "sample")}
VARIABLES = {"objects": {"PILLION_OBJECTS": "1"}, **{mode: {"PILLION_MEMORY": mode} for mode in MODES}}
PAIRS_PY = pathlib.Path(__file__).resolve().parent / "programs" / "pairs.py"
ADDED_NS, LIVE_SET_MIB, HEAP_GIB = 2, 1, 10
ADDED_WORK = {"sample": 1.01, "objects": 1.05}


def profilers():
    """Pillion in each mode, and who else watches memory."""
    every = {p.name: p for p in peers.everything()}
    modes = dict(MODES, objects=("--objects",))
    own = [dataclasses.replace(every["pillion"], name="pillion %s" % " ".join(options), start=peers.pillion(*options))
           for options in modes.values()]
    return own + [p for p in every.values() if peers.MEMORY in p.yields]


# ------------------------------------------------------------------------- a pair

class Pairs:
    """A program of the pairs alone, under each mode."""

    def __init__(self, bench):
        self.bench = bench
        self.library = place.host_compile(PAIRS_PY.with_suffix(".c"), bench.directory / "pairs.so", "-shared", "-fPIC")

    def ns(self, mode, threads, pairs, turns):
        prefix, path = self.bench.recorded(*MODES[mode]) if mode else ((), None)
        out = self.bench.run([self.bench.python, PAIRS_PY, self.library, threads, pairs, turns], prefix)
        if path:
            path.unlink()
        return float(out)

    def instructions(self, mode, pairs):
        """By callgrind, of `pairs` pairs and a little more."""
        texts = callgrind(self.bench, mode, ["--toggle-collect=pairs_run"], [self.bench.python, PAIRS_PY, self.library, 1, pairs, 1])
        counted = sum(int(n) for text in texts.values() for n in re.findall(r"^summary: (\d+)", text, re.M))
        if not counted:
            raise peers.CannotRun("callgrind counted nothing")
        return counted


def callgrind(bench, mode, options, argv):
    """What it writes of each process or thread, by the name of the file; `mode`: None is without Pillion."""
    # A file for each process: what starts the collector is one as well, and may end later.
    directory = pathlib.Path(tempfile.mkdtemp(dir=bench.directory))
    env = dict(place.HERE.preload(bench.output()), PILLION_FREQ="1", **VARIABLES[mode]) if mode else {}
    told = place.HERE.run(["valgrind", "--tool=callgrind", *options, "--callgrind-out-file=%s/%%p" % directory, *argv],
                          env=dict(measure.FIXED, **env), timeout=1200)
    if told.returncode:
        raise peers.CannotRun(told.stderr.strip().splitlines()[-1])
    return {path.name: path.read_text() for path in directory.iterdir()}


def row_instructions(bench):
    """Of a pair: the difference of two runs, which have all else in common."""
    if not shutil.which("valgrind"):
        return
    pairs, counts = Pairs(bench), {}
    for mode in (None, *MODES):
        try:
            few, many = (pairs.instructions(mode, n) for n in (1000, 101000))
        except (peers.CannotRun, subprocess.SubprocessError) as error:
            yield limits.Row("instructions of a pair, %s" % mode, float("nan"), "", None, "cannot run: %s" % error)
            continue
        counts[mode] = (many - few) / 100000
        added = "%+.1f" % (counts[mode] - counts[None]) if mode and None in counts else ""
        yield limits.Row("instructions of a pair, %s" % (mode or "without Pillion"), counts[mode], "", None, added)


def undisturbed(ns):
    """Of the rounds in which no neighbour had the CPU's other half: the third with the least."""
    return statistics.median(sorted(ns)[:max(1, len(ns) // 3)])


def row_pair(bench):
    """Nanoseconds that each mode adds to a pair, of which each process tells the least of many short turns."""
    pairs = Pairs(bench)
    count, turns, number = (20000, 20, 3) if bench.quick else (100000, 200, 30)
    for threads in (1, 8):
        seen = []
        for _ in range(number):
            order = random.sample([None, *MODES], len(MODES) + 1)
            seen.append({mode: pairs.ns(mode, threads, count // threads, turns) for mode in order})
        alone, where = undisturbed([s[None] for s in seen]), "%d thread%s" % (threads, "s" * (threads > 1))
        yield limits.Row("a malloc with its free, %s" % where, alone, "ns", None, "without Pillion")
        for mode in MODES:
            def added(some, mode=mode):
                return undisturbed([s[mode] for s in some]) - undisturbed([s[None] for s in some])

            value, low, high = stats.bootstrap(seen, added)
            yield limits.Row("added to a malloc with its free, %s, %s" % (where, mode), value, "ns", ADDED_NS,
                             "[%.2f %.2f], × %.3f; %d rounds" % (low, high, 1 + value / alone, number))


# --------------------------------------------------------------------- the live set

# Blocks as large as the interval on average, hardly touched: the heap is large, and the machine need not be.
LARGE_HEAP = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD: none has a mapping of its own
sizes = [100000 + i * 7919 %% 400000 for i in range(1000)]
total = 0
while total < %d << 30:
    for size in sizes:
        libc.malloc(size)
        total += size
print([l.split()[1] for l in open("/proc/self/smaps_rollup") if l.startswith("Rss")][0])
"""


def row_live_set(bench):
    """Memory that sampled blocks take while they live: against counts alone, of the same program."""
    gib = 1 if bench.quick else HEAP_GIB
    rss = {}
    for mode in ("count", "sample"):
        found = []
        for _ in range(1 if bench.quick else 3):
            prefix, path = bench.recorded(*MODES[mode])
            found.append(int(bench.run([bench.python, "-c", LARGE_HEAP % gib], prefix)))
            path.unlink()
        rss[mode] = statistics.median(found)
    yield limits.Row("live set, %d GiB of heap" % gib, (rss["sample"] - rss["count"]) / 1024, "MiB", LIVE_SET_MIB,
                     "with the lanes that samples go through")


ROWS = {k[len("row_"):]: v for k, v in list(globals().items()) if k.startswith("row_")}


# ------------------------------------------------------------------------- programs

def work_instructions(bench, subject, program, mode, scales):
    """Of the program's own thread, for the work by which the scales differ: what samples take in it is nearly all
    memory's, as CPU time is sampled once in a second."""
    if subject.interpreter.root:
        raise peers.CannotRun("valgrind is not in its tree")
    counted = []
    for scale in scales:
        argv = [subject.python, subjects.PROGRAMS / (program + ".py"), "--scale", str(scale)]
        texts = callgrind(bench, mode, ["--separate-threads=yes"], argv)
        counted.append(max(int(n) for name, text in texts.items() if name.endswith("-01")
                           for n in re.findall(r"^totals: (\d+)", text, re.M)))
    return counted[1] - counted[0]


def program_instructions(bench, subject, program):
    """× without Pillion: a clock that no neighbour disturbs."""
    alone = None
    for mode in (None, *MODES, "objects"):
        name = "instructions of %s, %s, %s" % (program, subject.id, mode)
        try:
            counted = work_instructions(bench, subject, program, mode, (0, 0.02 if bench.quick else 0.05))
        except (peers.CannotRun, subprocess.SubprocessError, ValueError) as error:
            yield limits.Row(name, float("nan"), "×", ADDED_WORK.get(mode), "cannot run: %s" % error)
            continue
        if mode is None:
            alone = counted
        elif alone:
            yield limits.Row(name, counted / alone, "×", ADDED_WORK.get(mode), "of %d million" % (alone / 1e6))


def figures(bench, options, programs):
    """(name, what makes its rows) of all that is not measured in rounds."""
    for name in [n for n in ROWS if not options.program or n in options.program]:
        yield name, lambda name=name: ROWS[name](bench)
    for subject in options.subjects if shutil.which("valgrind") else ():
        for program in programs:
            yield ("%s %s, instructions" % (subject.id, program),
                   lambda subject=subject, program=program: program_instructions(bench, subject, program))


def measure_all(options, report):
    """Yields all rows, again and again: figures one by one, then rounds of programs."""
    programs = [p for p in PROGRAMS if p in (options.program or PROGRAMS)]
    earlier = options.earlier.get("rows", [])
    in_rounds, rows = [r for r in earlier if "peer" in r], []
    with tempfile.TemporaryDirectory(dir=str(place.WORK)) as directory:
        bench = limits.Bench(limits.default_python(), options.quick, directory)
        for name, make in figures(bench, options, programs):
            report("memory: " + name)
            known = [r for r in earlier if r.get("figure") == name]
            rows += known or [dict(vars(row), figure=name) for row in make()]
            yield rows + in_rounds
    if not programs:
        return
    scales = options.about["scales"] = dict(options.earlier.get("scales", {}))
    for subject in options.subjects:
        scales[subject.id] = {p: overhead.scale_of(subject, p, options, report) for p in programs}
    cells = [overhead.cell(s, p, scales[s.id][p], options) for s in options.subjects for p in programs]
    chosen = [p for p in profilers() if not options.peer or p.name in options.peer or p.name.split()[0] in options.peer]
    for measured in rounds.measure(cells, chosen, options, report, in_rounds):
        yield rows + measured
