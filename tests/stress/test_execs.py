# SPDX-License-Identifier: MIT
"""A program that becomes another one: no signal of ours reaches it, and its segment says so. Who is started
without the library is none of ours, whether a program did so or we did."""
import os
import pathlib
import re
import subprocess

import place
import pytest
import recording
import segment
from prelude import PRELUDE


def test_no_signal_of_ours_outlives_an_exec(python, work, times):
    """Forced samples were pending when the next program began, and ended it."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
argv = (ctypes.c_char_p * 2)(b'true', None)
statuses, count = [], %d
def forks():
    for i in range(count):
        pid = os.fork()
        if not pid:
            burn(0.002)  # two periods
            calls[i %% len(calls)]()
        statuses.append(os.waitpid(pid, 0)[1])
calls = [lambda: os.execv('/bin/true', ['true']), lambda: os.execvp('true', ['true']),
         lambda: libc.execveat(-100, b'/bin/true', argv, None, 0),
         lambda: os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})]
threads = [start(forks) for i in range(4)]
for t in threads: t.join()
print(len(statuses) - 4 * count, set(statuses))
""" % (60 * times)], work, options=["-F", "1000"])
    assert out == "0 {0}\n"
    assert profile.handler_calls(recording.FORKED) > 0, "no child had a signal"


@pytest.mark.full
def test_an_exec_that_fails_leaves_sampling_as_it_was(python, work):
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
libc = ctypes.CDLL(None, use_errno=True)
for function, arguments in (("execl", (b"/none", b"a", b"b", None)), ("execlp", (b"none", b"a", None)),
                            ("execle", (b"/none", b"a", None, None)), ("execv", (b"/none", None)),
                            ("execveat", (-100, b"/none", None, None, 0))):
    print(getattr(libc, function)(*arguments), ctypes.get_errno())
burn(0.5)
time.sleep(0.3)
"""], work)
    assert out == "-1 2\n" * 5
    assert profile.total("cpu_ns") >= 0.45e9 and profile.total("offcpu_ns") >= 0.25e9


@pytest.mark.full
def test_arguments_given_one_by_one_arrive(python, work):
    _, out = recording.record_ok(python, ["-c", """
import ctypes
env = (ctypes.c_char_p * 2)(b"X=from the environment", None)
ctypes.CDLL(None).execle(b"/bin/sh", b"sh", b"-c", b'echo "$1, $X"', b"sh", b"an argument", None, env)
"""], work)
    assert out == "an argument, from the environment\n"


def state_after(memory, program_says, process):
    assert process.stdout.readline() == program_says + "\n", process.stderr.read()
    return segment.state(memory)


def test_the_segment_of_a_program_that_has_become_another_one_says_so(python, work):
    program = PRELUDE + """
wait_until(is_sampling)
try:
    os.execv('/none', ['none'])
except OSError:
    print('still here', flush=True)
input()
os.execv('/bin/sh', ['sh', '-c', 'echo another; read x'])
"""
    with segment.of(python, program, work, stdin=-1) as (process, memory):
        assert state_after(memory, "still here", process) == segment.SAMPLING
        print(file=process.stdin, flush=True)
        assert state_after(memory, "another", process) == segment.EXECED


# It burns far longer than a sample takes to come; its output, its errors and its status are its own.
UNRECORDED = """
import os, sys, time
def unrecorded():
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
unrecorded()
print('out', sorted(os.environ), len(os.listdir('/proc/self/task')), 'pillion' in open('/proc/self/maps').read(), flush=True)
print('err', file=sys.stderr, flush=True)
sys.exit(7)
"""
WAYS = """
import subprocess
command = [sys.executable, '-c', %r]
def wait(pid):
    print(os.waitpid(pid, 0)[1], flush=True)
def forks():
    pid = os.fork()
    if not pid: os.execve(command[0], command, {})
    wait(pid)
ways = {'subprocess': lambda: print(subprocess.run(command, env={}).returncode, flush=True), 'fork': forks,
        'spawn': lambda: wait(os.posix_spawn(command[0], command, {}))}
def before(): burn(0.3)
def after(): burn(0.3)
before()
ways[sys.argv[1]]()
after()
""" % UNRECORDED


@pytest.mark.parametrize("way, status", [("subprocess", "7"), ("spawn", "1792"), ("fork", "1792")])
def test_a_python_that_starts_with_no_environment_is_not_recorded(python, work, here, way, status):
    """It runs as without us, and costs its parent nothing of its profile."""
    forks = way == "fork" or (way == "subprocess" and python.minor < (3, 10))  # later ones vfork
    processes = 2 if forks else 1
    arguments = ["-c", PRELUDE + WAYS, way]
    plain = place.of(python).run([python.path, *arguments], cwd=work)
    recorded = recording.record(python, arguments, work, options=["-q"])
    assert plain.stdout.splitlines()[0].endswith(" 1 False") and plain.stdout.splitlines()[1] == status, plain
    assert (recorded.returncode, recorded.stdout, recorded.stderr) == (0, plain.stdout, plain.stderr)
    profile = recorded.load()
    # What a fork was before its exec is the parent's program, and known; its end is that of what it became.
    assert [p["exit_status"] for p in profile.processes] == [0, 1792][:processes]
    assert [p["reason"] for p in profile.processes] == [recording.STARTED, recording.FORKED][:processes]
    assert not profile.calling("unrecorded") and not profile.notes
    assert all(t["cpu_ns"] < 0.1e9 for t in profile.threads if t["process"]), profile.threads
    for name in ("before", "after"):
        assert 0.28e9 <= profile.total("cpu_ns", profile.calling(name)) <= 0.35e9, name
    told = here.run([here.pillion, "info", recorded.path]).stdout
    assert len(re.findall("^Process ", told, re.M)) == processes, told


def read(pid, name):
    """Of a process that may just be gone: nothing."""
    try:
        return pathlib.Path("/proc/%d/%s" % (pid, name)).read_bytes()
    except OSError:
        return b""


def all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children_of(parent):
    return {pid for pid in all_processes() if read(pid, "stat").rpartition(b")")[2].split()[1:2] == [b"%d" % parent]}


def started_collector(token):
    """That of a program with the environment alone: it is nobody's child."""
    return next((pid for pid in all_processes() if read(pid, "cmdline").split(b"\0")[1:2] == [b"collect"]
                 and b"PILLION_TOKEN=" + token.encode() in read(pid, "environ").split(b"\0")), None)


@pytest.mark.parametrize("alone", [False, True], ids=["record", "environment"])
def test_a_collector_has_not_the_library_that_its_targets_have(python, work, alone):
    """As a target it would start a collector, which would start one."""
    where, path = place.of(python), work / "out.pillion"
    program = [python.path, "-c", PRELUDE + """
wait_until(is_sampling)
print(os.getpid(), os.getppid(), os.environ['PILLION_TOKEN'], flush=True)
input()
"""]
    argv = program if alone else [where.pillion, "record", "-q", "-o", path, "--", *program]
    with where.popen(argv, cwd=work, env=where.preload(path) if alone else None, text=True, stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE) as process:
        target, parent, token = process.stdout.readline().split()
        collector = recording.wait_for(lambda: started_collector(token)) if alone else int(parent)
        ours = {collector} | children_of(collector) - {int(target)}
        loaded = {pid: b"libpillion.so" in read(pid, "maps") for pid in [int(target), *ours]}
        told = {pid: b"LD_PRELOAD=" in read(pid, "environ") for pid in [int(target), *ours]}
        assert all(read(pid, "maps") for pid in ours), "one has ended meanwhile"
        process.communicate("\n", timeout=60)
    expected = {pid: pid == int(target) for pid in loaded}
    assert loaded == expected and told == expected, (loaded, told)
    assert recording.complete(path).processes
