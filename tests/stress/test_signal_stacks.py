# SPDX-License-Identifier: MIT
"""Handlers, stacks and masks of the program's own: a sample harms none, and is harmed by none."""
import re
import signal

import place
import pytest
import recording
from prelude import PRELUDE


def run(python, work, program, options=("-F", "1000")):
    return recording.record_ok(
        python, ["-c", PRELUDE + "import signals_ext\n" + program], work, options=options,
        env={"PYTHONPATH": place.build_extension(python, "signals_ext")}, timeout=60)


@pytest.mark.parametrize("more", [512, 2048, 65536])
def test_a_handler_on_the_smallest_alternate_stack_has_it_for_itself(python, work, more, record_property):
    """The kernel's own frame of a second signal does not fit there: it would end the program."""
    profile, out = run(python, work, "print([signals_ext.on_signal_stack(%d, 0.2) for i in range(2)])" % more)
    assert out == "[0, 0]\n"
    # Our own handler needs some room, too: without, the time is stated.
    stated = sum(t["unsampled_cpu_ns"] for t in profile.threads)
    assert profile.total("cpu_ns") + stated >= 0.4e9
    record_property("figure", "%d bytes of its own: %.2f s sampled, %.2f s stated" %
                    (more, profile.total("cpu_ns") / 1e9, stated / 1e9))


def test_a_handler_for_faults_may_take_its_time_and_jump_away(python, work, record_property):
    profile, out = run(python, work, "print(signals_ext.faults(0.5))")
    inside = [s for s in profile.samples if any(f.name == "burn_in_fault" for f in s.stack)]
    record_property("figure", "%d faults, %d samples inside" % (int(out), len(inside)))
    assert int(out) >= 20 and len(inside) >= 20
    # Across the kernel's frame, to the root.
    assert all(s.calls("<module>") for s in inside)


def test_errno_is_never_changed(python, work):
    profile, out = run(python, work, "print(signals_ext.keeps_errno(0.5))")
    assert out == "0\n"
    assert sum(s.on_cpu for s in profile.samples) >= 50


def test_a_thread_that_blocks_all_signals_holds_nobody_up(python, work, record_property):
    """Its CPU time is there, sampled or stated; a signal that waited is no sample of what comes later."""
    profile, out = run(python, work, """
threads = [start(burn, 0.5)]
print(signals_ext.burn_blocked(0.5))
threads[0].join()
""", options=())
    index, = [i for i, t in enumerate(profile.threads)
              if not t["is_main"] and abs(t["cpu_ns"] / 1e9 - float(out)) < 0.05 and t["cpu_ns"] > 0.9e9]
    sampled = profile.by_thread("cpu_ns")[index]
    stated = profile.threads[index]["unsampled_cpu_ns"]
    record_property("figure", "%.2f s sampled, %.2f s stated" % (sampled / 1e9, stated / 1e9))
    assert abs((sampled + stated) / 1e9 - float(out)) <= 0.05
    assert profile.total("cpu_ns", profile.calling("burn")) >= 0.45e9


def test_a_thread_without_thread_local_storage_lives(python, work):
    """Its thread pointer is that of the thread which made it."""
    profile, out = run(python, work, "print(signals_ext.raw_thread(0.5) >= 0.5)\nburn(0.2)")
    assert out == "True\n"
    assert profile.total("cpu_ns") >= 0.2e9


FAULTHANDLER = PRELUDE + """
import faulthandler
faulthandler.enable()
faulthandler.register(signal.SIGUSR1, chain=False)
def before(): burn(0.1)
def after(): burn(0.1)
def works():
    before()
    os.kill(os.getpid(), signal.SIGUSR1)
    after()
    ctypes.string_at(16)
works()
"""


def test_faulthandler_tells_what_it_tells_without_us(python, work, here):
    """It is sampled before the dump that it asks for and after it, and dies of the second as without us."""
    plain = place.of(python).run([python.path, "-c", FAULTHANDLER])
    recorded = recording.record(python, ["-c", FAULTHANDLER], work)
    assert plain.returncode == recorded.returncode == -11

    def told(text):
        lines = [line for line in text.splitlines() if not line.startswith("pillion: ")]
        return [re.sub("0x[0-9a-f]+", "ADDRESS", line) for line in lines]
    assert told(recorded.stderr) == told(plain.stderr)
    assert any("Segmentation fault" in line for line in told(plain.stderr))
    profile = recorded.load()
    for name in ("before", "after"):
        assert profile.total("cpu_ns", [s for s in profile.calling(name) if s.on_cpu]) >= 0.08e9, name
    assert profile.processes[0]["exit_status"] & 0x7f == signal.SIGSEGV
    assert "killed by SIGSEGV" in here.run([here.pillion, "report", recorded.path]).stdout


def test_a_handler_that_is_replaced_by_a_system_call_costs_samples_and_nothing_else(python, work, record_property):
    """Past the library: what it loses is told."""
    profile, out = run(python, work, """
import struct
before = ctypes.create_string_buffer(32)
assert libc.syscall(13, SIGSTKFLT, None, before, 8) == 0  # rt_sigaction
handler, flags, restorer, mask = struct.unpack('<4Q', before)
burn(0.2)
ignore = struct.pack('<4Q', 1, flags, restorer, mask)
assert libc.syscall(13, SIGSTKFLT, ignore, None, 8) == 0
burn(1)
print('done')
""", options=())
    assert out == "done\n"
    sampled, stated = profile.total("cpu_ns") / 1e9, profile.threads[0]["unsampled_cpu_ns"] / 1e9
    record_property("figure", "%.2f s sampled, %.2f s stated" % (sampled, stated))
    assert sampled + stated >= 1.1


def test_a_timer_that_is_being_made_as_the_handler_goes_ends_nothing(python, work):
    """A thread that begins just then is held in the middle of timer_create, by a filter that asks first."""
    profile, out = run(python, work, """
import _thread, fcntl, struct
def statement(code, value, if_true=0, if_false=0):
    return struct.pack('<HBBI', code, if_true, if_false, value)
code = (statement(0x20, 0) + statement(0x15, 222, 0, 1) + statement(0x06, 0x7fc00000)  # timer_create: ask
        + statement(0x06, 0x7fff0000))
held = ctypes.create_string_buffer(code)
program = struct.pack('<HxxxxxxQ', len(code) // 8, ctypes.addressof(held))
def set_action(action):
    new = struct.pack('<4Q', action, flags, restorer, mask)
    assert libc.syscall(13, SIGSTKFLT, new, None, 8) == 0  # rt_sigaction
def late():
    began.set()
    time.sleep(0.5)
    burn(0.3)
    ended.set()
began, ended = threading.Event(), threading.Event()
before = ctypes.create_string_buffer(32)
wait_until(is_sampling)
assert libc.syscall(13, SIGSTKFLT, None, before, 8) == 0
handler, flags, restorer, mask = struct.unpack('<4Q', before)
assert libc.prctl(38, 1, 0, 0, 0) == 0
listener = libc.syscall(317, 1, 8, program)  # seccomp(SET_MODE_FILTER, NEW_LISTENER)
assert listener > 0
_thread.start_new_thread(late, ())
asked = fcntl.ioctl(listener, 0xc0502100, bytes(80))  # SECCOMP_IOCTL_NOTIF_RECV
set_action(1)  # SIG_IGN, until the library has noticed
time.sleep(0.5)
set_action(0)  # SIG_DFL: one more would end the program
fcntl.ioctl(listener, 0xc0182101, asked[:8] + struct.pack('<qiI', 0, 0, 1))  # it may go on
began.wait()
ended.wait()
print('done')
""", options=())
    assert out == "done\n"
    assert any("took over the signal" in note for note in profile.notes)
