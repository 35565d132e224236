"""Whole trajectories out of a dataset's tables, one after the other, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import schema
from tldata.dataset import Dataset
from tldata.sqlfiles import glob_of

Row = dict[str, Any]
DECODED = 512  # tool sets kept as Python objects


@dataclass(frozen=True, slots=True)
class Whole:
    """One trajectory with its rows of ``messages`` (by turn), ``calls`` (by turn, call_index) and ``toolsets`` (by position)."""

    trajectory: Row
    messages: list[Row]
    calls: list[Row]
    tools: list[Row]


def stream(data: Dataset) -> Iterator[Whole]:
    """Yield every trajectory of a dataset, in the dataset's own order.

    Part files of one name hold the same trajectories in all tables, as annotate writes them; where they do not (somebody rewrote
    the Parquet files), the tables are joined by DuckDB instead, which takes longer and sorts by trajectory_id within a part.
    """
    toolsets = _Toolsets(data)
    aligned = {table: is_aligned(data.path, table) for table in ("messages", "calls")}
    for part in sorted((data.path / "trajectories").glob("*.parquet")):
        trajectories = pq.read_table(part)
        if trajectories.num_rows == 0:
            continue
        toolsets.load(part.name, pc.drop_null(pc.unique(trajectories["toolset_id"])))
        messages, calls = (_rows_of(data, table, part.name, aligned=ok) for table, ok in aligned.items())
        for row in trajectories.to_pylist():
            identity = row["trajectory_id"]
            yield Whole(row, messages.take(identity), calls.take(identity), toolsets.take(row["toolset_id"]))


class _Grouped:
    """Rows of one table, grouped by trajectory without copying: a slice each where they stand together."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        ids = table["trajectory_id"].combine_chunks()
        self._bounds: dict[str, tuple[int, int]] = {}
        if len(ids):
            encoded = pc.run_end_encode(ids)
            start = 0
            for value, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
                self._bounds[value] = (start, end - start)
                start = end

    def take(self, identity: str) -> list[Row]:
        bounds = self._bounds.get(identity)
        return [] if bounds is None else self._table.slice(*bounds).to_pylist()


def is_aligned(path: Path, table: str) -> bool:
    """Whether every part of a table holds rows of the trajectories part of the same name only, so that parts can be read in pairs."""
    for part in (path / table).glob("*.parquet"):
        ids = pc.unique(pq.read_table(part, columns=["trajectory_id"])["trajectory_id"].cast(pa.string()))
        own = path / "trajectories" / part.name
        if len(ids) and not own.is_file():
            return False
        if (
            len(ids)
            and not pc.all(
                pc.is_in(ids, pq.read_table(own, columns=["trajectory_id"])["trajectory_id"].cast(pa.string()))
            ).as_py()
        ):
            return False
    return True


def _rows_of(data: Dataset, table: str, part: str, *, aligned: bool) -> _Grouped:
    if aligned:
        path = data.path / table / part
        return _Grouped(pq.read_table(path) if path.is_file() else schema.TABLES[table].empty_table())
    order = "turn, call_index" if table == "calls" else "turn"
    trajectories = f"{glob_of(data.path)}/trajectories/{escape(part)}"
    query = f"FROM {table} SEMI JOIN read_parquet($1) USING (trajectory_id) ORDER BY trajectory_id, {order}"
    return _Grouped(data.sql(query, [trajectories]))


class _Toolsets:
    """The tool sets of the trajectories of one part, read at once; as Python objects the last few hundred."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._rows = schema.TOOLSETS.empty_table()
        self._places: dict[str, tuple[int, int]] = {}
        self._decoded: dict[str, list[Row]] = {}

    def load(self, part: str, wanted: pa.Array) -> None:
        """Have the wanted tool sets at hand: annotate keeps each in the first part that uses it, so most stand in the part's own file."""
        missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=pa.array(list(self._places), pa.string()))))
        if len(missing) == 0:
            return
        own = self._data.path / "toolsets" / part
        table = pq.read_table(own) if own.is_file() else schema.TOOLSETS.empty_table()
        table = table.filter(pc.is_in(table["toolset_id"], value_set=wanted))
        elsewhere = wanted.filter(pc.invert(pc.is_in(wanted, value_set=table["toolset_id"].combine_chunks())))
        if len(elsewhere):
            query = "FROM toolsets WHERE toolset_id IN (SELECT unnest($1))"
            others = self._data.sql(query, [elsewhere.to_pylist()])
            table = pa.concat_tables([table, others.cast(table.schema)])
        self._rows = table.sort_by([("toolset_id", "ascending"), ("position", "ascending")])
        counts = pc.value_counts(self._rows["toolset_id"].combine_chunks())
        self._places, start = {}, 0
        for identity, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True):
            self._places[identity] = (start, count)
            start += count

    def take(self, identity: str | None) -> list[Row]:
        """The rows of one tool set, by position; none for None."""
        if identity is None or identity not in self._places:
            return []
        if identity not in self._decoded:
            if len(self._decoded) >= DECODED:
                self._decoded.clear()
            self._decoded[identity] = self._rows.slice(*self._places[identity]).to_pylist()
        return self._decoded[identity]
