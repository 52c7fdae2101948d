# SPDX-License-Identifier: MIT
"""Allocation-heavy: small objects that die young, containers that grow, buffers, and cycles for the collector."""
import common


class Node:
    def __init__(self, value, other):
        self.value, self.other = value, other


def small(n):
    kept = None
    for i in range(n):
        kept = (i, [i], {"i": str(i)}, kept if i % 50 else None)
    return kept


def cycles(n):
    for i in range(n):
        first = Node(i, None)
        first.other = Node(-i, first)


def buffers(n):
    kept = []
    for i in range(n):
        kept.append(bytearray(2000 + i * 37 % 60_000))
        if len(kept) > 50:
            del kept[:25]


def work(repeats):
    for _ in range(repeats):
        small(60_000)
        cycles(20_000)
        buffers(4000)
        "".join([str(i) for i in range(30_000)])
        common.mark()


if __name__ == "__main__":
    common.run(work, 55, __doc__)
