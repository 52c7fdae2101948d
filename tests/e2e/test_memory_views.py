# SPDX-License-Identifier: MIT
"""What was live when, by the blocks of the profile: at the peak, at the end, and what only grows."""
import math

import pytest

import place
import recording
from test_report_memory import own_mib

MIB = 1 << 20
NEVER = 1 << 63


def driver(python):
    return place.build_extension(python, "alloc_driver") + "/alloc_driver.so"


def run(python, work, program, interval, env=None, options=()):
    prelude = """
import ctypes, mmap, sys, time
driver = ctypes.PyDLL(sys.argv[1])
for name in ("alloc_and_keep", "alloc_mapping"):
    getattr(driver, name).restype = ctypes.c_void_p
driver.alloc_and_keep.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint]
driver.free_kept.argtypes = [ctypes.c_void_p]
driver.alloc_mapping.argtypes = [ctypes.c_size_t]
driver.free_mapping.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
def rest():
    time.sleep(0.02)  # for a collector that has no CPU of its own
time.sleep(0.1)
"""
    return recording.record_ok(python, ["-c", prelude + program, driver(python)], work,
                               options=["--alloc-interval", str(interval), *options], env=env)


def record(python, work, program, interval, env=None):
    profile, out = run(python, work, program, interval, env)
    assert recording.lost_blocks(profile) == 0, profile.drops
    return profile, out


def live_at(profile, time_ns):
    """The rule of collector/profile/heap.h."""
    return [b for b in profile.blocks if not b.unfollowed and b.time_ns <= time_ns < (b.freed_ns or NEVER)]


def live_at_end(profile):
    process = profile.processes[0]
    return live_at(profile, process["finalizing_ns"] or process["end_ns"])


def weight(blocks):
    return sum(b.bytes for b in blocks)


def by(blocks, function):
    return weight(b for b in blocks if b.calls(function))


PEAKS = {
    "malloc": """
def peak():
    return driver.alloc_and_keep(None, 3000000, 80)
driver.free_kept(peak())
""",
    "small": """
def peak():
    kept = None
    for _ in range(60):
        kept = driver.alloc_and_keep(kept, 20000, 200)
        rest()
    return kept
driver.free_kept(peak())
""",
    "mapping": """
def peak():
    return driver.alloc_mapping(240 << 20)
driver.free_mapping(peak(), 240 << 20)
""",
    "mmap": """
def peak():
    return [mmap.mmap(-1, 3 << 20) for _ in range(80)]
peak()
""",
    "bytearray": """
def peak():
    return [bytearray(3 << 20) for _ in range(80)]
peak()
""",
    "numpy": """
import numpy
def peak():
    return [numpy.ones(10000000) for _ in range(3)]
peak()
""",
}


def check_peak(profile):
    process = profile.processes[0]
    exact = process["heap_peak_bytes"]
    blocks = live_at(profile, process["heap_peak_ns"])
    assert exact >= 235e6
    assert abs(weight(blocks) / exact - 1) <= 0.02, (weight(blocks), exact)
    return exact, blocks


@pytest.mark.parametrize("kind", [k for k in PEAKS if k != "numpy"])
def test_the_peak_is_explained(one_python, work, kind):
    profile, _ = record(one_python, work, PEAKS[kind], 4096)
    exact, blocks = check_peak(profile)
    assert by(blocks, "peak") >= 0.95 * 240e6
    # Garbage of before and after is not part of it.
    assert by(blocks, "peak") <= 1.02 * exact


def test_the_peak_of_numpy_is_explained(one_python, work):
    packages = place.packages(one_python, "numpy")
    if not packages:
        pytest.skip("numpy cannot be installed")
    profile, _ = record(one_python, work, PEAKS["numpy"], 32768, env={"PYTHONPATH": packages})
    _, blocks = check_peak(profile)
    assert by(blocks, "peak") >= 0.98 * 240e6


def test_the_end_is_when_the_interpreter_goes_down(interpreter, work):
    profile, _ = recording.record_ok(interpreter, ["-c", "import time\nend = time.thread_time() + 0.3\n"
                                                   "while time.thread_time() < end: pass"], work)
    process = profile.processes[0]
    # 0: it was over before anybody looked.
    assert (process["finalizing_ns"] or process["end_ns"]) - process["start_ns"] > 0.3e9


OBJECTS = """
import objects_ext
deadline = time.monotonic() + 10
while not objects_ext.is_wrapped():
    assert time.monotonic() < deadline, "nobody wraps the allocators"
    time.sleep(0.002)
def peak():
    kept = []
    for _ in range(120):
        for _ in range(8500):
            kept.append(bytes(200))
        rest()
    return kept
kept = peak()
print(len(kept) * sys.getsizeof(kept[0]) + sys.getsizeof(kept))
while kept:
    del kept[-85000:]
    rest()
"""


def test_the_peak_of_objects_is_explained(here, one_python, work):
    """Of objects, no count tells what is live: the moment is found by samples, the truth is the program's own sum."""
    profile, out = run(one_python, work, OBJECTS, 4096, options=["--objects"],
                       env={"PYTHONPATH": place.build_extension(one_python, "objects_ext")})
    truth = int(out)
    # The start of an interpreter makes objects faster than they are read.
    assert truth > 235e6 and recording.lost_blocks(profile) * 4096 < 0.005 * truth, profile.drops
    found = own_mib(here, work / "out.pillion", "peak")["peak"] * MIB
    assert abs(found / truth - 1) <= 0.02, (found, truth)


def test_what_the_last_moments_free_is_live_at_the_end(one_python, work):
    """A global keeps it until the interpreter goes down, and frees it then."""
    profile, _ = record(one_python, work, """
kept = bytearray(50 << 20)
gone = bytearray(60 << 20)
def let_go():
    del globals()["gone"]
let_go()
""", 65536)
    live = live_at_end(profile)
    assert profile.processes[0]["finalizing_ns"] > 0
    assert [b.size for b in live if b.size > 10 * MIB] == pytest.approx([50 * MIB], rel=0.01)
    kept = next(b for b in live if b.size > 10 * MIB)
    assert kept.freed_ns == 0 or kept.freed_ns >= profile.processes[0]["finalizing_ns"]


ONE_UNMAP = """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_size_t] * 6
libc.munmap.argtypes = [ctypes.c_size_t] * 2
RESERVED, MEMORY, FIXED = 0, 3, 0x10
def mapped(at, size, prot, flags):
    return libc.mmap(at, size, prot, 0x22 | flags, 2**64 - 1, 0)
def arena():
    area = mapped(0, 256 << 20, RESERVED, 0)
    for i in range(40):
        assert mapped(area + (i * 6 << 20), 4 << 20, MEMORY, FIXED)
    return area
%s
"""


@pytest.mark.parametrize("end", ["libc.munmap(arena(), 256 << 20)", "mapped(arena(), 256 << 20, RESERVED, FIXED)"],
                         ids=["unmapped", "reserved again"])
def test_one_call_ends_all_that_it_covers(one_python, work, end):
    """Pieces of a reservation, each a sample of its own."""
    profile, _ = record(one_python, work, ONE_UNMAP % end, 65536)
    pieces = [b for b in profile.blocks if b.calls("arena") and b.size == 4 * MIB]
    assert len(pieces) == 40
    assert not [b for b in pieces if not b.freed_ns]


def survival(profile, function, size):
    """By tenths of the time of the function's blocks: what was allocated then, and what of it is live."""
    blocks = [b for b in profile.blocks if b.calls(function) and size <= b.size < size + 32]
    begin, end = min(b.time_ns for b in blocks), max(b.time_ns for b in blocks) + 1
    live = set(map(id, live_at_end(profile)))
    parts = [[0, 0] for _ in range(10)]
    for b in blocks:
        part = parts[10 * (b.time_ns - begin) // (end - begin)]
        part[0] += b.bytes
        part[1] += b.bytes * (id(b) in live)
    return parts


LEAKS = {
    "C": ("driver.alloc_and_keep(None, 100, 1)", "driver.alloc_and_free(5000, 1)"),
    "Python": ("leaked.append(bytes(600))", "bytes(5000)"),
}


@pytest.mark.parametrize("language", LEAKS)
def test_a_leak_survives_evenly_and_a_cache_does_not_grow_any_more(one_python, work, language):
    """100 bytes of each request in C, and a Python object that is too large for pymalloc."""
    leaking, passing = LEAKS[language]
    profile, _ = record(one_python, work, """
leaked, cache = [], {}
def leak():
    %s
def request():
    %s
def cached(key):
    if key not in cache:
        cache[key] = bytes(2000)
for i in range(100000):
    leak()
    request()
    cached(i if i < 10000 else i %% 10000)
    if not i %% 1000:
        rest()
""" % (leaking, passing), 16384)
    size, passing_size = {"C": (104, 5000), "Python": (633, 5033)}[language]
    parts = survival(profile, "leak", size)
    allocated = sum(part[0] for part in parts)
    assert sum(part[1] for part in parts) >= 0.95 * allocated
    expected = 100000 * size
    assert abs(allocated - expected) <= 5 * math.sqrt(expected * 16384) + 0.02 * expected
    assert all(part[1] for part in parts)  # to the end
    assert sum(part[1] for part in survival(profile, "request", passing_size)) == 0
    # The cache keeps what it has, and has all of it in the first tenth of the time.
    cached = [b for b in profile.blocks if b.calls("cached") and b.size > 1000]
    begin, end = (f(b.time_ns for b in profile.blocks if b.calls("leak")) for f in (min, max))
    assert max(b.time_ns for b in cached) - begin < 0.5 * (end - begin)
    assert by(live_at_end(profile), "cached") >= 0.9 * weight(cached)
