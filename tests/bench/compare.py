# SPDX-License-Identifier: MIT
"""How the error falls with the number of samples, and who is best at the same number of them."""
import collections
import random
import statistics

import sorting
import stats

DRAWS, ROUNDS = 12, 200
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
    """One sampler, at so many samples."""

    def __init__(self, runs, count):
        self.runs, self.count = runs, sum(r.samples for r in runs)
        self.share, rng = min(1.0, count / max(1.0, self.count)), random.Random(1)
        self.distance = statistics.mean(sorting.distance_drawn(runs, self.share, rng) for _ in range(DRAWS))
        self.noise = self._noise(random.Random(2))
        self.noise_high = sorted(self.noise)[int(0.975 * ROUNDS)]

    def _noise(self, rng):
        """How far such profiles lie from their own mean: runs are drawn again, and samples in each. Not less
        than for perfect samples: a rare part that was never seen would seem to have no noise."""
        mean, (_, truth) = _errors([(r.weights, r.truth) for r in self.runs]), sorting.pooled(self.runs)
        perfect, found = stats.perfect_distances(rng, truth, round(self.share * self.count), ROUNDS), []
        for least in perfect:
            drawn = _errors([(r.redraw(rng, self.share), r.truth) for r in rng.choices(self.runs, k=len(self.runs))])
            off = (abs(drawn.get(part, 0) - mean.get(part, 0)) for part in {*drawn, *mean})
            found.append(max(least, sum(off) / 2))
        return found

    @property
    def may_be_right(self):
        return self.distance <= self.noise_high


def _errors(pairs):
    """{part: share found - true share} of all runs together"""
    found, truth = collections.Counter(), collections.Counter()
    for weights, true in pairs:
        found.update(weights)
        truth.update(true)
    found, truth = stats.shares(found), stats.shares(truth)
    return {part: found.get(part, 0) - truth.get(part, 0) for part in {*found, *truth}}


def difference(one, best, rivals):
    """By how much one's distance is more than the best's, with what noise alone would make of it taken off.

    The best was found by looking: it is the luckiest of all that may be right, and so are
    those in the noise that is drawn.
    """
    value = one.distance - best.distance
    chance = sorted(one.noise[i] - min(r.noise[i] for r in rivals) for i in range(ROUNDS))
    return value, value - chance[int(0.975 * ROUNDS)], value - chance[int(0.025 * ROUNDS)]


def verdicts(runs):
    """{sampler: what its row is told}. Runs are {sampler: [Run]}; one without any sample is not judged."""
    runs = {name: some for name, some in runs.items() if any(r.samples for r in some)}
    if not runs:
        return {}
    common = common_count([sum(r.samples for r in some) for some in runs.values()])
    contenders = {name: Contender(some, common) for name, some in runs.items()}
    eligible = [name for name, c in contenders.items() if c.count >= common]
    best, found = min(eligible, key=lambda name: contenders[name].distance), {}
    for name, contender in contenders.items():
        count = min(common, contender.count)
        found[name] = {"compared_at": round(count), "distance_at": contender.distance}
        if name == best:
            continue
        others = {n: contenders[n] if count == common else Contender(runs[n], count) for n in eligible if n != name}
        rivals = [c for n, c in others.items() if n == best or c.may_be_right]
        value, low, high = difference(contender, others[best], rivals)
        found[name].update(best=best, worse=value, worse_low=low, worse_high=high)
    return found
