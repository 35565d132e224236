"""Each effect of the paper where it must appear: data in which only erroneous calls hold a mistake, and tools that differ in one late token."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

import tldata  # noqa: E402
from benchmarks.ablation import agent, learner  # noqa: E402
from benchmarks.ablation.design import MAE, NONE, PKT, QUICK, Recipe  # noqa: E402
from benchmarks.learning import CHAT, make_tokenizer  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
torch.set_num_threads(1)  # tensors this small are slower on two
NAMES = ("Ann", "Bea", "Cem", "Dan", "Eva", "Fay", "Gus", "Hal", "Ida", "Jim")


def tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def call(name: str, key: str, number: int) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps({"key": key})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }


def feedback(text: str, number: int) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


def train(
    folder: Path, records: list[dict[str, Any]], recipe: Recipe, *, epochs: int, seed: int = 0
) -> tuple[Any, Any]:
    """Annotate, tokenise with the recipe, fine-tune a model from scratch; returns it with its tokenizer."""
    from transformers import AutoModelForCausalLM

    size = replace(QUICK, hidden=64, copy_steps=0, sft_epochs=epochs, sft_batch=8, vocabulary=420)
    raw = folder / "raw.jsonl"
    raw.write_text("".join(json.dumps(record) + "\n" for record in records))
    tldata.annotate(raw, folder / "raw.tldata", overwrite=True)
    tokenizer = make_tokenizer(
        [json.dumps(record["messages"]) for record in records], folder / "start", vocabulary=420, chat=CHAT
    )
    learner.make_model(tokenizer, size, seed).save_pretrained(folder / "start")
    tokens = learner.token_set(folder / "raw.tldata", folder / "start", recipe, "t")
    learner.fine_tune(folder / "start", tokens, folder / "out", size, seed)
    return AutoModelForCausalLM.from_pretrained(folder / "out"), tokenizer


def prompt(tokenizer: Any, record: dict[str, Any]) -> str:
    """What stands before the first assistant message, rendered."""
    return str(
        tokenizer.apply_chat_template(
            record["messages"][:1], tools=record["tools"], tokenize=False, add_generation_prompt=True
        )
    )


def test_mae_unlearns_a_mistake_that_only_erroneous_calls_contain(tmp_path):
    """Three of four trajectories begin with a call of a tool that does not exist: without MAE the model makes it too."""

    def record(number: int) -> dict[str, Any]:
        name = NAMES[number % len(NAMES)]
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"Find {name}."}]
        if number % 4:
            messages += [call("find_v2", name, 0), feedback('{"error": "Tool find_v2 not found"}', 0)]
        messages += [
            call("find", name, 1),
            feedback('{"found": true}', 1),
            {"role": "assistant", "content": f"Found {name}."},
        ]
        return {"messages": messages, "tools": [tool("find")]}

    records = [record(number) for number in range(120)]
    wrong = {}
    for label, recipe in (("without", NONE), ("with", MAE)):
        folder = tmp_path / label
        folder.mkdir()
        model, tokenizer = train(folder, records, recipe, epochs=10)
        answers = agent.answer(model, tokenizer, [prompt(tokenizer, record) for record in records[:30]])
        assert sum('"name": "find' in text for text in answers) >= 28  # both have learned to call
        wrong[label] = sum("find_v2" in text for text in answers)
    assert wrong["without"] >= 25  # greedy: the more frequent first call
    assert wrong["with"] == 0


def test_pkt_learns_sooner_which_of_two_tools_that_differ_in_one_late_token(tmp_path):
    """The request says which of two tools is meant, the names differ at their end: after equally few steps PKT has it more often."""
    pair = ("get_the_current_status_of_one_customer_by_name", "get_the_current_status_of_one_customer_by_city")

    def record(rng: Random) -> dict[str, Any]:
        kind = rng.randrange(2)
        name = "".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(6))
        words = ("the person", "the town")[kind]
        messages = [
            {"role": "user", "content": f"Please look up {words} {name}."},
            call(pair[kind], name, 0),
            feedback('{"status": "ok"}', 0),
            {"role": "assistant", "content": "It is ok."},
        ]
        return {"messages": messages, "tools": [tool(name) for name in pair]}

    rng = Random(1)
    records, tests = [record(rng) for _ in range(160)], [record(rng) for _ in range(60)]
    right = {"without": 0, "with": 0}
    for seed in range(2):
        for label, recipe in (("without", NONE), ("with", PKT)):
            folder = tmp_path / f"{label}{seed}"
            folder.mkdir()
            model, tokenizer = train(folder, records, recipe, epochs=9, seed=seed)
            answers = agent.answer(model, tokenizer, [prompt(tokenizer, record) for record in tests])
            for text, test in zip(answers, tests, strict=True):
                right[label] += test["messages"][1]["tool_calls"][0]["function"]["name"] in text
    assert right["with"] >= right["without"] + 20  # of 120
