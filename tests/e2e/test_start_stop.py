# SPDX-License-Identifier: MIT
"""A program that records parts of itself: these to the nanosecond, and nothing of the others."""
import json
import pathlib
import re
import subprocess
import time

import pytest

import place
import recording
from test_export import report

PERIOD_NS = 10_000_000
OFF = {"PILLION_START": "off"}


def record(interpreter, work, *arguments, env=OFF):
    profile, out = recording.record_ok(interpreter, [place.WORKLOADS / "start_stop.py", *arguments], work, env=env)
    return profile, json.loads(out)


def inside(profile, name):
    return sum(s.cpu_ns for s in profile.samples if s.calls(name))


def test_short_turns_add_up(interpreter, work):
    """Turns of 13 and 7 ms: the period of 10 ms spans them, and keeps its length."""
    profile, spent = record(interpreter, work, "turns", "3")
    [main] = profile.threads
    assert abs(inside(profile, "wanted") - spent["wanted"]) < 0.04 * spent["wanted"] + 2 * PERIOD_NS
    # The call of pillion_stop() itself is sampled; what comes after it is not.
    assert inside(profile, "unwanted") == 0
    assert abs(main["cpu_ns"] - spent["wanted"]) < 0.05 * spent["wanted"]
    assert main["dormant_cpu_ns"] > spent["unwanted"]
    # The process's is taken once for all its threads: on a crowded machine, at another moment.
    assert abs(main["dormant_wall_ns"] - profile.processes[0]["dormant_ns"]) < 0.2 * main["dormant_wall_ns"]
    wall = main["seen_ns"] - main["start_ns"] - main["dormant_wall_ns"]
    assert abs(profile.by_thread("wall_ns")[0] - wall) < 0.01 * wall + 2 * PERIOD_NS


def test_the_sampling_thread_says_what_it_does(interpreter, work):
    """It has a table of descriptors of its own."""
    recorded = recording.record(interpreter, [place.WORKLOADS / "start_stop.py", "turns", "0.5"], work,
                                env=dict(OFF, PILLION_LOG="info"))
    assert recorded.returncode == 0
    assert "]: sampling again" in recorded.stderr and "]: dormant: told to" in recorded.stderr, recorded.stderr


def test_threads_across_the_borders(interpreter, work):
    profile, spent = record(interpreter, work, "threads")
    assert abs(inside(profile, "wanted") - spent["wanted"]) <= 2 * PERIOD_NS
    assert inside(profile, "unwanted") == 0
    assert not sum(s.offcpu_ns for s in profile.samples if s.calls("unwanted"))
    for thread in profile.threads:
        wall = thread["seen_ns"] - thread["start_ns"] - thread["dormant_wall_ns"]
        assert -PERIOD_NS < wall < 5e9


def test_a_child_forked_while_stopped_can_start(interpreter, work):
    profile, spent = record(interpreter, work, "fork")
    assert len(profile.processes) == 2
    assert abs(inside(profile, "wanted") - spent["wanted"]) <= 2 * PERIOD_NS
    assert inside(profile, "unwanted") == 0


def test_the_option_and_the_report_say_so(here, one_python, work):
    path = work / "one.pillion"
    here.run([here.pillion, "record", "-q", "--no-start", "-o", path, "--", one_python.path,
              place.WORKLOADS / "start_stop.py", "turns", "0.5"])
    header = here.run([here.pillion, "report", path]).stdout.split("\n\n")[0]
    assert "by the program, pillion ctl or for want of a collector: nothing in it was sampled" in " ".join(header.split())
    told = json.loads(here.run([here.pillion, "info", "--json", path]).stdout)
    sums = told["accounting"]
    assert sums["stopped_cpu_ns"] > 200_000_000
    assert sums["process_cpu_ns"] == sum(sums[k + "_cpu_ns"] for k in (
        "sampled", "unsampled", "sampling_thread", "stopped", "outside"))


def test_who_ran_while_stopped_does_not_block_our_signal(one_python, work):
    """Each turn is far longer than what a thread may run without a sample."""
    program = ("import ctypes, time\nlibrary = ctypes.CDLL(None)\n"
               "for turn in range(8):\n"
               "    end = time.thread_time() + .55\n    while time.thread_time() < end: pass\n"
               "    library.pillion_start(); time.sleep(.05); library.pillion_stop()\n")
    profile, _ = recording.record_ok(one_python, ["-c", program], work, env=OFF)
    assert profile.threads[0]["dormant_cpu_ns"] > 4e9
    assert profile.drops[recording.DROP_SIGNAL_BLOCKED] == 0


def test_stat_counts_what_was_used_while_stopped(here, one_python, work):
    """As its wall time does: a program that uses one CPU uses one CPU."""
    program = ("import ctypes, time\n"
               "def burn(seconds):\n    end = time.thread_time() + seconds\n    while time.thread_time() < end: pass\n"
               "burn(1.5); ctypes.CDLL(None).pillion_start(); burn(.5)")
    profile, _ = recording.record_ok(one_python, ["-c", program], work, env=OFF)
    main, = profile.threads
    wide = {"COLUMNS": "200"}
    shown = here.run([here.pillion, "stat", work / "out.pillion"], env=wide).stdout
    cpu, unit = re.search(r"^  CPU time +([\d.]+) (m?s)  [\d.]+ CPUs used", shown, re.M).groups()
    used = float(cpu) * (1e-3 if unit == "ms" else 1)
    assert abs(used - (main["cpu_ns"] + main["dormant_cpu_ns"]) / 1e9) < 0.01 * used and used > 1.9, shown
    assert re.search(r"^  stopped +[\d.]+ m?s  nothing in it was sampled$", shown, re.M), shown
    told = here.run([here.pillion, "info", work / "out.pillion"], env=wide).stdout
    lasted, unit = re.search(r"^  sampled +for ([\d.]+) (m?s), ", told, re.M).groups()
    process, = profile.processes
    sampled = (process["end_ns"] - process["start_ns"] - process["dormant_ns"]) / 1e9
    assert abs(float(lasted) * (1e-3 if unit == "ms" else 1) - sampled) < 0.02 * sampled, told


def test_ticks_are_of_the_time_that_was_sampled(here, one_python, work):
    program = "import ctypes, time; time.sleep(3); ctypes.CDLL(None).pillion_start(); time.sleep(.2)"
    recording.record_ok(one_python, ["-c", program], work, env=OFF)
    told = json.loads(here.run([here.pillion, "info", "--json", work / "out.pillion"]).stdout)["recording"]
    assert 0 < told["reached_ticks_hz"] < 1.4 * told["asked_ticks_hz"], told


STEPS = """
import ctypes, time
library, kept, cache = ctypes.CDLL(None), [], [bytearray(50000) for _ in range(1000)]
def refresh(i):
    cache[i % len(cache)] = bytearray(50000)
def leak(i):
    kept.append(bytearray(200000))
def steps(step, seconds):
    until, i = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        step(i)
        i += 1
        time.sleep(0.01)
"""
PARTS = {
    # Of all the time, it is flat: of that in which it was looked at, it is not.
    "stopped": ("steps(leak, 2.5); library.pillion_stop(); steps(refresh, 4)", {}, "leak", "grows"),
    # What the cache held before is in no sample, nor that it goes.
    "late": ("steps(refresh, 0.6); library.pillion_start(); steps(refresh, 2.5)", OFF, "refresh", "may_grow"),
}


@pytest.mark.parametrize("part", PARTS)
def test_memory_of_a_part(here, one_python, work, part):
    """Counts go on while sampling is stopped: that samples do not add up to them is no fault."""
    program, env, step, trend = PARTS[part]
    profile, _ = recording.record_ok(one_python, ["-c", STEPS + program], work, env=env,
                                     options=["--alloc-interval", "16384"])
    told = report(here, work / "out.pillion", "--view", "leaks")
    found = [leak for leak in told["leaks"] if leak["python_line"]["function"] == step]
    largest = max(found, key=lambda leak: leak["live_bytes"])
    assert largest["trend"] == trend and not largest["has_gap"], told["leaks"][:3]
    assert told["leak_places_capped"] == (trend == "may_grow")
    memory = told["memory"]
    assert memory["checks"] == [] and memory["stopped_ns"] == profile.processes[0]["dormant_ns"] > 500_000_000
    shown = " ".join(here.run([here.pillion, "report", work / "out.pillion"]).stdout.split())
    assert "counting went on while sampling was stopped" in shown and "samples are missing" not in shown, shown


FREED_AS_THREADS_END = """
import ctypes, os, threading, time
library, key = ctypes.CDLL(None), ctypes.c_uint()
there, stopped = threading.Barrier(21), threading.Event()
library.malloc.restype = ctypes.c_void_p
assert not library.pthread_key_create(ctypes.byref(key), library.free)
def work():
    block = library.malloc(123456)
    library.pthread_setspecific(key, ctypes.c_void_p(block))
    there.wait()
    stopped.wait()
threads = [threading.Thread(target=work) for _ in range(20)]
for t in threads: t.start()
there.wait()
library.pillion_stop()
stopped.set()
for t in threads: t.join()
time.sleep(1)
os.kill(os.getpid(), 9)
"""


def test_what_threads_free_at_their_end_is_told_while_stopped(one_python, work):
    """By their keys' destructors, when they have no lane any more. Killed, the process tells nothing at its end."""
    profile = recording.record(one_python, ["-c", FREED_AS_THREADS_END], work, options=["--alloc-interval", "1"]).load()
    blocks = [b for b in profile.blocks if 123456 <= b.size < 123500]
    assert len(blocks) == 20 and all(b.freed_ns for b in blocks), blocks


def test_without_the_library_nothing_changes(here, one_python):
    program = "import ctypes\ntry: ctypes.CDLL(None).pillion_start\nexcept AttributeError: print('no')"
    assert here.run([one_python.path, "-c", program]).stdout == "no\n"


def test_loaded_but_not_asked_for(here, one_python):
    program = "import ctypes; print(ctypes.CDLL(None).pillion_start(), ctypes.CDLL(None).pillion_stop())"
    assert here.run([one_python.path, "-c", program], env={"LD_PRELOAD": here.library}).stdout == "-2 -2\n"


def switches(pid):
    """Voluntary context switches of the sampling thread."""
    for task in pathlib.Path("/proc/%d/task" % pid).iterdir():
        if (task / "comm").read_text() == "pillion\n":
            return int([l for l in (task / "status").read_text().split("\n") if l.startswith("voluntary")][0].split()[1])
    return None


def test_stopped_it_sleeps(here, one_python, work):
    """Loaded and stopped, the sampling thread wakes five times a second, not a hundred."""
    process = here.popen([one_python.path, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                         env=dict(here.preload(work / "p.pillion"), **OFF), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    process.stdout.readline()
    before, start = switches(process.pid), time.monotonic()
    assert before is not None
    while time.monotonic() < start + 2:
        time.sleep(0.1)
    woken = switches(process.pid) - before
    process.communicate("")
    assert woken < 8 * (time.monotonic() - start), woken
