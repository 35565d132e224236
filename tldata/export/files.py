"""Files that exports write: JSON lines or Parquet by the name's suffix, whole or not at all, a chunk of rows at a time."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tldata.errors import UsageError
from tldata.jsontext import dumps

ROWS_AT_ONCE = 1000
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json", "")


@contextmanager
def open_atomically(output: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is written whole; ``.gz`` and ``.zst`` names are packed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.tmp")
    try:
        with _packer(partial, output.suffix) as target:
            yield target
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _packer(path: Path, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "wb"))
    if suffix == ".zst":
        return cast(BinaryIO, zstandard.open(path, "wb"))
    return path.open("wb")


def check_suffix(output: Path, target: str, *, lines: bool = True, parquet: bool = True) -> None:
    """Refuse an output whose suffix names a container that the target does not come in.

    Raises:
        UsageError: says which suffixes there are.
    """
    packed = output.suffix in (".gz", ".zst")
    suffix = Path(output.stem).suffix if packed else output.suffix
    good = [".jsonl", ".jsonl.gz", ".jsonl.zst"] if lines else []
    good += [".parquet"] if parquet else []
    is_parquet = suffix == ".parquet"
    if (is_parquet and (packed or not parquet)) or (not is_parquet and not lines):
        raise UsageError(f"{output.name}: --to {target} is written as {' or '.join(good)}", hint=f"-o data{good[0]}")


def write_rows(output: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows, whole or not at all, in bounded memory.

    Args:
        output: ``.parquet``, or any other name for JSON lines (packed by ``.gz`` and ``.zst``), where absent keys stay absent.
        rows: consumed as they are written.
        schema: of the Parquet file. A column of type ``arrow.json`` (or a list of them) takes any JSON values.
    """
    rows = iter(rows)
    with open_atomically(output) as target:
        if output.suffix != ".parquet":
            for row in rows:
                target.write(dumps(row).encode() + b"\n")
            return
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            while chunk := list(islice(rows, ROWS_AT_ONCE)):
                columns = [_column([row.get(field.name) for row in chunk], field.type) for field in schema]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind) and _is_json(kind.value_type):
        texts = pa.array([None if value is None else [dumps(item) for item in value] for value in values])
        flat = pa.ExtensionArray.from_storage(kind.value_type, texts.values.cast(pa.string()))
        return pa.ListArray.from_arrays(texts.offsets, flat, mask=texts.is_null())
    return pa.array(values, kind)


def _is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType)


JSON = pa.json_(pa.string())
JSON_LIST = pa.list_(JSON)
