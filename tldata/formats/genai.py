"""OpenTelemetry GenAI spans: inference spans that repeat the history, execute_tool spans with what the tools gave back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.attributes import at, text_at
from tldata.formats.base import Format, Group, ReadOptions, read_groups
from tldata.formats.dialects import messages_of, parsed, tools_of
from tldata.formats.otel import Span, assembled, result_text, rows_of, set_flag, span_of, spans_in
from tldata.formats.shape import arguments_text, scalar_text
from tldata.formats.spans import Step
from tldata.record import Call, Message, Trajectory

_AGENTS = frozenset({"invoke_agent", "create_agent", "invoke_workflow"})
_EXECUTE = "execute_tool"


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The conversations of a trace."""
    return assembled(group, _step)


def _wanted(span: Span) -> bool:
    """Whether a span is of the GenAI convention, or of the one before it (OpenLLMetry)."""
    if isinstance(span.tree.get("openinference"), dict):
        return False
    if any(isinstance(span.tree.get(key), dict) for key in ("gen_ai", "traceloop", "pydantic_ai")):
        return True
    return span.name.startswith(f"{_EXECUTE} ") or any(name.startswith("gen_ai.") for name, _ in span.events)


def _step(span: Span) -> Step | None:
    tree = span.tree
    operation = text_at(tree, "gen_ai", "operation", "name")
    by_name = operation is None and (
        span.name.startswith(f"{_EXECUTE} ") or at(tree, "gen_ai", "tool", "name") is not None
    )
    if operation == _EXECUTE or by_name or text_at(tree, "traceloop", "span", "kind") == "tool":
        return _tool(span)
    step = Step(() if operation in _AGENTS else span.start, model=_model(tree))
    step.given, step.said = _messages(span)
    step.offered = tools_of(at(tree, "gen_ai", "tool", "definitions")) or tools_of(
        at(tree, "llm", "request", "functions")
    )
    return step


def _model(tree: dict[str, Any]) -> str | None:
    return text_at(tree, "gen_ai", "response", "model") or text_at(tree, "gen_ai", "request", "model")


def _messages(span: Span) -> tuple[list[Message], list[Message]]:
    """What the model was given and said: under the attributes of now, of an event, of an agent's whole run, of before, or as events."""
    trees = [span.tree, *(tree for _, tree in span.events)]
    for tree in trees:
        given = messages_of(at(tree, "gen_ai", "input", "messages"), "user")
        said = messages_of(at(tree, "gen_ai", "output", "messages"), "assistant")
        system = _system(at(tree, "gen_ai", "system_instructions"))
        if given or said:
            return system + given if system and not (given and given[0].role == "system") else given, said
    run = messages_of(at(span.tree, "pydantic_ai", "all_messages"), "user")
    if run:
        return run, []
    for tree in trees:
        given = messages_of(_with_roles(at(tree, "gen_ai", "prompt"), "user"), "user")
        said = messages_of(_with_roles(at(tree, "gen_ai", "completion"), "assistant"), "assistant")
        if given or said:
            return given, said
    given, said = [], []
    for name, tree in span.events:
        if name == "gen_ai.choice" or (name.startswith("gen_ai.") and name.endswith(".message")):
            speaker = "assistant" if name == "gen_ai.choice" else name.split(".")[1]
            (said if name == "gen_ai.choice" else given).extend(_event(tree, speaker))
    return given, said


def _with_roles(value: Any, speaker: str) -> Any:
    value = parsed(value)
    if isinstance(value, list):
        return [{"role": speaker, **item} if isinstance(item, dict) else item for item in value]
    return value


def _event(tree: dict[str, Any], speaker: str) -> list[Message]:
    """The message of an event, whose body stands in its attributes."""
    inner = parsed(tree.get("message"))
    given = inner if isinstance(inner, dict) else tree
    message: dict[str, Any] = {"role": speaker, "content": parsed(at(given, "content"))}
    if (calls := parsed(given.get("tool_calls"))) is not None:
        message["tool_calls"] = calls
    if speaker == "tool":
        message["tool_call_id"] = scalar_text(at(given, "id"))
    return messages_of([message], speaker)


def _system(value: Any) -> list[Message]:
    value = parsed(value)
    if isinstance(value, str):
        return [Message("system", value)] if value else []
    if isinstance(value, list) and value:
        return messages_of([{"role": "system", "parts": value}], "system")
    return []


def _tool(span: Span) -> Step:
    tree = span.tree
    own = at(tree, "gen_ai", "tool", "call")
    name = text_at(tree, "gen_ai", "tool", "name") or text_at(tree, "traceloop", "entity", "name")
    name = name or span.name.removeprefix(_EXECUTE).strip() or None
    arguments = at(own, "arguments")
    result = at(own, "result")
    if arguments is None and result is None:
        arguments = at(tree, "traceloop", "entity", "input")
        result = at(tree, "traceloop", "entity", "output")
    feedback = Message("tool", result_text(result), name=name)
    set_flag(feedback, span)
    return Step(span.start, call=Call(name, arguments_text(arguments), text_at(own, "id")), feedback=feedback)


def score(record: Any) -> float:
    """1 for a span of the convention, 0.1 for another one."""
    return spans_score(record, _wanted)


def spans_score(record: Any, wanted: Callable[[Span], bool], other: float = 0.1) -> float:
    """1 where one of a record's first spans is of a kind, ``other`` where there are spans of a trace, 0 where there are none."""
    if not isinstance(record, (dict, list)):
        return 0.0
    best = 0.0
    try:
        for place, raw in enumerate(spans_in(record)):
            if place >= 50:
                break
            if not any(key in raw for key in ("attributes", "tags", "name", "context.trace_id", "span_kind")):
                return 0.0
            span = span_of(raw)
            if wanted(span):
                return 1.0
            if span.trace and span.identity and ("attributes" in raw or "tags" in raw):
                best = other
    except RecordError:
        return 0.0
    return best


rows = rows_of(_wanted)
FORMAT = Format(
    name="otel-genai",
    title="OpenTelemetry GenAI spans",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"name": "execute_tool weather", "traceId": "t1", "spanId": "b", "parentSpanId": "a", "startTimeUnixNano": "3", "attributes": '
        '[{"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}}, {"key": "gen_ai.tool.name", "value": {"stringValue": '
        '"weather"}}, {"key": "gen_ai.tool.call.id", "value": {"stringValue": "c1"}}, {"key": "error.type", "value": {"stringValue": '
        '"timeout"}}], "status": {"code": 2, "message": "no answer in 5 s"}}, {"name": "chat m", "traceId": "t1", "spanId": "c", '
        '"startTimeUnixNano": "2", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": '
        '"[{\\"role\\": \\"user\\", \\"parts\\": [{\\"type\\": \\"text\\", \\"content\\": \\"Rome?\\"}]}]", "gen_ai.output.messages": '
        '[{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}], '
        '"finish_reason": "tool_call"}], "gen_ai.tool.definitions": [{"type": "function", "name": "weather", "parameters": {"type": '
        '"object", "properties": {"city": {"type": "string"}}}}]}}]'
    ),
    notes=(
        "The spans of a trace, one a line or in OTLP's batches, make one trajectory. Tools stand in `gen_ai.tool.definitions`. The error flag is "
        "`error.type` of an execute_tool span, else its status. Inputs that repeat the history are told once; where contents are not recorded "
        "(they are opt-in), the tools' spans alone give the calls. OpenLLMetry's `gen_ai.prompt.0.role` and messages as events are read too."
    ),
)
