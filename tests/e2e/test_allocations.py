# SPDX-License-Identifier: MIT
"""malloc and free are counted exactly, by threads that know what they ask for."""
import json

import pytest

import place
import recording

KINDS = ["threads", "across", "signalled", "fork"]


def driver(interpreter):
    return place.build_extension(interpreter, "alloc_driver") + "/alloc_driver.so"


def record(interpreter, work, kind, options=(), env=None):
    profile, out = recording.record_ok(
        interpreter, [place.WORKLOADS / "allocations.py", driver(interpreter), kind], work, options=options, env=env)
    return profile, {int(tid): counts for tid, counts in json.loads(out)[kind].items()}


def check(profile, truth):
    counted = {t["tid"]: t["heap"][recording.HEAP_MALLOC] for t in profile.threads}
    assert {tid: counted[tid] for tid in truth} == truth
    for i, process in enumerate(profile.processes):
        total = process["heap"][recording.HEAP_MALLOC]
        threads = [t["heap"][recording.HEAP_MALLOC] for t in profile.threads if t["process"] == i]
        sums = [sum(t[k] for t in threads) for k in range(4)]
        # What threads do after their last words is the process's.
        assert all(0 <= whole - known < 100000 for whole, known in zip(total, sums)), (total, sums)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_exact(interpreter, work, kind):
    check(*record(interpreter, work, kind))


@pytest.mark.parametrize("kind, options", [
    *((kind, options) for kind in KINDS for options in ("--memory=count", "--alloc-interval=20000")),
    ("across", "--alloc-interval=1")])
def test_counts_are_exact_however_much_is_sampled(one_python, work, kind, options):
    """A sample may be taken, or lost, inside of any call: its own counts are not touched."""
    check(*record(one_python, work, kind, [options]))


def test_mappings_are_counted_exactly(interpreter, work):
    """In parts, over others, moved, in vain; on four threads at once."""
    profile, truth = record(interpreter, work, "mappings")
    counted = {t["tid"]: t["heap"][recording.HEAP_MAPPING] for t in profile.threads}
    assert {tid: counted[tid] for tid in truth} == truth
    assert all(c[1] == c[3] for c in truth.values())


COUNTS_ON = """
import ctypes, os, sys, threading, time
driver = ctypes.PyDLL(sys.argv[1])
driver.alloc_and_keep.restype = ctypes.c_void_p
driver.alloc_and_keep.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint]
driver.free_kept.argtypes = [ctypes.c_void_p]
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def loud():
    for _ in range(40):
        driver.free_kept(driver.alloc_and_keep(None, 1000, 500))
        burn(0.01)
def quiet():
    burn(0.2)
def work():
    quiet()
    loud()
    quiet()
    os._exit(0)  # without any more of malloc
threading.Thread(target=work).start()
"""


def test_samples_carry_what_was_counted_since_the_last_one(one_python, work):
    """Together what the thread's counters had at its last sample; each near where it was allocated."""
    profile, _ = recording.record_ok(one_python, ["-c", COUNTS_ON, driver(one_python)], work)
    thread, = {s.thread for s in profile.calling("loud")}
    samples = [s for s in profile.samples if s.thread == thread]
    fields = "alloc_calls", "alloc_bytes", "free_calls", "free_bytes"
    assert [profile.total(f, samples) for f in fields] == profile.threads[thread]["heap"][recording.HEAP_MALLOC]
    assert not any(getattr(s, f) for s in samples for f in fields if not s.on_cpu)
    # 40 times 500 blocks of 1,000 bytes; what the last turns did may be found in quiet().
    loud = profile.calling("loud")
    assert 18000 <= profile.total("alloc_calls", loud) <= 21000
    assert 18e6 <= profile.total("alloc_bytes", loud) <= 22e6
    assert 18000 <= profile.total("free_calls", loud) <= 21000


@pytest.mark.parametrize("interval", ["1", "500", "524288"])
def test_errno_is_as_without(one_python, work, interval):
    """When a call is sampled, too."""
    program = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).alloc_changes_errno(20000))"
    _, out = recording.record_ok(one_python, ["-c", program, driver(one_python)], work,
                                 options=["--alloc-interval", interval])
    assert not out
