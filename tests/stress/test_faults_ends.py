# SPDX-License-Identifier: MIT
"""A program that crashes, or is killed, ends as without us; the profile says how it ended, and
what it was last seen running."""
import json
import os
import pathlib
import re
import signal

import pytest
import recording
from prelude import PRELUDE

CRASHES = PRELUDE + """
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
def crashes(end):
    burn(0.4)
    end()
def works(end):
    crashes(end)
"""
ENDS = {
    "SIGSEGV": "lambda: ctypes.string_at(0)",
    "SIGABRT": "libc.abort",
    "SIGFPE": "lambda: os.kill(os.getpid(), signal.SIGFPE)",
    "SIGKILL": "lambda: os.kill(os.getpid(), signal.SIGKILL)",
}


def report(here, path, verb="report", *options):
    result = here.run([here.pillion, verb, *options, path])
    assert result.returncode == 0, result
    return result.stdout


def one_line(text):
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_crash_is_told_with_the_last_stack_that_ran(here, one_python, work, name, thread, record_property):
    """Within the last moments: a sample is taken every 10 ms of CPU time."""
    run = "start(works, %s).join()" if thread else "works(%s)"
    result = recording.record(one_python, ["-c", CRASHES + run % ENDS[name]], work)
    number = getattr(signal, name)
    assert result.returncode == -number, result.stderr
    assert result.load().processes[0]["exit_status"] & 0x7f == number
    shown = one_line(report(here, result.path))
    assert "killed by " + name in shown
    age, unit, ran = re.search(r"killed by %s: ([\d.]+) (\S+) before, thread \S+ ran (.*?) spent in" % name,
                               shown).groups()
    assert re.search(r"crashes \(<string>:\d+\) < works \(<string>:\d+\) < ", ran), shown
    record_property("figure", "%s: seen %s %s before" % (name, age, unit))
    assert float(age) * {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1}[unit] < 0.5
    whole = one_line(report(here, result.path, "info"))
    assert "before it was killed" in whole and "works (<string>:" in whole


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_last_run_is_in_the_json_too(here, python, work, name, record_property):
    result = recording.record(python, ["-c", CRASHES + "works(%s)" % ENDS[name]], work)
    assert result.returncode == -getattr(signal, name), result.stderr
    last = json.loads(report(here, result.path, "info", "--json"))["processes"][0]["last_run"]
    record_property("figure", "%s: seen %.1f ms before" % (name, last["before_end_ns"] / 1e6))
    assert last["before_end_ns"] < 0.5e9 and last["tid"] > 0
    assert [f["function"] for f in last["stack"] if f["function"] in ("crashes", "works")] == ["crashes", "works"]


def test_of_who_ends_in_order_nothing_is_said(here, one_python, work):
    result = recording.record(one_python, ["-c", CRASHES + "works(lambda: sys.exit(3))"], work)
    assert result.returncode == 3
    assert "killed" not in report(here, result.path)
    assert json.loads(report(here, result.path, "info", "--json"))["processes"][0]["last_run"] is None


@pytest.mark.full
def test_children_that_are_killed_are_told_each_and_then_counted(here, one_python, work):
    program = CRASHES + """
def burns_and_crashes():
    burn(0.05)
    os.kill(os.getpid(), signal.SIGSEGV)
for i in range(7):
    pid = os.fork()
    if not pid: burns_and_crashes()
    os.waitpid(pid, 0)
"""
    result = recording.record(one_python, ["-c", program], work)
    shown = report(here, result.path)
    assert result.returncode == 0 and len(re.findall(r"^  ended .*SIGSEGV", shown, re.M)) == 5
    assert "2 more were killed; see pillion info" in shown


@pytest.mark.full
def test_a_handler_of_the_programs_own_still_gets_its_crash(here, python, work):
    """faulthandler: its dump, and the death that it leaves to the kernel."""
    result = recording.record(python, ["-X", "faulthandler", "-c", CRASHES + "works(%s)" % ENDS["SIGSEGV"]], work)
    assert result.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in result.stderr and "in crashes" in result.stderr
    assert "killed by SIGSEGV" in report(here, result.path)


# ------------------------------------------------------------- out of memory

V1, V2 = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
LIMIT = 96 << 20


def own_group(controller):
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""


@pytest.fixture
def small_group():
    """A cgroup that may use 96 MiB; gives the file that takes in a process."""
    v1 = V1.is_dir()
    parent = V1 / own_group("memory") if v1 else V2 / own_group("")
    group = parent / ("pillion-test-%d" % os.getpid())
    limit = group / ("memory.limit_in_bytes" if v1 else "memory.max")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip("no cgroup can be made here: %s" % error)
    try:
        limit.write_text(str(LIMIT))
    except OSError as error:
        group.rmdir()
        pytest.skip("memory cannot be limited by a cgroup here: %s" % error)
    yield group / "cgroup.procs"
    group.rmdir()


@pytest.mark.full
def test_out_of_memory_is_told_with_what_took_it(here, one_python, work, small_group, record_property):
    program = PRELUDE + """
def hoards():
    while True: kept.append(b'x' * (1 << 20))
kept = []
hoards()
"""
    shell = 'echo $$ > "$0" && exec "$@"'
    path = work / "x.pillion"
    result = here.run([here.pillion, "record", "-o", path, "--", "sh", "-c", shell, small_group,
                       one_python.path, "-c", program])
    assert result.returncode == -signal.SIGKILL, result.stderr
    profile = recording.load(path)
    assert profile.data["complete"] and profile.processes[0]["exit_status"] & 0x7f == signal.SIGKILL
    assert "killed by SIGKILL" in one_line(report(here, path))
    # Live, since nobody freed it: the limit, less the interpreter.
    hoarded = sum(b.bytes for b in profile.blocks if not b.freed_ns and b.calls("hoards"))
    record_property("figure", "%.1f MiB told, of %d MiB" % (hoarded / (1 << 20), LIMIT >> 20))
    assert 0.6 * LIMIT <= hoarded <= 1.1 * LIMIT
