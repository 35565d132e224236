"""Write RL rows to Parquet or JSON lines, by the file's extension, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tldata.export.files import open_atomically
from tldata.jsontext import dumps
from tldata.stream import Row

ROWS_AT_ONCE = 1000

# Arrow gives every message of a column the same keys: those that a message lacks are null in Parquet. So calls and
# their ids are columns only where a prompt has some, and arguments are JSON text.
_PLAIN = [("role", pa.string()), ("content", pa.string())]
_FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
_CALLS = [
    ("reasoning_content", pa.string()),
    ("name", pa.string()),
    ("tool_call_id", pa.string()),
    ("tool_calls", pa.list_(pa.struct([("id", pa.string()), ("type", pa.string()), ("function", _FUNCTION)]))),
]
_EXTRA_INFO = [
    ("split", pa.string()),
    ("index", pa.int64()),
    ("trajectory_id", pa.string()),
    ("turn", pa.int32()),
    ("tools", pa.string()),
    ("rest", pa.string()),
    ("template", pa.string()),
]


def columns(kind: str, *, with_calls: bool) -> pa.Schema:
    """The Parquet columns of ``rl`` or ``verl-rl`` rows."""
    prompt = ("prompt", pa.list_(pa.struct(_PLAIN + _CALLS if with_calls else _PLAIN)))
    if kind == "rl":
        texts = [(name, pa.string()) for name in ("prompt_text", "gold", "tools", "trajectory_id")]
        return pa.schema([prompt, *texts, ("turn", pa.int32()), ("template", pa.string())])
    return pa.schema(
        [
            ("data_source", pa.string()),
            prompt,
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
            ("extra_info", pa.struct(_EXTRA_INFO)),
            ("rendered_prompt", pa.list_(pa.struct(_PLAIN))),
        ]
    )


def write_rows(output: Path, rows: Iterator[Row], *, kind: str, with_calls: bool) -> None:
    """Write rows, whole or not at all.

    Args:
        output: ``.parquet``, or any other name for JSON lines (``.gz`` packed), where absent keys stay absent.
        rows: consumed as they are written.
        kind: ``rl`` or ``verl-rl``.
        with_calls: whether messages of prompts can have calls, ids and reasoning.
    """
    with open_atomically(output) as target:
        if output.suffix != ".parquet":
            for row in rows:
                target.write(dumps(row).encode() + b"\n")
            return
        schema = columns(kind, with_calls=with_calls)
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            while chunk := list(islice(rows, ROWS_AT_ONCE)):
                writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
