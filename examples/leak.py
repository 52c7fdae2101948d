# SPDX-License-Identifier: MIT
"""A program that leaks, and three parts of it that only look like it.

    pillion record --alloc-interval 65536 -o leak.pillion -- python3 examples/leak.py
    pillion report --view leaks leak.pillion
    pillion export -f pprof --view live leak.pillion
    go tool pprof -top -show '[.]py$' leak.live.pb.gz       # Python functions alone

The cache of `render` has no limit, and each request is a new one: its pages stay for ever.
`thumbnail` fills a cache, and stays in it. `sort` gives back all that it takes. `load` has a
table for as long as the program runs, and a new one now and then. Most of that is live at
the end, but only one goes on growing. Runs for about three seconds.
"""
import functools
import time

REQUESTS = 15_000
PAGE, THUMBNAIL, TABLE = 4_000, 60_000, 20_000_000
SECONDS = 3


@functools.lru_cache(maxsize=None)
def render(request):
    """The leak: no request comes twice, and none is forgotten."""
    return b"page %05d" % request * (PAGE // 10)


def thumbnail(request, cache={}):
    """A cache of 200, full after a while."""
    picture = request // 10 % 200
    if picture not in cache:
        cache[picture] = bytearray(THUMBNAIL)
    return cache[picture]


def sort(request):
    """Temporary: gone before the next request comes."""
    return sorted(b"%d" % request * 100)[0]


def load():
    """Live to the end, on purpose."""
    return bytearray(TABLE)


def answer(request, tables):
    return len(render(request)) + len(thumbnail(request)) + sort(request) + len(tables["today"])


def serve(tables):
    begin = time.monotonic()
    for request in range(REQUESTS):
        if request % 5_000 == 4_999:
            tables["today"] = load()
        answer(request, tables)
        time.sleep(max(0, begin + SECONDS * request / REQUESTS - time.monotonic()))
    print("%d requests answered" % REQUESTS)


if __name__ == "__main__":
    tables = {"today": load()}
    serve(tables)
