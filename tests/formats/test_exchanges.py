"""Requests with responses, LangChain messages, single tau2 simulations, query-response rows, mini-swe-agent; their variants, worked by hand."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from tldata.errors import RecordError
from tldata.formats import ReadOptions, Skip, detect, get_format
from tldata.pairing import pair
from tldata.record import Call, Trajectory


def example(name: str) -> Any:
    return orjson.loads(get_format(name).example)


def read(name: str, record: Any) -> Trajectory:
    assert detect([record]).best is get_format(name), detect([record]).scores
    assert not detect([record]).tie
    (trajectory,) = get_format(name).read(record, ReadOptions())
    return trajectory


def turns(trajectory: Trajectory) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in trajectory.messages]


def calls(trajectory: Trajectory) -> list[tuple[str | None, str | None]]:
    return [(call.name, call.arguments) for message in trajectory.messages for call in message.calls]


ASKED = [{"role": "user", "content": "Rome?"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWER = {"role": "assistant", "content": None, "tool_calls": [CALL]}
CHOICES = {"id": "x", "model": "m", "choices": [{"index": 0, "message": ANSWER}]}
BLOCKS = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]}  # fmt: skip
ITEMS = {"id": "x", "model": "m", "object": "response", "output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}  # fmt: skip
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}}]}
CLAUDE = {
    "model": "m",
    "system": [{"type": "text", "text": "s"}],
    "messages": ASKED,
    "tools": [{"name": "f", "input_schema": {}}],
}


@pytest.mark.parametrize(
    ("record", "roles"),
    [
        ({"request": {"messages": ASKED, "tools": TOOLS}, "response": CHOICES}, ["user", "assistant"]),
        ({"request": CLAUDE, "response": BLOCKS}, ["system", "user", "assistant"]),
        ({"request": {"model": "m", "instructions": "s", "input": "Rome?"}, "response": ITEMS}, ["system", "user", "assistant"]),
        ({"request": {"contents": [{"role": "user", "parts": [{"text": "Rome?"}]}]}, "response": GEMINI}, ["user", "assistant"]),
        ({"request_body": json.dumps({"messages": ASKED}), "response_body": json.dumps(CHOICES)}, ["user", "assistant"]),
        ({"request": {"url": "/v1", "body": {"messages": ASKED}}, "response": {"status_code": 200, "body": CHOICES}}, ["user", "assistant"]),
        ({"inputs": {"messages": ASKED, "tools": TOOLS}, "output": CHOICES}, ["user", "assistant"]),
        ({"messages": ASKED, "tools": TOOLS, **CHOICES}, ["user", "assistant"]),
        ({"messages": ASKED, "response": ANSWER}, ["user", "assistant"]),
        ({"messages": ASKED, "response": BLOCKS, "tools": CLAUDE["tools"]}, ["user", "assistant"]),
        ({"messages": ASKED, "choices": CHOICES["choices"], "model": "m"}, ["user", "assistant"]),
    ],
)  # fmt: skip
def test_what_was_sent_and_the_answer_are_one_trajectory(record: Any, roles: list[str]) -> None:
    trajectory = read("exchange", record)
    assert [message.role for message in trajectory.messages] == roles
    assert calls(trajectory) == [("f", "{}")]
    assert next(message.content for message in trajectory.messages if message.role == "user") == "Rome?"


def test_an_exchange_keeps_tools_model_id_and_the_rest() -> None:
    trajectory = read(
        "exchange", {"latency": 3, "request": {**CLAUDE, "temperature": 0}, "response": {**BLOCKS, "usage": 1}}
    )
    assert (trajectory.source_id, trajectory.model) == ("x", "m")
    assert trajectory.tools == CLAUDE["tools"]
    assert trajectory.metadata["latency"] == 3
    assert trajectory.metadata["request"]["temperature"] == 0
    assert trajectory.metadata["response"]["usage"] == 1


def test_a_text_beside_messages_that_await_an_answer_is_the_answer() -> None:
    assert turns(read("exchange", {"messages": ASKED, "response": "21C"})) == [("user", "Rome?"), ("assistant", "21C")]
    answered = {"messages": [*ASKED, ANSWER], "response": "21C"}
    assert detect([answered]).best is get_format("openai"), "the answer is among the messages"


def test_a_request_that_failed_is_skipped() -> None:
    with pytest.raises(Skip):
        list(
            get_format("exchange").read(
                {"request": {"messages": ASKED}, "response": {"error": {"code": 429}}}, ReadOptions()
            )
        )


def lc(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kwargs}


BAD = {"name": "f", "args": "{oops", "id": "2", "error": "no JSON"}
GOOD = {"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}


@pytest.mark.parametrize(
    "record",
    [
        [lc("HumanMessage", content="q"), lc("AIMessageChunk", content=[{"type": "text", "text": "t"}], tool_calls=[GOOD], invalid_tool_calls=[BAD]), lc("ToolMessage", content="no", tool_call_id="1", status="error")],
        {"messages": [{"type": "human", "data": {"content": "q"}}, {"type": "ai", "data": {"content": "t", "tool_calls": [GOOD], "invalid_tool_calls": [BAD]}}, {"type": "tool", "data": {"content": "no", "tool_call_id": "1", "status": "error"}}]},
        {"values": {"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "t", "tool_calls": [GOOD], "invalid_tool_calls": [BAD]}, {"type": "tool", "content": "no", "tool_call_id": "1", "status": "error"}]}},
    ],
)  # fmt: skip
def test_langchain_messages_of_every_kind_are_the_same(record: Any) -> None:
    trajectory = read("langchain", record)
    assert turns(trajectory) == [("user", "q"), ("assistant", "t"), ("tool", "no")]
    assert trajectory.messages[1].calls == [Call("f", '{"a":1}', "1"), Call("f", "{oops", "2")]
    feedback = trajectory.messages[2]
    assert (feedback.native_error, feedback.native_error_code, feedback.native_error_source) == (
        True,
        "error",
        "status",
    )
    assert [(p.call.call_id, p.feedback_turn) for p in pair(trajectory.messages)] == [("1", 2), ("2", None)]


def test_a_message_that_is_none_of_langchains_is_refused_by_its_place() -> None:
    with pytest.raises(RecordError, match="message 1 is no LangChain message; found x"):
        list(get_format("langchain").read([lc("HumanMessage", content="q"), {"x": 1}], ReadOptions()))


def test_one_tau2_simulation_a_line_is_read_as_in_the_file_of_all() -> None:
    (whole,) = get_format("tau2").read(example("tau2"), ReadOptions())
    trajectory = read("tau2", example("tau2")["simulations"][0])
    assert trajectory.messages == whole.messages
    assert (trajectory.branch, trajectory.source_id, trajectory.reward) == (None, "s1", 0.0)
    assert [message.trainable for message in trajectory.messages] == [True, True, True, False, False]


def test_query_response_and_history_are_turns() -> None:
    trajectory = read("query-response", example("query-response"))
    assert turns(trajectory)[:4] == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Rome?")]
    assert calls(trajectory) == [("weather", '{"city":"Rome"}')]
    alpaca = {"instruction": "Add.", "input": "1, 2", "output": "3"}
    assert turns(read("query-response", alpaca)) == [("user", "Add.\n1, 2"), ("assistant", "3")]


def test_a_fence_of_bash_is_a_call_and_its_return_code_the_flag() -> None:
    record = example("mini-swe-agent")
    two = {"role": "assistant", "content": "```bash\na\n```\n```bash\nb\n```"}
    record["messages"] += [two, {"role": "user", "content": "EXACTLY ONE action"}]
    trajectory = read("mini-swe-agent", record)
    assert calls(trajectory) == [("bash", '{"command":"ls x"}')]
    assert [message.role for message in trajectory.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    feedback = trajectory.messages[3]
    assert (feedback.native_error, feedback.native_error_code, feedback.native_error_source) == (
        True,
        "2",
        "returncode",
    )
    assert (trajectory.model, trajectory.outcome, trajectory.agent_version) == ("m", "Submitted", "1.9.0")
