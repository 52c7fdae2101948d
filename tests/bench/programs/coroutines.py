# SPDX-License-Identifier: MIT
"""Generators in a pipeline, and many small asyncio tasks that hand work to each other."""
import asyncio

import common


def numbers(n):
    for i in range(n):
        yield i


def odd(source):
    for i in source:
        if i % 2:
            yield i


def squares(source):
    for i in source:
        yield i * i


def flatten(depth, n):
    if depth:
        yield from flatten(depth - 1, n)
    else:
        yield from range(n)


async def producer(queue, n):
    for i in range(n):
        await queue.put(i)
    await queue.put(None)


async def consumer(queue):
    total = 0
    while True:
        item = await queue.get()
        if item is None:
            return total
        total += item


async def hand_over(n):
    queue = asyncio.Queue(10)
    await asyncio.gather(producer(queue, n), consumer(queue))


async def tasks(repeats):
    for _ in range(repeats):
        await asyncio.gather(*(hand_over(60) for _ in range(40)))


def work(repeats):
    for _ in range(repeats):
        sum(squares(odd(numbers(60_000))))
        sum(flatten(20, 20_000))
        asyncio.run(tasks(3))
        common.mark()


if __name__ == "__main__":
    common.run(work, 85, __doc__)
