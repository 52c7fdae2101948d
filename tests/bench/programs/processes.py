# SPDX-License-Identifier: MIT
"""multiprocessing: a pool of two forked workers that sum, sort and send results back."""
import multiprocessing
import random

import common


def task(seed):
    rng = random.Random(seed)
    values = [rng.random() for _ in range(20_000)]
    values.sort()
    return sum(value * i for i, value in enumerate(values)), values[:100]


def work(repeats):
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        for _ in pool.imap_unordered(task, range(4 * repeats)):
            pass
        pool.close()
        pool.join()


if __name__ == "__main__":
    common.run(work, 75, __doc__)
