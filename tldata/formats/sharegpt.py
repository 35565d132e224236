"""ShareGPT and LLaMA-Factory conversations: from/value turns with function_call and observation, tools as JSON text beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tldata.errors import ParseError
from tldata.formats.base import Format, ReadOptions
from tldata.formats.shape import as_tools, clean, dump, lenient, need_object, structured_call
from tldata.formats.turns import Turn, feedback_messages, trajectory_of, turns_of
from tldata.record import Call, Message, Trajectory
from tldata.syntax import json_calls

TOOL_KEYS = ("tools", "functions")
_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a record."""
    record = need_object(record, "the record")
    key, turns = turns_of(record)
    messages: list[Message] = []
    for turn in turns:
        if turn.role == "call":
            messages.append(turn.finish(call_message(turn)))
        elif turn.role == "tool":
            messages.extend(feedback(turn, messages))
        else:
            messages.append(turn.finish(Message(turn.role, turn.text())))
    tools_key, tools = declared(record)
    return [trajectory_of(record, key, messages, tools, tools_key=tools_key)]


def feedback(turn: Turn, before: list[Message]) -> list[Message]:
    """The tool messages of an observation, which may be of any JSON type, after the messages before it."""
    if turn.value is None:
        return [turn.finish(Message("tool"))]
    text = turn.value if isinstance(turn.value, str) else dump(turn.value)
    return feedback_messages(turn, [text], len(before[-1].calls) if before else 0)


def declared(record: dict[str, Any]) -> tuple[str | None, list[Any] | None]:
    """The key under which the record declares tools, and the tools; (None, None) when it declares none that can be read."""
    for key in TOOL_KEYS:
        if tools := as_tools(record.get(key)):
            return key, tools
    return None, None


def call_message(turn: Turn) -> Message:
    """The assistant message of a function_call turn: one call or a list, with or without text before it.

    A value that holds no call gives a call without a name (a format error).
    """
    value = turn.value
    text = value if isinstance(value, str) else None
    if text is not None and (thought := _THOUGHT.match(text)):  # LLaMA-Factory's place for it before a call
        message = call_message(Turn(turn.place, turn.role, text[thought.end() :], {}))
        if message.calls[0].name is not None and message.content is None:
            message.content, message.extra = thought[0].strip(), {"value": text}
            return message
    parsed = lenient(text) if text is not None else value
    listed = parsed if isinstance(parsed, list) else [parsed]
    if listed and all(_is_call(call) for call in listed):
        calls = [structured_call(call, f"call {index} of message {turn.place}") for index, call in enumerate(listed)]
        pieces = _pieces(text, len(calls)) or [dump(call) for call in listed]
        for call, piece in zip(calls, pieces, strict=True):
            call.raw = piece
        return Message("assistant", None, calls)
    if text is None:
        text = dump(value)
    try:
        spans = json_calls(text)
    except ParseError:
        return Message("assistant", None, [Call(None, text, raw=text)])
    calls = [Call(clean(span.name), dump(span.arguments), raw=text[span.start : span.end]) for span in spans]
    before = text[: spans[0].start].strip()
    return Message("assistant", before or None, calls, extra={"value": text})


def _is_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    inner = value.get("function")
    name = inner.get("name") if isinstance(inner, dict) else value.get("name")
    return isinstance(name, str) and bool(name)


def _pieces(text: str | None, count: int) -> list[str] | None:
    """The calls as they stand in the text; None when they cannot be told apart in it."""
    if text is None or count == 1:
        return [text] if text is not None else None
    try:
        spans = json_calls(text)
    except ParseError:
        return None
    return [text[span.start : span.end] for span in spans] if len(spans) == count else None


def score(record: Any) -> float:
    """1 for from/value turns with function_call or observation, 0.6 for a plain chat of them."""
    if not isinstance(record, dict) or not isinstance(record.get("conversations"), list):
        return 0.0
    turns = [turn for turn in record["conversations"] if isinstance(turn, dict)]
    if not turns or not all(isinstance(turn.get("from"), str) and "value" in turn for turn in turns):
        return 0.0
    texts = [turn["value"] for turn in turns if isinstance(turn["value"], str)]
    if any("<tool_call>" in text or "<tool_response>" in text for text in texts):
        return 0.2
    if any("Action Input:" in text for text in texts):
        return 0.2
    if any(turn["from"] in ("function_call", "observation", "tool_call", "function_response") for turn in turns):
        return 1.0
    return 0.6


FORMAT = Format(
    name="sharegpt",
    title="ShareGPT and LLaMA-Factory conversations",
    score=score,
    read=read,
    example=(
        '{"conversations": [{"from": "human", "value": "Rome and Oslo?"}, {"from": "function_call", "value": '
        '"[{\\"name\\": \\"weather\\", \\"arguments\\": {\\"city\\": \\"Rome\\"}}, {\\"name\\": \\"weather\\", '
        '\\"arguments\\": {\\"city\\": \\"Oslo\\"}}]"}, {"from": "observation", "value": "[\\"21C\\", \\"4C\\"]"}, '
        '{"from": "gpt", "value": "21C and 4C."}], "system": "Be brief.", "tools": "[{\\"name\\": \\"weather\\", '
        '\\"parameters\\": {\\"type\\": \\"object\\", \\"properties\\": {\\"city\\": {\\"type\\": \\"string\\"}}}}]"}'
    ),
    notes=(
        "Tools are JSON text under `tools`, the system prompt may stand under `system`. There is no error flag. A function_call "
        "value is one call or a list; a JSON list of as many results as there were calls is one feedback each. "
        "Turns need not alternate. Further names of roles are known (user, assistant, tool, tool_call, function_response)."
    ),
)
