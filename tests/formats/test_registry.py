"""The registry: examples, detection, and the page made of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tldata.errors import RecordError, UsageError
from tldata.formats import FORMATS, ReadOptions, detect, get_format
from tldata.formats.docs import KNOWN_AS, markdown

NAMES = [row.name for row in FORMATS]
EXAMPLES = {row.name: orjson.loads(row.example) for row in FORMATS}

# What a chat without any call scores: the reader of plain chats wins, those that read them as well come after it.
PLAIN: dict[str, Any] = {
    "openai": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
}
# Records that look alike and are told apart.
LOOKALIKES: list[tuple[str, Any]] = [
    ("openai", {"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}, {"role": "tool", "content": "ok"}], "tools": [{"name": "f"}]}),
    ("openai", {"messages": json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}])}),
    ("openai", {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}], "tools": [{"type": "function", "function": {"name": "f"}}]}),
    ("openai", [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]),
    ("hermes", {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": '<tool_call>{"name": "f", "arguments": {}}</tool_call>'}], "tools": [{"name": "f"}]}),
    ("hermes", {"conversations": [{"from": "system", "value": "<tools>[]</tools>"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}),
    ("anthropic", {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}], "tools": [{"name": "f", "input_schema": {}}]}),
    ("rotbench", {"id": "Turn 1: q", "conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "Thought:\nAction: f\nAction Input: {}"}]}),
    ("toolllama", {"id": "Step 1: q", "conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "Thought:\nAction: f\nAction Input: {}"}]}),
    ("toolbench", {"answer_generation": {"query": "q", "function": [], "train_messages": [[{"role": "user", "content": "q"}]]}}),
    ("tl-training", {"id": "1", "conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": 'f\n{"a": 1}'}]}),
]  # fmt: skip
# Files that are none of ours; their readers come with other formats.
FOREIGN = [
    "bfcl/exec_simple.jsonl",
    "toolalpaca/eval_real.json",
    "labelled_feedback/dev.jsonl",
    "tooleyes/scenario_data_raw.json",
]
REAL = {
    "tau_bench/gpt-4o-airline.json": "tau-bench",
    "tl_training/raw_data.json": "tl-training",
    "rotbench/first_turn/heavy.json": "rotbench",
    "rotbench/third_turn/clean.json": "rotbench",
    "tooleyes/scenario_data_zero_processed.json": "rotbench",
    "toolbench/answer/G1_answer/10_ChatGPT_DFS_woFilter_w2.json": "toolbench",
    "formats/llama_factory/glaive_toolcall_en_demo.json": "sharegpt",
    "formats/llama_factory/reason_tool_use_demo_50.jsonl": "llama-factory",
    "formats/swe_agent/BabyEncryption.traj": "swe-agent",
    "formats/swe_agent/function_calling_simple.traj": "swe-agent",
    "formats/langfuse/claude-agent-2025-12-22.trace.json": "langfuse",
    "formats/langfuse/openai-agents-2025-09-30.trace.json": "langfuse",
    "formats/inspect/log_tool_call_error.json": "inspect",
    "formats/inspect/2025-05-12T20-28-13-04-00_popularity.json": "inspect",
}


def load(path: Path) -> list[Any]:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return [orjson.loads(line) for line in raw.splitlines()]
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_recognised_with_a_distance_to_all_other_formats(name: str) -> None:
    detection = detect([EXAMPLES[name]])
    assert detection.best is get_format(name)
    assert detection.scores[name] == 1
    assert max(score for other, score in detection.scores.items() if other != name) <= 0.6


@pytest.mark.parametrize("name", NAMES)
def test_an_example_shows_messages_and_a_call_and_its_tools(name: str) -> None:
    (trajectory,) = get_format(name).read(EXAMPLES[name], ReadOptions())
    calls = [call for message in trajectory.messages for call in message.calls]
    assert calls
    assert all(call.name and isinstance(json.loads(call.arguments or ""), dict) for call in calls)
    if name not in (
        "tau-bench",
        "swe-agent",
        "bfcl",
        "api-bank",
        "claude-code",
        "openhands-events",
        "mini-swe-agent",
        "codex",
    ):  # which do not store them
        assert trajectory.tools


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_chat_is_recognised_without_a_tie(name: str) -> None:
    detection = detect([PLAIN[name]])
    assert detection.best is get_format(name)
    assert not detection.tie


def test_one_call_in_eight_records_decides_for_the_format_of_calls() -> None:
    # hermes (1 + 7 * 0.5) / 8 = 0.5625, sharegpt (0.2 + 7 * 0.6) / 8 = 0.55; anthropic 0.5625, openai 0.5375
    for name, chat in (("hermes", "sharegpt"), ("anthropic", "openai")):
        assert detect([EXAMPLES[name], *[PLAIN[chat]] * 7]).best is get_format(name)


@pytest.mark.parametrize(("name", "record"), LOOKALIKES)
def test_records_that_look_alike_are_told_apart(name: str, record: Any) -> None:
    detection = detect([record])
    assert detection.best is get_format(name), detection.scores
    assert not detection.tie
    assert list(get_format(name).read(record, ReadOptions()))


@pytest.mark.parametrize("path", REAL)
def test_real_files_are_recognised_clearly(shared: Path, path: str) -> None:
    scores = detect(load(shared / path)[:50]).scores
    name, second = sorted(scores, key=lambda name: scores[name], reverse=True)[:2]
    assert name == REAL[path]
    assert scores[name] - scores[second] >= 0.25


def test_gpt4_runs_are_recognised_as_rotbench(shared: Path) -> None:
    with gzip.open(shared / "rotbench/train_gpt4/train_gpt4.jsonl.gz") as file:
        records = [orjson.loads(next(file)) for _ in range(50)]
    assert detect(records).best is get_format("rotbench")


@pytest.mark.parametrize("path", FOREIGN)
def test_files_of_other_kinds_are_recognised_as_none(shared: Path, path: str) -> None:
    assert detect(load(shared / path)[:50]).best is None


def test_equal_best_scores_are_a_tie() -> None:
    detection = detect([EXAMPLES["xlam"], EXAMPLES["glaive"]])
    assert detection.scores["xlam"] == detection.scores["glaive"] == 0.5
    assert detection.tie


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="openai, tau-bench") as caught:
        get_format("opneai")
    assert "tldata formats" in str(caught.value)


def test_names_are_unique_and_every_row_says_where_tools_and_flags_are() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for row in FORMATS:
        assert row.title
        assert "ool" in row.notes
        assert "\n" not in row.example


def test_a_wrong_format_is_refused_with_the_keys_that_were_found() -> None:
    with pytest.raises(RecordError, match='no "messages", "conversations" or "traj" key; found a, b'):
        list(get_format("openai").read({"a": 1, "b": 2}, ReadOptions()))
    with pytest.raises(RecordError, match="message 0: role is missing; found from, value"):
        list(get_format("openai").read(PLAIN["sharegpt"], ReadOptions()))


def test_what_people_have_names_readers_that_there_are() -> None:
    assert set(KNOWN_AS.values()) <= set(NAMES)


def test_the_page_about_formats_is_what_the_registry_gives() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
    assert page.read_text(encoding="utf-8") == markdown(), "python -m tldata.formats.docs > docs/formats.md"
