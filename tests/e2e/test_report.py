# SPDX-License-Identifier: MIT
"""report and info, as they are used: from a terminal, through a pipe, by a program."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

import recording
from test_export import NO_SAMPLES, OK, USAGE, make_profile, report

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
VIEWS = ["cpu", "wall", "offcpu", "gil"]

PROGRAM = """
import hashlib, json, threading, time

def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(2000))

def hashes():
    end = time.thread_time() + 0.5
    while time.thread_time() < end:
        hashlib.sha256(bytes(1 << 20)).digest()

def sleeps():
    time.sleep(1.0)

threads = [threading.Thread(target=f, name=f.__name__) for f in (hashes, sleeps)]
for t in threads: t.start()
burn(0.5)
for t in threads: t.join()
"""


@pytest.fixture(scope="module")
def synthetic(session_work):
    return make_profile(session_work / "report.pillion", "-n", 20000, "-m", 500, "-t", 6, "-p", 2)


@pytest.fixture(scope="module")
def real(session_work, one_python):
    r = recording.record(one_python, ["-c", PROGRAM], session_work, name="report-real.pillion")
    assert r.returncode == 0, r.stderr
    return r.path


def text(here, profile, *options, env=None):
    result = here.run([here.pillion, "report", *options, profile], env=env)
    assert result.returncode == OK, result.stderr
    return result.stdout


def on_terminal(here, argv, columns, env=None):
    """Runs with stdout on a terminal so wide; returns what it printed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = dict({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PILLION_PAGER": ""}, **(env or {}))
    process = here.popen(argv, env=env, stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    chunks = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    assert process.wait() == OK, process.stderr.read()
    process.stderr.close()
    os.close(master)
    return b"".join(chunks).decode().replace("\r\n", "\n")


# --------------------------------------------------------------------- truth

def test_a_real_program_is_reported_as_it_is(here, real):
    """Half a second in Python, half in OpenSSL, one asleep."""
    cpu = report(here, real)
    functions = {f["function"]: f for f in cpu["functions"]}
    assert 0.4e9 < functions["burn"]["total_ns"] < 0.65e9
    assert 0.4e9 < functions["hashes"]["total_ns"] < 0.65e9
    # Native time is charged to the Python line that led to it.
    assert functions["hashes"]["native_ns"] > 0.35e9
    lines = [(line["function"], line["offcpu_ns"]) for wait in cpu["off_cpu"]
             if wait["syscall"] in ("clock_nanosleep", "select", "pselect6") for line in wait["python_lines"]]
    assert lines and lines[0][0] == "sleeps" and 0.9e9 < lines[0][1] < 1.2e9, cpu["off_cpu"]


def test_threads_are_told_apart_by_what_they_run(here, real):
    """Before CPython 3.14 the kernel calls all of them by the name of the process."""
    entries = sorted(t["entry"]["function"] for t in report(here, real)["threads"])
    assert entries == ["<module>", "hashes", "sleeps"]
    for verb in (["report"], ["info"]):
        shown = here.run([here.pillion, *verb, real], env={"COLUMNS": "160"}).stdout
        for entry in entries:
            assert re.search(r"^  \S.* %s  .*:\d+ +" % entry, shown.partition("\nThreads")[2] or
                             shown.partition("\nProcess")[2], re.M), shown


def test_the_whole_is_the_sum_of_its_parts(here, synthetic, real):
    for profile in (synthetic, real):
        for view in VIEWS:
            r = report(here, profile, "--view", view)
            whole = r["view_total"]["ns"]
            assert whole == sum(f["self_ns"] for f in r["functions"])
            assert whole == sum(x["self_ns"] for x in r["libraries"])
            for key in ("cpu_ns", "wall_ns", "offcpu_ns", "gil_wait_ns"):
                assert r["time"][key] == sum(t["time"][key] for t in r["threads"])
                assert r["time"][key] == sum(p["time"][key] for p in r["processes"])
            assert r["time"]["offcpu_ns"] == sum(w["offcpu_ns"] for w in r["off_cpu"]
                                                 if w["kind"] != "holding_gil")
            native = sum(f["self_ns"] for f in r["functions"] if f["kind"] == "native")
            assert native == sum(f["self_ns"] for f in r["native_hotspots"])
            for f in r["native_hotspots"]:
                assert f["self_ns"] == sum(line["ns"] for line in f["python_lines"])
            tree = report(here, profile, "--view", view, "--tree")["tree"]
            assert whole == sum(c["self_ns"] for c in tree)
            assert all(c["parent"] is None or c["parent"] < c["id"] for c in tree)


def test_a_line_of_the_program_has_what_libraries_spent_for_it(here, real):
    """Of two lines on a stack, the inner one has it: no time is told twice."""
    r = report(here, real, "--view", "wall")
    lines = [line for line in r["lines"] if line["kind"] == "python"]
    own = [line for line in lines if line["program"]]
    assert "<string>" in {line["file"] for line in own}
    assert all(line["self_ns"] + line["native_ns"] <= line["spent_ns"] <= line["total_ns"] for line in own)
    assert not any(line["spent_ns"] for line in lines if not line["program"])
    assert sum(line["spent_ns"] for line in own) <= r["view_total"]["ns"]


def test_text_and_json_agree(here, synthetic):
    r = report(here, synthetic, "--sort", "total", "--limit", "5")
    shown = text(here, synthetic, "--sort", "total", "--limit", "5", env={"COLUMNS": "200"})
    table = shown.partition("All functions")[2].splitlines()[2:7]
    assert len(table) == len(r["functions"]) == 5
    for row, f in zip(table, r["functions"]):
        self_percent, total_percent, rest = row.split(None, 2)
        assert abs(float(self_percent) - 100 * f["self_ns"] / r["view_total"]["ns"]) <= 0.051
        assert abs(float(total_percent) - 100 * f["total_ns"] / r["view_total"]["ns"]) <= 0.051
        assert f["function"] in rest and f["kind"] in rest


def test_the_same_profile_gives_the_same_report(here, synthetic):
    assert text(here, synthetic) == text(here, synthetic)
    assert text(here, synthetic, "--tree") == text(here, synthetic, "--tree")


# ------------------------------------------------------------------- screens

def test_through_a_pipe_it_is_plain(here, real):
    shown = text(here, real)
    assert "\x1b" not in shown and shown.isascii()
    assert max(map(len, shown.splitlines())) <= 100
    assert max(map(len, text(here, real, env={"COLUMNS": "72"}).splitlines())) <= 72


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("options", [[], ["--tree"], ["--lines"], ["--view", "gil"]], ids=" ".join)
def test_on_a_terminal_it_fits(here, real, columns, options):
    shown = on_terminal(here, [here.pillion, "report", *options, real], columns)
    assert "\x1b[" in shown
    lines = ESCAPE.sub("", shown).splitlines()[1:]  # the first is the path
    assert max(map(len, lines)) <= columns
    if options == ["--tree"]:
        assert "├─ " in shown or "└─ " in shown


BRANCHES = """
import time
def spin():
    end = time.thread_time() + 0.04
    while time.thread_time() < end:
        pass
def level(n):
    spin()
    return level(n - 1) if n else None
level(24)
"""


def test_a_tree_of_many_branches_leaves_room_for_names(here, one_python, work):
    r = recording.record(one_python, ["-c", BRANCHES], work)
    assert r.returncode == OK, r.stderr
    shown = on_terminal(here, [here.pillion, "report", "--tree", r.path], 72)
    lines = ESCAPE.sub("", shown).splitlines()[1:]
    assert max(map(len, lines)) <= 72
    deep = [line for line in lines if "⋯  " in line]
    assert deep and any("level" in line for line in deep) and any("spin" in line for line in deep)


def test_a_terminal_that_is_not_utf8_gets_ascii(here, real):
    shown = on_terminal(here, [here.pillion, "report", "--tree", real], 80, {"LC_ALL": "C"})
    assert ESCAPE.sub("", shown).isascii()


@pytest.mark.parametrize("env, options, colored", [
    ({"NO_COLOR": "1"}, [], False), ({"TERM": "dumb"}, [], False), ({}, ["--color", "never"], False),
    ({"NO_COLOR": "1"}, ["--color", "always"], True)])
def test_color_is_the_users_choice(here, real, env, options, colored):
    shown = on_terminal(here, [here.pillion, "report", *options, real], 80, env)
    assert ("\x1b[" in shown) == colored


def test_color_through_a_pipe_when_asked(here, real):
    assert "\x1b[" in text(here, real, "--color=always")


def test_hostile_names_do_not_reach_the_terminal(here, one_python, work):
    """Function, file and thread names are the program's to choose."""
    source = work / "hostile.py"
    source.write_text("""
import threading, time
def burn():
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass
burn.__code__ = burn.__code__.replace(co_name="\\x1b[2Jgone\\nnext", co_filename="\\x1b]0;title\\x07.py")
if hasattr(burn.__code__, "co_qualname"):
    burn.__code__ = burn.__code__.replace(co_qualname="\\x1b[2Jgone\\nnext;1")
burn()
""")
    r = recording.record(one_python, [str(source)], work)
    shown = text(here, r.path) + text(here, r.path, "--tree")
    assert "\x1b" not in shown and "\x07" not in shown and "\\x1b[2Jgone\\nnext" in shown
    assert any(f["function"].startswith("\x1b[2Jgone\nnext") for f in report(here, r.path)["functions"])
    folded = here.run([here.pillion, "export", "-f", "folded", "-o", "-", r.path]).stdout
    assert all(c == "\n" or c.isprintable() for c in folded)
    messages = here.run([here.pillion, "annotate", "--process", "1", "gone", r.path]).stderr + \
        here.run([here.pillion, "annotate", "\x1b]0;title\x07", r.path]).stderr
    assert messages.count("\n") == 2 and "\x1b" not in messages and "\x07" not in messages, messages


def test_the_tree_begins_where_python_does(here, real):
    """How an interpreter starts is the same in every program: one line, unless all is asked for."""
    burning = ["--thread", str(next(t["tid"] for t in report(here, real)["threads"] if t["is_main"]))]
    short, whole = (text(here, real, "--tree", *burning, *limit) for limit in ([], ["--limit", "0"]))
    started = re.search(r"^ +[0-9.]+ +(\d+) native calls, to start Python", short, re.M)
    if started:  # not in an interpreter that one function starts
        assert whole.count("\n") >= short.count("\n") + int(started.group(1)) - 1
    assert "native calls, to start" not in whole and "<module>" in short


QUEUE_FOR_A_CPU = """
import os, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def spin():
    end = time.time() + 1.5
    while time.time() < end: pass
threads = [threading.Thread(target=spin) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
"""


def test_a_gil_is_held_by_one_thread_at_a_time(here, one_python, work):
    """Threads that queue for a CPU do not hold the GIL meanwhile, though they do when they run."""
    r = recording.record(one_python, ["-c", QUEUE_FOR_A_CPU], work)
    data = report(here, r.path)
    assert data["time"]["runnable_ns"] > 0
    assert 0 < data["time"]["gil_hold_ns"] <= 1.05 * data["recording"]["duration_ns"]
    assert report(here, r.path, "--view", "gil")["view_total"]["gil_hold_ns"] == data["time"]["gil_hold_ns"]
    assert sum(data["time"]["gil_" + state + "_ns"] for state in ("hold", "wait", "neither", "unknown")) == \
        data["time"]["wall_ns"]
    shown = text(here, r.path)
    assert float(re.search(r"^GIL +held (?:at least )?([0-9.]+) % of the time$", shown, re.M).group(1)) <= 100
    assert re.search(r"^  not known, waiting for a CPU +[0-9.]+ m?s", shown, re.M), shown


def test_callers_and_libraries_on_a_narrow_screen(here, one_python, work):
    """What only calls others is there, and so is the library that a line is slow in."""
    program = ("import hashlib, time\n"
               "def work():\n"
               "    end = time.thread_time() + .5\n"
               "    while time.thread_time() < end:\n"
               "        hashlib.sha256(bytes(1 << 20)).digest()\n"
               "def leads_there(): work()\n"
               "leads_there()\n")
    (work / "narrow.py").write_text(program)
    r = recording.record(one_python, [str(work / "narrow.py")], work)
    wide = {"COLUMNS": "80"}
    functions = text(here, r.path, "--limit", "2", env=wide)  # <module> calls it
    assert re.search(r"^ +0\.0 +0\.0 +\d+\.\d +leads_there ", functions, re.M), functions
    lines = text(here, r.path, "--lines", "--limit", "1", env=wide)
    assert re.search(r"narrow\.py:5 .* (lib(crypto|python)\S*|python3\S*|_sha\w*|libc|_hashlib)$", lines, re.M), lines


# ------------------------------------------------------------------- options

def test_the_newest_profile_here_is_the_default(here, work):
    make_profile(work / "old.pillion", "-n", 100, "-t", 1)
    make_profile(work / "new.pillion", "-n", 100, "-t", 1)
    os.utime(str(work / "old.pillion"), (1, 1))
    result = here.run([here.pillion, "report"], cwd=work)
    assert result.returncode == OK and result.stdout.startswith("new.pillion\n"), result
    assert "new.pillion" in result.stderr


def test_no_profile_here(here, work):
    result = here.run([here.pillion, "report"], cwd=work)
    assert (result.returncode, result.stdout) == (1, "") and "record" in result.stderr


def test_thread_and_process_filters(here, real):
    threads = report(here, real)["threads"]
    for thread in threads:
        by_tid = report(here, real, "--thread", str(thread["tid"]), "--view", "wall")
        assert by_tid["view_total"]["ns"] == thread["time"]["wall_ns"]
        assert [t["tid"] for t in by_tid["threads"]] == [thread["tid"]]
    for name in ("MainThread", "main"):  # names that the kernel does not know
        main = report(here, real, "--thread", name, "--view", "wall")["threads"]
        assert [t["is_main"] for t in main] == [True]
    by_entry = report(here, real, "--thread", "sleep,hash", "--view", "wall")
    assert sorted(t["entry"]["function"] for t in by_entry["threads"]) == ["hashes", "sleeps"]
    pid = report(here, real)["processes"][0]["pid"]
    assert len(report(here, real, "--process", str(pid))["threads"]) == len(threads)


@pytest.mark.parametrize("options", [["--thread", "no such"], ["--process", "1"]])
def test_a_filter_that_matches_nothing(here, real, options):
    result = here.run([here.pillion, "report", *options, real])
    assert result.returncode == NO_SAMPLES
    assert options[1] in result.stderr and "pillion info" in result.stderr


def test_the_limit_is_of_each_table_of_costs(here, real):
    whole, limited = report(here, real), report(here, real, "--limit", "1")
    for table in ("functions", "lines", "libraries", "off_cpu", "native_hotspots"):
        assert len(whole[table]) > 1 and limited[table] == whole[table][:1], table


def test_an_empty_profile_says_why_it_may_be(here, work):
    path = make_profile(work / "empty.pillion", "-n", 0, "-t", 1)
    for options in ([], ["--json"], ["--tree"]):
        result = here.run([here.pillion, "report", *options, path])
        assert result.returncode == NO_SAMPLES and "no sample was recorded" in result.stderr, result
    assert here.run([here.pillion, "info", path]).returncode == OK


@pytest.mark.parametrize("verb", ["report", "info"])
@pytest.mark.parametrize("options", [["--limit", "x"], ["--view", "heap"], ["a", "b"], ["--tree=1"]])
def test_wrong_options_are_refused(here, verb, options):
    result = here.run([here.pillion, verb, *options])
    assert (result.returncode, result.stdout) == (USAGE, ""), result


def test_tree_and_lines_exclude_each_other(here, real):
    assert here.run([here.pillion, "report", "--tree", "--lines", real]).returncode == USAGE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("verb", [["report"], ["report", "--json"], ["info"], ["info", "--json"]], ids=" ".join)
def test_a_report_that_cannot_be_written_is_an_error(here, real, verb):
    with open("/dev/full", "w") as full:
        result = here.run([here.pillion, *verb, real], stdout=full)
    assert result.returncode == 1 and "space" in result.stderr, result


# ---------------------------------------------------------------------- info

def test_info_tells_what_the_profile_holds(here, real):
    result = here.run([here.pillion, "info", real])
    assert result.returncode == OK
    for word in ("complete, symbols included", "bytes a sample", "CPU-clock timers", "exit 0", "Modules"):
        assert word in result.stdout, result.stdout


def test_info_as_json(here, real):
    info = json.loads(here.run([here.pillion, "info", "--json", real]).stdout)
    assert (info["schema"], info["schema_version"]) == ("pillion-info", 1)
    assert info["recording"]["complete"] and info["recording"]["symbolized"]
    assert info["contents"]["samples"] == report(here, real)["quality"]["samples"]
    assert info["recording"]["file_bytes"] == real.stat().st_size
    assert any(m["frames"] and len(m["build_id"]) >= 16 for m in info["modules"])
    assert set(info["quality"]["drops"]) >= {"lane_full", "signal_blocked"}
    assert info["cost"]["largest_private_bytes"] > 0


def test_infos_accounting_adds_up(here, one_python, work):
    """Most threads are too short for a sample: their own shortfalls are not what is missing."""
    program = ("import threading, time\n"
               "def short():\n    end = time.thread_time() + .002\n    while time.thread_time() < end: pass\n"
               "for _ in range(200):\n    t = threading.Thread(target=short); t.start(); t.join()\n")
    r = recording.record(one_python, ["-c", program], work)
    info = json.loads(here.run([here.pillion, "info", "--json", r.path]).stdout)
    sums = info["accounting"]
    assert sums["process_cpu_ns"] == (sums["sampled_cpu_ns"] + sums["unsampled_cpu_ns"] +
                                      sums["sampling_thread_cpu_ns"] + sums["outside_cpu_ns"])
    assert sums["thread_wall_ns"] == sums["sampled_wall_ns"] + sums["unsampled_wall_ns"]
    assert sums["sampled_cpu_ns"] == info["time"]["cpu_ns"]
    assert sums["unsampled_cpu_ns"] <= sum(t["time"]["unsampled_cpu_ns"] for t in info["threads"])
    shown = here.run([here.pillion, "info", r.path], env={"COLUMNS": "200"}).stdout
    assert re.search(r"CPU clock  [0-9.]+ m?s = [0-9.]+ m?s sampled [+-] [0-9.]+ m?s unsampled", shown), shown


def test_the_cost_of_a_short_program_is_of_all_that_it_used(here, one_python, work):
    """The sampling thread reads the process's clock a few times a second."""
    program = "import time\nend = time.thread_time() + .12\nwhile time.thread_time() < end: pass"
    r = recording.record(one_python, ["-c", program], work)
    info = json.loads(here.run([here.pillion, "info", "--json", r.path]).stdout)
    assert info["cost"]["process_cpu_ns"] == info["accounting"]["process_cpu_ns"] >= .12e9


@pytest.mark.long
def test_a_million_samples_take_little_memory(here, work):
    path = make_profile(work / "million.pillion", "-n", 1000000, "-m", 200000, "-t", 16, "-p", 2)
    for verb in (["report"], ["report", "--tree"], ["info"], ["export", "-f", "folded", "-o", "/dev/null"],
                 ["export", "-f", "pprof", "-o", "/dev/null"], ["export", "-f", "speedscope", "-o", "/dev/null"]):
        with here.popen([here.pillion, *verb, path], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status
        assert status == 0 and usage.ru_maxrss < 300 * 1024, (verb, usage.ru_maxrss)
