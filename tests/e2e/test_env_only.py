# SPDX-License-Identifier: MIT
"""LD_PRELOAD and PILLION_OUTPUT alone, with no `pillion record`: the library starts the
collector itself."""
import shlex
import signal
import subprocess
import time

import pytest

import place
import recording

BURN = "import os, time\nend = time.thread_time() + 0.5\nwhile time.thread_time() < end: pass\nprint(os.getpid())\n"


def test_the_environment_alone_records(interpreter, work):
    here = place.of(interpreter)
    result = here.run([interpreter.path, "-c", BURN], cwd=work, env=here.preload(work / "%p.pillion"))
    assert (result.returncode, result.stderr) == (0, "")
    pid = int(result.stdout)
    profile = recording.complete(work / ("%d.pillion" % pid))
    assert [p["pid"] for p in profile.processes] == [pid]
    assert profile.data["command"] == shlex.join([str(interpreter.path), "-c", BURN])
    assert 0.45e9 <= profile.total("cpu_ns") <= 0.7e9
    assert profile.processes[0]["interpreter_status"] == recording.CHECKED
    assert profile.data["exit_status"] == 0 or profile.processes[0]["exit_status"] == -1


def test_children_are_followed(one_python, work):
    here = place.of(one_python)
    program = "import subprocess, sys\n%ssubprocess.check_call([sys.executable, '-c', %r])" % (BURN, BURN)
    result = here.run([one_python.path, "-c", program], cwd=work, env=here.preload(work / "%p.pillion"))
    assert result.returncode == 0, result.stderr
    pids = set(map(int, result.stdout.split()))
    deadline = time.monotonic() + 20
    seen = set()
    while seen != pids and time.monotonic() < deadline:
        profiles = [recording.complete(p) for p in sorted(work.glob("*.pillion"))]
        seen = {p["pid"] for profile in profiles for p in profile.processes}
    assert seen == pids


def log_of(here, python, env, prefix=()):
    result = here.run([*prefix, python.path, "-c", "print('ran')"], env=env)
    assert (result.returncode, result.stdout) == (0, "ran\n")
    return result.stderr


@pytest.mark.parametrize("name, words", [
    ("no/such/%p.pillion", ["cannot write the profile", "No such file", "create the directory"]),
    ("n" * 90 + "/" + "o" * 200 + "/%p.pillion", ["cannot write the profile", "create the directory"]),
    ("%q.pillion", ["unknown %q", "%p %h"]), ("/proc/x", ["no file can be made there"])],
    ids=["directory", "long", "template", "proc"])
def test_a_name_that_cannot_be_used_is_told_to_who_asks_and_to_no_one_else(one_python, work, name, words):
    here = place.of(one_python)
    env = here.preload(work / name if not name.startswith(("/", "%q")) else name)
    assert log_of(here, one_python, env) == ""
    for level in ("error", "info"):
        line, = log_of(here, one_python, dict(env, PILLION_LOG=level)).splitlines()
        assert line.startswith("pillion[") and all(word in line for word in ["not sampling", *words]), line
    assert not list(work.iterdir())


@pytest.mark.parametrize("setting, word", [
    ({"PILLION_COLLECTOR": "/no/such"}, "PILLION_COLLECTOR"),
    ({"PILLION_OUTPUT": "", "PILLION_SOCKET": "@nobody-is-here"}, "@nobody-is-here")])
def test_a_collector_that_is_not_there_is_told_to_who_asks(one_python, work, setting, word):
    here = place.of(one_python)
    env = {**here.preload(work / "x.pillion"), **setting}
    assert log_of(here, one_python, env) == ""
    line, = log_of(here, one_python, dict(env, PILLION_LOG="error")).splitlines()
    assert "not sampling" in line and word in line


@pytest.mark.parametrize("word, lines", [
    ("ERROR", ["not sampling"]), ("1", ["PILLION_LOG", "not sampling"]), ("warning", ["PILLION_LOG", "not sampling"]),
    ("off", [])])
def test_who_asks_in_other_words_is_told_errors(one_python, work, word, lines):
    here = place.of(one_python)
    env = dict(here.preload(work / "x.pillion"), PILLION_COLLECTOR="/no/such", PILLION_LOG=word)
    found = log_of(here, one_python, env).splitlines()
    assert len(found) == len(lines) and all(word in line for word, line in zip(lines, found)), found


def test_an_unknown_level_is_noted(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", BURN], work, env={"PILLION_LOG": "warning"})
    assert profile.notes == ["ignored bad values, using the defaults: PILLION_LOG"]


WAITS = """
import ctypes, os, time
is_sampling = ctypes.CDLL(None).pillion_is_sampling
def burns():
    end = time.thread_time() + 0.3
    while time.thread_time() < end: sum(range(200))
def until(condition):
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.01)
"""
# libffi may keep itself open.
FILES = """
import ctypes, os
ctypes.CDLL(None).getpid
def files():
    return sorted(os.listdir('/proc/self/fd'), key=int)
"""
WAITS_FOR_COLLECTOR = WAITS + FILES + """
def child():
    pid = os.fork()
    if not pid:
        until(lambda: os.path.exists('there') and is_sampling())
        burns()
        os._exit(before != files())
    return pid
before = files()
children = [child()]
print(before, len(os.listdir('/proc/self/task')), flush=True)
until(lambda: not is_sampling())
children.append(child())
print('dormant', flush=True)
until(lambda: os.path.exists('there') and is_sampling())
burns()
print([os.waitpid(pid, 0)[1] for pid in children], files() == before)
"""


def collect_late(here, work):
    return recording.collect(here, work / "socket", work / "late.pillion")


def wait_for_processes(path, count, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size and len(recording.load(path).processes) == count:
            return
        time.sleep(0.05)
    raise AssertionError("not %d processes said hello" % count)


def test_a_collector_that_comes_up_later_gets_what_goes_on(interpreter, one_python, work):
    """As in a pod: a process waits for it, dormant, and so do its forked children, one from before it went
    dormant and one from after it. (From 3.12 on a fork makes the sampling thread step aside.) They show nothing
    of that."""
    if interpreter.minor < (3, 12) and interpreter != one_python:
        pytest.skip("its os.fork() leaves the sampling thread alone, as that of %s does" % one_python)
    here = place.of(interpreter)
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": work / "socket"}
    target = here.popen([interpreter.path, "-c", WAITS_FOR_COLLECTOR], cwd=work, env=env, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
    files, threads = target.stdout.readline().rsplit(" ", 1)
    assert files + "\n" == here.run([interpreter.path, "-c", FILES + "print(files())"]).stdout and int(threads) == 2
    assert target.stdout.readline() == "dormant\n"
    process = collect_late(here, work)
    wait_for_processes(work / "late.pillion", 3)
    (work / "there").touch()
    out, err = target.communicate(timeout=120)
    assert (target.returncode, out, err) == (0, "[0, 0] True\n", "")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    profile = recording.load(work / "late.pillion")
    assert profile.data["complete"] and len(profile.processes) == 3
    assert {p["interpreter_status"] for p in profile.processes} == {recording.CHECKED}
    assert profile.total("cpu_ns", profile.calling("burns")) >= 0.75e9


FORKS_A_WORKER = WAITS + """
until(is_sampling)
print('recorded', flush=True)
until(lambda: not is_sampling())
worker = os.fork()
if not worker:
    until(lambda: os.path.exists('there') and is_sampling())
    burns()
    os._exit(0)
print(worker, flush=True)
print(os.waitpid(worker, 0)[1])
"""


def test_a_collector_that_took_the_place_of_a_killed_one_gets_new_workers(one_python, work):
    """Their parent, which has been recorded once, is not recorded any more."""
    here = place.of(one_python)
    first = recording.collect(here, work / "socket", work / "first.pillion")
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": work / "socket"}
    target = here.popen([one_python.path, "-c", FORKS_A_WORKER], cwd=work, env=env, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
    assert target.stdout.readline() == "recorded\n"
    assert "recording into" in first.stderr.readline()
    first.kill()
    first.communicate(timeout=60)
    worker = int(target.stdout.readline())
    process = collect_late(here, work)
    wait_for_processes(work / "late.pillion", 1)
    (work / "there").touch()
    out, err = target.communicate(timeout=120)
    assert (target.returncode, out, err) == (0, "0\n", "")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    profile = recording.load(work / "late.pillion")
    assert [p["pid"] for p in profile.processes] == [worker]
    assert profile.total("cpu_ns", profile.calling("burns")) >= 0.25e9


def test_a_collector_that_was_for_one_recording_is_not_waited_for(one_python, work):
    here = place.of(one_python)
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": "@nobody-is-here", "PILLION_TOKEN": "00" * 16}
    result = here.run([one_python.path, "-c", "import os; print(len(os.listdir('/proc/self/task')))"], env=env)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")


def test_a_recording_that_works_is_told_to_who_asks_for_more_than_errors(one_python, work):
    here = place.of(one_python)
    env = here.preload(work / "%p.pillion")
    assert log_of(here, one_python, dict(env, PILLION_LOG="error")) == ""
    assert log_of(here, one_python, dict(env, PILLION_LOG="info")).endswith(": sampling\n")


@pytest.mark.parametrize("word", ["0", "off"])
def test_without_subprocesses_the_first_process_alone_is_recorded(one_python, work, word):
    """Neither what it forks nor what it executes."""
    here = place.of(one_python)
    program = BURN + ("import subprocess, sys\nsys.stdout.flush()\nsubprocess.check_call([sys.executable, '-c', %r])\n"
                      "pid = os.fork()\nif pid: os.waitpid(pid, 0)" % BURN)
    env = dict(here.preload(work / "%p.pillion"), PILLION_SUBPROCESSES=word)
    result = here.run([one_python.path, "-c", program], cwd=work, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = map(int, result.stdout.split())
    profile = recording.complete(work / ("%d.pillion" % first))
    assert [p["pid"] for p in profile.processes] == [first]
    assert not any("PILLION_SUBPROCESSES" in note for note in profile.notes)
    assert [path.name for path in work.iterdir()] == ["%d.pillion" % first]


THREADS = "import os; print(len(os.listdir('/proc/self/task')))"


AFTER_ITS_COLLECTOR = """
import os, subprocess, sys, time
deadline = time.monotonic() + 20
while os.environ["PILLION_SOCKET"] in open("/proc/net/unix").read():
    assert time.monotonic() < deadline
    time.sleep(0.05)
subprocess.check_call([sys.executable, "-c", "print('ran')"])
"""


def test_when_the_time_is_over_children_start_no_collector(one_python, work):
    """Each that came later had the whole time anew, in a profile of its own."""
    here = place.of(one_python)
    result = here.run([one_python.path, "-c", AFTER_ITS_COLLECTOR], cwd=work,
                      env=dict(here.preload(work / "%p.pillion"), PILLION_DURATION="0.5"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")
    path, = work.glob("*.pillion")
    assert len(recording.complete(path).processes) == 1


@pytest.mark.parametrize("value", ["1", "true", "please"])
def test_disable_wins(one_python, work, value):
    """Whatever it says, and however much is wrong with the others."""
    here = place.of(one_python)
    env = dict(here.preload(work / "%p.pillion"), PILLION_FREQ="fast", PILLION_LOG="debug", PILLION_DISABLE=value)
    result = here.run([one_python.path, "-c", THREADS], cwd=work, env=env)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
    assert not list(work.iterdir())


@pytest.mark.parametrize("value", ["", "0", "Off"])
def test_disable_may_say_no(one_python, work, value):
    here = place.of(one_python)
    env = dict(here.preload(work / "x.pillion"), PILLION_LOG="error", PILLION_DISABLE=value)
    result = here.run([one_python.path, "-c", THREADS], cwd=work, env=env)
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")
    assert not any("PILLION_DISABLE" in note for note in recording.complete(work / "x.pillion").notes)


@pytest.mark.parametrize("command", [
    ["sh", "-c", "echo a; echo b >&2; exit 3"], ["ls", "/"], ["git", "--version"],
    ["sh", "-c", "ls / | sort | head -n 2; kill -TERM $$"], ["true"]], ids=lambda c: c[-1])
def test_other_programs_are_left_alone(here, work, command):
    """Same output, same status, no file, no message."""
    plain = here.run(command, cwd="/")
    loaded = here.run(command, cwd="/", env=here.preload(work / "%p.pillion"))
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert not list(work.iterdir())


def test_the_library_without_variables_does_nothing(one_python, work):
    here = place.of(one_python)
    program = "import os; print(len(os.listdir('/proc/self/task')), len(os.listdir('/proc/self/fd')))"
    plain = here.run([one_python.path, "-c", program], cwd=work)
    loaded = here.run([one_python.path, "-c", program], cwd=work, env={"LD_PRELOAD": here.library})
    assert (loaded.stdout, loaded.stderr) == (plain.stdout, plain.stderr)
    assert not list(work.iterdir())
