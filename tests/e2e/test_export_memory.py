# SPDX-License-Identifier: MIT
"""Views of memory are exported as estimates of all that was allocated: the tools that they are
made for need not scale them, all formats say the same to the byte, and it is the truth within
what chance allows."""
import collections
import csv
import json
import math

import pytest

import exports
import place
import recording
from recording import export

OK, FAILURE, USAGE, NO_SAMPLES = 0, 1, 2, 3
VIEWS = ["allocated", "live", "peak", "temporary"]
DROP_LANE_FULL = 0
INTERVAL = 262144
KEEPS, HOLDS, CHURNS = (200, 300_000), (400, 400_000), (300, 350_000)  # blocks, and bytes of each

PROGRAM = """
import os, sys, threading, time
# Whole from the start: a list that grows is a block of its own, and may be the sample.
KEPT, HELD = [None] * %d, [None] * %d

def rounds(count):
    # Not so fast that lanes are full.
    for i in range(count):
        if i %% 4 == 0: time.sleep(0.005)
        yield i

def keep():
    for i in rounds(%d): KEPT[i] = bytearray(%d)

def hold():
    for i in rounds(%d): HELD[i] = bytearray(%d)
    time.sleep(0.2)
    HELD.clear()

def churn():
    for _ in rounds(%d): bytearray(%d)

def leave():
    KEPT[-1] = bytearray(5_000_000)

hold()
churner = threading.Thread(target=churn, name="churner")
churner.start()
churner.join()
keep()
child = os.fork()
if child == 0:
    leave()
    sys.exit()
os.waitpid(child, 0)
""" % (KEEPS[0] + 1, HOLDS[0], *KEEPS, *HOLDS, *CHURNS)


class Recorded:
    """A profile, and what each view of it has to count, reckoned here."""

    def __init__(self, path):
        self.path = path
        self.profile = recording.load(path)

    def blocks(self, view):
        return [b for b in self.profile.blocks if self.counts(b, view)]

    def counts(self, block, view):
        process = self.profile.processes[self.profile.threads[block.thread]["process"]]
        if view == "allocated":
            return True
        if view == "temporary":
            return 0 < block.freed_ns < block.time_ns + 1_000_000 and not block.unfollowed
        when = process["heap_peak_ns"] if view == "peak" else process["finalizing_ns"] or math.inf
        return block.time_ns <= when and not 0 < block.freed_ns <= when and not block.unfollowed

    def times(self, view, amount):
        return exports.of_stacks(
            [([f.name for f in reversed(b.stack)] or ["(no stack)"], amount(b)) for b in self.blocks(view)])


@pytest.fixture(scope="module")
def recorded(session_work, one_python):
    result = recording.record(one_python, ["-c", PROGRAM], session_work, name="export-memory.pillion",
                              options=["--alloc-interval", str(INTERVAL)])
    assert result.returncode == 0, result.stderr
    found = Recorded(result.path)
    # Where Python itself starts, lanes may be full.
    assert found.profile.drops[DROP_LANE_FULL] < 40
    return found


def sample_type(view, unit="space"):
    return ("alloc_" if view in ("allocated", "temporary") else "inuse_") + unit


def estimate(blocks):
    variance = sum(b.bytes ** 2 * (1 - 1 / b.weight) for b in blocks)
    return "%d sampled allocations stand for %.0f bytes, +- %.0f (95 %%)" % (
        len(blocks), sum(b.bytes for b in blocks), 1.96 * math.sqrt(variance))


def assert_close(found, expected, blocks):
    """Integers for estimates: off by one for each block at most, and in sum by no more than chance."""
    assert abs(found.sum_ns - expected.sum_ns) <= 1 + 2 * math.sqrt(blocks)
    for of, to in (found.self_ns, expected.self_ns), (found.total_ns, expected.total_ns):
        assert set(+of) == set(to)
        assert all(abs(of[name] - to[name]) <= blocks for name in of)


@pytest.mark.parametrize("view", VIEWS)
def test_pprof_is_a_heap_profile(here, recorded, work, view):
    path = export(here, recorded.path, work / "x.pb.gz", "pprof", "--view", view)
    read = exports.read_pprof(path)
    kinds = ["alloc", "inuse"][:1 if view == "temporary" else 2]
    assert read.types == [t % k for k in kinds for t in ("%s_objects/count", "%s_space/bytes")]
    assert sample_type(view) + "/bytes[dflt]" in exports.go_pprof(path, "-raw")
    assert "PeriodType: space bytes\nPeriod: %d\n" % INTERVAL in read.text
    assert estimate(recorded.blocks(view)) in exports.go_pprof(path, "-comments").splitlines()[-1]
    assert_close(read.times(sample_type(view)), recorded.times(view, lambda b: b.bytes), len(recorded.blocks(view)))
    assert_close(read.times(sample_type(view, "objects")), recorded.times(view, lambda b: b.weight),
                 len(recorded.blocks(view)))


def test_pprof_has_what_was_allocated_beside_what_is_in_use(here, recorded, work):
    sums = {}
    for view in VIEWS[:3]:
        read = exports.read_pprof(export(here, recorded.path, work / view, "pprof", "--view", view))
        sums[view] = [sum(column) for column in zip(*(values for values, _, _ in read.samples))]
        assert all(v[2] <= v[0] and v[3] <= v[1] for v, _, _ in read.samples)
    assert sums["allocated"] == sums["live"] != sums["peak"]
    assert sums["allocated"][:2] == sums["peak"][:2]


@pytest.mark.parametrize("view, function", [("live", "keep"), ("peak", "hold"), ("temporary", "churn")])
def test_go_pprof_names_what_is_to_blame(here, recorded, work, view, function):
    path = export(here, recorded.path, work / "x.pb.gz", "pprof", "--view", view)
    found = {}
    for unit in "space", "objects":
        top = exports.go_pprof(path, "-top", "-cum", "-unit=B", "-nodefraction=0",
                               "-sample_index=" + sample_type(view, unit))
        rows = [line.split() for line in top.partition("cum%\n")[2].splitlines()]
        cumulative = {" ".join(row[5:]): int(row[3].rstrip("B")) for row in rows}
        found[unit] = cumulative[function]
        assert all(cumulative.get(f, 0) < found[unit] for f in ("keep", "hold", "churn", "leave") if f != function)
    blocks, size = {"keep": KEEPS, "hold": HOLDS, "churn": CHURNS}[function]
    # Its own and no other's: what it asked for, rounded up by malloc, and chance. 5 sigma.
    sigma = math.sqrt(blocks * math.exp(-size / INTERVAL) / (1 - math.exp(-size / INTERVAL)))
    assert abs(found["objects"] - blocks) < 5 * sigma + 2
    assert abs(found["space"] - blocks * size) < 5 * sigma * size + 0.06 * blocks * size


@pytest.mark.parametrize("unit", ["space", "objects"])
@pytest.mark.parametrize("view", VIEWS)
def test_all_formats_say_the_same(here, recorded, work, view, unit):
    options = ["--view", view] + ["--blocks"] * (unit == "objects")
    pprof = exports.read_pprof(export(here, recorded.path, work / "x.pb.gz", "pprof", *options))
    folded = export(here, recorded.path, work / "x.folded", "folded", *options)
    speedscope = exports.read_speedscope(export(here, recorded.path, work / "x.json", "speedscope", *options))
    expected = pprof.times(sample_type(view, unit))
    assert expected.sum_ns > 0
    told = here.run([here.pillion, "report", "--json", "--view", view, recorded.path])
    assert expected == exports.of_report(json.loads(told.stdout), {"space": "bytes", "objects": "blocks"}[unit])
    assert exports.of_folded(folded.read_text()) == expected
    assert +exports.of_speedscope(speedscope).self_ns == +expected.self_ns
    assert speedscope["name"] == "export-memory.pillion (%s)" % view
    assert {p["unit"] for p in speedscope["profiles"]} == {"bytes" if unit == "space" else "none"}
    assert sample_type(view, unit) in exports.go_pprof(work / "x.pb.gz", "-top", "-nodecount=1")


def test_labels(here, recorded, work):
    read = exports.read_pprof(export(here, recorded.path, work / "x.pb.gz", "pprof", "--view", "allocated"))
    found, expected = collections.Counter(), collections.Counter()
    for values, _, labels in read.samples:
        found[labels["allocator"], int(labels["thread id"]), int(labels["pid"])] += values[1]
    kinds = "malloc", "mmap", "objects", "pymem"
    for b in recorded.profile.blocks:
        thread = recorded.profile.threads[b.thread]
        expected[kinds[b.kind], thread["tid"], recorded.profile.processes[thread["process"]]["pid"]] += b.bytes
    assert set(found) == set(expected) and len({key[2] for key in found}) == 2
    assert all(abs(found[key] - expected[key]) <= len(recorded.profile.blocks) for key in found)


def test_filters(here, recorded, work):
    """A thread has what it has among all, and nothing else."""
    [churner] = {recorded.profile.threads[b.thread]["tid"] for b in recorded.profile.blocks if b.calls("churn")}
    every = exports.of_speedscope(exports.read_speedscope(
        export(here, recorded.path, work / "all.json", "speedscope", "--view", "temporary")))
    [one] = exports.read_speedscope(export(here, recorded.path, work / "one.json", "speedscope", "--view", "temporary",
                                           "--thread", str(churner)))["profiles"]
    totals = exports.of_speedscope({"profiles": [one]}).total_ns
    assert totals["churn"] == every.total_ns["churn"] > 0
    assert "keep" not in totals


def test_where_it_goes(here, recorded, work):
    names = {"folded": "live-bytes.folded", "pprof": "live.pb.gz", "speedscope": "live.speedscope.json"}
    (work / "app.pillion").symlink_to(recorded.path)
    for form in names:
        assert here.run([here.pillion, "export", "-f", form, "-w", "live", "app.pillion"], cwd=work).returncode == OK
    assert here.run([here.pillion, "export", "-f", "folded", "-bw", "peak", "app.pillion"], cwd=work).returncode == OK
    assert {p.name for p in work.iterdir()} == {"app." + n for n in [*names.values(), "pillion", "peak-blocks.folded"]}


@pytest.mark.parametrize("options, words", [(["--memory", "count"], "--memory sample"), (["--thread", "nobody"], "info")])
@pytest.mark.parametrize("form", ["folded", "pprof", "speedscope"])
def test_nothing_to_export_makes_no_file(here, one_python, recorded, work, form, options, words):
    path = recorded.path
    if options[0] == "--memory":
        path = recording.record(one_python, ["-c", "import json"], work, options=options).path
        options = []
    result = here.run([here.pillion, "export", "-f", form, "-w", "live", "-o", work / "x", *options, path])
    assert (result.returncode, result.stdout) == (NO_SAMPLES, "") and words in result.stderr, result.stderr
    assert not (work / "x").exists()


def test_the_example_says_what_the_manual_says(here, one_python, work):
    """README shows it. What its sites have live is known; 5 sigma, and what full lanes may cost."""
    program = place.REPO / "examples" / "leak.py"
    path = recording.record(one_python, [program], work, options=["--alloc-interval", "65536"]).path
    top = exports.go_pprof(export(here, path, work / "x.pb.gz", "pprof", "--view", "live"),
                           "-top", "-show=[.]py$", "-unit=B")
    rows = [line.split() for line in top.partition("cum%\n")[2].splitlines()]
    assert [row[5] for row in rows[:3]] == ["render", "load", "thumbnail"]
    for row, truth in zip(rows, (15000 * 4033, 20000000, 200 * 60000)):
        assert abs(int(row[0].rstrip("B")) - truth) < 5 * math.sqrt(65536 * truth) + 0.02 * truth


def test_the_timeline_has_the_exact_counts(here, recorded, work):
    path = export(here, recorded.path, work / "x.csv", "timeline")
    names = "malloc", "mmap"
    rows = list(csv.DictReader(path.open()))
    found = [(row["pid"], row["class"], *(row[c] for c in list(row)[3:])) for row in rows]
    expected = []
    for point in recorded.profile.data["heap_points"]:
        process = str(point["process"])
        pid = str(recorded.profile.processes[point["process"]]["pid"])
        expected += [(pid, name, *map(str, counts), str(counts[1] - counts[3]), process)
                     for name, counts in zip(names, point["heap"]) if any(counts)]
        expected.append((pid, "brk", "", "", "", "", str(point["brk_bytes"]), process))
    assert found == expected and len({row["seconds"] for row in rows}) > 3


def test_the_timeline_of_nothing(here, one_python, work):
    path = recording.record(one_python, ["-c", "import json"], work, options=["--memory", "off"]).path
    result = here.run([here.pillion, "export", "-f", "timeline", "-o", work / "x", path])
    assert result.returncode == NO_SAMPLES and "--memory" in result.stderr, result.stderr
    assert here.run([here.pillion, "export", "-f", "timeline", "--thread", "1", path]).returncode == USAGE


def test_the_timeline_of_nobody(here, recorded, work):
    result = here.run([here.pillion, "export", "-f", "timeline", "-o", work / "x", "--process", "1", recorded.path])
    assert result.returncode == NO_SAMPLES and "pillion info" in result.stderr, result.stderr
    assert not (work / "x").exists()
