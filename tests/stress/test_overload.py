# SPDX-License-Identifier: MIT
"""More samples are asked for than there is time for: the program comes first."""
import place
import recording
from prelude import PRELUDE

WORK = """
import time
def dive(depth, work):
    return work() if not depth else dive(depth - 1, work)
def works():
    start = time.process_time()
    for i in range(1000):
        sorted(range(3000), key=lambda x: -x)
    print(time.process_time() - start)
dive(200, works)
"""


def test_a_period_shorter_than_a_sample_leaves_time_for_the_program(python, work, record_property):
    """A stack of 200 frames, ten thousand times a second: in CPU time, as other processes run beside it."""
    plain = float(place.of(python).run([python.path, "-c", WORK]).stdout)
    profile, out = recording.record_ok(python, ["-c", WORK], work, options=["-F", "10000"], timeout=60)
    inside = sum(s.on_cpu for s in profile.calling("works"))
    record_property("figure", "%d samples, %.2f times the CPU time" % (inside, float(out) / plain))
    assert inside >= 50 and float(out) <= 3 * plain


def test_a_full_lane_is_not_taken_for_a_blocked_signal(python, work):
    """One cause for what is lost. Hardly a stack is met twice in a row, so that the lane fills."""
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
def dive(depth, seconds):
    return burn(seconds) if not depth else dive(depth - 1, seconds)
wait_until(is_sampling)
os.kill(os.getppid(), signal.SIGSTOP)
try:
    end = time.thread_time() + 3
    while time.thread_time() < end:
        for depth in range(40, 120): dive(depth, 0.0005)
finally:
    os.kill(os.getppid(), signal.SIGCONT)
"""], work, options=["-F", "1000"])
    assert profile.drops[recording.DROP_LANE_FULL] > 500
    assert profile.drops[recording.DROP_SIGNAL_BLOCKED] == 0


def test_rounds_that_take_longer_than_a_tick_leave_time_between_them(python, work, record_property):
    """For the program's CPU, and for a fork, which waits until no round is in progress."""
    profile, out = recording.record_ok(python, ["-W", "ignore", "-c", PRELUDE + """
never = threading.Event()
threading.stack_size(65536)
for i in range(1000): start(never.wait)
wait_until(is_sampling)
def spent():
    for tid in os.listdir('/proc/self/task'):
        if task(int(tid), 'comm') == 'pillion\\n':
            return int(task(int(tid), 'schedstat').split()[0])
before, begin = spent(), time.monotonic_ns()
for i in range(10):
    time.sleep(0.1)
    if not libc.fork(): os._exit(0)  # os.fork() would have our thread step aside
    os.wait()
print(spent() - before, time.monotonic_ns() - begin, flush=True)
os._exit(0)
"""], work, options=["-F", "10000", "--max-threads", "2048"], timeout=60)
    own_ns, wall_ns = map(int, out.split())
    record_property("figure", "%.2f of a CPU" % (own_ns / wall_ns))
    assert own_ns <= 0.6 * wall_ns
    assert len(profile.processes) == 11
