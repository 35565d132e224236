"""Trajectories of a reader as the rows of the tables, without the engine; and what an export and its import must agree on."""

from __future__ import annotations

import json
from typing import Any

import orjson

from tldata.formats import ReadOptions, get_format
from tldata.jsontext import dumps
from tldata.pairing import pair
from tldata.record import Trajectory
from tldata.stream import Whole
from tldata.tools import toolset_id, toolset_rows


def read(record: Any, reader: str) -> Trajectory:
    """The trajectory that a reader makes of a record, through JSON text as a file would have it."""
    (trajectory,) = get_format(reader).read(orjson.loads(dumps(record)), ReadOptions())
    return trajectory


def whole_of(trajectory: Trajectory, categories: list[str | None] | None = None, identity: str = "raw:1") -> Whole:
    """The rows of a trajectory; the n-th call gets the n-th category, in turn (None: not classified)."""
    declared = trajectory.tools or None
    tools = [] if declared is None else toolset_rows(toolset_id(declared), declared)
    row = {
        "trajectory_id": identity,
        "format": "other",
        "toolset_id": toolset_id(declared) if tools and declared else None,
        "metadata": "{}",
    }
    messages = [
        {
            "turn": turn,
            "role": message.role,
            "content": message.content,
            "reasoning": message.reasoning,
            "name": message.name,
            "tool_call_id": message.tool_call_id,
            "trainable": message.trainable,
            "extra": dumps(message.extra) if message.extra else None,
        }
        for turn, message in enumerate(trajectory.messages)
    ]
    calls = []
    for number, made in enumerate(pair(trajectory.messages)):
        category = categories[number % len(categories)] if categories else None
        calls.append(
            {
                "turn": made.turn,
                "call_index": made.call_index,
                "call_id": made.call.call_id,
                "tool_name": made.call.name,
                "arguments": made.call.arguments,
                "raw_call": made.call.raw,
                "feedback_turn": made.feedback_turn,
                "native_error": None,
                "category": category,
                "is_error": category not in (None, "all_right", "no_feedback"),
                "trainable": trajectory.messages[made.turn].trainable,
            }
        )
    return Whole(row, messages, calls, tools)


def content(trajectory: Trajectory, *, ids: bool = True, thoughts: bool = True) -> dict[str, Any]:
    """What a trajectory says: messages, calls with values of arguments, which feedback answers which, tools.

    Args:
        trajectory: as a reader gave it.
        ids: with the ids of calls.
        thoughts: with reasoning and the text of assistant messages.
    """
    messages = []
    for message in trajectory.messages:
        said: list[Any] = [message.role, message.content or "", message.reasoning, message.name, message.tool_call_id]
        if not ids:
            said[3:] = []
        if not thoughts and message.role == "assistant":
            said[1:3] = []
        said.append([[call.name, value_of(call.arguments), call.call_id if ids else None] for call in message.calls])
        messages.append(said)
    pairs = [[made.turn, made.call_index, made.feedback_turn] for made in pair(trajectory.messages)]
    return {"messages": messages, "pairs": pairs, "tools": tools_of(trajectory)}


def tools_of(trajectory: Trajectory) -> list[Any]:
    if not trajectory.tools:
        return []
    rows = toolset_rows("", trajectory.tools)
    return [[row["name"], row["description"] or "", orjson.loads(row["parameters"])] for row in rows]


def value_of(arguments: str | None) -> Any:
    return json.loads(arguments) if arguments and arguments.strip() else {}
