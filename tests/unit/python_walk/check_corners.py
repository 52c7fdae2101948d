# SPDX-License-Identifier: MIT
"""Rare cases of the walk, each on its own: names, forks, interpreters in interpreters.

Run with harness.so preloaded: check_corners.py NAME. Exit 77: not possible here, for the reason that is printed.
"""
import ctypes
import functools
import os
import sys
import threading
import time
import types

import harness

SKIP = 77


def check(condition, *details):
    if not condition:
        sys.exit("wrong: " + " ".join(map(str, details))[:1000])


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIP)


def checked():
    status, detail = harness.wait_checked()
    check(status == "checked", status, detail)


# ---------------------------------------------------------------- names

def seen_as(source, filename, name):
    """Runs the function `name` of a source; returns how its frame was described."""
    namespace = {"walk": harness.walk}
    exec(compile(source, filename, "exec"), namespace)
    frames, _ = namespace[name]()
    return frames[1]


def names():
    """Every kind of string, and the limits of the description."""
    checked()
    for name in ("plain", "\xe9t\xe9", "\u65e5\u672c\u8a9e", "\U00020000x", "a" * 1000):
        for filename in ("<made>", "/tmp/\xfc.py", "/\u65e5/\U0001f600.py"):
            got = seen_as("def %s():\n\n  return walk()\n" % name, filename, name)
            check(got == (name, filename, 1, 3), got)
    for name, cut in (("b" * 1001, "b" * 1000), ("\xe9" * 700, "\xe9" * 500),
                      ("\u65e5" * 400, "\u65e5" * 333)):
        got = seen_as("def %s(): return walk()" % name, "<made>", name)
        check(got[0] == cut, len(got[0]), len(cut))
        check(max(code.truncated for code in harness.codes.values()), "not marked as cut")
    got = seen_as("def f(): return walk()", "/bad\udce9name.py", "f")
    check(got[1] == "/bad\ufffdname.py", ascii(got[1]))
    long = "def f():\n" + "  x = {}.get(1) or [1, 2,\n   3]\n" * 9000 + "  return walk()\n"
    got = seen_as(long, "<long>", "f")
    check(got[:3] == ("f", "<long>", 1), got)


def reused():
    """Code objects at reused addresses are told apart."""
    checked()
    addresses = set()
    for i in range(3000):
        name = "made_%d" % i
        code = compile("\n" * (i % 50) + "def %s():\n  return walk()\n" % name, "<%d>" % i, "exec")
        namespace = {"walk": harness.walk}
        exec(code, namespace)
        addresses.add(id(namespace[name].__code__))
        got = namespace[name]()[0][1]
        check(got == (name, "<%d>" % i, i % 50 + 1, i % 50 + 2), got, name)
    check(len(addresses) < 2900, "no address was reused: the test proves nothing")


# ---------------------------------------------------------------- cost

def reads_of_walks():
    """System calls of a walk of this thread, and of one from outside while it waits."""
    raw, head = (harness.RawFrame * harness.MAX_FRAMES)(), harness.Head()
    reads, main, ident = [], threading.get_native_id(), threading.get_ident()
    for _ in range(2):  # the second one knows where to look
        harness.walk_self(2, raw, harness.MAX_FRAMES, ctypes.byref(head))
        check(not head.failed and not head.truncated and head.count > 150, "walk", head.count)
    reads.append(head.reads)

    def other():
        for _ in range(2):
            harness.walk_blocked_released(main, ident, raw, harness.MAX_FRAMES,
                                          ctypes.byref(head), 1)
        reads.append(head.reads)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    check(not head.failed and not head.truncated and head.count > 150, "blocked", head.count)
    return reads


def reads():
    """Frames of a chain that lie close together are read together."""
    checked()
    harness.register_stack()
    found = {}

    def recurse(depth):
        if depth:
            return recurse(depth - 1)
        found["recursion"] = reads_of_walks()

    def generate(depth):
        if depth:
            yield from generate(depth - 1)
        else:
            found["generators"] = reads_of_walks()
            yield

    async def wait(depth):
        if depth:
            return await wait(depth - 1)
        found["coroutines"] = reads_of_walks()
    recurse(150)
    list(generate(150))
    try:
        wait(150).send(None)
    except StopIteration:
        pass
    print(found)
    for kind, (own, blocked) in found.items():
        check(own <= 16 and blocked <= 32, kind, found)


# ---------------------------------------------------------------- life

def fork():
    """A forked child is walked like its parent."""
    checked()
    child = os.fork()
    if child:
        check(os.waitpid(child, 0)[1] == 0, "the child failed")
        return
    harness.after_fork()
    frames, head = harness.walk()
    want = harness.expected(sys._getframe())
    check([f[:3] for f in frames[1:]] == [f[:3] for f in want], frames, want)
    check(head.gil in (0, harness.GIL_HOLDS), "gil", head.gil)
    raw, head = (harness.RawFrame * 64)(), harness.Head()
    done = threading.Event()

    def other():
        # The main thread is on its way into join() yet: until it blocks, it cannot be read so.
        while not head.count:
            harness.walk_blocked_released(main, ident, raw, 64, ctypes.byref(head), 1)
        done.set()
    main, ident = threading.get_native_id(), threading.get_ident()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    check(head.has_tstate and head.count, "blocked walk in the child", head.count)
    os._exit(0)


def finalizing():
    """Nothing is read any more once the interpreter goes down."""
    checked()
    check(harness.ready(), "not ready")
    harness.sampling(1, 100)

    class AtEnd:
        ready = harness.ready
        held, released = harness.gil_at_end

        def __del__(self):
            at_end = type(self)
            os.write(1, b"end: %d holds %d released %d\n" %
                     (at_end.ready(), at_end.held(), at_end.released()))
    sys.modules["at_end"] = AtEnd()
    time.sleep(0.2)


def refused():
    """HARNESS_SHIFT moved a field: refused with a reason, and Python runs on."""
    status, detail = harness.wait_checked(8)
    for _ in range(100000):
        pass
    check(status == "refused" and detail, status, detail)
    check(not harness.ready(), "ready, although refused")
    print(detail)


def denied():
    """Without process_vm_readv, nothing is missing."""
    checked()

    def generator():
        yield harness.walk()
    frames, head = next(generator())
    want = harness.expected(sys._getframe())
    check(not head.failed and not head.truncated, "failed")
    check([f[:3] for f in frames[2:]] == [f[:3] for f in want], frames, want)
    files = {fd: os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd")
             if os.path.islink("/proc/self/fd/" + fd)}
    ours = [int(fd) for fd, path in files.items() if path == "/proc/%d/task/%d/mem" % (os.getpid(), os.getpid())]
    check(len(ours) == 1 and ours[0] >= 512, "descriptors", files)


def denied_all():
    """Without any checked read, the reason is told."""
    status, detail = harness.wait_checked()
    check((status, detail) == ("refused", "process_vm_readv is refused here (seccomp?)"),
          status, detail)


# ---------------------------------------------------------------- where the self-check runs

def passes_here():
    """The self-check, asked for only now, agrees with this stack; so does the next walk."""
    harness.begin()
    checked()
    want = harness.expected(sys._getframe())[:harness.MAX_FRAMES - 1]
    frames, head = harness.walk()
    check(not head.failed, "failed")
    check(head.truncated == (head.count == harness.MAX_FRAMES), "cut at", head.count)
    check([f[:3] for f in frames[1:]] == [f[:3] for f in want], frames, want)


def deep(depth, through=lambda function, *arguments: function(*arguments)):
    return through(deep, depth - 1, through) if depth else passes_here()


def check_in_c_calls():
    """Every other frame belongs to C: more of those than garbage could pass for."""
    def call(function, *arguments):
        return functools.partial(function, *arguments)()
    sys.setrecursionlimit(5000)
    deep(150, call)


def check_in_recursion():
    """A stack that is deeper than the walk goes."""
    sys.setrecursionlimit(5000)
    deep(2000)


def check_in_generators():
    """Frames that lie in no stack, entered from C and by yield from."""
    def generate(depth):
        if depth % 2:
            yield from generate(depth - 1)
        elif depth:
            yield list(generate(depth - 1))
        else:
            yield passes_here()
    list(generate(150))


def check_in_coroutines():
    async def wait(depth):
        if depth:
            return await wait(depth - 1)
        passes_here()
    try:
        wait(150).send(None)
    except StopIteration:
        pass


def check_in_trace_function():
    """While it is traced, a frame is at the line that its trace function was told last."""
    def trace(frame, event, argument):
        return trace

    def traced(yes):
        return [1 if yes else
                2, passes_here()]  # 3.8, 3.9: jumped to, into the middle of a line
    sys.settrace(trace)
    traced(True)
    sys.settrace(None)


def check_in_odd_names():
    """Template engines compile under names that are of their own kinds of str."""
    class Name(str):
        pass
    for text in ("made-up.html", "\xe9t\xe9.html", "\u65e5\u672c.html"):
        namespace = {"passes_here": passes_here, "walk": harness.walk}
        exec(compile("def render():\n  passes_here()\n  return walk()", Name(text), "exec"),
             namespace)
        frames, _ = namespace["render"]()
        check(frames[1] == ("render", text, 1, 3), frames[1])


def check_in_greenlet():
    try:
        import greenlet
    except ImportError:
        skip("greenlet is not installed")
    greenlet.greenlet(lambda: deep(5)).switch()


# ---------------------------------------------------------------- the GIL

def gil():
    """Waiting for the GIL is told from waiting for a lock, by the address waited at."""
    checked()
    lock, stop = threading.Lock(), []
    spinning, waiting = threading.Barrier(3), []

    def spinner():
        spinning.wait()
        while not stop:
            sum(range(1000))

    def waiter():
        waiting.append(True)
        with lock:
            pass

    def futexes(thread):
        counts = (ctypes.c_uint * 2)()
        harness.watch_futex(thread.native_id, 200, counts)
        return list(counts)

    # A check that fails leaves them behind.
    threads = [threading.Thread(target=target, daemon=True) for target in (spinner, spinner, waiter)]
    with lock:
        for thread in threads:
            thread.start()
        spinning.wait()
        # What a thread waits for before it spins, or before it waits, is over by then.
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (waiting and futexes(threads[2])[1] == 200):
            pass
        for thread, index in ((threads[0], 0), (threads[2], 1)):
            counts = futexes(thread)
            # A thread that spins may also meet a lock of the allocator's, now and then.
            check(counts[index] > 20 * (1 + counts[1 - index]), "GIL and others:", counts)
        stop.append(True)
    for thread in threads:
        thread.join()


def gil_of_native_threads():
    """Threads that never had anything to do with Python neither hold the GIL nor wait."""
    checked()
    gils = (ctypes.c_int * 2)()
    for call in harness.native_thread:
        call(gils)
        check(list(gils) == [harness.GIL_NONE] * 2, list(gils))
    harness.trust(0)
    call(gils)
    check(list(gils) == [0, 0], "certain, though nothing was checked", list(gils))


# ---------------------------------------------------------------- the thread's state

def accessor(name):
    try:
        function = getattr(ctypes.pythonapi, name)
    except AttributeError:
        return None
    function.restype = ctypes.c_void_p
    return function


def in_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


def tls():
    """The TLS slot that CPython's accessor reads is found in its instructions."""
    names = ["PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet"]  # 3.13+, 3.12
    if sys.version_info >= (3, 15):
        names.append("PyGILState_GetThisThreadState")
    if sys.version_info < (3, 12):
        skip("no TLS slot before 3.12")
    for name, function in [(name, accessor(name)) for name in names]:
        if not function:
            continue
        offset = ctypes.c_int64()
        address = ctypes.cast(function, ctypes.c_void_p)
        check(in_thread(lambda: harness.tls_offset(address, ctypes.byref(offset))), name)
        check(harness.tls_value(offset.value) == function(), name, offset.value)
        check(in_thread(lambda: harness.tls_value(offset.value) == function()), name, "in thread")
        print(name, offset.value)


SUB = """
import time
def spin(n):
    return sum(i * i for i in range(n))
def sub_outer():
    spin(300)
end = time.monotonic() + %f
while time.monotonic() < end:
    sub_outer()
"""


def create_and_run(source):
    """Runs source in an interpreter of its own, on the calling thread."""
    try:
        import _interpreters as module
    except ImportError:
        import _xxsubinterpreters as module
    interpreter = module.create()
    (getattr(module, "run_string", None) or module.exec)(interpreter, source)
    module.destroy(interpreter)


def subinterpreters():
    """A thread that runs another interpreter shows that one's frames."""
    checked()
    try:
        import _interpreters  # noqa: F401
    except ImportError:
        try:
            import _xxsubinterpreters  # noqa: F401
        except ImportError:
            skip("no module makes interpreters")
    threads = [threading.Thread(target=create_and_run, args=(SUB % 0.8,)) for _ in range(2)]
    harness.sampling(1, 300)
    for thread in threads:
        thread.start()
    create_and_run(SUB % 0.8)
    for thread in threads:
        thread.join()
    harness.sampling(0)
    inside = 0
    for sample in harness.samples():
        names = [harness.codes[f.code].name for f in sample.frames if f.code in harness.codes]
        check(len(names) == sample.head.count, "a frame without description")
        if sample.head.failed or sample.head.truncated or "sub_outer" not in names:
            continue
        inside += 1
        at = names.index("sub_outer")
        check(names[at + 1] == "<module>", names)
        check(not set(names[:at]) - {"spin", "spin.<locals>.<genexpr>", "<genexpr>"}, names)
    check(inside > 200, "samples inside of the interpreters:", inside)
    print(inside, "samples inside")


def greenlets():
    """Greenlets swap stacks by copying: the running one's frames are seen."""
    try:
        import greenlet
    except ImportError:
        skip("greenlet is not installed")
    checked()
    harness.register_stack()

    def exact():
        want = harness.expected(sys._getframe())
        frames, head = harness.walk()
        check(not head.failed and not head.truncated, "failed", head.count)
        check([f[:3] for f in frames[1:]] == [f[:3] for f in want], frames, want)

    def ping(n):
        if n:
            return ping(n - 1)
        for _ in range(200):
            exact()
            other.switch()

    def pong(n):
        if n:
            sorted([1], key=lambda x: pong(n - 1) or x)
            return
        while True:
            exact()
            main.switch()

    main = greenlet.getcurrent()
    other = greenlet.greenlet(lambda: pong(3))
    harness.sampling(1, 200)
    ping(5)
    nested = greenlet.greenlet(lambda: ping(0))
    nested.switch()
    harness.sampling(0)
    samples = harness.samples()
    broken = [s.head for s in samples if s.head.failed or s.head.truncated]
    check(len(broken) < 5, "broken", len(broken), "of", len(samples))


if __name__ == "__main__":
    function = globals()[sys.argv[1]]
    check(isinstance(function, types.FunctionType), sys.argv[1])
    function()
