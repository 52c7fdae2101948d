# SPDX-License-Identifier: MIT
"""No system call is interrupted by being profiled."""
import json

import pytest

import place
import recording


def run(interpreter, work, seconds, options=()):
    extension = place.build_extension(interpreter, "eintr_ext")
    profile, out = recording.record_ok(
        interpreter, [place.WORKLOADS / "eintr.py", str(seconds)], work, options=options,
        env={"PYTHONPATH": extension}, timeout=seconds + 60)
    return profile, json.loads(out)


def check(profile, result):
    interrupted = {kind: count for kind, (_, count) in result.items() if count}
    assert not interrupted, interrupted
    # The busy threads beside them were sampled all the while.
    assert profile.total("cpu_ns", profile.calling("busy")) > 0.5e9


def test_no_call_is_interrupted(interpreter, work):
    profile, result = run(interpreter, work, 3)
    check(profile, result)
    assert len(result) == 7 and all(calls > 100 for calls, _ in result.values()), result


@pytest.mark.long
def test_no_call_of_a_million_is_interrupted(one_python, work):
    profile, result = run(one_python, work, 70)
    check(profile, result)
    assert sum(calls for calls, _ in result.values()) >= 1_000_000


def test_the_count_can_see_an_interrupted_call(one_python):
    """A handler with SA_RESTART, and a signal: what a signalling profiler would do."""
    extension = place.build_extension(one_python, "eintr_ext")
    result = place.of(one_python).run(
        [one_python.path, place.WORKLOADS / "eintr.py", "1", "pester"], env={"PYTHONPATH": extension})
    counts = json.loads(result.stdout)
    assert all(interrupted for _, interrupted in counts.values()), counts
