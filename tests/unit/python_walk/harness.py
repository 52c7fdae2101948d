# SPDX-License-Identifier: MIT
"""What harness.so hands out, as Python objects."""
import ctypes
import os
import struct
import sys
import time

import linetables


class RawFrame(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint64), ("code_addr", ctypes.c_uint64),
                ("instr", ctypes.c_uint32), ("marker", ctypes.c_uint64)]


class Head(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("bytes", "tid", "count", "ns")] + \
        [(name, ctypes.c_uint8) for name in
         ("has_tstate", "truncated", "failed", "no_markers", "gil", "trusted", "reads", "r1")]


GIL_NONE, GIL_HOLDS = 1, 2
STATUS = {-1: "none", 0: "found", 1: "checked", 2: "refused"}
MAX_FRAMES = 1024


class Code:
    __slots__ = ("key", "name", "filename", "first_line", "kind", "table", "truncated", "lines")

    def line(self, offset):
        if offset not in self.lines:
            self.lines[offset] = linetables.line_of(self.kind, self.table, self.first_line, offset)
        return self.lines[offset]

    @property
    def id(self):
        return self.name, self.filename, self.first_line


def bind(name, restype, *argtypes):
    """The function twice: called with the GIL held, and with the GIL released."""
    path = os.environ["LD_PRELOAD"]
    pair = []
    for loader in (ctypes.PyDLL, ctypes.CDLL):
        function = getattr(loader(path), name)
        function.restype, function.argtypes = restype, argtypes
        pair.append(function)
    return pair


u64 = ctypes.c_uint64
_sampling = bind("harness_sampling", None, ctypes.c_int, ctypes.c_uint)[0]
_samples = bind("harness_samples", ctypes.c_void_p, ctypes.POINTER(u64))[0]
_codes = bind("harness_codes", ctypes.c_void_p, ctypes.POINTER(u64))[0]
_status = bind("harness_status", ctypes.c_int, ctypes.c_char_p)[0]
register_stack = bind("harness_register_stack", None)[0]
walk_self, walk_self_released = bind(
    "harness_walk_self", ctypes.c_int, ctypes.c_int, ctypes.POINTER(RawFrame), ctypes.c_uint,
    ctypes.POINTER(Head))
walk_blocked, walk_blocked_released = bind(
    "harness_walk_blocked", ctypes.c_int, ctypes.c_uint32, u64, ctypes.POINTER(RawFrame),
    ctypes.c_uint, ctypes.POINTER(Head), ctypes.c_uint)
_native = bind("harness_native", ctypes.c_uint, ctypes.POINTER(u64), ctypes.POINTER(u64),
               ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint)[0]
watch_futex = bind("harness_watch_futex", None, ctypes.c_uint32, ctypes.c_uint,
                   ctypes.POINTER(ctypes.c_uint))[1]
trust = bind("harness_trust", None, ctypes.c_int)[0]
_after_fork = bind("harness_after_fork", None)[0]
native_thread = bind("harness_native_thread", None, ctypes.POINTER(ctypes.c_int))
gil_at_end = bind("harness_gil_at_end", ctypes.c_int)
begin = bind("harness_begin", None)[0]
ready = bind("harness_ready", ctypes.c_int)[0]
dropped = bind("harness_dropped", u64)[0]
tls_offset = bind("harness_tls_offset", ctypes.c_int, ctypes.c_void_p,
                  ctypes.POINTER(ctypes.c_int64))[0]
tls_value = bind("harness_tls_value", u64, ctypes.c_int64)[0]

codes = {}
_parsed = 0


def load_codes():
    """Takes in the code objects that were described since the last time."""
    global _parsed
    size = u64()
    base = _codes(ctypes.byref(size))
    while _parsed < size.value:
        head = ctypes.string_at(base + _parsed, 32)
        total, _, _, key, first, table, name, file, kind, cut = struct.unpack("<IHHQIIHHBB2x", head)
        body = ctypes.string_at(base + _parsed + 32, name + file + table)
        code = Code()
        code.key, code.first_line, code.kind, code.truncated = key, first, kind, bool(cut)
        code.name = body[:name].decode()
        code.filename = body[name:name + file].decode()
        code.table, code.lines = body[name + file:], {}
        codes[key] = code
        _parsed += total


def after_fork():
    global _parsed
    _after_fork()
    _parsed = 0
    codes.clear()


def status():
    detail = ctypes.create_string_buffer(64)
    return STATUS[_status(detail)], detail.value.decode()


def wait_checked(seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end and status()[0] not in ("checked", "refused"):
        time.sleep(0.001)
    return status()


def sampling(on, period_us=0):
    _sampling(on, period_us)


class Sample:
    __slots__ = ("head", "frames")


def samples():
    """Everything recorded so far, and empties the buffer. Sampling must be off."""
    size, result, at = u64(), [], 0
    base = _samples(ctypes.byref(size))
    while at + ctypes.sizeof(Head) <= size.value:
        sample = Sample()
        sample.head = Head.from_buffer_copy(ctypes.string_at(base + at, ctypes.sizeof(Head)))
        if not sample.head.bytes:
            break
        raw = ctypes.string_at(base + at + ctypes.sizeof(Head),
                               ctypes.sizeof(RawFrame) * sample.head.count)
        sample.frames = (RawFrame * sample.head.count).from_buffer_copy(raw) \
            if sample.head.count else []
        result.append(sample)
        at += sample.head.bytes
    load_codes()
    return result


def native():
    """(stack pointer, is the C eval function by its symbol) of the caller's native frames."""
    pc, sp, evals = (u64 * 4096)(), (u64 * 4096)(), (ctypes.c_uint8 * 4096)()
    count = _native(pc, sp, evals, 4096)
    return [(sp[i], bool(evals[i])) for i in range(count)]


def walk(depth=MAX_FRAMES):
    """The calling thread's frames, as describe() gives them."""
    frames, head = (RawFrame * depth)(), Head()
    walk_self(1, frames, depth, ctypes.byref(head))
    return describe(frames, head.count), head


def describe(frames, count):
    load_codes()
    result = []
    for raw in frames[:count]:
        code = codes.get(raw.code)
        result.append((code.id + (code.line(raw.instr),)) if code else ("?", "?", 0, 0))
    return result


def expected(frame):
    """What Python itself says about a stack, in the form of describe()."""
    result = []
    while frame:
        code = frame.f_code
        name = code.co_qualname if sys.version_info >= (3, 11) else code.co_name
        result.append((name, code.co_filename, code.co_firstlineno, frame.f_lineno))
        frame = frame.f_back
    return result
