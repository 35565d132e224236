"""What is exported in a format that tldata reads comes back as it was, but for what the export says it could not hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.whole import content, read, whole_of
from tldata.errors import RecordError
from tldata.export import axolotl, hermes, llama_factory, ms_swift, sharegpt, trl
from tldata.export.chat import chat_of
from tldata.export.write import NoRecord
from tldata.tokenize.load import excluded_categories

# target: (its record function, the reader of its files, whether its records say what is trained)
TARGETS: dict[str, tuple[Any, str, bool]] = {
    "trl": (trl.messages_record, "openai", False),
    "axolotl": (axolotl.record, "openai", True),
    "ms-swift": (ms_swift.record, "openai", True),
    "sharegpt": (sharegpt.record, "sharegpt", False),
    "llama-factory-v1": (llama_factory.record, "llama-factory", True),
    "hermes": (hermes.record, "hermes", False),
}
# Reasons that take away something that ``content`` can be told to look past; under any other the messages differ.
LIGHT = {
    "call ids",
    "untrained message",
    "calls of which some are erroneous",
    "message extra",
    "error flag",
}
# Reasons after which feedback is read as something else, so that a second export may differ from the first.
UNSTABLE = {
    "feedback that looks like an envelope",
    "tags in the text",
    "feedback without a call",
    "call without feedback among others",
}
PAPER = excluded_categories("paper")

NAMES = st.sampled_from(["forecast", "timezone", "f"])
WORDS = st.text(alphabet="abc é.,{}[]<>\n\"'", max_size=12)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["city", "days"]),
    st.one_of(st.text(max_size=4), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(-2, 2)),
    max_size=2,
).map(json.dumps) | st.sampled_from(["", "{oops", "[1]", '{"a": NaN}', '{"a": 1e999}'])
TOOLS = st.sampled_from(
    [
        None,
        [{"type": "function", "function": {"name": "forecast", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
        [{"name": "timezone", "parameters": {"type": "object", "properties": {}}}, {"name": "f", "description": ""}],
    ]
)  # fmt: skip


@st.composite
def step(draw: st.DrawFn, number: int, ids: bool) -> list[dict[str, Any]]:
    """An assistant message with calls, and feedback on some of them in some order."""
    calls = [
        {"type": "function", "function": {"name": draw(NAMES), "arguments": draw(ARGUMENTS)}}
        for _ in range(draw(st.integers(1, 3)))
    ]
    for place, call in enumerate(calls):
        if ids:
            call["id"] = f"c{number}_{place}"
    message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | WORDS), "tool_calls": calls}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(WORDS)
    if draw(st.integers(0, 4)) == 0:
        message["weight"] = 0
    order = draw(st.permutations(range(len(calls)))) if ids else range(len(calls))
    answered = list(order)[: draw(st.integers(0, len(calls)))] if draw(st.booleans()) else list(order)
    texts = st.one_of(WORDS, st.sampled_from(['{"a":1}', '{"name": "f", "content": "x"}', '["a", "b"]', "<tool_call>"]))
    feedback = [
        {"role": "tool", "content": draw(texts), **({"tool_call_id": calls[place]["id"]} if ids else {})}
        for place in answered
    ]
    return [message, *feedback]


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.booleans())
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(WORDS)})
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 5))
        if kind <= 1:
            messages.append({"role": "user", "content": draw(WORDS)})
        if kind == 2:
            messages.append({"role": "assistant", "content": draw(WORDS)})
        if kind == 3:
            messages.append({"role": draw(st.sampled_from(["critic", "tool", "system"])), "content": draw(WORDS)})
        messages += draw(step(number, ids))
    tools = draw(TOOLS)
    return {"messages": messages, **({} if tools is None else {"tools": tools})}


def exported(
    trajectory: Any, target: str, categories: list[str | None] | None
) -> tuple[dict[str, Any] | None, set[str]]:
    chat = chat_of(whole_of(trajectory, categories), PAPER)
    try:
        (record,) = TARGETS[target][0](chat)
    except NoRecord:
        return None, chat.lost
    return record, chat.lost


@pytest.mark.parametrize("target", TARGETS)
@given(
    record=records(),
    categories=st.lists(st.sampled_from(["all_right", "others", "no_feedback"]), min_size=1, max_size=3),
)
def test_export_then_import_is_the_identity(target: str, record: dict[str, Any], categories: list[str]) -> None:
    _, reader, marks = TARGETS[target]
    before = read(record, "openai")
    out, lost = exported(before, target, list(categories))
    if out is None:
        return
    after = read(out, reader)
    if lost <= LIGHT:
        ids = target in ("trl", "axolotl")
        assert content(after, ids=ids) == content(before, ids=ids)
        if marks:
            chat = chat_of(whole_of(before, list(categories)), PAPER)
            assert [message.trainable for message in after.messages if message.role == "assistant"] == [
                said.trained for said in chat.messages if said.role == "assistant"
            ]
    whole = whole_of(before, list(categories))
    if not lost & {"feedback that looks like an envelope", "tags in the text", "ends without an answer"}:
        calls = [[call.name, call.arguments] for said in chat_of(whole, PAPER).messages for call in said.calls]
        read_back = [
            [call.name, json.loads(call.arguments)] for message in after.messages for call in message.calls if call.name
        ]
        assert read_back == calls
    if lost & UNSTABLE:
        return
    try:
        again, _ = exported(after, target, None)
    except RecordError:
        again = None
    assert again == out, "what was read back is exported as the same record"
