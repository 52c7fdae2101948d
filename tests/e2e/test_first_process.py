# SPDX-License-Identifier: MIT
"""A program that orphans come to, such as a container's first process, started with the
environment alone: it meets no child that it did not make, and its profile is whole."""
import subprocess

import place
import pytest
import recording

PROGRAM = """
import os, subprocess, sys, time
subprocess.check_call(['true'])
end = time.thread_time() + 0.3
while time.thread_time() < end: pass
try:
    print(os.getpid() == 1, os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print(os.getpid() == 1, 'no children')
"""
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]


def run(python, directory, before, program=PROGRAM):
    where = place.of(python)
    preload = ["%s=%s" % item for item in where.preload(directory / "out.pillion").items()]
    return where.run([*before, "env", *preload, python.path, "-c", program], cwd=directory)


@pytest.fixture
def namespace(one_python):
    try:
        place.of(one_python).run([*NAMESPACE, "true"]).check_returncode()
    except subprocess.CalledProcessError:
        pytest.skip("PID namespaces are not allowed here")
    return NAMESPACE


def test_the_first_process_of_a_namespace_has_no_child_that_it_did_not_make(one_python, work, namespace):
    result = run(one_python, work, namespace)
    assert (result.returncode, result.stdout, result.stderr) == (0, "True no children\n", "")


def test_its_profile_is_whole_when_it_has_ended(one_python, work, namespace):
    """The kernel ends the collector with it."""
    run(one_python, work, namespace)
    profile = recording.load(work / "out.pillion")
    assert profile.data["complete"] and profile.data["symbolized"]
    assert profile.total("cpu_ns") >= 0.28e9


def test_it_is_whole_when_the_process_has_become_another_program(one_python, work, namespace):
    """Which did not start the collector, and waits for it all the same."""
    result = run(one_python, work, namespace,
                 "import os, sys; os.execv(sys.executable, [sys.executable, '-c', %r])" % PROGRAM)
    assert (result.returncode, result.stdout, result.stderr) == (0, "True no children\n", "")
    profile = recording.load(work / "out.pillion")
    assert profile.data["complete"] and profile.data["symbolized"]
    assert len(profile.processes) == 2 and profile.total("cpu_ns") >= 0.28e9


def test_with_other_threads_at_its_end_it_does_not_wait(one_python, work, namespace):
    """They may crash after the interpreter's end: what was recorded is there, without symbols."""
    result = run(one_python, work, namespace, "import threading\nthreading.Thread("
                 "target=threading.Event().wait, daemon=True).start()\n" + PROGRAM.replace("0.3", "1"))
    assert (result.returncode, result.stderr) == (0, "")
    # Not what the collector had yet to fetch.
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.4e9


# It is one before it becomes Python.
SUBREAPER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_a_subreaper_has_no_child_that_it_did_not_make(one_python, work):
    result = run(one_python, work, [one_python.path, "-c", SUBREAPER])
    assert (result.returncode, result.stdout, result.stderr) == (0, "False no children\n", "")


def test_no_zombie_is_left_of_a_collector_that_ends_first(one_python, work):
    result = run(one_python, work, [one_python.path, "-c", SUBREAPER, "env", "PILLION_DURATION=0.3"], """
import glob, time
def children():
    return [pid for path in glob.glob('/proc/self/task/*/children') for pid in open(path).read().split()]
kept, deadline = len(children()), time.monotonic() + 15
while children() and time.monotonic() < deadline: time.sleep(0.05)
print(kept, children())
""")
    assert (result.returncode, result.stdout, result.stderr) == (0, "1 []\n", "")
    assert recording.load(work / "out.pillion").data["complete"]
