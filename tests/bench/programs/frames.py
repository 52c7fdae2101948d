# SPDX-License-Identifier: MIT
"""pandas: group, join, roll and pivot a table of sales."""
import numpy
import pandas

import common


def make_sales(rows):
    rng = numpy.random.default_rng(1)
    return pandas.DataFrame({
        "shop": rng.integers(0, 40, rows), "item": rng.integers(0, 300, rows),
        "day": rng.integers(0, 365, rows), "price": rng.random(rows) * 100,
        "count": rng.integers(1, 9, rows)})


def analyse(sales, shops):
    sales = sales.assign(total=sales["price"] * sales["count"])
    joined = sales.merge(shops, on="shop")
    daily = joined.groupby(["region", "day"])["total"].sum().reset_index()
    daily["week"] = daily.groupby("region")["total"].transform(lambda s: s.rolling(7, min_periods=1).mean())
    table = daily.pivot_table(index="day", columns="region", values="week")
    best = joined.groupby("item")["total"].agg(["sum", "mean", "max"]).sort_values("sum").tail(10)
    return float(table.to_numpy().sum() + best["sum"].sum())


def work(repeats):
    sales = make_sales(40_000)
    shops = pandas.DataFrame({"shop": range(40), "region": [i % 5 for i in range(40)]})
    common.begin()
    for _ in range(repeats):
        analyse(sales, shops)
        common.mark()


if __name__ == "__main__":
    common.run(work, 170, __doc__)
