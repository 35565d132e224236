"""Intervals and tests for shares: Wilson, bootstrap by resampling counts, and McNemar's exact test."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log, sqrt
from typing import NamedTuple

import numpy as np

Z = 1.959963984540054  # two-sided 95% of the normal distribution
RESAMPLES = 10_000
CHUNK = 4_000_000  # numbers drawn at a time


class Interval(NamedTuple):
    """A 95% interval, in the unit of what it is about."""

    low: float
    high: float


def wilson(k: float, n: float) -> Interval | None:
    """The Wilson score interval of k of n, as shares; None for n = 0. Both may be effective numbers, which are no integers.

    Source: Wilson (1927), z = 1.959964.

    >>> [round(share, 4) for share in wilson(97, 105)]
    [0.8568, 0.9609]
    """
    if n == 0:
        return None
    share = k / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test.

    Args:
        only_a, only_b: examples that only the one run, and only the other, has right.

    Returns:
        The probability, were both equally likely, of a split at least as uneven: twice the smaller binomial tail, at most 1.

    Source: McNemar (1947); the exact form is a sign test on the discordant pairs.

    >>> mcnemar(1, 6)
    0.125
    """
    n, k = only_a + only_b, min(only_a, only_b)
    if n == 0 or only_a == only_b:
        return 1.0
    if n <= 1000:  # exact in integers; 2**1000 is the last power of two that a double holds
        term, total = 1, 1
        for i in range(1, k + 1):
            term = term * (n - i + 1) // i
            total += term
        return min(1.0, 2 * (total / 2**n))
    start = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)
    total_share, ratio = 0.0, 1.0
    for i in range(k, -1, -1):  # from the largest term down, until they no longer matter
        total_share += ratio
        ratio *= i / (n - i + 1)
        if ratio < 1e-18 * total_share:
            break
    return min(1.0, 2 * exp(start) * total_share)


def bootstrap_ratio(
    over: Sequence[float], under: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Percentile interval (95%) of sum(over) / sum(under) under resampling of the rows.

    Args:
        over, under: one number a row (a trajectory, an example), shape (n,); resampled together.
        seed: of the resampling; equal seeds give equal intervals.
        resamples: how many are drawn.

    Returns:
        The interval; None where the sum under the line is 0. Resamples in which it is 0 are left out.

    Source: Efron (1979); percentile method.

    >>> [round(share, 1) for share in bootstrap_ratio([1] * 50 + [0] * 50, [1] * 100)]
    [0.4, 0.6]
    """
    return bootstrap_difference(over, under, [0.0] * len(over), under, seed=seed, resamples=resamples)


def bootstrap_difference(
    over_a: Sequence[float],
    under_a: Sequence[float],
    over_b: Sequence[float],
    under_b: Sequence[float],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """Percentile interval (95%) of sum(over_a) / sum(under_a) - sum(over_b) / sum(under_b), rows resampled in pairs.

    Equal rows are counted first, and only their counts are resampled (a multinomial draw): for right and wrong answers that is
    the same as drawing rows, at a cost that does not grow with their number.

    >>> bootstrap_difference([1, 1, 0], [1, 1, 1], [1, 1, 0], [1, 1, 1])
    Interval(low=0.0, high=0.0)
    """
    rows = np.column_stack([np.asarray(part, dtype=float) for part in (over_a, under_a, over_b, under_b)])
    n = len(rows)
    if n == 0 or rows[:, 1].sum() == 0 or rows[:, 3].sum() == 0:
        return None
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    found = []
    step = max(1, CHUNK // len(kinds))
    for start in range(0, resamples, step):
        drawn = generator.multinomial(n, counts / n, size=min(step, resamples - start))
        sums = drawn @ kinds
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3])
    values = np.concatenate(found)
    low, high = np.percentile(values[np.isfinite(values)], [2.5, 97.5])
    return Interval(float(low), float(high))
