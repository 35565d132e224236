"""One block from raw records to finished part files: what a worker does, alone and repeatably."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tldata import schema
from tldata.blocks import Block, parse, records
from tldata.classify import Classifier
from tldata.errors import RecordError
from tldata.formats import get_format
from tldata.formats.base import Format, ReadOptions, Skip
from tldata.formats.others import what_it_is
from tldata.jsontext import dumps
from tldata.limits import Watchdog
from tldata.processes import become_worker
from tldata.record import Trajectory
from tldata.scrub import Scrubber, Scrubbing
from tldata.sources import Source
from tldata.spill import Spill, n_partitions, set_aside
from tldata.tables import PREFIXES, Tables, raw_text
from tldata.tools import load_tools

MAX_REJECT = 1 << 20  # characters of a rejected record that are kept
RECORD_BUDGET = Watchdog(120.0)  # for parsing, scrubbing and reading one record; real ones of 500 MB take less
TOO_LONG = f"more than {RECORD_BUDGET.seconds:g} seconds of processor time to read"
COMPRESSION = {"compression": "zstd", "compression_level": 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the content of part files; equal plans give equal parts, so a run can be resumed.

    ``formats`` holds the reader's name per source (None: no format fits, every record is rejected).
    """

    staging: Path
    sources: tuple[Source, ...]
    formats: tuple[str | None, ...]
    options: ReadOptions
    rules: tuple[str, ...] = ()
    tools: str | None = None  # file of declarations for trajectories that have none
    keep_prefixes: bool = False
    partitions: int = 0  # into how many the rows of groups are divided
    scrubbing: Scrubbing | None = None  # what becomes of secrets before anything is written; None: they stay


@dataclass(slots=True)
class Counts:
    """What became of a block's records; the same fields are summed over all blocks."""

    inputs: int = 0
    trajectories: int = 0
    calls: int = 0
    orphans: int = 0
    merged: int = 0  # rows of a group after its first
    several: int = 0  # trajectories beyond the first of their record
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    scrubbed: Counter[str] = field(default_factory=Counter)  # values replaced, by kind

    def to_json(self) -> dict[str, Any]:
        plain = {
            name: getattr(self, name) for name in ("inputs", "trajectories", "calls", "orphans", "merged", "several")
        }
        return plain | {name: dict(getattr(self, name)) for name in ("skipped", "rejected", "repaired", "scrubbed")}

    def add(self, other: dict[str, Any]) -> None:
        for name, value in other.items():
            if isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


_STATE: dict[str, Any] = {}


def start_worker(plan: Plan, parent: int | None = None) -> None:
    """Prepare a process to do blocks of one plan; it dies with its parent, so that no orphan writes on."""
    if parent is not None:
        become_worker(parent)
    _STATE.clear()
    _STATE["plan"] = plan
    _STATE["tools"] = None if plan.tools is None else load_tools(plan.tools)
    _STATE["classifier"] = Classifier(plan.rules)
    scrubber = _STATE["scrubber"] = None if plan.scrubbing is None else Scrubber(plan.scrubbing)
    if scrubber is not None:
        _STATE["tools"] = scrubber.value(_STATE["tools"])


def part_state() -> tuple[Plan, Classifier, list[Any] | None]:
    """What this process was prepared with: the plan, the classifier, and the tools for trajectories that declare none."""
    return _STATE["plan"], _STATE["classifier"], _STATE["tools"]


def partitions(sources: Sequence[Source], formats: Sequence[str | None]) -> int:
    """Into how many partitions the rows of groups go; 0 where no source is of a format of rows."""
    grouped = {name for name in set(formats) if name is not None and get_format(name).rows is not None}
    sizes = [
        source.size * (10 if source.packed else 1)
        for source, name in zip(sources, formats, strict=True)
        if name in grouped
    ]
    return n_partitions(sizes) if grouped else 0


def do_block(block: Block) -> tuple[str, dict[str, Any]]:
    """Read, pair, classify and write one block; returns its name and counts.

    The marker file is written last, under its final name in one step: a block is done or not begun.
    """
    gc.disable()  # a block makes hundreds of thousands of objects and no cycles
    try:
        return _do_block(block)
    finally:
        gc.enable()


def _do_block(block: Block) -> tuple[str, dict[str, Any]]:
    plan: Plan = _STATE["plan"]
    source = plan.sources[block.source]
    tables, counts = Tables(), Counts()
    scrubber: Scrubber | None = _STATE["scrubber"]
    if scrubber is not None:
        scrubber.counts = counts.scrubbed
    format_name = plan.formats[block.source]
    reader = None if format_name is None else get_format(format_name)
    if block.problem is not None:
        rest = reject_text(block.data or b"", scrubber)
        counts.inputs += 1
        counts.rejected[block.problem] += 1
        tables.add_reject(source.name, block.first, block.problem, rest)
    elif reader is not None and reader.rows is not None:
        spill = Spill(plan.partitions)
        for line, raw in records(block, source):
            _set_aside(tables, counts, spill, reader, source, block.source, line, raw, scrubber)
        spill.write(plan.staging / "spilled" / f"{block_name(block)}.rows")
    else:
        for line, raw in records(block, source):
            _do_record(tables, counts, plan.options, source, line, raw, reader, _STATE["tools"], scrubber)
    counts.orphans = tables.n_orphans
    classifier: Classifier = _STATE["classifier"]
    classifier.classify(tables)
    name = block_name(block)
    write_parts(plan, name, tables)
    marker = plan.staging / "blocks" / f"{name}.json"
    write_atomically(marker, orjson.dumps(counts.to_json()))
    return name, counts.to_json()


def block_name(block: Block) -> str:
    return f"{block.source:05d}-{block.number:06d}"


def _do_record(
    tables: Tables,
    counts: Counts,
    options: ReadOptions,
    source: Source,
    line: int,
    raw: bytes | dict,
    reader: Format | None,
    supplied: list[Any] | None,
    scrubber: Scrubber | None = None,
) -> None:
    """Count one record as exactly one of: source of trajectories, skipped by kind, rejected with a reason."""
    counts.inputs += 1
    try:
        with RECORD_BUDGET:
            record, repairs = parse(raw)
            if scrubber is not None:
                record = scrubber.value(record)
            if reader is None:
                other = what_it_is(record)
                raise RecordError(f"no known format{f': {other}' if other else ''}; found {describe(record)}")
            found = list(reader.read(record, options))
        if not found:
            raise RecordError("the record holds no trajectory")
        for trajectory in found:
            if not trajectory.messages:
                raise RecordError("the trajectory has no messages")
    except Skip as skip:
        counts.skipped[skip.kind] += 1
        return
    except RecordError as error:
        reason = error.message
    except RecursionError:
        reason = "nested too deeply"
    except TimeoutError:
        reason = TOO_LONG
    except Exception as error:  # a reader met what it does not know: the record is rejected, never the run lost
        reason = f"the reader {reader.name if reader else ''} failed on it: {type(error).__name__}: {error}"
    else:
        try:
            add_found(tables, counts, source, line, found, repairs, reader.name if reader else "", supplied)
            return
        except RecordError as error:
            reason = error.message
    _reject(tables, counts, source, line, reason, raw, scrubber)


def _set_aside(
    tables: Tables,
    counts: Counts,
    spill: Spill,
    reader: Format,
    source: Source,
    place: int,
    line: int,
    raw: bytes | dict,
    scrubber: Scrubber | None = None,
) -> None:
    """Count one record, and keep its rows for their groups; one without any is skipped by kind or rejected with a reason."""
    counts.inputs += 1
    try:
        with RECORD_BUDGET:
            set_aside(spill, reader, place, line, raw, None if scrubber is None else scrubber.value)
        return
    except Skip as skip:
        counts.skipped[skip.kind] += 1
        return
    except RecordError as error:
        reason = error.message
    except RecursionError:
        reason = "nested too deeply"
    except TimeoutError:
        reason = TOO_LONG
    except Exception as error:  # as in _do_record
        reason = f"the reader {reader.name} failed on it: {type(error).__name__}: {error}"
    _reject(tables, counts, source, line, reason, raw, scrubber)


def _reject(
    tables: Tables,
    counts: Counts,
    source: Source,
    line: int,
    reason: str,
    raw: bytes | dict,
    scrubber: Scrubber | None,
) -> None:
    if scrubber is not None:
        reason = scrubber.text(reason)
    counts.rejected[generic(reason)] += 1
    tables.add_reject(source.name, line, reason, reject_text(raw, scrubber))


def reject_text(raw: bytes | dict, scrubber: Scrubber | None) -> str:
    """What ``rejects`` holds of a record: the beginning of it, without its secrets where they are to go."""
    if scrubber is None:
        return raw_text(raw)
    try:
        record = parse(raw)[0]
        counted = dict(scrubber.counts)  # when it was read; not again
        clean = scrubber.value(record)
        scrubber.counts.clear()
        scrubber.counts.update(counted)
    except (RecordError, RecursionError):
        text = raw_text(raw, MAX_REJECT + 65_536)  # what the cut divides is no longer known for what it is
        return scrubber.text(text)[:MAX_REJECT]
    return raw_text(raw) if clean is record else dumps(clean)[:MAX_REJECT]


def add_found(
    tables: Tables,
    counts: Counts,
    source: Source,
    line: int,
    found: list[Trajectory],
    repairs: Sequence[str],
    format_name: str,
    supplied: list[Any] | None,
) -> None:
    """Put the trajectories of one record, or of a group that begins with it, into the tables, and count them.

    Raises:
        RecordError: a value in them is nested too deeply to be written as JSON; nothing of them is then in the tables.
    """
    mark = tables.mark()
    base = f"{source.label}:{line}"
    for trajectory in found:
        if trajectory.tools is None and supplied is not None:
            trajectory.tools = supplied
            trajectory.metadata.setdefault("$tldata", {}).setdefault("absent", []).append("tools")
        if repairs:
            trajectory.metadata.setdefault("$tldata", {})["repaired"] = list(repairs)
        identity = base if trajectory.branch is None else f"{base}:{trajectory.branch}"
        try:
            tables.add(trajectory, identity, source.name, line, format_name)
        except RecursionError:
            tables.back_to(mark)
            raise RecordError("nested too deeply") from None
    counts.repaired.update(repairs)
    counts.trajectories += len(found)
    counts.several += len(found) - 1


def describe(record: Any) -> str:
    """A record's shape in a few words: its first keys, or its type."""
    if isinstance(record, dict):
        return "the keys " + ", ".join(list(map(str, record))[:8]) if record else "an empty object"
    return f"a {type(record).__name__}"


def generic(reason: str) -> str:
    """A reason without the numbers that differ from record to record, for counting."""
    head = reason.split("; found", 1)[0]
    return "".join("#" if c.isdigit() else c for c in head)[:200]


def write_parts(plan: Plan, name: str, tables: Tables) -> None:
    """Write the block's rows of each table; tables without rows get no file."""
    write_part(plan.staging, "trajectories", name, schema.TRAJECTORIES, tables.trajectories)
    write_part(plan.staging, "messages", name, schema.MESSAGES, tables.messages)
    write_part(plan.staging, "calls", name, schema.CALLS, tables.calls)
    write_part(plan.staging, "rejects", name, schema.REJECTS, tables.rejects)
    if not plan.keep_prefixes:
        write_part(plan.staging, "prefixes", name, PREFIXES, tables.prefixes)
    rows = [row for rows in tables.toolsets.values() for row in rows]
    if rows:
        columns = {key: [row[key] for row in rows] for key in schema.TOOLSETS.names}
        write_part(plan.staging, "toolsets", name, schema.TOOLSETS, columns)


def write_part(staging: Path, table: str, name: str, columns: pa.Schema, values: dict[str, list]) -> None:
    """Write one part of one table under its final name in one step; no rows, no file."""
    if not values[columns.names[0]]:
        return
    arrays = [_array(values[column.name], column.type) for column in columns]
    part = pa.Table.from_arrays(arrays, schema=columns)
    target = staging / table / f"{name}.parquet"
    partial = target.with_suffix(".tmp")
    pq.write_table(part, partial, row_group_size=64_000, **COMPRESSION)
    partial.replace(target)


def _array(values: list, kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type=kind)
    except UnicodeEncodeError:  # a lone surrogate that came in by way of escaped JSON text
        clean = [
            v.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(v, str) else v for v in values
        ]
        return pa.array(clean, type=kind)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file under a temporary name, flush it to disk, and rename it."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)
