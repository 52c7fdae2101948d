# SPDX-License-Identifier: MIT
"""Options that no other file is about: without native frames, of a depth, by another signal, without symbols."""
import json
import os
import re
import signal
import subprocess

import pytest

import place
import recording
from test_html import unpacked

# One thread calls left, the other one right, n deep, and both of them burn there.
DEEP = """
import sys, threading, time
sys.setrecursionlimit(5000)
threading.stack_size(64 << 20)
def burn():
    end = time.thread_time() + 0.3
    while time.thread_time() < end: bytearray(3000)
def left(n): return left(n - 1) if n else burn()
def right(n): return right(n - 1) if n else burn()
threads = [threading.Thread(target=f, args=(int(sys.argv[1]),)) for f in (left, right)]
for t in threads: t.start()
for t in threads: t.join()
"""
SIGSTKFLT, SIGPWR = 16, 30  # signal has the first from 3.11 on
STARTED_BY = 3  # run(), _bootstrap_inner(), _bootstrap()


def deep(interpreter, work, calls, *options):
    """The profile, and Python functions from the leaf out of each of the samples that burn."""
    profile, _ = recording.record_ok(interpreter, ["-c", DEEP, str(calls)], work, options=options)
    samples = profile.calling("burn")
    assert sum(s.on_cpu for s in samples) >= 30, len(samples)
    return profile, [(s, [f.name.rsplit(".", 1)[-1] for f in s.python()]) for s in samples]


def is_one_call_after_another(names):
    return names[0] == "burn" and set(names[1:]) in ({"left"}, {"right"})


@pytest.mark.parametrize("depth", [16, 1024])
def test_of_a_deep_stack_as_many_frames_are_kept_as_were_asked_for(interpreter, work, depth):
    """The innermost ones, of two threads at a time."""
    _, found = deep(interpreter, work, 2000, "--max-depth", str(depth))
    for sample, names in found:
        assert len(names) == depth and is_one_call_after_another(names), names
        assert sample.flags & recording.FLAG_PYTHON_TRUNCATED
    assert {names[-1] for _, names in found} == {"left", "right"}


def test_a_stack_within_the_largest_depth_is_whole(interpreter, work):
    _, found = deep(interpreter, work, 1000, "--max-depth", "1024")
    for sample, names in found:
        assert len(names) == 1 + 1001 + STARTED_BY and names[-1] == "_bootstrap", names
        assert is_one_call_after_another(names[:-STARTED_BY])
        assert not sample.flags & recording.FLAG_PYTHON_TRUNCATED


def test_without_native_frames_there_are_none(interpreter, work):
    profile, found = deep(interpreter, work, 20, "--no-native", "--alloc-interval", "1024")
    assert all(len(names) == 1 + 21 + STARTED_BY for _, names in found), found
    assert any(b.calls("burn") for b in profile.blocks)
    assert all(f.is_python for row in profile.samples + profile.blocks for f in row.stack)


CAUGHT = """
import time
end = time.thread_time() + 0.5
while time.thread_time() < end: pass
with open("/proc/self/status") as f:
    print(*(int(line.split()[1], 16) for line in f if line.startswith(("SigIgn", "SigCgt"))))
print(time.thread_time())
"""


def test_who_ignores_the_signal_is_sampled_by_the_next_one(interpreter, work):
    """It keeps ignoring the first."""
    here = place.of(interpreter)
    result = here.run(["sh", "-c", "trap '' %d; exec \"$@\"" % SIGSTKFLT, "sh", here.pillion, "record", "-q",
                       "-o", work / "out.pillion", "--", interpreter.path, "-c", CAUGHT])
    assert result.returncode == 0, result.stderr
    (ignored, caught), (spent,) = (line.split() for line in result.stdout.splitlines())
    first, next_one = (1 << number - 1 for number in (SIGSTKFLT, SIGPWR))
    assert int(ignored) & first and not int(caught) & first and int(caught) & next_one
    profile = recording.load(work / "out.pillion")
    # What comes before sampling begins, and a period, may be missing.
    assert 0.48e9 <= profile.total("cpu_ns") <= float(spent) * 1e9 + 0.02e9
    assert sum(s.on_cpu for s in profile.samples) >= 40


def test_who_has_no_signal_left_is_told_so(one_python, work):
    """Before any of ours: the program runs as ever."""
    here = place.of(one_python)
    ignored = " ".join(map(str, (SIGSTKFLT, SIGPWR, signal.SIGPROF, signal.SIGVTALRM, signal.SIGXFSZ)))
    result = here.run(["sh", "-c", "trap '' %s; exec \"$@\"" % ignored, "sh", here.pillion, "record",
                       "-o", work / "out.pillion", "--", one_python.path, "-c", "print(6 * 7)"])
    assert result.returncode == 0 and result.stdout == "42\n"
    assert "has no signal left for samples" in result.stderr and "--signal" in result.stderr, result.stderr


def test_verbose_says_what_is_done_and_with_which_files(one_python, work):
    here = place.of(one_python)
    result = recording.record(one_python, ["-c", "import os; print(os.getpid())"], work, options=["-v"])
    assert result.returncode == 0
    first, hello = result.stderr.splitlines()[:2]
    assert first == "pillion: recording with %s into %s" % (here.library, result.path)
    assert hello.startswith("pillion: process %s says hello: " % result.stdout.strip()) and "python" in hello


COMPRESSES = """
import os, time, zlib
def compresses():
    end = time.monotonic() + 60
    while time.monotonic() < end: zlib.compress(bytes(100000))
print(os.getpid(), flush=True)
compresses()
"""


@pytest.fixture(scope="module")
def unfinished(here, one_python, session_work):
    """Who writes the profile is killed, and so has found no symbols for it."""
    path = session_work / "unfinished.pillion"
    argv = [here.pillion, "record", "-q", "-o", path, "--", one_python.path, "-c", COMPRESSES]
    with here.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        pid = int(process.stdout.readline())
        try:
            recording.wait_for_samples(path)
        finally:
            process.kill()
            os.kill(pid, signal.SIGKILL)
    return path


def text_of(here, work, verb, *options):
    result = here.run([here.pillion, *verb, "-o", work / "x", "--force", *options])
    assert result.returncode == 0, result.stderr
    return unpacked(work / "x") if verb[0] == "html" else (work / "x").read_text()


@pytest.mark.parametrize("verb", ["export -f folded", "html"])
def test_no_symbols_are_looked_for_when_none_are_wanted(here, unfinished, work, verb):
    """Native code is then called by its place in a file; Python's names are in the profile."""
    plain, without = (text_of(here, work, verb.split(), *options, unfinished) for options in ([], ["--no-symbolize"]))
    assert "Py_BytesMain" in plain and "compresses" in plain
    assert "Py_BytesMain" not in without and "compresses" in without


def test_the_report_has_none_either(here, unfinished):
    def native(*options):
        result = here.run([here.pillion, "report", "--json", "-n", "0", *options, unfinished])
        return [f["function"] for f in json.loads(result.stdout)["functions"] if f["kind"] == "native"]
    assert "Py_BytesMain" in native()
    found = native("--no-symbolize")
    assert found and all(re.search(r"\+0x[0-9a-f]+$", name) for name in found), found


def test_info_knows_how_many_frames_are_named(here, unfinished):
    def named(*options):
        text = here.run([here.pillion, "info", *options, unfinished]).stdout
        return [float(percent) for percent in re.findall(r"^ +\d+ +(\d+\.\d) +\d+\.\d  ", text, re.M)]
    assert max(named()) > 90 and set(named("--no-symbolize")) == {0.0}
