"""What a format is: how to recognise one of its records, and how to read it, or the group of rows it belongs to, into trajectories."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tldata.errors import RecordError
from tldata.record import Trajectory


class Skip(Exception):
    """Raised by a reader for a record that is no trajectory by its kind (a summary line, a header); counted by ``kind``."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices that readers honour. ``branches``: of an answer tree take the one path to its ``answer``, or ``all`` leaves."""

    branches: str = "answer"


@dataclass(slots=True)
class Group:
    """Rows that make one trajectory together, in the order in which they stand.

    ``rejected`` and ``skipped`` say of rows, by their place, why they are no part of it; all others are: the first as its source, the rest merged into it.
    """

    rows: list[Any]
    rejected: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)


Rows = Callable[[Any], Iterable[tuple[str | None, Any]]]
Assemble = Callable[[Group, ReadOptions], Iterable[Trajectory]]


@dataclass(frozen=True, slots=True)
class Format:
    """A raw format, as one row of the registry.

    ``score(record)`` says how well one parsed JSON record fits, from 0 (not at all) to 1 (it can be nothing else); it never raises.
    ``read(record, options)`` yields its trajectories, raises ``RecordError`` with a reason, or ``Skip`` with a kind.
    ``example`` is one small complete record as JSON text, which ``tldata formats`` prints and the tests read.
    ``notes`` says in a sentence or two where tools and error flags live and which traps are handled.

    Where many rows make one trajectory, ``rows(record)`` gives the rows that a record holds, each with the key of its group (empty: the
    file it stands in; None: this record alone), or raises as ``read`` does; and ``assemble(group, options)`` gives a group's trajectories. ``read`` is then
    ``read_groups`` of these two.
    """

    name: str
    title: str
    score: Callable[[Any], float]
    read: Callable[[Any, ReadOptions], Iterable[Trajectory]]
    example: str
    notes: str
    rows: Rows | None = None
    assemble: Assemble | None = None


def read_groups(rows: Rows, assemble: Assemble) -> Callable[[Any, ReadOptions], list[Trajectory]]:
    """The ``read`` of a format of rows: a record that holds whole groups gives the trajectories of all of them."""

    def read(record: Any, options: ReadOptions) -> list[Trajectory]:
        groups: dict[str | None, Group] = {}
        for key, row in rows(record):
            groups.setdefault(key, Group([])).rows.append(row)
        found = [trajectory for group in groups.values() for trajectory in assemble(group, options)]
        if not found:
            reasons = [reason for group in groups.values() for reason in group.rejected.values()]
            raise RecordError(reasons[0] if reasons else "the rows hold no trajectory")
        if len(groups) > 1:
            for place, trajectory in enumerate(found):
                trajectory.branch = place
        return found

    return read


def each_row(row: Callable[[dict[str, Any]], tuple[str, Any]], *wrappers: str) -> Rows:
    """``rows`` of a format whose rows are objects: the record itself, the items of a list, or of the list under one of ``wrappers``.

    Items of a list without a key of their own belong together. Items that are skipped by their kind are left out of it; one that cannot be read rejects the whole.
    """

    def rows(record: Any) -> list[tuple[str | None, Any]]:
        items = record
        if isinstance(record, dict):
            items = next((record[key] for key in wrappers if isinstance(record.get(key), list)), None)
            if items is None:
                return [row(record)]
        if not isinstance(items, list):
            raise RecordError(f"the record is {type(record).__name__}, not an object")
        found: list[tuple[str | None, Any]] = []
        skip = Skip("empty list")
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                raise RecordError(f"row {place} is no object")
            try:
                key, value = row(item)
                found.append((key or None, value))
            except Skip as one:
                skip = one
        if not found:
            raise skip
        return found

    return rows
