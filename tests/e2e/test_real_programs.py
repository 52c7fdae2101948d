# SPDX-License-Identifier: MIT
"""Ordinary programs: stacks reach the root, Python and native agree, nothing is dropped."""
import collections

import pytest

import interpreters
import place
import recording

NAMES = ["interpreter", "json", "re", "sqlite", "hashes", "zlib", "ssl", "http", "threads"]
RUN = """
import sys, time
sys.path.insert(0, sys.argv[1])
import programs
for name in sys.argv[2].split(","):
    end = time.process_time() + float(sys.argv[3])
    programs.PROGRAMS[name](1)
    while time.process_time() < end:
        programs.PROGRAMS[name](1)
"""
BROKEN = {
    recording.FLAG_NATIVE_TRUNCATED: "native stack cut",
    recording.FLAG_PYTHON_TRUNCATED: "Python stack cut",
    recording.FLAG_PYTHON_FAILED: "Python stack refused",
    recording.FLAG_JOIN_MISMATCH: "stacks do not match",
}


def record(interpreter, names, seconds, work, env=None, hz=500):
    profile, _ = recording.record_ok(
        interpreter, ["-c", RUN, place.WORKLOADS, ",".join(names), str(seconds)], work,
        options=["-F", str(hz)], env=env)
    return profile


def faults(profile, samples):
    found = collections.Counter()
    example = {}
    for s in samples:
        for flag, meaning in BROKEN.items():
            if s.flags & flag:
                found[meaning] += 1
                example.setdefault(meaning, "\n  ".join(map(str, s.stack)))
    return found, "\n\n".join("%s\n  %s" % item for item in example.items())


def test_stacks_of_the_standard_library_are_whole(interpreter, work):
    profile = record(interpreter, NAMES, 0.6, work)
    on_cpu = [s for s in profile.samples if s.on_cpu]
    assert len(on_cpu) >= 500
    found, example = faults(profile, on_cpu)
    assert sum(found.values()) <= 0.005 * len(on_cpu), "of %d: %s\n%s" % (len(on_cpu), dict(found), example)


def test_every_program_shows_its_own_function(interpreter, work):
    profile = record(interpreter, NAMES, 0.3, work)
    for name in NAMES:
        samples = profile.calling("program_" + name)
        assert profile.total("wall_ns", samples) >= 0.2e9, name


def test_nothing_is_dropped(interpreter, work):
    profile = record(interpreter, NAMES, 0.3, work, hz=100)
    expected_drops = 7  # PILLION_DROP_BLOCKED_RACE: a thread woke up while it was looked at
    drops = [n for i, n in enumerate(profile.drops) if i != expected_drops]
    assert not any(drops), profile.drops


def test_numpy_reaches_the_root_through_assembly(work):
    """OpenBLAS kernels have no unwind tables: they are crossed by guessing, and marked."""
    chosen = [i for i in interpreters.supported() if not i.root and i.minor in ((3, 11), (3, 12), (3, 10))]
    for interpreter in reversed(chosen):
        directory = place.packages(interpreter, "numpy")
        if directory:
            break
    else:
        pytest.skip("numpy cannot be installed here")
    profile = record(interpreter, ["numpy"], 4, work, env={"PYTHONPATH": directory})
    samples = [s for s in profile.calling("program_numpy") if s.on_cpu]
    blas = [s for s in samples if any("openblas" in f.module for f in s.stack)]
    cut = [s for s in blas if s.flags & recording.FLAG_NATIVE_TRUNCATED]
    assert len(blas) >= 100
    assert len(cut) <= 0.01 * len(blas), "%d of %d\n%s" % (len(cut), len(blas), "\n".join(map(str, cut[0].stack)))
