"""Cut the trajectories into splits without a leak: what belongs together stays on one side."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tldata.errors import UsageError
from tldata.select.near import query_clusters
from tldata.select.rows import Rows
from tldata.select.strata import seeded
from tldata.select.where import bounded
from tldata.select.words import I64

SPLIT_BY = ("query", "toolset", "tool", "source", "trajectory")
EXAMPLE = "--split train=0.8,validation=0.1,test=0.1"


@dataclass(frozen=True, slots=True)
class Splits:
    """Names and shares (they sum to 1), and by what no split is cut."""

    shares: tuple[tuple[str, Fraction], ...]
    by: tuple[str, ...]


def read_splits(text: str, by: str) -> Splits:
    """Read ``train=0.8,test=0.2`` and ``toolset,query``.

    Raises:
        UsageError: no shares, a name twice, a sum that is not 1, or something unknown to split by.

    >>> read_splits("train=0.9,test=0.1", "query").shares[1]
    ('test', Fraction(1, 10))
    """
    shares: list[tuple[str, Fraction]] = []
    for item in text.split(","):
        name, _, share = (part.strip() for part in item.partition("="))
        try:
            value = Fraction(share)
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"--split {text}: {item!r} is no name=share", hint=EXAMPLE) from None
        if not name or not name.replace("_", "").replace("-", "").isalnum() or not 0 < value <= 1:
            raise UsageError(f"--split {text}: {item!r} is no name=share between 0 and 1", hint=EXAMPLE)
        shares.append((name, value))
    if len({name for name, _ in shares}) < len(shares):
        raise UsageError(f"--split {text}: a name stands twice", hint=EXAMPLE)
    if sum(share for _, share in shares) != 1:
        raise UsageError(
            f"--split {text}: the shares sum to {float(sum(s for _, s in shares)):g}, not to 1", hint=EXAMPLE
        )
    chosen = tuple(dict.fromkeys(part.strip() for part in by.split(",")))
    unknown = [part for part in chosen if part not in SPLIT_BY]
    if unknown:
        raise UsageError(f"--split-by {unknown[0]!r}", hint=f"one or several, with commas, of {', '.join(SPLIT_BY)}")
    return Splits(tuple(shares), chosen)


def assign(rows: Rows, splits: Splits, folder: Path, *, threshold: float, seed: int) -> tuple[pa.Array, dict[str, int]]:
    """Give every row that is still in a split.

    Returns:
        the name per row (null for rows that are out), and the size of each split.

    Raises:
        UsageError: what belongs together is too large, so that a split would stay empty.
    """
    alive = rows.indices()
    groups = _components(len(rows), _links(rows, splits, folder, threshold))[alive]
    _, members, group, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    ids = rows.ids.take(pa.array(alive))
    order = pc.rank(ids, tiebreaker="first").to_numpy()
    first_id = np.full(len(sizes), len(alive) + 1, np.int64)
    np.minimum.at(first_id, group, order.astype(np.int64))  # the group's first id names it, whatever the order of rows
    names = ids.take(pc.sort_indices(ids)).take(pa.array(first_id - 1)).to_pylist() if len(members) else []
    numbers = seeded(names, seed, "split")
    sides = _fill(np.lexsort((first_id, numbers, -sizes)), sizes, splits.shares, len(alive))
    counts = {name: int(sizes[sides == side].sum()) for side, (name, _) in enumerate(splits.shares)}
    empty = [name for name, count in counts.items() if count == 0]
    if empty and len(alive):
        largest = int(sizes.max())
        raise UsageError(
            f"split {empty[0]!r} would be empty: by {', '.join(splits.by)} the {len(alive):,} trajectories fall into "
            f"{len(sizes):,} groups, the largest of {largest:,}",
            hint="\n".join(f"--split-by {other}" for other in SPLIT_BY if other not in splits.by),
        )
    side = np.full(len(rows), -1, np.int64)
    side[alive] = sides[group]
    labels = pa.array([name for name, _ in splits.shares], pa.string())
    return labels.take(pa.array(side, mask=side < 0)), counts


def _fill(order: I64, sizes: I64, shares: tuple[tuple[str, Fraction], ...], total: int) -> I64:
    """Give each group, the largest first, to the split that lacks the most; in whole numbers, so that ties are ties."""
    scale = int(np.lcm.reduce([share.denominator for _, share in shares]))
    lacking = [int(share * scale) * total for _, share in shares]
    sides = np.zeros(len(sizes), np.int64)
    for group, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        side = max(range(len(lacking)), key=lacking.__getitem__)
        lacking[side] -= size * scale
        sides[group] = side
    return sides


def _links(rows: Rows, splits: Splits, folder: Path, threshold: float) -> list[tuple[I64, I64]]:
    """Pairs of rows that belong on one side. Exact duplicates always do."""
    links = [_equal(rows, rows.array("content_hash"))]
    if "source" in splits.by:
        links.append(_equal(rows, rows.array("source")))
    if "query" in splits.by:
        links.append(query_clusters(rows, folder, threshold))
    if "toolset" in splits.by or "tool" in splits.by:
        links += _by_tools(rows, folder, whole="toolset" in splits.by, single="tool" in splits.by)
    return links


def _equal(rows: Rows, values: pa.Array) -> tuple[I64, I64]:
    """Links between rows of equal values; null equals nothing."""
    alive = np.flatnonzero(rows.alive & values.is_valid().to_numpy(zero_copy_only=False))
    codes = values.take(pa.array(alive)).dictionary_encode().indices.to_numpy()
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    return alive, alive[first[place]]


def _by_tools(rows: Rows, folder: Path, *, whole: bool, single: bool) -> list[tuple[I64, I64]]:
    """Links between rows of the same tool set (the same names, in whatever order), or of tool sets that share a tool.

    Trajectories that declare no tools go by those that they call.
    """
    connection = rows.data.connect(settings=bounded(folder))
    try:
        alive = pa.table(
            {"trajectory_id": rows.ids, "toolset_id": rows.array("toolset_id"), "row": pa.array(np.arange(len(rows)))}
        ).filter(pa.array(rows.alive))
        connection.register("alive", alive)
        connection.execute(
            "CREATE TEMP TABLE sets AS SELECT toolset_id AS id, list_sort(list(DISTINCT coalesce(name, ''))) AS names "
            "FROM toolsets SEMI JOIN alive USING (toolset_id) GROUP BY id"
        )
        connection.execute(
            "CREATE TEMP TABLE called AS SELECT a.row, list_sort(list(DISTINCT c.tool_name) FILTER (c.tool_name IS NOT NULL)) AS names "
            "FROM alive AS a LEFT JOIN calls AS c USING (trajectory_id) WHERE a.toolset_id IS NULL GROUP BY a.row"
        )
        connection.execute(
            "CREATE TEMP TABLE owned AS SELECT a.row, s.names FROM alive AS a JOIN sets AS s ON s.id = a.toolset_id "
            "UNION ALL FROM called WHERE names IS NOT NULL"
        )
        links = []
        queries = {
            "SELECT row, min(row) OVER (PARTITION BY names) AS first FROM owned": whole,
            "SELECT row, min(row) OVER (PARTITION BY name) AS first FROM (SELECT row, unnest(names) AS name FROM owned)": single,
        }
        for query, wanted in queries.items():
            if wanted:
                found = connection.sql(query).to_arrow_table()
                links.append((found["row"].to_numpy(), found["first"].to_numpy()))
        return links
    finally:
        connection.close()


def _components(count: int, links: list[tuple[I64, I64]]) -> I64:
    """The smallest row that each row hangs together with, over all links; shape (count,).

    >>> _components(5, [(np.array([1, 3]), np.array([4, 1]))]).tolist()
    [0, 1, 2, 1, 1]
    """
    label = np.arange(count)
    one = np.concatenate([a for a, _ in links])
    other = np.concatenate([b for _, b in links])
    while True:
        low = np.minimum(label[one], label[other])
        before = label.copy()
        for side in (one, other):
            np.minimum.at(label, label[side], low)
            np.minimum.at(label, side, low)
        while True:
            jumped = label[label]
            if (jumped == label).all():
                break
            label = jumped
        if (label == before).all():
            return label
