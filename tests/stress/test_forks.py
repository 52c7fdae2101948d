# SPDX-License-Identifier: MIT
"""Many forks, from many threads, and a collector that does not answer."""
import place
import recording


def test_forks_at_once_do_not_stop_the_sampling_thread(one_python, work):
    """Four threads in fork() at one time; afterwards waits are still seen."""
    profile, out = recording.record_ok(one_python, ["-c", """
import fork_threads, time
print(fork_threads.run(4, 2))
def waits():
    time.sleep(1)
waits()
"""], work, env={"PYTHONPATH": place.build_extension(one_python, "fork_threads")})
    assert int(out) >= 10
    assert profile.total("offcpu_ns", profile.calling("waits")) >= 0.9e9


def test_forks_are_not_held_up_by_a_collector_that_stands_still(one_python, work):
    """More children than the collector's queue takes; it was half a second for each."""
    _, out = recording.record_ok(one_python, ["-c", """
import os, signal, time
os.kill(os.getppid(), signal.SIGSTOP)
start = time.time()
for i in range(160):
    pid = os.fork()
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(time.time() - start)
os.kill(os.getppid(), signal.SIGCONT)
"""], work)
    assert float(out) < 8
