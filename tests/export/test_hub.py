"""A folder for the Hub: ``datasets`` reads every configuration offline, with the features that the card declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records import annotated, one_call
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export import export

GOOD = one_call("forecast", {"city": "Rome"}, "21C")
BAD = one_call("forecast", {"city": "Oslo"}, '{"error": "city not found"}', query="Oslo?")


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return annotated(tmp_path, [GOOD, BAD])


def test_datasets_reads_every_configuration(data: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    counts = export(data.path, "hub", tmp_path / "hub").counts
    assert counts == {"trajectories": 2, "messages": 8, "calls": 2, "toolsets": 2}
    folder, cache = str(tmp_path / "hub"), str(tmp_path / "cache")
    assert datasets.get_dataset_config_names(folder) == list(counts)
    for name, rows in counts.items():
        loaded = datasets.load_dataset(folder, name, split="train", cache_dir=cache)
        assert len(loaded) == rows and loaded.column_names == data.sql(f"FROM {name}").column_names
    assert datasets.load_dataset(folder, split="train", cache_dir=cache)["query"] == ["Rome?", "Oslo?"]
    calls = datasets.load_dataset(folder, "calls", split="train", cache_dir=cache)
    assert calls["category"] == ["all_right", "others"]


def test_the_card_declares_configurations_and_features(data: Dataset, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    export(data.path, "hub", tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert [(one["config_name"], one["data_files"]) for one in head["configs"]][2] == (
        "calls",
        [{"split": "train", "path": "data/calls/*.parquet"}],
    )
    info = {one["config_name"]: one for one in head["dataset_info"]}
    features = {one["name"]: {key: one[key] for key in one if key != "name"} for one in info["toolsets"]["features"]}
    assert features["properties"] == {"list": "string"} and features["position"] == {"dtype": "int32"}
    assert info["calls"]["splits"] == [{"name": "train", "num_examples": 2}] and head["size_categories"] == ["n<1K"]
    assert "| `others` | 1 |" in card


def test_where_leaves_out_rows_of_all_tables_and_a_folder_is_not_replaced_unasked(
    data: Dataset, tmp_path: Path
) -> None:
    counts = export(data.path, "hub", tmp_path / "hub", where="n_errors = 0").counts
    assert counts == {"trajectories": 1, "messages": 4, "calls": 1, "toolsets": 2}
    with pytest.raises(UsageError, match="is there already"):
        export(data.path, "hub", tmp_path / "hub")
    assert export(data.path, "hub", tmp_path / "hub", overwrite=True).counts["calls"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub", "raw.jsonl", "raw.tldata"]
