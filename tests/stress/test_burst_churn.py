# SPDX-License-Identifier: MIT
"""Burst mode at full speed, while everything that it reads comes, moves and goes.

Threads start and end, the data stack grows and shrinks over its chunks, generators and
coroutines are entered and left, code objects are made and thrown away, the process forks,
and the interpreter ends with threads still running: no crash, and no stack that mixes two.
"""
import re

import pytest
import recording

# Frames of a worker only ever lie under that worker, with what all of them may call.
PROGRAM = """
import gc, os, random, sys, threading, time
sys.setrecursionlimit(20000)
threading.stack_size(64 << 20)
end = time.monotonic() + float(sys.argv[1])
def dive(n): return n if n <= 0 else 1 + dive(n - 1)
def dives():
    while time.monotonic() < end: dive(random.choice((3, 30, 150, 700, 3000)))
def gen(n):
    for i in range(n):
        yield i
        if i % 3 == 0: yield from gen(n // 4)
def gens():
    while time.monotonic() < end:
        sum(gen(40)); g = gen(9); next(g); g.close()
def thrower(n):
    try:
        if n == 0: raise ValueError
        thrower(n - 1)
    finally: len('x')
def throws():
    while time.monotonic() < end:
        try: thrower(random.randrange(60))
        except ValueError: pass
def key(x): return dive(x % 7)
def short(): dive(20); sorted(range(50), key=key)
def churns():
    while time.monotonic() < end:
        threads = [threading.Thread(target=short) for _ in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
def codes():
    while time.monotonic() < end:
        exec('def made(x):\\n return [y for y in range(x)]\\nfor i in range(9): made(i)', {})
        gc.collect(0)
async def co(n):
    if n: await co(n - 1)
def coroutines():
    while time.monotonic() < end:
        try: co(30).send(None)
        except StopIteration: pass
def forks():
    while time.monotonic() < end:
        pid = os.fork()
        if not pid:
            try: dive(300); short()
            finally: os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        time.sleep(0.02)
def forever():
    while True: dive(50)
workers = [dives, gens, throws, churns, codes, coroutines] + [forks] * (sys.argv[2] == 'fork')
threads = [threading.Thread(target=w) for w in workers]
for t in threads: t.start()
for t in threads: t.join()
threading.Thread(target=forever, daemon=True).start()
print('whole')
"""
WORKERS = {
    "dives": {"dive"}, "gens": {"gen"}, "throws": {"thrower"}, "churns": {"<listcomp>"},
    "codes": {"made", "<module>", "<listcomp>"}, "coroutines": {"co"}, "forks": {"dive", "short", "key"},
    "short": {"dive", "key"}, "forever": {"dive"},
}


def check_stacks(profile):
    """What is above a worker, and written in the program, is the worker's own."""
    for s in profile.samples:
        names = [f.name.rsplit(".", 1)[-1] for f in s.stack if f.file == "<string>"]
        for i, name in enumerate(names):
            if name in WORKERS:
                assert set(names[:i]) <= WORKERS[name] | {name}, names
                break


@pytest.mark.parametrize("forks", ["", "fork"])
def test_nothing_that_comes_and_goes_is_hurt_or_mixed_up(python, work, times, forks):
    arguments = ["-W", "ignore", "-c", PROGRAM, str(2 * times), forks]
    profile, out = recording.record_ok(python, arguments, work, options=["--burst=10000000"])
    assert out == "whole\n"
    check_stacks(profile)
    seen = {f.name for s in profile.samples for f in s.stack}
    assert {"dives", "gens", "throws"} <= seen
    assert any("torn" in note for note in profile.notes)


def looks_of(profile):
    """A second, as each process tells."""
    return sum(int(found[1]) for note in profile.notes if (found := re.search(r"GIL; (\d+) looks a second", note)))


@pytest.mark.full
def test_the_end_comes_at_any_moment(python, work, times, record_property):
    """Many short lives, each with a thread that runs on into the end of the interpreter."""
    program = """
import sys, threading
def dive(n): return n if n <= 0 else 1 + dive(n - 1)
def forever():
    while True: dive(60)
threading.Thread(target=forever, daemon=True).start()
for i in range(%d): dive(90)
"""
    rounds = 0
    for i in range(30 * times):
        r = recording.record(python, ["-S", "-c", program % (i * 37 % 500)], work,
                             options=["--burst=10000000", "-f", "-q"])
        assert r.returncode == 0, (i, r.returncode, r.stderr)
        rounds += looks_of(r.load()) > 0
    record_property("figure", "%d of %d looked at" % (rounds, 30 * times))
    assert rounds >= 3 * times
