# SPDX-License-Identifier: MIT
"""Every export is read by the tool it is made for, and says what the report says, to the
nanosecond."""
import os
import subprocess

import pytest

import exports
import recording
from recording import export, make_profile, report

OK, FAILURE, USAGE, NO_SAMPLES = 0, 1, 2, 3
FORMATS = ["folded", "pprof", "speedscope"]
VIEWS = ["cpu", "wall", "offcpu", "gil"]

PROGRAM = recording.PACKS_AND_PARSES + """
for i in range(10): recurse(8)
for t in threads: t.join()
"""


@pytest.fixture(scope="module", params=["synthetic", "real"])
def profile(request, session_work, one_python):
    """A large one of many stacks, and one with the names that real programs have."""
    if request.param == "synthetic":
        return make_profile(session_work / "synthetic.pillion", "-n", 20000, "-m", 600, "-t", 7, "-p", 3)
    r = recording.record(one_python, ["-c", PROGRAM], session_work, name="real.pillion")
    assert r.returncode == 0, r.stderr
    return r.path


@pytest.mark.parametrize("view", VIEWS)
def test_folded_says_what_the_report_says(here, profile, work, view):
    path = export(here, profile, work / "x.folded", "folded", "--view", view)
    times = exports.of_folded(path.read_text())
    expected = report(here, profile, "--view", view)
    assert times.sum_ns == expected["view_total"]["ns"] > 0
    assert times == folded_names(exports.of_report(expected))


def folded_names(times):
    """A semicolon cannot be in a name there."""
    return exports.Times(*(type(c)({k.replace(";", ":"): v for k, v in c.items()})
                           for c in (times.self_ns, times.total_ns)),
                         frozenset(name.replace(";", ":") for name in times.shared))


def test_folded_with_lines_and_kinds(here, profile, work):
    plain = export(here, profile, work / "plain.folded", "folded", "--view", "wall")
    path = export(here, profile, work / "x.folded", "folded", "--view", "wall", "--lines", "--annotate")
    stacks = list(exports.folded_stacks(path.read_text()))
    assert sum(ns for _, ns in stacks) == exports.of_folded(plain.read_text()).sum_ns
    frames = {f for names, _ in stacks for f in names if f != "(no stack)"}
    assert all(f.endswith(("_[py]", "_[n]")) for f in frames)
    assert any(f.endswith(")_[py]") and ":" in f.rpartition("(")[2] for f in frames)


def test_pprof_says_what_the_report_says(here, profile, work):
    path = export(here, profile, work / "x.pb.gz", "pprof")
    read = exports.read_pprof(path)
    assert read.types == ["samples/count"] + [view + "/nanoseconds" for view in VIEWS]
    assert "[dflt]" in exports.go_pprof(path, "-raw").partition("cpu/nanoseconds")[2][:10]
    for view in VIEWS:
        expected = report(here, profile, "--view", view)
        times = read.times(view)
        assert times.sum_ns == expected["view_total"]["ns"]
        assert times == exports.of_report(expected), view
    assert sum(values[0] for values, _, _ in read.samples) == expected["quality"]["samples"]


def test_pprof_has_labels_and_mappings(here, profile, work):
    read = exports.read_pprof(export(here, profile, work / "x.pb.gz", "pprof", "--view", "wall"))
    expected = report(here, profile)
    by_thread = {}
    for values, _, labels in read.samples:
        by_thread[int(labels["thread id"])] = by_thread.get(int(labels["thread id"]), 0) + values[2]
        assert labels["pid"] in {str(p["pid"]) for p in expected["processes"]}
        assert labels.get("gil", "none") in ("held", "waiting", "none")
    for thread in expected["threads"]:
        assert by_thread.get(thread["tid"], 0) == thread["time"]["wall_ns"]
    held = sum(values[2] for values, _, labels in read.samples if labels.get("gil") == "held")
    assert held == expected["time"]["gil_hold_ns"]
    # The program itself is first; each file is there once, with its build id.
    assert expected["processes"][0]["executable"] in read.mappings[0]
    files = [line.split()[2] for line in read.mappings]
    assert len(files) == len(set(files))


def test_pprof_can_show_it(here, profile, work):
    """-top and -peek name functions by name alone: what the user sees."""
    path = export(here, profile, work / "x.pb.gz", "pprof", "--view", "wall")
    top = exports.go_pprof(path, "-top", "-nodecount=5")
    assert "Type: wall" in top and len(top.splitlines()) > 6, top


@pytest.mark.parametrize("view", VIEWS)
def test_speedscope_says_what_the_report_says(here, profile, work, view):
    path = export(here, profile, work / "x.speedscope.json", "speedscope", "--view", view)
    expected = report(here, profile, "--view", view)
    read = exports.read_speedscope(path)
    times = exports.of_speedscope(read)
    assert times.sum_ns == expected["view_total"]["ns"]
    assert +times.self_ns == +exports.of_report(expected).self_ns
    assert all(p["unit"] == "nanoseconds" for p in read["profiles"])
    assert read["name"] == "%s (%s)" % (profile.name, view)
    totals = {p["name"]: p["weight"] for p in read["profiles"]}
    assert len(totals) == len(read["profiles"])
    assert read["profiles"][read["active"]]["weight"] == max(totals.values())
    if view == "wall":
        for thread in expected["threads"]:
            if thread["time"]["wall_ns"]:
                found = [w for n, w in totals.items() if n.endswith("tid %d)" % thread["tid"])]
                assert found == [thread["time"]["wall_ns"]]


def test_speedscope_counts_recursion_once(here, profile, work):
    path = export(here, profile, work / "x.speedscope.json", "speedscope", "--view", "wall")
    expected = report(here, profile, "--view", "wall")["functions"]
    totals = exports.of_speedscope(exports.read_speedscope(path)).total_ns
    names = [f["function"] for f in expected]
    for f in expected:
        if names.count(f["function"]) == 1:
            assert totals[f["function"]] == f["total_ns"], f["function"]


@pytest.mark.parametrize("form, suffix", [("folded", "folded"), ("pprof", "pb.gz")])
def test_speedscope_reads_the_other_formats_too(here, profile, work, form, suffix):
    path = export(here, profile, work / ("x." + suffix), form)
    [read] = exports.read_speedscope(path)["profiles"]
    assert read["weight"] == report(here, profile)["view_total"]["ns"]


@pytest.mark.parametrize("form", FORMATS)
def test_filters(here, profile, work, form):
    threads = report(here, profile)["threads"]
    one = max(threads, key=lambda t: t["time"]["wall_ns"])
    options = ["--thread", str(one["tid"]), "--view", "wall"]
    path = export(here, profile, work / ("x." + form), form, *options)
    expected = report(here, profile, *options)
    assert expected["view_total"]["ns"] == one["time"]["wall_ns"]
    if form == "folded":
        times = exports.of_folded(path.read_text())
    elif form == "pprof":
        times = exports.read_pprof(path).times("wall")
    else:
        times = exports.of_speedscope(exports.read_speedscope(path))
    assert times.sum_ns == one["time"]["wall_ns"]


# ------------------------------------------------------------------ the file

@pytest.fixture
def copied(work):
    return make_profile(work / "app.pillion", "-n", 200, "-m", 20, "-t", 1)


@pytest.mark.parametrize("form, name", [
    (["folded"], "app.cpu-ns.folded"), (["folded", "--view", "gil"], "app.gil-ns.folded"),
    (["pprof"], "app.pb.gz"), (["speedscope", "-w", "wall"], "app.wall.speedscope.json")])
def test_the_output_stands_next_to_the_profile(here, copied, work, form, name):
    result = here.run([here.pillion, "export", "-f", *form, copied], cwd="/")
    assert (result.returncode, result.stdout) == (OK, ""), result.stderr
    assert name in result.stderr
    assert sorted(p.name for p in work.iterdir()) == sorted(["app.pillion", name])


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_replaced_unasked(here, copied, work, form):
    target = work / "out"
    target.write_text("precious")
    argv = [here.pillion, "export", "-f", form, "-o", target, copied]
    result = here.run(argv)
    assert result.returncode == FAILURE and "--force" in result.stderr
    assert target.read_text() == "precious"
    assert here.run(argv[:2] + ["--force"] + argv[2:]).returncode == OK
    assert target.read_bytes() != b"precious"
    assert sorted(p.name for p in work.iterdir()) == ["app.pillion", "out"]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["plain", "force"])
def test_names_of_standard_output_are_not_replaced(here, copied, work, force):
    """Where /dev is writable, the link itself would be."""
    plain = export(here, copied, work / "x", "folded").read_bytes()
    (work / "stdout").symlink_to("/proc/self/fd/1")
    for name in (work / "stdout", "/proc/self/fd/1"):
        with open(str(work / "shown"), "wb") as shown:
            result = here.run([here.pillion, "export", "-f", "folded", *force, "-o", name, copied], stdout=shown)
        assert result.returncode == OK and (work / "shown").read_bytes() == plain, result
    assert (work / "stdout").is_symlink()


def test_what_a_link_names_is_replaced(here, copied, work):
    (work / "inner").mkdir()
    (work / "inner" / "out").write_text("precious")
    (work / "link").symlink_to("inner/out")
    argv = [here.pillion, "export", "-f", "folded", "-o", work / "link", copied]
    result = here.run(argv)
    assert result.returncode == FAILURE and "--force" in result.stderr
    assert here.run(argv[:2] + ["--force"] + argv[2:]).returncode == OK
    assert (work / "link").is_symlink() and "precious" not in (work / "inner" / "out").read_text()
    assert [p.name for p in (work / "inner").iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_dash_is_standard_output(here, copied, work, form):
    target = export(here, copied, work / "x", form)
    with here.popen([here.pillion, "export", "-f", form, "-o", "-", copied],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (OK, target.read_bytes(), b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_an_error(here, copied, form):
    result = here.run([here.pillion, "export", "-f", form, "-o", "/dev/full", copied])
    assert result.returncode == FAILURE and "space" in result.stderr, result.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_an_output_directory_that_is_missing(here, copied, work, form):
    result = here.run([here.pillion, "export", "-f", form, "-o", work / "no" / "x", copied])
    assert result.returncode == FAILURE and "no/x" in result.stderr, result.stderr


@pytest.mark.parametrize("options, words", [
    ([], "-f"), (["-f", "nonesuch"], "callgrind, cpuprofile"), (["-f", "folded", "--view", "heap"], "heap"),
    (["-f", "folded", "a", "b"], "b"), (["-f", "folded", "--nothing"], "--nothing")])
def test_wrong_options_are_refused(here, options, words):
    result = here.run([here.pillion, "export", *options])
    assert (result.returncode, result.stdout) == (USAGE, "") and words in result.stderr, result.stderr


def test_an_empty_profile_makes_no_file(here, work):
    path = make_profile(work / "empty.pillion", "-n", 0, "-t", 1)
    result = here.run([here.pillion, "export", "-f", "folded", path])
    assert result.returncode == NO_SAMPLES and "no sample" in result.stderr, result.stderr
    assert [p.name for p in work.iterdir()] == ["empty.pillion"]
