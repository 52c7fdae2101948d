# SPDX-License-Identifier: MIT
"""What tests/bench makes of other profilers' output, and of numbers: wrong readers would make wrong tables.

data/bench holds what each peer really wrote about data/bench/nest.py: a quarter of a second of CPU
time in leaf(), and as much in squeeze(), at 50 Hz. No peer needs to be installed.
"""
import collections
import io
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import types

import pytest

import place

BENCH, DATA = place.REPO / "tests" / "bench", place.REPO / "tests" / "data" / "bench"
sys.path.insert(0, str(BENCH))

import compare  # noqa: E402
import measure  # noqa: E402
import mojo  # noqa: E402
import progress  # noqa: E402
import readers  # noqa: E402
import rounds  # noqa: E402
import shape  # noqa: E402
import sorting  # noqa: E402
import stats  # noqa: E402
import subjects  # noqa: E402
import summary  # noqa: E402
import table  # noqa: E402
import turns  # noqa: E402

NEST = "nest.py"
LEAF, SQUEEZE = ("<module>", "main", "middle", "leaf"), ("<module>", "main", "middle", "squeeze")
LINES = {"<module>": {29}, "main": {26}, "middle": {21, 22}, "leaf": {11, 12}, "squeeze": {16, 17}}


def outcome(directory):
    for name in measure.LOGS:
        (directory / name).touch()
    return measure.Outcome(directory, 0, 1.0, 1.0, 1, 0, {"pid": 1}, 0)


@pytest.fixture(name="sample")
def _sample(work):
    """A peer's stored output, in a directory of its own."""
    def copy(name):
        shutil.copytree(str(DATA / name), str(work / name))
        return outcome(work / name)
    return copy


def by_calls(profile):
    """{names of the program's own functions: weight}"""
    found = collections.Counter()
    for stack, weight in profile.stacks:
        found[tuple(f.name for f in stack if not f.native and f.file == NEST)] += weight
    return found


def own_frames(profile):
    return [f for stack, _ in profile.stacks for f in stack if not f.native and f.file == NEST]


# ----------------------------------------------- samplers, from what they wrote

@pytest.mark.parametrize("name, read, leaf, squeeze, samples, lost, each", [
    ("py-spy", readers.py_spy, 20, 17, 37, 0, shape.COUNTED),
    ("py-spy-native", readers.py_spy, 18, 18, 36, 0, shape.COUNTED),
    ("austin", readers.austin, 365_328, 319_088, 35, 0, shape.ONE),
    ("sampling", readers.sampling, 13, 14, 27, 0, shape.COUNTED),
    ("scalene", readers.scalene, 0.4791677, 0.5208323, 25, None, ""),
    ("pyinstrument", readers.pyinstrument, 0.2426695, 0.2442327, 22, None, shape.ONE),
])
def test_a_sampler_is_read(sample, name, read, leaf, squeeze, samples, lost, each):
    profile = read(None, sample(name))
    calls = by_calls(profile)
    assert calls[LEAF] == pytest.approx(leaf, rel=1e-6) and calls[SQUEEZE] == pytest.approx(squeeze, rel=1e-6)
    assert (profile.samples, profile.lost, profile.each) == (samples, lost, each)
    assert all(f.line in LINES[f.name] for f in own_frames(profile))


@pytest.mark.parametrize("name, read, module, function", [
    ("py-spy-native", readers.py_spy, "libz.so.1.2.13", "deflate"),
    ("austinp", readers.austin, "", "crc32_combine_op")])
def test_native_frames_are_under_the_python_that_calls_them(sample, name, read, module, function):
    """austinp tells no modules, and of functions the nearest name that is exported."""
    below = [stack[i + 1:] for stack, _ in read(None, sample(name)).stacks
             for i, f in enumerate(stack[:-1]) if f.name == "squeeze"]
    assert below and all(f.native for frames in below for f in frames)
    assert any(shape.native_frame(function, module) in frames for frames in below)


def test_py_spy_names_no_module_where_it_knows_none(sample):
    frames = {f for stack, _ in readers.py_spy(None, sample("py-spy-native")).stacks for f in stack}
    assert shape.native_frame("0x7fc451c6fb50", "") in frames and not any(f.file == "?" for f in frames)


def test_last_words_are_not_a_banner(work):
    (work / "stderr.log").write_text("\x1b[1mdied: out of luck\x1b[0m\n\\__,_|\\_,_/__/\\__|_|_||_| 4.0.0 [gcc 13.3.0]\n\n")
    (work / "stdout.log").write_text(measure.MARK + "{}\n")
    found = measure.Outcome(work, 3, 1.0, 1.0, 1, 0, None, 0)
    assert found.message() == "exit status 3: died: out of luck"


def test_austin_tells_its_errors(sample):
    profile = readers.austin(None, sample("austinp"))
    assert (profile.samples, profile.lost, profile.says) == (54, 14, "error rate 14/54")


def test_pillion_is_read(here, one_python, work):
    argv = [here.pillion, "record", "-q", "-o", "out.pillion", "--", one_python.path, DATA / NEST, "0.25"]
    assert here.run(argv, cwd=work).returncode == 0
    profile = readers.pillion("cpu_ns")(None, outcome(work))
    calls = by_calls(profile)
    # At least a quarter of a second each, less two periods; more, when the machine stalls within a call.
    assert calls[LEAF] > 225e6 and calls[SQUEEZE] > 225e6 and sum(calls.values()) > 0.95 * profile.total
    assert profile.each == shape.ONE and profile.samples >= 15
    imports = {("<module>", line) for line in (3, 4, 5, 7)}  # a sample may come before main()
    assert all(f.line in LINES[f.name] or (f.name, f.line) in imports for f in own_frames(profile))


# ------------------------------------------------------- tracers

def test_a_pstats_file_is_read(sample):
    """yappi's; from Python 3.11 on, a native function's time is under each of its callers."""
    profile = readers.pstats(None, sample("yappi"))
    seconds = {tuple(f.name for f in stack): weight for stack, weight in profile.stacks}
    assert seconds["squeeze", "compress"] == pytest.approx(0.24646, abs=1e-4)
    assert seconds["leaf", "sum"] == pytest.approx(0.20593, abs=1e-4)
    assert profile.samples is None and profile.says == "traces every call"


def test_bursts_are_read(work, monkeypatch):
    """A row is the time of many samples; how many there were in all is in a note."""
    def frame(name, line):
        return readers.recording.Frame(0, "Class." + name, "/p/nest.py", line, "", 0)

    def row(cpu_ns, *frames):
        return types.SimpleNamespace(cpu_ns=cpu_ns, stack=frames)

    rows = [row(300, frame("leaf", 11), frame("main", 26)), row(100, frame("main", 26)), row(0, frame("main", 25))]
    note = "burst: Python frames only, of the thread that holds the GIL; %d looks a second of 2000 asked for, in 4.000 " \
           "s; %d samples, GIL held 80.00 %% of the time; 3 torn stacks (0.038 %%) read again, 5 without room"
    profile = types.SimpleNamespace(samples=rows, notes=["other", note % (1900, 6000), note % (100, 2000)],
                                    drops=[1, 0], total=lambda field: sum(getattr(r, field) for r in rows))
    monkeypatch.setattr(readers.recording, "load", lambda path: profile)
    (work / "out.pillion").touch()
    found = readers.pillion_burst(None, outcome(work))
    assert [(tuple(f.name for f in frames), n) for frames, n in found.stacks] == [
        (("main", "leaf"), 6000), (("main",), 2000)]
    assert (found.samples, found.lost, found.each) == (8000, 11, shape.COUNTED)
    assert found.says == "11 dropped, 1900 looks a second in the fastest process, 6 torn"
    profile.notes = ["other"]
    with pytest.raises(ValueError):
        readers.pillion_burst(None, outcome(work))


def test_cprofile_is_read(work):
    argv = [sys.executable, "-m", "cProfile", "-o", str(work / "out.pstats"), str(DATA / NEST), "0.1"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    profile = readers.pstats(None, outcome(work))
    seconds = {tuple(f.name for f in stack): weight for stack, weight in profile.stacks}
    compress = next(weight for names, weight in seconds.items() if names[0] == "squeeze" and "compress" in names[-1])
    assert 0.05 < compress < 0.5


def test_tracemalloc_is_read(work):
    argv = [sys.executable, str(BENCH / "convert.py"), "tracemalloc", str(work / "out.json"), str(DATA / NEST), "0.01"]
    subprocess.run(argv, check=True)
    profile = readers.tracemalloc(None, outcome(work))
    largest = max((pair for pair in profile.stacks if pair[0][-1].file == NEST), key=lambda pair: pair[1])
    assert largest[0][-1].line == 7 and largest[1] == pytest.approx(256 * 400, rel=0.01)


@pytest.mark.parametrize("name, names, weight", [
    ("memray", ("<module>", "main", "middle", "squeeze"), 300_897),
    ("line_profiler", ("squeeze",), 0.00198822 + 0.249372519)])
def test_what_convert_wrote_is_read(sample, name, names, weight):
    """memray's and line_profiler's own files are read by their own code, inside the measured interpreter."""
    assert by_calls(readers.tracemalloc(None, sample(name)))[names] == pytest.approx(weight)


@pytest.mark.parametrize("read", [readers.py_spy, readers.austin, readers.sampling, readers.scalene,
                                  readers.pyinstrument, readers.pstats, readers.tracemalloc])
def test_nothing_written_is_told(work, read):
    with pytest.raises(FileNotFoundError):
        read(None, outcome(work))


# ------------------------------------------------------- MOJO

def number(value):
    """As MOJO writes it: six bits and the sign, then seven a byte."""
    sign, value = (0x40, -value) if value < 0 else (0, value)
    out, value = [sign | value & 0x3F], value >> 6
    while value:
        out[-1] |= 0x80
        out.append(value & 0x7F)
        value >>= 7
    return bytes(out)


@pytest.mark.parametrize("value", [0, 1, -1, 63, 64, -64, 8191, 8192, 10**12])
def test_mojo_numbers(value):
    reader = mojo.Reader(b"MOJ\x03" + number(value))
    assert reader.number() == value


def test_mojo_ends_in_the_middle():
    data = (DATA / "austin" / "out.mojo").read_bytes()
    whole = list(mojo.Reader(data).samples())
    for length in range(len(data) - 40, len(data)):
        reader = mojo.Reader(data[:length])
        assert list(reader.samples()) == whole[:len(list(mojo.Reader(data[:length]).samples()))]
    with pytest.raises(ValueError):
        mojo.Reader(b"something else")


# ------------------------------------------------------- sorting into parts

def told(by="function"):
    return {"by": by, "truths": {"cpu": {"part_a": 3.0, "part_b": 1.0}}, "roots": ["<module>"], "inside": "part_a",
            "calls": {"part_a": ["<module>"], "part_b": ["<module>"]}, "lines": {"5": "part_a", "6": "part_b", "7": "native"}}


def stack(*names, native="", line=5):
    frames = tuple(shape.python_frame(n, "truth_x.py", line) for n in names)
    return frames + ((shape.native_frame("deflate", native),) if native else ())


def run_of(*stacks, by="function", each=shape.ONE):
    profile = shape.Profile(list(stacks), len(stacks), 0, "", each)
    return sorting.Run("truth_x", told(by), "cpu", profile, True)


def test_stacks_are_sorted_by_the_innermost_part():
    run = run_of((stack("<module>", "part_a", "helper"), 2), (stack("<module>", "part_a", "part_b"), 1),
                 (stack("<module>"), 1))
    assert run.weights == {"part_a": 2, "part_b": 1} and run.unplaced == 0.25 and run.samples == 3 * 0.75


def test_impossible_stacks_are_counted():
    run = run_of((stack("<module>", "part_a", "part_b"), 1), (stack("part_a"), 1), (stack("<module>", "part_a"), 1))
    assert (run.impossible, run.stacks) == (2, 3)


@pytest.mark.parametrize("module, name, part", [
    ("libz.so.1", "deflate", "native"), ("libpython3.12.so", "long_add", "python"),
    ("", "_PyEval_EvalFrameDefault", "python"), ("", "deflate", "native")])
def test_native_time_is_of_the_library_or_of_the_interpreter(module, name, part):
    """libc and the loader work for whoever called them."""
    frames = stack("<module>", "part_a", line=4) + (shape.native_frame(name, module),)
    below = [shape.native_frame(*f) for f in (("__tls_get_addr", "ld-linux-x86-64.so.2"), ("memcpy", "libc.so.6"),
                                              ("0x7f3aea96d1f0", ""))]
    for stacked in (frames, (*frames, below[0]), (*frames, *below)):
        assert run_of((stacked, 1), by="native").weights == {part: 1}


def test_what_the_interpreter_does_for_a_native_call_is_the_calls():
    made = shape.native_frame("PyBytes_FromStringAndSize", "libpython3.12.so")
    assert run_of(((*stack("<module>", "part_a", line=7), made), 1), by="native").weights == {"native": 1}
    assert run_of((stack("<module>", "part_a", line=7), 1), by="native").weights == {"python": 1}


def test_without_native_frames_all_is_python():
    assert run_of((stack("<module>", "part_a"), 1), by="native").weights == {"python": 1}


def test_counted_stacks_are_as_many_samples():
    run = run_of((stack("<module>", "part_a"), 30), (stack("<module>", "part_b"), 10), each=shape.COUNTED)
    assert run.pool.size == 40 and run.pool.whole == {"part_a": 30, "part_b": 10}


# ------------------------------------------------------- statistics

def test_total_variation_of_known_distributions():
    assert stats.total_variation({"a": 1, "b": 1}, {"a": 5, "b": 5}) == 0
    assert stats.total_variation({"a": 1}, {"b": 1}) == 1
    assert stats.total_variation({"a": 3, "b": 1}, {"a": 1, "b": 1}) == pytest.approx(0.25)
    assert stats.total_variation({}, {"a": 1}) == 1


def test_noise_of_a_fair_coin():
    """E|heads/n - 1/2| is sqrt(1 / (2 pi n))."""
    mean, high = stats.sampling_noise({"a": 1, "b": 1}, 1000)
    assert mean == pytest.approx(math.sqrt(1 / (2 * math.pi * 1000)), rel=0.1)
    assert high == pytest.approx(1.96 * 0.5 / math.sqrt(1000), rel=0.15)


def test_the_interval_of_a_mean():
    assert [stats.student(freedom) for freedom in (4, 9, 39)] == pytest.approx([2.776, 2.262, 2.023], rel=0.01)
    mean, low, high = stats.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])  # a standard deviation of 1.581
    assert mean == 3 and (high - mean, mean - low) == pytest.approx((1.963, 1.963), rel=0.01)
    assert stats.mean_interval([2.0]) == (2.0, None, None)


def test_bootstrap_covers_the_median():
    rng = random.Random(7)
    covered = 0
    for _ in range(60):
        value, low, high = stats.bootstrap([rng.gauss(10, 1) for _ in range(25)], rounds=300)
        assert low <= value <= high
        covered += low <= 10 <= high
    assert covered >= 52
    assert stats.bootstrap([3.0]) == (3.0, None, None) and stats.bootstrap([]) == (None, None, None)


def test_halves_give_the_interval_of_a_mean():
    values = [random.Random(3).gauss(0, 1) for _ in range(1)] + [random.Random(i).gauss(0, 1) for i in range(39)]
    low, high = stats.halves(values, lambda some: sum(some) / len(some), 400)
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(40), rel=0.35)
    assert stats.halves([1.0], lambda some: some[0]) == (None, None)


def test_slopes():
    assert stats.log_slope([(n, 3 / math.sqrt(n)) for n in (10, 100, 1000)]) == pytest.approx(-0.5)
    assert stats.log_slope([(10, 0.2), (1000, 0.2)]) == pytest.approx(0)
    assert stats.log_slope([(10, 0.2)]) is None


def test_a_pool_is_drawn_from_without_putting_back():
    pool, rng = stats.Pool([("a", 2.0, 1), ("b", 1.0, 3)]), random.Random(1)
    assert pool.draw(rng, 1.0) == {"a": 2.0, "b": 3.0}
    for _ in range(50):
        drawn = pool.draw(rng, 0.75)
        assert drawn in ({"a": 2.0, "b": 2.0}, {"b": 3.0})


def test_biases_are_those_of_each_part():
    """The truth is three to one; a part that was never seen is as far off as its share is large."""
    runs = [run_of((stack("<module>", "part_a"), a), (stack("<module>", "part_b"), 100 - a)) for a in (78, 80, 82)]
    found = sorting.biases(runs)
    assert list(found) == ["part_a", "part_b"] and found["part_a"][0] == pytest.approx(0.05)
    assert found["part_b"] == pytest.approx([-v for v in (found["part_a"][0], *reversed(found["part_a"][1:]))])
    assert found["part_a"][1] == pytest.approx(0.05 - stats.student(2) * 0.02 / math.sqrt(3))
    assert sorting.biases([run_of((stack("<module>", "part_a"), 1))])["part_b"] == (-0.25, None, None)


# ------------------------------------------------------- comparing samplers

def sampler(rng, share_of_a, runs=6, samples=800):
    """Runs of a sampler that gives part_a so large a share; the truth is 75 %."""
    made = []
    for _ in range(runs):
        a = sum(rng.random() < share_of_a for _ in range(samples))
        made.append(run_of((stack("<module>", "part_a"), a), (stack("<module>", "part_b"), samples - a),
                           each=shape.COUNTED))
        made[-1].taken = made[-1].samples = samples
    return made


def test_an_honest_sampler_falls_and_a_biased_one_does_not():
    rng = random.Random(5)
    honest, biased = compare.falling(sampler(rng, 0.75)), compare.falling(sampler(rng, 0.60))
    assert honest["slope"] < -0.3 and biased["slope"] > -0.25
    assert honest["slope_low"] < honest["slope"] < honest["slope_high"]
    assert [n for n, _ in honest["curve"]][-1] == 4800


def test_verdicts():
    rng = random.Random(12)
    found = compare.verdicts({"right": sampler(rng, 0.75), "too": sampler(rng, 0.75), "wrong": sampler(rng, 0.65),
                              "few": sampler(rng, 0.75, 6, 40), "nothing": [run_of(), run_of()]})
    assert {v["compared_at"] for k, v in found.items() if k != "few"} == {4800} and found["few"]["compared_at"] == 240
    told_of = {name: table.verdict(v) for name, v in found.items()}
    best = next(name for name, text in told_of.items() if text.endswith(": best"))
    assert best in ("right", "too")
    assert all(told_of[n].endswith("within noise of the best") for n in ("right", "too", "few") if n != best)
    assert "worse than %s by " % best in told_of["wrong"] and 0.05 < found["wrong"]["worse_low"]
    assert "nothing" not in found and compare.verdicts({"nothing": [run_of()]}) == compare.verdicts({}) == {}


# ------------------------------------------------------- rounds

class FakeCell:
    """Runs have 20 equal pieces, of which the CPU is slow in each third; with each profiler they take 1.4 times as long."""
    name, program, point, rate, children, peers = "cell", "p", "", 100, False, ()
    subject = types.SimpleNamespace(id="3.x")

    def __init__(self):
        self.alone, self.started = 0, []

    def launch(self, peer):
        return peer

    def run(self, peer, limit):
        self.started.append(peer.name if peer else "-")
        self.alone += peer is None
        piece = 0.05 if peer is None else 0.07
        units = [[piece * (1 + (i % 3 == 0)), piece, 2, *[1e-5 * (1 + (i % 3 == 0))] * 2] for i in range(20)]
        seconds = sum(unit[0] for unit in units)
        result = {"cpu": seconds, "wall": seconds, "process_cpu": seconds, "children_cpu": 0.0, "rss_kib": 10, "pid": 1,
                  "units": units}
        return measure.Outcome(pathlib.Path("."), 0, seconds, seconds, 1, 0, result, 2048)


def fake_peer(name):
    return types.SimpleNamespace(name=name, samples=True, paced_by="cpu", rate=0, argv=lambda launch: [],
                                 profile=lambda launch, outcome: shape.Profile([((), 1)], 7, 0, "says"))


def options(**values):
    return types.SimpleNamespace(**{"rounds": 4, "limit": 60, **values})


def quiet():
    return progress.Progress("test", io.StringIO())


def test_a_round_puts_each_between_two_runs_alone():
    cell = FakeCell()
    *_, rows = rounds.measure([cell], [fake_peer(n) for n in "abc"], options(), quiet())
    assert len(cell.started) == 4 * (3 + 3)
    for number in range(4):
        one = cell.started[6 * number:6 * number + 6]
        assert one[0] == one[3] == one[5] == "-" and sorted(one[1:3] + one[4:5]) == ["a", "b", "c"]
    assert len({tuple(cell.started[6 * n:6 * n + 6]) for n in range(4)}) > 1, "always the same order"
    for row in rows:
        assert [row["cpu"], row["wall"]] == pytest.approx([1.4, 1.4]) and len(row["rounds"]) == 4
        assert (row["got"], row["written"]) == (7, 2.0)


def test_what_was_interrupted_goes_on():
    chosen, cell = [fake_peer(n) for n in "ab"], FakeCell()
    first = rounds.measure([cell], chosen, options(), quiet())
    next(first)
    written = json.loads(json.dumps(next(first)))
    again = FakeCell()
    *_, rows = rounds.measure([again], chosen, options(), quiet(), written)
    assert len(again.started) == 2 * 4
    assert all(len(row["rounds"]) == 4 and row["tried"] == 4 for row in rows)
    *_, kept = rounds.measure([FakeCell()], chosen, options(), quiet(), json.loads(json.dumps(rows)))
    assert kept == rows, "all of it was there"


def test_rows_of_another_interpreter_stay():
    *_, first = rounds.measure([FakeCell()], [fake_peer("a")], options(rounds=1), quiet())
    cell = FakeCell()
    cell.subject = types.SimpleNamespace(id="3.y")
    *_, rows = rounds.measure([cell], [fake_peer("a")], options(rounds=1), quiet(), json.loads(json.dumps(first)))
    assert [row["interpreter"] for row in rows] == ["3.x", "3.y"] and rows[0] == first[0]


@pytest.mark.parametrize("what, times", [("wall", 40), ("cpu", 1.3)])
def test_a_slow_one_has_fewer_rounds(what, times):
    cell, slow = FakeCell(), fake_peer("slow")
    run = cell.run

    def slower(peer, limit):
        found = run(peer, limit)
        if peer is slow:
            found.result[what] *= times
            found.wall_s = found.result["wall"]
        return found

    cell.run = slower
    *_, rows = rounds.measure([cell], [slow, fake_peer("a")], options(rounds=6), quiet())
    assert [len(row["rounds"]) for row in rows] == [3, 6] and "slow: rounds up to 3 only" in rows[0]["says"]


def test_one_that_cannot_run_costs_no_time_and_keeps_its_row():
    def refuse(launch):
        raise rounds.peers.CannotRun("has no clock")

    cell, broken = FakeCell(), fake_peer("broken")
    broken.argv = refuse
    *_, rows = rounds.measure([cell], [broken], options(), quiet())
    assert cell.started == [] and rows[0]["message"] == "has no clock"


def test_one_that_fails_each_time_is_given_up():
    def fail(launch, outcome):
        raise rounds.peers.CannotRun("it broke")

    cell, broken = FakeCell(), fake_peer("broken")
    broken.profile = fail
    *_, rows = rounds.measure([cell], [broken], options(rounds=9), quiet())
    assert cell.started.count("broken") == rounds.peers.TRIES and rows[0]["message"] == "it broke"


def test_a_run_is_cut_into_pieces_of_the_same_work():
    slow = [[0.06, 0.06, 1, 2e-5, 2e-5]] * 2
    units = [[0.03, 0.06, 3, 1e-5, 1e-5], *slow, [9.0, 9.0, 1, 1e-5, 2e-5]]
    fast, other = rounds.paced({"units": units}, "wall")
    assert fast[1:] == (1, 0.02) and other[1:] == (2, 0.06)
    assert (fast[0], other[0]) == (pytest.approx(1e-5, rel=0.03), pytest.approx(2e-5, rel=0.03))
    assert rounds.paced({"units": units[3:]}, "cpu")[0][1:] == (1, 9.0), "what is all there is counts"
    assert rounds.paced({"units": [], "cpu": 7.0, "pace": [3e-5, 3e-5]}, "cpu")[0][1:] == (1, 7.0)
    assert rounds.unpack(rounds.pack([(3.5e-5, 4, 0.0123456)])) == [(3.5e-5, 4, 0.0123456)]


def test_a_program_tells_its_pieces_and_the_pace(work):
    program = work / "program.py"
    program.write_text("import sys, time\nsys.path.insert(0, %r)\nimport common\n"
                       "def work(repeats):\n    for _ in range(repeats):\n        end = time.thread_time() + 0.004\n"
                       "        while time.thread_time() < end: pass\n        common.mark()\n"
                       "common.run(work, 50, 'It burns.')\n" % str(subjects.PROGRAMS))
    outcome = measure.run([sys.executable, program], measure.fresh_directory(work / "run"))
    units = outcome.result["units"]
    assert 3 <= len(units) and sum(unit[2] for unit in units) <= 50
    assert all(0.003 * times < cpu <= 2 * wall and 0 < before < 0.1 and 0 < after < 0.1
               for cpu, wall, times, before, after in units)
    assert sum(unit[0] for unit in units) <= outcome.result["cpu"] <= outcome.result["process_cpu"]


def test_a_neighbour_who_slows_the_machine_does_not_count():
    """For six of ten pieces, and for more of them on one side: 3 % more time is seen all the same."""
    rng = random.Random(4)

    def run(factor, often):
        paces = [rng.choice([1.5, 1.8]) if rng.random() < often else 1.0 for _ in range(60)]
        units = [(factor * rng.gauss(1, 0.05) * pace ** 0.8, 0, 1, pace, pace) for pace in paces]
        return rounds.paced({"units": units}, "cpu")

    value, low, high = stats.paced_ratio([(run(1.03, 0.6), run(1, 0.3) + run(1, 0.3)) for _ in range(10)])
    assert abs(value - 1.03) < 0.01 and 1.01 < low < high < 1.05, (value, low, high)
    assert stats.paced_ratio([([(1.0, 1, 2.0)], [(1.0, 1, 1.0)])]) == (pytest.approx(2.0), None, None)


# -------------------------------------------------------- turns

def told_in_turns(*pieces):
    """What a program tells of pieces (on, seconds, pace), each the same work."""
    return {"units": [[seconds, 2 * seconds, 1, pace, pace] for _, seconds, pace in pieces],
            "on": [on for on, _, _ in pieces] + [pieces[-1][0]], "exact": False}


def test_pieces_make_turns_and_turns_make_pairs():
    on, off = (True, 2.0, 1.0), (False, 1.0, 1.0)
    result = told_in_turns(on, on, off, off, off, on, on, off, off)
    # The piece in which the profiler was switched is left out.
    assert [(now, cost[0]) for now, cost, _ in turns.turns_of(result)] == [(True, 2.0), (False, 1.0), (True, 2.0), (False, 1.0)]
    pairs = turns.pairs_of(result)
    assert len(pairs) == 2 and pairs[0] == (pytest.approx(math.log(2)), pytest.approx(math.log(2)), 0.0)
    assert turns.pairs_of(told_in_turns(on, on, on)) == []


def test_what_the_pace_explains_is_not_the_profilers():
    rng = random.Random(3)

    def pieces(on):
        pace = rng.choice([1.0, 1.6])
        return [(on, (1.01 if on else 1.0) * pace * rng.gauss(1, 0.01), pace)] * 4

    pairs = turns.pairs_of(told_in_turns(*(piece for _ in range(200) for on in (True, False) for piece in pieces(on))))
    value, low, high = stats.paired_ratio([(cpu, pace) for cpu, _, pace in pairs])
    assert abs(value - 1.01) < 0.003 and 1.0 < low < high < 1.02 and len(pairs) == 200


@pytest.mark.parametrize("holds", [False, True], ids=["that only looks", "that stops its child to look at it"])
def test_a_process_is_stopped_and_goes_on_in_turns(work, holds):
    """Its child says that it works, and sees it; at its end it runs. It is not stopped while its child stands still."""
    program = work / "parent.py"
    program.write_text(
        "import os, signal, subprocess, sys, time\nchild = subprocess.Popen([sys.executable, %r, '--turns', 'parent'])\n"
        "while %d and child.poll() is None:\n    child.send_signal(signal.SIGSTOP)\n    time.sleep(0.012)\n"
        "    child.send_signal(signal.SIGCONT)\n    time.sleep(0.004)\nsys.exit(child.wait())\n"
        % (str(work / "child.py"), holds))
    (work / "child.py").write_text(
        "import sys, time\nsys.path.insert(0, %r)\nimport common\n"
        "def work(repeats):\n    for _ in range(repeats):\n        end = time.perf_counter() + 0.01\n"
        "        while time.perf_counter() < end: pass\n        common.mark()\n"
        "common.run(work, 100, 'It burns.')\n" % str(subjects.PROGRAMS))
    directory = measure.fresh_directory(work / "run")
    switch = measure.Turns(directory)
    outcome = measure.run([sys.executable, program], directory, 60, switch)
    assert outcome.returncode == 0 and len(turns.pairs_of(outcome.result)) >= 3
    stood_still = sum(wall - cpu > 0.08 for cpu, wall, *_ in outcome.result["units"])
    assert stood_still <= 1 and (switch.held > 0) == holds


def test_work_is_calibrated():
    assert rounds.calibrated(1.0, lambda scale: 3.2 * scale) == pytest.approx(1 / 3.2, rel=0.01)
    assert rounds.calibrated(1.0, lambda scale: 0.05 + 3.2 * scale) == pytest.approx(0.95 / 3.2, rel=0.05)


def test_the_time_left_is_estimated():
    now = [0.0]
    report = progress.Progress("test", io.StringIO(), lambda: now[0])
    report.plan({"a": 3, "b": 2})
    assert report.estimate() == "..."
    report.begin()
    now[0] = 60.0
    report.done("a")
    assert report.seconds_left() == 2 * 60 + 2 * 60
    now[0] = 180.0
    report.done("b")
    assert report.seconds_left() == 2 * 60 + 120 and report.estimate() == "0:04 h left"


# ------------------------------------------------------- tables

ABOUT = {"date": "2026-01-02 03:04 UTC", "commit": "abc", "cpu": "a CPU", "cores": 2, "kernel": "6.1",
         "libc": "glibc 2", "load_at_start": 0.1, "interpreters": {"3.x": "CPython 3.x"},
         "measured": {"3.x": "2026-01-02 03:04 UTC, commit abc"}, "packages": {"3.x": {"py-spy": "0.4"}},
         "settings": {"rate": 100, "rounds": 4}, "environment": {"A": "1"}, "command": "run.py"}


def cells(text, first):
    """Of the table's line that begins so."""
    line = next(line for line in text.splitlines() if line.startswith("| " + first + " |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_overhead_is_told(work):
    *_, rows = rounds.measure([FakeCell()], [fake_peer("a")], options(), quiet())
    rows.append({"program": "p", "interpreter": "3.x", "peer": "b", "point": "", "rounds": [], "message": "is a|b"})
    text = table.write("overhead", rows, ABOUT, work)
    assert cells(text, "a")[:4] == ["a", "4", "1.400 [1.400, 1.400]", "1.400 [1.400, 1.400]"]
    assert "| b | 0 | cannot run: is a\\|b |" in text
    assert "| 3.x | b | – | – | – | 0 of 1 |" in text
    assert json.loads((work / "overhead.json").read_text())["rows"][0]["rounds"] == rows[0]["rounds"]
    assert (work / "overhead.md").read_text() == text.rstrip() + "\n"


def test_every_line_of_a_table_has_all_columns(work):
    *_, rows = rounds.measure([FakeCell()], [fake_peer("a"), fake_peer("b")], options(), quiet())
    rows = [dict(row, point="depth 10") for row in rows]
    rows += [{"program": "p", "interpreter": "3.x", "peer": "c", "point": "depth 10", "rounds": [], "message": "no"}]
    accuracy = [{"program": "truth_p", "interpreter": "3.x", "peer": "c", "clock": "cpu", "message": "no"}]
    for kind, some in (("overhead", rows), ("scaling", rows), ("accuracy", accuracy), ("bias", bias_rows())):
        widths = collections.defaultdict(set)
        section = ""
        for line in table.write(kind, some, ABOUT, work).splitlines():
            section = line if line.startswith("## ") else section
            if line.startswith("|"):
                widths[section].add(line.count("|"))
        assert widths and all(len(width) == 1 for width in widths.values()), (kind, widths)


def bias_rows():
    row = {"program": "truth_p", "interpreter": "3.x", "peer": "pillion", "clock": "cpu", "runs": 40, "samples": 28000.0,
           "distance": 0.004, "noise": 0.004, "noise_high": 0.008, "slope": -0.5, "slope_low": -0.6, "slope_high": -0.4,
           "biases": {"part_a": (0.001, -0.002, 0.004), "part_b": (-0.012, -0.016, -0.008), "part_c": (0.011, 0.001, 0.021)}}
    return [row, {"program": "truth_q", "interpreter": "3.x", "peer": "pillion", "clock": "cpu", "message": "no"}]


def test_biases_are_told(work):
    text = table.write("bias", bias_rows(), ABOUT, work)
    assert cells(text, "pillion")[3:] == ["40", "28000", "0.40", "0.40 (0.80)", "-0.50 [-0.60, -0.40]", "part_b -1.20 [-1.60, -0.80]",
                                          "part_c +1.10 [+0.10, +2.10], part_a +0.10 [-0.20, +0.40]"]
    assert "| pillion | q | cpu | 0 | cannot run: no |" in text


def test_verdicts_are_told():
    row = {"distance_at": 0.0123, "compared_at": 900}
    assert table.verdict({}) == "–" and table.verdict(row) == "1.23 at 900: best"
    row.update(best="x", worse=0.02, worse_low=-0.001, worse_high=0.05)
    assert table.verdict(row) == "1.23 at 900: within noise of the best"
    row.update(worse_low=0.01)
    assert table.verdict(row) == "1.23 at 900: worse than x by 1.00..5.00"


# ------------------------------------------------------- README's section

def tables():
    about = dict(ABOUT)
    overhead = [{"interpreter": "3.x", "program": "p", "peer": peer, "cpu": cpu, "cpu_low": cpu - 0.01,
                 "cpu_high": cpu + 0.01, "wall": cpu - 0.02, "wall_low": 1, "wall_high": 2} for peer, cpu in (("pillion", 1.05), ("cheap", 1.02), ("near", 1.04))]
    overhead.append({"interpreter": "3.x", "program": "q", "peer": "pillion", "message": "no"})
    accuracy = [dict({"interpreter": "3.x", "program": "truth_t", "clock": "cpu", "peer": peer, "distance": distance,
                      "distance_at": distance, "compared_at": 99, "impossible": 0}, **more)
                for peer, distance, more in (
                    ("pillion", 0.02, {"best": "right", "worse_low": 0.005, "worse_high": 0.02}), ("right", 0.005, {}),
                    ("near", 0.01, {"best": "right", "worse_low": -0.1, "worse_high": 0.1}))]
    scaling = [{"interpreter": "3.x", "program": "load", "peer": peer, "point": "depth 10", "cpu": cpu, "cpu_low": cpu - 0.01,
                "cpu_high": cpu + 0.01} for peer, cpu in (("pillion", 1.1), ("cheap", 1.05), ("near", 1.09))]
    turns = [{"interpreter": "3.x", "program": "p", "peer": peer, "wall": wall, "wall_low": wall - 0.001,
              "wall_high": wall + 0.001} for peer, wall in (("pillion", 1.004), ("cheap", 1.0035), ("near", 1.002))]
    return {kind: {"about": about, "rows": rows} for kind, rows in (
        ("turns", turns), ("overhead", overhead), ("accuracy", accuracy), ("scaling", scaling))}


def test_readme_tells_where_another_one_is_better():
    text = summary.text(tables())
    assert cells(text, "pillion") == ["pillion", "1.004", "1.004 (p)", "1.030", "1.030 (p)", "1.050", "1.050 (p)", "2.00", "0 of 1",
                                      "0", "1 of 4"]
    assert cells(text, "near")[8] == cells(text, "right")[8] == "1 of 1"
    assert [line for line in text.splitlines() if line.startswith(("* W", "* C", "* A"))] == [
        "* Wall × while it samples, p: near 1.002, Pillion 1.004 (without native stacks –).",
        "* CPU × in all, p: cheap 1.020, Pillion 1.050 (without native stacks –).",
        "* CPU × as load grows, depth 10: cheap 1.050, Pillion 1.100 (without native stacks –).",
        "* Accuracy, t, cpu time: pillion is worse than right, by 0.50 to 2.00 percentage points."]
    assert "results/scaling-depth-3.x.svg)" in text


def test_readme_tells_who_looks_most_often_and_what_that_costs():
    """Of each the rate at which most samples came, which is not the highest that was asked for."""
    def row(peer, asked, got, wall):
        return {"interpreter": "3.x", "program": "load", "peer": peer, "point": "loop %d" % asked, "rounds": [{}], "got": got,
                "alone_wall": 2.0, "wall": wall, "wall_low": wall - 0.01, "wall_high": wall + 0.01, "cpu": 1.5, "cpu_low": 1.4,
                "cpu_high": 1.6, "profiler_cpu": 0.1, "says": "so"}

    rows = [row("pillion --burst", 1_000_000, 1_800_000, 1.0), row("pillion --burst", 50_000, 100_000, 1.125), row("pillion --burst", 2_000_000, 3_000_000, 1.25),
            row("profiling.sampling", 100_000, 180_000, 1.0), row("profiling.sampling", 500_000, 160_000, 1.0),
            {"interpreter": "3.x", "program": "load", "peer": "profiling.sampling", "point": "calls 100000", "message": "no"}]
    text = summary.text({"burst": {"about": ABOUT, "rows": rows}})
    assert cells(text, "loop") == ["loop", "1,200,000", "1.250 [1.240, 1.260]", "100000", "90,000", "1.000 [0.990, 1.010]",
                                   "1.125 [1.115, 1.135]", "–"]
    assert "| calls |" not in text
    told = "\n".join(table.burst(rows))
    assert cells(told, "500000")[:4] == ["500000", "profiling.sampling", "1", "80000"]
    assert cells(told, "100000")[:4] == ["100000", "profiling.sampling", "1", "90000"] and "cannot run: no" in told
    assert {line.count("|") for line in told.splitlines() if line.startswith("|")} == {9}


def test_readme_tells_how_far_the_farthest_part_is_off():
    text = summary.text({"bias": {"about": ABOUT, "rows": bias_rows()}})
    assert ("In 40 runs of each program, 28,000 samples each in the median, 1 of 3 parts were shown to be too large or too small by more "
            "than 0.5 percentage points. Half of them are known to within ± 0.40, all to within ± 1.00. The farthest from the truth is "
            "part_b of p, cpu time, which is off by -1.60 to -0.80.") in text


def test_readme_has_no_column_of_what_was_not_measured():
    few = {"overhead": tables()["overhead"]}
    assert cells(summary.text(few), "pillion") == ["pillion", "1.030", "1.030 (p)", "1.050", "1.050 (p)", "1 of 2"]
    assert cells(summary.text(few), "profiler")[1::2] == ["wall × in all, median", "CPU × in all, median", "cannot run"]


def test_readme_tells_what_watching_memory_costs():
    rows = [{"interpreter": "3.x", "program": program, "peer": "pillion", "cpu": cpu, "wall": cpu - 0.01, "rss_added": rss}
            for program, cpu, rss in (("p", 1.01, 2), ("q", 1.03, 3))]
    rows.append({"interpreter": "3.x", "program": "p", "peer": "other", "message": "no"})
    limit = {"name": "a pair", "value": 2.5, "unit": "ns", "limit": 2, "detail": "[2, 3]"}
    failed = dict(limit, name="fails", value=float("nan"), detail="cannot run: no")
    text = summary.text({"memory": {"about": ABOUT, "rows": [limit, failed, dict(limit, name="alone", limit=None), *rows]}})
    assert cells(text, "pillion") == ["pillion", "1.020", "1.030 (q)", "1.010", "1.020 (q)", "2.5", ""]
    assert cells(text, "other") == ["other", *["–"] * 5, "1 of 1"]
    assert cells(text, "a pair") == ["a pair", "2.50 ns", "2"] and cells(text, "fails")[1] == "cannot run: no" and "| alone |" not in text


def test_readme_has_the_section_of_the_results_that_are_kept():
    readme = summary.README.read_text()
    assert summary.replaced(readme, summary.text(summary.load(BENCH / "results"))) == readme, "run.py readme makes it"


def test_only_the_section_is_replaced():
    before = "# A\n\n" + summary.TITLE + "\nold\n\n## B\n\nstays\n"
    assert summary.replaced(before, summary.TITLE + "\nnew\n") == "# A\n\n" + summary.TITLE + "\nnew\n\n## B\n\nstays\n"
    assert summary.replaced("x\n" + summary.TITLE + "old\n", summary.TITLE + "new\n") == "x\n" + summary.TITLE + "new\n"
