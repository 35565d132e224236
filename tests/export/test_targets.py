"""Every target's file against its written schema, on demo data, tau-bench and RoTBench; what is lost is counted and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tldata
from tests.export.check import check, read_rows
from tldata.dataset import Dataset
from tldata.demo import write_demo
from tldata.errors import UsageError
from tldata.export import ALIASES, TARGETS, export

CHATS = ("trl", "sharegpt", "llama-factory-v1", "ms-swift", "axolotl", "hermes")
LINES = ("openai", *CHATS, "trl-turns", "dpo", "rl", "verl-rl")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("exports")
    write_demo(folder / "demo.jsonl", n=80, seed=3, error_rate=0.5)
    return tldata.open(tldata.annotate(folder / "demo.jsonl").path)


@pytest.fixture(scope="session")
def tau(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Dataset:
    out = tmp_path_factory.mktemp("exports") / "tau.tldata"
    return tldata.open(tldata.annotate(shared / "tau_bench" / "gpt-4o-airline.json", out).path)


@pytest.fixture(scope="session")
def rotbench(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Dataset:
    out = tmp_path_factory.mktemp("exports") / "rotbench.tldata"
    return tldata.open(tldata.annotate(shared / "rotbench" / "train_gpt4", out).path)


def written(data: Dataset, target: str, folder: Path, **options: Any) -> tuple[list[Any], dict[str, int], Path]:
    """The records of an export, its counts, and its file, checked against the schema."""
    path = folder / f"{target}.jsonl"
    report = export(data.path, target, path, **options)
    assert check(target, path) == report.counts.get("records", report.counts.get("prompts"))
    told = json.loads(Path(f"{path}.report.json").read_text())
    assert told == report.to_json() and set(told["notes"]) <= set(report.counts)
    return list(read_rows(path)), report.counts, path


@pytest.mark.parametrize("target", LINES)
@pytest.mark.parametrize("source", ["demo", "tau", "rotbench"])
def test_every_export_fits_its_written_schema(
    source: str, target: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    data = request.getfixturevalue(source)
    where = "hash(trajectory_id) % 8 = 0" if source != "demo" else None
    total = data.sql(f"SELECT count(*) AS n FROM trajectories WHERE {where or 'true'}")["n"][0].as_py()
    records, counts, path = written(data, target, tmp_path, where=where)
    assert total > 10
    if target in CHATS:
        gone = counts.get("nothing that the model wrote", 0)
        assert counts["trajectories"] == total == len(records) + gone
    if target in TEXTS:
        for record in records:
            TEXTS[target](record)
    if target in CHATS:
        check_that_it_reads_back(data, path, tmp_path, where, counts)


def check_that_it_reads_back(
    data: Dataset, path: Path, folder: Path, where: str | None, counts: dict[str, int]
) -> None:
    """annotate finds the format of the file, and the same calls in it: as many as were not written as text, or left out."""
    known = "hermes" if path.stem == "hermes" else None  # RoTBench's own prompt in it would fit its own reader as well
    again = tldata.open(tldata.annotate(path, folder / "again.tldata", prefixes="keep", format=known).path)
    chosen = f"trajectory_id IN (SELECT trajectory_id FROM trajectories WHERE {where or 'true'})"
    query = "SELECT tool_name, count(*) AS n FROM calls WHERE {} AND tool_name IS NOT NULL GROUP BY 1 ORDER BY 1"
    if counts.keys() & {"arguments that are no JSON object", "ends without an answer", "call made by another role"}:
        n = sum(row["n"] for row in again.sql(query.format("true")).to_pylist())
        assert 0.9 * sum(row["n"] for row in data.sql(query.format(chosen)).to_pylist()) < n
    else:
        assert again.sql(query.format("true")).to_pylist() == data.sql(query.format(chosen)).to_pylist()
    assert again.sql("SELECT count(*) AS n FROM rejects")["n"][0].as_py() == 0
    declared = "SELECT count(toolset_id) AS n FROM trajectories WHERE {}"
    assert again.sql(declared.format("true")) == data.sql(declared.format(where or "true"))


def sharegpt_alternates(record: dict[str, Any]) -> None:
    """LLaMA-Factory drops whatever does not alternate, or does not end with what the model wrote (converter.py)."""
    speakers = [turn["from"] for turn in record["conversations"]]
    assert len(speakers) % 2 == 0
    assert all(one in ("human", "observation") for one in speakers[::2])
    assert all(one in ("gpt", "function_call") for one in speakers[1::2])
    for turn in record["conversations"]:
        if turn["from"] == "function_call":
            called = json.loads(turn["value"].rpartition("</think>")[2])
            for call in called if isinstance(called, list) else [called]:
                assert set(call) == {"name", "arguments"} and isinstance(call["arguments"], dict)


def ms_swift_calls(record: dict[str, Any]) -> None:
    """All tool_call messages of a run have the same loss: ms-swift heeds the first one's."""
    run: set[bool] = set()
    for message in record["messages"]:
        run = run | {message["loss"]} if message["role"] == "tool_call" else set()
        assert len(run) <= 1 or message["role"] != "tool_call"
        if message["role"] == "tool_call":
            call = json.loads(message["content"])
            assert set(call) == {"name", "arguments"} and isinstance(call["arguments"], dict)


def llama_factory_calls(record: dict[str, Any]) -> None:
    for message in record["messages"]:
        for part in message["content"]:
            if part["type"] == "tool_call":
                assert isinstance(json.loads(part["value"])["arguments"], dict)


def hermes_tags(record: dict[str, Any]) -> None:
    """Tags come in pairs, with a call or a result between them."""
    for turn in record["conversations"]:
        for tag in ("tool_call", "tool_response") if turn["from"] in ("gpt", "tool") else ():
            assert turn["value"].count(f"<{tag}>") == turn["value"].count(f"</{tag}>")
    if "tools" in record:
        assert record["conversations"][0]["from"] == "system" and "<tools>" in record["conversations"][0]["value"]


TEXTS = {
    "sharegpt": sharegpt_alternates,
    "ms-swift": ms_swift_calls,
    "llama-factory-v1": llama_factory_calls,
    "hermes": hermes_tags,
}


def test_where_chooses_trajectories_and_says_what_is_wrong(demo: Dataset, tmp_path: Path) -> None:
    counts = export(demo.path, "trl", tmp_path / "a.jsonl", where="n_errors = 0").counts
    assert counts["records"] == demo.sql("SELECT count(*) AS n FROM trajectories WHERE n_errors = 0")["n"][0].as_py()
    assert "untrained message" not in counts
    calls = "trajectory_id IN (SELECT trajectory_id FROM calls WHERE is_error)"
    assert export(demo.path, "trl", tmp_path / "a.jsonl", where=calls).counts["records"] == 80 - counts["records"]
    for bad in ("nothing = 1", "n_errors = 0; DROP TABLE calls", "", "true ORDER BY 1"):
        with pytest.raises(UsageError):
            export(demo.path, "trl", tmp_path / "b.jsonl", where=bad)
    assert not (tmp_path / "b.jsonl").exists() and not list(tmp_path.glob(".*")), "nothing half written is left"


def test_a_target_has_other_names_and_refuses_what_it_does_not_take(demo: Dataset, tmp_path: Path) -> None:
    assert ALIASES["llama-factory"] == "sharegpt" and not set(ALIASES) & set(TARGETS)
    assert export(demo.path, "swift", tmp_path / "a.jsonl").target == "ms-swift"
    with pytest.raises(UsageError, match="no target 'nonsense'"):
        export(demo.path, "nonsense", tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="takes no --tokens"):
        export(demo.path, "trl", tmp_path / "a.jsonl", tokens="x")
    with pytest.raises(UsageError, match=r"written as \.jsonl or"):
        export(demo.path, "openai", tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"written as \.parquet"):
        export(demo.path, "trl-tokens", tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="there are trajectory and turn"):
        export(demo.path, "hermes", tmp_path / "a.jsonl", rows="message")


@pytest.mark.parametrize("target", CHATS)
def test_packed_lines_and_parquet_hold_the_same_records(demo: Dataset, target: str, tmp_path: Path) -> None:
    plain = written(demo, target, tmp_path)[0]
    for name in ("b.jsonl.gz", "b.jsonl.zst"):
        export(demo.path, target, tmp_path / name)
        assert list(read_rows(tmp_path / name)) == plain
    export(demo.path, target, tmp_path / "b.parquet")
    assert without_nulls(list(read_rows(tmp_path / "b.parquet"))) == without_nulls(plain)
    again = tldata.annotate(tmp_path / "b.parquet", tmp_path / "again.tldata", prefixes="keep")
    assert tldata.open(again.path).sql("SELECT count(*) AS n FROM calls")["n"][0].as_py() > 100


def without_nulls(value: Any) -> Any:
    """Parquet gives every object all keys; its JSON columns are read as text."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, str) and value[:8] == '{"role":':
        return without_nulls(json.loads(value))
    return value
