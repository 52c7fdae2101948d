# SPDX-License-Identifier: MIT
"""A program with something of everything, to look at with Pillion.

    pillion record -o mixed.pillion -- python3 examples/mixed.py && pillion report mixed.pillion

One thread parses, one asks a database, one packs and hashes, and one mostly waits; the
report shows who needs the CPU (and in which library), who waits (and in which system
call), and who holds the GIL. Runs for about five seconds.
"""
import hashlib
import json
import queue
import re
import sqlite3
import threading
import time
import zlib

SECONDS = 5


def parse(results, end):
    """Python, and C that keeps the GIL: json and re."""
    text = json.dumps([{"id": i, "mail": "user%d@example.org" % i} for i in range(500)])
    domain = re.compile(r"@([a-z]+)\.(org|com)")
    while time.monotonic() < end:
        rows = json.loads(text)
        results.put(sum(1 for row in rows if domain.search(row["mail"])))


def ask(results, end):
    """SQLite calls back into Python for each row."""
    db = sqlite3.connect(":memory:")
    db.create_function("score", 1, lambda x: (x * 7919) % 101)
    db.execute("create table t (x integer)")
    db.executemany("insert into t values (?)", ((i,) for i in range(2000)))
    while time.monotonic() < end:
        results.put(db.execute("select sum(score(x)) from t").fetchone()[0])


def pack(results, end):
    """zlib and hashlib release the GIL while they work."""
    data = b"".join(b"record %d\n" % i for i in range(100_000))
    while time.monotonic() < end:
        results.put(hashlib.sha256(zlib.compress(data, 6)).hexdigest())


def wait(results, end):
    while time.monotonic() < end:
        time.sleep(0.1)
        results.put("tick")


def main():
    results = queue.Queue()
    end = time.monotonic() + SECONDS
    workers = [threading.Thread(target=f, args=(results, end), name=f.__name__) for f in (parse, ask, pack, wait)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print("%d results" % results.qsize())


if __name__ == "__main__":
    main()
