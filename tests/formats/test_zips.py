"""Zips of JSON members: Inspect's .eval logs and plain archives, whole, damaged and hostile."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard

import tldata
from tldata import zips
from tldata.formats import ReadOptions, get_format

LOG = json.loads(get_format("inspect").example)
HEADER = {key: value for key, value in LOG.items() if key != "samples"}


def write(path: Path, members: list[tuple[str, Any]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members:
            archive.writestr(name, value if isinstance(value, (str, bytes)) else json.dumps(value))
    return path


def sample(identity: int, **more: Any) -> dict[str, Any]:
    return {**LOG["samples"][0], "id": identity, **more}


def read(path: Path, **options: Any) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
    out = path.with_suffix(".tldata")
    counts = tldata.annotate(path, out, overwrite=True, max_bad=1.0, **options).counts
    assert counts["n_inputs"] == sum(counts[name] for name in ("n_sources", "n_merged", "n_skipped", "n_rejects"))
    data = tldata.open(out)
    rows = data.sql("SELECT trajectory_id, source_id, model, n_calls, n_errors FROM trajectories").to_pylist()
    return counts, rows, data.sql("SELECT source_line, reason FROM rejects ORDER BY 1").to_pylist()


def test_each_sample_of_an_eval_log_is_a_record_with_the_header(tmp_path: Path) -> None:
    members = [("_journal/start.json", {"eval": {}}), ("samples/1_epoch_1.json", sample(1)), ("summaries.json", [1])]
    members += [("samples/2_epoch_1.json", sample(2)), ("header.json", HEADER)]
    counts, rows, _ = read(write(tmp_path / "x.eval", members))
    assert counts["n_inputs"] == 2
    assert [(row["trajectory_id"], row["source_id"]) for row in rows] == [("x:1:0", "1"), ("x:2:0", "2")]
    assert {row["model"] for row in rows} == {"openai/gpt-4o"}
    assert [row["n_errors"] for row in rows] == [1, 1]


def test_an_eval_log_of_a_run_that_broke_off_is_read_by_its_journal(tmp_path: Path) -> None:
    members = [
        ("_journal/start.json", {"version": 2, "eval": {"model": "m"}, "plan": {}}),
        ("samples/1.json", sample(1)),
    ]
    assert read(write(tmp_path / "x.eval", members))[1][0]["model"] == "m"


def test_a_log_without_samples_is_skipped_and_a_sample_that_is_no_json_rejected(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.eval", [("header.json", HEADER)]))[0]["n_skipped"] == 1
    members = [("header.json", HEADER), ("samples/1.json", "{"), ("samples/2.json", sample(2))]
    counts, rows, rejects = read(write(tmp_path / "y.eval", members))
    assert (counts["n_rejects"], len(rows)) == (1, 1)
    assert rejects[0]["source_line"] == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_sample_that_was_written_twice_counts_as_it_was_written_last(tmp_path: Path) -> None:
    members = [("header.json", HEADER), ("samples/1.json", sample(1)), ("samples/1.json", sample(7))]
    assert [row["source_id"] for row in read(write(tmp_path / "x.eval", members))[1]] == ["7"]


def test_members_packed_with_zstandard_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.eval", [("header.json", HEADER), ("samples/1.json", "")])
    data = json.dumps(sample(3)).encode()
    packed = zstandard.compress(data)
    name = b"samples/3.json"
    fields = (0, zips.ZSTANDARD, 0, 0, zlib.crc32(data), len(packed), len(data), len(name), 0)
    head = json.dumps(HEADER).encode()
    start = struct.pack("<4s5H3I2H", b"PK\x03\x04", 63, 0, 0, 0, 0, zlib.crc32(head), len(head), len(head), 11, 0)
    first = start + b"header.json" + head
    second = struct.pack("<4s5H3I2H", b"PK\x03\x04", 63, *fields) + name + packed
    central = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 63, 63, 0, 0, 0, 0, zlib.crc32(head), len(head), len(head), 11, 0, 0, 0, 0, 0, 0
    )
    central += b"header.json"
    central += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 63, 63, *fields, 0, 0, 0, 0, len(first)) + name
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(central), len(first) + len(second), 0)
    path.write_bytes(first + second + central + end)
    assert [row["source_id"] for row in read(path)[1]] == ["3"]
    path.write_bytes(first + second[:-3] + b"xyz" + central + end)
    assert "cannot be read" in read(path)[2][0]["reason"]


def test_a_plain_zip_is_read_member_by_member_with_running_numbers(tmp_path: Path) -> None:
    record = json.loads(get_format("openai").example)
    lines = "\n".join(json.dumps({**record, "id": n}) for n in range(3))
    members = [
        ("a.jsonl", lines),
        ("notes.txt", "x"),
        ("b.json", [{**record, "id": 3}, {**record, "id": 4}]),
        ("c.json", record),
    ]
    counts, rows, _ = read(write(tmp_path / "x.zip", members))
    assert counts["n_inputs"] == 6
    assert [row["trajectory_id"] for row in rows] == [f"x.zip:{n}" for n in range(1, 7)]
    assert [row["source_id"] for row in rows] == ["0", "1", "2", "3", "4", None]


def test_a_sample_kept_in_pieces_is_put_together(tmp_path: Path) -> None:
    whole = sample(5)
    shell = {key: value for key, value in whole.items() if key not in ("messages", "events", "attachments")}
    asked, *rest = whole["messages"]
    folder = "samples/5_epoch_1"
    members = [("header.json", HEADER), (f"{folder}/sample.json", shell), (f"{folder}/events/stats.json", {})]
    members += [(f"{folder}/messages/10.json", rest[1:]), (f"{folder}/messages/9.json", rest[:1])]
    members += [(f"{folder}/messages/0.json", [{**asked, "content": "attachment://0"}])]
    members += [(f"{folder}/attachments/0.json", ["List."]), (f"{folder}/events/0.json", whole["events"])]
    path = write(tmp_path / "x.eval", members)
    assert read(path)[1] == [
        {"trajectory_id": "x:1:0", "source_id": "5", "model": "openai/gpt-4o", "n_calls": 1, "n_errors": 1}
    ]
    (query,) = tldata.open(path.with_suffix(".tldata")).sql("SELECT query FROM trajectories").to_pylist()
    assert query == {"query": "List."}


def test_a_sample_without_messages_is_told_by_its_last_model_event() -> None:
    message = LOG["samples"][0]["messages"]
    output = {"choices": [{"message": message[1]}]}
    events = [{"event": "model", "input": [], "input_refs": [[0, 1]], "output": output}]
    record = {**LOG, "samples": [{**sample(1), "messages": [], "events": events, "events_data": {"messages": message}}]}
    (trajectory,) = get_format("inspect").read(record, ReadOptions())
    assert [m.role for m in trajectory.messages] == ["user", "assistant"]


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_zip_that_is_cut_off_is_rejected_with_a_reason(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "x.eval", [("header.json", HEADER), ("samples/1.json", sample(1))])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    counts, rows, rejects = read(path)
    assert (rows, counts["n_rejects"]) == ([], 1)
    assert "no readable zip" in rejects[0]["reason"]


def test_a_member_that_unpacks_to_too_much_is_rejected_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tldata.blocks.MAX_RECORD", 10_000)
    members = [("header.json", HEADER), ("samples/1.json", sample(1)), ("samples/2.json", sample(2, pad="x" * 20_000))]
    counts, rows, rejects = read(write(tmp_path / "x.eval", members))
    assert (len(rows), counts["n_rejects"]) == (1, 1)
    assert "more than" in rejects[0]["reason"]


def test_a_zip_without_records_says_so(tmp_path: Path) -> None:
    assert "holds no file" in read(write(tmp_path / "x.zip", [("a.txt", "x")]))[2][0]["reason"]


def test_the_real_logs_are_read(shared: Path, tmp_path: Path) -> None:
    summary = tldata.annotate([*sorted((shared / "formats/inspect").iterdir())], tmp_path / "out")
    assert summary.counts["n_rejects"] == 0
    assert summary.counts["n_inputs"] == 3 + 1 + 4, "three logs as JSON, one sample, four samples"
