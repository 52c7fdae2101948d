# SPDX-License-Identifier: MIT
"""Four processes, forty threads: fork, spawn, subprocess, thread pools and asyncio.

    processes.py REPORT SECONDS

Every process appends one line of JSON to REPORT: its pid, how it came to be, and the
native ids of the threads that worked in it.
"""
import asyncio
import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time

THREADS = 10  # in each process, with its main thread


def work(seconds, barrier):
    """Returns the thread that did it. The barrier keeps a pool from reusing one thread."""
    barrier.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(i * i for i in range(500))
        time.sleep(0.002)
    return threading.get_native_id()


def pool_of_threads(seconds, count):
    barrier = threading.Barrier(count)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: work(seconds, barrier), range(count)))


async def tasks_in_threads(seconds, count):
    barrier = threading.Barrier(count)
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        jobs = [loop.run_in_executor(pool, work, seconds, barrier) for _ in range(count)]
        return await asyncio.gather(*jobs)


def a_process(kind, report, seconds):
    half = (THREADS - 1) // 2
    tids = pool_of_threads(seconds / 2, half)
    tids += asyncio.run(tasks_in_threads(seconds / 2, THREADS - 1 - half))
    tids.append(threading.get_native_id())
    line = json.dumps({"pid": os.getpid(), "kind": kind, "threads": tids}) + "\n"
    fd = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)


def main(report, seconds):
    children = []
    for kind in ("fork", "spawn"):
        context = multiprocessing.get_context(kind)
        children.append(context.Process(target=a_process, args=(kind, report, seconds)))
        children[-1].start()
    code = "import processes, sys; processes.a_process('exec', sys.argv[1], float(sys.argv[2]))"
    child = subprocess.Popen([sys.executable, "-c", code, report, str(seconds)],
                             cwd=os.path.dirname(os.path.abspath(__file__)))
    a_process("main", report, seconds)
    for process in children:
        process.join()
    sys.exit(child.wait() or any(process.exitcode for process in children))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
