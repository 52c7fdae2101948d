# SPDX-License-Identifier: MIT
"""The program runs as if Pillion had never been there."""
import os
import signal
import subprocess

import pytest

import place
import recording


# In front of a program: samples come before it goes on.
BURN = "import time\nend = time.thread_time() + 0.15\nwhile time.thread_time() < end: pass\n"


def both(interpreter, work, program):
    """Runs plain and recorded; returns (status, stdout, stderr) of each, less our own lines.

    A program that was not recorded is unchanged, of course: it must have been, and sampled where it burns.
    """
    here = place.of(interpreter)
    plain = here.run([interpreter.path, *program], cwd=work)
    recorded = recording.record(interpreter, program, work)
    profile = recorded.load()
    assert profile.processes and (BURN not in program[-1] or any(s.on_cpu for s in profile.samples))
    own = [line for line in recorded.stderr.splitlines(True) if not line.startswith(("pillion: ", "[pillion]"))]
    return ((plain.returncode, plain.stdout, plain.stderr),
            (recorded.returncode, recorded.stdout, "".join(own)))


@pytest.mark.parametrize("status", [0, 1, 2, 3, 125, 126, 127, 255])
def test_the_exit_status_is_the_programs(one_python, work, status):
    plain, recorded = both(one_python, work, ["-c", "import sys; print('out'); sys.exit(%d)" % status])
    assert plain == recorded


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT", "SIGABRT", "SIGSEGV", "SIGPROF"])
def test_death_by_signal_is_the_programs(one_python, work, name):
    program = "import os, signal; signal.signal(signal.%s, signal.SIG_DFL) if '%s' != 'SIGKILL' else 0; " \
              "os.kill(os.getpid(), signal.%s)" % (name, name, name)
    plain, recorded = both(one_python, work, ["-c", program])
    assert plain[0] == recorded[0] == -getattr(signal, name)


PROBES = {
    "unraisable": "raise SystemExit('why')",
    "traceback": "def f():\n  1/0\nf()",
    "lowest descriptor": "import os; print(os.open('/dev/null', 0))",
    "descriptors below 100": "import os; print(sorted(int(f) for f in os.listdir('/proc/self/fd') if int(f) < 100))",
    # One is ours: SIGSTKFLT, which nothing has sent or caught since the days of the 8087.
    "signal handlers": "import signal; print([signal.getsignal(s) for s in range(1, 32) if s != 16])",
    "signal mask": "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))",
    "alternate stack": BURN + "import ctypes\nclass Stack(ctypes.Structure):\n  _fields_ = "
                       "[('at', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]\ns = Stack()\n"
                       "print(ctypes.CDLL(None).sigaltstack(None, ctypes.byref(s)), bool(s.at), s.flags, s.size)",
    "ignored signals": "print([l for l in open('/proc/self/status') if l.startswith(('SigBlk', 'SigIgn', 'Seccomp'))])",
    "python threads": BURN + "import threading; print(threading.active_count(), [t.name for t in threading.enumerate()])",
    "limits": "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_STACK))",
    "recursion": "def f(n): return n and f(n - 1)\ntry: f(10**6)\nexcept RecursionError as e: print(type(e))",
    "stdin": "import sys; print(sys.stdin.read())",
    "umask and cwd": "import os; m = os.umask(0); print(m, os.getcwd())",
    "interval timers": "import signal; print(signal.getitimer(signal.ITIMER_REAL), signal.getitimer(signal.ITIMER_PROF))",
    "atexit order": "import atexit; atexit.register(print, 1); atexit.register(print, 2)",
    "a last wait": "import atexit, time; atexit.register(print, 1); atexit.register(time.sleep, 0.3)",
    "last computations": "import atexit; atexit.register(lambda: print([sum(range(100)) for i in range(200000)][-1]))",
    "locale and encoding": "import sys, locale; print(sys.stdout.encoding, sys.flags)",
}


@pytest.mark.parametrize("probe", PROBES)
def test_what_the_program_can_see_is_unchanged(interpreter, work, probe):
    plain, recorded = both(interpreter, work, ["-c", PROBES[probe]])
    assert plain == recorded


def test_fork_warns_no_more_than_without_us(interpreter, work):
    """CPython 3.12 counts kernel threads, and warns about forking when there are several."""
    program = BURN + "import os\npid = os.fork()\nif not pid: os._exit(7)\nprint(os.waitpid(pid, 0)[1])"
    plain, recorded = both(interpreter, work, ["-W", "error", "-c", program])
    assert plain == recorded == (0, "1792\n", "")


def test_multiprocessing_fork_warns_no_more_than_without_us(interpreter, work):
    program = BURN + "import multiprocessing as m\nc = m.get_context('fork')\np = c.Process(target=print, args=('child',))\n" \
              "p.start(); p.join(); print(p.exitcode)"
    plain, recorded = both(interpreter, work, ["-W", "error", "-c", program])
    assert plain == recorded


def test_unshare_works_as_in_a_single_threaded_process(interpreter, work):
    """CLONE_NEWUSER is refused in a process of several threads."""
    program = BURN + "import ctypes; print(ctypes.CDLL(None, use_errno=True).unshare(0x10000000), ctypes.get_errno())"
    plain, recorded = both(interpreter, work, ["-c", program])
    assert plain == recorded


SETNS = BURN + """
import ctypes, os, threading
libc = ctypes.CDLL(None, use_errno=True)
def enter(path, kind):
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as e:
        return e.errno
    ctypes.set_errno(0)
    result = libc.setns(fd, kind), ctypes.get_errno()
    os.close(fd)
    return result
def enter_all():
    print(enter('/proc/self/ns/time', 0x80), enter('/proc/%d/ns/user' % child, 0x10000000), flush=True)
ready, go = os.pipe(), os.pipe()
child = os.fork()
if not child:
    os.write(ready[1], b'1' if libc.unshare(0x10000000) else b'0')  # CLONE_NEWUSER
    os.read(go[0], 1)
    os._exit(0)
print(os.read(ready[0], 1), flush=True)
if threads:
    thread = threading.Thread(target=os.read, args=(go[0], 1))
    thread.start()
enter_all()
os.write(go[1], b'xx')
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("threads", [0, 1])
def test_setns_works_as_in_a_process_of_as_many_threads(interpreter, work, threads):
    """Another user or time namespace is refused to a process of several threads."""
    plain, recorded = both(interpreter, work, ["-c", "threads = %d\n" % threads + SETNS])
    assert plain == recorded
    if plain[1] not in ("b'0'\n(0, 0) (0, 0)\n", "b'0'\n(-1, 87) (-1, 22)\n"):
        pytest.skip("namespaces are not allowed here: " + plain[1])
    assert ("(0, 0)" in plain[1]) == (not threads)


def test_a_path_of_null_is_an_error_as_without_us(interpreter, work):
    """glibc answers EFAULT; in a process that is not recorded as well."""
    program = BURN + """
import ctypes, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
for name in ("fopen", "fopen64"):
    getattr(libc, name).restype = ctypes.c_void_p
    print(getattr(libc, name)(None, b"r"), ctypes.get_errno())
"""
    plain, recorded = both(interpreter, work, ["-c", program])
    assert plain == recorded and plain[0] == 0


# Whose signal it is to be: what getsignal() says, what the kernel does.
SIGNAL = """
import os, signal
def look():
    print(signal.getsignal(signal.SIGSTKFLT), flush=True)
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGSTKFLT)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_a_process_that_is_not_sampled_has_its_signals(one_python, work):
    """Its collector has gone; or it is a child that was not to be sampled, of one that is."""
    here = place.of(one_python)
    env = {"LD_PRELOAD": here.library, "PILLION_SOCKET": "@nobody-is-here", "PILLION_TOKEN": "00" * 16}
    gone = here.run([one_python.path, "-c", SIGNAL + "look()"], env=env)
    assert gone.stdout.split("\n") == ["Handlers.SIG_DFL" if one_python.minor < (3, 11) else "0", "16", ""], gone
    inner = "child = os.fork()\nif not child: look(); os._exit(0)\nprint(os.waitpid(child, 0)[1])"
    recorded = recording.record(one_python, ["-c", BURN + SIGNAL + inner], work, options=["--no-subprocesses"])
    assert recorded.stdout == gone.stdout + "0\n", recorded
    assert len(recorded.load().processes) == 1


def test_signals_to_record_reach_the_program(one_python, work):
    """SIGTERM, SIGHUP, SIGUSR1 sent to `record` are for the command; its status comes back."""
    here = place.of(one_python)
    program = "import signal, sys\nsignal.signal(signal.SIGUSR1, lambda *a: sys.exit(42))\n" \
              "print('ready', flush=True)\nwhile True: signal.pause()"
    process = here.popen([here.pillion, "record", "-o", work / "o.pillion", "--", one_python.path, "-c", program],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=30) == 42


def test_a_program_that_uses_every_profiling_signal_keeps_it(one_python, work):
    """Its own ITIMER_PROF handler runs; ours keeps counting all the CPU time."""
    program = """
import signal, time
hits = []
signal.signal(signal.SIGPROF, lambda *a: hits.append(1))
signal.setitimer(signal.ITIMER_PROF, 0.05, 0.05)
end = time.thread_time() + 1
while time.thread_time() < end: pass
signal.setitimer(signal.ITIMER_PROF, 0)  # one that came after the handlers are gone would kill
print(len(hits) > 10)
"""
    profile, out = recording.record_ok(one_python, ["-c", program], work)
    assert out == "True\n"
    assert 0.9e9 <= profile.total("cpu_ns") <= 1.2e9


def test_closing_every_descriptor_does_not_hurt(one_python, work):
    """As daemons do: the profile loses nothing, and the program sees no error."""
    program = """
import os, time
os.closerange(3, 4096)
fd = os.open("/dev/null", os.O_RDONLY)
end = time.thread_time() + 0.6
while time.thread_time() < end: pass
print(fd)
"""
    profile, out = recording.record_ok(one_python, ["-c", program], work)
    assert out == "3\n"
    assert profile.total("cpu_ns") >= 0.5e9


def test_stdin_and_stdout_are_the_programs_own(one_python, work):
    here = place.of(one_python)
    argv = [here.pillion, "record", "-o", work / "o.pillion", "--", one_python.path, "-c",
            "import sys; sys.stdout.write(sys.stdin.read().upper())"]
    read, write = os.pipe()
    os.write(write, b"through the pipe")
    os.close(write)
    result = here.run(argv, stdin=read)
    os.close(read)
    assert result.stdout == "THROUGH THE PIPE"
