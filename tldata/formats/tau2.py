"""tau2 results: one file with many simulations, in which the simulated user calls tools as well as the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.formats.base import Format, ReadOptions, Skip
from tldata.formats.openai import number
from tldata.formats.openai_message import read_messages
from tldata.formats.shape import as_tools, need_list, need_object, scalar_text
from tldata.record import Message, Trajectory


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """One trajectory per simulation, its place as ``branch``; what belongs to the whole file is the first one's metadata."""
    record = need_object(record, "the record")
    if "simulations" not in record and _is_simulation(record):
        (trajectory,) = read({"simulations": [record]}, options)
        trajectory.branch = None
        trajectory.metadata.pop("results")
        return [trajectory]
    if record.get("simulations") == [] and ("info" in record or "tasks" in record):
        raise Skip("tau2 results without simulations")
    simulations = need_list(record.get("simulations"), '"simulations"')
    info = _object(record.get("info"))
    declared = as_tools(_object(info.get("environment_info")).get("tool_defs")) or None
    model = scalar_text(_object(info.get("agent_info")).get("llm"))
    trajectories = []
    for place, raw in enumerate(simulations):
        raw = need_object(raw, f"simulation {place}")
        metadata = {key: value for key, value in raw.items() if key != "messages"}
        if place == 0:
            metadata["results"] = {key: value for key, value in record.items() if key != "simulations"}
        source_id = scalar_text(raw.get("id"))
        if source_id is not None:
            del metadata["id"]
        trajectories.append(
            Trajectory(
                read_turns(raw.get("messages"), f"messages of simulation {place}"),
                declared,
                source_id=source_id,
                created_at=scalar_text(raw.get("start_time", raw.get("timestamp"))),
                model=model,
                outcome=scalar_text(raw.get("termination_reason")),
                reward=number(_object(raw.get("reward_info")).get("reward")),
                metadata=metadata,
                branch=place,
            )
        )
    return trajectories


def read_turns(raw: Any, where: str) -> list[Message]:
    """The messages of one simulation. What the user's own tools answer is a user's message: no call of the agent's awaits it."""
    raw = [inner for message in need_list(raw, where) for inner in _unfolded(message)]
    messages = read_messages(raw, where)
    for message, given in zip(messages, raw, strict=True):
        by_user = given.get("requestor") == "user"
        if message.role == "tool" and by_user:
            message.role = "user"
            message.native_error = message.native_error_code = message.native_error_source = None
            message.extra = {**(message.extra or {}), **{key: given[key] for key in ("role", "error") if key in given}}
            message.trainable = False
        elif message.role == "tool" and message.tool_call_id is None:
            message.tool_call_id = scalar_text(given.get("id"))
        elif message.role == "user" and given.get("tool_calls"):
            message.trainable = False
    return messages


def _unfolded(message: Any) -> list[Any]:
    """Several results in one message (``{"role": "tool", "tool_messages": [...]}``) as messages of their own."""
    inner = message.get("tool_messages") if isinstance(message, dict) else None
    return inner if isinstance(inner, list) and inner else [message]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_simulation(record: dict[str, Any]) -> bool:
    """Whether a record is one simulation of its own (a line each, as a run writes them)."""
    told = "termination_reason" in record or "reward_info" in record
    return told and "task_id" in record and isinstance(record.get("messages"), list)


def score(record: Any) -> float:
    """1 for an object with a list of simulations that hold messages, or for one of them; 0.9 for none beside ``tasks``."""
    if isinstance(record, dict) and "simulations" not in record and _is_simulation(record):
        return 1.0
    simulations = record.get("simulations") if isinstance(record, dict) else None
    if not isinstance(simulations, list):
        return 0.0
    if not simulations:
        return 0.9 if "tasks" in record else 0.0
    return 1.0 if isinstance(simulations[0], dict) and "messages" in simulations[0] else 0.0


FORMAT = Format(
    name="tau2",
    title="tau2-bench results",
    score=score,
    read=read,
    example=(
        '{"timestamp": "2025-06-01T10:00:00", "info": {"agent_info": {"llm": "gpt-4.1"}, "environment_info": {"tool_defs": '
        '[{"name": "get_user", "parameters": {"type": "object", "properties": {"user_id": {"type": "string"}}}}]}}, "tasks": [], '
        '"simulations": [{"id": "s1", "task_id": "0", "trial": 0, "termination_reason": "user_stop", "reward_info": {"reward": '
        '0.0}, "messages": [{"role": "user", "content": "I am x.", "tool_calls": null}, {"role": "assistant", "content": null, '
        '"tool_calls": [{"id": "c1", "name": "get_user", "arguments": {"user_id": "x"}, "requestor": "assistant"}]}, {"role": '
        '"tool", "id": "c1", "content": "Error: User x not found", "requestor": "assistant", "error": true}, {"role": "user", '
        '"content": null, "tool_calls": [{"id": "u1", "name": "toggle_data", "arguments": {}, "requestor": "user"}]}, {"role": '
        '"tool", "id": "u1", "content": "Data is on.", "requestor": "user", "error": false}]}]}'
    ),
    notes=(
        "One record is a whole file: a trajectory per simulation, its place is the branch; or one simulation. Tools stand in "
        "`info.environment_info.tool_defs` where they were stored. `error` of a tool message is the error flag (true for business refusals "
        "too). The simulated user's tools are no calls of the agent: they stay in `extra` of messages of role user that "
        "are not trainable, as do their results. The file's `info` and `tasks` are in the first trajectory's metadata."
    ),
)
