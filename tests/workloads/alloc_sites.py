# SPDX-License-Identifier: MIT
"""Many lines that each allocate a known amount. Prints [line, blocks, bytes of all] as JSON.

alloc_sites.py DRIVER.so sizes|in_step|churn|huge
"""
import ctypes
import json
import sys
import time

driver = ctypes.PyDLL(sys.argv[1])
driver.alloc_and_free.argtypes = [ctypes.c_size_t, ctypes.c_uint]
driver.alloc_and_free.restype = ctypes.c_size_t
SITES, SMALLEST, LARGEST = 200, 16, 64 << 20
BYTES = 8 << 20  # of each site, in one block at least


def sizes():
    """16 bytes to 64 MiB in equal ratios, mixed."""
    steps = [int(SMALLEST * (LARGEST / SMALLEST) ** (i / (SITES - 1))) for i in range(SITES)]
    return [(steps[i * 77 % SITES], max(3, BYTES // steps[i * 77 % SITES])) for i in range(SITES)], 1


def in_step():
    """Two lines that take turns, nine to one, of small blocks and of large ones."""
    return [(1000, 9), (600000, 1), (64, 9), (64, 1)], 2000


def churn():
    return [(size, 20) for size in (24, 100, 4000, 24, 100, 4000)], 3000


def huge():
    """One among many small ones."""
    return [(48, 200000), (1 << 30, 1), (48, 200000)], 1


plan, rounds = globals()[sys.argv[2]]()
lines = ["for i in range(%d):" % rounds]
lines += ["    total[%d] += allocate(%d, %d)" % (i, size, count) for i, (size, count) in enumerate(plan)]
total, calls = [0] * len(plan), 0


def allocate(size, count):
    """Now and then it lets a collector that has no CPU of its own do its work."""
    global calls
    calls += 1
    if calls % (20 if rounds == 1 else 400) == 0:
        time.sleep(0.03)
    return driver.alloc_and_free(size, count)


time.sleep(0.1)
exec(compile("\n".join(lines), "sites.py", "exec"), {"total": total, "allocate": allocate})
print(json.dumps([[i + 2, rounds * count, total[i]] for i, (_, count) in enumerate(plan)]))
