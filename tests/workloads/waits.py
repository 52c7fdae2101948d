# SPDX-License-Identifier: MIT
"""One thread for each way to wait, and how long it waited.

    waits.py SECONDS

Each thread takes the name of its function, and waits in a few calls. Prints JSON:
per function the wall time spent in it.
"""
import json
import queue
import select
import socket
import subprocess
import sys
import threading
import time

SPENT = {}
ROUNDS = 4


def wait_sleep(seconds):
    time.sleep(seconds)


def wait_lock(seconds):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=seconds)


def wait_queue(seconds):
    try:
        queue.Queue().get(timeout=seconds)
    except queue.Empty:
        pass


def wait_event(seconds):
    threading.Event().wait(seconds)


def wait_recv(seconds):
    left, right = socket.socketpair()
    threading.Timer(seconds, right.send, [b"x"]).start()
    left.recv(1)
    left.close()
    right.close()


def wait_select(seconds):
    select.select([], [], [], seconds)


def wait_poll(seconds):
    select.poll().poll(seconds * 1000)


def wait_epoll(seconds):
    with select.epoll() as e:
        e.poll(seconds)


def wait_subprocess(seconds):
    subprocess.call(["sleep", str(seconds)])


def wait_pipe(seconds):
    with subprocess.Popen(["sleep", str(seconds)], stdout=subprocess.PIPE) as child:
        child.stdout.read()


def repeat(function, seconds):
    start = time.monotonic_ns()
    for _ in range(ROUNDS):
        function(seconds / ROUNDS)
    SPENT[function.__name__] = time.monotonic_ns() - start


def main(seconds):
    waits = [v for k, v in list(globals().items()) if k.startswith("wait_")]
    threads = [threading.Thread(target=repeat, args=(f, seconds), name=f.__name__) for f in waits]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(json.dumps(SPENT))


if __name__ == "__main__":
    main(float(sys.argv[1]))
