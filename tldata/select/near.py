"""Near-duplicates: trajectories whose user says nearly the same and whose agent does nearly the same; and clusters of like queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from tldata.select.features import Features, read_features
from tldata.select.minhash import band_keys, candidates, jaccard, set_keys
from tldata.select.rows import Rows
from tldata.select.words import I64, distinct

ROUNDS = 30  # of comparing what is left, where many rows share a band


def drop_near_duplicates(rows: Rows, folder: Path, threshold: float) -> None:
    """Of near-duplicates keep one: that with the fewest errors, then the most messages, then the first id.

    Two are near-duplicates where both what the user says and what the agent does have a Jaccard similarity of at least ``threshold``
    (words and pairs of neighbouring words). Every row that goes is a near-duplicate of one that stays.
    """
    with read_features(rows, folder) as fields:
        features = list(fields.values())
        alive = rows.indices()
        alive = alive[sum((field.counts[alive] for field in features), np.zeros(len(alive), np.int64)) > 0]
        ranked = alive[_rank(rows, alive)]
        kept_by = _keepers(features, ranked, threshold)
        gone = np.flatnonzero(kept_by >= 0)
        one, other = ranked[gone], ranked[kept_by[gone]]
        alike = [jaccard(field, one, other) for field in features]
    reasons = [
        f"near-duplicate: query {100 * query:.0f}% and calls {100 * calls:.0f}% alike"
        for query, calls in zip(*alike, strict=True)
    ]
    order = np.argsort(one)
    one, other = one[order], other[order]
    what = f"near-duplicates (MinHash, at least {100 * threshold:g}% alike)"
    rows.drop("near", what, one, [reasons[i] for i in order], rows.ids.take(pa.array(other)))


def _rank(rows: Rows, alive: I64) -> I64:
    """The order in which rows are preferred: fewest errors, most messages, first id."""
    ids = pa.compute.rank(rows.ids.take(pa.array(alive)), tiebreaker="first").to_numpy()
    return np.lexsort((ids, -rows.numbers("n_messages")[alive], rows.numbers("n_errors")[alive]))


def _keepers(fields: list[Features], ranked: I64, threshold: float) -> I64:
    """For each row (by rank) the rank of the row that is kept in its place, or -1 where it is kept itself."""
    kept_by = np.full(len(ranked), -1, np.int64)
    left = _first_of_equal(set_keys(fields, ranked), kept_by)
    keys = band_keys(fields, ranked[left], threshold)
    for _ in range(ROUNDS):
        low, high, crowded = _alike(fields, ranked[left], keys, threshold)
        lower, upper = left[low], left[high]
        order = np.lexsort((lower, upper))
        for a, b in zip(lower[order].tolist(), upper[order].tolist(), strict=True):
            if kept_by[b] < 0 and kept_by[a] < 0:  # a outranks b, so that its own fate is known
                kept_by[b] = a
        stays = kept_by[left] < 0
        if not crowded or stays.all():
            break
        left, keys = left[stays], keys[stays]
    while True:  # whoever was kept by one that a later round took out
        via = np.flatnonzero(kept_by >= 0)
        via = via[kept_by[kept_by[via]] >= 0]
        if len(via) == 0:
            return kept_by
        kept_by[via] = kept_by[kept_by[via]]


def _first_of_equal(keys: np.ndarray, kept_by: I64) -> I64:
    """Let the first of equal rows stand for all of them; returns the rows that are first."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    stands = first[place]
    others = np.flatnonzero(stands != np.arange(len(keys)))
    kept_by[others] = stands[others]
    return np.sort(first)


def _alike(fields: list[Features], rows: I64, keys: np.ndarray, threshold: float) -> tuple[I64, I64, bool]:
    """The pairs that share a band and are alike in every field, each once."""
    found: list[np.ndarray] = []
    crowded = False
    for low, high, incomplete in candidates(keys):
        crowded |= incomplete
        for field in fields:
            smaller = np.minimum(field.counts[rows[low]], field.counts[rows[high]])
            larger = np.maximum(field.counts[rows[low]], field.counts[rows[high]])
            fits = smaller >= threshold * larger  # else even a subset is not alike enough
            low, high = low[fits], high[fits]
        for field in fields:
            fits = jaccard(field, rows[low], rows[high]) >= threshold
            low, high = low[fits], high[fits]
        found.append((low.astype(np.uint64) << np.uint64(32)) | high.astype(np.uint64))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), crowded
    pairs = distinct(np.concatenate(found))
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), crowded


def query_clusters(rows: Rows, folder: Path, threshold: float) -> tuple[I64, I64]:
    """Pairs of rows whose queries are nearly equal; linked, they are the clusters that no split may cut.

    Returns:
        the two rows of each pair.
    """
    with read_features(rows, folder, ("first_query",)) as fields:
        features = list(fields.values())
        alive = rows.indices()
        alive = alive[features[0].counts[alive] > 0]
        stands = np.full(len(alive), -1, np.int64)
        left = _first_of_equal(set_keys(features, alive), stands)
        same = np.flatnonzero(stands >= 0)
        low, high, _ = _alike(features, alive[left], band_keys(features, alive[left], threshold), threshold)
    one = np.concatenate([alive[same], alive[left[low]]])
    return one, np.concatenate([alive[stands[same]], alive[left[high]]])
