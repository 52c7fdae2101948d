# SPDX-License-Identifier: MIT
"""What comes and goes fast, nests deep, or is not taken away: nothing of it hurts the program."""
import glob

import pytest
import recording
from prelude import PRELUDE

LANE_FULL = 0  # enum pln_drop
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


@pytest.mark.full
def test_a_full_lane_costs_samples_and_nothing_else(python, work):
    """The collector stands still: the CPU time is known, and that no sample stands for it."""
    profile, out = recording.record_ok(python, ["-c", DEEP + """
def works():
    os.kill(os.getppid(), signal.SIGSTOP)
    try:
        for i in range(1000):  # hardly a stack is met twice in a row
            dive(100 + i % 100, lambda: burn(0.001))
    finally:
        os.kill(os.getppid(), signal.SIGCONT)
    print(time.thread_time())
start(works).join()
"""], work, options=["-F", "1000"])
    burned = float(out)
    index, = [i for i, t in enumerate(profile.threads) if not t["is_main"]]
    sampled = profile.by_thread("cpu_ns")[index] / 1e9
    unsampled = profile.threads[index]["unsampled_cpu_ns"] / 1e9
    assert profile.drops[LANE_FULL] > 0 and sampled < 0.9 * burned
    assert abs(sampled + unsampled - burned) <= 0.1 * burned
