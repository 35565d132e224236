"""Samples: the same number of each value, the share of each value, or any; by an order that the seed and the ids alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from tldata.select.rows import Rows
from tldata.select.where import text_of
from tldata.select.words import I64, U64

NONE = "(none)"  # the value of trajectories that have none


def seeded(ids: Sequence[str], seed: int, purpose: str) -> U64:
    """A number per id that the seed, the purpose and the id decide (XXH3 of their text), the same on every machine.

    >>> seeded(["a:1"], 0, "sample").tolist()
    [14484154263399164703]
    """
    return np.array([xxh3_64_intdigest(f"{seed}\0{purpose}\0{identity}".encode()) for identity in ids], np.uint64)


def shuffled(rows: Rows, chosen: I64, seed: int, purpose: str) -> I64:
    """Some rows in the order of their seeded numbers; equal numbers by id."""
    ids = rows.ids.take(pa.array(chosen))
    return chosen[np.lexsort((pc.rank(ids, tiebreaker="first").to_numpy(), seeded(ids.to_pylist(), seed, purpose)))]


def equal_shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many to take of groups so that they are as equal as their sizes allow; what does not divide goes to the first.

    >>> equal_shares([2, 50, 50], 11), equal_shares([2, 3], 9)
    ([2, 5, 4], [2, 3])
    """
    taken = [0] * len(sizes)
    left = min(total, sum(sizes))
    open_groups = sorted(range(len(sizes)), key=lambda group: (sizes[group], group))
    while open_groups:
        share = left // len(open_groups)
        if sizes[open_groups[0]] <= share:
            group = open_groups.pop(0)
            taken[group] = sizes[group]
            left -= sizes[group]
            continue
        rest = left - share * len(open_groups)
        for place, group in enumerate(sorted(open_groups)):
            taken[group] = share + (place < rest)
        break
    return taken


def proportional_shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many to take of groups in proportion to their sizes, by largest remainders; ties to the first.

    >>> proportional_shares([70, 20, 10], 11)
    [8, 2, 1]
    """
    everything = max(sum(sizes), 1)
    total = min(total, sum(sizes))
    taken = [size * total // everything for size in sizes]
    by_rest = sorted(range(len(sizes)), key=lambda group: (-(sizes[group] * total % everything), group))
    for group in by_rest[: total - sum(taken)]:
        taken[group] += 1
    return taken


def drop_unsampled(
    rows: Rows,
    folder: Path,
    *,
    sample: int | None,
    balance: str | None,
    stratify: str | None,
    at_most: int | None,
    seed: int,
) -> None:
    """Keep a sample.

    Args:
        rows: those still in are sampled.
        sample: how many to keep; all where there are fewer.
        balance: column of whose values the same number is kept, as far as there are: ``sample`` in all, else ``at_most`` of
            each, else as many of each as there are of the rarest.
        stratify: column of whose values the sample keeps the shares.
        at_most: cap for each value of ``balance``.
        seed: decides, together with the ids, who is kept.
    """
    alive = rows.indices()
    column = balance or stratify
    if column is None:
        assert sample is not None
        name, values = "", pa.repeat("", len(alive))
    else:
        name, found = text_of(rows, column, folder)
        values = pc.fill_null(found.take(pa.array(alive)), NONE)
    encoded = (
        values.dictionary_encode() if isinstance(values, pa.Array) else values.combine_chunks().dictionary_encode()
    )
    names: list[str] = encoded.dictionary.to_pylist()
    by_name = np.argsort(np.array(names, dtype=object)) if names else np.empty(0, np.int64)
    rank = np.empty(len(names), np.int64)
    rank[by_name] = np.arange(len(names))
    group = rank[encoded.indices.to_numpy(zero_copy_only=False)] if len(alive) else np.empty(0, np.int64)
    sizes = np.bincount(group, minlength=len(names)).tolist()
    if balance is not None:
        cap = at_most if at_most is not None else (min(sizes, default=0) if sample is None else None)
        capped = sizes if cap is None else [min(size, cap) for size in sizes]
        shares = capped if sample is None else equal_shares(capped, sample)
    else:
        assert sample is not None
        shares = proportional_shares(sizes, sample)
    purpose = "balance" if balance is not None else "sample"
    order = shuffled(rows, alive, seed, "sample")
    ordered_group = np.empty(len(rows), np.int64)
    ordered_group[alive] = group
    by_group = order[np.argsort(ordered_group[order], kind="stable")]
    starts = np.cumsum(sizes) - np.array(sizes, np.int64) if sizes else np.empty(0, np.int64)
    nth = np.arange(len(by_group)) - np.repeat(starts, sizes)
    out = by_group[nth >= np.repeat(np.array(shares, np.int64), sizes)]
    gone = np.sort(out)
    ranked_names = [names[i] for i in by_name]
    texts = [
        f"{shares[g]:,} of {sizes[g]:,}" + (f" with {name} = {ranked_names[g]} are kept" if name else " are kept")
        for g in range(len(names))
    ]
    what = "all" if sample is None else f"{sample:,}"
    what += f", balanced by {name}" if balance is not None else (f", shares of {name} kept" if stratify else "")
    rows.drop(purpose, what + f", seed {seed}", gone, [texts[g] for g in ordered_group[gone].tolist()])
    if name:
        rows.steps[-1].details = dict(zip(ranked_names, shares, strict=True))
