"""Datasets in the formats of other tools: one function a target, found in the table of targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tldata.dataset import open_dataset
from tldata.errors import UsageError
from tldata.export.files import open_atomically
from tldata.jsontext import dumps


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table of targets: the function that writes it, the options that this takes, other names, and what it is for.

    The function gets the dataset and the output path, and returns counts; ``REASONS`` of its module says of counts what they mean.
    """

    module: str
    function: str
    options: tuple[str, ...]
    aliases: tuple[str, ...]
    title: str


_RL = ("prompts", "seed", "tokenizer", "template", "where")
TARGETS: dict[str, Target] = {
    "openai": Target("openai", "export_openai", ("where",), ("chat",), "OpenAI messages; exact for OpenAI sources"),
    "trl": Target("trl", "export_trl", ("mask", "where"), ("messages", "hf"), "TRL SFTTrainer: messages and tools"),
    "trl-turns": Target(
        "trl", "export_trl_turns", ("mask", "where"), ("prompt-completion",), "TRL SFTTrainer: prompt and completion, never a failed call"
    ),
    "trl-tokens": Target("tokens", "export_trl_tokens", ("tokens", "where"), ("tokens",), "token ids, labels, weights of a token set"),
    "sharegpt": Target(
        "sharegpt", "export_sharegpt", ("mask", "where", "rows"), ("llama-factory", "llamafactory"), "LLaMA-Factory: alternating turns"
    ),
    "llama-factory-v1": Target(
        "llama_factory", "export_llama_factory", ("mask", "where", "call_weight"), ("llamafactory-v1",), "LLaMA-Factory v1: parts and loss_weight"
    ),
    "ms-swift": Target("ms_swift", "export_ms_swift", ("mask", "where", "call_weight"), ("swift",), "ms-swift: tool_call messages and loss"),
    "axolotl": Target("axolotl", "export_axolotl", ("mask", "where"), (), "axolotl chat_template: messages that say train"),
    "verl-sft": Target("tokens", "export_verl_sft", ("tokens", "where"), ("verl",), "verl SFT: token ids and a float loss mask"),
    "hermes": Target("hermes", "export_hermes", ("mask", "where", "rows"), (), "Hermes: tools, calls and feedback between tags"),
    "dpo": Target(
        "pairs", "export_dpo", ("mask", "where"), ("preferences", "pairs", "trl-dpo"), "preference pairs: a failed call and its correction"
    ),
    "rl": Target("rl", "export_rl", _RL, ("trl-rl", "grpo"), "RL prompts with gold calls for TRL, OpenRLHF, ms-swift"),
    "verl-rl": Target("rl", "export_verl_rl", _RL, (), "RL prompts with gold calls for verl"),
    "hub": Target("hub", "export_hub", ("where", "overwrite"), ("huggingface",), "a folder as the Hugging Face Hub has datasets"),
}  # fmt: skip
ALIASES = {alias: name for name, target in TARGETS.items() for alias in target.aliases}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: the target, the file, counts of what was written and what was not by reason, and what reasons mean."""

    target: str
    output: Path
    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {"target": self.target, "output": str(self.output), **self.counts, "notes": self.notes}

    def text(self) -> str:
        """The report for people, one count a line."""
        lines = [f"{self.output} ({self.target})"]
        for what, count in self.counts.items():
            note = f": {self.notes[what]}" if what in self.notes else ""
            lines.append(f"  {count:>9,}  {what}{note}")
        return "\n".join(lines)


def export(dataset: str | Path, target: str, output: str | Path, **options: Any) -> Exported:
    """Write a dataset in the format of another tool, and beside it what that format could not hold.

    Args:
        dataset: a finished dataset folder.
        target: a key of ``TARGETS``, or one of its aliases.
        output: the file to write (``hub``: the folder); its extension chooses the container where a target has several.
        options: what the target takes; None is the same as not given.

    Returns:
        the report, which is written to ``<output>.report.json`` too (``hub``: into the folder's card).

    Raises:
        UsageError: no such target, or an option that it does not take.
        DatasetError: the folder is no finished dataset.
    """
    name = ALIASES.get(target, target)
    if name not in TARGETS:
        raise UsageError(f"no target {target!r}", hint=f"--to {' | '.join(TARGETS)}")
    row = TARGETS[name]
    given = {key: value for key, value in options.items() if value is not None}
    unknown = [key for key in given if key not in row.options]
    if unknown:
        takes = ", ".join(f"--{option.replace('_', '-')}" for option in row.options)
        raise UsageError(f"--to {name} takes no --{unknown[0].replace('_', '-')}", hint=f"it takes {takes}")
    module = import_module(f"tldata.export.{row.module}")
    run: Callable[..., dict[str, int]] = getattr(module, row.function)
    counts = run(open_dataset(dataset), Path(output), **given)
    reasons: dict[str, str] = getattr(module, "REASONS", {})
    report = Exported(name, Path(output), counts, {key: reasons[key] for key in counts if key in reasons})
    if name != "hub":
        with open_atomically(Path(f"{output}.report.json")) as file:
            file.write(dumps(report.to_json()).encode() + b"\n")
    return report


__all__ = ["ALIASES", "TARGETS", "Exported", "Target", "export"]
