"""Fixtures of the tests of tokenize: a tiny tokenizer of its own, the chat templates that ship with trl, real data as datasets."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tokenize.helpers import from_trajectory, write_dataset
from tldata.formats import get_format
from tldata.formats.base import ReadOptions
from tldata.tokenize.encode import Encoder, load_tokenizer
from tldata.tokenize.load import Loader
from tldata.tokenize.render import ChatTemplate

SPECIAL = ("<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>")


def trl_templates() -> dict[str, Path]:
    """The chat templates that ship with the installed trl, by name; none where trl is not installed."""
    spec = importlib.util.find_spec("trl")
    folder = Path(spec.origin).parent / "chat_templates" if spec and spec.origin else None
    return {path.stem: path for path in sorted(folder.glob("*.jinja"))} if folder else {}


@pytest.fixture(scope="session")
def trl() -> Callable[[str], str]:
    """Source of a template that ships with trl; skips where it does not."""

    def source(name: str) -> str:
        found = trl_templates().get(name)
        if found is None:
            pytest.skip(f"the installed trl has no {name}.jinja")
        return found.read_text(encoding="utf-8")

    return source


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer trained on a few lines, with Qwen's special tokens and a ChatML template with tools."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    lines = [
        '{"name": "search_city", "arguments": {"q": "x"}}',
        "search get_user get_weather",
        "user assistant system tool",
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(lines * 20, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "chat_template": CHATML, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


CHATML = """{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson + '\\n' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


@pytest.fixture(scope="session")
def chatml() -> ChatTemplate:
    return ChatTemplate(CHATML, name="chatml")


@pytest.fixture(scope="session")
def tiny_encoder(tiny: Path) -> Encoder:
    return load_tokenizer(tiny)


@pytest.fixture(scope="session")
def encoders(shared: Path) -> dict[str, Encoder]:
    """The three real tokenizers."""
    return {name: load_tokenizer(shared / "tokenizers" / name) for name in ("llama2", "llama3", "qwen2.5")}


REAL = {
    **{
        f"rotbench-{level}": ("rotbench", f"rotbench/third_turn/{level}.json")
        for level in ("clean", "slight", "medium", "heavy", "union")
    },
    "toolbench": ("toolbench", "toolbench/answer/*/*.json"),
    "tau-bench": ("tau-bench", "tau_bench/gpt-4o-airline.json"),
}


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Real data as a dataset folder, by its name in ``REAL``; with ``every`` only each so-manieth trajectory."""
    made: dict[tuple[str, int], Path] = {}

    def dataset(name: str, every: int = 1) -> Path:
        if (name, every) not in made:
            format_name, pattern = REAL[name]
            records = []
            for file in sorted(shared.glob(pattern)):
                content: Any = json.loads(file.read_text(encoding="utf-8"))
                for item in content if isinstance(content, list) else [content]:
                    records += [from_trajectory(t) for t in get_format(format_name).read(item, ReadOptions())]
            made[name, every] = write_dataset(tmp_path_factory.mktemp("real") / name, records[::every])
        return made[name, every]

    return dataset


@pytest.fixture(scope="session")
def conversations() -> Callable[[Path], list[Any]]:
    """All conversations of a dataset folder, with nothing masked."""

    def load(path: Path) -> list[Any]:
        return [conversation for batch in Loader(path, frozenset()).batches() for conversation in batch]

    return load
