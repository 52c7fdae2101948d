# SPDX-License-Identifier: MIT
"""The signal that samples use is the library's affair: the program never meets it.

Each program burns enough CPU time that signals are sure to come, and says what it saw. Where it blocks all
signals none is handled, but one waits: the kernel is asked.
"""
import pytest
import recording
from prelude import PRELUDE

OURS_WAITS = """
def ours_waits():
    line, = (l for l in task(os.getpid(), 'status').splitlines() if l.startswith('SigPnd'))
    return bool(int(line.split()[1], 16) >> SIGSTKFLT - 1 & 1)
"""


def run(python, program, directory, *reasons):
    """What it prints; signals were handled, in processes that began so, or in any."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + OURS_WAITS + program], directory)
    assert profile.handler_calls(*reasons) > 0, "there was no signal to meet"
    return out.strip()


def test_all_dispositions_are_as_without_us(python, work):
    program = "burn(0.1)\nprint(all(signal.getsignal(s) is not None for s in signal.valid_signals()))"
    assert run(python, program, work) == "True"


def test_resetting_all_signals_kills_nobody_and_sampling_goes_on(python, work):
    recorded = recording.record(python, ["-c", PRELUDE + """
for s in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
    signal.signal(s, signal.SIG_DFL)
burn(0.5)
"""], work)
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.load().total("cpu_ns") >= 0.45e9


@pytest.mark.full
def test_children_that_reset_all_signals_reach_their_exec(python, work, times):
    """As libuv does between fork and exec."""
    assert run(python, """
status = set()
for i in range(%d):
    pid = os.fork()
    if not pid:
        for s in range(1, 32):
            libc.signal(s, 0)
        burn(0.02)
        os.execv('/bin/true', ['true'])
    status.add(os.waitpid(pid, 0)[1])
print(status)
""" % (20 * times), work, recording.FORKED) == "{0}"


def test_a_handler_of_the_program_gets_the_signals_of_others_only(python, work):
    assert run(python, """
hits = []
signal.signal(SIGSTKFLT, lambda *_: hits.append(1))
burn(0.2)
for i in range(5):
    os.kill(os.getpid(), SIGSTKFLT)
    burn(0.01)
print(len(hits))
""", work) == "5"


def test_a_handler_of_the_program_interrupts_its_system_call(python, work):
    assert run(python, """
def handler(*_):
    raise InterruptedError
def interrupts():
    wait_until(lambda: task(os.getpid(), 'syscall').startswith('0 0x%x ' % fd))  # read()
    signal.pthread_kill(threading.main_thread().ident, SIGSTKFLT)
signal.signal(SIGSTKFLT, handler)
burn(0.1)
fd = os.pipe()[0]
start(interrupts)
try:
    os.read(fd, 1)
except InterruptedError:
    print('interrupted')
""", work) == "interrupted"


def test_who_waits_for_any_signal_is_not_given_ours(python, work):
    assert run(python, """
burn(0.1)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
burn(0.1)
os.kill(os.getpid(), signal.SIGTERM)
first = signal.sigwait(signal.valid_signals())
burn(0.1)
print(int(first), signal.sigtimedwait(signal.valid_signals(), 0.1), ours_waits())
""", work) == "15 None True"


def test_who_is_told_which_signal_came_is_not_told_of_ours(python, work):
    """sigwaitinfo() takes what is sent to the thread alone first, as ours is."""
    assert run(python, """
burn(0.1)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
burn(0.1)
before = ours_waits()
os.kill(os.getpid(), signal.SIGTERM)
told = signal.sigwaitinfo(signal.valid_signals())
print(before, told.si_signo, told.si_pid == os.getpid(), ours_waits())
""", work) == "True 15 True True"


def test_a_descriptor_of_all_signals_does_not_tell_of_ours(python, work):
    """signalfd(): event loops poll it, and take what it says for a signal that somebody sent."""
    assert run(python, """
import select, struct
everything = ctypes.create_string_buffer(b'\\xff' * 8, 128)
fd = libc.signalfd(-1, everything, os.O_NONBLOCK | os.O_CLOEXEC)
def signals():
    said = b''
    while select.select([fd], [], [], 0)[0]: said += os.read(fd, 4096)
    return [int(told[0]) for told in struct.iter_unpack('I124x', said)]
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
burn(0.1)
waited, none = ours_waits(), signals()
os.kill(os.getpid(), signal.SIGTERM)
one = signals()
assert libc.signalfd(fd, everything, 0) == fd  # set anew
burn(0.1)
print(fd >= 0, waited, none, one, signals(), ours_waits())
""", work) == "True True [] [15] [] True"


@pytest.mark.parametrize("wait", [
    "sigsuspend(none)", "ppoll(None, 0, limit, none)", "pselect(0, None, None, None, limit, none)",
    "epoll_pwait(poller.fileno(), events, 1, 150, none)"])
def test_a_wait_that_unblocks_signals_is_not_ended_by_ours(python, work, wait):
    """Event loops block signals, and let them in while they wait; ours is waiting by then."""
    assert run(python, """
import select, struct
none, limit = ctypes.create_string_buffer(128), ctypes.create_string_buffer(struct.pack('qq', 0, 150000000))
poller, events = select.epoll(), ctypes.create_string_buffer(12)
wait_until(is_sampling)
signal.signal(signal.SIGALRM, lambda *_: None)
waits, waiting = [], []
for i in range(2):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    burn(0.05)
    pending = signal.sigpending()
    waiting.append(ours_waits())
    signal.setitimer(signal.ITIMER_REAL, 0.15 if 'suspend' in %r else 0)
    begin = time.monotonic()
    libc.%s
    waits.append(time.monotonic() - begin)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
print(pending, waiting, min(waits) >= 0.14)
""" % (wait, wait), work) == "set() [True, True] True"


def test_a_real_time_signal_does_not_queue_and_meets_no_next_program(python, work):
    """The thread blocks it, and burns what would be hundreds of samples."""
    profile, out = recording.record_ok(python, ["-c", PRELUDE + """
def queued():
    return int(task(os.getpid(), 'status').split('\\nSigQ:')[1].split('/')[0])
burn(0.2)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
before = queued()
burn(0.7)
print(queued() - before < 20, flush=True)
os.execve(sys.executable, [sys.executable, '-c', '''
import signal
signal.pthread_sigmask(signal.SIG_SETMASK, [])
print('alive')
'''], {})  # without the library
"""], work, options=["-F", "1000"], env={"PILLION_SIGNAL": "40"})
    assert out == "True\nalive\n"
    assert profile.handler_calls() > 20 and profile.drops[recording.DROP_SIGNAL_BLOCKED] == 1


def test_a_forced_signal_that_the_program_took_is_not_waited_for_for_long(python, work):
    """By a system call, past the library."""
    profile, _ = recording.record_ok(python, ["-c", PRELUDE + """
wait_until(is_sampling)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
burn(0.1)
everything = ctypes.create_string_buffer(b'\\xff' * 8)
assert libc.syscall(128, everything, None, ctypes.create_string_buffer(16), 8) == 40  # rt_sigtimedwait
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
burn(0.5)
"""], work, options=["-F", "1000"], env={"PILLION_SIGNAL": "40"})
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.5e9
    assert len(profile.calling("burn")) > 50
