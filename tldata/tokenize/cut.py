"""Cut a dataset into parts: rows of its tables that belong together, the unit of work, of memory and of resuming."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata.errors import DatasetError
from tldata.sqlfiles import glob_of

SMALL = 16 << 20  # bytes of text below which the whole is one part
SMALLEST, LARGEST = 1 << 20, 4 << 20  # bytes of a part otherwise
SAMPLED_FILES, SAMPLED_ROWS = 8, 256
COPIED = ("trajectories", "messages", "calls")


class Part(NamedTuple):
    """Trajectories that are tokenised together: rows [first, end) of three tables, counted over all files of each."""

    name: str
    trajectories: tuple[int, int]
    messages: tuple[int, int]
    calls: tuple[int, int]


def table_files(path: Path, table: str) -> list[Path]:
    """The Parquet files of a table, in their order.

    Raises:
        DatasetError: there are none.
    """
    files = sorted(path.glob(f"{table}/*.parquet"))
    if not files:
        raise DatasetError(f"{path}: the table {table} is missing", hint="tldata annotate RAW")
    return files


def whole(path: Path) -> Part:
    """All trajectories as one part."""
    return Part("part-00000", *((0, table_rows(path, table)) for table in COPIED))


def cut(path: Path, tables: Path | None = None) -> list[Part] | None:
    """The parts of a dataset; None where messages or calls do not stand in the order of the trajectories.

    The cut depends on the data alone, not on the machine, so that every run of the same data has the same parts. The size
    of a trajectory is taken from the mean size of a message and of a tool set, and those from some rows of each file.

    Args:
        path: the dataset.
        tables: a copy of its tables to take instead.
    """
    root = tables or path
    trajectories = _runs(table_files(root, "trajectories"))
    messages = _runs(table_files(root, "messages"))
    calls = _runs(table_files(root, "calls"))
    per_message = _length(path, "messages", ("content", "reasoning"))
    per_toolset = _length(path, "toolsets", ("description", "parameters"))
    per_toolset *= table_rows(path, "toolsets") / max(_toolsets(path), 1)
    total = per_message * table_rows(path, "messages") + per_toolset * table_rows(path, "trajectories")
    size = total + 1 if total < SMALL else min(max(total / 64, SMALLEST), LARGEST)
    parts: list[Part] = []
    at = begun = (0, 0, 0)  # rows of the three tables: so far; where the part began
    held = 0.0
    call = next(calls, None)
    for identity, same in trajectories:
        message = next(messages, None)
        if message is None or message[0] != identity:
            return None
        own = 0
        if call is not None and call[0] == identity:
            own, call = call[1], next(calls, None)
        at = (at[0] + same, at[1] + message[1], at[2] + own)
        held += message[1] * per_message + per_toolset
        if held >= size:
            parts.append(_part(len(parts), begun, at))
            begun, held = at, 0.0
    if call is not None or next(messages, None) is not None:
        return None
    if at != begun or not parts:
        parts.append(_part(len(parts), begun, at))
    return parts


def tables_in_order(path: Path, copy: Path) -> tuple[Path, list[Part]]:
    """The folder whose tables stand in the order of the trajectories, and its parts: the dataset, or a copy made for it.

    Raises:
        DatasetError: a table is missing, or its rows do not belong together.
    """
    parts = cut(path)
    if parts is not None:
        return path, parts
    if not copy.is_dir():
        _sort(path, copy)
    parts = cut(path, copy)
    if parts is None:
        raise DatasetError(f"{path}: messages or calls of no trajectory", hint="annotate the sources again")
    return copy, parts


def _part(number: int, begun: tuple[int, int, int], at: tuple[int, int, int]) -> Part:
    return Part(f"part-{number:05d}", *zip(begun, at, strict=True))


def table_rows(path: Path, table: str) -> int:
    """How many rows a table has."""
    return sum(pq.read_metadata(file).num_rows for file in table_files(path, table))


def _length(path: Path, table: str, columns: tuple[str, ...]) -> float:
    """Mean bytes of some text columns in a row, from the first rows of a few files."""
    files = table_files(path, table)
    length = rows = 0
    for file in files[:: max(1, len(files) // SAMPLED_FILES)]:
        reader = pq.ParquetFile(file)
        present = [column for column in columns if column in reader.schema_arrow.names]
        batch = next(reader.iter_batches(SAMPLED_ROWS, columns=present), None) if present else None
        if batch is not None:
            rows += batch.num_rows
            length += sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in batch.columns)
    return length / max(rows, 1)


def _toolsets(path: Path) -> int:
    return sum(1 for _ in _runs(table_files(path, "toolsets"), "toolset_id"))


def _runs(files: list[Path], column: str = "trajectory_id") -> Iterator[tuple[str, int]]:
    """Consecutive equal values of a column, and how many rows each run has."""
    current: str | None = None
    count = 0
    for file in files:
        table = pq.ParquetFile(file)
        if column not in table.schema_arrow.names:
            raise DatasetError(f"{file}: the columns {column} are missing", hint="annotate the sources again")
        for batch in table.iter_batches(65536, columns=[column]):
            if not batch.num_rows:
                continue
            encoded = pc.run_end_encode(batch.column(0))
            begin = 0
            for value, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
                if value != current:
                    if current is not None:
                        yield current, count
                    current, count = value, 0
                count += end - begin
                begin = end
    if current is not None:
        yield current, count


def _sort(path: Path, copy: Path) -> None:
    """Copy the tables in the order of trajectory_id."""
    import duckdb

    partial = copy.with_name(f"{copy.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    spill = str(partial / "spill")
    with duckdb.connect(config={"temp_directory": spill, "memory_limit": "1GB"}) as connection:
        for table in COPIED:
            (partial / table).mkdir(parents=True)
            files = f"{glob_of(path)}/{table}/*.parquet".replace("'", "''")
            out = str(partial / table / "sorted.parquet").replace("'", "''")
            order = "trajectory_id" if table == "trajectories" else "trajectory_id, turn"
            connection.execute(
                f"COPY (SELECT * FROM read_parquet('{files}') ORDER BY {order}) TO '{out}' (FORMAT parquet, ROW_GROUP_SIZE 16384)"
            )
    shutil.rmtree(spill, ignore_errors=True)
    try:
        partial.rename(copy)
    except OSError:  # another shard was faster
        shutil.rmtree(partial, ignore_errors=True)
        if not copy.is_dir():
            raise
