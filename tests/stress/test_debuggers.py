# SPDX-License-Identifier: MIT
"""gdb and strace beside Pillion: they attach and go, or run the program, and it does not notice."""
import re
import shutil
import signal
import subprocess

import place
import pytest
import recording
from prelude import PRELUDE

PROGRAM = PRELUDE + """
print(os.getpid(), flush=True)
threads = [start(burn, 1) for i in range(2)]
for t in threads: t.join()
print('done')
"""
GDB = ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off"]


def require(tool):
    if not shutil.which(tool):
        pytest.skip("no %s here: tests/run.sh installs it" % tool)


def attach(python, work, tool):
    """Runs the tool at a program that is being recorded; returns the profile."""
    if python.root:
        pytest.skip("it is not in %s" % python.root)
    require(tool[0])
    here, path = place.of(python), work / "out.pillion"
    argv = [here.pillion, "record", "-q", "-F", "1000", "-o", path, "--", python.path, "-c", PROGRAM]
    with here.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        pid = process.stdout.readline().strip()
        attached = here.run([part.replace("PID", pid) for part in tool], timeout=60)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "done\n", ""), attached.stderr
    return attached, recording.load(path)


def test_gdb_attaches_looks_and_goes(python, work):
    attached, profile = attach(python, work, [*GDB, "-p", "PID", "-ex", "thread apply all bt 1", "-ex", "detach"])
    assert "Thread 3" in attached.stdout, attached.stderr
    assert profile.total("cpu_ns", profile.calling("burn")) >= 1.9e9


def test_strace_attaches_and_goes(python, work, record_property):
    """It sees our calls, too: there are a few for each sample, and none for each frame."""
    log = work / "strace"
    attached, profile = attach(python, work, ["timeout", "-s", "INT", "0.5", "strace", "-f", "-p", "PID", "-o", str(log)])
    calls = log.read_text().splitlines()
    samples = sum("rt_sigreturn(" in line for line in calls)
    # The program's own are those that read its clock.
    ours = sum(bool(re.search(r" (timer_settime|process_vm_readv|rt_tgsigqueueinfo|rt_sigreturn)\(", line)) for line in calls)
    record_property("figure", "%d samples seen, %.1f calls for each" % (samples, ours / max(1, samples)))
    assert samples >= 20 and ours <= 10 * samples
    assert profile.total("cpu_ns", profile.calling("burn")) >= 1.9e9


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
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.45e9
