# SPDX-License-Identifier: MIT
"""Allocations whose true numbers are known. Prints them, as JSON.

allocations.py DRIVER.so threads|across|signalled|fork|mappings|neighbours
"""
import ctypes
import json
import os
import sys

driver = ctypes.CDLL(sys.argv[1])
ROUNDS, THREADS, BLOCKS = 3000, 8, 20000


def call(function, *numbers, rows):
    out = (ctypes.c_uint64 * (5 * rows + 5))()
    assert getattr(driver, function)(*numbers, out) == 0
    return list(out)


def by_thread(out, rows):
    return {out[5 * i]: out[5 * i + 1:5 * i + 5] for i in range(rows)}


def threads():
    return by_thread(call("alloc_threads", THREADS, ROUNDS, rows=THREADS), THREADS)


def across():
    return by_thread(call("alloc_across", BLOCKS, rows=2), 2)


def signalled():
    out = call("alloc_signalled", 3000000, rows=1)
    assert out[5] > 20, "no signal came in time"
    return by_thread(out, 1)


def mappings():
    return by_thread(call("alloc_mappings", 4, 200, rows=4), 4)


def neighbours():
    return by_thread(call("alloc_neighbours", 2000, rows=4), 4)


def fork():
    """In the parent before, in the child, in the parent after."""
    told = threads()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, json.dumps(threads()).encode())
        os._exit(0)
    os.close(write)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(read) as f:
        told.update(json.load(f))
    told.update(threads())
    return told


print(json.dumps({sys.argv[2]: globals()[sys.argv[2]]()}))
