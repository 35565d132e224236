"""Arguments as objects, whatever text stands for them; files whole or not at all, of every container."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import tldata
from tests.export.check import read_rows
from tests.records import annotated, answers, asks, call, user
from tldata.export import export
from tldata.export.chat import object_of
from tldata.export.files import JSON_LIST, write_rows


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, {}),
        (" ", {}),
        ('{"a": 1.50}', {"a": 1.5}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ('{"a": "\n"}', {"a": "\n"}),  # a raw line break, which models write
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),  # half a character, which no file can hold
        ("[1]", None),
        ("null", None),
        ('{"a": NaN}', None),
        ('{"a": 1e999}', None),
        ('{"a": 123456789012345678, "b": 1e999}', None),
        ('{"a": 1', None),
        ('{"a":' * 100_000, None),
    ],
)
def test_arguments_are_an_object_or_none_at_all(text: str | None, value: object) -> None:
    assert object_of(text) == value


@pytest.mark.parametrize("target", ["trl", "axolotl", "ms-swift", "sharegpt", "llama-factory-v1", "hermes", "dpo"])
def test_hostile_records_are_exported_without_an_error(target: str, tmp_path: Path) -> None:
    big = "123456789012345678901234567890"
    records = [
        {"messages": [user("\ud800"), asks(call("f", '{"a": "\\ud800", "b": ' + big + "}")), answers("\x00 <tool_response>")]},
        {"messages": [asks(call("", "{}")), answers('{"name": "f", "content": null}'), {"role": "x", "content": None}]},
        {"messages": [user(""), asks(call("</tool_call>", "[" * 2000)), answers("[" * 2000)]},
        [{"role": "tool", "content": "orphan"}],
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}], "tools": [{"name": "f", "parameters": 3}]},
    ]  # fmt: skip
    data = annotated(tmp_path, records, max_bad=1.0)
    counts = export(data.path, target, tmp_path / "out.jsonl").counts
    assert counts["trajectories"] == 5 and len(list(read_rows(tmp_path / "out.jsonl"))) == counts["records"]


def test_json_columns_hold_any_values_and_nulls(tmp_path: Path) -> None:
    schema = pa.schema([("a", JSON_LIST), ("b", pa.string())])
    rows = [{"a": [{"x": 1}, [2]], "b": "t"}, {"a": None}, {"a": [], "b": None}]
    write_rows(tmp_path / "a.parquet", rows, schema)
    assert list(read_rows(tmp_path / "a.parquet")) == [
        {"a": ['{"x":1}', "[2]"], "b": "t"},
        {"a": None, "b": None},
        {"a": [], "b": None},
    ]


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")

    def rows():
        yield {"a": 1}
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write_rows(path, rows(), pa.schema([("a", pa.int64())]))
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_folder_of_exports_is_read_without_their_reports(tmp_path: Path) -> None:
    data = annotated(tmp_path, [{"messages": [user("Rome?"), {"role": "assistant", "content": "Yes."}]}])
    export(data.path, "trl", tmp_path / "out" / "a.jsonl")
    export(data.path, "axolotl", tmp_path / "out" / "b.jsonl.gz")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.jsonl", "a.jsonl.report.json", "b.jsonl.gz", "b.jsonl.gz.report.json",
    ]  # fmt: skip
    summary = tldata.annotate(tmp_path / "out", tmp_path / "again.tldata")
    told = summary.to_json()
    assert (told["n_inputs"], told["n_rejects"]) == (2, 0)
