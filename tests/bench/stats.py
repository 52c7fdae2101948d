# SPDX-License-Identifier: MIT
"""Statistics of the suite: distances between distributions, draws, intervals, slopes.

Everything random has a fixed seed: the same values give the same table.
"""
import collections
import itertools
import math
import random
import statistics


def shares(weights):
    total = sum(weights.values())
    return {k: v / total for k, v in weights.items()} if total else {}


def total_variation(found, truth):
    """Half of the sum of the differences between two distributions: 0 is equal, 1 is disjoint.

    It is the largest share of time that any set of parts is given too much.
    """
    found, truth = shares(found), shares(truth)
    if not found:
        return 1.0
    return sum(abs(found.get(k, 0) - truth.get(k, 0)) for k in set(found) | set(truth)) / 2


def perfect_distances(rng, truth, count, rounds):
    """The total variation distances of `count` perfect samples, so many times."""
    truth = shares(truth)
    return [total_variation(dict(zip(truth, multinomial(rng, count, list(truth.values())))), truth)
            for _ in range(rounds)]


def sampling_noise(truth, count, rounds=400):
    """The total variation distance that `count` perfect samples have on average, and its 95th percentile."""
    if not count:
        return 1.0, 1.0
    distances = sorted(perfect_distances(random.Random(1), truth, int(count), rounds))
    return statistics.mean(distances), distances[int(0.95 * rounds)]


def multinomial(rng, count, weights):
    """How often each is drawn; by the normal approximation when there are many."""
    left, rest, drawn = count, sum(weights), []
    for weight in weights:
        p = min(1.0, weight / rest) if rest > 0 else 0.0
        drawn.append(binomial(rng, left, p))
        left, rest = left - drawn[-1], rest - weight
    return drawn


def binomial(rng, n, p):
    deviation = math.sqrt(n * p * (1 - p))
    if deviation < 5:
        return sum(rng.random() < p for _ in range(n))
    return min(n, max(0, round(rng.gauss(n * p, deviation))))


def bootstrap(values, statistic=statistics.median, rounds=2000):
    """(value, low, high): the statistic, with a 95 % interval by resampling what was measured."""
    values, rng = list(values), random.Random(1)
    if len(values) < 2:
        return (statistic(values), None, None) if values else (None, None, None)
    drawn = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(rounds))
    return statistic(values), drawn[int(0.025 * rounds)], drawn[int(0.975 * rounds) - 1]


def mean_interval(values):
    """(mean, low, high), the 95 % interval by Student's t."""
    mean, size = statistics.mean(values), len(values)
    if size < 2:
        return mean, None, None
    spread = student(size - 1) * statistics.stdev(values) / math.sqrt(size)
    return mean, mean - spread, mean + spread


def student(freedom):
    """The 97.5th percentile of Student's t, by its series about the normal distribution's: to 1 % from 4 on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) \
        + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)


def halves(values, statistic, rounds=60):
    """The 95 % interval of statistic(values) from random halves of them, without putting back: by how much
    those differ among themselves is by how much the whole differs from the truth (delete-half jackknife).
    For what would be spoilt by values that occur twice."""
    rng, size = random.Random(1), len(values) // 2
    found = [statistic(rng.sample(values, size)) for _ in range(rounds)] if size else []
    found, value = [v for v in found if v is not None], statistic(values)
    if value is None or len(found) < 2:
        return None, None
    spread = 1.96 * statistics.pstdev(found)
    return value - spread, value + spread


def log_slope(points):
    """Of log y against log x, by least squares; None when there are no two points."""
    known = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in known}) < 2:
        return None
    mean_x, mean_y = (statistics.mean(p[i] for p in known) for i in range(2))
    return sum((x - mean_x) * (y - mean_y) for x, y in known) / sum((x - mean_x) ** 2 for x, _ in known)


class Pool:
    """Samples that are known one by one, to draw some of: [(part, weight of one, how many)]."""

    def __init__(self, entries):
        self.parts = [(part, weight) for part, weight, _ in entries]
        self.counts = [count for _, _, count in entries]
        self.up_to = list(itertools.accumulate(self.counts))
        self.size = self.up_to[-1] if entries else 0
        self.whole = collections.Counter()
        for part, weight, count in entries:
            self.whole[part] += weight * count

    def draw(self, rng, share):
        """{part: weight} of so large a share of the samples, without putting back."""
        count = round(share * self.size)
        if count >= self.size:
            return self.whole
        drawn = collections.Counter()
        for part, weight in rng.sample(self.parts, count, counts=self.counts):
            drawn[part] += weight
        return drawn

    def redraw(self, rng, share):
        """As many, each from all."""
        if not self.size:
            return self.whole
        drawn = collections.Counter()
        for part, weight in rng.choices(self.parts, cum_weights=self.up_to, k=round(share * self.size)):
            drawn[part] += weight
        return drawn


# ------------------------------------------------------- cost

def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def paced_ratio(pairs):
    """(ratio, low, high) of two sides, each pair what the same work took in one round: (with, without).

    A side is [(pace, how many times, seconds)], and the slower the CPU, the higher the pace. That seconds grow
    by some power of it is taken into account: by least squares of the logarithms, one power for both sides.
    The interval is made by drawing rounds.
    """
    return bootstrap(pairs, _fit, 400)


def _fit(pairs):
    points = [[(math.log(pace), math.log(seconds), count) for pair in pairs for pace, count, seconds in pair[side]]
              for side in range(2)]
    means = [[sum(p[i] * p[2] for p in some) / sum(p[2] for p in some) for i in range(2)] for some in points]
    centred = [(x - mean[0], y - mean[1], n) for some, mean in zip(points, means) for x, y, n in some]
    spread = sum(n * x * x for x, _, n in centred)
    # By more than it slows the fixed calculation, a neighbour slows nothing, to speak of.
    power = min(max(sum(n * x * y for x, y, n in centred) / spread, 0.0), 1.5) if spread else 0.0
    return math.exp(means[0][1] - means[1][1] - power * (means[0][0] - means[1][0]))


def paired_ratio(pairs):
    """(ratio, low, high) of pairs [(log ratio of seconds, log ratio of paces)]: the median of what the pace does
    not explain. The interval is made by drawing pairs."""
    def of(some):
        spread = sum(x * x for _, x in some)
        power = min(max(sum(y * x for y, x in some) / spread, 0.0), 1.5) if spread else 0.0
        return math.exp(statistics.median(y - power * x for y, x in some))

    return bootstrap(pairs, of, 400)
