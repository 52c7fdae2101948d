# SPDX-License-Identifier: MIT
"""--objects: requests to CPython's own allocators are counted exactly, and sampled without bias."""
import json
import math

import pytest

import place
import recording

ALLOCATORS = ["default", "malloc", "debug"]
KIND_MALLOC, KIND_MAPPING, KIND_OBJECT, KIND_MEMORY = range(4)


def environment(interpreter, allocator="default"):
    env = {"PYTHONPATH": place.build_extension(interpreter, "objects_ext")}
    if allocator != "default":
        env["PYTHONMALLOC"] = allocator
    return env


def record(interpreter, work, kind, allocator="default", options=(), env=None):
    profile, out = recording.record_ok(
        interpreter, [place.WORKLOADS / "objects.py", kind], work, options=["--objects", *options],
        env={**environment(interpreter, allocator), **(env or {})})
    assert not [note for note in profile.notes if "objects" in note]
    return profile, json.loads(out)


def counts_of(profile, tid):
    calls, total, freed, freed_bytes = next(t["heap"] for t in profile.threads if t["tid"] == tid)[recording.HEAP_OBJECT]
    assert freed_bytes == 0
    return calls, total, freed


def assert_exact(profile, told):
    """A thread that makes no request tells what its thread state takes."""
    (idle, *_), *rows = told
    around = counts_of(profile, idle)
    for tid, *truth in rows:
        counted = [of - state for of, state in zip(counts_of(profile, tid), around)]
        assert counted == truth, (tid, around)


def is_unsupported(interpreter, allocator):
    return "free-threaded" in interpreter.tags and allocator == "malloc"


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_counts_are_exact(interpreter, work, allocator):
    if is_unsupported(interpreter, allocator):
        pytest.skip("without the GIL, CPython has one allocator only")
    profile, told = record(interpreter, work, "threads", allocator)
    assert_exact(profile, told)


@pytest.mark.parametrize("kind, env", [
    ("threads", {"PYTHONTRACEMALLOC": "1"}), ("untraced", {"PYTHONTRACEMALLOC": "1"}), ("traced", {})],
    ids=["below us", "below us, and stopped", "above us"])
def test_counts_are_exact_beside_tracemalloc(one_python, work, kind, env):
    """What was there before us is wrapped by us, what comes later wraps us."""
    profile, told = record(one_python, work, kind, env=env)
    assert_exact(profile, told)


def test_children_count_for_themselves(interpreter, work):
    profile, (child, parent) = record(interpreter, work, "fork")
    assert len(profile.processes) == 2
    assert_exact(profile, child)
    assert_exact(profile, parent)


def truth_of(interpreter, work):
    """By tracemalloc, without Pillion."""
    result = place.of(interpreter).run([interpreter.path, place.WORKLOADS / "objects.py", "truth"], cwd=work,
                                       env=environment(interpreter))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_near(blocks, truth, slack=0, sigmas=4.5):
    """
    The sum of small blocks deviates by the square root of truth times interval, that of larger ones by less. What was
    found says nothing of it: a large block is nearly always found, and is missed by all of its size when it is not.
    """
    assert blocks
    deviation = math.sqrt(truth * blocks[0].interval)
    assert abs(sum(b.bytes for b in blocks) - truth) < sigmas * deviation + 0.002 * truth + slack


def dropped_bytes(process, interval):
    """What samples that were lost may stand for: the first ones come faster than they are read."""
    return 2 * interval * sum(process["drops"])


def is_of_python(block):
    return block.kind in (KIND_OBJECT, KIND_MEMORY)


def is_live(block, process):
    return not block.freed_ns or 0 < process["finalizing_ns"] <= block.freed_ns


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_objects_are_found_where_they_are_made(interpreter, work, allocator):
    if is_unsupported(interpreter, allocator):
        pytest.skip("without the GIL, CPython has one allocator only")
    profile, _ = record(interpreter, work, "kept", allocator, ["--alloc-interval", "16384"])
    process, = profile.processes
    for name, truth in truth_of(interpreter, work).items():
        blocks = [b for b in profile.blocks if is_of_python(b) and b.calls(name) and is_live(b, process)]
        assert_near(blocks, truth)
    gone = [b for b in profile.blocks if b.calls("make_nothing") and is_of_python(b)]
    assert len(gone) > 100
    assert sum(is_live(b, process) for b in gone) <= 2


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_samples_add_up_to_the_counts(interpreter, work, allocator):
    """What serves requests of Python's is no sample of malloc's or mmap's, and is counted apart."""
    if is_unsupported(interpreter, allocator):
        pytest.skip("without the GIL, CPython has one allocator only")
    profile, _ = record(interpreter, work, "kept", allocator, ["--alloc-interval", "524288"])
    process, = profile.processes
    total = [recording.Heap(*counts) for counts in process["heap"]]
    lost = dropped_bytes(process, 524288)
    assert lost < 0.1 * total[recording.HEAP_OBJECT].alloc_bytes
    assert_near([b for b in profile.blocks if is_of_python(b)], total[recording.HEAP_OBJECT].alloc_bytes, lost)
    below = [b for b in profile.blocks if not is_of_python(b)]
    nested = total[recording.HEAP_NESTED]
    if "free-threaded" not in interpreter.tags:  # those serve them from one large mapping of before
        assert nested.alloc_bytes >= total[recording.HEAP_OBJECT].alloc_bytes * 0.3
    assert_near(below, total[recording.HEAP_MALLOC].alloc_bytes + total[recording.HEAP_MAPPING].alloc_bytes
                - nested.alloc_bytes, lost)


FRAMES = """
import sys
sys.setrecursionlimit(2000)
def deep(n):
    return n and deep(n - 1)
for _ in range(500):
    deep(900)
"""


def test_what_frames_lie_on_is_memory_of_its_own(interpreter, work):
    """It comes as pymalloc's arenas do, and serves no request: 3.11 and later map and unmap it as calls go deeper."""
    if interpreter.version < (3, 11):
        pytest.skip("a frame is an object up to 3.10")
    profile, _ = recording.record_ok(interpreter, ["-S", "-c", FRAMES], work, options=["--objects"])
    process, = profile.processes
    total = [recording.Heap(*counts) for counts in process["heap"]]
    assert total[recording.HEAP_MAPPING].alloc_bytes > 500 * 4 * 16384
    assert total[recording.HEAP_NESTED].alloc_bytes < 0.5 * total[recording.HEAP_MAPPING].alloc_bytes
    assert any(b.kind == KIND_MAPPING and b.calls("deep") for b in profile.blocks)


def test_it_says_why_not(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", "import time; time.sleep(0.2)"], work,
                                     options=["--objects", "--memory", "off"])
    assert any("objects are not followed: memory is off" in note for note in profile.notes)
