"""No planted secret is left in any byte of a scrubbed dataset, and nothing that only looks like one is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tldata
from tests.scrub.planted import world
from tldata.engine import annotate
from tldata.scrub import Scrubber, Scrubbing, parse_kinds
from tldata.scrub.dataset import scrub_dataset

N = 5_000
KEY = "a key of sixteen bytes or more"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A raw file with N secrets of all kinds, the broken half of a record among them, and the key's file."""
    folder = tmp_path_factory.mktemp("planted")
    records, secrets, alike = world(N, seed=7)
    lines = [json.dumps(record) for record in records]
    rejected, of_rejected, _ = world(400, seed=8)
    lines += [json.dumps(record)[:-9] for record in rejected]
    (folder / "raw.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "key").write_text(KEY)
    return folder, secrets + of_rejected, alike, records


def everything(folder: Path) -> str:
    """All text of a dataset: every file's bytes as they are, and every Parquet value unpacked, with JSON in it undone thrice."""
    found: list[str] = []
    for path in folder.rglob("*"):
        if path.is_file():
            found.append(path.read_bytes().decode("utf-8", "replace"))
        if path.suffix == ".parquet":
            for column in pq.read_table(path).columns:
                flat(column.to_pylist(), found)
    return "\n".join(dict.fromkeys(found))


def flat(value: object, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if isinstance(inner, dict | list):
            flat(inner, found)
    elif isinstance(value, dict):
        for name, item in value.items():
            found.append(name)
            flat(item, found)
    elif isinstance(value, list):
        for item in value:
            flat(item, found)
    elif isinstance(value, int):
        found.append(str(value))


def test_of_5000_planted_secrets_annotate_scrub_leaves_none_and_changes_no_lookalike(planted):
    folder, secrets, alike, _ = planted
    summary = annotate(
        folder / "raw.jsonl", folder / "door.tl", scrub=True, scrub_key=folder / "key", max_bad=1, workers=1
    )
    text = everything(folder / "door.tl")
    assert len(secrets) >= N and [secret for secret in secrets if secret in text] == []  # recall 1
    assert len(alike) > 3_000 and [value for value in alike if value not in text] == []  # precision 1
    assert summary.counts["n_rejects"] > 20 and sum(summary.scrubbed.values()) > N
    assert KEY not in text and not (folder / ".door.tl.scrub-key").exists()
    assert not [note for note in summary.notes if "secrets" in note]


def test_scrubbing_the_dataset_leaves_none_either_and_every_verdict_as_it_was(planted):
    folder, secrets, alike, _ = planted
    summary = annotate(folder / "raw.jsonl", folder / "raw.tl", max_bad=1, workers=1)
    assert [note for note in summary.notes if "tldata scrub raw.tl" in note]
    made = scrub_dataset(folder / "raw.tl", folder / "clean.tl", kinds=parse_kinds(None), key=folder / "key")
    text = everything(folder / "clean.tl")
    assert [secret for secret in secrets if secret in text] == []
    assert [value for value in alike if value not in text] == []
    assert {kind for _, _, kind in made.columns} == set(parse_kinds(None))
    assert {(table, column) for table, column, _ in made.columns} >= {
        ("calls", "arguments"), ("calls", "feedback"), ("messages", "content"), ("trajectories", "metadata"),
        ("toolsets", "description"), ("toolsets", "raw"), ("rejects", "raw"), ("messages", "extra"),
    }  # fmt: skip
    verdicts = "SELECT trajectory_id, turn, call_index, category, rule_id, call_check, verdict FROM calls ORDER BY ALL"
    before, after = (tldata.open(folder / name) for name in ("raw.tl", "clean.tl"))
    assert before.sql(verdicts).to_pylist() == after.sql(verdicts).to_pylist()
    assert after.sql("SELECT count(*) AS n FROM calls WHERE NOT contains(feedback, evidence)").to_pylist() == [{"n": 0}]
    hashes = "SELECT content_hash FROM trajectories ORDER BY ALL"
    hidden = {row["content_hash"] for row in before.sql(hashes).to_pylist()}
    assert not hidden & {row["content_hash"] for row in after.sql(hashes).to_pylist()}  # they would confirm a guess


def test_at_the_door_the_verdicts_are_those_of_the_raw_text(planted):
    folder, *_ = planted
    annotate(folder / "raw.jsonl", folder / "one.tl", max_bad=1, workers=1)
    annotate(folder / "raw.jsonl", folder / "two.tl", max_bad=1, workers=1, scrub=True)
    verdicts = "SELECT trajectory_id, turn, call_index, category, rule_id, call_check FROM calls ORDER BY ALL"
    assert (
        tldata.open(folder / "one.tl").sql(verdicts).to_pylist()
        == tldata.open(folder / "two.tl").sql(verdicts).to_pylist()
    )


@pytest.mark.parametrize("seed", [11, 12])
def test_other_seeds_are_found_too_and_scrubbing_again_changes_nothing(seed):
    records, secrets, alike = world(1_000, seed)
    scrubber = Scrubber(Scrubbing(KEY.encode()))
    clean = [scrubber.value(record) for record in records]
    found: list[str] = []
    flat(clean, found)
    text = "\n".join(found)
    assert [secret for secret in secrets if secret in text] == [] and [v for v in alike if v not in text] == []
    assert [scrubber.value(record) for record in clean] == clean
    for old, new in zip(records, clean, strict=True):
        arguments = json.loads(new["messages"][2]["tool_calls"][0]["function"]["arguments"])
        before = json.loads(old["messages"][2]["tool_calls"][0]["function"]["arguments"])
        assert arguments.keys() == before.keys()
        assert isinstance(arguments.get("phone", 0), int) and isinstance(json.loads(arguments["deep"]), dict)
