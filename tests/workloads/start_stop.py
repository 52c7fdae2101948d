# SPDX-License-Identifier: MIT
"""Records parts of itself only. Prints, as JSON, the main thread's CPU time in each part.

start_stop.py turns SECONDS       many short turns of wanted() and unwanted()
start_stop.py threads             threads that begin, end and live across the borders
start_stop.py fork                a child, forked while stopped, that records a part of itself
"""
import ctypes
import json
import os
import sys
import threading
import time

library = ctypes.CDLL(None)


def switch(name):
    result = getattr(library, "pillion_" + name)()
    assert result == 0, (name, result)
    assert library.pillion_is_sampling() == (name == "start")


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def wanted(seconds):
    """A sample that was due at its end comes with the kernel's next tick: here still."""
    switch("start")
    burn(seconds)
    switch("stop")


def unwanted(seconds):
    burn(seconds)


def timed(spent, part, seconds):
    before = time.thread_time_ns()
    part(seconds)
    spent[part.__name__] = spent.get(part.__name__, 0) + time.thread_time_ns() - before


def turns(seconds):
    spent = {}
    unwanted(0.2)
    for _ in range(int(seconds / 0.02)):
        timed(spent, wanted, 0.013)
        timed(spent, unwanted, 0.007)
    return spent


def threads():
    spent = {}
    across = threading.Thread(target=lambda: [unwanted(0.3), borders[0].wait(), timed(spent, wanted, 0.5),
                                              borders[1].set(), borders[2].wait()])
    borders = [threading.Event() for _ in range(3)]
    across.start()
    gone = threading.Thread(target=unwanted, args=(0.2,))
    gone.start()
    gone.join()
    borders[0].set()
    borders[1].wait()
    late = threading.Thread(target=unwanted, args=(0.2,))
    late.start()
    late.join()
    borders[2].set()
    across.join()
    return spent


def fork():
    unwanted(0.2)
    pid = os.fork()
    spent = {}
    if pid == 0:
        unwanted(0.2)
        timed(spent, wanted, 0.5)
        unwanted(0.2)
        print(json.dumps(spent), flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return None


if __name__ == "__main__":
    told = {"turns": turns, "threads": threads, "fork": fork}[sys.argv[1]](*map(float, sys.argv[2:]))
    if told:
        print(json.dumps(told))
