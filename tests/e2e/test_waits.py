# SPDX-License-Identifier: MIT
"""Time off the CPU is charged to the line that waits, with the system call it waits in,
and waiting for the GIL is told from every other wait."""
import json
import re

import pytest

import place
import recording

# What each function of workloads/waits.py may wait in: names of x86-64 system calls.
CALLS = {
    "wait_sleep": {"clock_nanosleep", "select", "pselect6"},  # select() up to CPython 3.10
    "wait_lock": {"futex"},
    "wait_queue": {"futex"},
    "wait_event": {"futex"},
    "wait_recv": {"recvfrom"},
    "wait_select": {"select", "pselect6"},
    "wait_poll": {"poll", "ppoll"},  # ppoll() since CPython 3.15
    "wait_epoll": {"epoll_wait"},
    "wait_subprocess": {"wait4"},
    "wait_pipe": {"read"},
}
SECONDS = 1.2


def syscall_names():
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    with open(header) as f:
        return {int(n): name for name, n in re.findall(r"#define __NR_(\w+) (\d+)", f.read())}


@pytest.fixture(scope="module")
def waits(interpreter, session_work):
    profile, out = recording.record_ok(
        interpreter, [place.WORKLOADS / "waits.py", str(SECONDS)], session_work,
        name="waits-%s.pillion" % interpreter.id)
    return profile, json.loads(out)


@pytest.mark.parametrize("function", CALLS)
def test_time_off_cpu_is_charged_to_the_function_that_waits(waits, function):
    profile, spent = waits
    samples = profile.calling(function)
    measured, runnable = (profile.total(field, samples) for field in ("offcpu_ns", "runnable_ns"))
    # What is missing at most: a tick at each end of each of the four waits. Who has waited may wait for a CPU then.
    assert 0.9 * SECONDS * 1e9 <= measured <= 1.02 * spent[function], (measured / 1e9, spent[function] / 1e9)
    assert 0.9 * spent[function] <= measured + runnable, (measured / 1e9, runnable / 1e9, spent[function] / 1e9)


@pytest.mark.parametrize("function", CALLS)
def test_the_system_call_is_named(waits, function):
    """Besides the wait itself, a function may wait to start a thread or a process."""
    profile, _ = waits
    names = syscall_names()
    samples = profile.calling(function)
    right = sum(s.offcpu_ns for s in samples if names.get(s.syscall) in CALLS[function])
    assert right >= 0.9 * SECONDS * 1e9, {names.get(s.syscall): s.offcpu_ns / 1e9 for s in samples}


@pytest.mark.parametrize("function", CALLS)
def test_the_wait_is_one_threads(waits, function):
    """One thread of the program; a child on its way to exec() is a process of its own."""
    profile, _ = waits
    first = profile.process_of(min(profile.samples, key=lambda s: s.time_ns))
    threads = {profile.thread(s)["tid"] for s in profile.calling(function) if profile.process_of(s) == first}
    assert len(threads) == 1


def test_blocked_stacks_reach_the_root(waits):
    profile, _ = waits
    blocked = [s for s in profile.samples if s.cause == recording.CAUSE_BLOCKED and s.stack]
    # The child of a vfork uses its parent's stack, and what stood there is gone.
    blocked = [s for s in blocked if s.stack[0].name != "__vfork"]
    broken = [s for s in blocked if s.flags & recording.FLAG_NATIVE_TRUNCATED]
    assert len(blocked) >= 10
    assert len(broken) <= 0.02 * len(blocked), "\n".join(map(str, broken[0].stack))


def test_idle_threads_burn_nothing(waits):
    """Threads that wait are not woken to be sampled."""
    profile, spent = waits
    for function in CALLS:
        samples = profile.calling(function)
        assert profile.total("cpu_ns", samples) <= 0.2 * spent[function]


@pytest.fixture(scope="module")
def gil(interpreter, session_work):
    extension = place.build_extension(interpreter, "callback_ext")
    profile, _ = recording.record_ok(
        interpreter, [place.WORKLOADS / "gil.py", "2"], session_work,
        env={"PYTHONPATH": extension}, name="gil-%s.pillion" % interpreter.id)
    return profile


def share(profile, function, field, state):
    samples = profile.calling(function)
    total = profile.total(field, samples)
    assert total > 0
    return sum(getattr(s, field) for s in samples if s.gil == state) / total


def test_two_threads_that_fight_for_the_gil_wait_half_of_the_time(gil):
    """Far more when others want the CPUs too: both wait while the next to have it waits for a CPU.
    That wait is part of neither."""
    waited = sum(s.offcpu_ns for s in gil.calling("fight") if s.gil == recording.GIL_WAITS)
    lived = sum(s.cpu_ns + s.offcpu_ns for s in gil.calling("fight"))
    assert 0.35 <= waited / lived <= 0.95


def test_a_thread_that_runs_python_holds_the_gil(gil):
    """But where it hands the GIL over, in libc: by chance a few samples, or a sixth of them."""
    running = [s for s in gil.calling("fight") if s.cpu_ns and not s.stack[0].module.startswith(("libc", "libpthread"))]
    held = sum(s.cpu_ns for s in running if s.gil == recording.GIL_HOLDS)
    assert held >= 0.95 * gil.total("cpu_ns", running)
    assert share(gil, "fight", "cpu_ns", recording.GIL_HOLDS) >= 0.6


def test_c_code_that_keeps_the_gil_holds_it(gil):
    assert share(gil, "work_with", "cpu_ns", recording.GIL_HOLDS) >= 0.95


def test_c_code_that_released_the_gil_does_not_hold_it(gil):
    assert share(gil, "work_without", "cpu_ns", recording.GIL_NONE) >= 0.95


def test_waiting_for_the_gil_is_in_futex(gil):
    names = syscall_names()
    waits = [s for s in gil.samples if s.gil == recording.GIL_WAITS and s.syscall >= 0]
    assert waits and all(names[s.syscall] == "futex" for s in waits)
