"""Write the rows of a part, and make finished parts a token set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from tldata.schema import SPAN, TOKENS
from tldata.tokenize.rows import Row

REJECTS = pa.schema([("trajectory_id", pa.string()), ("reason", pa.string())])
SPAN_FIELDS = [SPAN.field(i).name for i in range(SPAN.num_fields)]
DIGEST_BITS = 128
# Without dictionaries, token columns take a quarter less time to write and a third less room.
PACKED: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_statistics": ["trajectory_id"]}


class PartWriter:
    """Writes rows under a temporary name; leaving the block without an error renames the file, with one removes it.

    No file is written for no rows. ``digest`` is of the rows written so far, whatever their order and the parts they stand in:
    the sum of each row's 128-bit hash. With ``submit`` (of an executor of one thread) rows are packed while the caller goes on.
    """

    def __init__(self, path: Path, submit: Callable[..., Future[None]] | None = None) -> None:
        self.path = path
        self.digest = 0
        self._submit = submit
        self._packing: Future[None] | None = None
        self._partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        try:
            self._wait(raising=kind is None)
            self._writer.close()
            if kind is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows as one row group."""
        if not rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._partial, TOKENS, **PACKED)
        batch = record_batch(rows)
        if self._submit is None:
            self._writer.write_batch(batch)
        else:
            self._wait()  # at most one batch waits to be packed
            self._packing = self._submit(self._writer.write_batch, batch)
        for row in rows:
            self.digest = (self.digest + row_digest(row)) % (1 << DIGEST_BITS)

    def _wait(self, *, raising: bool = True) -> None:
        packing, self._packing = self._packing, None
        if packing is not None:
            error = packing.exception()
            if error is not None and raising:
                raise error


def row_digest(row: Row) -> int:
    """Hash of a row's ids, masks, weights and place; the same on every machine."""
    found = xxhash.xxh3_128(f"{row.trajectory_id}\0{row.part}\0".encode())
    for part in (row.ids, row.loss, row.keys, row.weights):
        found.update(part.data)
    return found.intdigest()


def finish_set(folder: Path, results: Sequence[dict[str, Any]], manifest: dict[str, Any]) -> None:
    """Complete the folder that holds all parts' rows: the rejects, and the manifest last."""
    if not any(result["rows"] for result in results):
        pq.write_table(TOKENS.empty_table(), folder / "part-00000.parquet", compression="zstd")
    pairs = [pair for result in results for pair in result["rejects"]]
    (folder / "rejects").mkdir(exist_ok=True)
    rejects = pa.table([[identity for identity, _ in pairs], [reason for _, reason in pairs]], schema=REJECTS)
    pq.write_table(rejects, folder / "rejects" / "rejects.parquet", compression="zstd")
    write_whole(folder / "manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file under a temporary name and rename it, so that it is there as a whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_bytes(data)
    partial.replace(path)


def record_batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as Arrow, in the schema ``TOKENS``."""
    offsets = np.cumsum([0, *(row.ids.size for row in rows)], dtype=np.int32)

    def lists(parts: list[np.ndarray], kind: pa.DataType) -> pa.ListArray:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(parts), kind))

    spans = [span for row in rows for span in row.spans]
    span_offsets = np.cumsum([0, *(len(row.spans) for row in rows)], dtype=np.int32)
    fields = [pa.array([span[name] for span in spans], SPAN.field(name).type) for name in SPAN_FIELDS]
    columns = [
        pa.array([row.trajectory_id for row in rows]),
        pa.array([row.part for row in rows], pa.int32()),
        lists([row.ids for row in rows], pa.int32()),
        lists([row.loss for row in rows], pa.bool_()),
        lists([row.keys for row in rows], pa.bool_()),
        lists([row.weights for row in rows], pa.float32()),
        pa.array([row.ids.size for row in rows], pa.int32()),
        pa.array([int(row.loss.sum()) for row in rows], pa.int32()),
        pa.array([int(row.keys.sum()) for row in rows], pa.int32()),
        pa.array([row.truncated for row in rows]),
        pa.ListArray.from_arrays(
            pa.array(span_offsets), pa.StructArray.from_arrays(fields, fields=[SPAN.field(n) for n in SPAN_FIELDS])
        ),
    ]
    return pa.record_batch(columns, schema=TOKENS)
