"""Assemble rows that were set aside by their group into trajectories, a bounded part of the groups at a time, and account for every row."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from tldata import schema
from tldata.errors import RecordError
from tldata.finish import connect
from tldata.formats import get_format
from tldata.formats.base import Group, Skip
from tldata.jsontext import loads
from tldata.record import Trajectory
from tldata.spill import Row, read_spill
from tldata.sqlfiles import read_sql
from tldata.tables import Tables, raw_text
from tldata.work import Counts, Plan, add_found, generic, part_state, write_atomically, write_part, write_parts

MAX_GROUP = 256 << 20  # bytes; a larger group is rejected instead of held in memory
SKIPPED, REJECTED, MERGED, SOURCE = range(
    4
)  # what becomes of a row; of several in one record, the highest is the record's
MEMBERS = pa.schema(
    [
        ("source", pa.int32()),
        ("line", pa.int64()),
        ("state", pa.int8()),
        ("reason", pa.string()),  # of a reject; kind of a skip
        ("merged_into", pa.string()),  # trajectory_id that a merged row went into
        ("raw", pa.string()),
    ]
)


@dataclass(slots=True)
class _Fate:
    """What one partition's rows become. Records that hold several rows may have them in several partitions: they are settled last."""

    plan: Plan
    tables: Tables = field(default_factory=Tables)
    per_source: dict[int, Counts] = field(default_factory=dict)
    merged: dict[str, list] = field(default_factory=lambda: {name: [] for name in schema.MERGED.names})
    members: dict[str, list] = field(default_factory=lambda: {name: [] for name in MEMBERS.names})

    def counts(self, source: int) -> Counts:
        return self.per_source.setdefault(source, Counts())

    def book(self, source: int, row: Row, state: int, reason: str | None, into: str | None) -> None:
        raw = raw_text(row.row) if state == REJECTED else None
        if row.pieces > 1:
            for name, value in zip(MEMBERS.names, (source, row.line, state, reason, into, raw), strict=True):
                self.members[name].append(value)
        elif state == SKIPPED:
            self.counts(source).skipped[reason or ""] += 1
        elif state == REJECTED:
            self.counts(source).rejected[generic(reason or "")] += 1
            self.tables.add_reject(self.plan.sources[source].name, row.line, reason or "", raw or "")
        elif state == MERGED:
            self.counts(source).merged += 1
            values = (self.plan.sources[source].name, row.line, None, None, into, None)
            for name, value in zip(schema.MERGED.names, values, strict=True):
                self.merged[name].append(value)


def partition_name(number: int) -> str:
    return f"groups-{number:06d}"


def do_partition(number: int) -> tuple[str, dict[str, Any]]:
    """Assemble, classify and write the groups of one partition; returns its name and the counts of each source.

    A group's place is its first row's: groups are assembled in the order of their first rows, and that row's record is their source.
    The same rows give the same parts; the marker is written last, in one step.
    """
    plan, classifier, supplied = part_state()
    fate = _Fate(plan)
    gc.disable()  # as for blocks
    try:
        for listed in _groups(plan.staging, number):
            _do_group(fate, listed, supplied)
        classifier.classify(fate.tables)
    finally:
        gc.enable()
    name = partition_name(number)
    write_parts(plan, name, fate.tables)
    write_part(plan.staging, "merged", name, schema.MERGED, fate.merged)
    write_part(plan.staging, "members", name, MEMBERS, fate.members)
    result = {str(source): counts.to_json() for source, counts in sorted(fate.per_source.items())}
    write_atomically(plan.staging / "blocks" / f"{name}.json", orjson.dumps(result))
    return name, result


def _groups(staging: Path, number: int) -> list[list[tuple[int, Row]]]:
    """The rows of a partition by group, each with its source; of a group that is too large only the places are kept."""
    groups: dict[str, list[tuple[int, Row]]] = {}
    sizes: dict[str, int] = {}
    spilled = {path: tuple(map(int, path.stem.split("-"))) for path in (staging / "spilled").glob("*.rows")}
    for path, (source, _) in sorted(spilled.items(), key=lambda item: item[1]):
        for row in read_spill(path, number):
            group = groups.setdefault(row.key, [])
            size = sizes[row.key] = sizes.get(row.key, 0) + len(row.row)
            if size > MAX_GROUP:
                if group and group[-1][1].row:
                    group[:] = [(place, one._replace(row=b"")) for place, one in group]
                row = row._replace(row=b"")
            group.append((source, row))
    return list(groups.values())


def _do_group(fate: _Fate, listed: Sequence[tuple[int, Row]], supplied: list[Any] | None) -> None:
    """Assemble one group; its first row that is part of it is the source, the others are merged, skipped or rejected with a reason."""
    reader = get_format(listed[0][1].key.partition("\0")[0])
    group, repairs = Group([]), dict[str, None]()
    rest, reason = REJECTED, ""
    found: list[Trajectory] = []
    try:
        if any(not row.row for _, row in listed):
            raise RecordError(f"a group of more than {MAX_GROUP >> 20} MB")
        for _, row in listed:
            value, fixed = loads(row.row)
            group.rows.append(value)
            repairs.update(dict.fromkeys(fixed))
        assert reader.assemble is not None
        found = list(reader.assemble(group, fate.plan.options))
        if not found or not all(trajectory.messages for trajectory in found):
            raise RecordError("the group holds no trajectory")
        if len(group.rejected.keys() | group.skipped.keys()) == len(listed):
            raise RecordError("no row of the group is part of its trajectory")
    except Skip as skip:
        rest, reason = SKIPPED, skip.kind
    except RecordError as error:
        reason = error.message
    except RecursionError:
        reason = "nested too deeply"
    except Exception as error:  # as for a record: rejected, never the run lost
        reason = f"the reader {reader.name} failed on it: {type(error).__name__}: {error}"
    else:
        rest = MERGED
    into = None
    for place, (source, row) in enumerate(listed):
        if place in group.rejected:
            fate.book(source, row, REJECTED, group.rejected[place], None)
        elif place in group.skipped:
            fate.book(source, row, SKIPPED, group.skipped[place], None)
        elif rest == MERGED and into is None:
            try:
                into = _add(fate, source, row, found, list(repairs), reader.name, supplied)
                fate.book(source, row, SOURCE, None, into)
            except RecordError as error:
                rest, reason = REJECTED, error.message
                fate.book(source, row, rest, reason, None)
        else:
            fate.book(source, row, rest, reason or None, into)


def _add(
    fate: _Fate,
    source: int,
    row: Row,
    found: list[Trajectory],
    repairs: list[str],
    name: str,
    supplied: list[Any] | None,
) -> str:
    """Put a group's trajectories into the tables; returns the first one's id."""
    if row.pieces > 1:  # other groups may begin with this record too: number them by its row
        for place, trajectory in enumerate(found):
            trajectory.branch = row.piece + place * row.pieces
    ids = fate.tables.trajectories["trajectory_id"]
    first, orphans = len(ids), fate.tables.n_orphans
    counts = fate.counts(source)
    add_found(fate.tables, counts, fate.plan.sources[source], row.line, found, repairs, name, supplied)
    counts.orphans += fate.tables.n_orphans - orphans
    return ids[first]


def settle(plan: Plan, book: Callable[[int, dict[str, Any]], None]) -> None:
    """Say of every record that holds several rows what has become of it, once all partitions are done.

    Args:
        plan: the run; ``merged`` and ``rejects`` get a part each.
        book: called with a source's place and counts to add.
    """
    if not any((plan.staging / "members").glob("*.parquet")):
        return
    fate = _Fate(plan)
    with connect(plan.staging) as connection:
        for source, line, state, reason, into, raw in connection.execute(read_sql("annotate/row_fates")).fetchall():
            fate.book(source, Row("", line, 0, 1, (raw or "").encode()), state, reason, into)
    write_part(plan.staging, "merged", "members", schema.MERGED, fate.merged)
    write_part(plan.staging, "rejects", "members", schema.REJECTS, fate.tables.rejects)
    for source, counts in fate.per_source.items():
        book(source, counts.to_json())
