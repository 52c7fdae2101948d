# SPDX-License-Identifier: MIT
"""Every way in which Python code comes to run, each ending in a busy leaf.

    mixed_stacks.py TRUTH.json SECONDS     (with callback_ext importable)

Just before a leaf begins to burn, the interpreter itself is asked for the stack
(sys._getframe): TRUTH.json maps each scenario to its frames below the leaf, innermost
first, as [qualified name, file, line]. Calls are kept on one line each, so that a
frame's line is the same at every sample.
"""
import asyncio
import contextlib
import ctypes
import functools
import json
import sys
import threading
import time

import callback_ext

SECONDS = 0.1
TRUTH = {}


def witness(scenario):
    """Notes the stack of the function that is going to burn."""
    frame, stack = sys._getframe(1), []
    while frame:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    TRUTH[scenario] = stack


def burn(scenario):
    witness(scenario)
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        for _ in range(3000):
            pass


def burn_in_c(scenario):
    witness(scenario), callback_ext.burn(SECONDS)


# Each scenario is warmed up first: the interpreter specializes what runs often.

def descend(depth):
    if depth:
        descend(depth - 1)
    else:
        burn("recursion")


def scenario_recursion():
    descend(5)


def make_adder(leaf):
    def add(x):
        leaf("closure")
        return x

    return lambda x: add(x)


def scenario_closure():
    make_adder(burn)(1)


def inner_numbers():
    yield 1
    burn("generator")
    yield 2


def numbers():
    yield from inner_numbers()


def scenario_generator():
    for _ in numbers():
        pass


def double(x):
    burn("genexpr")
    return 2 * x


def scenario_genexpr():
    return sum(double(x) for x in (1,))


def triple(x):
    burn("listcomp")
    return 3 * x


def scenario_listcomp():
    return [triple(x) for x in (1,)]


def sort_key(x):
    burn("sorted")
    return -x


def scenario_sorted():
    return sorted([1], key=sort_key)


def scale(factor, x):
    burn("partial")
    return factor * x


def scenario_partial():
    return functools.partial(scale, 2)(3)


@functools.lru_cache(maxsize=None)
def remembered(x):
    burn("lru_cache")
    return x


def scenario_lru_cache():
    remembered.cache_clear()
    return remembered(1)


COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


@COMPARE
def compare(a, b):
    burn("ctypes")
    return 0


def scenario_ctypes():
    ctypes.CDLL(None).qsort((ctypes.c_int * 2)(2, 1), 2, 4, compare)


def fail():
    raise ValueError


def handle():
    burn("exception")


def scenario_exception():
    try:
        fail()
    except ValueError:
        handle()


class Base:
    def __init__(self):
        burn("init")


class Derived(Base):
    def __init__(self):
        super().__init__()


def scenario_init():
    return Derived()


class Number:
    def __add__(self, other):
        burn("operator")
        return self


def scenario_operator():
    return Number() + 1


class Lazy:
    @property
    def value(self):
        burn("property")
        return 1


def scenario_property():
    return Lazy().value


@contextlib.contextmanager
def managed():
    yield
    burn("context_manager")


def scenario_context_manager():
    with managed():
        pass


def scenario_class_body():
    class Body:
        burn("class_body")

    return Body


EVALUATED = compile("burn('eval')", "<evaluated>", "eval")


def scenario_eval():
    return eval(EVALUATED)


async def read():
    burn("coroutine")


async def fetch():
    await asyncio.sleep(0)
    await read()


def scenario_coroutine():
    asyncio.run(fetch())


async def ticks():
    yield 1
    burn("async_generator")
    yield 2


async def consume():
    async for _ in ticks():
        pass


def scenario_async_generator():
    asyncio.run(consume())


def from_c():
    burn("c_callback")


def twice_from_c():
    callback_ext.call(from_c)


def scenario_c_callback():
    callback_ext.call(twice_from_c)


def from_c_released():
    burn("c_callback_released")


def scenario_c_callback_released():
    callback_ext.call_released(from_c_released)


def scenario_c_leaf():
    burn_in_c("c_leaf")


def leaf_below_c():
    burn_in_c("c_sandwich")


def scenario_c_sandwich():
    callback_ext.call(leaf_below_c)


def in_thread():
    burn("thread")


def scenario_thread():
    in_thread()


SCENARIOS = {k[len("scenario_"):]: v for k, v in list(globals().items()) if k.startswith("scenario_")}


def run(scenario):
    if scenario is scenario_thread:
        thread = threading.Thread(target=scenario)
        thread.start()
        thread.join()
    else:
        scenario()


def warm_up():
    global SECONDS
    SECONDS = 0
    for _ in range(30):
        for scenario in SCENARIOS.values():
            run(scenario)


def measure(seconds):
    global SECONDS
    SECONDS = seconds
    for scenario in SCENARIOS.values():
        run(scenario)


def main(truth_path, seconds):
    warm_up()
    measure(seconds)
    with open(truth_path, "w") as f:
        json.dump(TRUTH, f)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
