# SPDX-License-Identifier: MIT
"""Other allocators, in front of Pillion and behind it: the program's output is the same, counts are exact."""
import glob
import json
import subprocess

import place
import pytest
import recording
import truth

LIBRARIES = {"jemalloc": "libjemalloc.so.*", "tcmalloc": "libtcmalloc_minimal.so.*", "mimalloc": "libmimalloc.so.*"}

THREADS = """
import hashlib, json, threading
digests = [None] * 8
def work(number):
    text = json.dumps([list(range(number, 2000))] * 20)
    for i in range(5):
        text = json.dumps(json.loads(text))
    digests[number] = hashlib.sha256(text.encode()).hexdigest()
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
ends.alloc_ends(10)
print(digests)
"""
FORKS = """
import threading
stop = threading.Event()
def churn():
    while not stop.is_set():
        ends.alloc_ends(1)
thread = threading.Thread(target=churn)
thread.start()
codes = []
for i in range(20):
    pid = os.fork()
    if not pid:
        blocks = [bytes(1000 + i) for i in range(3000)]
        ends.alloc_ends(1)
        os._exit(len(blocks) % 251)
    codes.append(os.waitpid(pid, 0)[1])
stop.set()
thread.join()
print(codes)
"""
PROGRAMS = {"threads": THREADS, "forks": FORKS}


@pytest.fixture(params=LIBRARIES)
def allocator(request, python):
    """Its library; Debian's packages, that tests/run.sh installs where there are some."""
    found = sorted(glob.glob("/usr/lib/x86_64-linux-gnu/" + LIBRARIES[request.param]))
    if python.root or not found:
        pytest.skip("no %s on this system: its package is not installed" % request.param)
    return found[0]


def alone(python, work, program, env=None):
    """What the program prints without any of this."""
    result = place.of(python).run([python.path, "-c", "import ctypes, os, sys\nends = ctypes.CDLL(sys.argv[1])\n" + program,
                                   truth.library(python, "alloc_ends")], cwd=work, env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("kind", PROGRAMS)
def test_behind_pillion_its_blocks_are_counted_exactly(python, work, allocator, kind):
    profile, counts, out = truth.record(python, work, PROGRAMS[kind], behind=[allocator])
    truth.check(profile, counts)
    assert out == alone(python, work, PROGRAMS[kind])
    assert len(profile.processes) == {"threads": 1, "forks": 21}[kind]


@pytest.mark.parametrize("kind", ["threads", "across"])
def test_record_keeps_it_and_threads_count_what_it_gave(python, work, allocator, kind):
    """As a user has it: LD_PRELOAD is set already. Bytes are those of its own malloc_usable_size()."""
    profile, out = recording.record_ok(python, [place.WORKLOADS / "allocations.py", truth.library(python, "alloc_driver"), kind],
                                       work, env={"LD_PRELOAD": allocator, "ALLOC_NO_PVALLOC": "1"})
    counted = {t["tid"]: t["heap"][recording.HEAP_MALLOC] for t in profile.threads}
    told = {int(tid): counts for tid, counts in json.loads(out)[kind].items()}
    assert {tid: counted[tid] for tid in told} == told
    assert any(b.stack for b in profile.blocks)


def test_blocks_that_are_asked_for_during_the_search_for_the_allocator_are_blocks_as_any(python, work, record_property):
    """dlsym() allocates, as it does in older versions of glibc. What it gets is counted, resized and freed later."""
    early = truth.library(python, "early_blocks")
    program = "told = ctypes.CDLL(None).early_blocks()\n" + THREADS + "print(told)\n"
    profile, counts, out = truth.record(python, work, program, behind=[early])
    truth.check(profile, counts)
    digests, told = out.splitlines()
    record_property("figure", "%s blocks" % told)
    assert digests + "\n" == alone(python, work, THREADS)
    # Three for each function that is looked for.
    assert int(told) >= 30


def test_behind_pillion_without_sizes_its_blocks_are_left_alone(python, work):
    """glibc's malloc_usable_size(), found in place of its own, would read in front of them."""
    where, path = place.of(python), work / "out.pillion"
    program = "import time\nend = time.thread_time() + 0.2\nwhile time.thread_time() < end: sum(range(100))\nprint('done')"
    result = where.run([where.pillion, "record", "-o", path, "--", "env", "LD_PRELOAD=%s %s" % (
        where.library, truth.library(python, "no_sizes")), python.path, "-S", "-E", "-c", program], cwd=work)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    profile = recording.load(path)
    assert profile.processes[0]["heap"][recording.HEAP_MALLOC][0] == 0
    assert any("malloc_usable_size" in note for note in profile.notes), profile.notes
    assert profile.total("cpu_ns") > 100e6


@pytest.mark.parametrize("kind", PROGRAMS)
def test_in_front_of_pillion_it_is_left_alone(python, work, allocator, kind):
    """Then nothing comes to us: nothing is counted, and the program runs as without."""
    where = place.of(python)
    path = work / "out.pillion"
    result = where.run([where.pillion, "record", "-o", path, "--", "env", "LD_PRELOAD=%s %s" % (allocator, where.library),
                        python.path, "-c", "import ctypes, os, sys\nends = ctypes.CDLL(sys.argv[1])\n" + PROGRAMS[kind],
                        truth.library(python, "alloc_ends")], cwd=work)
    assert result.returncode == 0, result.stderr
    assert result.stdout == alone(python, work, PROGRAMS[kind])
    assert recording.load(path).processes[0]["heap"][recording.HEAP_MALLOC][0] < 100


def test_in_front_of_pillion_it_resizes_what_it_gave(python, work, allocator):
    """Not all of them have a reallocarray(): that is glibc's, which calls theirs, or ours."""
    program = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.reallocarray.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.reallocarray.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
for size in (24, 3000, 3000000):
    block = libc.malloc(size)
    ctypes.memset(block, 7, size)
    block = libc.reallocarray(block, size, 3)
    assert ctypes.string_at(block, size) == bytes([7]) * size
    libc.free(block)
    libc.free(libc.reallocarray(None, size, 2))
assert not libc.reallocarray(None, 1 << 40, 1 << 40)
print('done')
"""
    where = place.of(python)
    for order in ([allocator, where.library], [where.library, allocator]):
        result = where.run([where.pillion, "record", "-q", "-o", work / "out.pillion", "--force", "--", "env",
                            "LD_PRELOAD=" + " ".join(order), python.path, "-c", program])
        assert (result.returncode, result.stdout) == (0, "done\n"), (order, result.stderr)


@pytest.mark.parametrize("value", ["malloc", "debug", "malloc_debug", "pymalloc"])
@pytest.mark.parametrize("kind", PROGRAMS)
def test_with_every_setting_of_pythonmalloc(python, work, value, kind):
    env = {"PYTHONMALLOC": value}
    if "unknown allocator" in place.of(python).run([python.path, "-c", ""], env=env).stderr:
        pytest.skip("%s does not know PYTHONMALLOC=%s" % (python, value))
    profile, counts, out = truth.record(python, work, PROGRAMS[kind], env=env)
    truth.check(profile, counts)
    assert out == alone(python, work, PROGRAMS[kind], env)


@pytest.mark.parametrize("order", ["by record", "by hand"])
def test_an_extension_built_with_address_sanitizer(python, work, order):
    """Its runtime must come first, and then has malloc for itself: the program runs as without us.

    It has memcpy(), too: a copy of a stack by that ended some of the runs.
    """
    where = place.of(python)
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, text=True).stdout.strip()
    if python.root or "/" not in runtime:
        pytest.skip("gcc has no libasan.so here")
    library = work / "ends.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-pthread", "-fsanitize=address", place.WORKLOADS / "alloc_ends.c", "-o", library],
                   check=True)
    argv = [python.path, "-c", "import ctypes, sys\nprint(ctypes.CDLL(sys.argv[1]).alloc_ends(3))", library]
    asan = {"ASAN_OPTIONS": "detect_leaks=0"}
    plain = where.run(argv, env=dict(asan, LD_PRELOAD=runtime))
    if plain.returncode:
        pytest.skip("it does not run without Pillion either: " + plain.stderr[:300])
    for i in range(4):
        path = work / ("%d.pillion" % i)
        recorded = [where.pillion, "record", "-q", "-F", "250", "-o", path, "--"]
        if order == "by record":
            result = where.run([*recorded, *argv], env=dict(asan, LD_PRELOAD=runtime))
        else:
            in_order = "LD_PRELOAD=%s %s" % (runtime, where.library)
            result = where.run([*recorded, "env", in_order, *argv], env=asan)
        assert (result.returncode, result.stdout, result.stderr) == (0, plain.stdout, plain.stderr)
        assert recording.load(path).processes


def test_the_allocators_own_profiler_runs_beside_ours(python, work):
    """It walks its callers' stacks under its own locks, which a walk of ours for the same call must not need."""
    found = sorted(glob.glob("/usr/lib/x86_64-linux-gnu/" + LIBRARIES["jemalloc"]))
    if python.root or not found:
        pytest.skip("no jemalloc on this system: its package is not installed")
    env = {"LD_PRELOAD": found[0], "MALLOC_CONF": "prof:true,prof_active:true,lg_prof_sample:10,prof_prefix:%s/heap" % work}
    arguments = ["-c", "import ctypes, os, sys\nends = ctypes.CDLL(sys.argv[1])\n" + THREADS, truth.library(python, "alloc_ends")]
    plain = place.of(python).run([python.path, *arguments], cwd=work, env=env)
    profile, out = recording.record_ok(python, arguments, work, options=["-F", "1000", "--alloc-interval", "1024"], env=env)
    assert (plain.returncode, plain.stdout) == (0, out)
    assert sum(bool(b.stack) for b in profile.blocks) >= 100
