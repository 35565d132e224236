"""Requests with their responses: logs of a proxy or gateway, batch results, and messages beside the model's answer to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions, Skip
from tldata.formats.dialects import is_message, messages_of, parsed, tools_of
from tldata.formats.responses import read_items
from tldata.formats.shape import found, need_object, scalar_text, text_of
from tldata.record import Message, Trajectory

_REQUESTS = ("request", "request_body", "requestBody", "req", "kwargs")
_RESPONSES = (
    "response",
    "response_body",
    "responseBody",
    "resp",
    "completion",
    "choices",
    "output_message",
    "chosen_message",
)
_INPUTS, _OUTPUTS = ("inputs", "input"), ("output", "outputs")  # of logs that call the two so
_BODIES = ("body", "json", "content", "data")
_DEPTH = 3


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a request and its response: the messages that were sent, then the answer."""
    record = need_object(record, "the record")
    request, response = _sides(record)
    if request is None:
        raise RecordError(f"no request with messages; found {found(record)}")
    messages = _sent(request)
    said = _said(response)
    if not messages and not said:
        raise RecordError("the request and its response hold no messages")
    if not said and isinstance(response, dict) and response.get("error"):
        raise Skip("request that failed")
    messages += [message for message in said if message.role == "assistant" or message.calls] or said
    inner = response if isinstance(response, dict) else {}
    metadata = {
        key: value for key, value in record.items() if parsed(value) is not request and parsed(value) is not response
    }
    kept = {
        key: value
        for key, value in request.items()
        if key not in ("messages", "input", "system", "tools", "functions", "contents")
    }
    if request is record:
        for key in ("messages", "input", "system", "tools", "functions", "contents", *_RESPONSES):
            metadata.pop(key, None)
    else:
        metadata = {
            key: value for key, value in metadata.items() if key not in (*_REQUESTS, *_RESPONSES, *_INPUTS, *_OUTPUTS)
        }
        metadata["request"] = kept
    metadata["response"] = {
        key: value
        for key, value in inner.items()
        if key not in ("choices", "content", "output", "message", "candidates")
    }
    names = (record, inner, request)
    return [
        Trajectory(
            messages,
            tools_of(request.get("tools")) or tools_of(request.get("functions")) or None,
            source_id=next(
                (text for one in names for key in ("id", "custom_id") if (text := scalar_text(one.get(key)))), None
            ),
            created_at=next(
                (
                    text
                    for one in names
                    for key in ("created_at", "timestamp", "created", "time")
                    if (text := scalar_text(one.get(key)))
                ),
                None,
            ),
            model=scalar_text(inner.get("model"))
            or scalar_text(request.get("model"))
            or scalar_text(record.get("model")),
            metadata=metadata,
        )
    ]


def _sides(record: dict[str, Any]) -> tuple[dict[str, Any] | None, Any]:
    """The request and the response of a record; the record itself is the request where it holds the messages."""
    given = next((value for key in _REQUESTS if (value := _request(record.get(key))) is not None), None)
    if given is None:
        given = _request(record)
    keys: tuple[str, ...] = _RESPONSES
    if given is None and "run_type" not in record and "trace_id" not in record and "traceId" not in record:
        given = next((value for key in _INPUTS if (value := _request(record.get(key))) is not None), None)
        keys = _RESPONSES if given is None else (*_OUTPUTS, *_RESPONSES)
    answer = next((parsed(record[key]) for key in keys if record.get(key) is not None), None)
    if isinstance(answer, list) and "choices" in record and answer is parsed(record["choices"]):
        answer = {"choices": answer}
    return given, _body(answer)


def _request(value: Any, depth: int = 0) -> dict[str, Any] | None:
    value = parsed(value)
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    if isinstance(parsed(value.get("messages")), list) or isinstance(value.get("contents"), list):
        return value
    if "input" in value and ("model" in value or "instructions" in value):
        return value
    return next((one for key in _BODIES if (one := _request(value.get(key), depth + 1)) is not None), None)


def _body(value: Any, depth: int = 0) -> Any:
    """A response out of its envelope (``{"status_code", "body"}``)."""
    if (
        isinstance(value, dict)
        and depth <= _DEPTH
        and not any(key in value for key in ("choices", "role", "output", "candidates"))
    ):
        for key in _BODIES:
            inner = parsed(value.get(key))
            if isinstance(inner, dict):
                return _body(inner, depth + 1)
    return value


def _sent(request: dict[str, Any]) -> list[Message]:
    system = request.get("system", request.get("instructions"))
    messages = [Message("system", text)] if system and (text := text_of(system)[0]) else []
    for key in ("messages", "contents", "input"):
        if request.get(key):
            sent = messages_of(request[key], "user")
            return messages + sent if not (sent and sent[0].role == "system") else sent
    return messages


def _said(response: Any) -> list[Message]:
    response = parsed(response)
    if isinstance(response, str):
        return [Message("assistant", response)] if response else []
    if isinstance(response, dict):
        if isinstance(response.get("output"), list):
            return read_items(response["output"], '"output"') if response["output"] else []
        if isinstance(response.get("content"), list) and "role" not in response:  # Anthropic's, cut down
            return messages_of({"role": "assistant", "content": response["content"]}, "assistant")
    said = messages_of(response, "assistant")
    for message in said:
        if not message.extra:
            continue
        message.extra = {key: value for key, value in message.extra.items() if value is not None} or None
    return said


def score(record: Any) -> float:
    """1 for a request beside a response that holds an answer, 0.9 for messages that end with a user's beside a text."""
    if not isinstance(record, dict) or "simulations" in record:
        return 0.0
    request, response = _sides(record)
    if request is None or not isinstance(
        parsed(next(iter([request.get(k) for k in ("messages", "contents", "input") if request.get(k)]), None)),
        (list, str),
    ):
        return 0.0
    if isinstance(response, str):
        messages = parsed(request.get("messages"))
        last = messages[-1] if isinstance(messages, list) and messages else None
        answered = not isinstance(last, dict) or last.get("role", last.get("from")) in ("assistant", "gpt")
        return 0.0 if answered else 0.95
    if isinstance(response, dict):
        is_answer = (
            any(isinstance(response.get(key), list) for key in ("choices", "output", "content", "candidates"))
            or is_message(response)
            or isinstance(response.get("message"), dict)
        )
        return 1.0 if is_answer else 0.0
    return (
        1.0
        if isinstance(response, list) and response and isinstance(response[0], dict) and is_message(response[0])
        else 0.0
    )


FORMAT = Format(
    name="exchange",
    title="Requests with their responses",
    score=score,
    read=read,
    example=(
        '{"timestamp": "2025-01-01T00:00:00Z", "request": {"model": "m", "messages": [{"role": "user", "content": "Rome?"}], "tools": '
        '[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]}, '
        '"response": {"id": "r1", "model": "m-1", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", '
        '"content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": '
        '\\"Rome\\"}"}}]}}]}}'
    ),
    notes=(
        "`request` and `response` (or `request_body`, `body` within them, JSON text), or `messages` beside `choices` or `response`: what was sent and, "
        "as the last message, the first choice. OpenAI's chat and Responses, Anthropic's and Gemini's bodies are read. Tools stand in the request. "
        "There is no error flag. A log of one conversation repeats its history, so earlier requests are merged as prefixes where they "
        "are beginnings of later ones."
    ),
)
