"""Inspect logs: one JSON file with all samples, or a .eval zip with a member each, whose tool messages have typed errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions, Skip
from tldata.formats.openai import number
from tldata.formats.openai_message import read_messages
from tldata.formats.shape import as_tools, dump, found, need_list, need_object, scalar_text
from tldata.record import Message, Trajectory

_ATTACHED = "attachment://"
_DEPTH = 64  # of values in which attachments are looked for
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}  # Inspect's value_to_float
_REPEATED = frozenset({"messages", "events", "events_data", "message_pool", "call_pool", "attachments"})  # of a sample


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """One trajectory per sample and epoch, its place as ``branch``; the log's header is the first one's metadata."""
    record = need_object(record, "the record")
    samples = record.get("samples")
    if not samples and isinstance(record.get("eval"), dict):
        raise Skip("Inspect log without samples")
    if "samples" not in record:
        raise RecordError(f'no "samples" key; found {found(record)}')
    header = record["eval"] if isinstance(record.get("eval"), dict) else {}
    trajectories = []
    for place, raw in enumerate(need_list(samples, '"samples"')):
        trajectory = read_sample(need_object(raw, f"sample {place}"), f"sample {place}")
        trajectory.model = scalar_text(header.get("model"))
        trajectory.created_at = scalar_text(header.get("created"))
        trajectory.branch = place
        if place == 0:
            trajectory.metadata["log"] = {key: value for key, value in record.items() if key != "samples"}
        trajectories.append(trajectory)
    return trajectories


def read_sample(sample: dict[str, Any], where: str) -> Trajectory:
    """The trajectory of one sample; one that ended before its first message has its input alone."""
    attachments = sample.get("attachments")
    attached = attachments if isinstance(attachments, dict) else {}
    raw = sample.get("messages") or _last_turns(sample) or sample.get("input")
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}]
    raw = need_list(_resolved(raw, attached), f"messages of {where}")
    messages = read_messages(raw, f"messages of {where}")
    for message, given in zip(messages, raw, strict=True):
        if message.role == "tool":
            _finish_feedback(message, given)
    return Trajectory(
        messages,
        _tools(_resolved(sample.get("events"), attached)),
        source_id=scalar_text(sample.get("id")),
        reward=_reward(sample.get("scores")),
        metadata={key: value for key, value in sample.items() if key not in _REPEATED and key != "id"},
    )


def _last_turns(sample: dict[str, Any]) -> list[Any]:
    """What the last model event was given and gave, for a sample that ended without messages; inputs may stand in a pool."""
    events = sample.get("events")
    models = (
        [e for e in events if isinstance(e, dict) and e.get("event") == "model"] if isinstance(events, list) else []
    )
    if not models:
        return []
    data = sample.get("events_data")
    pool = (data.get("messages") if isinstance(data, dict) else None) or sample.get("message_pool")
    turns = models[-1].get("input")
    turns = list(turns) if isinstance(turns, list) else []
    refs = models[-1].get("input_refs")
    if not turns and isinstance(refs, list) and isinstance(pool, list):
        for pair in refs:
            if isinstance(pair, list) and len(pair) == 2 and all(type(end) is int and end >= 0 for end in pair):
                turns += pool[pair[0] : pair[1]]
    output = models[-1].get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    if turns and isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("message"):
        turns.append(choices[0]["message"])
    return turns


def _finish_feedback(message: Message, given: dict[str, Any]) -> None:
    """The tool's name and the typed error, whose message is what the model read where there is no content."""
    if message.name is None:
        message.name = scalar_text(given.get("function"))
    error = given.get("error")
    message.native_error_source = "error"
    message.native_error = bool(error)
    if isinstance(error, dict) and error:
        message.native_error_code = scalar_text(error.get("type")) or dump(error)
        if not message.content and isinstance(error.get("message"), str):
            message.extra = {**(message.extra or {}), "content": given.get("content")}
            message.content = error["message"]


def _resolved(value: Any, attached: dict[str, Any], depth: int = 0) -> Any:
    """The value with the texts that were moved out of it put back."""
    if isinstance(value, str):
        if value.startswith(_ATTACHED):
            text = attached.get(value.removeprefix(_ATTACHED))
            return text if isinstance(text, str) else value
        return value
    if not attached or depth > _DEPTH:
        return value
    if isinstance(value, list):
        return [_resolved(item, attached, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _resolved(item, attached, depth + 1) for key, item in value.items()}
    return value


def _tools(events: Any) -> list[Any] | None:
    """The tools of all model events, each name once."""
    tools: dict[str, Any] = {}
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("event") == "model":
            for tool in as_tools(event.get("tools")) or ():
                tools.setdefault(str(tool.get("name")), tool)
    return list(tools.values()) or None


def _reward(scores: Any) -> float | None:
    """The sample's only score as a number: C 1, P 0.5, I and N 0, as Inspect counts; None where there are several."""
    if not isinstance(scores, dict) or len(scores) != 1:
        return None
    (score,) = scores.values()
    value = score.get("value") if isinstance(score, dict) else None
    return _GRADES.get(value) if isinstance(value, str) else number(value)


def score(record: Any) -> float:
    """1 for an object with ``eval`` and samples, 0.9 for a log's header alone, 0.7 for samples with messages alone."""
    if not isinstance(record, dict):
        return 0.0
    samples = record.get("samples")
    fit = isinstance(samples, list) and bool(samples) and isinstance(samples[0], dict) and "messages" in samples[0]
    fit = fit or (
        isinstance(samples, list) and bool(samples) and isinstance(samples[0], dict) and "epoch" in samples[0]
    )
    if isinstance(record.get("eval"), dict) and ("plan" in record or "status" in record or fit):
        return 1.0 if fit else 0.9
    return 0.7 if fit else 0.0


FORMAT = Format(
    name="inspect",
    title="Inspect logs, .json and .eval",
    score=score,
    read=read,
    example=(
        '{"version": 2, "status": "success", "eval": {"task": "t", "model": "openai/gpt-4o", "created": "2025-02-07T00:00:00+00:00"}, '
        '"plan": {}, "samples": [{"id": 1, "epoch": 1, "input": "List.", "target": "", "messages": [{"role": "user", "content": '
        '"attachment://a1", "source": "input"}, {"role": "assistant", "content": "", "source": "generate", "tool_calls": [{"id": '
        '"c1", "function": "bash", "arguments": {"cmd": "ls"}, "type": "function"}]}, {"role": "tool", "tool_call_id": "c1", '
        '"function": "bash", "content": "", "error": {"type": "timeout", "message": "Command timed out before completing."}}], '
        '"scores": {"includes": {"value": "I"}}, "attachments": {"a1": "List."}, "events": [{"event": "model", "tools": [{"name": '
        '"bash", "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}}]}]}]}'
    ),
    notes=(
        "One record is a whole .json file: a trajectory per sample and epoch, its place is the branch. Each sample of a .eval is a record. Tools stand in the model "
        "events. `error` of a tool message is the error flag, its `type` the code; its message is the feedback where there "
        "is no content. Attachments are put back; events are not kept. The log's header is in the first trajectory's metadata."
    ),
)
