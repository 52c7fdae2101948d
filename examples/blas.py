# SPDX-License-Identifier: MIT
"""Two products of matrices with numpy that look alike, of which BLAS computes one.

    pillion record -o blas.pillion -- python3 examples/blas.py
    pillion report --lines blas.pillion

Both say `@`. Numbers of type float32 go to OpenBLAS, which uses all that the CPU has. There is
no BLAS for integers: numpy multiplies those in a loop of its own, a hundred times slower. In
Python the two lines are twins: what tells them apart is the library, and the function, that
the time of each is in. Runs for about two seconds.
"""
import os

# BLAS would start a thread for each CPU. Those have no Python line that leads to them: with
# one thread, all of its time is below the line that asked for it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy  # noqa: E402

SIZE, WORDS = 3000, 400


def similarities(vectors):
    """Each with each: for 3,000 of them, 27 billion products and sums (half, as BLAS sees the symmetry)."""
    return vectors @ vectors.T


def together(counts):
    """How often two words are in one text: for 400, there are 64 million to be done."""
    return counts.T @ counts


def main():
    random = numpy.random.default_rng(1)
    vectors = random.random((SIZE, SIZE), dtype=numpy.float32)
    counts = random.integers(0, 5, (WORDS, WORDS))
    for _ in range(4):
        nearest = similarities(vectors).argmax()
        often = together(counts).argmax()
    print("nearest %d, most often %d" % (nearest, often))


if __name__ == "__main__":
    main()
