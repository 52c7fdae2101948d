# SPDX-License-Identifier: MIT
"""Ordinary programs of a fixed amount of work, for benchmarks and for real stacks.

    programs.py NAME [REPEATS]       programs.py --list

Prints the seconds that the work took, wall and CPU, without the interpreter's start and
half a second of the same work, in which caches (and a profiler's tables) get warm. Nothing here
is tuned for a profiler: it is what the standard library and numpy do all day.
"""
import hashlib
import http.client
import http.server
import importlib.util
import json
import random
import re
import sqlite3
import ssl
import sys
import threading
import time
import zlib


def program_interpreter(repeats):
    """Objects, dictionaries, closures and floats: no C library to speak of."""
    class Body:
        def __init__(self, x, v):
            self.x, self.v = x, v

        def step(self, others, dt):
            self.v += sum((o.x - self.x) / (abs(o.x - self.x) + 1) for o in others) * dt
            self.x += self.v * dt

    for _ in range(repeats):
        bodies = [Body(float(i), 0.0) for i in range(12)]
        for _ in range(1500):
            for b in bodies:
                b.step(bodies, 0.01)


def program_json(repeats):
    rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", str(i)], "value": i / 7}
            for i in range(2000)]
    for _ in range(repeats):
        for _ in range(8):
            json.loads(json.dumps(rows, sort_keys=True))


def program_re(repeats):
    words = random.Random(1)
    text = " ".join("%s@%s.org" % (words.choice("abcde"), words.randrange(9999)) for _ in range(9000))
    pattern = re.compile(r"(?P<user>[a-e]+)@(?P<host>(?:\d{1,3}){1,2})\.(org|com)")
    for _ in range(repeats):
        for _ in range(4):
            sum(len(m.group("host")) for m in pattern.finditer(text))
            re.sub(r"(\d)(\d)", r"\2\1", text)


def program_sqlite(repeats):
    for _ in range(repeats):
        db = sqlite3.connect(":memory:")
        db.create_function("weight", 1, lambda x: x % 7)
        db.execute("create table t (id integer primary key, name text, value real)")
        db.executemany("insert into t values (?, ?, ?)",
                       ((i, "name %d" % (i * 7919 % 10007), i / 3) for i in range(30_000)))
        db.execute("create index by_name on t (name)")
        db.execute("select count(*), sum(weight(id)), avg(value) from t where name > 'name 5'").fetchall()
        db.execute("select name, count(*) from t group by substr(name, 1, 6) order by 2").fetchall()
        db.close()


def program_hashes(repeats):
    """hashlib is OpenSSL; short messages keep the GIL, long ones release it."""
    long_message = bytes(2_000_000)
    for _ in range(repeats):
        for i in range(40_000):
            hashlib.sha256(b"%d" % i).digest()
        hashlib.sha512(long_message).digest()
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 6000)


def program_zlib(repeats):
    data = b"".join(b"line %d of something that compresses\n" % (i * i) for i in range(12_000))
    for _ in range(repeats * 6):
        zlib.decompress(zlib.compress(data, 6))


def program_ssl(repeats):
    """TLS records through memory: no network."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for _ in range(repeats * 4):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            outgoing.read()
        ssl.create_default_context()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = json.dumps({"path": self.path, "squares": [i * i for i in range(200)]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def fetch(port, count):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for i in range(count):
        connection.request("GET", "/%d" % i)
        connection.getresponse().read()
    connection.close()


def program_http(repeats):
    """A threaded web server under load from two clients."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    clients = [threading.Thread(target=fetch, args=(server.server_port, 100 * repeats)) for _ in range(2)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    server.shutdown()
    server.server_close()


def program_threads(repeats):
    """Twenty threads that mostly wait."""
    def wait_and_count(n):
        for _ in range(n):
            time.sleep(0.001)
            sum(range(300))

    threads = [threading.Thread(target=wait_and_count, args=(60 * repeats,)) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def program_numpy(repeats):
    """OpenBLAS: hand-written assembly without unwind tables, and LAPACK above it."""
    import numpy
    a = numpy.random.default_rng(1).random((300, 300))
    for _ in range(repeats):
        for _ in range(3):
            b = a @ a
        numpy.linalg.solve(a + 300 * numpy.eye(300), b)
        numpy.linalg.svd(a[:120, :120])
        numpy.sort(a, axis=None)


PROGRAMS = {k[len("program_"):]: v for k, v in list(globals().items()) if k.startswith("program_")}


def available():
    have_numpy = importlib.util.find_spec("numpy") is not None
    return [name for name in PROGRAMS if name != "numpy" or have_numpy]


def main(argv):
    if argv[:1] == ["--list"]:
        print(" ".join(available()))
        return
    repeats = int(argv[1]) if len(argv) > 1 else 1
    warm = time.perf_counter() + 0.5
    while time.perf_counter() < warm:
        PROGRAMS[argv[0]](1)
    wall, cpu = time.perf_counter(), time.process_time()
    PROGRAMS[argv[0]](repeats)
    print("%.6f %.6f" % (time.perf_counter() - wall, time.process_time() - cpu))


if __name__ == "__main__":
    main(sys.argv[1:])
