# SPDX-License-Identifier: MIT
"""Programs whose every call is known: what a walk may see in them is seen by tracing first.

Each function of ALL does a few milliseconds of work, always the same calls.
"""
import asyncio
import contextlib
import functools
import itertools
import json
import re
import threading


def spin(n=60):
    total = 0
    for i in range(n):
        total += i * i
    return total


# ---------------------------------------------------------------- calls

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def recursion():
    fib(12)
    return down(60)


def down(n):
    if n == 0:
        return spin()
    return down(n - 1)


def make_adder(n):
    def add(x):
        def inner(y):
            return spin(20) + x + y + n
        return inner(x)
    return add


def closures():
    for n in range(20):
        make_adder(n)(n)


def wrap(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@wrap
@wrap
def decorated(a, b=2, *rest, **named):
    return spin(10) + a + b


def star_calls():
    for i in range(40):
        decorated(i, b=3)
        decorated(*[i, 2, 3], **{"x": 1})


# ---------------------------------------------------------------- generators and coroutines

def count_up(n):
    for i in range(n):
        spin(5)
        yield i


def delegating(n):
    yield from count_up(n)
    yield from (i + spin(3) for i in count_up(n))


def generators():
    for _ in delegating(20):
        spin(5)
    sum(x for x in delegating(10))
    list(itertools.islice(delegating(30), 5))
    receiver = receive()
    next(receiver)
    for i in range(20):
        receiver.send(i)
    receiver.close()


def receive():
    try:
        while True:
            got = yield
            spin(got)
    finally:
        spin(3)


async def leaf_coroutine(n):
    spin(10)
    await asyncio.sleep(0)
    return n


async def middle_coroutine(n):
    return await leaf_coroutine(n) + await leaf_coroutine(n + 1)


async def ticker(n):
    for i in range(n):
        spin(3)
        yield i


async def top_coroutine():
    async for i in ticker(5):
        await middle_coroutine(i)
    return [i async for i in ticker(3)]


class Awaitable:
    def __await__(self):
        spin(5)
        yield None
        return 3


async def awaits_object():
    return await Awaitable() + await leaf_future()


async def leaf_future():
    return spin(5)


def run_by_hand(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


def coroutines():
    for _ in range(10):
        run_by_hand(top_coroutine())
        run_by_hand(awaits_object())


# ---------------------------------------------------------------- through C

def sort_key(x):
    return spin(5) + x


def callbacks():
    sorted(range(20), key=sort_key)
    list(map(functools.partial(pow_of, 3), range(10)))
    functools.reduce(lambda a, b: spin(3) + a + b, range(10))
    max([1, 2, 3], key=lambda x: -spin(x))
    re.sub(r"\d", lambda m: str(spin(3))[:1], "a1b2c3d4")
    json.dumps({"a": [Opaque(), Opaque()]}, default=to_json)
    list(filter(lambda x: spin(2) > x, range(10)))


def pow_of(n, x):
    return spin(x) ** (n - 1)


class Opaque:
    pass


def to_json(value):
    return spin(4)


def comprehensions():
    for _ in range(10):
        [[spin(2) for i in range(3)] for j in range(3)]
        {i: spin(2) for i in range(4)}
        {spin(2) for i in range(4)}
        sum(spin(2) for i in range(4))


# ---------------------------------------------------------------- classes

class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y + spin(2)

    @property
    def length(self):
        return spin(2) + self.x

    def __add__(self, other):
        return Point(self.x + other.x, self.y)

    def __getitem__(self, key):
        return spin(key)

    def __getattr__(self, name):
        return spin(2)

    def __del__(self):
        spin(2)

    def __eq__(self, other):
        return spin(2) == 0

    def __call__(self, n):
        return spin(n)

    def __len__(self):
        return 3


class Point3(Point):
    def __init__(self, x, y, z):
        super().__init__(x, y)
        self.z = z

    @classmethod
    def make(cls, n):
        return cls(n, n, n)

    @staticmethod
    def static(n):
        return spin(n)


class Slotted:
    __slots__ = ("a",)

    def __new__(cls, a):
        self = super().__new__(cls)
        spin(2)
        return self

    def __init__(self, a):
        self.a = a


def classes():
    for i in range(30):
        point = Point(i, i) + Point(1, 2)
        point.length
        point[3]
        point.missing
        point(3)
        len(point)
        point == 3
        Point3.make(i).static(3)
        Slotted(i)


def exceptions():
    for i in range(20):
        try:
            raises(i)
        except ValueError:
            spin(3)
        finally:
            spin(2)
        with manager(i) as value:
            spin(value)
        with Context():
            spin(2)


def raises(n):
    if n % 2:
        raise ValueError(n)
    return deeper(n)


def deeper(n):
    try:
        int("x")
    except ValueError as error:
        raise ValueError("again") from error


@contextlib.contextmanager
def manager(n):
    spin(2)
    yield n
    spin(2)


class Context:
    def __enter__(self):
        spin(2)

    def __exit__(self, *exc):
        spin(3)


# ---------------------------------------------------------------- code that comes and goes

def churn():
    """Code objects at ever the same addresses: compiled, run once or twice, freed."""
    for i in range(12):
        namespace = {"spin": spin}
        source = "\n" * (i * 3) + "def made_%d(n):\n    x = spin(n)\n    return x\n" \
            "class C:\n    y = made_%d(3)\n" % (i, i)
        exec(compile(source, "<churn %d>" % i, "exec"), namespace)
        namespace["made_%d" % i](10)


def many_arguments(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p):
    big = [a] * 10
    return spin(len(big) + p)


def wide():
    """Frames of different sizes at the same places of the data stack."""
    for i in range(30):
        many_arguments(*range(16))
        down(i % 7)
        spin(3)


def deep():
    down(900)


ALL = [recursion, closures, star_calls, generators, coroutines, callbacks, comprehensions, classes,
       exceptions, churn, wide, deep]


# ---------------------------------------------------------------- threads

def worker(functions, rounds):
    for _ in range(rounds):
        for function in functions:
            function()


def in_threads(functions, count, rounds, target=worker):
    threads = [threading.Thread(target=target, args=(functions, rounds)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def thread_churn():
    in_threads([closures, generators], 4, 1)
