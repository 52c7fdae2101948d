# SPDX-License-Identifier: MIT
"""The process's exact counts are those of a library in front of Pillion, which sees every call.

From the first allocation of the loader to the last one of the last destructor, whatever the
program does in between, on every thread, and in every process.
"""
import pytest

import recording
import truth

ENDS = {
    "ends": "ends.alloc_ends(20)",
    "killed": "ends.alloc_ends(3); os.kill(os.getpid(), 9)",
    "exits at once": "ends.alloc_ends(3); os._exit(0)",
    "forks": """
for _ in range(3):
    pid = os.fork()
    if not pid:
        ends.alloc_ends(2)
        if not os.fork():
            ends.alloc_ends(2)
            os._exit(0)
        os.wait()
        break
    os.waitpid(pid, 0)
""",
    "threads": """
import threading
def work():
    for i in range(100):
        list(map(bytes, range(500, 900)))
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
""",
    "children": """
import subprocess, sys
for i in range(3):
    subprocess.check_call([sys.executable, "-c", "print(len([bytes(1000) for i in range(1000)]))"])
""",
}


@pytest.mark.parametrize("kind", ENDS)
def test_totals_are_exact(one_python, work, kind):
    profile, counts, _ = truth.record(one_python, work, ENDS[kind])
    truth.check(profile, counts)
    assert len(profile.processes) == {"forks": 7, "children": 4}.get(kind, 1)
    # What a child was born with is not in its counts.
    for process in profile.processes[1:]:
        assert (process["heap_inherited_bytes"] > 1 << 20) == (kind == "forks")
        assert process["heap_peak_bytes"] >= process["heap_inherited_bytes"]
    assert profile.processes[0]["heap_inherited_bytes"] == 0


def test_a_child_that_did_nothing_has_the_peak_that_it_was_born_with(one_python, work):
    """It ends before it has counted once."""
    profile, _ = recording.record_ok(one_python, ["-c", """
import os
for i in range(20):
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""], work)
    children = profile.processes[1:]
    assert len(children) == 20
    assert all(c["heap_peak_bytes"] >= c["heap_inherited_bytes"] > 1 << 20 for c in children)


def test_threads_that_find_no_lane_are_counted(one_python, work):
    """More of them at one time than there may be, and as many again that come after."""
    profile, counts, _ = truth.record(one_python, work, """
import threading
def work():
    together.wait()
    list(map(bytes, range(500, 900)))
together = threading.Barrier(40)
threads = [threading.Thread(target=work) for _ in range(80)]
[t.start() for t in threads]
[t.join() for t in threads]
""", options=["--max-threads", "16"])
    truth.check(profile, counts)
    assert profile.drops[recording.DROP_NO_LANE] > 20, profile.drops


def test_totals_are_exact_in_every_interpreter(interpreter, work):
    truth.check(*truth.record(interpreter, work, ENDS["ends"])[:2])


def test_a_constructor_that_runs_before_ours_is_counted(one_python, work):
    """Preloaded behind Pillion: the loader begins with the last one."""
    ends = truth.library(one_python, "alloc_ends")
    truth.check(*truth.record(one_python, work, ENDS["ends"], behind=[ends])[:2])


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_totals_are_exact_where_objects_are_followed_too(one_python, work, allocator):
    profile, counts, _ = truth.record(one_python, work, ENDS["threads"], options=["--objects"],
                                      env={"PYTHONMALLOC": allocator})
    truth.check(profile, counts)
    assert profile.processes[0]["heap"][recording.HEAP_OBJECT][0] > 0


def test_children_that_share_the_memory_change_nothing(one_python, work):
    """Their first allocation is the one that a sample is due at: the interval is 1."""
    profile, _ = recording.record_ok(one_python, ["-c", """
import ctypes, sys, time
end = time.thread_time() + 0.3
while time.thread_time() < end: pass
ends = ctypes.CDLL(sys.argv[1])
assert ends.alloc_in_vfork_child(3) == 0
kept = [bytearray(1000) for i in range(20000)]
""", truth.library(one_python, "alloc_ends")], work, options=["--alloc-interval", "1"])
    assert profile.processes[0]["heap"][recording.HEAP_MALLOC][0] > 20000


def test_every_thread_is_told_of(one_python, work):
    """Threads that begin and end between the last tick and the end of the process."""
    profile, out = recording.record_ok(one_python, ["-c", """
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
tids = []
def work():
    tids.append(libc.gettid())
time.sleep(0.1)
for _ in range(20):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(*tids, flush=True)
os._exit(0)
"""], work)
    told = {t["tid"]: t["heap"][recording.HEAP_MALLOC] for t in profile.threads}
    assert set(map(int, out.split())) <= set(told)
    assert all(told[int(tid)][0] > 0 for tid in out.split())
