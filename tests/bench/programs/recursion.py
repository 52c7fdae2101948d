# SPDX-License-Identifier: MIT
"""Deep recursion: a walk down an unbalanced tree, Ackermann's function, permutations."""
import sys

import common


class Node:
    def __init__(self, value, left):
        self.value, self.left = value, left


def make_chain(depth):
    node = None
    for value in range(depth):
        node = Node(value, node)
    return node


def total(node):
    return 0 if node is None else node.value + total(node.left)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def permutations(items):
    if len(items) < 2:
        return [items]
    return [[head, *tail] for i, head in enumerate(items) for tail in permutations(items[:i] + items[i + 1:])]


def work(repeats):
    sys.setrecursionlimit(10_000)
    chain = make_chain(800)
    common.begin()
    for _ in range(repeats):
        for _ in range(300):
            total(chain)
        ackermann(2, 120)
        permutations(list(range(7)))
        common.mark()


if __name__ == "__main__":
    common.run(work, 60, __doc__)
