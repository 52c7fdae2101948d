# SPDX-License-Identifier: MIT
"""Pure Python: parse, filter, group and rank records with classes, dictionaries and closures."""
import collections
import random

import common


class Order:
    __slots__ = ("customer", "item", "price", "count")

    def __init__(self, customer, item, price, count):
        self.customer, self.item, self.price, self.count = customer, item, price, count

    @classmethod
    def parse(cls, line):
        customer, item, price, count = line.split(",")
        return cls(customer, item, float(price), int(count))

    @property
    def total(self):
        return self.price * self.count


def make_lines(count):
    rng = random.Random(1)
    return ["c%d,i%d,%.2f,%d" % (rng.randrange(200), rng.randrange(900), rng.random() * 90, rng.randrange(1, 9))
            for _ in range(count)]


def best_customers(orders):
    totals = collections.defaultdict(float)
    for order in orders:
        totals[order.customer] += order.total
    return sorted(totals.items(), key=lambda pair: -pair[1])[:10]


def item_counts(orders):
    counts = collections.Counter()
    for order in orders:
        if order.price > 10:
            counts[order.item] += order.count
    return counts.most_common(10)


def work(repeats):
    lines = make_lines(20_000)
    common.begin()
    for _ in range(repeats):
        orders = [Order.parse(line) for line in lines]
        best_customers(orders)
        item_counts(orders)
        common.mark()


if __name__ == "__main__":
    common.run(work, 75, __doc__)
