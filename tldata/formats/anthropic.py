"""Anthropic messages: tool_use blocks in the assistant's content, tool_result blocks in the user's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions
from tldata.formats.shape import (
    arguments_text,
    as_tools,
    dump,
    found,
    kind,
    need_list,
    need_object,
    scalar_text,
    text_of,
)
from tldata.record import Call, Message, Trajectory

_MAPPED = frozenset({"messages", "tools", "system", "id", "model"})


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a record; a user message with results becomes one tool message per result, and one for its text."""
    record = need_object(record, "the record")
    if "messages" not in record:
        raise RecordError(f'no "messages" key; found {found(record)}')
    messages: list[Message] = []
    metadata = {key: value for key, value in record.items() if key not in _MAPPED}
    system = record.get("system")
    if system is not None:
        text, _ = text_of(system)
        if text is not None:
            messages.append(Message("system", text))
        if not isinstance(system, str):
            metadata["system"] = system
    for place, raw in enumerate(need_list(record["messages"], '"messages"')):
        messages.extend(read_message(raw, f"message {place}"))
    tools = as_tools(record.get("tools")) or None
    if tools is None and record.get("tools") is not None:
        metadata["tools"] = record["tools"]
    for key in ("id", "model"):
        if key in record and scalar_text(record[key]) is None:
            metadata[key] = record[key]
    return [
        Trajectory(
            messages,
            tools,
            source_id=scalar_text(record.get("id")),
            model=scalar_text(record.get("model")),
            metadata=metadata,
        )
    ]


def read_message(raw: Any, where: str) -> list[Message]:
    """The messages of one Anthropic message, whose content is text or blocks, in the order of the blocks.

    Args:
        raw: the parsed message.
        where: how errors call it.
    """
    raw = need_object(raw, where)
    if "role" not in raw:
        raise RecordError(f"{where}: role is missing; found {found(raw)}")
    role = raw["role"]
    if not isinstance(role, str):
        raise RecordError(f"{where}: role is {kind(role)}, not a string")
    content = raw.get("content")
    extra = {key: value for key, value in raw.items() if key not in ("role", "content")}
    if content is None or isinstance(content, str):
        return [Message(role, content, extra=extra or None)]
    blocks = [content] if isinstance(content, dict) else content
    if not isinstance(blocks, list):
        raise RecordError(f"content of {where} is {kind(content)}, not a string or a list")
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    for index, block in enumerate(blocks):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise RecordError(f"block {index} of {where} is no object with a type")
    messages = _assistant(role, blocks, where) if role == "assistant" else _others(role, blocks, where)
    if not messages:
        messages = [Message(role, extra={"content": content})]
    if extra:
        messages[0].extra = {**(messages[0].extra or {}), **extra}
    return messages


def _assistant(role: str, blocks: list[dict[str, Any]], where: str) -> list[Message]:
    """One message; results of tools that the service itself ran stand in the same content and stay in ``extra``."""
    message = Message(role)
    text: list[str] = []
    reasoning: list[str] = []
    plain = True
    for index, block in enumerate(blocks):
        what = block["type"]
        if what == "tool_use":
            message.calls.append(_call(block, f"block {index} of {where}"))
            plain = plain and set(block) == {"type", "id", "name", "input"} and isinstance(block["input"], dict)
        elif what == "text" and isinstance(block.get("text"), str):
            text.append(block["text"])
            plain = plain and len(text) == 1 and len(block) == 2 and not message.calls
        elif what == "thinking" and isinstance(block.get("thinking"), str):
            reasoning.append(block["thinking"])
            plain = plain and len(reasoning) == 1 and len(block) == 2 and not text and not message.calls
        else:
            plain = False
    message.content = "\n".join(text) if text else None
    message.reasoning = "\n".join(reasoning) if reasoning else None
    if not plain:
        message.extra = {"content": blocks}
    return [message]


def _call(block: dict[str, Any], where: str) -> Call:
    name = block.get("name")
    if name is not None and not isinstance(name, str):
        raise RecordError(f"the name of {where} is {kind(name)}, not a string")
    return Call(name or None, arguments_text(block.get("input")), scalar_text(block.get("id")))


def _others(role: str, blocks: list[dict[str, Any]], where: str) -> list[Message]:
    """Runs of blocks that are no results make a message each, every result a tool message."""
    messages: list[Message] = []
    run: list[dict[str, Any]] = []

    def close() -> None:
        if run:
            content, _ = text_of(list(run))
            plain = len(run) == 1 and set(run[0]) == {"type", "text"}
            messages.append(Message(role, content, extra=None if plain else {"content": list(run)}))
            run.clear()

    for block in blocks:
        if block["type"] == "tool_result":
            close()
            messages.append(_result(block))
        else:
            run.append(block)
    close()
    return messages


def _result(block: dict[str, Any]) -> Message:
    """Feedback. ``is_error`` is the flag; where it is absent the result is no error, by Anthropic's definition."""
    content = block.get("content")
    text, _ = text_of(content)
    message = Message("tool", text, tool_call_id=scalar_text(block.get("tool_use_id")))
    flag = block.get("is_error")
    message.native_error_source = "is_error"
    message.native_error = flag if isinstance(flag, bool) else False if flag is None else None
    if "is_error" in block:
        message.native_error_code = dump(flag)
    extra = {key: value for key, value in block.items() if key not in ("type", "tool_use_id", "content", "is_error")}
    if content is not None and not isinstance(content, str):
        extra["content"] = content
    message.extra = extra or None
    return message


def score(record: Any) -> float:
    """1 for messages with tool_use or tool_result blocks, 0.9 for ``input_schema`` beside plain messages, 0.5 for a plain chat."""
    if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
        return 0.0
    if any(isinstance(record.get(key), (list, dict)) for key in ("choices", "response", "completion")):
        return 0.5  # a request with its response: that reader takes the answer too
    messages = [message for message in record["messages"] if isinstance(message, dict)]
    if not messages or any(message.get("tool_calls") or message.get("function_call") for message in messages):
        return 0.0
    roles = {message.get("role") for message in messages if isinstance(message.get("role"), str)}
    if any(
        isinstance(block, dict) and block.get("type") in ("tool_use", "tool_result")
        for message in messages
        if isinstance(message.get("content"), list)
        for block in message["content"]
        if isinstance(block, dict) and isinstance(block.get("type"), str)
    ):
        return 1.0
    if not roles or not roles <= {"user", "assistant"}:
        return 0.0
    if any(isinstance(message.get("content"), list) and not _has_blocks(message["content"]) for message in messages):
        return 0.0
    tools = record.get("tools")
    if isinstance(tools, list) and any(isinstance(tool, dict) and "input_schema" in tool for tool in tools):
        return 0.9
    if "tools" in record or any("<tool_call>" in str(message.get("content")) for message in messages):
        return 0.2
    return 0.5


def _has_blocks(content: list[Any]) -> bool:
    return all(
        isinstance(block, dict) and isinstance(block.get("type"), str) and "value" not in block for block in content
    )


FORMAT = Format(
    name="anthropic",
    title="Anthropic messages with content blocks",
    score=score,
    read=read,
    example=(
        '{"system": "Be brief.", "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": '
        '{"type": "string"}}}}], "messages": [{"role": "user", "content": "Rome?"}, {"role": "assistant", "content": [{"type": '
        '"text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}]}, '
        '{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "timeout", "is_error": true}, '
        '{"type": "text", "text": "And now?"}]}]}'
    ),
    notes=(
        "Tools stand in `tools` with `input_schema`, the system prompt in `system`. `is_error` of a result is the error flag; where "
        "it is absent, the result is none. A user message with results becomes one tool message each, its text a user message."
    ),
)
