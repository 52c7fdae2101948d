# SPDX-License-Identifier: MIT
"""What comes and goes fast, nests deep, or is not taken away: nothing of it hurts the program."""
import glob
import pathlib
import shutil

import pytest
import recording
import truth
from prelude import PRELUDE

LANE_FULL, FREE_LOST = 0, 12  # enum pln_drop
DEEP = PRELUDE + """
sys.setrecursionlimit(20000)
threading.stack_size(256 << 20)
def dive(depth, work):
    return work() if not depth else dive(depth - 1, work)
"""


def test_libraries_and_threads_that_come_and_go(python, work, times):
    """Unwind tables are built and taken down under samples at the highest rate."""
    libraries = [p for name in ("libz.so.1", "liblzma.so.5", "libbz2.so.1.0", "libgcc_s.so.1")
                 for p in glob.glob(python.root + "/lib/x86_64-linux-gnu/" + name)]
    assert len(libraries) >= 2
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
import _ctypes
end = time.monotonic() + %d
rounds = [0, 0]
def opens():
    while time.monotonic() < end:
        for name in %r:
            _ctypes.dlclose(_ctypes.dlopen(name, os.RTLD_NOW))
        rounds[0] += 1
def starts():
    while time.monotonic() < end:
        start(burn, 0.001).join()
        rounds[1] += 1
for t in [start(opens), start(starts), start(starts)]: t.join()
print(min(rounds) > 10)
""" % (2 * times, [p[len(python.root):] for p in libraries])], work, options=["-F", "1000"])
    assert out == "True\n"
    assert profile.calling("opens") and profile.calling("burn")


@pytest.mark.full
def test_stacks_deeper_than_is_recorded_are_cut_and_said_to_be(python, work):
    profile, _ = recording.record_ok(python, ["-c", DEEP + "start(dive, 5000, burn).join()"], work)
    burning = [s for s in profile.samples if s.calls("burn") and s.on_cpu]
    assert len(burning) >= 10
    assert all(s.flags & recording.FLAG_PYTHON_TRUNCATED for s in burning)


THREADS, BLOCKS, LIBRARIES = 40, 60, 12


def copies(python, work):
    """Libraries that only this program has."""
    original = pathlib.Path(truth.library(python, "alloc_ends"))
    return [shutil.copy(str(original), str(work / ("copy%d.so" % i))) for i in range(LIBRARIES)]


@pytest.mark.full
def test_a_full_lane_costs_samples_and_nothing_else(python, work, record_property):
    """
    The collector stands still: the CPU time is known, and that no sample stands for it. Threads that end, libraries
    that come and sampled blocks that go meanwhile are told all the same.
    """
    profile, out = recording.record_ok(python, ["-c", DEEP + """
import _ctypes
def deep(rounds):
    for i in range(rounds):  # hardly a stack is met twice in a row
        dive(100 + i % 100, lambda: burn(0.001))
def large():
    return [bytes(4 << 20) for i in range(int(sys.argv[1]))]
def works():
    blocks = large()
    os.kill(os.getppid(), signal.SIGSTOP)
    try:
        deep(800)
        full = time.monotonic_ns()
        blocks.clear()
        for path in sys.argv[3:]: _ctypes.dlopen(path, os.RTLD_NOW)
        for i in range(int(sys.argv[2])): start(burn, 0.002).join()
        deep(200)
        print(full, time.monotonic_ns(), time.thread_time())
    finally:
        os.kill(os.getppid(), signal.SIGCONT)
wait_until(is_sampling)
start(works).join()
""", str(BLOCKS), str(THREADS), *copies(python, work)], work, options=["-F", "1000"])
    full, again, burned = int(out.split()[0]), int(out.split()[1]), float(out.split()[2])
    index = max((i for i, t in enumerate(profile.threads) if not t["is_main"]), key=lambda i: profile.threads[i]["cpu_ns"])
    sampled = profile.by_thread("cpu_ns")[index] / 1e9
    unsampled = profile.threads[index]["unsampled_cpu_ns"] / 1e9
    assert profile.drops[LANE_FULL] > 0 and sampled < 0.9 * burned
    assert abs(sampled + unsampled - burned) <= 0.1 * burned

    ended = [t for t in profile.threads if full <= t["start_ns"] and t["exited"] and t["seen_ns"] <= again]
    loaded = {m["path"] for m in profile.data["modules"]} & {str(path) for path in work.glob("copy*.so")}
    large = [b for b in profile.blocks if b.calls("large") and b.size >= 4 << 20]
    freed = [b for b in large if full <= b.freed_ns <= again]
    record_property("figure", "%d samples dropped; %d threads, %d libraries and %d of %d blocks told" % (
        profile.drops[LANE_FULL], len(ended), len(loaded), len(freed), len(large)))
    assert len(ended) == THREADS and len(loaded) == LIBRARIES
    assert all(t["cpu_ns"] >= 0.002e9 for t in ended)
    # Each stands for 8 intervals: one in 3,000 is no sample.
    assert len(large) >= BLOCKS - 2 and len(freed) == len(large)
    assert not profile.drops[FREE_LOST]
