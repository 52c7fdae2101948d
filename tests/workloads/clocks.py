# SPDX-License-Identifier: MIT
"""Threads that compute and wait by turns, and what the kernel's clocks say of each.

    clocks.py SECONDS

Prints JSON: per native thread id the CPU time from the first to the last instruction of
its function (0 to now for the main thread) and the wall time, which the thread's life is
longer than, and the time from before its start to after its end, which it is shorter than;
and the wall time of the process, from /proc.
"""
import hashlib
import json
import sys
import threading
import time

CLOCKS = {}


def busy(end):
    """Python code, C code with the GIL, and C code without it."""
    data = bytes(100_000)
    while time.monotonic() < end:
        sum(i * i for i in range(2000))
        hashlib.sha256(data).digest()
        sorted(range(5000), key=lambda x: -x)


def mostly_asleep(end):
    while time.monotonic() < end:
        sum(range(20_000))
        time.sleep(0.003)


def timed(function, end):
    start = time.monotonic_ns()
    function(end)
    CLOCKS[threading.get_native_id()] = {
        "cpu_ns": time.thread_time_ns(), "wall_ns": time.monotonic_ns() - start}


def main(seconds):
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=timed, args=(f, end)) for f in (busy, mostly_asleep)]
    before = {}
    for t in threads:
        before[t] = time.monotonic_ns()
        t.start()
    timed(busy, end)
    for t in threads:
        t.join()
        CLOCKS[t.native_id]["life_ns"] = time.monotonic_ns() - before[t]
    with open("/proc/self/stat") as f:
        started_ticks = int(f.read().rsplit(")", 1)[1].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / 100
    main_clock = CLOCKS[threading.get_native_id()]
    main_clock["cpu_ns"] = time.thread_time_ns()
    print(json.dumps({"threads": CLOCKS, "age_ns": int(age * 1e9),
                      "process_cpu_ns": time.process_time_ns()}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
