# SPDX-License-Identifier: MIT
"""Many forks, from many threads, and a collector that does not answer."""
import place
import pytest
import recording
from prelude import PRELUDE


@pytest.mark.full
def test_forks_at_once_do_not_stop_the_sampling_thread(python, work, times):
    """Four threads in fork() at one time; afterwards waits are still seen."""
    profile, out = recording.record_ok(python, ["-c", """
import fork_threads, time
print(fork_threads.run(4, %d))
def waits():
    time.sleep(1)
waits()
""" % (2 * times)], work, env={"PYTHONPATH": place.build_extension(python, "fork_threads")})
    assert int(out) >= 10
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.9e9


def test_a_fork_within_a_fork_does_not_stop_the_sampling_thread(python, work):
    """A signal comes in the middle of one, and its handler forks: nobody waits for the other."""
    profile, out = recording.record_ok(python, ["-c", """
import fork_threads, time
memory = bytearray(b'x' * (256 << 20))  # so that a fork takes some milliseconds
begin = time.monotonic()
print(fork_threads.nested(1000), time.monotonic() - begin)
def waits():
    time.sleep(0.5)
waits()
"""], work, env={"PYTHONPATH": place.build_extension(python, "fork_threads")})
    nestings, seconds = out.split()
    assert nestings == "1" and float(seconds) < 30
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.45e9
    assert not profile.drops[recording.DROP_CHILD]


@pytest.mark.full
def test_what_sampling_cost_before_a_fork_is_not_forgotten(python, work):
    """From 3.12 on os.fork() counts threads: ours ends for that time, and another one goes on."""
    cost = []
    for forks in (0, 1):
        profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
burn(1)
for i in range(%d):
    pid = os.fork() or os._exit(0)
    os.waitpid(pid, 0)
""" % forks], work, options=["-f", "-F", "1000"])
        cost.append(profile.processes[0]["sampler_cpu_ns"])
    assert cost[1] > cost[0] / 2 > 0, cost


def test_forks_are_not_held_up_by_a_collector_that_stands_still(python, work):
    """More children than the collector's queue takes; it was half a second for each."""
    _, out = recording.record_ok(python, ["-c", PRELUDE + """
os.kill(os.getppid(), signal.SIGSTOP)
start = time.time()
try:
    for i in range(160):
        pid = os.fork()
        if not pid:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    print(time.time() - start)
finally:
    os.kill(os.getppid(), signal.SIGCONT)
"""], work)
    assert float(out) < 8


LARGE = PRELUDE + """
memory = bytearray(os.urandom(4096) * 65536)  # 256 MiB, of which a fork copies the page tables
times = []
def forks():
    for i in range(12):
        begin = time.monotonic()
        pid = os.fork()
        if not pid:
            os._exit(0)
        times.append(time.monotonic() - begin)
        os.waitpid(pid, 0)
forks()
print(sorted(times)[6])
"""


def test_a_fork_of_a_large_program_takes_as_long_as_without_us(python, work, record_property):
    """Half of them each: a fork that a signal interrupts begins anew, and may never end."""
    plain = place.of(python).run([python.path, "-c", LARGE])
    _, out = recording.record_ok(python, ["-c", LARGE], work, options=["-F", "1000"], timeout=60)
    record_property("figure", "%.1f ms, without us %.1f ms" % (float(out) * 1e3, float(plain.stdout) * 1e3))
    # The child's first word to the collector is its own affair; the parent waits for a tick to end.
    assert float(out) <= 2 * float(plain.stdout) + 0.02


def test_a_loader_that_stays_locked_does_not_hold_forks_up(python, work):
    """The sampling thread then hangs in its tick; it was 200 ms for each fork."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
def holds_lock():
    tid.append(libc.gettid())
    libc.dl_iterate_phdr(libc.pause, None)  # calls pause() under the loader's lock
def forks():
    start = time.monotonic()
    for i in range(20):
        pid = os.fork()
        if not pid:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    print(time.monotonic() - start, flush=True)
forks()
tid = []
start(holds_lock)
wait_until(lambda: tid and task(tid[0], 'syscall').startswith('34 '))
pid = os.fork()
if not pid:
    forks()  # its loader is locked by a thread that is not there
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
forks()
os._exit(0)
"""], work)
    before, child, parent = map(float, out.split())
    assert child - before < 2 and parent - before < 2
    # Each is counted that came while the tick hung: most of the last 21, and of the child's if that is sampled.
    assert 15 <= profile.drops[recording.DROP_CHILD] <= 41


def test_workers_of_one_moment_are_not_sampled_at_the_same_one(python, work):
    """In its first period of 200 ms, each at a moment of its own; functions of 16 ms tell which."""
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
for step in range(12):
    exec('def step_%d(): burn(0.016)' % step)
time.sleep(0.3)
for i in range(8):
    if not ctypes.PyDLL(None).fork():  # os.fork() would have our thread step aside, and draw
        for step in range(12): globals()['step_%d' % step]()
        os._exit(0)
for i in range(8): os.wait()
"""], work, options=["-F", "5"])
    first = {}
    for s in sorted(s for s in profile.samples if s.on_cpu and profile.process_of(s)["reason"] == recording.FORKED):
        for frame in s.stack:
            if frame.name.startswith("step_"):
                first.setdefault(s.thread, int(frame.name[5:]))
    assert len(first) >= 5 and max(first.values()) - min(first.values()) >= 2, first
