# SPDX-License-Identifier: MIT
"""The walk of Python frames against what Python itself says, in this interpreter.

Three ways: the calling thread at known places (frames and lines must be equal), the
same stacks read from another thread while this one waits, and stacks sampled from a
signal handler at a high rate: there every caller, line and callee must be one that
tracing has seen. Run with harness.so preloaded; prints one line of JSON, exit 1 when
anything is wrong.
"""
import asyncio
import collections
import ctypes
import functools
import gc
import json
import sys
import threading
import time

import harness
import workloads
from harness import MAX_FRAMES, Head, RawFrame

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
HAS_MARKERS = sys.version_info >= (3, 10)
errors = []
counts = collections.Counter()


def wrong(what, *details):
    counts["wrong"] += 1
    if len(errors) < 10:
        errors.append(" ".join([what] + [str(detail) for detail in details])[:400])


# ---------------------------------------------------------------- at known places

class Waiter(threading.Thread):
    """Walks the thread that asks, while that one waits for the answer."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopped = False
        self.asked, self.answered = threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self):
        while self.asked.acquire() and not self.stopped:
            time.sleep(0.0002)
            harness.walk_blocked_released(self.tid, self.ident_asked, self.frames, MAX_FRAMES,
                                          ctypes.byref(self.head), 1)
            self.answered.release()

    def ask(self, frames, head):
        self.tid, self.ident_asked = threading.get_native_id(), threading.get_ident()
        self.frames, self.head = frames, head
        self.asked.release()
        self.answered.acquire()

    def stop(self):
        self.stopped = True
        self.asked.release()
        self.join()


waiter = Waiter()


def compare(label, how, frames, head, want):
    got = harness.describe(frames, head.count)
    counts["exact"] += 1
    if head.failed or head.truncated or not head.has_tstate:
        wrong(label, how, "failed" if head.failed else "truncated", head.has_tstate)
    if [frame[:3] for frame in got] != [frame[:3] for frame in want]:
        wrong(label, how, "frames", got[:6], "not", want[:6])
    elif got[1:] != want[1:]:  # the innermost one has moved on meanwhile
        where = [i for i in range(1, len(got)) if got[i] != want[i]][0]
        wrong(label, how, "line", got[where], "not", want[where])


def native_at(native, marker):
    """The native frame whose [SP, SP of its caller) has the marker."""
    for i in range(len(native) - 1):
        if native[i][0] <= marker < native[i + 1][0]:
            return i
    return None


def compare_markers(label, frames, head, native):
    markers = [frame.marker for frame in frames[:head.count] if frame.marker]
    places = [native_at(native, marker) for marker in markers]
    evals = [i for i, (_, is_eval) in enumerate(native) if is_eval]
    counts["markers"] += len(markers)
    if None in places or places != sorted(set(places)):
        wrong(label, "markers", places)
    elif not frames[head.count - 1].marker:
        wrong(label, "no marker on the outermost frame")
    elif sys.version_info < (3, 11) and len(markers) != head.count:
        wrong(label, "markers of", head.count, "frames:", len(markers))
    elif strict_evals and evals[-len(places):] != places:
        wrong(label, "markers in native frames", places, "not", evals)


def probe(label):
    want = harness.expected(sys._getframe())
    frames, head = (RawFrame * MAX_FRAMES)(), Head()
    for stack in (1, 0):
        harness.walk_self(stack, frames, MAX_FRAMES, ctypes.byref(head))
        compare(label, "own stack %d" % stack, frames, head, want)
        if head.gil not in (harness.GIL_HOLDS, 0):
            wrong(label, "does not hold the GIL")
    if HAS_MARKERS:
        compare_markers(label, frames, head, harness.native())
    harness.trust(0)
    harness.walk_self(1, frames, MAX_FRAMES, ctypes.byref(head))
    harness.trust(1)
    compare(label, "untrusted", frames, head, want)
    harness.walk_self_released(1, frames, MAX_FRAMES, ctypes.byref(head))
    compare(label, "GIL released", frames, head, want)
    if head.gil == harness.GIL_HOLDS:
        wrong(label, "holds the GIL")
    waiter.ask(frames, head)
    got = harness.describe(frames, head.count)
    while got and got[0][0] != "probe":  # where this thread waits
        del got[0]
    counts["blocked"] += 1
    if head.failed or head.truncated or got[1:] != want[1:]:
        wrong(label, "blocked", got[:6], "not", want[:6])


class Probing:
    count = 0

    def __init__(self, label):
        Probing.count += 1
        if Probing.count in (1, 60, 61):
            probe(label)

    @property
    def attribute(self):
        probe("property")
        return 1

    def __getitem__(self, key):
        probe("subscript")
        return 1

    def __add__(self, other):
        probe("operator")
        return self

    def __del__(self):
        if Probing.count == 60:
            probe("destructor")

    def __format__(self, spec):
        probe("format")
        return ""


def probing_generator(label):
    probe(label)
    got = yield 1
    probe(label + " resumed")
    yield (yield from probing_inner(label + " yield from")) or got


def probing_inner(label):
    yield probe(label)
    return probe(label + " at its end")


async def probing_coroutine(depth):
    if depth:
        return await probing_coroutine(depth - 1)
    probe("coroutine")
    await asyncio.sleep(0)
    probe("coroutine, resumed")


async def probing_async_generator():
    for i in range(2):
        probe("async generator")
        yield i


async def probing_async():
    async for _ in probing_async_generator():
        probe("async for")
    await asyncio.gather(probing_coroutine(3), probing_coroutine(1))


def nested(depth, label):
    if depth:
        return nested(depth - 1,
                      label)
    return probe(label)


def through_c():
    sorted([2, 1], key=lambda x: probe("sorted key") or x)
    functools.partial(nested, 2)("partial")
    list(map(lambda x: nested(1, "map"), [1]))
    exec(compile("probe('exec')\ndef f():\n    probe('exec, function')\nf()", "<exec>", "exec"))
    eval("[probe('eval') for x in (1,)]")
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: nested(x, "ctypes") or 0)
    callback(2)
    "{}".format(Probing("class"))
    type("Made", (), {"__init_subclass__": classmethod(lambda cls: probe("init_subclass"))})
    for Made in (type("Base", (), {"__init_subclass__": classmethod(lambda c: probe("sub"))}),):
        type("Derived", (Made,), {})


def in_exception():
    try:
        raise ValueError
    except ValueError:
        probe("except")
    finally:
        probe("finally")
    try:
        nested_raise()
    except KeyError:
        nested(1, "after unwinding")


def nested_raise():
    with workloads.Context():
        raise KeyError(probe("before raise"))


def known_places():
    probe("function")
    nested(5, "recursion")
    [probe("list comprehension") for _ in range(2)]
    [[nested(1, "nested comprehension") for _ in range(1)] for _ in range(1)]
    next(probe("generator expression") or x for x in range(1))
    for value in probing_generator("generator"):
        del value
    list(probing_generator("generator in C"))
    generator = probing_generator("sent")
    next(generator)
    generator.send(3)
    generator.close()
    through_c()
    in_exception()
    for i in range(70):
        Probing("class, call %d" % i)
    value = Probing("x")
    value.attribute, value[0], value + value
    loop = asyncio.new_event_loop()
    loop.run_until_complete(probing_async())
    loop.close()
    workloads.wrap(workloads.wrap(nested))(*(1, "star call"))


# ---------------------------------------------------------------- sampled

edges = set()
roots = set()


def frame_id(code):
    name = code.co_qualname if sys.version_info >= (3, 11) else code.co_name
    return name, code.co_filename, code.co_firstlineno


def note_call(frame, event, _):
    """Profile function: who calls whom, from which line."""
    if event != "call":
        return
    caller = frame.f_back
    if caller is None:
        roots.add(frame_id(frame.f_code))
        return
    edges.add((frame_id(caller.f_code), caller.f_lineno, frame_id(frame.f_code)))


def own_root():
    frame = sys._getframe()
    while frame.f_back:
        edges.add((frame_id(frame.f_back.f_code), frame.f_back.f_lineno, frame_id(frame.f_code)))
        frame = frame.f_back
    roots.add(frame_id(frame.f_code))


def switch(mode):
    if mode == "trace":
        threading.setprofile(note_call)
        sys.setprofile(note_call)
    elif mode == "sample":
        harness.sampling(1)
    else:
        sys.setprofile(None)
        threading.setprofile(None)
        harness.sampling(0)


def drive(function, seconds):
    end = time.monotonic() + seconds
    while True:
        function()
        if time.monotonic() > end:
            return


def is_known(caller, line, callee):
    if (caller.id, line, callee.id) in edges:
        return True
    # Threads are traced from somewhere inside of these on.
    return caller.filename == callee.filename == threading.__file__


def judge(sample):
    """None, or what is wrong with a sample."""
    codes = [harness.codes.get(frame.code) for frame in sample.frames]
    if None in codes:
        return "a frame without description"
    lines = [code.line(frame.instr) for code, frame in zip(codes, sample.frames)]
    for i in range(len(codes) - 1):
        if lines[i + 1] is None:
            return "no line: %s calls %s" % (codes[i + 1].id, codes[i].id)
        if not is_known(codes[i + 1], lines[i + 1], codes[i]):
            return "%s line %s calls %s" % (codes[i + 1].id, lines[i + 1], codes[i].id)
    root = codes[-1].id
    if root not in roots and root[0] not in ("Thread._bootstrap", "_bootstrap"):
        return "root %s" % (root,)
    return None


def judge_all(label, costs):
    for sample in harness.samples():
        head = sample.head
        names = {harness.codes[frame.code].name for frame in sample.frames
                 if frame.code in harness.codes}
        if "switch" in names:
            continue
        counts["sampled"] += 1
        counts["untrusted"] += not head.trusted
        if not head.has_tstate or not head.count and not head.failed:
            counts["no frames"] += 1
            if head.tid == threading.get_native_id():
                wrong("sampled", label, "main thread without frames")
            continue
        costs.append((head.ns, head.count))
        if head.failed or head.truncated:
            counts["failed" if head.failed else "cut"] += 1
            continue
        complaint = judge(sample)
        if complaint:
            wrong("sampled", label, complaint)


def in_registered_threads(functions):
    def target(functions, rounds):
        harness.register_stack()
        workloads.worker(functions, rounds)
    workloads.in_threads(functions, 3, 2, target)


def sampled(costs):
    def main_thread(): workload()

    def worker_threads(): in_registered_threads([workload])

    gc.disable()
    for workload in workloads.ALL + [workloads.thread_churn]:
        for where in (main_thread, worker_threads):
            if where is worker_threads and workload is workloads.thread_churn:
                continue
            for mode in ("trace", "sample"):
                switch(mode)
                drive(where, 0.05 if mode == "trace" else SECONDS)
                switch("off")
            own_root()
            judge_all(workload.__name__, costs)
    gc.enable()


def deeper_than_room():
    """10,000 frames: cut at the room that there is, innermost frames first."""
    sys.setrecursionlimit(12000)
    threading.stack_size(256 << 20)

    def descend(n):
        if n:
            return descend(n - 1)
        harness.walk_self(1, frames, MAX_FRAMES, ctypes.byref(head))
        return [head.count, head.truncated, head.failed, head.ns]

    def target():
        harness.register_stack()
        for _ in range(3):
            result[:] = descend(10000)
        harness.sampling(1)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            descend(10000)
        harness.sampling(0)

    frames, head, result = (RawFrame * MAX_FRAMES)(), Head(), []
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if result[:3] != [MAX_FRAMES, 1, 0]:
        wrong("deep recursion", result)
    names = {name.rpartition(".")[2] for name, _, _, _ in harness.describe(frames, MAX_FRAMES)}
    if names != {"descend"}:
        wrong("deep recursion", names)
    for sample in harness.samples():
        counts["deep"] += 1
        if sample.head.failed:
            counts["failed"] += 1
        elif sample.head.tid != threading.get_native_id() and sample.head.count > 20:
            inner = [harness.codes[frame.code].name.rpartition(".")[2]
                     for frame in sample.frames[:10]]
            if set(inner) != {"descend"}:
                wrong("deep sampled", inner)
    return result[3]


def percentile(values, share):
    return sorted(values)[int(len(values) * share)] if values else 0


def cost_of_twenty():
    frames, head, costs = (RawFrame * MAX_FRAMES)(), Head(), []

    def descend(n):
        if n:
            return descend(n - 1)
        for _ in range(200):
            harness.walk_self(1, frames, MAX_FRAMES, ctypes.byref(head))
            costs.append((head.ns, head.count))
        harness.walk_blocked(threading.get_native_id(), threading.get_ident(), frames, MAX_FRAMES,
                             ctypes.byref(head), 200)
        return percentile([ns for ns, _ in costs], 0.5), head.ns, head.count

    return descend(20 - len(harness.expected(sys._getframe())))


strict_evals = "--strict-evals" in sys.argv


def main():
    harness.register_stack()
    status, detail = harness.wait_checked()
    if status != "checked":
        wrong("self-check", status, detail)
    for _ in range(3):
        Probing.count = 0
        known_places()
    thread = threading.Thread(target=lambda: [harness.register_stack(), known_places()])
    thread.start()
    thread.join()
    waiter.stop()
    own, blocked, frames = cost_of_twenty()
    costs = []
    sampled(costs)
    deep_ns = deeper_than_room()
    if not counts["sampled"] or not counts["exact"]:
        wrong("nothing was checked")
    # One in a thousand is hit where a frame is just made or undone.
    if counts["failed"] + counts["cut"] > 0.02 * counts["sampled"]:
        wrong("sampled", counts["failed"], "failed and", counts["cut"], "cut of", counts["sampled"])
    print(json.dumps({
        "python": sys.version.split()[0], "ok": not errors, **counts,
        "own_ns": own, "blocked_ns": blocked, "frames": frames, "deep_ns": deep_ns,
        "sampled_ns_p50": percentile([ns for ns, _ in costs], 0.5),
        "sampled_ns_p99": percentile([ns for ns, _ in costs], 0.99),
        "sampled_frames_p50": percentile([count for _, count in costs], 0.5),
        "codes": len(harness.codes), "dropped": harness.dropped(), "errors": errors}))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
