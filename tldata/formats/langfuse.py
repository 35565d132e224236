"""Langfuse's export of one trace: its observations, of which the generations hold messages in the dialect of whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, each_row, read_groups
from tldata.formats.dialects import messages_of, parsed
from tldata.formats.shape import as_tools, dump, found, kind, need_list, need_object, scalar_text, text_of
from tldata.record import Message, Trajectory

_MODELS = ("model", "provided_model_name", "providedModelName")


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a trace.

    Where the last generation was given the turns before it, the longest such input and its output are the trajectory; where
    inputs hold less, the observations are told in the order of their beginnings.
    """
    record = need_object(record, "the record")
    if "observations" not in record:
        raise RecordError(f'no "observations" key; found {found(record)}')
    raw = need_list(record["observations"], '"observations"')
    observations = sorted((need_object(each, f"observation {n}") for n, each in enumerate(raw)), key=_start)
    generations = [each for each in observations if each.get("type") == "GENERATION"]
    if not generations:
        raise Skip("trace without a generation")
    told = [
        (messages_of(each.get("input"), "user"), messages_of(each.get("output"), "assistant")) for each in generations
    ]
    inputs, output = max(told, key=lambda pair: len(pair[0]))
    whole = any(message.role == "assistant" for message in inputs)
    messages = [*inputs, *output] if whole else _in_order(observations)
    if not messages:
        raise RecordError("the inputs and outputs of its generations hold no messages")
    _add_prompt(messages, observations)
    if whole:
        _take_levels(messages, observations)
    trace = record["trace"] if isinstance(record.get("trace"), dict) else record
    return [
        Trajectory(
            messages,
            _tools(observations),
            source_id=scalar_text(trace.get("id")),
            created_at=scalar_text(trace.get("timestamp")),
            model=next((text for each in generations for key in _MODELS if (text := scalar_text(each.get(key)))), None),
            metadata=_metadata(record),
        )
    ]


def _start(observation: dict[str, Any]) -> str:
    return scalar_text(_get(observation, "startTime")) or ""


def _get(observation: dict[str, Any], key: str) -> Any:
    """The value of a key in camel case or, as other exports have it, in snake case."""
    if key in observation:
        return observation[key]
    return observation.get("".join(f"_{c.lower()}" if c.isupper() else c for c in key))


def _in_order(observations: list[dict[str, Any]]) -> list[Message]:
    """The turns told one by one: what generations were given anew and said, and what tools answered."""
    messages: list[Message] = []
    for each in observations:
        what = each.get("type")
        if what == "GENERATION":
            given = [message for message in messages_of(each.get("input"), "user") if message not in messages]
            messages.extend(message for message in given if message.role != "assistant")
            messages.extend(messages_of(each.get("output"), "assistant"))
        elif what == "TOOL":
            messages.append(_feedback(each))
    return messages


def _feedback(tool: dict[str, Any]) -> Message:
    """A tool's output; the content within a result of MCP's or Anthropic's is its text."""
    output = tool.get("output")
    value = parsed(output)
    inner = value.get("content") if isinstance(value, dict) and isinstance(value.get("content"), list) else None
    text = text_of(inner)[0] if inner is not None else output if isinstance(output, str) else text_of(value)[0]
    if text is None:
        text = scalar_text(_get(tool, "statusMessage"))
    message = Message("tool", text, name=scalar_text(tool.get("name")))
    message.extra = {"observation": tool["id"]} if scalar_text(tool.get("id")) is not None else {}
    if output is not None and output != text:
        message.extra["output"] = output
    message.extra = message.extra or None
    _take_level(message, tool)
    return message


def _take_level(message: Message, tool: dict[str, Any]) -> None:
    """Level ERROR is an error; another says nothing, for it is seldom set."""
    level = tool.get("level")
    if isinstance(level, str):
        message.native_error = True if level == "ERROR" else None
        message.native_error_code, message.native_error_source = level, "level"


def _take_levels(messages: list[Message], observations: list[dict[str, Any]]) -> None:
    """Levels of the tools' observations onto the feedback, in order, where there are as many of either."""
    feedback = [message for message in messages if message.role == "tool"]
    tools = [each for each in observations if each.get("type") == "TOOL"]
    if len(feedback) == len(tools):
        for message, tool in zip(feedback, tools, strict=True):
            _take_level(message, tool)


def _add_prompt(messages: list[Message], observations: list[dict[str, Any]]) -> None:
    """The system prompt, where it stands beside the messages: ``instructions`` or ``system`` of an input or output."""
    if messages[0].role == "system":
        return
    for each in observations:
        for side in ("input", "output"):
            value = parsed(each.get(side))
            for key in ("instructions", "system"):
                text = value.get(key) if isinstance(value, dict) else None
                if isinstance(text, str) and text:
                    messages.insert(0, Message("system", text))
                    return


def _tools(observations: list[dict[str, Any]]) -> list[Any] | None:
    """The tools of all generations, each name once: ``toolDefinitions`` (name to JSON text), or ``tools`` of an input or output."""
    tools: dict[str, Any] = {}
    for each in observations:
        defined = parsed(_get(each, "toolDefinitions"))
        listed: list[Any] = []
        if isinstance(defined, dict):
            for name, text in defined.items():
                tool = parsed(text)
                listed.append({"name": name, **tool} if isinstance(tool, dict) else {"name": name})
        for side in ("input", "output"):
            value = parsed(each.get(side))
            if isinstance(value, dict) and isinstance(value.get("tools"), list):
                listed.extend(as_tools(value["tools"]) or ())
        for tool in listed:
            function = tool.get("function")
            name = function.get("name") if isinstance(function, dict) else tool.get("name")
            tools.setdefault(name if isinstance(name, str) else dump(tool), tool)
    return list(tools.values()) or None


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    """The trace, and the observations without the texts that became messages."""
    metadata = {key: value for key, value in record.items() if key != "observations"}
    if isinstance(trace := metadata.get("trace"), dict):
        metadata["trace"] = {key: value for key, value in trace.items() if key != "observations"}
    metadata["observations"] = [
        {key: value for key, value in each.items() if key not in ("input", "output", "metadata") and value is not None}
        for each in record["observations"]
    ]
    return metadata


_TYPES = frozenset(
    ["SPAN", "GENERATION", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"]
)  # of observations


def row(record: dict[str, Any]) -> tuple[str, Any]:
    """One observation of an export, with the trace it belongs to."""
    trace = scalar_text(_get(record, "traceId"))
    if trace is None:
        raise RecordError(f"no trace_id; found {found(record)}")
    if not isinstance(record.get("type"), str):
        raise RecordError(f"type is {kind(record.get('type'))}, not a string")
    return trace, record


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The trajectory of a trace's observations; one that is exported again (an update) counts as it stands last."""
    last: dict[str, int] = {}
    for place, observation in enumerate(group.rows):
        identity = scalar_text(observation.get("id"))
        if identity is not None:
            if identity in last:
                group.skipped[last[identity]] = "observation told again later"
            last[identity] = place
    kept = [observation for place, observation in enumerate(group.rows) if place not in group.skipped]
    trajectories = list(read({"observations": kept}, options))
    for trajectory in trajectories:
        trajectory.source_id = scalar_text(_get(kept[0], "traceId"))
        trajectory.created_at = min((_start(observation) for observation in kept), default=None) or None
    return trajectories


def score_row(record: Any) -> float:
    """1 for an observation of an export: a type of Langfuse's and a trace; the same for a list of them."""
    if isinstance(record, dict) and isinstance(record.get("data"), list):
        record = record["data"]
    if isinstance(record, list):
        return max((score_row(one) for one in record[:50] if isinstance(one, dict)), default=0.0)
    if not isinstance(record, dict) or not isinstance(record.get("type"), str) or record["type"] not in _TYPES:
        return 0.0
    return 1.0 if "traceId" in record or "trace_id" in record else 0.0


def score(record: Any) -> float:
    """1 for a trace with its observations, 0.9 for observations of a type and a trace's id alone."""
    observations = record.get("observations") if isinstance(record, dict) else None
    if not isinstance(observations, list) or not observations or not isinstance(observations[0], dict):
        return 0.0
    fit = "type" in observations[0] and ("traceId" in observations[0] or "trace_id" in observations[0])
    if not fit:
        return 0.0
    return 1.0 if isinstance(record.get("trace"), dict) else 0.9


FORMAT = Format(
    name="langfuse",
    title="Langfuse, one trace as JSON",
    score=score,
    read=read,
    example=(
        '{"trace": {"id": "t1", "timestamp": "2025-12-22T10:46:15Z"}, "observations": [{"id": "o2", "traceId": "t1", "type": "TOOL", '
        '"name": "weather", "level": "ERROR", "startTime": "2025-12-22T10:46:17Z", "input": "{\\"city\\": \\"Rome\\"}", "output": '
        '"timeout"}, {"id": "o1", "traceId": "t1", "type": "GENERATION", "level": "DEFAULT", "startTime": "2025-12-22T10:46:16Z", '
        '"model": "m", "input": "{\\"messages\\": [{\\"role\\": \\"user\\", \\"content\\": \\"Rome?\\"}]}", "output": '
        '"{\\"role\\": \\"assistant\\", \\"content\\": null, \\"tool_calls\\": [{\\"id\\": \\"c1\\", \\"type\\": \\"function\\", '
        '\\"function\\": {\\"name\\": \\"weather\\", \\"arguments\\": \\"{\\\\\\"city\\\\\\":\\\\\\"Rome\\\\\\"}\\"}}]}", '
        '"toolDefinitions": {"weather": "{\\"parameters\\": {\\"type\\": \\"object\\", \\"properties\\": {\\"city\\": {\\"type\\": '
        '\\"string\\"}}}}"}}]}'
    ),
    notes=(
        "Tools stand in `toolDefinitions` or beside the messages. `level` ERROR of a tool's observation is the error flag; other levels say "
        "nothing. Messages may be OpenAI's, Anthropic's or Responses items. The longest input of a generation and its output are "
        "the trajectory; where inputs do not hold the turns before, the observations are told in order."
    ),
)
_rows = each_row(row, "data")
ROWS_FORMAT = Format(
    name="langfuse-rows",
    title="Langfuse observations, a row each",
    score=score_row,
    read=read_groups(_rows, assemble),
    rows=_rows,
    assemble=assemble,
    example=(
        '[{"id": "o2", "trace_id": "t1", "type": "TOOL", "name": "weather", "level": "ERROR", "start_time": "2025-12-22 10:46:17", "input": '
        '"{\\"city\\": \\"Rome\\"}", "output": "timeout"}, {"id": "o1", "trace_id": "t1", "type": "GENERATION", "name": "chat", "level": '
        '"DEFAULT", "start_time": "2025-12-22 10:46:16", "input": "[{\\"role\\": \\"user\\", \\"content\\": \\"Rome?\\"}]", "output": '
        '"{\\"role\\": \\"assistant\\", \\"content\\": null, \\"tool_calls\\": [{\\"id\\": \\"c1\\", \\"type\\": \\"function\\", '
        '\\"function\\": {\\"name\\": \\"weather\\", \\"arguments\\": \\"{}\\"}}]}", "tool_definitions": {"weather": '
        '"{\\"parameters\\": {\\"type\\": \\"object\\", \\"properties\\": {}}}"}}]'
    ),
    notes=(
        "The observations of a trace (JSON lines, CSV as JSON, Parquet) make one trajectory, as the trace's own export does. Tools stand in "
        "`tool_definitions`. `level` ERROR of a tool's observation is the error flag; other levels say nothing."
    ),
)
