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


def test_no_signal_of_ours_outlives_an_exec(python, work, times):
    """Forced samples were pending when the next program began, and ended it."""
    _, out = recording.record_ok(python, ["-c", PRELUDE + """
statuses, count = [], %d
def forks():
    for i in range(count):
        pid = os.fork()
        if not pid:
            calls[i %% len(calls)]()
        statuses.append(os.waitpid(pid, 0)[1])
calls = [lambda: os.execv('/bin/true', ['true']), lambda: os.execvp('true', ['true']),
         lambda: os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})]
threads = [start(forks) for i in range(4)]
for t in threads: t.join()
print(len(statuses) - 4 * count, set(statuses))
""" % (60 * times)], work, options=["-F", "1000"])
    assert out == "0 {0}\n"


@pytest.mark.full
def test_an_exec_that_fails_leaves_sampling_as_it_was(python, work):
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
libc = ctypes.CDLL(None, use_errno=True)
for function, arguments in (("execl", (b"/none", b"a", b"b", None)), ("execlp", (b"none", b"a", None)),
                            ("execle", (b"/none", b"a", None, None)), ("execv", (b"/none", None))):
    print(getattr(libc, function)(*arguments), ctypes.get_errno())
burn(0.5)
time.sleep(0.3)
"""], work)
    assert out == "-1 2\n" * 4
    assert profile.total("cpu_ns") >= 0.45e9 and profile.total("offcpu_ns") >= 0.25e9


@pytest.mark.full
def test_arguments_given_one_by_one_arrive(python, work):
    _, out = recording.record_ok(python, ["-c", """
import ctypes
env = (ctypes.c_char_p * 2)(b"X=from the environment", None)
ctypes.CDLL(None).execle(b"/bin/sh", b"sh", b"-c", b'echo "$1, $X"', b"sh", b"an argument", None, env)
"""], work)
    assert out == "an argument, from the environment\n"


def test_a_loader_that_stays_locked_does_not_hold_forks_up(python, work):
    """The sampling thread then hangs in its tick; it was 200 ms for each fork."""
    _, out = recording.record_ok(python, ["-c", PRELUDE + """
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
    child, parent = map(float, out.split())
    assert child < 2 and parent < 2
