# SPDX-License-Identifier: MIT
"""gdb and strace beside Pillion: they attach and go, or run the program, and it does not notice."""
import contextlib
import re
import shutil
import signal
import subprocess
import time

import place
import pytest
import recording
from prelude import PRELUDE

PROGRAM = PRELUDE + """
def dive(depth):
    return burn(1) if not depth else dive(depth - 1)
print(os.getpid(), flush=True)
threads = [start(dive, int(sys.argv[1])) for i in range(2)]
for t in threads: t.join()
print('done')
"""
GDB = ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off"]


def require(tool):
    if not shutil.which(tool):
        pytest.skip("no %s here: tests/run.sh installs it" % tool)


@contextlib.contextmanager
def recorded(python, work, depth=0):
    """A program that is being recorded, for a tool to attach to; it must end as it would without one."""
    if python.root:
        pytest.skip("it is not in %s" % python.root)
    here = place.of(python)
    argv = [here.pillion, "record", "-q", "-F", "1000", "--force", "-o", work / "out.pillion", "--", python.path, "-c",
            PROGRAM, str(depth)]
    with here.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "done\n", "")
    profile = recording.load(work / "out.pillion")
    assert profile.total("cpu_ns", profile.calling("burn")) >= 1.9e9


def test_gdb_attaches_looks_and_goes(python, work):
    require("gdb")
    with recorded(python, work) as pid:
        attached = place.of(python).run([*GDB, "-p", pid, "-ex", "thread apply all bt 1", "-ex", "detach"], timeout=60)
    assert "Thread 3" in attached.stdout, attached.stderr


def calls_in_handlers(lines):
    """How many system calls each handler of a sample made, from strace's log."""
    inside, counts = {}, []
    for line in lines:
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.startswith("--- SIGSTKFLT"):
            inside[thread] = 0
        elif rest.startswith("rt_sigreturn("):
            counts += [inside.pop(thread)] if thread in inside else []
        elif thread in inside and re.match(r"\w+\(", rest):
            inside[thread] += 1
    return counts


def under_strace(python, work, depth):
    """What its samples cost that strace saw, in system calls."""
    log = work / ("strace%d" % depth)

    def counts():
        return calls_in_handlers(log.read_text().splitlines() if log.exists() else [])
    with recorded(python, work, depth) as pid:
        with place.of(python).popen(["strace", "-f", "-p", pid, "-o", log], stderr=subprocess.DEVNULL) as strace:
            deadline = time.monotonic() + 30
            while len(counts()) < 50 and strace.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            strace.send_signal(signal.SIGINT)
    assert len(counts()) >= 50
    return counts()


def test_strace_attaches_and_goes(python, work, record_property):
    """It sees our calls, too: a few for each sample, and not one for each frame."""
    require("strace")
    shallow, deep = under_strace(python, work, 1), under_strace(python, work, 101)
    few, more = (sum(seen) / len(seen) for seen in (shallow, deep))
    record_property("figure", "%d samples of %.2f calls; with 100 frames more %d of %.2f" % (
        len(shallow), few, len(deep), more))
    # Frames of Python that lie together are read at once: that is one call for dozens of them.
    assert few <= 10 and more <= few + 10


def test_a_program_runs_in_gdb(python, work):
    """It has no name for SIGSTKFLT, stops at it, and cannot pass it on; with SIGPROF it does by default."""
    if python.root:
        pytest.skip("it is not in %s" % python.root)
    require("gdb")
    here = place.of(python)
    program = PRELUDE + "burn(0.5)\nprint('burned')"
    result = here.run([here.pillion, "record", "-q", "-o", work / "out.pillion", "--", *GDB, "-ex", "run", "--args",
                       python.path, "-c", program], env={"PILLION_SIGNAL": str(int(signal.SIGPROF))}, timeout=60)
    assert "burned\n" in result.stdout and "exited normally" in result.stdout, result.stdout + result.stderr
    profile = recording.load(work / "out.pillion")  # gdb, which has Python in it, is there as well
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.45e9
