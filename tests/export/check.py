"""Check every record of an export against the written schema of its target, JSON text inside of strings included."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard
from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).with_name("schemas")


def read_rows(path: Path) -> Iterator[Any]:
    """The records of a file of any container that exports write."""
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    openers = {".gz": gzip.open, ".zst": zstandard.open}
    with openers.get(path.suffix, open)(path, "rb") as lines:
        for line in lines.read().splitlines():
            yield json.loads(line)


def check(target: str, path: Path) -> int:
    """Validate a file's records; returns how many there are."""
    schema = json.loads((SCHEMAS / f"{target}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    inner = [
        (place, Draft202012Validator({**part, "$defs": schema.get("$defs", {})}))
        for place, part in _texts(schema, schema)
    ]
    count = 0
    for record in read_rows(path):
        count += 1
        for error in validator.iter_errors(record):
            raise AssertionError(f"{path.name} record {count}: {error.json_path}: {error.message[:300]}")
        for keys, one in inner:
            for text in _at(record, keys):
                if text:
                    one.validate(json.loads(text))
    return count


def _texts(schema: Any, root: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Where strings hold JSON, which validators do not look into: the keys that lead there, ``*`` for items, and the schema."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _texts(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, keys)
    if "contentSchema" in schema:
        yield keys, schema["contentSchema"]
    for name, inner in schema.get("properties", {}).items():
        yield from _texts(inner, root, (*keys, name))
    if "items" in schema:
        yield from _texts(schema["items"], root, (*keys, "*"))
    for key in ("anyOf", "allOf"):
        for inner in schema.get(key, ()):
            yield from _texts(inner, root, keys)


def _at(value: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    if not keys:
        yield value
    elif keys[0] == "*":
        for item in value if isinstance(value, list) else ():
            yield from _at(item, keys[1:])
    elif isinstance(value, dict) and keys[0] in value:
        yield from _at(value[keys[0]], keys[1:])
