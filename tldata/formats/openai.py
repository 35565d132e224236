"""OpenAI chat messages with tool_calls, and every variant of them that is met: read so that the record can be rebuilt exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions
from tldata.formats.openai_message import read_messages
from tldata.formats.shape import as_tools, found, need_object, parse, scalar_text, try_parse
from tldata.record import Message, Trajectory

# Under which keys a record keeps its messages and its tools, in the order in which they are looked for.
MESSAGE_KEYS = ("messages", "conversations", "conversation", "trajectory", "traj")
TOOL_KEYS = ("tools", "functions", "available_tools")
# Columns of trajectories, and the keys that fill them; the first is the one under which the column is written back.
SCALARS: dict[str, tuple[str, ...]] = {
    "source_id": ("id", "trajectory_id", "uuid", "session_id", "conversation_id", "instance_id"),
    "created_at": ("created_at", "timestamp", "created"),
    "model": ("model", "model_name"),
    "agent_version": ("agent_version",),
    "outcome": ("outcome",),
    "reward": ("reward",),
}
# Keys of one declaration that holds several: their table rows do not give the declaration back.
_GROUPS = frozenset({"functionDeclarations", "function_declarations", "tools", "functions"})
_ANSWERS = ("choices", "response", "completion")
_TOOL_DECLARE = re.compile(r"<\|im_system\|>\s*tool_declare\s*<\|im_middle\|>")


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a record: an object with messages, or the bare list of them.

    ``metadata["$tldata"]`` notes what the tables cannot give back (see ``openai_export``): the key of the messages where it is
    not ``messages``, canonical keys that the record lacks (``absent``), how the tools were written (``tools_text``).

    Raises:
        RecordError: with the message's 0-based place and what is wrong with it.
    """
    if isinstance(record, list):
        return [Trajectory(read_messages(record, "the record"), metadata={"$tldata": {"record": "list"}})]
    record = need_object(record, "the record")
    return [read_object(record)]


def read_object(record: dict[str, Any], keys: Iterable[str] = MESSAGE_KEYS) -> Trajectory:
    """The trajectory of a record whose messages stand under the first of ``keys`` that it has."""
    key = next((key for key in keys if key in record), None)
    if key is None:
        raise RecordError(f'no "messages", "conversations" or "traj" key; found {found(record)}')
    marks: dict[str, Any] = {}
    metadata = {name: value for name, value in record.items() if name != key}
    raw = record[key]
    if isinstance(raw, str):
        metadata[key] = raw  # the text itself: its white space and order of keys are part of the record
        raw = parse(raw, f'"{key}"')
    if key != "messages":
        marks["messages"] = key
    messages = read_messages(raw, f'"{key}"')
    system = record.get("system")
    if isinstance(system, str) and system and messages[0].role != "system":
        messages.insert(0, Message("system", system))
        marks["system"] = True
        del metadata["system"]
    trajectory = Trajectory(messages, metadata=metadata)
    _take_scalars(trajectory, metadata, marks)
    _take_tools(trajectory, metadata, marks)
    if "$tldata" in record:
        metadata["$tldata"] = {"record": record}  # a key that looks like ours: keep the whole
    elif marks:
        metadata["$tldata"] = marks
    return trajectory


def _take_scalars(trajectory: Trajectory, metadata: dict[str, Any], marks: dict[str, Any]) -> None:
    """Fill the scalar columns; a key leaves ``metadata`` only if its column gives its value back."""
    for column, names in SCALARS.items():
        for name in names:
            if name not in metadata:
                continue
            value = metadata[name]
            taken: Any = scalar_text(value) if column != "reward" else number(value)
            if taken is None:
                continue
            setattr(trajectory, column, taken)
            if name == names[0] and type(taken) is type(value):
                del metadata[name]
            elif name != names[0] and names[0] not in metadata:
                marks.setdefault("absent", []).append(names[0])
            break


def number(value: Any) -> float | None:
    """A number as a float; None for everything else, true and false among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _take_tools(trajectory: Trajectory, metadata: dict[str, Any], marks: dict[str, Any]) -> None:
    """Fill ``tools`` from the record, else from its first message, and note how they are written."""
    for key in TOOL_KEYS:
        if key not in metadata or not (tools := as_tools(metadata[key])):
            continue  # an empty list declares nothing, and stays where it is
        trajectory.tools = tools
        style = _text_style(metadata[key], tools)
        if (
            key != "available_tools"
            and (tools is metadata[key] or style)
            and not any(_GROUPS & tool.keys() for tool in tools)
        ):
            del metadata[key]
            if key != "tools":
                marks["tools"] = key
            if style:
                marks["tools_text"] = style
        elif key != "tools" and "tools" not in metadata:
            marks.setdefault("absent", []).append("tools")
        return
    first = trajectory.messages[0]
    trajectory.tools = as_tools((first.extra or {}).get("tools")) or None
    if trajectory.tools is None and first.content and (opening := _TOOL_DECLARE.search(first.content)):
        trajectory.tools = as_tools(first.content[opening.end() :].partition("<|im_end|>")[0]) or None
    if trajectory.tools is not None and "tools" not in metadata:
        marks.setdefault("absent", []).append("tools")


def _text_style(value: Any, tools: list[Any]) -> str | None:
    """By which of our ways to write JSON the text of the tools comes out again; None when by none."""
    if not isinstance(value, str):
        return None
    return next((style for style, write in TEXT_STYLES.items() if write(tools) == value), None)


def _json_style(**options: Any) -> Callable[[Any], str | None]:
    def write(value: Any) -> str | None:
        try:
            return json.dumps(value, **options)
        except RecursionError:
            return None

    return write


TEXT_STYLES: dict[str, Callable[[Any], str | None]] = {
    "ascii": _json_style(),
    "unicode": _json_style(ensure_ascii=False),
    "compact": _json_style(ensure_ascii=False, separators=(",", ":")),
    "indent": _json_style(ensure_ascii=False, indent=2),
}


def score(record: Any) -> float:
    """1 for OpenAI messages with something only they have, 0.6 for a plain chat, 0 for what has no roles."""
    if isinstance(record, list):
        return 0.5 * _score_messages(record)
    if not isinstance(record, dict):
        return 0.0
    key = next((key for key in MESSAGE_KEYS if key in record), None)
    if key is None or key == "traj":
        return 0.0
    if key == "conversation" and ("unique_trajectory_id" in record or "task_instruction" in record):
        return 0.3  # ActionStudio: its reader takes the instruction too
    if "task_id" in record and ("termination_reason" in record or "reward_info" in record):
        return 0.3  # tau2: its reader tells the user's calls from the agent's
    if str(record.get("trajectory_format"))[:40].startswith("mini-swe-agent"):
        return 0.3  # commands stand in the text
    if key == "messages" and any(isinstance(record.get(name), (list, dict)) for name in _ANSWERS):
        return 0.5  # a request with its response: that reader takes the answer too
    messages = record[key]
    if isinstance(messages, str):
        messages = try_parse(messages)
    value = _score_messages(messages)
    if value == 0.6 and key == "messages" and any(record.get(name) for name in TOOL_KEYS):
        return 0.8
    return value


def _score_messages(messages: Any) -> float:
    if not isinstance(messages, list) or not messages:
        return 0.0
    dicts = [message for message in messages if isinstance(message, dict) and isinstance(message.get("role"), str)]
    if not dicts or dicts[0] is not messages[0] or 2 * len(dicts) < len(messages):
        return 0.0
    if any(_has_foreign_parts(message) for message in dicts):
        return 0.1  # Anthropic's or LLaMA-Factory's blocks: their readers find the calls, this one would not
    if any(_is_openai_only(message) for message in dicts):
        return 1.0
    texts = [str(message.get("content")) for message in dicts if message["role"] == "assistant"]
    if any("<tool_call>" in text or "</function>" in text for text in texts):
        return 0.3  # Hermes, OpenHands: the calls stand in the text
    return 0.6


def _is_openai_only(message: dict[str, Any]) -> bool:
    if message.get("tool_calls") or message.get("function_call"):
        return True
    if message["role"] == "tool":
        return "tool_call_id" in message or "name" in message
    return message["role"] in ("tool_call", "tool_response", "developer")


def _has_foreign_parts(message: dict[str, Any]) -> bool:
    """Whether parts of a message's content are calls or results, or keep their text under ``value``."""
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return any(
        part.get("type") in ("tool_use", "tool_result", "tool_call") or ("value" in part and "text" not in part)
        for part in parts
    )


FORMAT = Format(
    name="openai",
    title="OpenAI chat messages with tool_calls",
    score=score,
    read=read,
    example=(
        '{"messages": [{"role": "user", "content": "Rome?"}, {"role": "assistant", "content": null, "tool_calls": '
        '[{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}}]}, '
        '{"role": "tool", "tool_call_id": "c1", "content": "21C"}, {"role": "assistant", "content": "21 degrees."}], '
        '"tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": '
        '{"city": {"type": "string"}}, "required": ["city"]}}}]}'
    ),
    notes=(
        "Tools stand in `tools` or `functions` of the record (as a list or as JSON text), in `available_tools` (Toucan), in the "
        "first message's `tools`, or in a `<|im_system|>tool_declare` system message. There is no error flag; `is_error`, "
        "`error` and `status` of a tool message are taken where they stand. Arguments may be objects, ids may lack, "
        "messages may be JSON text, content may be parts; `function_call`, role `function`, role `developer` and ms-swift's "
        "`tool_call` and `tool_response` are read. `weight`, `loss`, `train` of 0 or false make a message untrainable. "
        "Import and export give the same record."
    ),
)
