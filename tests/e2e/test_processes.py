# SPDX-License-Identifier: MIT
"""One profile holds every process and every thread of a program."""
import json

import place
import recording


def test_four_processes_and_forty_threads_are_all_there(interpreter, work):
    report = work / "report"
    profile, _ = recording.record_ok(interpreter, [place.WORKLOADS / "processes.py", report, "1.2"], work)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(p["kind"] for p in lines) == ["exec", "fork", "main", "spawn"]
    assert sum(len(p["threads"]) for p in lines) == 40
    found = {}
    for i, t in enumerate(profile.threads):
        found.setdefault(profile.processes[t["process"]]["pid"], {})[t["tid"]] = i
    sampled = {s.thread for s in profile.samples}
    for p in lines:
        missing = [tid for tid in p["threads"] if found.get(p["pid"], {}).get(tid) not in sampled]
        assert not missing, "%s process: %d of its threads" % (p["kind"], len(missing))


def test_children_are_told_from_their_parents(interpreter, work):
    report = work / "report"
    profile, _ = recording.record_ok(interpreter, [place.WORKLOADS / "processes.py", report, "0.8"], work)
    pids = {json.loads(line)["kind"]: json.loads(line)["pid"] for line in report.read_text().splitlines()}
    by_pid = {p["pid"]: p for p in profile.processes}
    # multiprocessing has one more process, which tracks resources and ends last.
    assert all(by_pid[pids[kind]]["ppid"] == pids["main"] for kind in ("fork", "spawn", "exec"))
    assert all(by_pid[pid]["exit_status"] == 0 for pid in pids.values())
    assert all(by_pid[pid]["python_version"] >> 16 == interpreter.minor[0] << 8 | interpreter.minor[1]
               for pid in pids.values())
    # Each child's own work, below its own entry: a fork keeps its parent's frames under it.
    for kind in pids:
        samples = [s for s in profile.samples if profile.process_of(s)["pid"] == pids[kind] and s.calls("a_process")]
        assert samples, kind


def test_without_subprocesses_only_the_command_itself_is_recorded(one_python, work):
    report = work / "report"
    profile, _ = recording.record_ok(one_python, [place.WORKLOADS / "processes.py", report, "0.4"], work,
                                     options=["--no-subprocesses"])
    pids = {json.loads(line)["kind"]: json.loads(line)["pid"] for line in report.read_text().splitlines()}
    assert [p["pid"] for p in profile.processes] == [pids["main"]]


def test_a_chain_of_execs_keeps_one_pid_and_both_programs(one_python, work):
    burn = "import time\nend = time.thread_time() + 0.3\nwhile time.thread_time() < end: pass\n"
    program = burn + "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', %r])" % burn
    profile, _ = recording.record_ok(one_python, ["-c", program], work)
    assert len({p["pid"] for p in profile.processes}) == 1
    assert len(profile.processes) == 2
    for i in range(2):
        own = [s for s in profile.samples if profile.thread(s)["process"] == i]
        assert profile.total("cpu_ns", own) >= 0.2e9


def test_threads_without_python_are_sampled(interpreter, work):
    """Four pthreads of an extension burn CPU; Python has no thread state for them."""
    extension = place.build_extension(interpreter, "native_threads")
    profile, out = recording.record_ok(
        interpreter, ["-c", "import native_threads; print(native_threads.burn(4, 0.3))"], work,
        env={"PYTHONPATH": extension})
    for tid in json.loads(out):
        index, = [i for i, t in enumerate(profile.threads) if t["tid"] == tid]
        own = [s for s in profile.samples if s.thread == index]
        # They look at their clocks now and then, and write to one line of memory: 0.3 s and more. On a
        # crowded machine turns begin at the kernel's ticks, and a sample or two are by chance not there.
        clock, unsampled = (profile.threads[index][key] for key in ("cpu_ns", "unsampled_cpu_ns"))
        assert 0.29e9 <= clock <= 0.6e9
        assert -0.001e9 <= profile.total("cpu_ns", own) + unsampled - clock <= 0.03e9 and unsampled <= 0.06e9
        assert profile.threads[index]["name"] == "burner"
        assert not profile.threads[index]["has_python"]
        on_cpu = [s for s in own if s.on_cpu]
        # A sample may also meet the thread's start, or its end.
        outside = [s for s in on_cpu if not any(f.name == "native_burner" for f in s.stack)]
        assert len(on_cpu) >= 10 and len(outside) <= 1, [str(f) for s in outside for f in s.stack]
        assert not any(s.python() for s in own)


def test_cpu_time_of_short_threads_is_not_lost(one_python, work):
    """200 threads of 3 ms, each shorter than a sampling period: 0.6 s in all."""
    extension = place.build_extension(one_python, "native_threads")
    profile, out = recording.record_ok(
        one_python, ["-c", "import native_threads; print(native_threads.churn(200, 0.003))"], work,
        env={"PYTHONPATH": extension})
    burners = [i for i, t in enumerate(profile.threads) if not t["is_main"]]
    sampled = sum(profile.by_thread("cpu_ns")[i] for i in burners)
    stated = sum(profile.threads[i]["unsampled_cpu_ns"] for i in burners)
    # A sample stands for a whole period, of which a short thread ran only a part: together
    # with what is stated of the threads that no sample met, it is the truth or more.
    true = float(out) * 1e9
    assert true > 0.59e9 and 0.97 * true <= sampled + stated <= 2 * true, (true, sampled, stated)


def test_thread_names_are_recorded(one_python, work):
    """The kernel's name, as set by the program, up to its 15 bytes."""
    program = """
import ctypes, threading, time
def work():
    ctypes.CDLL(None).prctl(15, b"crunching", 0, 0, 0)
    end = time.monotonic() + 0.5
    while time.monotonic() < end: pass
t = threading.Thread(target=work); t.start(); t.join()
"""
    profile, _ = recording.record_ok(one_python, ["-c", program], work)
    assert "crunching" in [t["name"] for t in profile.threads]
