# SPDX-License-Identifier: MIT
"""Programs for the oracle to look at: `python programs.py NAME SECONDS`.

Each spends its time in another part of the interpreter and of the libraries below it.
One that needs what is not installed exits with 77.
"""
import sys
import time


def lasting(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def json_text(seconds):
    import json
    data = {"rows": [{"id": i, "name": str(i) * 3, "tags": ["a", "b"]} for i in range(300)]}
    for _ in lasting(seconds):
        text = json.dumps(data, indent=1)
        json.loads(text)
        sorted(data["rows"], key=lambda row: row["name"])


def regex(seconds):
    import re
    text = " ".join("user%d@host%d.example %s" % (i, i, "x" * (i % 9)) for i in range(500))
    for _ in lasting(seconds):
        re.findall(r"(\w+)@(\w+)\.example", text)
        re.sub(r"(x+)", lambda match: match.group(1).upper(), text)
        re.compile(r"(a|b)*c%d" % (time.monotonic_ns() % 1000))


def sqlite(seconds):
    import sqlite3
    db = sqlite3.connect(":memory:")
    db.create_function("half", 1, lambda x: x // 2)
    db.execute("create table t (a integer primary key, b text, c integer)")
    for turn in lasting(seconds):
        db.execute("delete from t")
        db.executemany("insert into t (b, c) values (?, ?)", ((str(i), i) for i in range(2000)))
        db.execute("select c % 7, count(*), max(b) from t group by 1 order by 2").fetchall()
        db.execute("select sum(half(c)) from t").fetchall()


def tls(seconds):
    import hashlib
    import ssl
    block = b"pillion" * 4096
    for _ in lasting(seconds):
        for name in ("sha256", "sha512", "md5", "sha3_256", "blake2b"):
            hashlib.new(name, block).digest()
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 500)
        ssl.create_default_context()


def compress(seconds):
    import bz2
    import lzma
    import zlib
    data = b"".join(b"line %d of a text that repeats\n" % (i % 777) for i in range(5000))
    for _ in lasting(seconds):
        zlib.decompress(zlib.compress(data, 6))
        bz2.decompress(bz2.compress(data[:20000]))
        lzma.decompress(lzma.compress(data[:20000], preset=1))


def web(seconds):
    import http.client
    import http.server
    import json
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"path": self.path, "rows": list(range(200))}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def client():
        for turn in lasting(seconds):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request("GET", "/some/path")
            json.loads(connection.getresponse().read())
            connection.close()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    server.shutdown()


def calls(seconds):
    import functools

    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    def depth(n):
        return 0 if n == 0 else 1 + max(map(depth, [n - 1]))

    class Thing:
        def __init__(self, value):
            self.value = value

        def __eq__(self, other):
            return self.value == other.value

        def __hash__(self):
            return hash(self.value)

    def generator(n):
        for i in range(n):
            yield from (i, i + 1)

    for _ in lasting(seconds):
        fib(15)
        depth(60)
        len({Thing(i) for i in range(300)})
        sum(generator(500))
        sorted(range(200), key=functools.cmp_to_key(lambda a, b: b - a))
        try:
            raise ValueError(1)
        except ValueError:
            pass


def imports(seconds):
    import importlib
    for _ in lasting(seconds):
        for name in ("decimal", "fractions", "argparse", "xml.dom.minidom", "difflib", "tokenize"):
            module = importlib.import_module(name)
            importlib.reload(module)


def numpy_linalg(seconds):
    try:
        import numpy as np
    except ImportError:
        sys.exit(77)
    a = np.random.rand(300, 300)
    for _ in lasting(seconds):
        b = a @ a
        np.linalg.svd(a[:120, :120])
        np.linalg.solve(a, b)
        np.linalg.eigvalsh(a[:80, :80] + a[:80, :80].T)
        a.astype(np.float32) @ a.astype(np.float32)


def numpy_arrays(seconds):
    try:
        import numpy as np
    except ImportError:
        sys.exit(77)
    a = np.random.rand(300, 300)
    for _ in lasting(seconds):
        np.sort(a, axis=None)
        (a * a + 1).sum()
        np.fft.fft(a)
        np.exp(a)
        np.einsum("ij,jk->ik", a[:60, :60], a[:60, :60])
        np.unique((a * 50).astype(int))


def waits(seconds):
    """Many kinds of waiting: what is walked with pc and sp alone."""
    import asyncio
    import os
    import queue
    import select
    import socket
    import subprocess
    import threading

    end = time.monotonic() + seconds
    messages, event, lock = queue.Queue(), threading.Event(), threading.Lock()
    condition = threading.Condition()
    ours, _theirs = socket.socketpair()
    ours.settimeout(0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    readable, writable = os.pipe()
    lock.acquire()

    def recurse(n):
        time.sleep(0.01) if n == 0 else recurse(n - 1)

    async def nap():
        await asyncio.sleep(0.05)

    def condition_wait():
        with condition:
            condition.wait(0.1)

    kinds = [
        lambda: time.sleep(0.1), lambda: messages.get(timeout=0.1), lambda: event.wait(0.1),
        lambda: ours.recv(1), lambda: select.select([readable], [], [], 0.1),
        lambda: lock.acquire(timeout=0.1), lambda: subprocess.run(["/bin/sleep", "0.05"]),
        listener.accept, lambda: select.poll().poll(100), lambda: select.epoll().poll(0.1),
        lambda: asyncio.run(nap()), condition_wait, lambda: recurse(50),
        lambda: sorted([3, 1, 2], key=lambda x: time.sleep(0.01) or x),
    ]

    def repeat(wait):
        while time.monotonic() < end:
            try:
                wait()
            except (queue.Empty, OSError):
                pass

    threads = [threading.Thread(target=repeat, args=(wait,)) for wait in kinds]
    threads.append(threading.Thread(target=os.read, args=(readable, 1)))
    for thread in threads:
        thread.start()
    for _ in lasting(seconds):
        sum(i * i for i in range(1000))
        os.stat("/")
        with open("/proc/self/stat") as stat:
            stat.read()
    os.write(writable, b"x")
    for thread in threads:
        thread.join()


PROGRAMS = {
    "json": json_text, "re": regex, "sqlite3": sqlite, "ssl": tls, "zlib": compress, "http": web,
    "calls": calls, "imports": imports, "numpy.linalg": numpy_linalg, "numpy": numpy_arrays,
    "waits": waits,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](float(sys.argv[2]))
