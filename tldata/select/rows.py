"""The trajectories of a dataset as rows: where each stands, whether it is still in, and why it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import escape

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tldata import schema
from tldata.dataset import Dataset
from tldata.select.words import I64
from tldata.sqlfiles import glob_of
from tldata.stream import is_aligned

Bool = npt.NDArray[np.bool_]

DROPPED = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("step", pa.string()),  # where, decontaminate, exact, prefix, near, balance, sample
        ("reason", pa.string()),
        ("match", pa.string()),  # the trajectory kept in its place, or the evaluation text that it holds
    ]
)
COLUMNS = ("trajectory_id", "source", "toolset_id", "content_hash", "n_messages", "n_calls", "n_errors")


@dataclass(slots=True)
class Step:
    """What one step did: ``before`` = ``dropped`` + what was left."""

    name: str
    what: str
    before: int
    dropped: int
    details: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        found: dict[str, object] = {"step": self.name, "what": self.what, "before": self.before}
        found |= {"dropped": self.dropped, "left": self.before - self.dropped}
        return found | ({"details": self.details} if self.details else {})


class Rows:
    """One row a trajectory, in the order of the part files; ``alive`` says which are still in.

    Args:
        data: the dataset; its tables are read part by part when asked for.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.parts = sorted(path.name for path in (data.path / "trajectories").glob("*.parquet"))
        tables = []
        for part in self.parts:
            path = data.path / "trajectories" / part
            tables.append(_as_declared("trajectories", pq.read_table(path, columns=list(COLUMNS))))
        self.table = pa.concat_tables(tables).combine_chunks()
        self.starts: I64 = np.cumsum([0, *(table.num_rows for table in tables)], dtype=np.int64)
        self.alive: Bool = np.ones(len(self), bool)
        self.steps: list[Step] = []
        self._gone: list[pa.Table] = []
        self._aligned: dict[str, bool] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def ids(self) -> pa.Array:
        """trajectory_id of every row."""
        return self.array("trajectory_id")

    def array(self, column: str) -> pa.Array:
        """A column of ``COLUMNS`` as one array."""
        column_data = self.table[column]
        return column_data.chunk(0) if column_data.num_chunks == 1 else pa.concat_arrays(column_data.chunks)

    def numbers(self, column: str) -> I64:
        """A column of counts."""
        return self.table[column].to_numpy().astype(np.int64)

    def indices(self) -> I64:
        """The rows that are still in."""
        return np.flatnonzero(self.alive)

    def has_alive(self, number: int) -> bool:
        """Whether any row of a part is still in."""
        return bool(self.alive[self.starts[number] : self.starts[number + 1]].any())

    def drop(
        self,
        name: str,
        what: str,
        gone: I64,
        reasons: Sequence[str] | str,
        matches: pa.Array | Sequence[str] | None = None,
    ) -> None:
        """Take rows out and remember why.

        Args:
            name, what: the step, and what it was asked to do.
            gone: rows to take out, all of them alive, each once; shape (G,).
            reasons: one for all, or one each.
            matches: trajectory_id kept in place of each, or the evaluation text that it holds.
        """
        before = int(self.alive.sum())
        self.alive[gone] = False
        count = len(gone)
        reason = pa.repeat(reasons, count) if isinstance(reasons, str) else pa.array(reasons, pa.string())
        match = pa.nulls(count, pa.string()) if matches is None else pa.array(matches, pa.string())
        columns = [self.ids.take(pa.array(gone)), pa.repeat(name, count), reason, match]
        self._gone.append(pa.Table.from_arrays([column.cast(pa.string()) for column in columns], schema=DROPPED))
        self.steps.append(Step(name, what, before, count))

    def dropped(self) -> pa.Table:
        """All rows taken out so far, in the order of the steps."""
        return pa.concat_tables(self._gone) if self._gone else DROPPED.empty_table()

    def part(self, number: int, table: str, columns: Sequence[str] | None = None) -> tuple[pa.Table, I64]:
        """The rows of another table that belong to one part, ordered by trajectory, and the row number of each one's trajectory.

        Part files of one name hold the same trajectories in all tables; where somebody rewrote them so that they do not, DuckDB
        joins them instead, which takes longer.
        """
        names = None if columns is None else list(dict.fromkeys(["trajectory_id", *columns]))
        found = self._read(number, table, names)
        own = self.ids.slice(self.starts[number], self.starts[number + 1] - self.starts[number])
        places = pa.compute.index_in(found["trajectory_id"].combine_chunks(), value_set=own)
        owner = pa.compute.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        if len(owner) and ((owner < 0).any() or (np.diff(owner) < 0).any()):
            order = np.argsort(owner, kind="stable")
            order = order[owner[order] >= 0]
            found, owner = found.take(pa.array(order)), owner[order]
        return found, owner + self.starts[number]

    def is_aligned(self, table: str) -> bool:
        """Whether the parts of a table hold the trajectories of the parts of the same names."""
        if table not in self._aligned:
            self._aligned[table] = is_aligned(self.data.path, table)
        return self._aligned[table]

    def _read(self, number: int, table: str, names: list[str] | None) -> pa.Table:
        part = self.parts[number]
        if self.is_aligned(table):
            path = self.data.path / table / part
            if path.is_file():
                return _as_declared(table, pq.read_table(path, columns=names))
            empty = schema.TABLES[table].empty_table()
            return empty if names is None else empty.select(names)
        order = "turn, call_index" if table == "calls" else "turn"
        trajectories = f"{glob_of(self.data.path)}/trajectories/{escape(part)}"
        chosen = "*" if names is None else ", ".join(names)
        query = f"SELECT {chosen} FROM {table} SEMI JOIN read_parquet($1) USING (trajectory_id) ORDER BY trajectory_id, {order}"
        return _as_declared(table, self.data.sql(query, [trajectories]))


def _as_declared(name: str, table: pa.Table) -> pa.Table:
    """A table with the column types of the schema, whatever kind of string the program used that wrote it."""
    columns = schema.TABLES[name]
    fields = [columns.field(f.name) if f.name in columns.names else f for f in table.schema]
    return table.cast(pa.schema(fields))
