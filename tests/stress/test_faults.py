# SPDX-License-Identifier: MIT
"""The collector, the disk or the clock fails, or there is too much of everything: what was
committed is kept, what was lost is counted, and the program ends as it would have."""
import contextlib
import os
import signal
import subprocess
import time

import place
import pytest
import recording
from prelude import PRELUDE
from recording import collect, finish

# Hardly a stack is met twice in a row, so that lanes and files fill.
LOUD = PRELUDE + """
def dive(depth, work):
    return work() if not depth else dive(depth - 1, work)
def works(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for depth in range(40, 120): dive(depth, lambda: sum(range(300)))
"""


def check_books(profile, cpu_s):
    """The threads' clocks and our own thread's add up; what of a clock is not sampled is said to be;
    and each call of the handler became a row, or a drop."""
    data, sampled = profile.data, profile.by_thread("cpu_ns")
    assert data["complete"] and not data["bad_bytes"]
    clocks = sum(t["cpu_ns"] for t in profile.threads) + sum(p["sampler_cpu_ns"] for p in profile.processes)
    assert abs(clocks / 1e9 - cpu_s) <= 0.05 * cpu_s + 0.05, (clocks / 1e9, cpu_s)
    for index, t in enumerate(profile.threads):
        assert sampled[index] + t["unsampled_cpu_ns"] >= 0.99 * t["cpu_ns"] - 1e6, t
    for index, p in enumerate(profile.processes):
        rows = sum(1 for s in profile.samples if s.on_cpu and profile.thread(s)["process"] == index)
        threads = sum(t["process"] == index for t in profile.threads)
        assert p["lost_records"] == 0 and rows + sum(p["drops"]) >= p["handler_calls"] - threads
    return "%.2f s of CPU, %.2f s of it sampled; %d dropped" % (cpu_s, sum(sampled.values()) / 1e9, sum(profile.drops))


# -------------------------------------------------------------- the collector

@pytest.mark.full
@pytest.mark.parametrize("on, off", [(0.01, 0.3), (0.3, 1.2)], ids=["slow", "stopped now and then"])
def test_a_collector_that_does_not_keep_up_loses_samples_and_tells_how_many(python, work, on, off, record_property):
    where, path = place.of(python), work / "x.pillion"
    program = LOUD + "threads = [start(dive, 150, lambda: works(2)) for i in range(3)]\n" \
        "for t in threads: t.join()\nprint(time.process_time())"
    with where.popen([where.pillion, "record", "-F", "1000", "-o", path, "--", python.path, "-c", program],
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 3
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGSTOP)
            time.sleep(off)
            process.send_signal(signal.SIGCONT)
            time.sleep(on)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    profile = recording.load(path)
    record_property("figure", check_books(profile, float(out)))
    assert profile.drops[recording.DROP_LANE_FULL] >= 20, "it kept up"


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.full
def test_a_collector_that_was_killed_is_replaced_by_the_next_one(python, work, record_property):
    """The socket's file is in nobody's way. Who was recorded runs on; who starts is recorded."""
    where, address = place.of(python), work / "socket"
    env = {"LD_PRELOAD": where.library, "PILLION_SOCKET": address}
    first = collect(where, address, work / "first.pillion")
    program = PRELUDE + "wait_until(is_sampling)\nburn(0.3)\nprint('recorded', flush=True)\ninput()\nburn(0.2)\nprint('whole')"
    with where.popen([python.path, "-c", program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE, text=True) as old:
        assert old.stdout.readline() == "recorded\n"
        # The file is written once a second, and more often in the first one.
        wait_for(lambda: recording.load(work / "first.pillion").samples, "nothing is written")
        first.kill()
        first.wait()
        second = collect(where, address, work / "second.pillion")
        new = where.run([python.path, "-c", PRELUDE + "burn(0.3)\nprint('whole')"], env=env)
        out, err = old.communicate("\n", timeout=30)
    assert (old.returncode, out, err) == (0, "whole\n", "")
    assert (new.returncode, new.stdout, new.stderr) == (0, "whole\n", "")
    finish(second)
    profiles = [recording.load(work / name) for name in ("first.pillion", "second.pillion")]
    assert all(p.samples and not p.data["bad_bytes"] for p in profiles)
    assert [p.data["complete"] for p in profiles] == [False, True]
    assert not address.exists()
    record_property("figure", "%d and %d samples" % tuple(len(p.samples) for p in profiles))


# Where its frame is, the file says exactly, but in a way too rare for the library: the collector walks on from there.
RARE = r"""
__asm__(".pushsection .text\n"
	".globl rare_spin\n"
	".type rare_spin, @function\n"
	"rare_spin:\n"
	".cfi_startproc\n"
	"push %r12\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset r12, 0\n"
	"mov %rsp, %r12\n"
	".cfi_def_cfa_register r12\n"
	"1: dec %rdi\n"
	"jnz 1b\n"
	"pop %r12\n"
	".cfi_def_cfa rsp, 8\n"
	".cfi_restore r12\n"
	"ret\n"
	".cfi_endproc\n"
	".size rare_spin, . - rare_spin\n"
	".popsection\n");
"""
FINISHED = 1 << 25  # of a sample: by the collector


def test_a_program_that_cuts_its_library_takes_no_collector_with_it(one_python, here, work):
    """Who has a file mapped that is cut may get a SIGBUS. The program has not: it loaded another of the same name."""
    (work / "rare.c").write_text(RARE)
    library = place.host_compile(work / "rare.c", work / "rare.so", "-shared", "-fPIC")
    path, copy = work / "x.pillion", work / "copy.so"
    copy.write_bytes((work / "rare.so").read_bytes())
    program = PRELUDE + """
path, copy = sys.argv[1:]
spin = ctypes.CDLL(path).rare_spin
os.replace(copy, path)
def works(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: spin(ctypes.c_uint64(1 << 20))
wait_until(is_sampling)
print('sampling', flush=True)
told = start(input)
while told.is_alive(): works(0.05)
os.truncate(path, 0)
works(0.5)
print('whole')
"""
    argv = [here.pillion, "record", "-o", path, "--", one_python.path, "-c", program, library, copy]
    with here.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "sampling\n"
        wait_for(lambda: any(s.flags & FINISHED and s.stack[0].module == "rare.so" for s in recording.load(path).samples
                             if s.stack), "no stack was finished")
        out, err = process.communicate("\n", timeout=60)
    assert (process.returncode, out) == (0, "whole\n"), err
    profile = recording.load(path)
    assert profile.data["complete"] and profile.total("cpu_ns") >= 0.4e9


# -------------------------------------------------------------------- the disk

@pytest.fixture
def disk(work):
    """A file system of 192 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = work / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.full
def test_a_disk_that_is_full_and_then_free_again_is_written_to_again(one_python, here, disk, record_property):
    """What was buffered meanwhile is not lost: there was memory for it."""
    filler, path = disk / "filler", disk / "x.pillion"
    program = LOUD + """
def before(): works(0.6)
def meanwhile():
    end = time.monotonic() + 1.2
    while time.monotonic() < end:  # each sample meets a new function, whose name takes room
        scope, name = {}, 'f' + os.urandom(200).hex()
        exec('def %s(): sum(range(100000))' % name, scope)
        scope[name]()
def afterwards(): works(0.8)
before()
filler = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
try:
    while True: os.write(filler, bytes(4096))
except OSError: print('full', flush=True)
os.close(filler)
meanwhile()
os.unlink(sys.argv[1])
afterwards()
"""
    result = here.run([here.pillion, "record", "-F", "250", "-o", path, "--", one_python.path, "-c", program, filler])
    assert (result.returncode, result.stdout) == (0, "full\n"), result.stderr
    profile = recording.load(path)
    assert profile.data["complete"] and not profile.data["bad_bytes"]
    assert "No space left" in result.stderr  # it was full for a while, and that is said
    seen = [profile.total("wall_ns", profile.calling(name)) / 1e9 for name in ("before", "meanwhile", "afterwards")]
    record_property("figure", "%.2f s of 0.6 s before, %.2f s of 1.2 s meanwhile, %.2f s of 0.8 s afterwards" % tuple(seen))
    assert seen[0] >= 0.48 and seen[1] >= 0.96 and seen[2] >= 0.64


# ------------------------------------------------------------------ a power cut

def chunks(data):
    """(offset, type) of every chunk, and the end."""
    at = 0
    while at < len(data):
        kind, stored = int.from_bytes(data[at + 4:at + 6], "little"), int.from_bytes(data[at + 8:at + 12], "little")
        yield at, kind
        at += 24 + stored
    yield at, None


def test_a_profile_cut_at_any_byte_shows_all_that_is_whole(here, one_python, work, record_property):
    """Every byte of the last chunk, and some of all others; unit tests read each of them."""
    whole, cut = work / "x.pillion", work / "cut.pillion"
    result = here.run([here.pillion, "record", "-o", whole, "--", one_python.path, "-c", PRELUDE + "burn(0.3)"])
    assert result.returncode == 0, result.stderr
    data = whole.read_bytes()
    starts = [at for at, _ in chunks(data)]
    samples = len(recording.load(whole).samples)
    assert starts[-1] == len(data) and samples
    cuts = [*range(starts[-2], len(data)), *range(starts[1], starts[-2], len(data) // 8)]
    record_property("figure", "%d cuts of %d bytes" % (len(cuts), len(data)))
    for at in cuts:
        cut.write_bytes(data[:at])
        profile = recording.load(cut)
        assert profile.data["bad_bytes"] == at - max(s for s in starts if s <= at)
        assert not profile.data["complete"] and len(profile.samples) <= samples
        if at >= starts[-2]:
            assert len(profile.samples) == samples
    for verb in ("report", "info"):
        shown = here.run([here.pillion, verb, cut])
        assert shown.returncode in (0, 3) and "cut" in shown.stdout, shown


# ------------------------------------------------------------------ the clocks

STEPS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>
#include <sys/time.h>
#include <unistd.h>
/* The wall clock goes back an hour at every fourth look, and forward at others. */
static void step(struct timespec *ts)
{
	static int looks;
	int n = __atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED);

	ts->tv_sec += n % 4 ? 3600 * (n % 7) : -3600;
}
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	if (!rc && clock == CLOCK_REALTIME)
		step(ts);
	return rc;
}
time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return t ? (*t = ts.tv_sec) : ts.tv_sec;
}
int gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}
"""


def check_times(profile, seconds):
    data = profile.data
    assert seconds * 0.9e9 <= profile.total("cpu_ns") <= seconds * 1.2e9 + 0.1e9
    assert 0 < data["end_ns"] - data["start_ns"] < 20e9
    assert all(data["start_ns"] <= s.time_ns <= data["end_ns"] for s in profile.samples)
    return "%.2f s of %.2f s sampled" % (profile.total("cpu_ns") / 1e9, seconds)


def test_a_wall_clock_that_is_set_changes_no_time_that_is_measured(one_python, here, work, record_property):
    """Of program and collector alike: the library stands in front of both."""
    source = work / "steps.c"
    source.write_text(STEPS)
    shim = place.host_compile(source, work / "steps.so", "-shared", "-fPIC")
    result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", one_python.path, "-c",
                       PRELUDE + "first = time.time()\nburn(0.5)\nprint(abs(time.time() - first) > 3000)"],
                      env={"LD_PRELOAD": shim})
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
    record_property("figure", check_times(recording.load(work / "x.pillion"), 0.5))


@contextlib.contextmanager
def wall_clock_kept():
    """Whoever sets it meanwhile: it is right again afterwards."""
    ahead = time.time() - time.monotonic()
    try:
        yield
    finally:
        if abs(time.time() - time.monotonic() - ahead) > 1:
            time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + ahead)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")
def test_the_machines_wall_clock_may_be_set(one_python, here, work, record_property):
    """By two hours, ahead and back, while a program is recorded."""
    step = "time.clock_settime(time.CLOCK_REALTIME, time.time() + %d)\n"
    program = PRELUDE + "burn(0.2)\n" + step % 7200 + "burn(0.2)\n" + step % -7200 + "burn(0.1)\nprint('done')"
    with wall_clock_kept():
        result = here.run([here.pillion, "record", "-o", work / "x.pillion", "--", one_python.path, "-c", program])
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    record_property("figure", check_times(recording.load(work / "x.pillion"), 0.5))


def test_a_monotonic_clock_of_its_own_is_as_good(one_python, here, work, record_property):
    """In a time namespace, as after a container was moved: ten years up."""
    inside = ["unshare", "--time", "--fork", "--monotonic", "315360000", "--boottime", "315360000"]
    if here.run([*inside, "true"]).returncode:
        pytest.skip("no time namespaces here")
    result = here.run([*inside, here.pillion, "record", "-o", work / "x.pillion", "--", one_python.path, "-c",
                       PRELUDE + "burn(0.5)\nprint(time.monotonic() > 315360000)"])
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
    record_property("figure", check_times(recording.load(work / "x.pillion"), 0.5))


# --------------------------------------------------------------------- too much

@pytest.mark.full
def test_a_thousand_threads(python, work, long, record_property):
    """200 of them without --long. None is forgotten, though few may be sampled."""
    count = 1000 if long else 200
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
threading.stack_size(256 << 10)
barrier = threading.Barrier(%d)
def works():
    barrier.wait()
    burn(0.02)
    barrier.wait()
threads = [start(works) for i in range(%d)]
for t in threads: t.join()
print(time.process_time())
""" % (count, count)], work, timeout=300)
    assert len(profile.threads) >= count + 1
    record_property("figure", "%d threads: %s" % (count, check_books(profile, float(out))))


@pytest.mark.full
def test_five_hundred_processes(python, work, long, record_property):
    """50 of them without --long. All are there at one time, and each is told of."""
    count = 500 if long else 50
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
start, end = os.pipe(), os.pipe()
pids = []
for i in range(%d):
    pid = os.fork()
    if not pid:
        os.close(start[1])
        burn(0.03)
        os.write(end[1], b'x')
        os.read(start[0], 1)  # until all have got here
        os._exit(i %% 100)
    pids.append(pid)
for pid in pids: os.read(end[0], 1)
os.close(start[1])
print([os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids] == [i %% 100 for i in range(%d)])
print(*pids)
""" % (count, count)], work, timeout=300)
    right, pids = out.splitlines()
    assert right == "True"
    by_pid = {p["pid"]: p for p in profile.processes}
    assert not set(map(int, pids.split())) - set(by_pid)
    for i, pid in enumerate(map(int, pids.split())):
        assert by_pid[pid]["exit_status"] == (i % 100) << 8 and not by_pid[pid]["lost_records"]
    # Each clock is as of its last tick.
    told = sum(p["process_cpu_ns"] for p in profile.processes) / 1e9
    record_property("figure", "%d processes, %.2f s of their CPU, of %.2f s" % (count, told, count * 0.03))
    assert told >= 0.8 * count * 0.03


@pytest.mark.parametrize("alone", [False, True], ids=["record", "environment"])
def test_more_processes_one_after_the_other_than_descriptors(one_python, here, work, alone, record_property):
    """Those that have ended take none. The limit is that of a service, also for its collector."""
    program = PRELUDE + """
for i in range(60):
    pid = os.fork()
    if not pid: os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(0.03)  # for the collector to hear of it
"""
    path = work / "x.pillion"
    argv = [one_python.path, "-c", program]
    argv = argv if alone else [here.pillion, "record", "-o", path, "--", *argv]
    result = here.run(["sh", "-c", 'ulimit -n 40 && exec "$@"', "sh", *argv], env=here.preload(path) if alone else None)
    assert result.returncode == 0, result.stderr
    wait_for(lambda: recording.load(path).data["complete"], "the recording does not end")
    profile = recording.load(path)
    record_property("figure", "%d processes by 40 descriptors" % len(profile.processes))
    assert len(profile.processes) == 61
    assert not [n for n in profile.notes if "refused" in n]
