"""LangChain messages: serialised objects (dumps), ``{type, data}`` of messages_to_dict, or ``{type, content}`` of a graph's state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions
from tldata.formats.dialects import is_langchain, langchain_message, parsed, tools_of
from tldata.formats.shape import found, need_list, need_object, scalar_text
from tldata.record import Trajectory

_KEYS = ("messages", "chat_history", "history", "values", "state", "output", "kwargs")
_DEPTH = 4


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a list of messages, or of a state that holds one."""
    listed = _messages(record)
    if listed is None:
        raise RecordError(
            f"no LangChain messages; found {found(record) if isinstance(record, dict) else type(record).__name__}"
        )
    for place, message in enumerate(need_list(listed, "the messages")):
        if not is_langchain(message):
            raise RecordError(
                f"message {place} is no LangChain message; found {found(need_object(message, f'message {place}'))}"
            )
    messages = [langchain_message(message, place) for place, message in enumerate(listed)]
    given = record if isinstance(record, dict) else {}
    metadata = {key: value for key, value in given.items() if key not in (*_KEYS, "tools", "id")}
    kinds = [message.extra.get("response_metadata") for message in messages if message.extra]
    model = next(
        (text for kind in kinds if isinstance(kind, dict) and (text := scalar_text(kind.get("model_name")))), None
    )
    return [
        Trajectory(
            messages,
            tools_of(given.get("tools")) or None,
            source_id=next(
                (text for key in ("id", "thread_id", "run_id") if (text := scalar_text(given.get(key)))), None
            ),
            model=model,
            metadata=metadata,
        )
    ]


def _messages(value: Any, depth: int = 0) -> list[Any] | None:
    """The list of messages in a value; a batch of one is unwrapped."""
    value = parsed(value)
    if depth > _DEPTH:
        return None
    if isinstance(value, list):
        if value and is_langchain(value[0]):
            return value
        return _messages(value[0], depth + 1) if len(value) == 1 and isinstance(value[0], list) else None
    if isinstance(value, dict):
        if is_langchain(value):
            return [value]
        return next((one for key in _KEYS if (one := _messages(value.get(key), depth + 1)) is not None), None)
    return None


def score(record: Any) -> float:
    """1 for messages that are LangChain's objects or name their kind under ``type``."""
    if not isinstance(record, (dict, list)) or (isinstance(record, dict) and "run_type" in record):
        return 0.0
    listed = _messages(record)
    return 1.0 if listed and sum(map(is_langchain, listed)) == len(listed) else 0.0


FORMAT = Format(
    name="langchain",
    title="LangChain messages",
    score=score,
    read=read,
    example=(
        '{"messages": [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Rome?", '
        '"type": "human"}}, {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "", '
        '"type": "ai", "tool_calls": [{"name": "weather", "args": {"city": "Rome"}, "id": "c1", "type": "tool_call"}], "invalid_tool_calls": []}}, '
        '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"], "kwargs": {"content": "Error: timeout", '
        '"type": "tool", "tool_call_id": "c1", "status": "error"}}], "tools": [{"type": "function", "function": {"name": "weather", '
        '"parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]}'
    ),
    notes=(
        "Messages stand in `messages` of a state, or are the record. Tools stand in `tools` where they are given. `status` of a tool's message "
        "is the error flag. Calls that LangChain could not parse (`invalid_tool_calls`) keep their text as arguments."
    ),
)
