# SPDX-License-Identifier: MIT
"""Under tight resource limits the program runs as before, and is sampled all the same."""
import contextlib
import errno
import os
import pathlib

import place
import pytest
import recording
import truth
from prelude import PRELUDE

STRANGER = 45678  # a user that nobody else is
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


@pytest.mark.full
def test_all_waits_are_seen_with_more_threads_than_descriptors(python, work):
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
resource.setrlimit(resource.RLIMIT_NOFILE, (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
done = threading.Event()
threads = [start(done.wait) for i in range(30)]
time.sleep(1.5)
done.set()
for t in threads: t.join()
"""], work)
    totals = profile.by_thread("offcpu_ns")
    waited = [totals[i] for i, t in enumerate(profile.threads) if not t["is_main"]]
    assert len(waited) == 30 and min(waited) >= 1.3e9


def limited(python, limits):
    """Four busy threads, as a command."""
    program = PRELUDE + "threads = [start(burn, 0.15) for i in range(4)]\n" \
        "for t in threads: t.join()\nprint('done')"
    return ["bash", "-c", 'ulimit %s && exec "$@"' % limits, "bash", python.path, "-c", program]


def under_limits(python, directory, limits):
    """The limits are not the collector's."""
    pillion = place.of(python)
    result = pillion.run([pillion.pillion, "record", "-o", directory / "out.pillion", "--", *limited(python, limits)],
                         cwd=directory)
    assert result.returncode == 0 and result.stdout == "done\n", result.stderr
    return result


@pytest.mark.full
@pytest.mark.parametrize("limits", [
    "-v 524288", "-n 16", "-i 0", "-s unlimited", "-l 0", "-f 65536", "-Sf 0"])
def test_a_limit_from_the_start_changes_nothing(python, work, limits):
    under_limits(python, work, limits)
    # Without room for a queued signal (-i 0) there are no timers: samples are forced.
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.45e9


@pytest.mark.full
def test_a_stack_hardly_larger_than_python_needs_by_itself_changes_nothing(python, work, record_property):
    """The first thread's, and that of each which asks for no size; the sampling thread asks for one."""
    where = place.of(python)
    least = next(kib for kib in range(64, 1024, 32)
                 if not where.run(limited(python, "-s %d" % kib), cwd=work).returncode)
    record_property("figure", "-s %d: %s alone needs %d" % (least + 32, python, least))
    under_limits(python, work, "-s %d" % (least + 32))
    assert recording.load(work / "out.pillion").total("cpu_ns") >= 0.45e9


OWN_LIMIT = PRELUDE + """
wait_until(is_sampling)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
blocks = []
try:
    while True: blocks.append(bytearray(1 << 20))
except MemoryError:
    count = len(blocks)
    del blocks[:64]
print(count, flush=True)
threading.stack_size(256 << 10)
threads = [start(burn, 0.05) for i in range(40)]
for t in threads: t.join()
"""


def test_a_program_that_limits_itself_has_nearly_all_of_it(python, work, record_property):
    """Whatever we map counts. Threads of more than one group of lanes are sampled within the limit."""
    plain = place.of(python).run([python.path, "-c", OWN_LIMIT.replace("wait_until(is_sampling)", "")])
    profile, out = recording.record_ok(python, ["-c", OWN_LIMIT], work)
    ours = int(plain.stdout) - int(out)
    record_property("figure", "%d MiB of 1024 are ours" % ours)
    assert 0 <= ours <= 32
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.9 * 40 * 0.05e9
    assert not profile.drops[recording.DROP_NO_LANE]


MIB = 1 << 10  # of `ulimit -v`
# What the loader says, or Python.
OUT_OF_MEMORY = ("MemoryError", "memory", "failed to map segment", "Cannot allocate", "Fatal Python error")
OURS_MIB, LIBRARY_MIB = 24, 8  # what a recording may take of an address space that is limited; and the library alone


def least_address_space(python, program):
    """Of the program without us, to half a MiB."""
    too_small, least = 1 * MIB, 8192 * MIB
    while least - too_small > MIB // 2:
        middle = (too_small + least) // 2
        done = place.of(python).run(in_address_space(python, middle, program))
        too_small, least = (too_small, middle) if not done.returncode else (middle, least)
    return least


def in_address_space(python, kib, program):
    return ["bash", "-c", 'ulimit -c 0 && ulimit -v %d && exec "$@"' % kib, "bash", python.path, "-S", "-c", program]


@pytest.mark.full
def test_a_narrow_address_space_is_told_or_suffices(python, work, record_property):
    """
    From what the program needs by itself upward: it is recorded, or is not and runs on. What it lacks then, as our
    own is within its limit, it says itself, as it does where it lacks it without us.
    """
    if "free-threaded" in python.id:
        pytest.skip("its allocator takes 32 MiB at once: there is room for all or for nothing")
    where, path = place.of(python), work / "out.pillion"
    program = "import time\nwhile time.thread_time() < 0.1: pass\nprint('done')"
    least = least_address_space(python, program)
    kinds = {}
    for more in [*range(OURS_MIB), OURS_MIB, 2 * OURS_MIB, 4 * OURS_MIB]:
        argv = [where.pillion, "record", "-q", "--force", "-o", path, "--",
                *in_address_space(python, least + more * MIB, program)]
        result = where.run(argv, cwd=work, env={"PILLION_LOG": "error"}, timeout=30)
        if result.returncode:
            # With a word for it that is not ours; an abort is how Python ends where it cannot begin.
            said = "".join(line for line in result.stderr.splitlines(True) if not line.startswith("pillion"))
            assert result.returncode in (1, 127, -6) and any(word in said for word in OUT_OF_MEMORY), result
            kind = "out of memory"
        else:
            assert result.stdout == "done\n" and path.exists() != ("nothing was recorded" in result.stderr), result
            assert not path.exists() or recording.load(path).total("cpu_ns") >= 0.05e9, result
            refused = "not sampling: no room for shared memory; raise the limits (ulimit -v" in result.stderr
            kind = "recorded" if path.exists() else "refused" if refused else "not loaded"
        kinds.setdefault(kind, []).append(more)
        if path.exists():
            path.unlink()
    record_property("figure", "%d MiB and more: %s" % (least // MIB, ", ".join(
        "%s with %s" % (kind, " ".join(map(str, some))) for kind, some in kinds.items())))
    assert kinds["refused"], kinds
    assert kinds["recorded"][-3:] == [OURS_MIB, 2 * OURS_MIB, 4 * OURS_MIB], kinds
    # For the library itself there is too little; or for the program, after a part of what a recording needs was there.
    assert sum(more > LIBRARY_MIB for more in kinds.get("out of memory", [])) <= 6, kinds


VM = pathlib.Path("/proc/sys/vm")


@contextlib.contextmanager
def no_more_memory_than(kib):
    """Of the whole machine: vm.overcommit_memory is 2. Setting either of ratio and kbytes sets the other to 0."""
    limit = "overcommit_kbytes" if int((VM / "overcommit_kbytes").read_text()) else "overcommit_ratio"
    before = {name: (VM / name).read_text() for name in ("overcommit_memory", limit)}
    try:
        (VM / "overcommit_kbytes").write_text(str(kib))
        (VM / "overcommit_memory").write_text("2")
        yield
    finally:
        for name, value in before.items():
            (VM / name).write_text(value)


@needs_root
@pytest.mark.long
@pytest.mark.alone
def test_where_the_kernel_promises_no_memory_none_is_missing_later(python, work):
    """The program takes all, and goes on. A page of ours that is new then would be the end of it (SIGBUS)."""
    where, path = place.of(python), work / "out.pillion"
    committed = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("Committed_AS"))
    with no_more_memory_than(committed + (1 << 20)):
        argv = [where.pillion, "record", "-q", "-F", "1000", "-o", path, "--", python.path, "-c", PRELUDE + """
def dive(depth):
    return burn(0.005) if not depth else dive(depth - 1)
go, there = threading.Event(), threading.Semaphore(0)
def later():
    there.release()
    go.wait()
    for depth in range(20, 60): dive(depth)
threads = [start(later) for i in range(4)]
for t in threads: there.acquire()
for depth in range(100, 120): dive(depth)
wait_until(is_sampling)
blocks = []
for size in (1 << 22, 1 << 17, 1 << 12):
    try:
        while True: blocks.append(bytearray(size))
    except MemoryError: pass
go.set()
for depth in range(20, 118): dive(depth)  # hardly a stack is met twice
os.write(1, b'done')
blocks.clear()
"""]
        result = where.run(argv, cwd=work)
    assert (result.returncode, result.stdout) == (0, "done"), result
    assert recording.load(path).total("cpu_ns") >= 0.1e9


@needs_root
def test_where_no_thread_may_be_made_the_program_runs_unsampled(python, work):
    """One process is all that its user may have. (Root may have any number.)"""
    where = place.of(python)
    shell = 'ulimit -u 1 && exec setpriv --reuid %d --regid %d --clear-groups "$@"' % (STRANGER, STRANGER)
    command = ["bash", "-c", shell, "bash", python.path, "-S", "-c", "print('done')"]
    if where.run(command).returncode or not all(p.stat().st_mode & 1 for p in pathlib.Path(where.library).parents):
        pytest.skip("another user may not run what is under test")
    result = where.run([where.pillion, "record", "-o", work / "out.pillion", "--", *command],
                       env={"PILLION_LOG": "error"}, timeout=30)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert "not sampling: no thread can be started; raise the limit (ulimit -u)" in result.stderr
    # The kernel's tick may come between the first thread's timer and the refusal.
    profile = recording.load(work / "out.pillion")
    assert len(profile.processes) == 1 and profile.handler_calls() <= 1
    assert [n for n in profile.notes if "no sampling thread could be made" in n], profile.notes


@needs_root
def test_children_of_one_without_a_sampling_thread_are_sampled(python, work):
    """What unshare(CLONE_NEWPID) is made for: the process that calls it gets no thread, its children are the payload."""
    recorded = recording.record(python, ["-c", PRELUDE + """
def payload(): burn(0.5)
wait_until(is_sampling)
if libc.unshare(0x20000000):  # CLONE_NEWPID
    sys.exit('refused')
child = os.fork()
if not child:
    assert os.getpid() == 1
    payload()
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""], work, timeout=60)
    if "refused" in recorded.stderr.splitlines():
        pytest.skip("PID namespaces are not allowed here")
    assert (recorded.returncode, recorded.stdout) == (0, "0\n"), recorded
    profile = recorded.load()
    assert len(profile.processes) == 2
    assert 0.45e9 <= profile.total("cpu_ns", profile.calling("payload")) <= 0.6e9


@needs_root
def test_where_the_sampling_thread_cannot_come_back_what_is_missing_is_stated(python, work, record_property):
    """
    It steps aside for unshare(). After CLONE_NEWPID the kernel gives no more threads to this process, nor does
    the program get one: its timers rest, and it ends as without us.
    """
    recorded = recording.record(python, ["-c", PRELUDE + """
def before(): burn(0.3)
def after(): burn(0.3)
wait_until(is_sampling)
before()
if libc.unshare(0x20000000):  # CLONE_NEWPID
    sys.exit('refused')
after()
try:
    start(burn)
    print('a thread')
except RuntimeError:
    print('no thread', is_sampling(), time.thread_time())
"""], work, env={"PILLION_LOG": "info"}, timeout=60)
    if "refused" in recorded.stderr.splitlines():
        pytest.skip("PID namespaces are not allowed here")
    assert recorded.returncode == 0 and recorded.stdout.startswith("no thread False "), recorded
    assert "sampling ended: no thread after unshare or setns" in recorded.stderr
    profile, spent = recorded.load(), float(recorded.stdout.split()[-1])
    sampled = profile.total("cpu_ns") / 1e9
    stated = sum(t["unsampled_cpu_ns"] + t["dormant_cpu_ns"] for t in profile.threads) / 1e9
    record_property("figure", "%.2f s sampled, %.2f s stated" % (sampled, stated))
    assert profile.total("cpu_ns", profile.calling("before")) >= 0.25e9 and not profile.calling("after")
    assert [n for n in profile.notes if "made any more" in n], profile.notes
    assert stated >= 0.25 and abs(sampled + stated - spent) <= 0.05


def test_a_sampling_thread_that_could_not_come_back_does_so_later(python, work):
    """Threads were short as it had stepped aside. It tries again before a fork, and the child is recorded, too."""
    where, path = place.of(python), work / "out.pillion"
    preload = "LD_PRELOAD=%s %s" % (where.library, truth.library(python, "no_threads"))
    result = where.run([where.pillion, "record", "-o", path, "--", "env", preload, python.path, "-c", PRELUDE + """
def missed(): burn(0.3)
def seen(): burn(0.3)
wait_until(is_sampling)
libc.deny_threads(2)
libc.fopen(b'/proc/self/stat', b'r')
print(is_sampling(), libc.pillion_start())
missed()
child = os.fork()
seen()
if not child: os._exit(0)
os.waitpid(child, 0)
"""], cwd=work)
    assert (result.returncode, result.stdout) == (0, "False %d\n" % -errno.ETIMEDOUT), result
    profile = recording.load(path)
    assert len(profile.processes) == 2 and not profile.calling("missed")
    assert profile.total("cpu_ns", profile.calling("seen")) >= 0.5e9
    assert [n for n in profile.notes if "no sampling thread could be made" in n], profile.notes


def test_the_sampling_thread_has_a_stack_for_much_thread_local_storage(python, work):
    """glibc refuses to make a thread whose stack that would fill."""
    where, path = place.of(python), work / "out.pillion"
    preload = "LD_PRELOAD=%s %s" % (where.library, truth.library(python, "big_tls"))
    result = where.run([where.pillion, "record", "-o", path, "--", "env", preload, python.path, "-c", PRELUDE + """
def waits(): time.sleep(0.3)
wait_until(is_sampling)
waits()
print(libc.own_big_tls() != 0)
"""], cwd=work)
    assert (result.returncode, result.stdout) == (0, "True\n"), result
    profile = recording.load(path)
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.28e9


def test_where_the_segment_may_not_be_made_the_program_runs_unsampled(python, work):
    """Files of no bytes at all: SIGXFSZ would end who tries."""
    result = under_limits(python, work, "-f 0")
    assert "nothing was recorded: process" in result.stderr and "ulimit -f" in result.stderr
    assert not (work / "out.pillion").exists()


def test_a_process_with_no_descriptor_left_says_so_and_runs(python, work):
    """One is left, which the segment takes: none for the socket."""
    pillion = place.of(python)
    shell = 'ulimit -n 4 && PILLION_LOG=error exec "$@"'
    result = pillion.run([pillion.pillion, "record", "-o", work / "out.pillion", "--", "sh", "-c", shell, "sh",
                          python.path, "-S", "-c", "print('done')"], cwd=work)
    assert result.stdout == "done\n", result.stderr
    assert "not sampling: no descriptor is left to reach the collector with" in result.stderr, result.stderr


def test_locked_memory_and_core_dumps_do_not_fill_the_segment_in(python, work):
    """It is 130 MB large, of which lanes that are not used cost nothing."""
    if os.geteuid():
        pytest.skip("a user may not lock that much memory")
    _, out = recording.record_ok(python, ["-c", PRELUDE + """
assert libc.mlockall(3) == 0  # MCL_CURRENT | MCL_FUTURE
for t in [start(burn, 0.02) for i in range(20)]: t.join()
shared = [line.split()[1] for line in open('/proc/self/status') if line.startswith('RssShmem')]
ours = open('/proc/self/smaps').read().split('/memfd:pillion')[1:]
print(shared[0], all(' dd ' in part.split('VmFlags:')[1].splitlines()[0] + ' ' for part in ours), len(ours))
"""], work)
    shared_kib, not_dumped, mappings = out.split()
    assert int(shared_kib) <= 10 << 10
    assert not_dumped == "True" and int(mappings) > 0
