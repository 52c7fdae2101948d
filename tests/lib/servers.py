# SPDX-License-Identifier: MIT
"""Servers that fork their workers, as tests start and reload them."""
import os
import signal
import socket
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return list(map(int, f.read().split()))


def reload_workers(master, count=1):
    """By SIGHUP; until none of the old ones is left, and so many new ones are there."""
    old = set(children(master))
    os.kill(master, signal.SIGHUP)
    deadline = time.monotonic() + 30
    while old & set(children(master)) or len(children(master)) < count:
        assert time.monotonic() < deadline, "no new workers"
        time.sleep(0.02)
