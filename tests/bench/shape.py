# SPDX-License-Identifier: MIT
"""The one shape into which every profiler's output is read, and what is computed on it.

A profile is a list of (stack, weight). A stack is a tuple of frames, outermost first; a
weight is in the profiler's own unit, because only shares are compared. Nothing here knows
any profiler.
"""
import dataclasses
import math
import os
import random
import statistics
import typing


class Frame(typing.NamedTuple):
    name: str  # without the class or the enclosing functions
    file: str  # base name of the source file; of the module, for a native frame
    line: int  # 0: not known
    native: bool

    @property
    def in_interpreter(self):
        """The interpreter's own machine code: its time is that of the Python it runs."""
        return self.native and self.file.startswith(("python", "libpython"))


def python_frame(name, file, line=0):
    return Frame(name.rsplit(".", 1)[-1], os.path.basename(file), int(line or 0), False)


def native_frame(name, module):
    return Frame(name, os.path.basename(module), 0, True)


def is_python_file(file):
    return file.endswith((".py", ".pyc")) or file.startswith("<")


@dataclasses.dataclass
class Profile:
    stacks: list  # of (tuple of Frame, weight)
    samples: typing.Optional[int] = None  # None: does not sample
    lost: typing.Optional[float] = None  # samples that it says it lost; None: it does not say
    says: str = ""  # its own words about what was lost

    @property
    def total(self):
        return sum(weight for _, weight in self.stacks)


def merge(profiles):
    """As if one run had seen it all."""
    def add(values):
        known = [v for v in values if v is not None]
        return sum(known) if known else None

    return Profile([s for p in profiles for s in p.stacks], add(p.samples for p in profiles),
                   add(p.lost for p in profiles), profiles[-1].says if profiles else "")


# ------------------------------------------------------------------ statistics

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


def sampling_noise(truth, count, rounds=400):
    """The total variation distance that `count` perfect samples have on average, and its 95th percentile."""
    if not count:
        return 1.0, 1.0
    truth, rng = shares(truth), random.Random(1)
    keys, weights = list(truth), list(truth.values())
    distances = []
    for _ in range(rounds):
        drawn = dict.fromkeys(keys, 0)
        for key, n in zip(keys, multinomial(rng, int(count), weights)):
            drawn[key] = n
        distances.append(total_variation(drawn, truth))
    distances.sort()
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
