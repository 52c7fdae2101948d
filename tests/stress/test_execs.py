# SPDX-License-Identifier: MIT
"""A program that becomes another one: no signal of ours reaches it, and its segment says so."""
import pytest
import recording
import segment
from prelude import PRELUDE


def test_no_signal_of_ours_outlives_an_exec(python, work, times):
    """Forced samples were pending when the next program began, and ended it."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
argv = (ctypes.c_char_p * 2)(b'true', None)
statuses, count = [], %d
def forks():
    for i in range(count):
        pid = os.fork()
        if not pid:
            burn(0.002)  # two periods
            calls[i %% len(calls)]()
        statuses.append(os.waitpid(pid, 0)[1])
calls = [lambda: os.execv('/bin/true', ['true']), lambda: os.execvp('true', ['true']),
         lambda: libc.execveat(-100, b'/bin/true', argv, None, 0),
         lambda: os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})]
threads = [start(forks) for i in range(4)]
for t in threads: t.join()
print(len(statuses) - 4 * count, set(statuses))
""" % (60 * times)], work, options=["-F", "1000"])
    assert out == "0 {0}\n"
    assert profile.handler_calls(recording.FORKED) > 0, "no child had a signal"


@pytest.mark.full
def test_an_exec_that_fails_leaves_sampling_as_it_was(python, work):
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
libc = ctypes.CDLL(None, use_errno=True)
for function, arguments in (("execl", (b"/none", b"a", b"b", None)), ("execlp", (b"none", b"a", None)),
                            ("execle", (b"/none", b"a", None, None)), ("execv", (b"/none", None)),
                            ("execveat", (-100, b"/none", None, None, 0))):
    print(getattr(libc, function)(*arguments), ctypes.get_errno())
burn(0.5)
time.sleep(0.3)
"""], work)
    assert out == "-1 2\n" * 5
    assert profile.total("cpu_ns") >= 0.45e9 and profile.total("offcpu_ns") >= 0.25e9


@pytest.mark.full
def test_arguments_given_one_by_one_arrive(python, work):
    _, out = recording.record_ok(python, ["-c", """
import ctypes
env = (ctypes.c_char_p * 2)(b"X=from the environment", None)
ctypes.CDLL(None).execle(b"/bin/sh", b"sh", b"-c", b'echo "$1, $X"', b"sh", b"an argument", None, env)
"""], work)
    assert out == "an argument, from the environment\n"


def state_after(memory, program_says, process):
    assert process.stdout.readline() == program_says + "\n", process.stderr.read()
    return segment.state(memory)


def test_the_segment_of_a_program_that_has_become_another_one_says_so(python, work):
    program = PRELUDE + """
wait_until(is_sampling)
try:
    os.execv('/none', ['none'])
except OSError:
    print('still here', flush=True)
input()
os.execv('/bin/sh', ['sh', '-c', 'echo another; read x'])
"""
    with segment.of(python, program, work, stdin=-1) as (process, memory):
        assert state_after(memory, "still here", process) == segment.SAMPLING
        print(file=process.stdin, flush=True)
        assert state_after(memory, "another", process) == segment.EXECED
