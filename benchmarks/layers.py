"""Speed of one layer of the likelihoods' networks, 48 inputs and 48 neurons in single precision:
tiles of vector instructions (`reconstruction/likelihood/tiles.py`) against loops that the compiler
makes vectors of, and numpy.

    OMP_NUM_THREADS=1 python benchmarks/layers.py

One core; the best of some repetitions. 128 rows are the points of a posterior, 20 the stations of
an event.
"""

import time

import numpy as np

from tashower.physics.compiled import compiled
from tashower.reconstruction.likelihood.layers import linear
from tashower.reconstruction.likelihood.tiles import SPARE

NEURONS, REPETITIONS, CALLS = 48, 9, 1000


@compiled
def tiles(weight, bias, source, target, n, calls):
    """The layer as the likelihoods take it."""
    for _ in range(calls):
        linear((weight, bias), source, target, (0, n), (0, len(bias)))


@compiled
def loops(weight, bias, source, target, n, calls):
    """The same with two neurons and four inputs in each pass of the inner loop."""
    for _ in range(calls):
        for j in range(0, len(bias), 2):
            row, other = target[j, :n], target[j + 1, :n]
            for k in range(len(row)):
                row[k] = bias[j]
                other[k] = bias[j + 1]
            for i in range(0, weight.shape[1], 4):
                s0, s1 = source[i, :n], source[i + 1, :n]
                s2, s3 = source[i + 2, :n], source[i + 3, :n]
                w, v = weight[j, i : i + 4], weight[j + 1, i : i + 4]
                w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
                v0, v1, v2, v3 = v[0], v[1], v[2], v[3]
                for k in range(len(row)):
                    x0, x1, x2, x3 = s0[k], s1[k], s2[k], s3[k]
                    row[k] += (w0 * x0 + w1 * x1) + (w2 * x2 + w3 * x3)
                    other[k] += (v0 * x0 + v1 * x1) + (v2 * x2 + v3 * x3)


def with_numpy(weight, bias, source, target, n, calls):
    """The same as one matrix product."""
    for _ in range(calls):
        np.matmul(weight, source[:, :n], out=target[:, :n])
        target[:, :n] += bias[:, None]


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    weight, bias = (
        rng.normal(size=shape).astype(np.float32) for shape in ((NEURONS, NEURONS), NEURONS)
    )
    print("one layer, 48 inputs and neurons, one core      GFLOP/s   ratio")
    for n in (128, 20):
        source = rng.normal(size=(NEURONS, n + SPARE)).astype(np.float32)
        targets, rates = [], []
        for function in (loops, with_numpy, tiles):
            target, best = np.zeros_like(source), np.inf
            for _ in range(REPETITIONS):
                begun = time.thread_time()
                function(weight, bias, source, target, n, CALLS)
                best = min(best, time.thread_time() - begun)
            targets.append(target[:, :n])
            rates.append(2e-9 * NEURONS * NEURONS * n * CALLS / best)
        for other in targets[:2]:
            np.testing.assert_allclose(targets[2], other, atol=1e-4)
        for name, rate in zip(("loops", "numpy", "tiles"), rates, strict=True):
            print(f"  {n:3} rows, {name:5} {rate:35.0f} {rate / rates[0]:7.1f}")


if __name__ == "__main__":
    main()
