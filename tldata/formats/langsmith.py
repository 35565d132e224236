"""LangSmith runs: models', tools' and chains' runs of a trace, as rows of an export or nested in their parents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, read_groups
from tldata.formats.dialects import messages_of, parsed, tools_of
from tldata.formats.otel import result_text
from tldata.formats.shape import arguments_text, dump, found, lenient, need_object, scalar_text
from tldata.formats.spans import Step, tell
from tldata.record import Call, Message, Trajectory

_MODELS = frozenset({"llm", "chat_model"})
_WRAPPERS = ("runs", "data")
_DEPTH = 32
_TEXTS = frozenset(
    {"inputs", "outputs", "extra", "serialized", "events", "child_runs", "inputs_preview", "outputs_preview"}
)


def rows(record: Any) -> list[tuple[str | None, Any]]:
    """The runs that a record holds, with those nested in them."""
    alone = isinstance(record, dict) and "run_type" in record and not record.get("child_runs")
    runs = list(_runs(record))
    if not runs:
        raise Skip("no runs")
    return [(trace or ("" if alone else None), run) for trace, run in runs]


def _runs(record: Any, trace: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    if depth > _DEPTH:
        raise RecordError("runs nested too deeply")
    if isinstance(record, list):
        for item in record:
            yield from _runs(item, trace, depth + 1)
        return
    record = need_object(record, "a run")
    if not isinstance(record.get("run_type"), str):
        key = next((key for key in _WRAPPERS if isinstance(record.get(key), list)), None)
        if key is None:
            raise RecordError(f"run_type is missing; found {found(record)}")
        yield from _runs(record[key], trace, depth + 1)
        return
    children = record.get("child_runs")
    trace = scalar_text(record.get("trace_id")) or trace or (scalar_text(record.get("id")) or "" if children else "")
    yield trace, {key: value for key, value in record.items() if key != "child_runs"}
    if isinstance(children, list):
        yield from _runs(children, trace, depth + 1)


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The conversations of a trace; where no model's run tells messages, those that its chains were given and gave back."""
    last: dict[str, int] = {}
    for place, run in enumerate(group.rows):
        identity = scalar_text(run.get("id"))
        if identity is not None:
            if identity in last:
                group.skipped[last[identity]] = "run told again later"
            last[identity] = place
    runs = [(place, run) for place, run in enumerate(group.rows) if place not in group.skipped]
    steps = [_step(run, place) for place, run in runs if run["run_type"] in _MODELS or run["run_type"] == "tool"]
    if not any(step.given or step.said for step in steps):
        chains = [
            _step(run, place) for place, run in runs if run["run_type"] not in _MODELS and run["run_type"] != "tool"
        ]
        whole = max(chains, key=lambda step: len(step.said) + len(step.given), default=None)
        if whole is not None:
            if whole.given == whole.said[: len(whole.given)]:  # a graph's state: what came in comes out again
                whole.given = []
            steps = [whole, *steps] if not any(m.role != "user" for m in (*whole.given, *whole.said)) else [whole]
    trajectories = tell(steps)
    root = next((run for _, run in runs if not run.get("parent_run_id") and not run.get("parent_run_ids")), runs[0][1])
    for trajectory in trajectories:
        trajectory.source_id = scalar_text(root.get("trace_id")) or scalar_text(root.get("id"))
        trajectory.created_at = scalar_text(root.get("start_time"))
        trajectory.outcome = scalar_text(root.get("status"))
    kept = [{key: value for key, value in run.items() if key not in _TEXTS and value is not None} for _, run in runs]
    trajectories[0].metadata["runs"] = kept
    return trajectories


def _step(run: dict[str, Any], place: int) -> Step:
    inputs, outputs = (None if run.get(key) == "null" else parsed(run.get(key)) for key in ("inputs", "outputs"))
    order = scalar_text(run.get("dotted_order")) or scalar_text(run.get("start_time")) or ""
    start = (order, place)
    if run["run_type"] == "tool":
        return _tool(run, start, inputs, outputs)
    extra = parsed(run.get("extra"))
    extra = extra if isinstance(extra, dict) else {}
    asked = extra.get("invocation_params")
    told = extra.get("metadata")
    step = Step(start, messages_of(inputs, "user"), messages_of(outputs, "assistant"))
    for source in (asked, inputs):
        if isinstance(source, dict) and not step.offered:
            step.offered = tools_of(source.get("tools")) or tools_of(source.get("functions"))
    for source, keys in ((asked, ("model", "model_name")), (told, ("ls_model_name",))):
        if isinstance(source, dict) and step.model is None:
            step.model = next((text for key in keys if (text := scalar_text(source.get(key)))), None)
    return step


def _tool(run: dict[str, Any], start: tuple[Any, ...], inputs: Any, outputs: Any) -> Step:
    """A tool's run: ``error`` is the error flag, and the feedback where there is no output; else its ``status`` is."""
    name = scalar_text(run.get("name")) or None
    arguments = inputs
    if isinstance(inputs, dict) and len(inputs) == 1 and "input" in inputs:
        arguments = inputs["input"]
    value = outputs
    if isinstance(outputs, dict) and len(outputs) == 1:
        value = outputs.get("output", outputs.get("result", outputs))
    value = parsed(value) if isinstance(value, str) and value.lstrip()[:1] == "{" and '"lc"' in value else value
    message = Message("tool", result_text(value), name=name)
    identity = None
    if isinstance(value, dict):
        inner = value.get("kwargs") if isinstance(value.get("kwargs"), dict) else value
        assert isinstance(inner, dict)
        identity = scalar_text(inner.get("tool_call_id"))
        if inner.get("status") in ("error", "success"):
            message.native_error, message.native_error_code = inner["status"] == "error", inner["status"]
            message.native_error_source = "status"
    error, status = run.get("error"), run.get("status")
    if error:
        message.native_error, message.native_error_source = True, "error"
        message.native_error_code = error if isinstance(error, str) else dump(error)
        if message.content is None:
            message.content = message.native_error_code
    elif message.native_error is None and status in ("error", "success"):
        message.native_error, message.native_error_code = status == "error", status
        message.native_error_source = "status"
    return Step(start, call=Call(name, _arguments(arguments), identity), feedback=message)


def _arguments(value: Any) -> str:
    """Arguments as JSON text; a tool's input is often written as Python prints it."""
    if isinstance(value, str):
        found_value = lenient(value) if value.lstrip()[:1] == "{" else None
        return dump(found_value) if isinstance(found_value, dict) and parsed(value) is value else value
    return arguments_text(value)


def score(record: Any) -> float:
    """1 for a run with its type and inputs or outputs, nested or not; the same for lists of runs."""
    if isinstance(record, dict) and not isinstance(record.get("run_type"), str):
        record = next((record[key] for key in _WRAPPERS if isinstance(record.get(key), list)), None)
    if isinstance(record, list):
        return max((score(run) for run in record[:50] if isinstance(run, dict) and "run_type" in run), default=0.0)
    if not isinstance(record, dict):
        return 0.0
    return 1.0 if any(key in record for key in ("inputs", "outputs", "dotted_order", "trace_id", "child_runs")) else 0.3


FORMAT = Format(
    name="langsmith",
    title="LangSmith runs",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"id": "r2", "trace_id": "r1", "parent_run_id": "r1", "dotted_order": "1.2", "run_type": "llm", "name": "ChatOpenAI", "inputs": '
        '{"messages": [[{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": '
        '"Rome?", "type": "human"}}]]}, "outputs": {"generations": [[{"text": "", "message": {"lc": 1, "type": "constructor", "id": '
        '["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "", "tool_calls": [{"name": "weather", "args": {"city": '
        '"Rome"}, "id": "c1", "type": "tool_call"}]}}}]]}, "extra": {"invocation_params": {"model": "m", "tools": [{"type": "function", '
        '"function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]}}}, {"id": "r3", '
        '"trace_id": "r1", "parent_run_id": "r1", "dotted_order": "1.3", "run_type": "tool", "name": "weather", "inputs": {"input": '
        '"{\'city\': \'Rome\'}"}, "outputs": null, "error": "ValueError(\'x\')", "status": "error"}]'
    ),
    notes=(
        "The runs of a trace make one trajectory, in the order of `dotted_order`. Tools stand in `extra.invocation_params`. `error` of a tool's run "
        "is the error flag, and the feedback where there is no output; else `status` is. Messages may be LangChain's objects or OpenAI's, "
        "columns may be JSON text (Parquet exports), and runs may be nested (`child_runs`)."
    ),
)
