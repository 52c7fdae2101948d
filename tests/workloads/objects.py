# SPDX-License-Identifier: MIT
"""Objects and blocks whose true numbers are known. Prints them, as JSON.

    objects.py threads|traced|untraced|fork|kept|truth       (with objects_ext importable)

kept is for a profile; truth is the same with tracemalloc, which tells what each line takes.
"""
import json
import os
import sys
import time
import tracemalloc

import objects_ext

ROUNDS, THREADS, OBJECTS = 100, 4, 200000


def wait_until_followed(seconds=5):
    end = time.monotonic() + seconds
    while not objects_ext.is_wrapped():
        assert time.monotonic() < end, "nobody wraps the allocators"
        time.sleep(0.002)


def threads():
    """One thread after the other has the GIL, but that changes in between."""
    objects_ext.drive(1, 0)  # the first one may find less on CPython's free lists
    idle = objects_ext.drive(1, 0)
    return idle + objects_ext.drive(THREADS, ROUNDS)


def traced():
    """tracemalloc begins after us, and puts us back."""
    tracemalloc.start()
    told = threads()
    tracemalloc.stop()
    assert objects_ext.is_wrapped()
    return told


def untraced():
    """It began before us, and puts back what was there before it."""
    told = threads()
    tracemalloc.stop()
    assert not objects_ext.is_wrapped()
    objects_ext.drive(THREADS, ROUNDS)  # nobody counts
    return told


def fork():
    """In the child; in the parent afterwards."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, json.dumps(threads()).encode())
        os._exit(0)
    os.close(write)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(read) as f:
        return json.load(f), threads()


def rest():
    """So that the collector keeps up."""
    time.sleep(0.004)


def make_floats(n):
    return [i + 0.5 for i in range(n)]


def make_dicts(n):
    return [{"a": i} for i in range(n)]


def make_nothing(n):
    """What is freed at once."""
    for i in range(n):
        len("%d, %d" % (i, i))


def make_many(make):
    made = []
    for _ in range(ROUNDS):
        made.append(make(OBJECTS // ROUNDS))
        rest()
    return made


def kept():
    global keep  # live to the end
    time.sleep(0.2)  # what the start has brought is read first
    keep = make_many(make_floats), make_many(make_dicts)
    make_many(make_nothing)


def truth():
    """By function: bytes that stay."""
    bytes_of = {}
    for make in make_floats, make_dicts:
        tracemalloc.start()
        keep = make_many(make)
        bytes_of[make.__name__], _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del keep
    return bytes_of


if __name__ == "__main__":
    if sys.argv[1] != "truth":
        wait_until_followed()
    print(json.dumps(globals()[sys.argv[1]]()))
