"""Declarations of tools by tool set: in memory where they are few, else in a compressed Arrow file of which a process holds little."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tldata.tokenize.cut import table_files

COLUMNS = ["toolset_id", "position", "name", "description", "parameters", "raw"]
IN_MEMORY = 50_000  # declarations; more are spooled
SPOOL_ROWS = 512  # declarations read and unpacked at a time
BATCHES_KEPT = 8

SPOOL_SCHEMA = pa.schema([(name, pa.int32() if name == "position" else pa.string()) for name in COLUMNS])
# Where the declarations of a tool set stand in the spool: one row for each run of them in a batch, sorted by tool set.
INDEX_SCHEMA = pa.schema([("toolset_id", pa.string()), ("batch", pa.int64()), ("first", pa.int64()), ("count", pa.int64())])  # fmt: skip


class Declarations(Protocol):
    """Rows of the table ``toolsets`` by tool set."""

    def of(self, toolset: str) -> list[dict[str, Any]]:
        """The declarations of a tool set in the order of their positions; none for an unknown one."""
        ...


class DeclarationsInMemory:
    """All declarations of a dataset, read at once."""

    def __init__(self, dataset: Path) -> None:
        tables = [_read(file) for file in table_files(dataset, "toolsets")]
        self._table = pa.concat_tables(tables).combine_chunks()
        self._rows: dict[str, list[int]] = {}
        for at, toolset in enumerate(self._table["toolset_id"].to_pylist()):
            self._rows.setdefault(toolset, []).append(at)

    def of(self, toolset: str) -> list[dict[str, Any]]:
        at = self._rows.get(toolset, [])
        return _in_order(self._table.take(pa.array(at, pa.int64())).to_pylist())


class SpooledDeclarations:
    """Declarations in the files of ``spool``: the index is mapped, so that processes share it, and some batches are kept."""

    def __init__(self, path: Path) -> None:
        self._spool = pa.ipc.open_file(pa.OSFile(str(path)))
        index = pa.ipc.open_file(pa.memory_map(str(index_of(path)))).read_all()
        self._ids = index["toolset_id"].combine_chunks() if index.num_rows else pa.array([], pa.string())
        self._places = [index[name].to_numpy() for name in INDEX_SCHEMA.names[1:]]
        self._kept: OrderedDict[int, pa.RecordBatch] = OrderedDict()

    def of(self, toolset: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        at = bisect_left(self._ids, toolset, key=lambda identity: identity.as_py())
        while at < len(self._ids) and self._ids[at].as_py() == toolset:
            batch, first, count = (int(column[at]) for column in self._places)
            found += self._batch(batch).slice(first, count).to_pylist()
            at += 1
        return _in_order(found)

    def _batch(self, number: int) -> pa.RecordBatch:
        if number not in self._kept:
            self._kept[number] = self._spool.get_batch(number)
            if len(self._kept) > BATCHES_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]


def is_spooled(path: Path) -> bool:
    """Whether ``spool`` has written both files."""
    return path.is_file() and index_of(path).is_file()


def index_of(spool: Path) -> Path:
    """The file beside a spool that says where a tool set stands in it."""
    return spool.with_name(f"{spool.stem}-index.arrow")


def spool(dataset: Path, path: Path) -> None:
    """Write the declarations of a dataset into a compressed Arrow file, and where each tool set stands into another; last the first."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    runs: list[pa.Table] = []
    with pa.OSFile(str(partial), "wb") as sink:
        packed = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(sink, SPOOL_SCHEMA, options=packed) as writer:
            for file in table_files(dataset, "toolsets"):
                for rows in pq.ParquetFile(file).iter_batches(SPOOL_ROWS):
                    columns = [
                        rows.column(name).cast(SPOOL_SCHEMA.field(name).type)
                        if name in rows.schema.names
                        else pa.nulls(rows.num_rows, SPOOL_SCHEMA.field(name).type)
                        for name in COLUMNS
                    ]
                    writer.write_batch(pa.record_batch(columns, schema=SPOOL_SCHEMA))
                    runs.append(_runs(columns[0], len(runs)))
    index = pa.concat_tables([INDEX_SCHEMA.empty_table(), *runs])
    index = index.sort_by([(name, "ascending") for name in INDEX_SCHEMA.names[:3]]).combine_chunks()
    written = partial.with_name(f"{index_of(path).name}.{os.getpid()}.tmp")
    with pa.OSFile(str(written), "wb") as sink, pa.ipc.new_file(sink, INDEX_SCHEMA) as writer:
        writer.write_table(index)
    written.replace(index_of(path))
    partial.replace(path)


def _runs(ids: pa.Array, batch: int) -> pa.Table:
    """Where equal tool sets stand together in a batch."""
    values = ids.to_numpy(zero_copy_only=False)
    first = np.flatnonzero(np.concatenate([[True] * (len(values) > 0), values[1:] != values[:-1]]))
    count = np.diff(np.concatenate([first, [len(values)]]))
    return pa.table([ids.take(pa.array(first)), np.full(len(first), batch), first, count], schema=INDEX_SCHEMA)


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["position"])


def _read(file: Path) -> pa.Table:
    """The columns of a file; those that are missing are null (data of another version)."""
    table = pq.ParquetFile(file)
    present = [column for column in COLUMNS if column in table.schema_arrow.names]
    found = table.read(columns=present)
    for column in COLUMNS:
        if column not in present:
            found = found.append_column(column, pa.nulls(found.num_rows, pa.string()))
    return found.select(COLUMNS)
