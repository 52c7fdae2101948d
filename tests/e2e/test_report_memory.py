# SPDX-License-Identifier: MIT
"""The views of memory, as they are used: what they say of programs whose memory is known."""
import json
import re

import pytest

import recording
from test_export import NO_SAMPLES, OK, USAGE, make_profile, report

MIB = 1 << 20
VIEWS = ["allocated", "live", "peak", "temporary"]

# What each function has, and for how long.
PROGRAM = """
import threading, time

def pause():
    time.sleep(0.002)

def keep():
    for _ in range(48):
        held.append(bytearray(1 << 20))
        pause()

def peak():
    blocks = []
    for _ in range(64):
        blocks.append(bytearray(2 << 20))
        pause()
    time.sleep(0.2)

def churn():
    for _ in range(200):
        bytes(1 << 20)
        pause()

def other():
    for _ in range(8):
        held.append(bytearray(3 << 20))
        pause()

held = []
keep()
peak()
churn()
thread = threading.Thread(target=other)
thread.start()
thread.join()
time.sleep(0.4)
"""

# A request leaks 100 bytes; a cache fills, and stays.
LEAK = """
import time
cache, kept = {}, []

def lookup(i):
    key = i % 500
    if key not in cache:
        cache[key] = bytes(20000)
    return cache[key]

def handle(i):
    lookup(i)
    kept.append(bytearray(100))
    return len(bytes(700))

for i in range(100000):
    handle(i)
    if i % 100 == 0 or i < 500 and i % 2:
        time.sleep(0.0005)
"""


def record(interpreter, program, work, name, *options):
    r = recording.record(interpreter, ["-c", program], work, options=options, name=name)
    assert r.returncode == 0, r.stderr
    return r.path


@pytest.fixture(scope="module")
def real(session_work, one_python):
    return record(one_python, PROGRAM, session_work, "report-memory.pillion")


@pytest.fixture(scope="module")
def synthetic(session_work):
    return make_profile(session_work / "blocks.pillion", "-n", 2000, "-m", 300, "-t", 6, "-p", 2, "-b", 50000)


def text(here, profile, *options, columns="200"):
    result = here.run([here.pillion, "report", *options, profile], env={"COLUMNS": columns})
    assert result.returncode == OK, result.stderr
    return result.stdout


def own_mib(here, profile, view, *options):
    """By function: what its own lines had, and native code that they called."""
    functions = report(here, profile, "--view", view, *options)["functions"]
    return {f["function"]: (f["self_bytes"] + f["native_bytes"]) / MIB
            for f in functions if f["kind"] == "python" and f["self_bytes"] + f["native_bytes"]}


# ---------------------------------------------------------------------- truth

def test_each_view_says_what_the_program_did(here, real):
    live = own_mib(here, real, "live")
    assert live["keep"] == pytest.approx(48, rel=0.3)
    assert live["other"] == pytest.approx(24, rel=0.3)
    assert "peak" not in live and "churn" not in live
    peak = own_mib(here, real, "peak")
    assert peak["peak"] == pytest.approx(128, rel=0.1)
    assert peak["keep"] == pytest.approx(48, rel=0.3)
    assert "churn" not in peak and "other" not in peak
    temporary = own_mib(here, real, "temporary")
    assert temporary["churn"] > 100 and "keep" not in temporary
    allocated = own_mib(here, real, "allocated")
    for function, mib in {"keep": 48, "peak": 128, "churn": 200, "other": 24}.items():
        assert allocated[function] == pytest.approx(mib, rel=0.3)


def test_estimates_are_as_sure_as_they_say(here, real):
    """Blocks of 1 MiB, one in 0.865 a sample: nobody is further off than five standard errors."""
    for f in report(here, real, "--view", "allocated")["functions"]:
        if f["function"].startswith("churn"):
            sigma = (f["native_bytes_variance"] + f["self_bytes_variance"]) ** 0.5
            assert 0 < sigma < 20 * MIB
            assert abs(f["native_bytes"] + f["self_bytes"] - 200 * MIB) < 5 * sigma + MIB
            assert f["native_bytes_interval_95"] == pytest.approx(
                1.96 * f["native_bytes_variance"] ** 0.5, rel=1e-4)
            break
    else:
        pytest.fail("churn() is not in the report")


def test_samples_are_checked_against_counts(here, real):
    memory = report(here, real)["memory"]
    assert {c["of"] for c in memory["checks"]} == {"malloc", "mmap"}
    for check in memory["checks"]:
        assert abs(check["difference_sigma"]) < 5, check
    assert memory["heap"]["malloc"]["alloc_bytes"] > 400 * MIB
    assert memory["peak_bytes"] > 176 * MIB and 72 * MIB < memory["live_bytes"] < 176 * MIB
    shown = text(here, real)
    for word in ("memory  ", "live  ", "checked  ", "sigma", "--view peak"):
        assert word in shown, shown
    assert re.search(r"explained +\d.* of the \d.* counted at the peak", text(here, real, "--view", "peak"))


def test_a_leak_is_named_first_and_a_cache_told_apart(here, one_python, work):
    profile = record(one_python, LEAK, work, "leak.pillion")
    leaks = report(here, profile, "--view", "leaks")["leaks"]
    first = leaks[0]
    assert first["python_line"]["function"] == "handle" and first["python_line"]["line"] == 13, leaks[:3]
    assert first["trend"] in ("grows", "may_grow"), first
    cached = [leak for leak in leaks if leak["python_line"]["function"] == "lookup"]
    assert cached and cached[0]["trend"] == "flat" and cached[0]["flat_since_share"] < 0.4, cached
    shown = text(here, profile, "--view", "leaks")
    assert re.search(r"flat since \d+ %.*lookup", shown) and "sign test" in shown, shown


def test_a_thread_has_its_own(here, real):
    assert set(own_mib(here, real, "live", "--thread", "other")) == {"other"}
    memory = report(here, real, "--view", "live", "--thread", "other")["memory"]
    assert 24 * MIB <= memory["heap"]["malloc"]["alloc_bytes"] < 32 * MIB


# ------------------------------------------------------------------ agreement

@pytest.mark.parametrize("view", VIEWS)
def test_the_whole_is_the_sum_of_its_parts(here, synthetic, real, view):
    for profile in (synthetic, real):
        r = report(here, profile, "--view", view)
        whole = r["view_total"]["bytes"]
        assert whole and whole == sum(f["self_bytes"] for f in r["functions"])
        assert whole == sum(x["self_bytes"] for x in r["libraries"])
        assert r["view_total"]["samples"] == sum(f["self_samples"] for f in r["functions"])
        assert r["view_total"]["bytes_variance"] == pytest.approx(
            sum(f["self_bytes_variance"] for f in r["functions"]), rel=1e-4)
        native = sum(f["self_bytes"] for f in r["functions"] if f["kind"] == "native")
        assert native == sum(f["self_bytes"] for f in r["native_hotspots"])
        for f in r["native_hotspots"]:
            assert f["self_bytes"] == sum(line["bytes"] for line in f["python_lines"])
        tree = report(here, profile, "--view", view, "--tree")["tree"]
        assert whole == sum(c["self_bytes"] for c in tree)


def test_synthetic_leak_is_the_one_that_grows(here, synthetic):
    leaks = report(here, synthetic, "--view", "leaks")["leaks"]
    assert [leak["trend"] for leak in leaks].count("grows") == 1, leaks[:3]
    assert leaks[0]["trend"] == "grows" and leaks[0]["came_samples"] > 1000


@pytest.mark.parametrize("options,columns", [([], 60), ([], 80), (["--lines"], 60), (["--tree"], 100), ([], 160)])
def test_the_text_fits_the_terminal(here, real, columns, options):
    for view in ["cpu", *VIEWS] + ([] if options else ["leaks"]):
        shown = text(here, real, "--view", view, *options, columns=str(columns))
        assert max(map(len, shown.splitlines())) <= columns, shown


# ------------------------------------------------------------------- bad input

def test_without_memory_nothing_is_said_of_it(here, one_python, work):
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    profile = record(one_python, busy, work, "off.pillion", "--memory", "off")
    for verb in ("report", "info"):
        shown = here.run([here.pillion, verb, profile]).stdout
        assert not re.search(r"\bmalloc:|^  (memory|live|checked) ", shown, re.M) and "--view" not in shown, shown
    assert report(here, profile)["memory"] is None
    for view in [*VIEWS, "leaks"]:
        result = here.run([here.pillion, "report", "--view", view, profile])
        assert result.returncode == NO_SAMPLES and "--memory sample" in result.stderr, result


def test_counts_alone_are_told(here, one_python, work):
    busy = "import time\nwhile time.process_time() < 0.3: bytes(1000000)"
    profile = record(one_python, busy, work, "count.pillion", "--memory", "count")
    shown = text(here, profile)
    assert re.search(r"memory +malloc: [\d,]+ calls", shown) and "record with --memory sample" in shown, shown
    result = here.run([here.pillion, "report", "--view", "live", profile])
    assert result.returncode == NO_SAMPLES and "counted, but none was sampled" in result.stderr, result


@pytest.mark.parametrize("options", [["--tree"], ["--lines"]])
def test_leaks_have_a_table_of_their_own(here, real, options):
    result = here.run([here.pillion, "report", "--view", "leaks", *options, real])
    assert result.returncode == USAGE and "--view live" in result.stderr, result


# ----------------------------------------------------------------------- info

def test_the_timeline_has_ten_points_a_second(here, real):
    info = json.loads(here.run([here.pillion, "info", "--json", real]).stdout)
    assert info["contents"]["heap_points"] >= 10 * info["recording"]["duration_ns"] / 1e9, info["contents"]
    assert info["memory"]["timeline_points"] == info["contents"]["heap_points"]


FREES_ITS_PARENTS = """
import gc, os, time
keep = [bytes(100000) for _ in range(300)]
child = os.fork()
keep.clear()
gc.collect()
end = time.thread_time() + 0.2
while time.thread_time() < end: sum(range(999))
if child: os.waitpid(child, 0)
else: os._exit(0)
"""


def test_frees_of_what_a_parent_allocated_are_told(here, one_python, work):
    profile = record(one_python, FREES_ITS_PARENTS, work, "fork.pillion")
    memory = re.findall(r"^  memory +malloc: .*?(?:;|$)", here.run([here.pillion, "info", profile],
                        env={"COLUMNS": "300"}).stdout, re.M)
    told = ["freed (some of a parent's)" in line for line in memory]
    assert len(memory) == 3 and told[1:] == [False, True], memory


def test_info_counts_by_process_and_thread(here, real):
    shown = here.run([here.pillion, "info", real], env={"COLUMNS": "200"}).stdout
    assert re.search(r"[\d,]+ points of the heap's timeline", shown), shown
    assert re.search(r"memory +malloc: .* live when it was last seen, .* at the peak", shown), shown
    assert re.search(r"thread +.*allocations +allocated +freed", shown), shown


FORKS = """
import os, time
kept = [bytearray(1000000) for _ in range(40)]
time.sleep(0.3)
for _ in range(2):
    if not os.fork():
        time.sleep(0.5)
        os._exit(0)
for _ in range(2):
    os.wait()
"""


def test_memory_of_before_a_fork_is_told_apart(here, one_python, work):
    """It counts in each child, and has its samples in the parent."""
    profile = record(one_python, FORKS, work, "forks.pillion")
    for view in "live", "peak":
        shown = text(here, profile, "--view", view, columns="300")
        up_to = re.search(r"explained .*; up to ([0-9.]+) MiB of it from before forks, whose places are the parent's", shown)
        assert up_to and float(up_to.group(1)) >= 2 * 38, shown
    stat = here.run([here.pillion, "stat", profile], env={"COLUMNS": "300"}).stdout
    assert re.search(r"live at the end .* sum of 3 processes, with what each was forked with", stat), stat
