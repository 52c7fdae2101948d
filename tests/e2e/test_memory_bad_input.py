# SPDX-License-Identifier: MIT
"""Memory options that make no sense, and programs that use memory in ways that make none."""
import signal

import pytest

import place
import recording
from test_bad_input import USAGE, check_one_clear_line

INTERVALS = ["-1", "x", "1.5", "1e6", "0x10", "99999999999999999999", ""]


@pytest.mark.parametrize("value", INTERVALS)
def test_an_interval_out_of_range_is_refused(here, work, value):
    result = here.run([here.pillion, "record", "--alloc-interval", value, "-o", work / "x.pillion", "--", "true"])
    check_one_clear_line(result, USAGE, "--alloc-interval")
    assert not list(work.iterdir())


@pytest.mark.parametrize("value", ["on", "SAMPLE", "1", "sample,count", ""])
def test_a_memory_mode_that_does_not_exist_is_refused(here, work, value):
    result = here.run([here.pillion, "record", "--memory", value, "-o", work / "x.pillion", "--", "true"])
    check_one_clear_line(result, USAGE, "--memory")
    assert not list(work.iterdir())


@pytest.mark.parametrize("name, value", [("ALLOC_INTERVAL", v) for v in INTERVALS if v] + [("MEMORY", "always")])
def test_a_variable_out_of_range_is_the_default_and_noted(here, one_python, work, name, value):
    env = dict(here.preload(work / "%p.pillion"), **{"PILLION_" + name: value})
    result = here.run([one_python.path, "-c", "import os; x = bytearray(50 << 20); print(os.getpid())"], cwd=work, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    profile = recording.complete(work / ("%s.pillion" % result.stdout.strip()))
    assert any("PILLION_" + name in note for note in profile.notes), profile.notes
    assert {b.interval for b in profile.blocks} == {512 << 10}


def test_an_interval_of_zero_is_the_default(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", "x = bytearray(50 << 20)"], work, options=["--alloc-interval", "0"])
    assert {b.interval for b in profile.blocks} == {512 << 10}


def test_the_largest_interval_samples_nothing_and_counts_all(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", "x = bytearray(50 << 20)"], work,
                                     options=["--alloc-interval", "1099511627776"])
    assert len(profile.blocks) <= 1
    assert profile.processes[0]["heap"][recording.HEAP_MALLOC][1] > 50 << 20


@pytest.mark.parametrize("mode", ["off", "count"])
def test_modes_that_do_less(one_python, work, mode):
    profile, _ = recording.record_ok(one_python, ["-c", "x = bytearray(50 << 20)"], work,
                                     options=["--memory", mode, "--alloc-interval", "1000"])
    heap = profile.processes[0]["heap"][recording.HEAP_MALLOC]
    assert not profile.blocks
    assert (heap[1] > 50 << 20) if mode == "count" else heap == [0, 0, 0, 0]


WRONG = {
    "twice": "p = libc.malloc(100); libc.free(p); libc.free(p)",
    "twice, a large one": "p = libc.malloc(3 << 20); libc.free(p); libc.free(p)",
    "twice, and sampled": "p = libc.malloc(5000); libc.free(p); q = libc.malloc(64); libc.free(p)",
    "in the middle": "p = libc.malloc(100); libc.free(p + 16)",
    # Zeros in front of it: what libc does goes by the bits that it takes for the size.
    "not allocated": "b = ctypes.create_string_buffer(64); libc.free(ctypes.addressof(b) + 33)",
    "resized after": "p = libc.malloc(100); libc.free(p); libc.realloc(p, 2000)",
    "nowhere": "libc.free(16)",
}


@pytest.mark.parametrize("options", [(), ("--alloc-interval", "1"), ("--memory", "off")], ids=["sample", "every one", "off"])
@pytest.mark.parametrize("kind", WRONG)
def test_what_libc_aborts_on_it_aborts_on(one_python, work, kind, options):
    """The same signal and the same words as without us, and what was recorded is kept."""
    here = place.of(one_python)
    program = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
for name in ("malloc", "free"):
    getattr(libc, name).argtypes = [ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
%s
print("survived")
""" % WRONG[kind]
    plain = here.run([one_python.path, "-c", program], cwd=work)
    ours = recording.record(one_python, ["-c", program], work, options=["-q", *options])
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert plain.stderr.split(": ")[-1] in ours.stderr
    assert ours.returncode in (0, -signal.SIGABRT, -signal.SIGSEGV)
    assert ours.load().processes


def test_an_allocator_of_the_programs_own_is_not_seen(one_python, work):
    """Linked in statically, as many libraries have one: only what it maps is."""
    source = work / "own.c"
    source.write_text("""
#include <stddef.h>
#include <sys/mman.h>
static char *area; static size_t used;
void *own_malloc(size_t size)
{
	if (!area) area = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	used += size;
	return area + used - size;
}
""")
    library = place.host_compile(source, work / "own.so", "-shared", "-fPIC")
    profile, _ = recording.record_ok(one_python, ["-c", """
import ctypes, sys
own = ctypes.CDLL(sys.argv[1])
for i in range(1000): own.own_malloc(60000)
""", library], work)
    heap = profile.processes[0]["heap"]
    assert heap[recording.HEAP_MALLOC][1] < 50 << 20 <= heap[recording.HEAP_MAPPING][1]


def test_blocks_that_are_freed_out_of_sight_do_not_live_twice(one_python, work):
    """By a library that binds to libc first: when their place is given again, they are known to be gone."""
    source = work / "deep.c"
    source.write_text("#include <stdlib.h>\nvoid give_back(void *p) { free(p); }\n")
    library = place.host_compile(source, work / "deep.so", "-shared", "-fPIC")
    profile, out = recording.record_ok(one_python, ["-c", """
import ctypes, os, sys, time
libc, deep = ctypes.CDLL(None), ctypes.CDLL(sys.argv[1], mode=os.RTLD_DEEPBIND)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
deep.give_back.argtypes = [ctypes.c_void_p]
time.sleep(0.5)
def out_of_sight():
    places = []
    for _ in range(100):
        places.append(libc.malloc(50000))
        deep.give_back(places[-1])
    return len(set(places))
print(out_of_sight())
""", library], work, options=["--alloc-interval", "1"])
    blocks = [b for b in profile.blocks if b.calls("out_of_sight") and b.size >= 50000]
    assert recording.lost_blocks(profile) - profile.drops[0] == 0, profile.drops
    assert len(blocks) == 100
    assert sum(b.freed_ns == 0 for b in blocks) <= int(out)


def test_mappings_that_are_unmapped_out_of_sight_are_not_counted_twice(one_python, work):
    """Each had the place of the one before; the last one's end was that of all."""
    source = work / "deep.c"
    source.write_text("#include <sys/mman.h>\nint give_back(void *p, size_t n) { return munmap(p, n); }\n")
    library = place.host_compile(source, work / "deep.so", "-shared", "-fPIC")
    profile, out = recording.record_ok(one_python, ["-c", """
import ctypes, os, sys
libc, deep = ctypes.CDLL(None), ctypes.CDLL(sys.argv[1], mode=os.RTLD_DEEPBIND)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_size_t] * 6
libc.munmap.argtypes = deep.give_back.argtypes = [ctypes.c_size_t] * 2
places = []
for i in range(50):
    places.append(libc.mmap(0, 64 << 20, 3, 0x22, 2**64 - 1, 0))
    (deep.give_back if i < 49 else libc.munmap)(places[-1], 64 << 20)
print(len(set(places)))
""", library], work)
    calls, total, freed, freed_bytes = profile.processes[0]["heap"][recording.HEAP_MAPPING]
    left = int(out) - 1  # places that nothing was mapped at again: those look live to the end
    assert left < 10, "the kernel hands out other places: the test proves nothing"
    assert total >= 50 * 64 << 20
    assert 50 <= freed + left and freed <= calls
    assert total - (100 << 20) - (left * 64 << 20) <= freed_bytes <= total


MORE_MAPPINGS = """
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_size_t] * 6
for i in range(17000):
    libc.mmap(0, 4096, 3, 0x22, 2**64 - 1, 0)
"""


def test_mappings_beyond_those_that_can_be_followed_are_told_of(one_python, work):
    profile, _ = recording.record_ok(one_python, ["-c", MORE_MAPPINGS + """
end = time.thread_time() + 0.2
while time.thread_time() < end: pass
"""], work)
    assert 16000 < profile.processes[0]["heap"][recording.HEAP_MAPPING][0] < 17000
    assert any("more mappings" in note for note in profile.notes), profile.notes


def test_each_process_tells_of_mappings_that_it_cannot_follow(one_python, work):
    """Each for itself: a child's segment lies where its parent's did."""
    profile, _ = recording.record_ok(one_python, ["-c", MORE_MAPPINGS + """
time.sleep(0.2)
child = os.fork()
time.sleep(0.3)
if child: os.wait()
"""], work)
    assert len(profile.processes) == 2
    assert sum("more mappings" in note for note in profile.notes) == 2, profile.notes
