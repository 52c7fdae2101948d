# SPDX-License-Identifier: MIT
"""numpy: matrix products, a linear system, singular values, sorting."""
import numpy

import common


def step(matrix, rng):
    product = matrix @ matrix
    numpy.linalg.solve(matrix + len(matrix) * numpy.eye(len(matrix)), product)
    numpy.linalg.svd(matrix[:160, :160])
    numpy.sort(rng.random(200_000))


def work(repeats):
    rng = numpy.random.default_rng(1)
    matrix = rng.random((300, 300))
    common.begin()
    for _ in range(repeats):
        step(matrix, rng)
        common.mark()


if __name__ == "__main__":
    common.run(work, 65, __doc__)
