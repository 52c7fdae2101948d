# SPDX-License-Identifier: MIT
"""A target killed at any moment leaves a profile that opens and misses nothing."""
import os
import random
import signal
import time

import pytest

import place
import recording

PROGRAM = """
import hashlib, threading, time
def churn():
    while True:
        t = threading.Thread(target=sum, args=(range(20000),)); t.start(); t.join()
def work():
    while True:
        sorted(range(3000), key=lambda x: -x); hashlib.sha256(bytes(20000)).digest()
for f in (work, churn, work):
    threading.Thread(target=f, daemon=True).start()
while True:
    time.sleep(0.01)
"""


def target_of(collector_pid, deadline):
    """The command that `record` started: its only child."""
    path = "/proc/%d/task/%d/children" % (collector_pid, collector_pid)
    while time.monotonic() < deadline:
        with open(path) as f:
            children = f.read().split()
        if children:
            return int(children[0])
        time.sleep(0.001)
    raise AssertionError("record started nothing")


def record_and_kill(place_, python, path, delay):
    argv = [place_.pillion, "record", "-o", path, "-F", "500", "--", python, "-c", PROGRAM]
    with open(str(path) + ".stderr", "w+") as err:
        process = place_.popen(argv, stderr=err)
        target = target_of(process.pid, time.monotonic() + 10)
        time.sleep(delay)
        os.kill(target, signal.SIGKILL)
        status = process.wait(timeout=60)
        err.seek(0)
        return status, err.read()


def check_profile(profile):
    data = profile.data
    assert data["complete"] and data["symbolized"] and not data["bad_bytes"]
    for p in profile.processes:
        assert p["lost_records"] == 0
        assert p["exit_status"] in (signal.SIGKILL, -1)
    # Every call of the handler became a row, or is counted as dropped: at most the one that was
    # being written on each thread is missing. There are five: the first, two that work, one that
    # starts threads, and the one that it has started.
    for index, p in enumerate(profile.processes):
        rows = sum(1 for s in profile.samples
                   if s.on_cpu and profile.thread(s)["process"] == index)
        assert rows + sum(p["drops"]) >= p["handler_calls"] - 5


def test_every_profile_opens_after_sigkill(one_python, work, long):
    seed = int(os.environ.get("PLN_SEED", time.time()))
    rng = random.Random(seed)
    rounds, with_samples = (1000 if long else 30), 0
    for i in range(rounds):
        delay = rng.uniform(0, 0.25)
        path = work / ("%d.pillion" % i)
        status, err = record_and_kill(place.of(one_python), one_python.path, path, delay)
        story = "PLN_SEED=%d round %d delay %.4f: %s" % (seed, i, delay, err)
        assert status == -signal.SIGKILL, story
        if path.exists():  # else killed before it was an interpreter
            profile = recording.load(path)
            check_profile(profile)
            with_samples += bool(profile.samples)
            path.unlink()
    assert with_samples >= rounds / 3


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_collector_leaves_what_it_had_and_a_running_target(one_python, work, signal_number):
    """The program runs on as if nothing had happened, and the profile opens."""
    path, enough, done = work / "out.pillion", work / "enough", work / "done"
    program = ("import os, sys, time\nend = time.monotonic() + 60\n"
               "while time.monotonic() < end and not os.path.exists(sys.argv[1]): sum(range(1000))\n"
               "open(sys.argv[2], 'w').write('whole')")
    here = place.of(one_python)
    process = here.popen([here.pillion, "record", "-o", path, "--", one_python.path, "-c", program, enough, done])
    target = target_of(process.pid, time.monotonic() + 10)
    recording.wait_for_samples(path)
    process.send_signal(signal_number)
    process.wait(timeout=30)
    if signal_number == signal.SIGKILL:
        enough.touch()
        recording.wait_for(done.exists)
        assert here.run([here.pillion, "info", path]).returncode == 0
        assert recording.load(path).samples
    else:
        # Forwarded: the command ends by it, and so does record.
        assert process.returncode == -signal.SIGTERM
        assert not os.path.exists("/proc/%d" % target)
        assert recording.load(path).data["complete"]
