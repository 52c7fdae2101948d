# SPDX-License-Identifier: MIT
"""More samples are asked for than there is time for: the program comes first."""
import place
import recording

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
