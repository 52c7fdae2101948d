# SPDX-License-Identifier: MIT
"""Sampling pauses when the collector asks for it or goes silent, and goes on afterwards."""
import pytest
import recording
from prelude import PRELUDE


def test_what_a_program_does_after_the_end_of_sampling_is_nobodys(python, work):
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
def works():
    while is_sampling():
        burn(0.01)
    print(time.process_time())
    burn(1)
start(works).join()
"""], work, options=["--duration", "1"])
    # The program may still be told that it is sampled when it already is not, for a tick.
    assert abs(profile.total("cpu_ns") / 1e9 - float(out)) <= 0.1


@pytest.mark.full
def test_threads_that_started_meanwhile_are_sampled_when_the_collector_is_back(python, work):
    """Silent for longer than the library waits; it also steps aside and comes back meanwhile."""
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
def meanwhile():
    here.set()
    back.wait()
    burn(1)
here, back = threading.Event(), threading.Event()
os.kill(os.getppid(), signal.SIGSTOP)
try:
    wait_until(lambda: not is_sampling())
    libc.unshare(0)  # what makes the sampling thread step aside
    thread = start(meanwhile)
    here.wait()
finally:
    os.kill(os.getppid(), signal.SIGCONT)
wait_until(is_sampling)
back.set()
thread.join()
burn(0.5)
"""], work)
    for function, seconds in (("meanwhile", 1), ("burn", 1.5)):
        cpu = profile.total("cpu_ns", profile.calling(function)) / 1e9
        assert 0.85 * seconds <= cpu <= 1.1 * seconds, function
