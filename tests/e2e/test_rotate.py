# SPDX-License-Identifier: MIT
"""A recording in files that follow each other: each is whole by itself, together they are what one
would have been, and what is kept stays within bounds."""
import os
import re
import subprocess
import time

import place
import pytest
import recording
from test_export import report

TWO_THREADS = """
import sys, threading, time
gate = threading.Lock()
gate.acquire()
def waits_for_ever():
    gate.acquire()
def burns(until):
    while time.monotonic() < until:
        sum(range(200))
threading.Thread(target=waits_for_ever, daemon=True).start()
burns(time.monotonic() + float(sys.argv[1]))
print(time.process_time())
"""

ALLOCATES = """
import os, sys
while not os.path.exists(sys.argv[1]):
    [bytes(700 + i % 100) for i in range(1000)]
"""


def files_of(directory, name="out"):
    """In the order in which they were written."""
    found = {int(m[1] or 1): p for p in directory.iterdir()
             if (m := re.fullmatch(re.escape(name) + r"(?:\.(\d+))?\.pillion", p.name))}
    return [found[number] for number in sorted(found)]


def record_rotating(python, work, *options, program=TWO_THREADS, seconds="3.5"):
    result = recording.record(python, ["-c", program, seconds], work, options=options)
    assert result.returncode == 0, result.stderr
    return [recording.load(path) for path in files_of(work)], result


def test_each_file_is_whole_by_itself(one_python, work):
    """On a crowded machine a file may be ended late, never early."""
    profiles, result = record_rotating(one_python, work, "--rotate", "1s", "--label", "env=test")
    assert len(profiles) in (2, 3, 4), result.stderr
    for profile in profiles[:-1]:
        assert profile.data["complete"] and profile.data["symbolized"]
        [process] = profile.processes
        assert process["interpreter_status"] == recording.CHECKED
        assert not [f for f in profile.data["functions"] if f["name"] == "<unknown>" and not f["kind"]][1:]
        # One waits on the same stack in all of them; no sample but the first ever described it.
        waiting = profile.calling("waits_for_ever")
        index, = {s.thread for s in waiting}
        lived = profile.threads[index]["seen_ns"] - profile.threads[index]["start_ns"]
        assert lived > 0.6e9 and abs(profile.total("offcpu_ns", waiting) - lived) < 0.4e9
        assert profile.calling("burns")
    starts = [p.data["start_ns"] for p in profiles]
    assert all(later - earlier >= 0.99e9 for earlier, later in zip(starts, starts[1:]))


def test_together_they_are_what_one_would_have_been(one_python, work):
    profiles, result = record_rotating(one_python, work, "--rotate", "1s")
    spent = float(result.stdout) * 1e9
    assert abs(sum(p.total("cpu_ns") for p in profiles) - spent) < 0.05 * spent
    assert abs(sum(t["cpu_ns"] for p in profiles for t in p.threads) - spent) < 0.05 * spent
    waited = sum(p.total("offcpu_ns", p.calling("waits_for_ever")) for p in profiles)
    assert 3e9 < waited < 4.2e9
    mallocs = [p.processes[0]["heap"][recording.HEAP_MALLOC] for p in profiles]
    assert all(0 <= count < 10_000_000 for heap in mallocs for count in heap)


def test_each_moment_of_a_thread_is_in_one_file(one_python, work):
    """However long a file takes to begin, and whatever is sampled meanwhile."""
    profiles, _ = record_rotating(one_python, work, "--rotate", "1s")
    lives = {}
    for profile in profiles:
        for thread in profile.threads:
            lives.setdefault(thread["tid"], []).append((thread["start_ns"], thread["seen_ns"]))
    assert len(lives) >= 2 and len(profiles) >= 2
    for parts in lives.values():
        assert sum(end - start for start, end in parts) == parts[-1][1] - parts[0][0]


def test_by_size_and_no_more_than_is_to_be_kept(one_python, work):
    """Files of nobody's business stay, whatever they are called."""
    strangers = [work / "out.7.pillion", work / "other.pillion"]
    for path in strangers:
        path.write_text("not a profile")
    most = 0
    here = place.of(one_python)
    argv = [here.pillion, "record", "-q", "--rotate", "100K", "--keep", "1M", "--alloc-interval", "1",
            "-o", work / "out.pillion", "--", one_python.path, "-c", ALLOCATES, work / "enough"]
    deadline = time.monotonic() + 60
    with here.popen(argv, cwd=work) as process:
        while process.poll() is None:
            written = [p for p in files_of(work) if p not in strangers]
            most = max(most, sum(map(size_of, written)))
            if time.monotonic() > deadline or written and written[0].name != "out.pillion":
                (work / "enough").touch()
            time.sleep(0.02)
        assert process.returncode == 0
    kept = [p for p in files_of(work) if p not in strangers]
    assert kept[0].name != "out.pillion", "the oldest is still there"
    assert all(path.read_text() == "not a profile" for path in strangers)
    # The newest grows for up to a second before it is looked at: it may be all that is kept.
    assert kept and sum(map(size_of, kept)) <= 1 << 20
    assert most < 3 << 20, most
    profiles = [recording.load(path) for path in kept]
    assert all(profile.data["complete"] for profile in profiles)
    assert all(profile.blocks for profile in profiles[:-1])  # the newest may just have begun


def size_of(path):
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def test_memory_counts_start_anew(one_python, work):
    """What was allocated before is live here, and was not allocated here."""
    program = """
import time
kept = [bytes(1000) for i in range(30000)]
until = time.monotonic() + 2.5
while time.monotonic() < until:
    time.sleep(0.01)
"""
    profiles, _ = record_rotating(one_python, work, "--rotate", "1s", program=program)
    first, second = [p.processes[0] for p in profiles[:2]]
    assert first["heap"][recording.HEAP_MALLOC][1] > 30_000_000
    assert second["heap"][recording.HEAP_MALLOC][1] < 3_000_000
    assert second["heap_inherited_bytes"] > 30_000_000


STEPS = """
import sys, time
cache, kept = [bytearray(50000) for _ in range(1000)], []
def refresh(i):
    cache[i % len(cache)] = bytearray(50000)
def leak(i):
    kept.append(bytearray(200000))
step, until, i = globals()[sys.argv[1]], time.monotonic() + 4.5, 0
while time.monotonic() < until:
    step(i)
    i += 1
    time.sleep(0.01)
"""


@pytest.mark.parametrize("step, trend", [("refresh", "may_grow"), ("leak", "grows")])
def test_a_cache_of_before_is_no_leak(here, one_python, work, step, trend):
    """The second file has what comes into the cache, and not that what was there goes."""
    profiles, _ = record_rotating(one_python, work, "--rotate", "2s", "--alloc-interval", "16384", program=STEPS,
                                  seconds=step)
    assert len(profiles) >= 2
    second = files_of(work)[1]
    told = report(here, second, "--view", "leaks")
    found = [leak for leak in told["leaks"] if leak["python_line"]["function"] == step]
    largest = max(found, key=lambda leak: leak["live_bytes"])
    assert largest["chance"] < 1e-6 and largest["trend"] == trend, told["leaks"][:3]
    assert told["leak_places_capped"] == (trend == "may_grow")
    shown = " ".join(here.run([here.pillion, "report", "--view", "leaks", second]).stdout.split())
    assert ("may grow, no more is known" in shown) == (trend == "may_grow"), shown


def test_merged_again_memory_is_there_once(here, one_python, work):
    program = """
import time
kept, until = [bytes(1000) for i in range(30000)], time.monotonic() + 2.5
while time.monotonic() < until:
    bytes(sum(range(10000)) % 10000 + 5000)
"""
    profiles, _ = record_rotating(one_python, work, "--rotate", "1s", program=program)
    assert len(profiles) >= 2
    parts = [report(here, path)["memory"] for path in files_of(work)]
    result = here.run([here.pillion, "merge", "-o", work / "all.pillion", *files_of(work)])
    assert result.returncode == 0, result.stderr
    whole = report(here, work / "all.pillion")["memory"]
    assert whole["live_bytes"] == parts[-1]["live_bytes"] > 30_000_000
    assert whole["peak_bytes"] == whole["sum_of_peaks_bytes"] == max(part["peak_bytes"] for part in parts)
    assert whole["peak_bytes"] < 60_000_000
    counts = [part["heap"]["malloc"]["alloc_bytes"] for part in parts]
    assert whole["heap"]["malloc"]["alloc_bytes"] == sum(counts)


def test_processes_that_have_ended_are_in_their_files_only(one_python, work):
    program = """
import subprocess, sys, time
for i in range(3):
    subprocess.check_call([sys.executable, '-c', 'import time\\ne = time.thread_time() + .3\\nwhile time.thread_time() < e: pass'])
    time.sleep(.7)
"""
    profiles, _ = record_rotating(one_python, work, "--rotate", "1s", program=program)
    pids = [{p["pid"] for p in profile.processes} for profile in profiles]
    assert len(set.union(*pids)) == 4
    assert all(len(some) <= 3 for some in pids)
    assert len(set.intersection(*pids)) == 1


def test_with_the_environment_alone(one_python, work):
    here = place.of(one_python)
    env = dict(here.preload(work / "%e.%n.pillion"), PILLION_ROTATE="1s")
    result = here.run([one_python.path, "-c", TWO_THREADS, "3"], cwd=work, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    name = os.path.basename(os.path.realpath(one_python.path))
    count = len(recording.all_complete(work, "*", least=2))
    assert sorted(os.listdir(str(work))) == ["%s.%d.pillion" % (name, n + 1) for n in range(count)]


@pytest.mark.parametrize("options, word", [
    (["--rotate", "10"], "10M"), (["--rotate", "5m"], "--rotate"), (["--rotate", "0s"], "--rotate"),
    (["--keep", "60s"], "--keep"), (["--keep", "1K"], "1M or more")])
def test_what_makes_no_sense_is_said(here, work, options, word):
    result = here.run([here.pillion, "record", *options, "--", "true"], cwd=work)
    assert result.returncode == 2 and word in result.stderr and len(result.stderr.splitlines()) == 1
    assert not list(work.iterdir())


@pytest.mark.parametrize("option", [["--rotate", "1s"], ["--keep", "10M"]])
def test_a_device_has_no_next_file(here, work, option):
    result = here.run([here.pillion, "record", *option, "-o", "/dev/null", "--", "touch", work / "ran"], cwd=work)
    assert result.returncode == 125 and "/dev/null is not a file" in result.stderr, result
    assert not list(work.iterdir())


@pytest.mark.parametrize("name, value", [("ROTATE", "soon"), ("ROTATE", "10MB"), ("KEEP", "500MB"), ("KEEP", "512K")])
def test_what_is_wrong_in_the_environment_is_noted_and_has_no_effect(one_python, work, name, value):
    recording.record(one_python, ["-c", "pass"], work).path.rename(work / "out.9.pillion")
    profile, _ = recording.record_ok(one_python, ["-c", TWO_THREADS, "0.3"], work, env={"PILLION_" + name: value})
    assert any("PILLION_" + name in note and value in note for note in profile.notes)
    assert len(files_of(work)) == 2


def test_where_no_new_file_can_be_had_the_old_one_goes_on(one_python, work):
    """A file system with room for one file more than its root directory."""
    if os.geteuid():
        pytest.skip("needs root to mount")
    here = place.of(one_python)
    (work / "small").mkdir()
    script = ("mount -t tmpfs -o nr_inodes=2 small small && cd small && \"$@\"; status=$?; "
              "ls | wc -l; cp out.pillion ..; exit $status")
    result = here.run(["unshare", "--mount", "sh", "-c", script, "sh", here.pillion, "record", "-q", "--rotate", "1s",
                       "-o", "out.pillion", "--", one_python.path, "-c", TWO_THREADS, "2.5"], cwd=work)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "1"
    profile = recording.load(work / "out.pillion")
    spent = float(result.stdout.split()[0]) * 1e9
    assert profile.data["complete"] and profile.total("cpu_ns") >= 0.9 * spent
    assert any("no new profile could be begun" in note for note in profile.notes)


RESTS = """
import os, sys, time
print(os.getpid(), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""


def has_failed(directory):
    return any("no new profile could be begun" in note
               for path in files_of(directory, "x") for note in recording.load(path).notes)


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.long)], ids=["asked", "unasked"])
def test_after_one_that_failed_a_new_file_is_begun_again(one_python, work, asked):
    """Ten seconds later, or at once for who asks."""
    here = place.of(one_python)
    directory, away, enough = work / "directory", work / "away", work / "enough"
    directory.mkdir()
    argv = [here.pillion, "record", "-q", "--rotate", "1s", "-o", directory / "x.pillion", "--",
            one_python.path, "-c", RESTS, enough]
    with here.popen(argv, stdout=subprocess.PIPE, text=True) as process:
        pid = process.stdout.readline().strip()
        recording.wait_for(lambda: files_of(directory, "x"))
        directory.rename(away)
        recording.wait_for(lambda: has_failed(away))
        seen, before = time.monotonic(), len(files_of(away, "x"))
        away.rename(directory)
        if asked:
            here.run([here.pillion, "ctl", pid, "rotate"])
            assert time.monotonic() - seen < 8
        recording.wait_for(lambda: len(files_of(directory, "x")) > before, seconds=40)
        enough.touch()
        assert process.wait(timeout=30) == 0
    assert len(recording.all_complete(directory)) > before
