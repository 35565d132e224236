"""TRL's own trainers prepare the exports: what they train on is what the export meant, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records import TOOLS, annotated, answers, asks, call, user
from tldata.dataset import Dataset
from tldata.export import export

pytest.importorskip("torch")
pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")

MISSING = "TypeError: forecast() missing 1 required positional argument: 'city'"
RECORD = {
    "messages": [
        user("Rome?"),
        asks(call("forecast", {"days": 1}, "a")),
        answers(MISSING, "a"),
        asks(call("forecast", {"city": "Rome"}, "b")),
        answers("21C", "b"),
        {"role": "assistant", "content": "21C."},
    ],
    "tools": TOOLS,
}
PLAIN = {"messages": [user("Hello?"), {"role": "assistant", "content": "Hello."}]}  # no tools, no calls


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tltrain_plugin.tiny import init_tiny

    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    init_tiny(folder)
    return str(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotated(tmp_path_factory.mktemp("trl"), [RECORD, PLAIN])


def loaded(data: Dataset, target: str, folder: Path, suffix: str) -> Any:
    path = folder / f"data{suffix}"
    export(data.path, target, path)
    kind = "parquet" if suffix == ".parquet" else "json"
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def prepared(rows: Any, tiny: str, folder: Path) -> tuple[Any, Any]:
    """The rows as SFTTrainer trains on them, and its tokenizer."""
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(output_dir=str(folder / "out"), max_length=4096, report_to=[], bf16=False, use_cpu=True)
    trainer = SFTTrainer(model=tiny, args=config, train_dataset=rows)
    return trainer, trainer.processing_class


def trained_text(trainer: Any, tokenizer: Any) -> list[str]:
    """What the labels of each row decode to, as the trainer's collator gives them."""
    batch = trainer.data_collator([trainer.train_dataset[at] for at in range(len(trainer.train_dataset))])
    return [tokenizer.decode([token for token in labels if token != -100]) for labels in batch["labels"].tolist()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_messages_are_rendered_with_tools_and_arguments_as_objects(
    data: Dataset, tiny: str, suffix: str, tmp_path: Path
) -> None:
    trainer, tokenizer = prepared(loaded(data, "trl", tmp_path, suffix), tiny, tmp_path)
    first, second = (tokenizer.decode(row["input_ids"]) for row in trainer.train_dataset)
    assert '{"name": "forecast", "arguments": {"city": "Rome"}}' in first, "an object, and not its text in quotes"
    assert "Weather of the next days." in first and "None" not in first and "null" not in first
    assert "Hello." in second and "<tools>" not in second


@pytest.mark.filterwarnings("ignore")
def test_single_turns_train_on_completions_and_never_on_the_failed_call(
    data: Dataset, tiny: str, tmp_path: Path
) -> None:
    trainer, tokenizer = prepared(loaded(data, "trl-turns", tmp_path, ".jsonl"), tiny, tmp_path)
    texts = trained_text(trainer, tokenizer)
    assert len(texts) == 3 and all('"days"' not in text for text in texts)
    assert '"arguments": {"city": "Rome"}' in texts[0] and "21C." in texts[1] and "Hello." in texts[2]
    assert '"days": 1' in tokenizer.decode(trainer.train_dataset[0]["input_ids"]), "the failed call is context"


@pytest.mark.filterwarnings("ignore")
def test_tokens_keep_their_labels(data: Dataset, tiny: str, tmp_path: Path) -> None:
    from tldata.tokenize import tokenize

    tokenize(data.path, tiny, name="tiny", overwrite=True)
    trainer, tokenizer = prepared(loaded(data, "trl-tokens", tmp_path, ".parquet"), tiny, tmp_path)
    texts = trained_text(trainer, tokenizer)
    assert '"days"' not in texts[0] and '"city": "Rome"' in texts[0] and "21C." in texts[0]
    assert texts[1] == "Hello.<|im_end|>"


@pytest.mark.filterwarnings("ignore")
def test_dpo_compares_the_correction_with_the_failed_call(data: Dataset, tiny: str, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = loaded(data, "dpo", tmp_path, ".jsonl")
    config = DPOConfig(output_dir=str(tmp_path / "out"), report_to=[], bf16=False, use_cpu=True, max_steps=1)
    trainer = DPOTrainer(model=tiny, args=config, train_dataset=rows)
    (row,) = trainer.train_dataset
    tokenizer = trainer.processing_class
    chosen, rejected = tokenizer.decode(row["chosen_ids"]), tokenizer.decode(row["rejected_ids"])
    assert '"city": "Rome"' in chosen and '"days": 1' in rejected and "<tools>" in tokenizer.decode(row["prompt_ids"])
    assert trainer.train().global_step == 1
