# SPDX-License-Identifier: MIT
"""Burst mode shows true stacks, in the right shares, and changes nothing for the program."""
import contextlib
import os
import re
import resource
import signal

import pytest

import exports
import recording

pytestmark = pytest.mark.alone  # looks, and shares of a CPU, are fewer on a crowded machine

PROGRAM = """
import time
def leaf(n):
    s = 0
    for i in range(n):
        s += i * i
    return s
def left(n):
    return leaf(n)
def right(n):
    return leaf(n)
def both(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left(7000)
        right(3000)
"""
SPANS = {"leaf": (3, 7), "left": (8, 9), "right": (10, 11), "both": (12, 16), "<module>": (1, 40)}
# What may be innermost, and the calls that led there: function, line.
CALLS = {
    "both": [("<module>", 17)],
    "left": [("both", 15), ("<module>", 17)],
    "right": [("both", 16), ("<module>", 17)],
    "leaf left": [("left", 9), ("both", 15), ("<module>", 17)],
    "leaf right": [("right", 11), ("both", 16), ("<module>", 17)],
}


def burst(interpreter, program, work, rate="=10000000", more=(), **options):
    if "free-threaded" in interpreter.tags:
        pytest.skip("bursts follow who holds the GIL: here nobody does")
    return recording.record_ok(interpreter, ["-c", program], work, options=["--burst" + rate, *more], **options)


def told(profile, pid=None):
    """The line on what was asked for and what was reached, as numbers."""
    lines = [n for n in profile.notes if n.startswith("burst: Python frames only")]
    assert len(lines) == len(profile.processes), profile.notes
    names = ("looks", "asked", "seconds", "samples", "held", "torn", "torn_percent", "full", "far",
             "unseen")
    return dict(zip(names, map(float, re.findall(r"\d+\.?\d*", lines[0]))))


# How long its threads, the one that looks is among them, wanted a CPU and had none: the kernel says.
TELLS_WAITS = """
import glob
print(sum(int(open(task).read().split()[1]) for task in glob.glob("/proc/self/task/*/schedstat")))
"""


def stolen_ns():
    """By other virtual machines."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def burst_with_waits(interpreter, program, work, **options):
    before = stolen_ns()
    profile, out = burst(interpreter, program + TELLS_WAITS, work, **options)
    return profile, int(out) + stolen_ns() - before


def skip_if_crowded(profile, waited_ns):
    """Without a CPU to look from, stacks are true, but there are few moments to weigh them by."""
    numbers = told(profile)
    if numbers["far"] > 20:
        share = waited_ns / (numbers["seconds"] * 1e9)
        assert share > 0.1, "%.0f %% of the time no look was possible, and nobody was in the way: %.3f" % (numbers["far"], share)
        pytest.skip("%.0f %% of the time no look was possible: too many programs for the CPUs" % numbers["far"])


def held_ns(samples):
    return sum(s.wall_ns for s in samples)


def test_every_stack_is_one_that_the_program_has_and_shares_are_right(interpreter, work):
    profile, waited_ns = burst_with_waits(interpreter, PROGRAM + "both(1.5)\n", work)
    running = profile.calling("both")
    for s in running:
        first, last = SPANS[s.stack[0].name]
        assert all(f.is_python for f in s.stack) and first <= s.stack[0].line <= last, s.stack
        assert [(f.name, f.line) for f in s.stack[1:]] in CALLS.values(), s.stack
    left, right = (sum(s.cpu_ns for s in running if s.calls(name)) for name in ("left", "right"))
    assert told(profile)["samples"] > 1000
    skip_if_crowded(profile, waited_ns)
    assert held_ns(running) > 0.6e9 * 1.5
    assert abs(left / (left + right) - 0.7) < 0.04


def test_short_calls_are_never_mixed_up(interpreter, work):
    """Frames of the one path lie where those of the other lay a moment ago."""
    profile, waited_ns = burst_with_waits(interpreter, """
import time
def ping(): return ping_inner()
def ping_inner(): return shared()
def pong(): return pong_inner()
def pong_inner(): return shared()
def shared(): return 1
def both():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        ping(); pong(); ping(); pong(); ping(); pong(); ping(); pong()
both()
""", work)
    paths = [("shared", "ping_inner", "ping"), ("shared", "pong_inner", "pong")]
    possible = {path[i:] for path in paths for i in range(4)}
    running = profile.calling("both")
    for s in running:
        assert tuple(f.name for f in s.stack[:-2]) in possible, s.stack
    skip_if_crowded(profile, waited_ns)
    ping, pong = (held_ns(profile.calling(name)) for name in ("ping", "pong"))
    assert 0.4 < ping / (ping + pong) < 0.6
    # Most looks are torn here, and those that hold are mostly of the longest call.
    parts = [held_ns(s for s in running if s.stack[0].name in names)
             for names in (["both"], ["ping", "pong"], ["ping_inner", "pong_inner"])]
    itself, outer, inner = (part / held_ns(running) for part in parts)
    assert 0.3 < itself < 0.6 and 0.18 < outer < 0.4 and 0.13 < inner < 0.4, parts
    assert told(profile)["unseen"] < 15


def test_calls_that_alternate_do_so_in_every_stack(interpreter, work):
    """What an earlier look has read of a stack is never put under the calls of another one."""
    profile, _ = burst(interpreter, """
import time
def even(n): return odd(n - 1) if n else True
def odd(n): return even(n - 1) if n else False
def both():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        for n in range(0, 40, 3):
            even(n), odd(n)
both()
""", work)
    running = profile.calling("both")
    for s in running:
        names = [f.name for f in s.stack[:-2]]
        assert len(names) <= 40 and set(names) <= {"even", "odd"}, s.stack
        assert all(a != b for a, b in zip(names, names[1:])), s.stack
    assert len({len(s.stack) for s in running}) > 3


def test_threads_are_told_apart_and_share_the_time(interpreter, work):
    profile, _ = burst(interpreter, """
import threading, time
end = time.monotonic() + 1.5
def burn_one():
    while time.monotonic() < end: sum(range(500))
def burn_two():
    while time.monotonic() < end: sum(range(500))
threads = [threading.Thread(target=f) for f in (burn_one, burn_two)]
for t in threads: t.start()
for t in threads: t.join()
""", work)
    one, two = ({s.thread for s in profile.calling(name)} for name in ("burn_one", "burn_two"))
    assert len(one) == len(two) == 1 and one != two
    total = held_ns(profile.samples)
    covered = told(profile)["seconds"] * 1e9
    for name in ("burn_one", "burn_two"):
        assert 0.25 < held_ns(profile.calling(name)) / total < 0.75
    assert total <= covered * 1.001


# As many threads as there are slots for, until they are told to end; burn() is the main thread's, too.
CROWDED_OUT = """
import threading, time
enough = threading.Event()
others = [threading.Thread(target=enough.wait) for _ in range(15)]
for t in others: t.start()
def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end: sum(range(500))
def known(): burn(1)
"""


def test_what_a_thread_without_a_slot_ran_is_no_other_threads(interpreter, work):
    profile, _ = burst(interpreter, CROWDED_OUT + """
stranger = threading.Thread(target=burn, args=[1.5])
stranger.start()
known()
stranger.join()
enough.set()
""", work, more=["--max-threads", "16"])
    line = told(profile)
    assert profile.drops[recording.DROP_NO_LANE] and {s.thread for s in profile.calling("burn")} == {0}
    # A half for one second, and then all of half a one.
    assert line["full"] > 100 and line["unseen"] > 40, line
    assert held_ns(profile.calling("known")) < 0.8e9
    check_that_nothing_counted_is_lost(profile)


def test_a_thread_that_gets_its_slot_late_is_known_from_then_on(interpreter, work):
    """Until 3.10 only the thread itself can tell which one it is for Python."""
    profile, _ = burst(interpreter, CROWDED_OUT + """
def late():
    end = time.monotonic() + 2.5
    while time.monotonic() < end: bytearray(100000)
thread = threading.Thread(target=late)
thread.start()
enough.set()
thread.join()
""", work, more=["--max-threads", "16"])
    assert held_ns(profile.calling("late")) > 1e9, told(profile)


def test_generators_are_in_their_consumers_stack(interpreter, work):
    profile, _ = burst(interpreter, """
import time
def busy(n): return sum(range(n))
def produce():
    while True:
        yield busy(300)
def consume():
    end = time.monotonic() + 1
    for x in produce():
        if time.monotonic() > end: break
consume()
""", work)
    chains = {tuple(f.name for f in s.stack) for s in profile.calling("consume")}
    assert chains <= {("busy", "produce", "consume", "<module>"), ("produce", "consume", "<module>"),
                      ("consume", "<module>")}
    busy = held_ns(profile.calling("busy"))
    assert 0.5 < busy / held_ns(profile.calling("consume"))


def check_that_nothing_counted_is_lost(profile):
    """Whatever the end was: what stacks have, and what is said to be in none, is all."""
    line = told(profile)
    kept = line["seconds"] * 1e9 * (line["held"] - line["unseen"]) / 100
    assert kept > 0
    assert abs(held_ns(profile.samples) - kept) < 0.002e9, line


def test_the_rate_is_kept_and_the_time_adds_up(one_python, work):
    profile, _ = burst(one_python, PROGRAM + "both(2)\n", work, rate="=1000")
    line = told(profile)
    assert line["asked"] == 1000 and line["looks"] <= 1100
    # How many come in time is also the machine's doing.
    assert line["looks"] > 600 or line["far"] > 5, line
    check_that_nothing_counted_is_lost(profile)
    assert line["seconds"] > 1.9 and line["full"] == 0
    profile, _ = burst(one_python, PROGRAM + "both(0.2)\n", work, rate="", name="alone.pillion")
    assert told(profile)["asked"] == 1000000


def test_any_number_of_functions_is_told(one_python, work):
    """That share places where they are looked up, and are in use at one time: between two ticks."""
    profile, waited_ns = burst_with_waits(one_python, """
import time
source = "".join("def f%d(n):\\n for i in range(n): pass\\n" % i for i in range(1000))
exec(source)
functions = [globals()["f%d" % i] for i in range(1000)]
def main():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        for f in functions: f(2000)
main()
""", work, more=["-F", "10"])
    skip_if_crowded(profile, waited_ns)
    assert told(profile)["unseen"] < 20, told(profile)
    assert len({s.stack[0].name for s in profile.calling("main")}) > 300


@contextlib.contextmanager
def limited_address_space():
    """By so much that nothing is in want of any."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 46, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_ran_on_stacks_without_room_is_not_put_on_others(one_python, work):
    """The tables of a process that limits its address space are small."""
    with limited_address_space():
        profile, waited_ns = burst_with_waits(one_python, """
import ctypes
libc = ctypes.PyDLL(None)
def waits(): libc.usleep(20000)  # and keeps the GIL
def runs(n):
    if n: runs(n - 1); runs(n - 1); runs(n - 1)
    else: sum(range(200))
for i in range(30): waits(); runs(9)
""", work)
    skip_if_crowded(profile, waited_ns)
    line, waits = told(profile), profile.calling("waits")
    assert line["full"] > 1000 and line["unseen"] > 5, line
    assert held_ns(waits) > 0.5e9
    assert profile.total("cpu_ns", waits) < 0.1 * held_ns(waits)
    check_that_nothing_counted_is_lost(profile)


def test_a_thread_that_waits_gets_no_time(one_python, work):
    profile, _ = burst(one_python, "import time\ndef waits(): time.sleep(1)\nwaits()\n", work)
    assert held_ns(profile.calling("waits")) < 0.05e9
    assert told(profile)["held"] < 20 and told(profile)["seconds"] > 0.9


def test_where_a_thread_is_taken_off_its_cpu_says_nothing_of_what_it_ran(one_python, work):
    """On a crowded machine that is where it asks the kernel something, and there it is seen when we have a CPU again."""
    with recording.crowd():
        profile, _ = burst(one_python, recording.ASKS + "both(1.5)", work)
    total, far = profile.total("cpu_ns"), told(profile)["far"]
    asks, long, short = (sum(s.cpu_ns for s in profile.calling(name)) for name in ("asks", "long", "short"))
    assert far > 10
    if far > 72:  # the crowd alone makes it 61
        pytest.skip("%.0f %% of the time no look was possible: more programs than the test's own" % far)
    assert asks < 0.25 * total
    assert abs(long / (long + short) - 0.7) < 0.08
    assert total > 0.8 * sum(t["cpu_ns"] for t in profile.threads if t["has_python"])


def test_what_ran_while_stopped_is_nobodys(one_python, work):
    """On a crowded machine, what is waited for afterwards is not taken for it."""
    with recording.crowd():
        profile, out = burst(one_python, recording.ASKS + """
import ctypes
libc = ctypes.CDLL(None)
def settle(wanted):
    while libc.pillion_is_sampling() != wanted: pass
while not libc.pillion_is_sampling() or time.thread_time() < 0.3: pass
libc.pillion_stop()
settle(0)
end = time.thread_time() + 1
while time.thread_time() < end: pass
libc.pillion_start()
settle(1)
begin = time.thread_time()
both(0.5)
print(time.thread_time() - begin)
""", work)
    assert profile.total("cpu_ns", profile.calling("both")) / 1e9 < 1.1 * float(out) + 0.05


def test_a_stack_deeper_than_is_kept_is_cut_and_said_to_be(interpreter, work):
    profile, _ = burst(interpreter, """
import sys, time
sys.setrecursionlimit(5000)
def dive(n): return dive(n - 1) if n else burn()
def burn():
    end = time.monotonic() + 0.5
    while time.monotonic() < end: pass
dive(2000)
""", work)
    burning = profile.calling("burn")
    assert burning
    assert all(len(s.stack) == 512 and s.flags & recording.FLAG_PYTHON_TRUNCATED for s in burning)


def test_children_are_counted_for_themselves(one_python, work):
    profile, _ = burst(one_python, PROGRAM + """
import os
if not os.fork():
    left(5000000)
    os._exit(0)
os.wait()
""", work)
    child, = {profile.thread(s)["process"] for s in profile.calling("left")}
    assert profile.processes[child]["ppid"] == profile.processes[1 - child]["pid"]


@pytest.mark.parametrize("end, expected", [("sys.exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", None)])
def test_the_end_is_the_programs_own_and_nothing_counted_is_lost(one_python, work, end, expected):
    program = "import os, signal, sys\n" + PROGRAM + "both(1)\nsys.stdout.flush()\n" + end
    r = recording.record(one_python, ["-c", program], work, options=["--burst"])
    assert r.returncode in ([7] if expected else [-signal.SIGKILL, 128 + signal.SIGKILL]), r.stderr
    check_that_nothing_counted_is_lost(r.load())


def test_readers_say_that_there_are_only_python_frames(one_python, work, here):
    import place
    burst(one_python, PROGRAM + "both(0.3)\n", work)
    for verb in (["report"], ["info"], ["export", "-f", "folded", "-o", "-"]):
        result = place.HERE.run([place.HERE.pillion, *verb, work / "out.pillion"])
        assert result.returncode == 0, result.stderr
        expected = "leaf" if verb[0] == "export" else "burst: Python frames only"
        assert expected in result.stdout


def test_allocations_have_only_python_frames_as_well(one_python, work):
    """A native stack would be a copy of 16 KiB, as there are no tables to walk it by."""
    profile, _ = burst(one_python, """
import time
def allocate():
    end = time.monotonic() + 0.5
    while time.monotonic() < end: bytearray(5000)
allocate()
""", work, more=["--alloc-interval", "100000"])
    blocks = [b for b in profile.blocks if b.calls("allocate")]
    assert len(blocks) > 100 and recording.lost_blocks(profile) == 0
    assert all(f.is_python for b in profile.blocks for f in b.stack), blocks[0].stack


def test_other_readers_are_told_the_rate_that_was_reached(one_python, work, here):
    """Timers' rate, a hundred a second, is not in force."""
    profile, _ = burst(one_python, PROGRAM + "both(0.5)\n", work, rate="=2000")
    looks = told(profile)["looks"]
    firefox = exports.read_firefox(recording.export(here, work / "out.pillion", work / "out.json.gz", "firefox"))
    assert float(firefox["meta"]["interval"]) == pytest.approx(1000 / looks, rel=0.05)
    merged = here.run([here.pillion, "merge", "-o", work / "all.pillion", work / "out.pillion"])
    assert merged.returncode == 0, merged.stderr
    notes = here.run([here.pillion, "info", work / "all.pillion"], env={"COLUMNS": "300"}).stdout
    assert float(re.search(r" at ([\d.]+) Hz", notes).group(1)) == pytest.approx(looks, rel=0.05), notes


def test_rows_of_a_second_are_told_as_no_samples(one_python, work):
    """They have no rate, and the one that was made last says nothing of the end."""
    import place
    program = "import os, signal\n" + PROGRAM + "both(1.2)\nos.kill(os.getpid(), signal.SIGKILL)"
    recording.record(one_python, ["-c", program], work, options=["--burst", "--memory", "off"])
    shown = place.HERE.run([place.HERE.pillion, "report", work / "out.pillion"], env={"COLUMNS": "300"}).stdout
    assert "samples per CPU second" not in shown and "ticks per second of" in shown, shown
    assert "before, thread" not in shown and "burst mode does not tell what it ran at last" in shown, shown
    shown = place.HERE.run([place.HERE.pillion, "stat", work / "out.pillion"], env={"COLUMNS": "300"}).stdout
    assert "per CPU second" not in shown, shown
