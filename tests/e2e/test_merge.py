# SPDX-License-Identifier: MIT
"""A merged profile is all of its parts: to the nanosecond, in every view, for every reader."""
import csv
import json
import stat

import pytest

import exports
import recording
from test_export import OK, USAGE, export, make_profile, report

FAILURE = 1
TIME_VIEWS = ["cpu", "wall", "offcpu", "gil"]
HEAP_VIEWS = ["allocated", "live", "peak", "temporary"]

PROGRAM = """
import json, sys, time, zlib
keep = [bytes(200000) for _ in range(100)]
end = time.thread_time() + float(sys.argv[1])
while time.thread_time() < end:
    zlib.compress(b"spam;eggs" * 50000)
    json.dumps(list(range(3000)))
time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def parts(session_work, one_python):
    """Two recordings of a program, and a large synthetic one whose clock is another machine's."""
    folder = session_work / "merge"
    folder.mkdir()
    paths = []
    for i, seconds in enumerate(("0.3", "0.5")):
        r = recording.record(one_python, ["-c", PROGRAM, seconds], folder, name="part%d.pillion" % i,
                             options=["--label", "service=part%d" % i, "--label", "env=test"])
        assert r.returncode == 0, r.stderr
        paths.append(r.path)
    return paths + [make_profile(folder / "synthetic.pillion", "-n", 20000, "-m", 500, "-t", 6, "-p", 2,
                                 "-b", 2000)]


def merge(here, target, *paths):
    result = here.run([here.pillion, "merge", "-o", target, *paths])
    assert (result.returncode, result.stdout) == (OK, ""), result
    return target


@pytest.fixture(scope="module")
def merged(here, parts):
    return merge(here, parts[0].parent / "all.pillion", *parts)


def without_names(data):
    """What a copy of a profile cannot have in common with it."""
    data = {k: v for k, v in data.items() if k not in ("profile", "notes")}
    data["recording"] = {k: v for k, v in data["recording"].items() if k != "file_bytes"}
    return data


@pytest.mark.parametrize("view", TIME_VIEWS + HEAP_VIEWS + ["leaks"])
def test_one_profile_merged_says_what_it_said(here, parts, work, view):
    for part in parts:
        copy = merge(here, work / (part.stem + ".copy.pillion"), part)
        assert without_names(report(here, copy, "--view", view)) == without_names(report(here, part, "--view", view))


@pytest.mark.parametrize("view", TIME_VIEWS)
def test_times_add_up(here, parts, merged, view):
    whole = report(here, merged, "--view", view)
    each = [report(here, part, "--view", view) for part in parts]
    assert whole["view_total"]["ns"] == sum(r["view_total"]["ns"] for r in each) > 0
    for key in ("cpu_ns", "wall_ns", "offcpu_ns", "gil_wait_ns", "clock_cpu_ns", "clock_wall_ns", "samples"):
        assert whole["time"][key] == sum(r["time"][key] for r in each), key
    for key in ("samples", "without_stack_samples", "guessed_samples"):
        assert whole["quality"][key] == sum(r["quality"][key] for r in each), key
    for drop, count in whole["quality"]["drops"].items():
        assert count == sum(r["quality"]["drops"][drop] for r in each)
    sums = {}
    for r in each:
        for f in r["functions"]:
            key = (f["function"], f.get("file"), f.get("library_path"))
            sums[key] = sums.get(key, 0) + f["self_ns"]
    got = {}
    for f in whole["functions"]:
        key = (f["function"], f.get("file"), f.get("library_path"))
        got[key] = got.get(key, 0) + f["self_ns"]
    assert got == sums


@pytest.mark.parametrize("view", HEAP_VIEWS)
def test_memory_adds_up(here, parts, merged, view):
    whole = report(here, merged, "--view", view)
    each = [report(here, part, "--view", view) for part in parts]
    assert whole["view_total"]["samples"] == sum(r["view_total"]["samples"] for r in each)
    # A block's estimate is made whole with what the blocks before it left over: it may differ by a byte.
    difference = abs(whole["view_total"]["bytes"] - sum(r["view_total"]["bytes"] for r in each))
    assert difference <= whole["view_total"]["samples"]


def test_processes_stay_who_they_were(here, parts, merged):
    whole = report(here, merged)
    each = [p for part in parts for p in report(here, part)["processes"]]
    assert [p["pid"] for p in whole["processes"]] == [p["pid"] for p in each]
    for key in ("time", "labels"):
        assert [p[key] for p in whole["processes"]] == [p[key] for p in each], key
    assert whole["processes"][1]["labels"] == {"service": "part1", "env": "test"}
    notes = [n["text"] for n in whole["notes"]]
    for part in parts:
        assert any(n.startswith(part.name + ": ") and "recorded" in n for n in notes), notes


def test_clocks_of_the_parts_agree_with_the_wall_clock(here, parts, merged):
    """A part's times all move by the same, and the parts lie as the wall clock says."""
    whole, at, moved, first = recording.load(merged), 0, [], []
    for part in parts:
        old = recording.load(part)
        threads = range(at, at + len(old.threads))
        new = sorted(s.time_ns for s in whole.samples if s.thread in threads)
        shifts = {n - o for n, o in zip(new, sorted(s.time_ns for s in old.samples))}
        assert len(shifts) == 1, shifts
        moved += shifts
        first.append(new[0])
        at += len(old.threads)
    # Two of one machine and boot keep their distance; the synthetic one started first of all.
    assert abs(moved[0] - moved[1]) < 0.1e9 and moved[2] == 0
    real = [report(here, part)["recording"]["start_unix_ns"] for part in parts]
    assert abs((first[0] - first[2]) - (real[0] - real[2])) < 5e9


@pytest.mark.parametrize("form", ["folded", "speedscope", "pprof"])
def test_exports_of_a_merged_profile(here, parts, merged, work, form):
    target = export(here, merged, work / ("x." + form), form)
    assert target.stat().st_size > 1000
    if form == "folded":
        whole = exports.of_folded(target.read_text())
        each = [exports.of_folded(export(here, part, work / (part.stem + ".folded"), "folded").read_text())
                for part in parts]
        assert whole.sum_ns == sum(x.sum_ns for x in each)


def test_labels_are_in_pprof(here, merged, work):
    read = exports.read_pprof(export(here, merged, work / "x.pb.gz", "pprof"))
    services = {labels.get("service") for _, _, labels in read.samples}
    assert services == {"part0", "part1", None}  # the synthetic one has none


def test_more_profiles_than_descriptors(here, work):
    part = make_profile(work / "part.pillion", "-n", 10, "-t", 1, "-p", 1)
    few = ["sh", "-c", 'ulimit -Sn 64 && exec "$@"', "sh"]
    result = here.run([*few, here.pillion, "merge", "-q", "-o", work / "all.pillion", *[part] * 80])
    assert (result.returncode, result.stderr) == (OK, "")
    assert len(report(here, work / "all.pillion")["processes"]) == 80


def test_timeline_info_and_a_merge_of_merges(here, parts, merged, work):
    points = export(here, merged, work / "t.csv", "timeline").read_text().count("\n")
    assert points > max(export(here, part, work / (part.stem + ".csv"), "timeline").read_text().count("\n")
                        for part in parts[:2])
    pair = merge(here, work / "pair.pillion", *parts[:2])
    again = merge(here, work / "again.pillion", pair, parts[2])
    assert report(here, again)["view_total"] == report(here, merged)["view_total"]
    info = json.loads(here.run([here.pillion, "info", "--json", again]).stdout)
    assert info["recording"]["complete"] and info["recording"]["symbolized"]
    sums = info["accounting"]
    assert sums["thread_wall_ns"] == sums["sampled_wall_ns"] + sums["unsampled_wall_ns"]


def test_what_is_whole_of_a_cut_profile_is_taken(here, parts, work):
    cut = work / "cut.pillion"
    cut.write_bytes(parts[2].read_bytes()[:-2000])
    result = here.run([here.pillion, "merge", "-o", work / "out.pillion", cut, parts[0]])
    assert result.returncode == OK and "cut.pillion: the last" in result.stderr, result
    whole, left = report(here, work / "out.pillion"), report(here, cut)
    assert whole["view_total"]["ns"] == left["view_total"]["ns"] + report(here, parts[0])["view_total"]["ns"]
    assert any(n["level"] == "warning" and n["text"].startswith("cut.pillion") for n in whole["notes"])


def test_nothing_is_overwritten_or_left_behind(here, parts, work):
    (work / "there").write_text("mine")
    result = here.run([here.pillion, "merge", "-o", work / "there", parts[0]])
    assert result.returncode == FAILURE and "--force" in result.stderr
    assert (work / "there").read_text() == "mine"
    assert here.run([here.pillion, "merge", "-f", "-o", work / "there", parts[0]]).returncode == OK
    assert report(here, work / "there")["view_total"]["ns"] > 0
    result = here.run([here.pillion, "merge", "-o", work / "x", parts[0], work / "none"])
    assert result.returncode == FAILURE and "none" in result.stderr
    assert here.run([here.pillion, "merge", "-o", "/dev/null", parts[0]]).returncode == FAILURE
    assert [p.name for p in work.iterdir()] == ["there"]
    mode = (work / "there").stat().st_mode
    assert stat.S_ISREG(mode) and stat.S_IMODE(mode) == 0o600
    for options in (["-o", work / "x"], [parts[0]]):
        assert here.run([here.pillion, "merge", *options]).returncode == USAGE


def test_processes_of_one_pid_stay_apart_in_exports(here, parts, work):
    """As those of several containers, or of parts of one recording; the Firefox Profiler takes a pid for a process."""
    twice = merge(here, work / "twice.pillion", parts[2], parts[2], parts[0])
    pids = [p["pid"] for p in report(here, twice)["processes"]]
    assert len(pids) == 5 and pids[:2] == pids[2:4]
    expected = [str(pid) for pid in pids[:2]] + ["%d.2" % pid for pid in pids[:2]] + [str(pids[4])]
    read = exports.read_firefox(export(here, twice, work / "x.gz", "firefox"))
    main = [t["pid"] for t in read["threads"] if t["isMainThread"]]
    assert sorted(main) == sorted(expected) and {t["pid"] for t in read["threads"]} == set(expected)
    for counter in read["counters"]:
        assert read["threads"][counter["mainThreadIndex"]]["pid"] == counter["pid"]
    with export(here, twice, work / "x.csv", "timeline").open() as f:
        seen = {(row["process"], row["pid"]) for row in csv.DictReader(f)}
    assert seen == {(str(i), str(pid)) for i, pid in enumerate(pids)}
