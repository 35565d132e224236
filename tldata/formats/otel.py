"""OpenTelemetry spans in all the shapes in which they are written to files, as one: ids, times, status, attributes as a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tldata.errors import RecordError
from tldata.formats.attributes import attributes_of, text_at, tree_of
from tldata.formats.base import Group, Rows, Skip
from tldata.formats.shape import dump, found, need_object, scalar_text, text_of
from tldata.formats.spans import Step, tell
from tldata.record import Message, Trajectory

_SPAN_LISTS = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans", "ilSpans")
_BATCHES = ("resourceSpans", "resource_spans", "batches")
_WRAPPERS = ("spans", "data")
_TRACE = ("traceId", "trace_id", "traceID", "context.trace_id")
_SPAN = ("spanId", "span_id", "spanID", "context.span_id", "id")
_START = ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime", "timestamp")
_NAMES = ("name", "operationName", "span_name")
_DEPTH = 32


@dataclass(slots=True)
class Span:
    """One span. ``tree`` holds its attributes by the dots of their names; ``failed`` is None where no status is told."""

    trace: str
    identity: str | None
    name: str
    kind: str
    start: tuple[Any, ...]
    tree: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    failed: bool | None
    status: str | None  # what the status says
    created_at: str | None


def span_of(raw: dict[str, Any]) -> Span:
    """A span as one of OTLP, of an SDK's console exporter, of Phoenix or of Jaeger writes it.

    Raises:
        RecordError: it has neither a name nor attributes.
    """
    given = raw.get("context")
    context: dict[str, Any] = given if isinstance(given, dict) else {}
    flat = {key.removeprefix("attributes."): value for key, value in raw.items() if key.startswith("attributes.")}
    attributes = raw.get("attributes", raw.get("tags"))
    if attributes is None and not flat and not any(key in raw for key in _NAMES):
        raise RecordError(f"no span: neither name nor attributes; found {found(raw)}")
    start = _first(raw, _START)
    failed, status = _status(raw)
    tree = tree_of({**attributes_of(attributes), **flat})
    return Span(
        trace=scalar_text(_first(raw, _TRACE) or _first(context, _TRACE)) or "",
        identity=scalar_text(_first(raw, _SPAN) or _first(context, _SPAN)),
        name=scalar_text(_first(raw, _NAMES)) or "",
        kind=scalar_text(raw.get("span_kind", raw.get("spanKind"))) or "",
        start=_time(start),
        tree=tree,
        events=[_event(event) for event in _list(raw.get("events", raw.get("logs"))) if isinstance(event, dict)],
        failed=failed,
        status=status,
        created_at=scalar_text(start),
    )


def _first(raw: dict[str, Any], keys: Iterable[str]) -> Any:
    return next((raw[key] for key in keys if raw.get(key) is not None), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _time(value: Any) -> tuple[Any, ...]:
    """A key to sort by: numbers (and digits) among themselves, then texts of times."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40:
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return (0, value, "")
    return (1, 0, scalar_text(value) or "")


def _event(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    attributes = attributes_of(event.get("attributes", event.get("fields")))
    body = event.get("body")
    return scalar_text(event.get("name")) or "", tree_of({**(body if isinstance(body, dict) else {}), **attributes})


def _status(raw: dict[str, Any]) -> tuple[bool | None, str | None]:
    """Whether a span failed, and what its status says; unset says nothing."""
    status = raw.get("status")
    given = status if isinstance(status, dict) else {}
    code = _first(raw, ("status_code", "statusCode"))
    if code is None:
        code = given.get("code", given.get("status_code", given.get("statusCode"))) if given else status
    said = _first(given, ("message", "description")) or _first(raw, ("status_message", "statusMessage"))
    name = str(code).upper().removeprefix("STATUS_CODE_").removeprefix("STATUSCODE.") if code is not None else ""
    failed = True if name in ("ERROR", "2") else False if name in ("OK", "1") else None
    return failed, scalar_text(said)


def set_flag(message: Message, span: Span) -> None:
    """Put a tool's failure onto its feedback: the status, its kind (``error.type``), and its text where there is no output."""
    kind = text_at(span.tree, "error", "type")
    exception = next((tree for name, tree in span.events if name == "exception"), None)
    if span.failed is None and kind is None and exception is None:
        return
    failed = bool(span.failed) or kind is not None or exception is not None
    message.native_error = failed
    message.native_error_source = "error.type" if kind is not None else "status"
    message.native_error_code = kind or text_at(exception, "exception", "type") or ("ERROR" if failed else "OK")
    if failed and not message.content:
        message.content = text_at(exception, "exception", "message") or span.status or message.content


def rows_of(wanted: Callable[[Span], bool]) -> Rows:
    """The ``rows`` of a format of spans: each record's spans with their trace.

    Args:
        wanted: whether a span is of the format's kind; others are skipped.
    """

    def rows(record: Any) -> list[tuple[str | None, Any]]:
        pairs: list[tuple[str | None, Any]] = []
        total = 0
        alone = isinstance(record, dict) and not _is_wrapper(record)
        for raw in spans_in(record):
            total += 1
            span = span_of(raw)
            if wanted(span):
                pairs.append((span.trace or ("" if alone else None), raw))
        if not pairs:
            raise Skip("span of no model or tool" if total else "no spans")
        return pairs

    return rows


def _is_wrapper(record: dict[str, Any]) -> bool:
    return any(isinstance(record.get(key), list) for key in (*_BATCHES, *_WRAPPERS, *_SPAN_LISTS))


def spans_in(record: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The raw spans of a record: itself, those of a list, of ``spans``, of OTLP's resources and scopes, of Jaeger's traces.

    Raises:
        RecordError: it is something else.
    """
    if isinstance(record, list) and depth < _DEPTH:
        for item in record:
            yield from spans_in(need_object(item, "a span"), depth + 1)
        return
    record = need_object(record, "the record")
    for key in (*_BATCHES, *_SPAN_LISTS, *_WRAPPERS):
        if isinstance(record.get(key), list) and depth < _DEPTH:
            yield from spans_in(record[key], depth + 1)
            return
    yield record


def assembled(group: Group, step_of: Callable[[Span], Step | None]) -> list[Trajectory]:
    """The trajectories of a trace's spans, told by the steps that ``step_of`` makes of them; what the steps leave out is metadata.

    An agent's span repeats what its models' tell: it counts where no model's span holds a message (``step_of`` gives it no start).
    """
    spans = [span_of(raw) for raw in group.rows]
    kept = once(group, spans)
    steps = [step for span in kept if (step := step_of(span)) is not None]
    models = [step for step in steps if step.start and (step.given or step.said)]
    if models or not any(step.given or step.said for step in steps):
        steps = [step for step in steps if step.start]
    trajectories = tell(steps)
    first = min(kept, key=lambda span: span.start)
    for trajectory in trajectories:
        trajectory.source_id = first.trace or None
        trajectory.created_at = first.created_at
    trajectories[0].metadata["spans"] = [
        _rest(raw) for place, raw in enumerate(group.rows) if place not in group.skipped
    ]
    return trajectories


_TEXTS = (
    "message",
    "instructions",
    "definitions",
    "prompt",
    "completion",
    "arguments",
    "result",
    "value",
    "tools",
    "functions",
)


def _rest(raw: dict[str, Any]) -> dict[str, Any]:
    """A span without the attributes and events that its messages are made of."""
    dotted = {key: value for key, value in raw.items() if not key.startswith("attributes.") or not _is_text(key)}
    rest = {
        key: value for key, value in dotted.items() if key not in ("attributes", "tags", "events", "logs", "resource")
    }
    attributes = attributes_of(raw.get("attributes", raw.get("tags")))
    rest["attributes"] = {
        key: value for key, value in attributes.items() if not _is_text(key) and not isinstance(value, (dict, list))
    }
    return rest


def _is_text(key: str) -> bool:
    return any(word in key for word in _TEXTS)


def result_text(value: Any) -> str | None:
    """What a tool gave back as text: text as it stands, the content of an MCP or LangChain result, other values as JSON text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = value.get("kwargs") if value.get("lc") == 1 and isinstance(value.get("kwargs"), dict) else value
        content = inner.get("content") if isinstance(inner, dict) else None
        if isinstance(content, str):
            return content
        if isinstance(content, list) and (text := text_of(content)[0]) is not None:
            return text
    return dump(value)


def once(group: Group, spans: list[Span]) -> list[Span]:
    """The spans of a group, each id once (exports overlap): the last one of an id holds, the earlier are skipped."""
    last = {span.identity: place for place, span in enumerate(spans) if span.identity is not None}
    kept = []
    for place, span in enumerate(spans):
        if span.identity is None or last[span.identity] == place:
            kept.append(span)
        else:
            group.skipped[place] = "span told again later"
    return kept
