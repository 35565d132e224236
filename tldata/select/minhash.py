"""Find pairs of alike sets without comparing all: MinHash signatures, cut into bands, and rows that share a band."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tldata.select.features import Features
from tldata.select.words import I64, U64, beginnings_of, constants, distinct, mix

HASHES = 128  # at most, of a signature
MISSED = 0.005  # share of the pairs exactly at the threshold that no band may find
NEIGHBOURS = 16  # rows of a crowded band that each row is compared with, beside the first
AT_ONCE = 1 << 21  # features, or pairs, worked on at a time


def bands(threshold: float) -> tuple[int, int]:
    """How many bands, and of how many hashes each, find pairs of a Jaccard similarity of ``threshold`` and more.

    The longest bands (they give the fewest false pairs) of which one agrees for all but MISSED of the pairs at the threshold:
    1 - (1 - t^r)^b.

    >>> bands(0.8)  # 1 - (1 - 0.8^6)^21 = 0.998
    (21, 6)
    """
    for length in range(16, 1, -1):
        count = HASHES // length
        if (1 - threshold**length) ** count <= MISSED:
            return count, length
    return HASHES, 1


def band_keys(fields: list[Features], rows: I64, threshold: float) -> U64:
    """One key per row and band, shape (rows, bands): rows that agree in a band have the same minima in it.

    The set of a row is the union of its sets in all fields, each marked with its field.
    """
    count, length = bands(threshold)
    factors = (constants(count * length, seed=3) >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
    keys = np.empty((len(rows), count), np.uint64)
    sizes = sum((field.counts[rows] for field in fields), np.zeros(len(rows), np.int64))
    for first, last in slices(sizes, AT_ONCE):
        chunk = rows[first:last]
        values, starts = _marked(fields, chunk)
        for band in range(count):
            total = np.full(len(chunk), band, np.uint64)
            for factor in factors[band * length : (band + 1) * length]:
                total = mix(total) + np.minimum.reduceat(values * factor, starts)
            keys[first:last, band] = mix(total)
    return keys


def _marked(fields: list[Features], rows: I64) -> tuple[np.ndarray, I64]:
    """The features of all fields of some rows as 32-bit values, row after row, and where each row begins."""
    taken = [field.take(rows) for field in fields]
    owners = np.concatenate([owner for _, owner in taken])
    marks = constants(len(fields), seed=4)
    values = np.concatenate([mix(v + mark) for (v, _), mark in zip(taken, marks, strict=True)])
    order = np.argsort(owners, kind="stable")
    starts = np.searchsorted(owners[order], np.arange(len(rows)))
    return (values[order] >> np.uint64(32)).astype(np.uint32), starts


def set_keys(fields: list[Features], rows: I64) -> U64:
    """One key per row: equal for equal sets; shape (rows,)."""
    keys = np.zeros(len(rows), np.uint64)
    for field, mark in zip(fields, constants(len(fields), seed=5), strict=True):
        for first, last in slices(field.counts[rows], AT_ONCE):
            values, owner = field.take(rows[first:last])
            np.add.at(keys[first:last], owner, mix(values + mark))
        keys = mix(keys)
    return keys


def candidates(keys: U64) -> Iterator[tuple[I64, I64, bool]]:
    """Pairs of rows (low, high) that share a band, each pair once a batch, and whether a crowded band was left incomplete.

    In a band of up to NEIGHBOURS + 1 rows all pairs are given; in a larger one each row with the first and with the next
    NEIGHBOURS. Rows are their places in ``keys``.
    """
    count = len(keys)
    waiting: list[U64] = []
    pending, crowded = 0, False
    for band in range(keys.shape[1]):
        column = keys[:, band]
        order = np.argsort(column, kind="stable")
        ranked = column[order]
        fresh = beginnings_of(ranked)
        sizes = np.diff(fresh, append=count)
        for distance in range(1, NEIGHBOURS + 1):
            same = np.flatnonzero(ranked[distance:] == ranked[:-distance])
            if len(same) == 0:
                break
            waiting.append(_pack(order[same], order[same + distance]))
            pending += len(same)
        large = sizes > NEIGHBOURS + 1
        if large.any():
            crowded = True
            heads = np.repeat(fresh[large], sizes[large])
            members = np.flatnonzero(np.repeat(large, sizes))
            far = members > heads + NEIGHBOURS
            waiting.append(_pack(order[heads[far]], order[members[far]]))
            pending += int(far.sum())
        if pending > 4 * AT_ONCE or band == keys.shape[1] - 1:
            packed = distinct(np.concatenate(waiting)) if waiting else np.empty(0, np.uint64)
            low, high = packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)
            yield low.astype(np.int64), high.astype(np.int64), crowded
            waiting, pending = [], 0


def _pack(one: I64, other: I64) -> U64:
    low, high = np.minimum(one, other).astype(np.uint64), np.maximum(one, other).astype(np.uint64)
    return (low << np.uint64(32)) | high


def jaccard(field: Features, one: I64, other: I64) -> np.ndarray:
    """The true Jaccard similarity of the sets of pairs of rows, shape (pairs,); 1 for two empty sets.

    >>> sets = Features(np.array([1, 2, 3, 2, 3, 4], np.uint32), np.array([0, 3]), np.array([3, 3]))
    >>> jaccard(sets, np.array([0]), np.array([1])).tolist()  # {2, 3} of {1, 2, 3, 4}
    [0.5]
    """
    total = field.counts[one] + field.counts[other]
    shared = np.zeros(len(one), np.int64)
    for first, last in slices(total, AT_ONCE):
        values, owner = field.take(one[first:last])
        others, other_owner = field.take(other[first:last])
        owners = np.concatenate([owner, other_owner]).astype(np.uint64)
        keys = np.sort((owners << np.uint64(32)) | np.concatenate([values, others]), kind="stable")
        twice = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)
        shared[first:last] = np.bincount(twice.astype(np.int64), minlength=last - first)
    union = total - shared
    return np.where(union == 0, 1.0, shared / np.maximum(union, 1))


def slices(sizes: I64, limit: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items whose sizes sum to about ``limit``, at least one item each.

    >>> list(slices(np.array([2, 2, 9, 1]), 4))
    [(0, 2), (2, 3), (3, 4)]
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + limit, side="right")), first + 1)
        yield first, last
        first = last
