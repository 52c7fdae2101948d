# SPDX-License-Identifier: MIT
"""Samples in the middle of what takes the loader's, the allocator's or the kernel's locks.

Two threads do the same thing over and over, at the highest rate of samples: one that took
such a lock, or was taken while another thread held it, would stand still.
"""
import place
import pytest
import recording
from prelude import PRELUDE

KINDS = ["exception", "loader", "allocator", "threads", "fork", "vfork", "spawn", "names"]
RUN = PRELUDE + """
import collections, storms_ext
kinds, seconds = sys.argv[1].split(','), float(sys.argv[2])
rounds, failed = collections.Counter(), collections.Counter()
def storm(kind):
    done, bad = storms_ext.storm(kind, seconds)
    rounds[kind] += done
    failed[kind] += bad
for t in [start(storm, kind) for kind in kinds for i in range(2)]: t.join()
print(min(rounds[kind] for kind in kinds), sum(failed.values()))
"""


def run(python, work, kinds, seconds, interval=65536):
    profile, out = recording.record_ok(
        python, ["-c", RUN, ",".join(kinds), str(seconds)], work, timeout=60,
        options=["-F", "1000", "--alloc-interval", str(interval), "--no-subprocesses"],
        env={"PYTHONPATH": place.build_extension(python, "storms_ext")})
    rounds, failed = map(int, out.split())
    assert not failed
    assert any(s.on_cpu for s in profile.calling("storm"))
    return rounds


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stands_still(python, work, times, kind, record_property):
    rounds = run(python, work, [kind], 0.4 * times)
    record_property("figure", "%s: %d" % (kind, rounds))
    assert rounds >= 10


def test_nothing_stands_still_with_all_at_once(python, work, times, record_property):
    """The locks are met in every order."""
    rounds = run(python, work, KINDS, 2 * times)
    record_property("figure", "%d rounds of the slowest" % rounds)
    assert rounds >= 3


def test_a_walk_for_an_allocation_may_be_interrupted_by_another_one(python, work, times, record_property):
    """Each allocation is walked on its own thread, where a timer's signal meets the walk."""
    rounds = run(python, work, ["allocator"], 0.5 * times, interval=64)
    record_property("figure", "%d rounds" % rounds)
    assert rounds >= 10
