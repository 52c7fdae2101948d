# SPDX-License-Identifier: MIT
"""Interpreters that are not the program: embedded, ended and begun again, several in one process."""
import glob

import place
import pytest
import recording
from prelude import PRELUDE


def shared_library(python):
    """libpython as a file of its own; Debian has one beside its static interpreter (python3-dev)."""
    if "shared" in python.tags:
        return python.code
    found = glob.glob("/usr/lib/x86_64-linux-gnu/libpython%d.%d.so.1.0" % python.minor)
    if python.root or python.origin != "debian" or not found:
        pytest.skip("%s has no libpython to load" % python)
    return found[0]


@pytest.fixture(scope="module")
def embed():
    return place.host_compile(place.WORKLOADS / "embed.c", place.WORK / "helpers" / "embed", "-ldl")


SCRIPT = """
import time
source = 'def in_round_%d():\\n end = time.thread_time() + 0.3\\n while time.thread_time() < end: pass\\nin_round_%d()'
exec(source % (round, round))
"""


@pytest.mark.parametrize("thread", ["first", "other"])
def test_an_embedded_interpreter_may_end_and_begin_again(python, work, embed, thread, record_property):
    """Each round's function is sampled by its own name, though its code lies where that of the last one lay."""
    where, path = place.of(python), work / "out.pillion"
    result = where.run([where.pillion, "record", "-F", "250", "-o", path, "--", embed, shared_library(python), thread, "4",
                        SCRIPT], cwd=work, timeout=60)
    assert (result.returncode, result.stdout) == (0, "0 0\n" * 4), result.stderr
    profile = recording.load(path)
    seconds = [profile.total("cpu_ns", profile.calling("in_round_%d" % i)) / 1e9 for i in range(4)]
    record_property("figure", "rounds of 0.3 s: " + ", ".join("%.2f" % s for s in seconds))
    assert all(0.2 <= s <= 0.36 for s in seconds), seconds


KEEPS = """
import time
end = time.thread_time() + 0.3
while time.thread_time() < end: pass
exec('def keep_%d():\\n global kept\\n kept = bytearray(64 << 20)\\nkeep_%d()' % (round, round))
"""


def test_what_lives_at_the_end_is_the_last_interpreters(python, work, embed):
    """Each one keeps 64 MiB until it goes down."""
    where, path = place.of(python), work / "out.pillion"
    result = where.run([where.pillion, "record", "-o", path, "--", embed, shared_library(python), "first", "3", KEEPS],
                       cwd=work, timeout=60)
    assert (result.returncode, result.stdout) == (0, "0 0\n" * 3), result.stderr
    profile = recording.load(path)
    end_ns = profile.processes[0]["finalizing_ns"]
    live = [[b.time_ns < end_ns <= (b.freed_ns or end_ns) for b in profile.blocks if b.calls("keep_%d" % i)]
            for i in range(3)]
    assert all(live[2]) and live[2] and live[0] and live[1] and not any(live[0] + live[1]), live


def test_threads_that_are_older_than_the_interpreter_are_sampled_too(python, work, embed):
    where, path = place.of(python), work / "out.pillion"
    result = where.run([where.pillion, "record", "-o", path, "--", embed, shared_library(python), "beside", "1", SCRIPT],
                       cwd=work, timeout=60)
    assert (result.returncode, result.stdout) == (0, "0 0\n"), result.stderr
    profile = recording.load(path)
    seen = [b for b in profile.blocks if any(f.name == "allocate_beside" for f in b.stack)]
    assert len(seen) > 20 and profile.drops[recording.DROP_ALLOC_NESTED] == 0, (len(seen), profile.drops)


MAKES_OBJECTS = """
import time
source = '''def in_round_%d():
    sizes, end = [200] * 1000, time.thread_time() + 0.4
    while time.thread_time() < end: list(map(bytes, sizes))
in_round_%d()'''
exec(source % (round, round))
"""


def test_objects_are_followed_in_each_interpreter_that_begins(python, work, embed):
    """One that begins anew may have put back the allocators that were wrapped."""
    where, path = place.of(python), work / "out.pillion"
    result = where.run([where.pillion, "record", "-F", "1000", "--objects", "-o", path, "--", embed, shared_library(python),
                        "first", "3", MAKES_OBJECTS], cwd=work, timeout=60)
    assert (result.returncode, result.stdout) == (0, "0 0\n" * 3), result.stderr
    profile = recording.load(path)
    assert not [note for note in profile.notes if "not followed" in note]
    for i in range(3):
        made = [b for b in profile.blocks if b.kind == 2 and b.size == 233 and b.calls("in_round_%d" % i)]
        assert len(made) > 10, i


def test_subinterpreters_come_and_go_in_threads(python, work, times, record_property):
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
CODE = '''
import time
def in_subinterpreter():
    end = time.thread_time() + 0.01
    while time.thread_time() < end: pass
in_subinterpreter()
'''
ran = []
def works():
    for i in range(%d):
        interpreter = interpreters.create()
        interpreters.run_string(interpreter, CODE)
        interpreters.destroy(interpreter)
        ran.append(1)
for t in [start(works) for i in range(3)]: t.join()
print(len(ran))
""" % (12 * times)], work, options=["-F", "1000"], timeout=60)
    assert int(out) == 36 * times
    inside = profile.total("cpu_ns", profile.calling("in_subinterpreter")) / 1e9
    record_property("figure", "%s interpreters, %.2f s of %.2f s seen in them" % (out.strip(), inside, 0.36 * times))
    assert inside >= 0.8 * 0.36 * times
