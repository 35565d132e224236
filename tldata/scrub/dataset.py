"""Scrub a finished dataset into a new one, part by part: every table, and the hashes that would tell what stood there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tldata import schema
from tldata.dataset import Dataset, open_dataset
from tldata.errors import DatasetError
from tldata.finish import survey, write_manifest
from tldata.lineage import dataset_digest, now
from tldata.parts import OF_TRAJECTORIES, link, rewrite
from tldata.record import Call, Message
from tldata.scrub.keys import load_key
from tldata.scrub.kinds import Scrubbing
from tldata.scrub.replace import Scrubber
from tldata.select.write import staged
from tldata.sqlfiles import list_sql
from tldata.tables import fingerprints
from tldata.tools import toolset_id

# Columns that are made of the content or name kinds: they hold nothing of their own.
DERIVED = frozenset(
    (
        "toolset_id",
        "content_hash",
        "format",
        "paired_by",
        "call_check",
        "feedback_category",
        "category",
        "verdict",
        "verdict_id",
    )
) | {"disagreement", "role", "label", "rule_id", "native_error_source", "created_at", "split"}
NAMES = frozenset(
    ("trajectory_id", "merged_into", "source")
)  # equal ones stay equal in all tables, whatever stands beside them
Row = dict[str, Any]


@dataclass(slots=True)
class Scrubbed:
    """What was replaced: ``columns`` has (table, column, kind) -> number of places; values are told nowhere."""

    path: Path
    columns: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    n_trajectories: int = 0  # in which something was replaced
    seconds: float = 0.0

    @property
    def kinds(self) -> dict[str, int]:
        """Places by kind, the most first."""
        total: Counter[str] = Counter()
        for (_, _, kind), n in self.columns.items():
            total[kind] += n
        return dict(total.most_common())

    def rows(self) -> list[Row]:
        return [
            {"table": table, "column": column, "kind": kind, "n": n}
            for (table, column, kind), n in sorted(self.columns.items())
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": str(self.path),
            "n_replaced": sum(self.columns.values()),
            "n_trajectories": self.n_trajectories,
            "kinds": self.kinds,
            "columns": self.rows(),
            "seconds": round(self.seconds, 3),
        }


def scrub_dataset(
    dataset: str | Path | Dataset,
    out: str | Path,
    *,
    kinds: tuple[str, ...],
    key: str | Path | None = None,
    overwrite: bool = False,
) -> Scrubbed:
    """Write a dataset anew with stand-ins for the secrets in all its tables; verdicts stay, token sets are left behind.

    Args:
        dataset: a dataset, or its folder.
        out: folder of the new dataset.
        kinds: what to replace (``tldata.scrub.kinds.KINDS``).
        key: file with the key; default the environment's TLDATA_SCRUB_KEY, else a new one that is kept nowhere.

    Returns:
        what was replaced, by table, column and kind.

    Raises:
        DatasetError: no dataset there, or ``out`` is in the way, or the parent itself.
        InputError: the key cannot be read.
    """
    started = time.monotonic()
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    target = Path(out)
    if target.resolve() == data.path.resolve():
        raise DatasetError(f"{target} is the dataset to scrub itself", hint="-o DIR: another folder")
    made = Scrubbed(target)
    scrubber = Scrubber(Scrubbing(load_key(key), kinds))
    with staged(target, overwrite) as staging:
        toolsets = _toolsets(data.path, staging, scrubber, made)
        hashes: dict[str, tuple[list[int], list[int]]] = {}
        holders = _holders(data.path)
        for part in sorted((data.path / "trajectories").glob("*.parquet")):
            _part(data.path, part.name, staging, scrubber, made, toolsets, holders, hashes)
        _others(data.path, staging, scrubber, made, hashes)
        found = survey(staging)
        clean = scrubber.value({name: value for name, value in data.manifest.items() if name not in ("parents", "log")})
        parent = {"path": scrubber.text(str(data.path)), "digest": data.manifest.get("digest")}
        manifest = {
            **clean,
            "digest": dataset_digest(found.content_digest, clean.get("rules"), clean.get("options")),
            "content_digest": found.content_digest,
            "checks": sorted(list_sql("checks")),
            "created_at": now(),
            "parents": [parent],
            "scrubbed": {"kinds": list(kinds), "columns": made.rows(), "n_trajectories": made.n_trajectories},
        }
        write_manifest(staging, manifest)
    made.seconds = time.monotonic() - started
    return made


def _toolsets(dataset: Path, staging: Path, scrubber: Scrubber, made: Scrubbed) -> dict[str, str]:
    """Write the tool sets; returns the new ids of those that changed, which the ids are hashes of."""
    renamed: dict[str, str] = {}
    (staging / "toolsets").mkdir()
    for part in sorted((dataset / "toolsets").glob("*.parquet")):
        table = pq.read_table(part)
        rows = table.to_pylist()
        changed = [_row(row, "toolsets", scrubber, made) for row in rows]
        if not any(a is not b for a, b in zip(rows, changed, strict=True)):
            link(part, staging / "toolsets" / part.name)
            continue
        of: dict[str, list[tuple[Row, Row]]] = {}
        for row, new in zip(rows, changed, strict=True):
            of.setdefault(row["toolset_id"], []).append((row, new))
        for identity, pairs in of.items():
            if any(a is not b for a, b in pairs):
                renamed[identity] = toolset_id([orjson.loads(new["raw"]) for _, new in pairs])
        final = [row | {"toolset_id": renamed.get(row["toolset_id"], row["toolset_id"])} for row in changed]
        rewrite(staging / "toolsets" / part.name, pa.Table.from_pylist(final, schema=table.schema))
    return renamed


def _holders(dataset: Path) -> set[str]:
    """Trajectories that other records were merged into, whose hashes have to be made anew."""
    found: set[str] = set()
    for part in (dataset / "merged").glob("*.parquet"):
        found.update(pq.read_table(part, columns=["merged_into"])["merged_into"].to_pylist())
    return found


def _part(
    dataset: Path,
    name: str,
    staging: Path,
    scrubber: Scrubber,
    made: Scrubbed,
    toolsets: dict[str, str],
    holders: set[str],
    hashes: dict[str, tuple[list[int], list[int]]],
) -> None:
    """Scrub the trajectories of one part, each with its messages and calls as one record."""
    tables = {table: _read(dataset / table / name) for table in OF_TRAJECTORIES}
    for table in OF_TRAJECTORIES:
        (staging / table).mkdir(exist_ok=True)
    written: dict[str, list[Row]] = {table: [] for table in OF_TRAJECTORIES}
    touched = False
    for old in _records(tables):
        new = _record(old, scrubber, made)
        trajectory = new["trajectories"][0]
        renamed = toolsets.get(trajectory["toolset_id"])
        if new is not old or renamed is not None:
            touched = True
            made.n_trajectories += 1
            before = _fingerprints(old, trajectory["toolset_id"])
            identity = renamed or trajectory["toolset_id"]
            after = _fingerprints(new, identity)
            new["trajectories"] = [trajectory | {"toolset_id": identity, "content_hash": after[0]}]
            if old["trajectories"][0]["trajectory_id"] in holders:
                hashes[trajectory["trajectory_id"]] = before[1], after[1]
        for table in OF_TRAJECTORIES:
            written[table] += new[table]
    for table in OF_TRAJECTORIES:
        source = dataset / table / name
        if not touched and source.is_file():
            link(source, staging / table / name)
        elif (read := tables[table]) is not None and written[table]:
            rewrite(staging / table / name, pa.Table.from_pylist(written[table], schema=read.schema))


def _read(part: Path) -> pa.Table | None:
    return pq.read_table(part) if part.is_file() else None


def _records(tables: dict[str, pa.Table | None]) -> Iterator[dict[str, list[Row]]]:
    """The rows of each trajectory of a part, in their order."""
    owned: dict[str, dict[str, list[Row]]] = {}
    for table, read in tables.items():
        for row in read.to_pylist() if read is not None else ():
            owned.setdefault(row["trajectory_id"], {name: [] for name in OF_TRAJECTORIES})[table].append(row)
    for identity, record in owned.items():
        if not record["trajectories"]:
            raise DatasetError(f"trajectory {identity}: its rows stand in parts of different names")
        yield record


def _record(old: dict[str, list[Row]], scrubber: Scrubber, made: Scrubbed) -> dict[str, list[Row]]:
    """A trajectory's rows with stand-ins; the same object where nothing changed. Evidence stays a part of its feedback."""
    shown = {
        f"{table}\0{column}\0{place}": row[column]
        for table, rows in old.items()
        for place, row in enumerate(rows)
        for column in row
        if column not in DERIVED and column not in NAMES and isinstance(row[column], str)
    }
    columns: Counter[tuple[str, str, str]] = Counter()

    def count(top: str, kind: str) -> None:
        table, column, _ = top.split("\0")
        columns[table, column, kind] += 1

    clean = scrubber.value(shown, count=count)
    new = {table: [_named(row, scrubber) for row in rows] for table, rows in old.items()}
    if clean is shown and all(a is b for table in new for a, b in zip(new[table], old[table], strict=True)):
        return old
    for name, text in clean.items():
        if text is not shown[name]:
            table, column, place = name.split("\0")
            row = new[table][int(place)]
            new[table][int(place)] = row | {column: text}
    for was, call in zip(old["calls"], new["calls"], strict=True):
        if was.get("evidence") and was["feedback"] and call["feedback"] != was["feedback"]:
            call["evidence"] = _evidence(was, call)
    made.columns.update(columns)
    return new


def _named(row: Row, scrubber: Scrubber) -> Row:
    changed = {name: scrubber.text(row[name]) for name in NAMES & row.keys() if isinstance(row[name], str)}
    return row if all(changed[name] is row[name] or changed[name] == row[name] for name in changed) else row | changed


def _evidence(was: Row, call: Row) -> str:
    """The evidence as it stands in the scrubbed feedback: the part between what did not change before and after it."""
    evidence, feedback, new = was["evidence"], was["feedback"], call["feedback"]
    if call["evidence"] in new:
        return str(call["evidence"])
    start = feedback.find(evidence)
    if start < 0:
        return str(call["evidence"])
    before, after = feedback[:start], feedback[start + len(evidence) :]
    left = _common(before, new)
    right = _common(after[::-1], new[left:][::-1])
    return str(new[left : len(new) - right])


def _common(one: str, other: str) -> int:
    n = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        n += 1
    return n


def _row(row: Row, table: str, scrubber: Scrubber, made: Scrubbed) -> Row:
    """One row on its own, such as a tool's or a reject's."""
    count: Callable[[str, str], None] = lambda top, kind: made.columns.update([(table, top, kind)])  # noqa: E731
    texts = {
        name: value
        for name, value in row.items()
        if name not in DERIVED and name not in NAMES and isinstance(value, str | list)
    }
    clean = scrubber.value(texts, count=count)
    changed = {name: value for name, value in clean.items() if value is not texts[name]}
    return _named(row | changed if changed else row, scrubber)


def _fingerprints(record: dict[str, list[Row]], identity: str | None) -> tuple[str, list[int]]:
    calls: dict[int, list[Row]] = {}
    for call in record["calls"]:
        calls.setdefault(call["turn"], []).append(call)
    messages = [
        Message(
            row["role"],
            row["content"],
            reasoning=row["reasoning"],
            name=row["name"],
            calls=[
                Call(call["tool_name"], call["arguments"])
                for call in sorted(calls.get(row["turn"], ()), key=lambda c: int(c["call_index"]))
            ],
        )
        for row in sorted(record["messages"], key=lambda row: int(row["turn"]))
    ]
    return fingerprints(identity, messages)


def _others(
    dataset: Path,
    staging: Path,
    scrubber: Scrubber,
    made: Scrubbed,
    hashes: dict[str, tuple[list[int], list[int]]],
) -> None:
    """Scrub the tables whose rows stand alone: rejects, merged records, and what later steps added."""
    for folder in sorted(path for path in dataset.iterdir() if path.is_dir() and path.name != "tokens"):
        if folder.name in (*OF_TRAJECTORIES, "toolsets"):
            continue
        for part in sorted(folder.glob("*.parquet")):
            table = pq.read_table(part)
            rows = table.to_pylist()
            changed = [_row(row, folder.name, scrubber, made) for row in rows]
            if folder.name == "merged":
                changed = [_rehashed(row, hashes) for row in changed]
            if all(a is b for a, b in zip(rows, changed, strict=True)):
                link(part, staging / folder.name / part.name)
                continue
            (staging / folder.name).mkdir(exist_ok=True)
            rewrite(staging / folder.name / part.name, pa.Table.from_pylist(changed, schema=table.schema))
    (staging / "rejects").mkdir(exist_ok=True)
    for table_name in schema.TABLES:
        (staging / table_name).mkdir(exist_ok=True)


def _rehashed(row: Row, hashes: dict[str, tuple[list[int], list[int]]]) -> Row:
    """A merged record's hash made anew: it is that of a beginning of the trajectory that holds it."""
    if row["hash"] is None or row["merged_into"] not in hashes:
        return row
    before, after = hashes[row["merged_into"]]
    return row | {"hash": after[before.index(row["hash"])] if row["hash"] in before else None}
