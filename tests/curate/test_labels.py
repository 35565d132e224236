"""Labels from outside: is_error follows the category's built-in parent, and what the last labels file says is all that counts."""

import json

import pyarrow.parquet as pq
import pytest

import tldata
from tests.records import annotated, one_call, write_jsonl
from tldata import engine
from tldata.labels import apply_labels, with_labels
from tldata.schema import CALLS

RULES = """
[category.rate_limited]
parent = "tool_instability"

[[rule]]
id = "mine.slow_down"
category = "rate_limited"
pattern = 'slow down'
example = 'Error: slow down'
"""
RECORDS = [
    one_call("forecast", {"city": "Rome"}, "21C"),
    one_call("forecast", {"city": "Oslo"}, "Error: slow down", query="Oslo?"),
    one_call("forecast", {"city": "Bari"}, "19C", query="Bari?"),
]


def calls_of(data):
    return data.sql("SELECT trajectory_id, category, verdict, label, is_error FROM calls ORDER BY ALL").to_pylist()


def labels(folder, *rows, name="labels.jsonl"):
    keys = ("trajectory_id", "turn", "call_index", "category")
    return write_jsonl(folder / name, [dict(zip(keys, row, strict=True)) for row in rows])


def test_a_category_of_ones_own_stays_what_its_parent_is_with_and_without_labels(tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    file = labels(tmp_path, ("raw:1", 1, 0, "rate_limited"), ("raw:3", 1, 0, "others"))
    data = annotated(tmp_path, RECORDS, rules=tmp_path / "rules.toml", labels=file)
    found = {row["trajectory_id"]: (row["category"], row["is_error"]) for row in calls_of(data)}
    assert found == {"raw:1": ("rate_limited", True), "raw:2": ("rate_limited", True), "raw:3": ("others", True)}
    assert data.sql("SELECT n_errors FROM trajectories ORDER BY trajectory_id")["n_errors"].to_pylist() == [1, 1, 1]


def test_a_category_below_all_right_is_no_error_on_calls_with_and_without_a_label():
    import pyarrow as pa

    rows = [{"trajectory_id": "a", "verdict": "cached", "category": "cached", "is_error": False}] * 2
    calls = pa.Table.from_pylist([{name: row.get(name) for name in CALLS.names} for row in rows], schema=CALLS)
    parents = {"all_right": "all_right", "cached": "all_right", "others": "others"}
    new = with_labels(calls, pa.array([None, "others"], pa.string()), parents)
    assert new["is_error"].to_pylist() == [False, True]
    assert new["category"].to_pylist() == ["cached", "others"]


@pytest.mark.parametrize("second", [None, ("raw:2", 1, 0, "all_right")])
def test_a_run_that_is_resumed_with_other_labels_knows_nothing_of_the_first(tmp_path, monkeypatch, second):
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    first = labels(tmp_path, ("raw:1", 1, 0, "tool_call_failure"), ("raw:3", 1, 0, "others"))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "swap_in", killed)
    with pytest.raises(KeyboardInterrupt):  # everything is done but for the swap
        tldata.annotate(raw, tmp_path / "out.tldata", labels=first)
    monkeypatch.undo()
    file = None if second is None else labels(tmp_path, second, name="second.jsonl")
    tldata.annotate(raw, tmp_path / "out.tldata", labels=file)
    tldata.annotate(raw, tmp_path / "fresh.tldata", labels=file)
    resumed, fresh = tldata.open(tmp_path / "out.tldata"), tldata.open(tmp_path / "fresh.tldata")
    for table in ("calls", "trajectories"):
        assert resumed.sql(f"FROM {table}").equals(fresh.sql(f"FROM {table}"))
    assert resumed.manifest["digest"] == fresh.manifest["digest"]


def test_parts_without_a_labelled_call_are_not_written(tmp_path):
    data = annotated(tmp_path, RECORDS)
    (part,) = (data.path / "calls").glob("*.parquet")
    before = part.stat().st_mtime_ns, part.stat().st_ino
    file = labels(tmp_path, ("raw:9", 1, 0, "others"))
    parents = {name: name for name in ("all_right", "others", "tool_call_failure", "tool_instability", "no_feedback")}
    assert apply_labels(data.path, file, parents)[1] == "1 labels name no call of this dataset"
    assert (part.stat().st_mtime_ns, part.stat().st_ino) == before
    labelled = labels(tmp_path, ("raw:1", 1, 0, "others"), name="two.jsonl")
    assert apply_labels(data.path, [file, labelled], parents)[0].startswith("1 labels joined, 1 of them change")
    assert pq.ParquetFile(part).metadata.row_group(0).column(0).compression == "ZSTD"
    assert json.loads((data.path / "manifest.json").read_text())["counts"]["n_calls"] == 3
