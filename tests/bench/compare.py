# SPDX-License-Identifier: MIT
"""How the error falls with the number of samples, and who is best at the same number of them."""
import random
import statistics

import sorting
import stats

DRAWS, ROUNDS = 12, 300
FEWEST = 25  # samples, for a point of the curve
SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


# ------------------------------------------------------ error against samples

class Errors:
    """Of one run, at each share of its samples; drawn once, for the interval needs them many times."""

    def __init__(self, run):
        self.run, rng = run, random.Random(1)
        self.at = {share: (share * run.samples, statistics.mean(
            sorting.distance_drawn([run], share, rng) for _ in range(DRAWS)))
            for share in SHARES if run.pool and share * run.samples >= FEWEST}


def _mean_point(points):
    return tuple(statistics.mean(p[i] for p in points) for i in range(2))


def curve(errors):
    """[(samples, distance)]: of shares of each run, of runs of each length, of 1, 2, 4... whole runs together."""
    shares = sorted({share for e in errors for share in e.at})
    points = [_mean_point([e.at[share] for e in errors if share in e.at]) for share in shares]
    runs = [e.run for e in errors]
    for length in sorted({r.length for r in runs if r.length < 1}):
        points.append(_mean_point([(r.samples, sorting.distance([r])) for r in runs if r.length == length]))
    whole, rng, size = [r for r in runs if r.length == 1], random.Random(1), 1
    while whole and size <= len(whole):
        sets = [rng.sample(whole, size) for _ in range(1 if size == len(whole) else 3 * DRAWS)]
        points.append(_mean_point([(sum(r.samples for r in s), sorting.distance(s)) for s in sets]))
        size = min(size * 2, len(whole)) if size < len(whole) else size + 1
    return points


def falling(runs):
    """The curve, and its slope with an interval over runs: -0.5 is 1/sqrt(n), 0 is a floor."""
    errors = [Errors(run) for run in runs]
    low, high = stats.halves(errors, lambda some: stats.log_slope(curve(some)))
    points = curve(errors)
    return {"curve": points, "slope": stats.log_slope(points), "slope_low": low, "slope_high": high}


# ------------------------------------------------- the same number of samples

def common_count(counts):
    """The fewest that any sampler has; those with less than half of the usual are left out."""
    return min(c for c in counts if c >= statistics.median(counts) / 2)


class Contender:
    def __init__(self, runs, common):
        self.runs, self.count = runs, sum(r.samples for r in runs)
        self.at_common, _ = self.distances(common, DRAWS)

    def distances(self, count, rounds):
        """(mean distance of so many samples, the same of resampled runs, `rounds` times)"""
        share, rng = min(1.0, count / max(1.0, self.count)), random.Random(1)
        mean = statistics.mean(sorting.distance_drawn(self.runs, share, rng) for _ in range(DRAWS))
        return mean, [sorting.distance_drawn(rng.choices(self.runs, k=len(self.runs)), share, rng)
                      for _ in range(rounds)]


def difference(one, other, count):
    """By how much one's distance is more than the other's: (value, low, high), the basic bootstrap.

    Resampled runs are farther from the truth than the runs are, on both sides: the
    percentiles are mirrored at the value, which takes that out.
    """
    count = min(count, one.count, other.count)
    (mine, drawn), (its, its_drawn) = one.distances(count, ROUNDS), other.distances(count, ROUNDS)
    value, sorted_drawn = mine - its, sorted(a - b for a, b in zip(drawn, its_drawn))
    return value, 2 * value - sorted_drawn[int(0.975 * ROUNDS) - 1], 2 * value - sorted_drawn[int(0.025 * ROUNDS)]


def verdicts(runs):
    """{sampler: what its row is told}. Runs are {sampler: [Run]}."""
    if not runs:
        return {}
    common = common_count([sum(r.samples for r in some) for some in runs.values()])
    contenders = {name: Contender(some, common) for name, some in runs.items()}
    best = min((n for n, c in contenders.items() if c.count >= common), key=lambda n: contenders[n].at_common)
    found = {}
    for name, contender in contenders.items():
        found[name] = {"compared_at": round(min(common, contender.count)), "distance_at": contender.at_common}
        if name != best:
            value, low, high = difference(contender, contenders[best], common)
            found[name].update(best=best, worse=value, worse_low=low, worse_high=high)
    return found
