"""Rows of one trajectory may lie anywhere: far apart, in other blocks, in other files, several in one record; each is accounted for once."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import orjson
import pytest

import tldata
from tldata import engine, formats, grouping, spill
from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, each_row, read_groups
from tldata.record import Message, Trajectory

ROWS = 200


def _row(record: dict[str, Any]) -> tuple[str, Any]:
    if record.get("kind") == "note":
        raise Skip("note")
    if "say" not in record:
        raise RecordError("no say")
    return record.get("k", ""), record


def _assemble(group: Group, options: ReadOptions) -> list[Trajectory]:
    if any(row["say"] == "bad group" for row in group.rows):
        raise RecordError("a bad group")
    if any(row["say"] == "no group" for row in group.rows):
        raise Skip("no group")
    for place, row in enumerate(group.rows):
        if row["say"] == "bad":
            group.rejected[place] = "a bad row"
        elif row["say"] == "noise":
            group.skipped[place] = "noise"
    said = [row["say"] for place, row in enumerate(group.rows) if place not in group.rejected | group.skipped]
    return [Trajectory([Message("user", text) for text in said])] if said else []


_rows = each_row(_row, "rows")
TOY = Format("toy", "Toy", lambda _: 0.0, read_groups(_rows, _assemble), "[]", "", rows=_rows, assemble=_assemble)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, TOY))


def write(path: Path, records: list[Any]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path


def rows_of(data: tldata.Dataset, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in data.sql(query).to_pylist()]


def read(raw: Any, out: Path, **options: Any) -> tuple[dict[str, int], dict[str, list[str]], tldata.Dataset]:
    summary = tldata.annotate(raw, out, format="toy", workers=1, **options)
    counts = summary.counts
    assert counts["n_inputs"] == sum(counts[name] for name in ("n_sources", "n_merged", "n_skipped", "n_rejects"))
    data = tldata.open(out)
    said = rows_of(data, "SELECT trajectory_id, list(content ORDER BY turn) AS said FROM messages GROUP BY 1")
    lines = rows_of(
        data,
        "SELECT DISTINCT source, source_line FROM (SELECT source, source_line FROM trajectories UNION ALL "
        "SELECT source, source_line FROM merged UNION ALL SELECT source, source_line FROM rejects)",
    )
    assert len(lines) == counts["n_sources"] + counts["n_merged"] + counts["n_rejects"]
    return counts, dict(said), data


def test_every_row_is_a_source_merged_skipped_or_rejected(tmp_path: Path) -> None:
    records = [
        {"kind": "note"},
        {"k": "a", "say": "1"},
        {"k": "b", "say": "2"},
        {"k": "a", "say": "bad"},
        {"say": "of the file"},
        {"k": "a", "say": "noise"},
        {"k": "a", "say": "3"},
        {"k": "c", "say": "bad group"},
        {"k": "c", "say": "4"},
        {"k": "d", "say": "no group"},
        {"k": "e", "say": "bad"},
        {"what": 1},
        {"say": "at its end"},
    ]
    counts, said, data = read(write(tmp_path / "x.jsonl", records), tmp_path / "out", max_bad=1.0)
    assert said == {"x:2": ["1", "3"], "x:3": ["2"], "x:5": ["of the file", "at its end"]}
    assert [counts[name] for name in ("n_inputs", "n_sources", "n_merged", "n_skipped", "n_rejects")] == [
        13,
        3,
        2,
        3,
        5,
    ]
    rejects = rows_of(data, "SELECT source_line, reason FROM rejects ORDER BY 1")
    assert rejects == [(4, "a bad row"), (8, "a bad group"), (9, "a bad group"), (11, "a bad row"), (12, "no say")]
    merged = rows_of(data, "SELECT source_line, merged_into FROM merged ORDER BY 1")
    assert merged == [(7, "x:2"), (13, "x:5")]


def scattered(chance: random.Random) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Shuffled rows of many groups, and what each group says in the order of the rows."""
    rows = [{"k": f"g{chance.randrange(40)}", "say": f"{n}", "pad": "x" * 500} for n in range(ROWS)]
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row["k"], []).append(row["say"])
    return rows, groups


@pytest.mark.parametrize("partitions", [1, 7])
def test_rows_far_apart_in_several_blocks_and_files_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int
) -> None:
    monkeypatch.setattr(spill, "PARTITION", ROWS * 540 // partitions)
    rows, groups = scattered(random.Random(partitions))
    folder = tmp_path / "raw"
    folder.mkdir()
    for part in range(3):
        write(folder / f"{part}.jsonl", rows[part * 70 : part * 70 + 70])
    counts, said, data = read(folder, tmp_path / "out")
    assert sorted(said.values()) == sorted(groups.values())
    assert (counts["n_sources"], counts["n_merged"]) == (len(groups), ROWS - len(groups))
    first = {text: number for number, text in enumerate(row["say"] for row in rows)}
    for identity, texts in said.items():
        file, line = identity.split(":")
        assert int(file) * 70 + int(line) - 1 == first[texts[0]]
    if partitions == 1:
        order = [row[0] for row in rows_of(data, "SELECT trajectory_id FROM trajectories")]
        assert order == sorted(order, key=lambda identity: [int(x) for x in identity.split(":")])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_a_run_that_is_killed_between_blocks_and_groups_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "PARTITION", ROWS * 540 // 5)
    raw = write(tmp_path / "x.jsonl", scattered(random.Random(1))[0])
    read(raw, tmp_path / "whole")
    done = 0
    real = grouping.do_partition

    def dies(number: int) -> Any:
        nonlocal done
        if done == 2:
            raise KeyboardInterrupt
        done += 1
        return real(number)

    monkeypatch.setattr(engine, "do_partition", dies)
    with pytest.raises(KeyboardInterrupt):
        read(raw, tmp_path / "out")
    monkeypatch.setattr(engine, "do_partition", real)
    read(raw, tmp_path / "out")
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert not list(tmp_path.glob("out/spilled")) and not list(tmp_path.glob("out/members"))


def test_a_record_with_rows_of_several_groups_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "PARTITION", 20)  # several partitions: a record's rows meet in none of them
    records = [
        {"rows": [{"k": "a", "say": "1"}, {"k": "b", "say": "2"}]},  # source of a and b
        {"rows": [{"k": "b", "say": "3"}, {"k": "c", "say": "bad"}]},  # merged, for one row is
        {"rows": [{"k": "c", "say": "bad"}, {"k": "d", "say": "bad"}]},  # rejected
        {"rows": [{"k": "a", "say": "noise"}, {"k": "b", "say": "noise"}]},  # skipped
        {"rows": []},
        [{"k": "a", "say": "4"}, {"k": "e", "say": "5"}],  # source of e
    ]
    counts, said, data = read(write(tmp_path / "x.jsonl", records), tmp_path / "out", max_bad=1.0)
    assert said == {"x:1:0": ["1", "4"], "x:1:1": ["2", "3"], "x:6:1": ["5"]}
    assert [counts[name] for name in ("n_inputs", "n_sources", "n_merged", "n_skipped", "n_rejects")] == [6, 2, 1, 2, 1]
    assert rows_of(data, "SELECT source_line, reason FROM rejects") == [(3, "a bad row")]


def test_a_group_that_is_too_large_is_rejected_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MAX_GROUP", 60)
    records = [{"k": "a" if n % 3 else "b", "say": f"{n}"} for n in range(9)]
    counts, said, _ = read(write(tmp_path / "x.jsonl", records), tmp_path / "out", max_bad=1.0)
    assert said == {"x:1": ["0", "3", "6"]}
    assert counts["n_rejects"] == 6


def test_groups_are_assembled_in_processes_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"role": "User", "text": f"{n} " + "x" * 1000} for n in range(300)]
    raws = [write(tmp_path / f"{number}.jsonl", lines[number * 50 : number * 50 + 50]) for number in range(6)]
    monkeypatch.setattr(spill, "PARTITION", 50_000)
    monkeypatch.setattr(engine, "SMALL", 0)
    one = tldata.annotate(raws, tmp_path / "one", workers=1)
    two = tldata.annotate(raws, tmp_path / "two", workers=2)
    assert one.counts == two.counts
    assert one.counts["n_trajectories"] == 6
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_what_a_format_of_rows_reads_of_one_record_is_what_the_engine_reads() -> None:
    record = {"rows": [{"k": "a", "say": "1"}, {"k": "b", "say": "2"}, {"k": "a", "say": "3"}]}
    first, second = TOY.read(record, ReadOptions())
    assert [[m.content for m in t.messages] for t in (first, second)] == [["1", "3"], ["2"]]
    assert (first.branch, second.branch) == (0, 1)
    with pytest.raises(Skip):
        TOY.read({"rows": [{"kind": "note"}]}, ReadOptions())
    with pytest.raises(RecordError):
        TOY.read(json.loads("[3]"), ReadOptions())
