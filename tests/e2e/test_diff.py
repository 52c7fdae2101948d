# SPDX-License-Identifier: MIT
"""diff tells what changed from what is luck, and fails for the first only."""
import json
import re

import pytest

import recording
from test_export import NO_SAMPLES, OK, USAGE, export, make_profile, report
from test_report import ESCAPE

DIFFERENT = 4

# The share of slow() is its argument; its lines move down by as many as there are in HEAD.
PROGRAM = """
import sys, time, zlib

def spend(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(i * i for i in range(2000))

def slow(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        zlib.crc32(bytes(1 << 18))

def through(seconds):
    slow(seconds)
    end = time.thread_time() + seconds / 10
    while time.thread_time() < end:
        zlib.adler32(bytes(1 << 18))

through(float(sys.argv[1]))
spend(float(sys.argv[2]))
"""
HEAD = "# a line\n# and another\n"


@pytest.fixture(scope="module")
def runs(session_work, one_python):
    """The same program twice, and once with more of slow() and two lines more at its top."""
    folder = session_work / "diff"
    folder.mkdir()
    paths = {}
    for name, head, seconds in (("a", "", ("0.3", "1.0")), ("again", "", ("0.3", "1.0")),
                                ("slower", HEAD, ("1.0", "1.0"))):
        # One path, as with two checkouts of a repository.
        (folder / "app.py").write_text(head + PROGRAM)
        r = recording.record(one_python, [folder / "app.py", *seconds], folder, options=["-F", "250"],
                             name=name + ".pillion")
        assert r.returncode == 0, r.stderr
        paths[name] = r.path
    return paths


@pytest.fixture(scope="module")
def synthetic(session_work):
    return make_profile(session_work / "diff-synthetic.pillion", "-n", 20000, "-m", 500, "-t", 6, "-b", 2000)


def run(here, *options, columns=100):
    return here.run([here.pillion, "diff", *options], env={"COLUMNS": str(columns)})


def diff(here, *options, status=OK):
    result = run(here, "--json", *options)
    assert result.returncode == status, result.stderr
    data = json.loads(result.stdout)
    assert (data["schema"], data["schema_version"]) == ("pillion-diff", 1)
    return data


def by_name(data, name):
    found = [f for f in data["functions"] if f["function"] == name]
    assert len(found) == 1, found
    return found[0]


# --------------------------------------------------------------------------- truth

def test_what_changed_comes_before_what_calls_it(here, runs):
    """The total of through() changes by more, but it is slow() that calls native code for longer."""
    for options in (["--absolute"], []):
        changed = {f["function"]: f["total"]["change"]
                   for f in diff(here, *options, runs["a"], runs["slower"])["functions"]
                   if f["kind"] == "python" and f["total"]["beyond_noise"]}
        assert changed["through"] > changed["slow"] > 0, changed
        assert list(changed).index("slow") < list(changed).index("through"), changed


def test_what_grew_is_told_and_fails(here, runs):
    data = diff(here, "--fail-on", "5%", runs["a"], runs["slower"], status=DIFFERENT)
    assert data["failed"] and data["grew"] >= 1 and data["shrank"] >= 1
    slow, spend = by_name(data, "slow"), by_name(data, "spend")
    # 0.3 s of 1.33 s, 1.0 s of 2.1 s
    assert 0.2 < slow["total"]["change"] < 0.35 and slow["total"]["beyond_noise"] and slow["total"]["failed"]
    assert -0.35 < spend["total"]["change"] < -0.2 and not spend["total"]["failed"]
    assert run(here, "--fail-on", "40", runs["a"], runs["slower"]).returncode == OK


def test_two_runs_of_one_program_do_not_fail(here, runs):
    for a, b in (("a", "again"), ("again", "a")):
        data = diff(here, "--fail-on", "1%", runs[a], runs[b])
        assert not data["failed"]
        for f in data["functions"]:
            assert abs(f["total"]["change"]) < 0.12, f


def test_amounts_as_they_are(here, runs):
    data = diff(here, "--absolute", "--fail-on", "10%", runs["a"], runs["slower"], status=DIFFERENT)
    slow, spend = by_name(data, "slow"), by_name(data, "spend")
    assert 0.6e9 < slow["total"]["change"] < 0.8e9
    assert abs(spend["total"]["change"]) < 0.15e9 and not spend["total"]["beyond_noise"]
    assert data["whole"]["change"] == data["b"]["weight"] - data["a"]["weight"] > 0.5e9
    assert data["whole"]["beyond_noise"] and data["whole"]["failed"]
    assert not diff(here, "--absolute", "--fail-on", "10%", runs["a"], runs["again"])["failed"]


def test_lines_are_the_same_where_they_were_moved(here, runs):
    lines = [line for line in diff(here, "--fail-on", "90", runs["a"], runs["slower"])["lines"]
             if line["function"] in ("slow", "spend")]
    assert lines
    for line in lines:
        if line["in_a"] and line["in_b"]:
            assert line["b_line"] == line["a_line"] + 2, line
    hot = max((line for line in lines if line["function"] == "slow"), key=lambda line: line["total"]["b"])
    assert hot["in_a"] and hot["in_b"] and hot["total"]["beyond_noise"]


@pytest.mark.parametrize("view", ["cpu", "wall", "offcpu", "gil", "allocated", "live", "peak", "temporary"])
def test_a_profile_does_not_differ_from_itself(here, synthetic, view):
    data = diff(here, "--view", view, "--fail-on", "0%", synthetic, synthetic)
    whole = report(here, synthetic, "--view", view)
    assert (data["grew"], data["shrank"], data["failed"]) == (0, 0, False)
    assert data["a"]["weight"] == whole["view_total"][data["unit"]] > 0
    for f in data["functions"] + data["lines"]:
        assert f["self"]["change"] == f["total"]["change"] == 0 and f["in_a"] and f["in_b"]
        # Blocks that were sure to be sampled are known exactly.
        assert f["self"]["noise"] > 0 or data["unit"] == "bytes"
        assert f["total"]["b"] <= 1
    assert sum(f["self"]["b_weight"] for f in data["functions"]) == data["b"]["weight"]
    # Each function as the report has it.
    expected = {f["function"]: f["total_" + data["unit"]] for f in whole["functions"]
                if f["kind"] == "python" and not f["function"].startswith("<")}
    got = {f["function"]: f["total"]["b_weight"] for f in data["functions"] if f["kind"] == "python"}
    assert expected and all(got[name] == weight for name, weight in expected.items())


# ------------------------------------------------------------------------- formats

def two_counts(text):
    rows = {}
    for line in text.splitlines():
        path, a, b = line.rsplit(" ", 2)
        assert path not in rows
        rows[path] = (int(a), int(b))
    return rows


def test_folded_has_both_counts_of_every_stack(here, runs, work):
    result = run(here, "-f", "folded", "--absolute", runs["a"], runs["slower"])
    assert result.returncode == OK
    rows = two_counts(result.stdout)
    for side, name in enumerate(("a", "slower")):
        stacks = dict(line.rsplit(" ", 1) for line in
                      export(here, runs[name], work / (name + ".folded"), "folded").read_text().splitlines())
        assert {p: int(c) for p, c in stacks.items()} == {p: c[side] for p, c in rows.items() if c[side]}
    scaled = two_counts(run(here, "-f", "folded", runs["a"], runs["slower"]).stdout)
    sums = [sum(c[side] for c in scaled.values()) for side in (0, 1)]
    assert sums[1] == sum(c[1] for c in rows.values()) and abs(sums[0] - sums[1]) <= len(rows)


def test_folded_of_memory(here, synthetic):
    rows = two_counts(run(here, "-f", "folded", "-w", "live", synthetic, synthetic).stdout)
    assert rows and all(a == b > 0 for a, b in rows.values())
    assert sum(a for a, _ in rows.values()) == report(here, synthetic, "--view", "live")["view_total"]["bytes"]


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_text_says_what_the_noise_is(here, runs, columns):
    result = run(here, runs["a"], runs["slower"], columns=columns)
    shown = result.stdout
    assert result.returncode == OK and max(len(line) for line in shown.splitlines()) <= columns
    words = " ".join(shown.split())
    assert "standard errors" in words and re.search(r"beyond noise \d+ functions? grew and \d+ shrank", words)
    table = shown.partition("\nFunctions")[2].partition("\nLines")[0]
    a_self = r"\d+\.\d +" if columns > 60 else ""  # what change and B tell is the first to go
    assert re.search(r"^ +" + a_self + r"\d+\.\d +[+-]\d+\.\d +\d+\.\d +\+\d+\.\d .* slow\b", table, re.M), table
    colored = run(here, "--color", "always", runs["a"], runs["slower"], columns=columns).stdout
    assert colored != shown and ESCAPE.sub("", colored) == shown


def test_text_tells_what_failed(here, runs):
    result = run(here, "--fail-on", "5%", runs["a"], runs["slower"])
    assert result.returncode == DIFFERENT and "--fail-on" in result.stderr
    assert re.search(r"^  slow: total \+\d+\.\d points, noise \d+\.\d$", result.stdout.partition("\nFailed")[2], re.M)


def test_the_limit_counts_rows(here, runs):
    data = diff(here, "--limit", "3", runs["a"], runs["slower"])
    assert len(data["functions"]) == len(data["lines"]) == 3
    assert "more functions (--limit 0 shows all)" in run(here, "-n", "2", runs["a"], runs["slower"]).stdout


# ------------------------------------------------------------------------ bad input

@pytest.mark.parametrize("options", [[], ["a"], ["a", "b", "c"], ["--fail-on", "x", "a", "b"],
                                     ["--fail-on", "-1", "a", "b"], ["--fail-on", "5%%", "a", "b"],
                                     ["--fail-on", "", "a", "b"], ["--view", "leaks", "a", "b"],
                                     ["-f", "svg", "a", "b"]])
def test_wrong_arguments_are_refused(here, options):
    result = run(here, *options)
    assert (result.returncode, result.stdout) == (USAGE, ""), result


def test_profiles_that_cannot_be_compared(here, runs, work):
    empty = make_profile(work / "empty.pillion", "-n", 0, "-t", 1)
    assert run(here, runs["a"], empty).returncode == NO_SAMPLES
    assert run(here, empty, runs["a"]).returncode == NO_SAMPLES
    result = run(here, runs["a"], work / "none.pillion")
    assert result.returncode == 1 and "none.pillion" in result.stderr
    assert run(here, "--thread", "nobody", runs["a"], runs["again"]).returncode == NO_SAMPLES
