"""OpenInference spans, as Phoenix keeps them: LLM spans with the whole history in flattened keys, TOOL spans with inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.formats.attributes import at, text_at
from tldata.formats.base import Format, Group, ReadOptions, read_groups
from tldata.formats.dialects import messages_of, parsed, tools_of
from tldata.formats.genai import spans_score
from tldata.formats.openai_message import read_message
from tldata.formats.otel import Span, assembled, result_text, rows_of, set_flag
from tldata.formats.shape import arguments_text, scalar_text
from tldata.formats.spans import Step
from tldata.record import Call, Message, Trajectory


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The conversations of a trace."""
    return assembled(group, _step)


def _kind(span: Span) -> str:
    return (text_at(span.tree, "openinference", "span", "kind") or span.kind).upper()


def _wanted(span: Span) -> bool:
    """Whether a span is one of OpenInference: it names its kind, or has a model's flattened messages."""
    if isinstance(at(span.tree, "openinference", "span"), dict):
        return True
    llm = span.tree.get("llm")
    if isinstance(llm, dict) and any(
        key in llm for key in ("input_messages", "output_messages", "model_name", "tools")
    ):
        return True
    return span.kind.upper() in ("LLM", "TOOL", "AGENT", "CHAIN", "RETRIEVER", "EMBEDDING", "GUARDRAIL")


def _step(span: Span) -> Step | None:
    kind, tree = _kind(span), span.tree
    if kind == "TOOL":
        return _tool(span)
    if kind not in ("LLM", "AGENT", ""):
        return None
    step = Step(span.start if kind != "AGENT" else (), model=text_at(tree, "llm", "model_name"))
    step.given = _messages(at(tree, "llm", "input_messages"))
    step.said = _messages(at(tree, "llm", "output_messages"))
    if (
        kind == "LLM" and not step.given and not step.said
    ):  # flattened messages may be hidden; the raw ones are not always
        step.given = messages_of(at(tree, "input", "value"), "user")
        step.said = messages_of(at(tree, "output", "value"), "assistant")
    listed = at(tree, "llm", "tools")
    for item in listed if isinstance(listed, list) else ():
        step.offered += tools_of(at(item, "tool", "json_schema"))
    return step


def _messages(listed: Any) -> list[Message]:
    listed = parsed(listed)
    found = []
    for place, item in enumerate(listed if isinstance(listed, list) else ()):
        raw = item.get("message", item) if isinstance(item, dict) else None
        if isinstance(raw, dict) and raw:
            found.append(read_message(_openai(raw), place))
    return found


def _openai(raw: dict[str, Any]) -> dict[str, Any]:
    """A flattened message as OpenAI's."""
    message: dict[str, Any] = {"role": text_at(raw, "role") or "user", "content": at(raw, "content")}
    if message["content"] is None and isinstance(raw.get("contents"), list):
        parts = [item.get("message_content", item) for item in raw["contents"] if isinstance(item, dict)]
        message["content"] = [
            {"type": part.get("type", "text"), "text": at(part, "text")} for part in parts if isinstance(part, dict)
        ]
    calls = raw.get("tool_calls")
    listed = (
        [item.get("tool_call", item) for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    )
    if listed:
        message["tool_calls"] = listed
    elif text_at(raw, "function_call_name"):
        function = {"name": text_at(raw, "function_call_name"), "arguments": at(raw, "function_call_arguments_json")}
        message["function_call"] = function
    for key in ("tool_call_id", "name"):
        if (text := text_at(raw, key)) is not None:
            message[key] = text
    return message


def _tool(span: Span) -> Step:
    tree = span.tree
    name = text_at(tree, "tool", "name") or span.name or None
    output = at(tree, "output", "value")
    value = parsed(output)
    text = (
        result_text(value)
        if isinstance(value, dict) and "content" in (value.get("kwargs") or value)
        else result_text(output)
    )
    feedback = Message("tool", text, name=name)
    set_flag(feedback, span)
    identity = text_at(tree, "tool", "id") or text_at(tree, "tool_call", "id")
    if identity is None and isinstance(value, dict):
        identity = scalar_text(value.get("tool_call_id"))
    arguments = at(tree, "input", "value")
    if arguments is None:
        arguments = at(tree, "tool", "parameters")
    return Step(span.start, call=Call(name, arguments_text(arguments), identity), feedback=feedback)


def score(record: Any) -> float:
    """1 for a span of OpenInference, 0.05 for another one (which GenAI's reader skips)."""
    return spans_score(record, _wanted, 0.05)


rows = rows_of(_wanted)
FORMAT = Format(
    name="openinference",
    title="OpenInference spans (Phoenix)",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"name": "weather", "span_kind": "TOOL", "context": {"trace_id": "t1", "span_id": "b"}, "start_time": "2025-01-01T00:00:02Z", '
        '"status_code": "ERROR", "status_message": "timeout", "attributes": {"openinference.span.kind": "TOOL", "tool.name": "weather", '
        '"input.value": "{\\"city\\": \\"Rome\\"}"}}, {"name": "ChatCompletion", "span_kind": "LLM", "context": {"trace_id": "t1", "span_id": '
        '"a"}, "start_time": "2025-01-01T00:00:01Z", "status_code": "OK", "attributes": {"openinference.span.kind": "LLM", '
        '"llm.model_name": "m", "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Rome?", '
        '"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1", '
        '"llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather", '
        '"llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{\\"city\\": \\"Rome\\"}", '
        '"llm.tools.0.tool.json_schema": "{\\"type\\": \\"function\\", \\"function\\": {\\"name\\": \\"weather\\", \\"parameters\\": '
        '{\\"type\\": \\"object\\", \\"properties\\": {\\"city\\": {\\"type\\": \\"string\\"}}}}}"}}]'
    ),
    notes=(
        "The spans of a trace make one trajectory: the last telling of each conversation. Tools stand in `llm.tools`. The error flag is the status "
        "of a TOOL span, or its exception, which is the feedback where there is no output. Keys may be flattened, nested, or columns "
        "(`attributes.llm...`); spans of other kinds than LLM and TOOL give no messages."
    ),
)
