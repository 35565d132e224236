"""Token sets as rows for trainers: labels, weights and masks worked by hand, verl's class over them, TRL's trainer on them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.export.check import check, read_rows
from tests.records import annotated, one_call
from tldata import schema
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export import export

# ids, in the loss, weights: a call whose name weighs 3; a row of which nothing counts; a row whose first token counts.
ROWS: list[tuple[str, list[int], list[bool], list[float]]] = [
    ("raw:1", [5, 6, 7, 8], [False, True, True, False], [0, 3, 1, 0]),
    ("raw:2", [5, 6], [False, False], [0, 0]),
    ("raw:3", [9, 4, 2], [True, True, False], [2, 1, 0]),
]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    data = annotated(tmp_path, [one_call("forecast", {"city": city}, "21C") for city in "abc"])
    folder = data.path / "tokens" / "tiny"
    folder.mkdir(parents=True)
    rows = [
        {"trajectory_id": name, "part": 0, "input_ids": ids, "loss_mask": mask, "key_mask": mask, "loss_weights": weights, "n_tokens": len(ids), "n_loss": sum(mask)}
        for name, ids, mask, weights in ROWS
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.TOKENS), folder / "part-0.parquet")
    (folder / "manifest.json").write_text("{}")
    return data


def test_labels_are_the_ids_in_the_loss_and_rows_without_any_are_left_out(data: Dataset, tmp_path: Path) -> None:
    report = export(data.path, "trl-tokens", tmp_path / "out.parquet")
    assert report.counts == {"rows": 2, "without a token in the loss": 1, "weights": 2}
    assert check("trl-tokens", tmp_path / "out.parquet") == 2
    assert list(read_rows(tmp_path / "out.parquet")) == [
        {
            "input_ids": [5, 6, 7, 8],
            "attention_mask": [1] * 4,
            "labels": [-100, 6, 7, -100],
            "loss_weights": [0, 3, 1, 0],
        },
        {"input_ids": [9, 4, 2], "attention_mask": [1] * 3, "labels": [9, 4, -100], "loss_weights": [2, 1, 0]},
    ]


def test_verl_gets_float_weights_whose_first_is_0(data: Dataset, tmp_path: Path) -> None:
    counts = export(data.path, "verl-sft", tmp_path / "out.parquet", tokens="tiny").counts
    assert counts == {"rows": 2, "without a token in the loss": 1}
    assert check("verl-sft", tmp_path / "out.parquet") == 2
    assert [row["loss_mask"] for row in read_rows(tmp_path / "out.parquet")] == [[0, 3, 1, 0], [0, 1, 0]]


def test_where_and_names_of_token_sets(data: Dataset, tmp_path: Path) -> None:
    counts = export(data.path, "verl", tmp_path / "out.parquet", where="trajectory_id = 'raw:3'").counts
    assert counts == {"rows": 1}
    with pytest.raises(UsageError, match="no token set 'big'"):
        export(data.path, "verl", tmp_path / "out.parquet", tokens="big")
    (data.path / "tokens" / "tiny" / "manifest.json").unlink()
    with pytest.raises(UsageError, match="which token set"):
        export(data.path, "verl", tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()


def load_class(path: Path) -> Any:
    """The class out of the file beside an export, as verl loads it: by the path alone."""
    spec = importlib.util.spec_from_file_location("copied", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TokenRows


def test_the_class_beside_the_rows_gives_tensors_and_truncates_as_verl_says(data: Dataset, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    export(data.path, "verl-sft", tmp_path / "out.parquet")
    rows_class = load_class(tmp_path / "out_verl.py")
    rows = rows_class(str(tmp_path / "out.parquet"), None, {"max_length": 4, "pad_mode": "no_padding"})
    assert len(rows) == 2 and rows[0]["loss_mask"].dtype == torch.float32
    assert {key: value.tolist() for key, value in rows[0].items()} == {
        "input_ids": [5, 6, 7, 8],
        "position_ids": [0, 1, 2, 3],
        "loss_mask": [0, 3, 1, 0],
    }
    files = [str(tmp_path / "out.parquet")] * 2
    assert len(rows_class(files)) == 4 and len(rows_class(files, max_samples=3)) == 3
    with pytest.raises(ValueError, match=r"4 tokens, data\.max_length is 3"):
        rows_class(files, None, {"max_length": 3})[0]
    right = rows_class(files, None, {"max_length": 3, "truncation": "right"})[0]
    left = rows_class(files, None, {"max_length": 3, "truncation": "left"})[0]
    assert (right["input_ids"].tolist(), right["loss_mask"].tolist()) == ([5, 6, 7], [0, 3, 1])
    assert (left["input_ids"].tolist(), left["loss_mask"].tolist()) == ([6, 7, 8], [0, 1, 0])
    with pytest.raises(ValueError, match="no_padding"):
        rows_class(files, None, {"pad_mode": "right"})


def test_a_rolled_batch_gives_every_weight_to_its_own_sequence(data: Dataset, tmp_path: Path) -> None:
    """verl's loss: masks of a batch, end to end, rolled by one, times log-probabilities of the next token (losses.py)."""
    torch = pytest.importorskip("torch")
    export(data.path, "verl-sft", tmp_path / "out.parquet")
    masks = [torch.tensor(row["loss_mask"]) for row in read_rows(tmp_path / "out.parquet")]
    rolled = torch.roll(torch.cat(masks), shifts=-1)
    # position t holds the log-probability of token t + 1: within sequences the weights of tokens 1.., and 0 at both ends
    assert rolled.tolist() == [3, 1, 0, 0, 1, 0, 0]


def test_the_report_says_what_weights_need(data: Dataset, tmp_path: Path) -> None:
    export(data.path, "tokens", tmp_path / "out.parquet")
    told = json.loads((tmp_path / "out.parquet.report.json").read_text())
    assert told["target"] == "trl-tokens" and "WeightedSFTTrainer" in told["notes"]["weights"]
