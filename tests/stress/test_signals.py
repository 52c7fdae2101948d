# SPDX-License-Identifier: MIT
"""The signal that samples use is the library's affair: the program never meets it.

Each program burns enough CPU time that signals are sure to come, and says what it saw.
"""
import recording

BURN = """
import ctypes, os, signal, sys, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
"""


def run(python, program, directory):
    recorded = recording.record(python, ["-c", BURN + program], directory)
    assert recorded.returncode == 0, "status %d\n%s" % (recorded.returncode, recorded.stderr)
    return recorded.stdout.strip()


def test_all_dispositions_are_as_without_us(one_python, work):
    program = "print(all(signal.getsignal(s) is not None for s in signal.valid_signals()))"
    assert run(one_python, program, work) == "True"


def test_resetting_all_signals_kills_nobody_and_sampling_goes_on(one_python, work):
    recorded = recording.record(one_python, ["-c", BURN + """
for s in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
    signal.signal(s, signal.SIG_DFL)
burn(0.5)
"""], work)
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.load().total("cpu_ns") >= 0.45e9


def test_children_that_reset_all_signals_reach_their_exec(one_python, work):
    """As libuv does between fork and exec."""
    assert run(one_python, """
libc, status = ctypes.CDLL(None), set()
for i in range(40):
    pid = os.fork()
    if not pid:
        for s in range(1, 32):
            libc.signal(s, 0)
        burn(0.02)
        os.execv('/bin/true', ['true'])
    status.add(os.waitpid(pid, 0)[1])
print(status)
""", work) == "{0}"


def test_a_handler_of_the_program_gets_the_signals_of_others_only(one_python, work):
    assert run(one_python, """
hits = []
signal.signal(signal.SIGSTKFLT, lambda *_: hits.append(1))
burn(0.2)
for i in range(5):
    os.kill(os.getpid(), signal.SIGSTKFLT)
    burn(0.01)
print(len(hits))
""", work) == "5"


def test_a_handler_of_the_program_interrupts_its_system_call(one_python, work):
    assert run(one_python, """
def handler(*_):
    raise InterruptedError
signal.signal(signal.SIGSTKFLT, handler)
main = threading.main_thread().ident
threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGSTKFLT)).start()
try:
    os.read(os.pipe()[0], 1)
except InterruptedError:
    print('interrupted')
""", work) == "interrupted"


def test_who_waits_for_any_signal_is_not_given_ours(one_python, work):
    assert run(one_python, """
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
burn(0.1)
os.kill(os.getpid(), signal.SIGTERM)
first = signal.sigwait(signal.valid_signals())
burn(0.1)
print(int(first), signal.sigtimedwait(signal.valid_signals(), 0.1))
""", work) == "15 None"
