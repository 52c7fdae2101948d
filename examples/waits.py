# SPDX-License-Identifier: MIT
"""A program that takes two seconds and needs no CPU: it waits, in four ways.

    pillion record -o waits.pillion -- python3 examples/waits.py
    pillion report --view offcpu --thread look_up,retry,follow waits.pillion

`look_up` talks to a slow server, and holds a lock while it does: who comes next waits for the
lock. `retry` is what many libraries do between two attempts: it sleeps. `follow` reads what a
slow command writes. For each line, the profile has the system call that it waits in: futex is the
lock, recvfrom the server behind it, clock_nanosleep the sleep, read the command.
"""
import socket
import subprocess
import threading
import time

SECONDS = 2
COMMAND = ["sh", "-c", "for i in 1 2 3 4; do sleep 0.4; echo $i; done"]
lock = threading.Lock()


def answer(server):
    """The slow server, at the other end of a socket."""
    while server.recv(1):
        time.sleep(0.05)
        server.send(b".")


def look_up(client):
    """Two threads, one lock: each waits for its own answer, and for the other's."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with lock:
            client.send(b"?")
            client.recv(1)
        time.sleep(0.001)  # without it, whoever had the lock takes it again at once


def retry(function, attempts=5):
    """As libraries have it: wait twice as long each time."""
    for attempt in range(attempts):
        if function():
            return
        time.sleep(0.05 * 2**attempt)


def follow():
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE) as process:
        return [line for line in process.stdout]


def main():
    client, server = socket.socketpair()
    jobs = [(look_up, client), (look_up, client), (retry, lambda: False), (follow,)]
    threads = [threading.Thread(target=function, args=arguments) for function, *arguments in jobs]
    peer = threading.Thread(target=answer, args=(server,))
    peer.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    peer.join()
    print("done, after %.2f s of CPU time" % time.process_time())


if __name__ == "__main__":
    main()
