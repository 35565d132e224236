"""Rows that make trajectories together, set aside on disk by their group, so that groups whose rows lie far apart need no memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from xxhash import xxh3_64_intdigest

from tldata.errors import RecordError
from tldata.formats.base import Format
from tldata.jsontext import dumps, loads

PARTITION = 32 << 20  # bytes of rows that are assembled at once, about
MAX_PARTITIONS = 4096
SCHEMA = pa.schema(
    [
        ("key", pa.large_string()),
        ("line", pa.int64()),
        ("piece", pa.int32()),
        ("pieces", pa.int32()),
        ("row", pa.large_binary()),
    ]
)


class Row(NamedTuple):
    """One row of a group: its group's key, its record's line, its place among the ``pieces`` rows of that record, its JSON."""

    key: str
    line: int
    piece: int
    pieces: int
    row: bytes


@dataclass(slots=True)
class Spill:
    """The rows of one block, by partition. Rows of one group always go to one partition.

    On disk: the offsets of the partitions (``partitions + 1`` numbers of 8 bytes), then each partition's rows as an Arrow stream.
    """

    partitions: int
    rows: dict[int, list[Row]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        place = xxh3_64_intdigest(row.key.encode("utf-8", "replace")) % self.partitions
        self.rows.setdefault(place, []).append(row)

    def write(self, path: Path) -> None:
        """Write the file in one step, under its final name only when it is whole."""
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        pieces = []
        for partition in range(self.partitions):
            sink = pa.BufferOutputStream()
            if listed := self.rows.get(partition):
                columns = [
                    pa.array(values, kind) for values, kind in zip(zip(*listed, strict=True), SCHEMA.types, strict=True)
                ]
                with pa.ipc.new_stream(sink, SCHEMA, options=options) as stream:
                    stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
            pieces.append(sink.getvalue())
        offsets = [8 * (self.partitions + 1)]
        for piece in pieces:
            offsets.append(offsets[-1] + piece.size)
        partial = path.with_name(path.name + ".tmp")
        with partial.open("wb") as handle:
            handle.write(struct.pack(f"<{len(offsets)}q", *offsets))
            for piece in pieces:
                handle.write(piece)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)


def read_spill(path: Path, partition: int) -> list[Row]:
    """The rows of one partition of a block, in their order."""
    with path.open("rb") as handle:
        handle.seek(8 * partition)
        start, end = struct.unpack("<2q", handle.read(16))
        if start == end:
            return []
        handle.seek(start)
        table = pa.ipc.open_stream(handle.read(end - start)).read_all()
    return [Row(*values) for values in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def n_partitions(sizes: Iterable[int]) -> int:
    """Into how many partitions the rows of files of these sizes go; the same for every run over the same files.

    >>> n_partitions([]), n_partitions([100 << 20])
    (1, 4)
    """
    return min(max(-(-sum(sizes) // PARTITION), 1), MAX_PARTITIONS)


def set_aside(
    spill: Spill,
    reader: Format,
    source: int,
    line: int,
    raw: bytes | dict,
    scrub: Callable[[Any], Any] | None = None,
) -> None:
    """Put the rows of one record aside for their groups.

    Args:
        spill: where to.
        reader: a format with ``rows``.
        source, line: the record's place; rows without a key of their own belong to their file's group.
        raw: the record.
        scrub: what takes secrets out of it before anything of it reaches the disk.

    Raises:
        Skip, RecordError: the record holds no row, or is no JSON.
    """
    assert reader.rows is not None
    record = raw if isinstance(raw, dict) else loads(raw)[0]
    if scrub is not None:
        raw, record = b"", scrub(record)
    rows = list(reader.rows(record))
    if not rows:
        raise RecordError("the record holds no row")
    for piece, (key, row) in enumerate(rows):
        text = raw if raw and isinstance(raw, bytes) and row is record else dumps(row).encode("utf-8", "replace")
        owner = f"key {key}" if key else f"record {source} {line}" if key is None else f"file {source}"
        spill.add(Row(f"{reader.name}\0{owner}", line, piece, len(rows), text))
