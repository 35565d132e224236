"""The loaders of other trainers read every export of demo data (and tau-bench's, where it is there): ``make test-exports``.

Each test runs where its trainer is installed and is skipped elsewhere: their pins contradict each other, and ours.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import tldata
from tests.conftest import SHARED
from tldata.dataset import Dataset
from tldata.demo import write_demo
from tldata.export import export

pytestmark = pytest.mark.filterwarnings("ignore")


def installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}: make test-exports")


@pytest.fixture(scope="module", params=["demo", "tau-bench"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("loaders")
    raw = folder / "demo.jsonl"
    if request.param == "demo":
        write_demo(raw, n=60, seed=5, error_rate=0.5)
    elif not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data")
    else:
        raw = SHARED / "tau_bench" / "gpt-4o-airline.json"
    return tldata.open(tldata.annotate(raw, folder / "raw.tldata").path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tltrain_plugin.tiny import init_tiny

    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    init_tiny(folder)
    return str(folder)


def rows(data: Dataset, target: str, folder: Path, **options: Any) -> Any:
    import datasets

    path = folder / f"{target}.jsonl"
    export(data.path, target, path, **options)
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def without_audio() -> None:
    """Let modules import that ask for torchaudio, which no text needs."""
    import transformers  # first: it looks for torchaudio itself

    assert transformers
    if importlib.util.find_spec("torchaudio") is None:
        module = types.ModuleType("torchaudio")
        module.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = module


@pytest.mark.parametrize("rows_per", ["trajectory", "turn"])
def test_llama_factory_converts_every_record_and_drops_none(data: Dataset, rows_per: str, tmp_path: Path) -> None:
    installed("llamafactory")
    without_audio()
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.formatter import FunctionFormatter, ToolFormatter
    from llamafactory.data.parser import DatasetAttr

    layout = DatasetAttr("file", "x", formatting="sharegpt", messages="conversations", system="system", tools="tools")
    convert = SharegptDatasetConverter(layout, types.SimpleNamespace(media_dir="."))
    calls = FunctionFormatter(slots=["{{content}}"], tool_format="qwen")
    tools = ToolFormatter(tool_format="qwen")
    found = 0
    for record in rows(data, "sharegpt", tmp_path, rows=rows_per):
        made = convert(record)
        assert made["_response"], "an abnormal example is skipped with a warning"
        for message in made["_prompt"] + made["_response"]:
            if message["role"] == "function":
                (text,) = calls.apply(content=message["content"], thought_words=("<think>\n", "\n</think>\n\n"))
                found += text.count("<tool_call>")
        if made["_tools"]:
            assert "<tools>" in "".join(tools.apply(content=made["_tools"]))
    if rows_per == "trajectory":
        named = "SELECT count(*) AS n FROM calls WHERE tool_name IS NOT NULL AND category != 'format_error'"
        assert found >= 0.99 * data.sql(named)["n"][0].as_py() > 0


def test_llama_factory_v1_renders_every_record_with_its_weights(data: Dataset, tiny: str, tmp_path: Path) -> None:
    installed("llamafactory")
    without_audio()
    from llamafactory.v1.core.data_engine import DataEngine
    from llamafactory.v1.plugins.model_plugins.templates.qwen3_nothink import render_qwen3_nothink_messages
    from transformers import AutoTokenizer

    path = tmp_path / "v1.jsonl"
    counts = export(data.path, "llama-factory-v1", path).counts
    engine = DataEngine(str(path))
    assert len(engine) == counts["records"]
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for number in range(len(engine)):
        sample = engine[number]
        made = render_qwen3_nothink_messages(tokenizer, sample["messages"], sample.get("tools"))
        trained = any(message["loss_weight"] for message in sample["messages"])
        assert len(made["input_ids"]) == len(made["loss_weights"]) and (sum(made["loss_weights"]) > 0) == trained


def test_ms_swift_preprocesses_every_record_and_keeps_the_loss(data: Dataset, tmp_path: Path) -> None:
    installed("swift")
    os.environ["MODELSCOPE_CACHE"] = str(tmp_path / "modelscope")
    from swift.dataset.preprocessor.core import AutoPreprocessor
    from swift.template.template_inputs import TemplateInputs

    raw = rows(data, "ms-swift", tmp_path)
    made = AutoPreprocessor()(raw, strict=True, load_from_cache_file=False)
    assert len(made) == len(raw)
    for before, after in zip(raw, made, strict=True):
        assert [one["role"] for one in after["messages"]] == [one["role"] for one in before["messages"]]
        assert [one.get("loss") for one in after["messages"]] == [one.get("loss") for one in before["messages"]]
        assert TemplateInputs.from_dict(after).chosen.messages


def test_axolotl_tokenises_every_record_and_trains_on_what_says_train(data: Dataset, tiny: str, tmp_path: Path) -> None:
    installed("axolotl")
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    prompter = ChatTemplatePrompter(
        tokenizer, tokenizer.chat_template, message_field_training="train", field_messages="messages", max_length=10**6
    )
    strategy = ChatTemplateStrategy(
        prompter, tokenizer, False, 10**6, roles_to_train=["assistant"], train_on_eos="turn", eot_tokens=["<|im_end|>"]
    )
    for record in rows(data, "axolotl", tmp_path):
        told = [one for one in record["messages"] if one["role"] == "assistant"]
        made = strategy.tokenize_prompt(record)
        text = tokenizer.decode([label for label in made["labels"] if label != -100])
        assert bool(text) == any(one["train"] for one in told)
        for one in told:
            if one["train"] and one["content"]:
                assert one["content"].strip() in text
        calls = sum(len(one.get("tool_calls") or ()) for one in told if one["train"])
        assert text.count("<tool_call>") == calls


def test_verl_loads_rows_of_tokens_with_the_class_beside_them(data: Dataset, tiny: str, tmp_path: Path) -> None:
    installed("verl")
    import numpy as np
    from omegaconf import OmegaConf
    from verl.trainer.sft_trainer import create_sft_dataset
    from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator

    from tldata.tokenize import tokenize

    tokenize(data.path, tiny, name="tiny", overwrite=True)
    path = tmp_path / "rows.parquet"
    counts = export(data.path, "verl-sft", path, tokens="tiny").counts
    config = {"path": str(tmp_path / "rows_verl.py"), "name": "TokenRows"}
    options = OmegaConf.create({"custom_cls": config, "pad_mode": "no_padding", "max_length": 10**6})
    made = create_sft_dataset(str(path), options, None, None)
    assert len(made) == counts["rows"]
    batch = SFTTensorCollator(DatasetPadMode.NO_PADDING)([made[number] for number in range(8)])
    weights = data.sql("SELECT loss_weights AS w FROM tokens_tiny WHERE n_loss > 0 LIMIT 8")["w"].to_pylist()
    assert np.isclose(batch["loss_mask"].values().sum().item(), sum(map(sum, weights)), rtol=1e-4)
    assert json.loads(Path(f"{path}.report.json").read_text())["rows"] == counts["rows"]
