"""Files as people really have them: encodings, glued records, one conversation, and names that look like patterns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tldata
from tests.records import one_call
from tldata.cli import app
from tldata.engine import annotate
from tldata.errors import InputError, RuleError, UsageError
from tldata.stream import stream

RECORDS = [one_call("forecast", {"city": city}, "21C", query=f"{city}?") for city in ("Rome", "Zürich", "東京")]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)

WRITINGS: dict[str, Callable[[], bytes]] = {
    "utf16_with_mark": lambda: LINES.encode("utf-16"),
    "utf16_big_endian": lambda: LINES.encode("utf-16-be"),
    "utf16_little_endian": lambda: LINES.encode("utf-16-le"),
    "utf32": lambda: LINES.encode("utf-32"),
    "utf16_array": lambda: json.dumps(RECORDS, indent=1, ensure_ascii=False).encode("utf-16"),
    "comma_after_each_line": lambda: LINES.replace("}\n", "},\n").encode(),
    "glued": lambda: "".join(json.dumps(record) for record in RECORDS).encode(),
    "glued_by_spaces": lambda: "  ".join(json.dumps(record) for record in RECORDS).encode(),
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_the_same_records_in_another_writing_give_the_same_trajectories(tmp_path: Path, writing: str) -> None:
    source = tmp_path / "odd.json"
    source.write_bytes(WRITINGS[writing]())
    summary = annotate(source, workers=1)
    assert summary.counts["n_rejects"] == 0 and summary.counts["n_inputs"] == 3
    queries = tldata.open(summary.path).sql("SELECT query FROM trajectories ORDER BY source_line").to_pylist()
    assert [row["query"] for row in queries] == ["Rome?", "Zürich?", "東京?"]


def test_a_utf16_file_larger_than_the_buffers_keeps_every_record(tmp_path: Path) -> None:
    source = tmp_path / "large.jsonl"
    source.write_bytes((LINES * 1500).encode("utf-16"))
    assert annotate(source, workers=1).counts["n_inputs"] == 4500


def test_a_utf16_file_cut_within_a_character_rejects_its_last_line_only(tmp_path: Path) -> None:
    source = tmp_path / "cut.jsonl"
    source.write_bytes(LINES.encode("utf-16")[:-5])
    counts = annotate(source, workers=1).counts
    assert (counts["n_inputs"], counts["n_rejects"]) == (3, 1)


def test_a_file_that_is_one_list_of_messages_is_one_conversation(tmp_path: Path) -> None:
    for name, text in (
        ("pretty", json.dumps(RECORDS[0]["messages"], indent=2)),
        ("line", json.dumps(RECORDS[0]["messages"]) + "\n"),
    ):
        source = tmp_path / f"{name}.json"
        source.write_text(text)
        counts = annotate(source, workers=1).counts
        assert (counts["n_inputs"], counts["n_trajectories"], counts["n_calls"]) == (1, 1, 1)


@pytest.mark.parametrize("name", ["run[1]", "run*", "run?", "it's", 'so "called"', "{a,b}", "50%", "ü x"])
def test_a_dataset_whose_path_looks_like_a_pattern_can_be_written_and_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "run1").mkdir()  # what an unescaped pattern would find
    source = tmp_path / f"{name}.jsonl"
    source.write_text(LINES)
    summary = annotate(source, workers=1)
    assert summary.path == tmp_path / f"{name}.tldata"
    data = tldata.open(summary.path)
    assert data.sql("SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 3}]
    assert data.stats().num_rows > 0
    assert len(list(stream(data))) == 3
    with data.connect(read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (12,)


def test_a_record_with_a_comma_and_more_behind_it_is_still_rejected(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES + '{"messages": []},,\n{"messages": [],}\n')
    assert annotate(source, workers=1).counts["n_rejects"] == 2


def test_the_engine_is_local_and_another_is_wrong_usage(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    with pytest.raises(UsageError, match="no engine 'dask'"):
        annotate(source, engine="dask")
    result = CliRunner().invoke(app, ["annotate", str(source), "--engine", "local", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["n_trajectories"] == 3


def test_labels_that_are_missing_are_told_before_anything_is_read(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    with pytest.raises(InputError, match="no such file"):
        annotate(source, labels=tmp_path / "none.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_format_is_found_behind_more_broken_lines_than_the_sample_is_long(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("{broken\n" * 3000 + LINES)
    counts = annotate(source, workers=1).counts
    assert (counts["n_rejects"], counts["n_trajectories"]) == (3000, 3)


def test_a_file_named_twice_by_different_paths_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    (tmp_path / "b.jsonl").write_text(LINES)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    summary = annotate(
        ["a.jsonl", tmp_path / "b.jsonl", tmp_path / "a.jsonl", "./b.jsonl", "link.jsonl"], "o", workers=1
    )
    names = tldata.open(summary.path).sql("SELECT DISTINCT source FROM trajectories ORDER BY 1").to_pylist()
    assert [row["source"] for row in names] == [str(tmp_path / "b.jsonl"), "a.jsonl"]
    assert summary.counts["n_inputs"] == 6


def test_a_dataset_within_the_folder_that_is_read_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    for _ in range(2):
        assert annotate(tmp_path, tmp_path / "result", workers=1, overwrite=True).counts["n_inputs"] == 3


def test_the_current_folder_can_become_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert annotate(source, ".", workers=1).path == tmp_path / "here"
    assert (tmp_path / "here" / "manifest.json").is_file()


def test_labels_may_give_categories_of_the_rules_file_and_leave_rows_open(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    rules = tmp_path / "rules.toml"
    rules.write_text('[category.rate_limited]\nparent = "tool_instability"\n')
    labels = tmp_path / "labels.csv"
    labels.write_text("trajectory_id,turn,call_index,category\na:1,1,0,rate_limited\na:2,1,0,\n")
    summary = annotate(source, workers=1, rules=rules, labels=labels)
    calls = (
        tldata.open(summary.path).sql("SELECT category, label, is_error FROM calls ORDER BY trajectory_id").to_pylist()
    )
    assert [tuple(call.values()) for call in calls] == [
        ("rate_limited", "rate_limited", True),
        ("all_right", None, False),
        ("all_right", None, False),
    ]
    with pytest.raises(RuleError, match="unknown category 'rate_limited'"):
        annotate(source, workers=1, labels=labels, overwrite=True)


def test_labels_without_a_needed_column_say_which(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    labels = tmp_path / "labels.csv"
    labels.write_text("trajectory_id,turn,category\na:1,1,others\n")
    with pytest.raises(InputError, match="no column 'call_index'"):
        annotate(source, labels=labels)
