# SPDX-License-Identifier: MIT
"""Mixed stacks are exact, from the leaf to the root, however Python came to run.

workloads/mixed_stacks.py burns CPU at the end of many kinds of call, and has the
interpreter itself write down the stack. Here, every sample of such a leaf must show
exactly those Python frames, with lines; native frames where, and only where, C code
calls Python code; and reach the first instruction of the thread.
"""
import functools
import json
import os
import re
import struct
import types

import pytest

import place
import recording

# How a Python frame was called by the next one out.
PLAIN = "plain"  # a call between Python functions: since 3.11 no C function in between
EITHER = "either"  # depends on what the interpreter specialized
C = ""  # some C function; or a pattern for the names of those in between, innermost first

IN_C = r"invoke_inner;invoke_outer;callback_ext_call(;|$)"
IN_C_RELEASED = r"invoke_inner;invoke_with_gil;callback_ext_call_released(;|$)"

# Innermost first, from the leaf to the scenario's function.
EXPECTED = {
    "recursion": [("burn", PLAIN)] + [("descend", PLAIN)] * 6,
    "closure": [("burn", PLAIN), ("add", PLAIN), ("<lambda>", PLAIN)],
    "generator": [("burn", PLAIN), ("inner_numbers", EITHER), ("numbers", EITHER)],
    "genexpr": [("burn", PLAIN), ("double", PLAIN), ("<genexpr>", "sum")],
    "listcomp": [("burn", PLAIN), ("triple", PLAIN), ("<listcomp>", PLAIN)],
    "sorted": [("burn", PLAIN), ("sort_key", "sort")],
    "partial": [("burn", PLAIN), ("scale", "partial")],
    "lru_cache": [("burn", PLAIN), ("remembered", "lru_cache")],
    "ctypes": [("burn", PLAIN), ("compare", "ffi.*(qsort|msort).*ffi")],
    "exception": [("burn", PLAIN), ("handle", PLAIN)],
    "init": [("burn", PLAIN), ("__init__", PLAIN), ("__init__", EITHER)],
    "operator": [("burn", PLAIN), ("__add__", C)],
    "property": [("burn", PLAIN), ("value", EITHER)],
    "context_manager": [("burn", PLAIN), ("managed", C), ("__exit__", EITHER)],
    "class_body": [("burn", PLAIN), ("Body", "build_class")],
    "eval": [("burn", PLAIN), ("<module>", "PyEval_EvalCode")],
    "coroutine": [("burn", PLAIN), ("read", EITHER), ("fetch", C)],
    "async_generator": [("burn", PLAIN), ("ticks", EITHER), ("consume", C)],
    "c_callback": [("burn", PLAIN), ("from_c", IN_C), ("twice_from_c", IN_C)],
    "c_callback_released": [("burn", PLAIN), ("from_c_released", IN_C_RELEASED)],
    "c_leaf": [("burn_in_c", PLAIN)],
    "c_sandwich": [("burn_in_c", PLAIN), ("leaf_below_c", IN_C)],
    "thread": [("burn", PLAIN), ("in_thread", PLAIN)],
}
BROKEN = (recording.FLAG_NATIVE_TRUNCATED | recording.FLAG_PYTHON_TRUNCATED |
          recording.FLAG_PYTHON_FAILED | recording.FLAG_GUESSED | recording.FLAG_JOIN_MISMATCH)
NO_MARKERS = 1 << 8  # of the wire's sample flags
SECONDS, HZ, ENOUGH = 0.25, 200, 8


@pytest.fixture(scope="session")
def run_of(session_work):
    """Records the program once for each interpreter; every scenario is in it."""

    @functools.lru_cache(maxsize=None)
    def run(interpreter):
        extension = place.build_extension(interpreter, "callback_ext")
        truth = session_work / ("truth-%s.json" % interpreter.id)
        profile, _ = recording.record_ok(
            interpreter, [place.WORKLOADS / "mixed_stacks.py", truth, str(SECONDS)], session_work,
            options=["-F", str(HZ)], env={"PYTHONPATH": extension}, name=interpreter.id + ".pillion")
        return types.SimpleNamespace(profile=profile, truth=json.loads(truth.read_text()))

    return run


def simple(name):
    return name.rsplit(".", 1)[-1]


def definition_lines():
    source = (place.WORKLOADS / "mixed_stacks.py").read_text().splitlines()
    return {m.group(1): n for n, line in enumerate(source, 1) if (m := re.match(r" *def (\w+)\(", line))}


def leaf_samples(profile, scenario):
    """Samples taken while the scenario's leaf burned: its innermost Python function.

    One that was just being entered stands on its `def` line, and is not what we ask for.
    """
    leaf = EXPECTED[scenario][0][0]
    entered = definition_lines()[leaf]
    found = [s for s in profile.calling("scenario_" + scenario)
             if not s.calls("warm_up") and s.on_cpu and simple(s.python()[0].name) == leaf
             and s.python()[0].line != entered]
    assert len(found) >= ENOUGH, "%d samples of %s" % (len(found), scenario)
    return found


def check_none(wrong, samples, expected=""):
    """Shows the first few of the stacks that are wrong.

    CPython 3.8 and 3.9 leave no mark on the C stack: which eval call a Python frame belongs
    to is counted, and one that is just being entered or left is counted wrong.
    """
    counted = any(s.flags & NO_MARKERS for s in samples)
    if len(wrong) > (1 if counted else 0):
        stacks = ("flags %#x\n  %s" % (s.flags, "\n  ".join(map(str, s.stack))) for s in wrong[:3])
        pytest.fail("%d of %d differ. %s\n%s" % (len(wrong), len(samples), expected, "\n\n".join(stacks)), pytrace=False)


def gaps(sample):
    """For each Python frame, the native frames between it and the next Python frame out."""
    result, native = [], None
    for frame in sample.stack:
        if frame.is_python:
            native = []
            result.append((frame, native))
        elif native is not None:
            native.append(frame)
    return result


def same_python(interpreter, found, truth):
    if len(found) != len(truth):
        return False
    for i, (frame, (name, file, line)) in enumerate(zip(found, truth)):
        # A leaf moves on over its own lines. Before 3.11 a code object knows its bare name only.
        right_line = frame.line == line or (i == 0 and 0 <= frame.line - line <= 4)
        shown = frame.name if interpreter.minor >= (3, 11) else simple(frame.name)
        if (shown, frame.file) != (name, file) or not right_line:
            return False
    return True


@pytest.mark.parametrize("scenario", EXPECTED)
def test_python_frames_are_what_the_interpreter_says(run_of, interpreter, scenario):
    run = run_of(interpreter)
    truth = run.truth[scenario]
    samples = leaf_samples(run.profile, scenario)
    wrong = [s for s in samples if not same_python(interpreter, s.python(), truth)]
    check_none(wrong, samples, "Right is\n%s\n" % "\n".join(map(str, truth)))


def edge_holds(interpreter, edge, native):
    if edge is EITHER:
        return True
    if edge is PLAIN:
        return not native if interpreter.minor >= (3, 11) else bool(native)
    if not native:
        return False
    names = ";".join(f.name for f in native)
    # The names of a stripped interpreter's static functions cannot be known.
    ours = edge in (IN_C, IN_C_RELEASED)
    return bool(re.search(edge, names)) if ours or "stripped" not in interpreter.tags else True


def edges_hold(interpreter, scenario, sample):
    expected = [e for e in EXPECTED[scenario]
                if e[0] != "<listcomp>" or interpreter.minor < (3, 12)]
    found = gaps(sample)
    return all(simple(frame.name) == name and edge_holds(interpreter, edge, native)
               for (frame, native), (name, edge) in zip(found, expected))


@pytest.mark.parametrize("scenario", EXPECTED)
def test_native_frames_are_where_c_calls_python(run_of, interpreter, scenario):
    samples = leaf_samples(run_of(interpreter).profile, scenario)
    wrong = [s for s in samples if not edges_hold(interpreter, scenario, s)]
    check_none(wrong, samples)


@pytest.mark.parametrize("scenario", ["c_leaf", "c_sandwich"])
def test_a_c_leaf_shows_its_own_frames(run_of, interpreter, scenario):
    samples = leaf_samples(run_of(interpreter).profile, scenario)
    outside = [s for s in samples
               if [f.name for f in s.stack[:3]] != ["burn_round", "burn_cpu", "callback_ext_burn"]]
    # Now and then the clock is read.
    check_none(outside if len(outside) > 0.25 * len(samples) else [], samples)


def entry_point(interpreter):
    executable = os.path.realpath(interpreter.root + interpreter.path)
    with open(executable, "rb") as f:
        return os.path.basename(executable), struct.unpack_from("<Q", f.read(32), 24)[0]


@pytest.mark.parametrize("scenario", [s for s in EXPECTED if s != "thread"])
def test_the_main_thread_reaches_start(run_of, interpreter, scenario):
    executable, entry = entry_point(interpreter)
    samples = leaf_samples(run_of(interpreter).profile, scenario)
    wrong = [s for s in samples if s.stack[-1].module != executable or
             not entry < s.stack[-1].address <= entry + 64 or s.flags & BROKEN]
    check_none(wrong, samples)


def test_a_thread_reaches_clone(run_of, interpreter):
    """The root is in libc, below start_thread; both are named when libc has its symbols."""
    samples = leaf_samples(run_of(interpreter).profile, "thread")
    wrong = [s for s in samples if s.flags & BROKEN or
             [f.module for f in s.stack[-2:]] != ["libc.so.6"] * 2]
    if not interpreter.root:
        wrong += [s for s in samples if s.stack[-1].name not in ("clone3", "__clone3", "clone", "__clone")]
    check_none(wrong, samples)


def test_no_eval_loop_is_left_among_the_native_frames(run_of, interpreter):
    """The C function that runs a Python frame is shown as that Python frame."""
    samples = [s for name in EXPECTED for s in leaf_samples(run_of(interpreter).profile, name)]
    # Above the first Python frame, the loop may be in the middle of entering the next one.
    wrong = [s for s in samples
             if any("EvalFrameDefault" in f.name for _, native in gaps(s) for f in native)]
    check_none(wrong, samples)
