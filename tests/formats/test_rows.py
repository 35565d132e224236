"""Formats whose rows make trajectories together: sessions, spans, runs, observations, logs; their variants, worked by hand."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tldata
from tldata.formats import FORMATS, ReadOptions, Skip, detect, get_format
from tldata.formats.attributes import attributes_of
from tldata.pairing import pair
from tldata.record import Trajectory

GROUPED = [row.name for row in FORMATS if row.rows is not None]


def example(name: str) -> Any:
    return orjson.loads(get_format(name).example)


def read_all(name: str, record: Any, branches: str = "answer") -> list[Trajectory]:
    return list(get_format(name).read(record, ReadOptions(branches)))


def read(name: str, record: Any) -> Trajectory:
    (trajectory,) = read_all(name, record)
    return trajectory


def turns(trajectory: Trajectory) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in trajectory.messages]


def pairs(trajectory: Trajectory) -> list[tuple[str | None, str | None, str | None]]:
    """Name and arguments of each call, and its feedback."""
    return [
        (
            p.call.name,
            p.call.arguments,
            None if p.feedback_turn is None else trajectory.messages[p.feedback_turn].content,
        )
        for p in pair(trajectory.messages)
    ]


def flags(trajectory: Trajectory) -> list[tuple[bool | None, str | None, str | None]]:
    return [
        (m.native_error, m.native_error_code, m.native_error_source) for m in trajectory.messages if m.role == "tool"
    ]


def renamed(value: Any, suffix: str) -> Any:
    """A copy of a group with other ids, so that it is another group."""
    text = json.dumps(value)
    for identity in ("t1", "s1", "r1", "r2", "r3", "u1", "u2", "u3", "u4", "o1", "o2", "m1"):
        text = text.replace(f'"{identity}"', f'"{identity}{suffix}"')
    return json.loads(text)


@pytest.mark.parametrize("name", GROUPED)
def test_rows_one_a_line_are_found_grouped_and_accounted_for(name: str, tmp_path: Path) -> None:
    rows = example(name)
    by_file = {key for row in rows for key in _keys(name, row)} <= {""}
    if not by_file:
        rows = [row for pair_of_rows in zip(rows, renamed(rows, "x"), strict=True) for row in pair_of_rows]
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    summary = tldata.annotate(path, tmp_path / "out")
    counts = summary.counts
    assert summary.formats == {name: counts["n_trajectories"]}
    assert counts["n_inputs"] == len(rows)
    assert counts["n_trajectories"] == counts["n_sources"] == (1 if by_file else 2)
    assert counts["n_rejects"] == 0
    assert counts["n_inputs"] == counts["n_sources"] + counts["n_merged"] + counts["n_skipped"]
    assert counts["n_calls"] == counts["n_sources"]


def _keys(name: str, row: Any) -> list[str | None]:
    rows = get_format(name).rows
    assert rows is not None
    try:
        return [key for key, _ in rows(row)]
    except Skip:
        return []


@pytest.mark.parametrize("name", GROUPED)
def test_rows_as_one_array_are_one_file_of_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / "raw.json"
    path.write_text(json.dumps(example(name), indent=1))
    summary = tldata.annotate(path, tmp_path / "out")
    assert summary.formats == {name: 1}
    assert summary.counts["n_inputs"] in (1, len(example(name))), "an array of messages with roles is one record"


def test_an_api_banks_exception_is_the_flag_and_the_feedback() -> None:
    trajectory = read("api-bank", example("api-bank"))
    said = "The time is not in the right format."
    assert pairs(trajectory) == [("AddAlarm", '{"time":"8"}', said)]
    assert flags(trajectory) == [(True, said, "exception")]
    record = example("api-bank")
    record[1]["result"]["exception"], record[1]["result"]["output"] = None, {"id": 3}
    assert flags(read("api-bank", record)) == [(False, None, "exception")]
    assert pairs(read("api-bank", record))[0][2] == '{"id":3}'


# Claude Code


def line(uuid: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": role, "content": content}
    if "answer" in more:
        message["id"] = more.pop("answer")
    base = {
        "type": role,
        "uuid": uuid,
        "parentUuid": parent,
        "sessionId": "s",
        "isSidechain": False,
        "message": message,
    }
    return base | more


def use(identity: str, name: str = "f") -> list[Any]:
    return [{"type": "tool_use", "id": identity, "name": name, "input": {}}]


def result(identity: str, text: str, **more: Any) -> list[Any]:
    return [{"type": "tool_result", "tool_use_id": identity, "content": text, **more}]


def test_lines_of_one_answer_are_one_message_and_parallel_results_answer_it() -> None:
    session = [
        line("a", None, "user", "q"),
        line("b", "a", "assistant", [{"type": "thinking", "thinking": "hm"}], answer="m"),
        line("c", "b", "assistant", use("1"), answer="m"),
        line("d", "c", "assistant", use("2"), answer="m"),
        line("e", "c", "user", result("1", "one"), toolUseResult={}),
        line("f", "d", "user", result("2", "two", is_error=True), toolUseResult="Error"),
        line("g", "f", "assistant", [{"type": "text", "text": "done"}], answer="n"),
    ]
    trajectory = read("claude-code", session)
    assert [message.role for message in trajectory.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert trajectory.messages[1].reasoning == "hm"
    assert pairs(trajectory) == [("f", "{}", "one"), ("f", "{}", "two")]
    assert flags(trajectory) == [(False, None, "is_error"), (True, "true", "is_error")]
    assert trajectory.source_id == "s"


def test_a_sidechain_is_a_trajectory_of_its_own_that_is_not_trained_on() -> None:
    session = [
        line("a", None, "user", "q"),
        line("b", "a", "assistant", use("1", "Task")),
        line("x", None, "user", "do it", isSidechain=True),
        line("y", "x", "assistant", use("9"), isSidechain=True),
        line("z", "y", "user", result("9", "r"), isSidechain=True),
        line("c", "b", "user", result("1", "done")),
    ]
    main, side = read_all("claude-code", session)
    assert [message.trainable for message in main.messages] == [True] * 3
    assert pairs(main) == [("Task", "{}", "done")]
    assert [message.trainable for message in side.messages] == [False] * 3
    assert (pairs(side), side.metadata["sidechain"]) == ([("f", "{}", "r")], "x")
    assert (main.branch, side.branch) == (0, 1)


def test_the_stream_of_the_sdk_is_read_without_links() -> None:
    def said(role: str, content: Any, parent: str | None = None) -> dict[str, Any]:
        message = {"role": role, "content": content}
        return {"type": role, "message": message, "parent_tool_use_id": parent, "session_id": "s"}

    stream = [
        {"type": "system", "subtype": "init", "session_id": "s", "tools": ["Task"]},
        said("assistant", use("1", "Task")),
        said("user", "do it", "1"),
        said("assistant", [{"type": "text", "text": "x"}], "1"),
        said("user", result("1", "done")),
        {"type": "result", "subtype": "success", "session_id": "s"},
    ]
    assert detect(stream).best is get_format("claude-code")
    main, side = read_all("claude-code", stream)
    assert pairs(main) == [("Task", "{}", "done")]
    assert [(m.content, m.trainable) for m in side.messages] == [("do it", False), ("x", False)]


def test_what_was_taken_back_is_left_out_unless_all_branches_are_asked_for() -> None:
    session = [
        line("a", None, "user", "q"),
        line("b", "a", "assistant", "first"),
        line("c", "b", "user", "no"),
        line("d", "c", "assistant", "second"),
        line("e", "b", "user", "yes"),
        line("f", "e", "assistant", "third"),
    ]
    assert [text for _, text in turns(read("claude-code", session))] == ["q", "first", "yes", "third"]
    last, lost = read_all("claude-code", session, "all")
    assert [text for _, text in turns(last)] == ["q", "first", "yes", "third"]
    assert [text for _, text in turns(lost)] == ["q", "first", "no", "second"]


def test_a_resumed_session_that_repeats_its_lines_is_told_once_and_a_compacted_one_goes_on(tmp_path: Path) -> None:
    old = [line("a", None, "user", "q"), line("b", "a", "assistant", "r")]
    boundary = {
        "type": "system",
        "subtype": "compact_boundary",
        "uuid": "c",
        "parentUuid": None,
        "logicalParentUuid": "b",
    }
    new = [{**boundary, "sessionId": "s"}, line("d", "c", "user", "a summary", isCompactSummary=True)]
    assert [text for _, text in turns(read("claude-code", [*old, *old, *new]))] == ["q", "r", "a summary"]
    for number, lines in enumerate(([*old], [*old, *new])):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))
    counts = tldata.annotate(tmp_path, tmp_path / "out").counts
    assert (counts["n_trajectories"], counts["n_skipped"], counts["n_merged"]) == (1, 2, 3)


def test_lines_of_other_types_are_skipped_and_counted(tmp_path: Path) -> None:
    noise: list[dict[str, Any]] = [
        {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}},
        {"type": "progress", "uuid": "p", "parentUuid": "a", "sessionId": "s", "data": {}},
        {"type": "queue-operation", "operation": "enqueue", "sessionId": "s"},
        {"type": "summary", "summary": "x", "leafUuid": "y"},
    ]
    rows = [noise[0], line("a", None, "user", "q"), *noise[1:], {"type": "user", "uuid": "b", "sessionId": "s"}]
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in rows))
    summary = tldata.annotate(path, tmp_path / "out", max_bad=1.0)
    assert summary.skipped == {f"line of type {one['type']}": 1 for one in noise}
    assert (summary.counts["n_sources"], summary.counts["n_rejects"]) == (1, 1)


# Spans


def chat(span: str, start: int, given: list[Any], said: list[Any], **more: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": given,
        "gen_ai.output.messages": json.dumps(said),
    }
    return {
        "traceId": "t",
        "spanId": span,
        "name": "chat m",
        "startTimeUnixNano": str(start),
        "attributes": attributes | more,
    }


def part(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


CALLS = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]}
GIVES = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"t": 21}}]}
TOOL: dict[str, Any] = {
    "traceId": "t", "spanId": "x", "name": "execute_tool f", "startTimeUnixNano": "2", "status": {"code": "STATUS_CODE_ERROR"},
    "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f", "gen_ai.tool.call.id": "c1", "error.type": "tool_error"},
}  # fmt: skip


def test_spans_that_repeat_the_history_are_told_once_with_the_flags_of_the_tools() -> None:
    asked = part("user", "q")
    spans = [chat("b", 3, [asked, CALLS, GIVES], [part("assistant", "done")]), TOOL, chat("a", 1, [asked], [CALLS])]
    trajectory = read("otel-genai", spans)
    assert turns(trajectory) == [("user", "q"), ("assistant", None), ("tool", '{"t":21}'), ("assistant", "done")]
    assert flags(trajectory) == [(True, "tool_error", "error.type")]
    assert (trajectory.source_id, trajectory.created_at, trajectory.branch) == ("t", "1", None)


def test_an_agent_that_calls_another_is_two_conversations() -> None:
    asked, other = part("user", "q"), part("user", "sub")
    spans = [
        chat("a", 1, [asked], [CALLS]),
        chat("b", 2, [other], [part("assistant", "x")]),
        chat("c", 3, [asked, CALLS, GIVES], [part("assistant", "done")]),
    ]
    first, second = read_all("otel-genai", spans)
    assert [turns(first)[0], turns(second)[0]] == [("user", "q"), ("user", "sub")]
    assert (first.branch, second.branch) == (0, 1)


def test_tools_spans_alone_give_calls_where_contents_are_not_recorded() -> None:
    tool = json.loads(json.dumps(TOOL))
    tool["attributes"] |= {"gen_ai.tool.call.arguments": '{"a": 1}', "gen_ai.tool.call.result": "21C"}
    spans = [tool, {"traceId": "t", "spanId": "m", "name": "chat", "attributes": {"gen_ai.operation.name": "chat"}}]
    assert pairs(read("otel-genai", spans)) == [("f", '{"a": 1}', "21C")]


def typed(value: Any) -> Any:
    """A value as OTLP writes it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": typed(inner)} for key, inner in value.items()]}}
    return {"stringValue": value}


def as_otlp(spans: list[Any]) -> dict[str, Any]:
    listed = [
        {**span, "attributes": [{"key": key, "value": typed(value)} for key, value in span["attributes"].items()]}
        for span in spans
    ]
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": listed}]}]}


def as_console(spans: list[Any]) -> list[Any]:
    return [
        {
            "name": span["name"],
            "context": {"trace_id": "0x" + span["traceId"], "span_id": span["spanId"]},
            "start_time": f"2025-01-01T00:00:0{span.get('startTimeUnixNano', 0)}Z",
            "status": {"status_code": "ERROR" if "status" in span else "UNSET"},
            "attributes": span["attributes"],
        }
        for span in spans
    ]


def as_jaeger(spans: list[Any]) -> dict[str, Any]:
    listed = [
        {
            "traceID": span["traceId"],
            "spanID": span["spanId"],
            "operationName": span["name"],
            "startTime": int(span["startTimeUnixNano"]),
            "tags": [{"key": key, "type": "string", "value": value} for key, value in span["attributes"].items()],
        }
        for span in spans
    ]
    return {"data": [{"traceID": "t", "spans": listed}]}


@pytest.mark.parametrize("shape", [as_otlp, as_console, as_jaeger, list])
def test_spans_of_every_writer_are_the_same(shape: Any) -> None:
    asked = part("user", "q")
    spans = [chat("b", 3, [asked, CALLS, GIVES], [part("assistant", "done")]), TOOL, chat("a", 1, [asked], [CALLS])]
    record = shape(spans)
    assert detect([record]).best is get_format("otel-genai")
    trajectory = read("otel-genai", record)
    assert pairs(trajectory) == [("f", '{"a":1}', '{"t":21}')]
    assert flags(trajectory)[0][:2] == (True, "tool_error")


def test_otlp_batches_with_spans_of_several_traces_are_sorted_out(tmp_path: Path) -> None:
    asked = part("user", "q")
    spans = [chat("b", 3, [asked, CALLS, GIVES], [part("assistant", "done")]), TOOL, chat("a", 1, [asked], [CALLS])]
    other = [{**span, "traceId": "u", "spanId": span["spanId"] + "2"} for span in spans]
    http = {"traceId": "u", "spanId": "h", "name": "GET /", "attributes": {"http.method": "GET"}}
    batches = [[spans[0], other[0]], [spans[1], http], [http], [other[1], other[2], spans[2]]]
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(orjson.dumps(as_otlp(batch)) + b"\n" for batch in batches))
    summary = tldata.annotate(path, tmp_path / "out")
    counts = summary.counts
    assert summary.formats == {"otel-genai": 2}
    assert [counts[n] for n in ("n_inputs", "n_sources", "n_merged", "n_skipped", "n_calls")] == [4, 1, 2, 1, 2]
    assert summary.skipped == {"span of no model or tool": 1}


def test_a_file_that_begins_with_a_servers_spans_is_recognised_by_those_that_come_later(tmp_path: Path) -> None:
    http = [
        {"traceId": "t", "spanId": f"h{n}", "name": "GET /", "attributes": {"http.method": "GET"}} for n in range(120)
    ]
    rows = [*http, chat("a", 1, [part("user", "q")], [part("assistant", "a")])]
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    summary = tldata.annotate(path, tmp_path / "out")
    assert summary.formats == {"otel-genai": 1}
    assert summary.skipped == {"span of no model or tool": 120}


def test_an_integer_of_otlp_is_a_number_and_other_text_under_its_key_stays() -> None:
    given = {"a": {"intValue": "-3"}, "b": {"int_value": 4}, "c": {"intValue": "--3"}, "d": {"doubleValue": 0.5}}
    listed = [{"key": key, "value": value} for key, value in given.items()]
    assert attributes_of(listed) == {"a": -3, "b": 4, "c": "--3", "d": 0.5}
    assert attributes_of("x") == {}


def test_the_convention_before_with_numbered_keys_and_messages_as_events_are_read() -> None:
    flat = {
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "q", "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.tool_calls.0.id": "1", "gen_ai.completion.0.tool_calls.0.name": "f",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"a": 1}', "llm.request.functions.0.name": "f", "gen_ai.request.model": "m",
    }  # fmt: skip
    trajectory = read("otel-genai", {"name": "openai.chat", "trace_id": "t", "attributes": flat})
    assert pairs(trajectory) == [("f", '{"a": 1}', None)]
    assert (trajectory.tools, trajectory.model) == ([{"name": "f"}], "m")
    events = [
        {"name": "gen_ai.user.message", "attributes": {"content": "q"}},
        {"name": "gen_ai.choice", "attributes": {"message": '{"role": "assistant", "content": "a"}'}},
    ]
    span = {"name": "chat", "trace_id": "t", "attributes": {"gen_ai.system": "openai"}, "events": events}
    assert turns(read("otel-genai", span)) == [("user", "q"), ("assistant", "a")]


def test_openinference_takes_the_last_span_of_a_trace_and_the_tools_status() -> None:
    record = example("openinference")
    history = dict(record[1]["attributes"])
    last = {key: value for key, value in history.items() if "output" not in key}
    last |= {
        key.replace("output_messages.0", "input_messages.1"): value for key, value in history.items() if "output" in key
    }
    last |= {
        "llm.input_messages.2.message.role": "tool",
        "llm.input_messages.2.message.tool_call_id": "c1",
        "llm.input_messages.2.message.content": "timeout",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "text",
        "llm.output_messages.0.message.contents.0.message_content.text": "Sorry.",
    }
    record[0]["attributes"]["tool.id"] = "c1"
    spans = [
        *record,
        {
            **record[1],
            "context": {"trace_id": "t1", "span_id": "c"},
            "start_time": "2025-01-01T00:00:03Z",
            "attributes": last,
        },
    ]
    random.Random(0).shuffle(spans)
    trajectory = read("openinference", spans)
    assert turns(trajectory) == [("user", "Rome?"), ("assistant", None), ("tool", "timeout"), ("assistant", "Sorry.")]
    assert flags(trajectory) == [(True, "ERROR", "status")]
    assert trajectory.tools is not None
    assert trajectory.tools[0]["function"]["name"] == "weather"


def test_openinference_columns_and_nested_attributes_are_the_same_as_flat_ones() -> None:
    wanted = pairs(read("openinference", example("openinference")))
    assert wanted == [("weather", '{"city": "Rome"}', "timeout")]
    nested, columns = example("openinference"), example("openinference")
    message = {"message.role": "user", "message.content": "Rome?"}
    call = {
        "tool_call.id": "c1",
        "tool_call.function.name": "weather",
        "tool_call.function.arguments": '{"city": "Rome"}',
    }
    said = {"message.role": "assistant", "message.tool_calls": [call]}
    nested[1]["attributes"] = {"llm": {"input_messages": [{"message": {"role": "user", "content": "Rome?"}}]}}
    nested[1]["attributes"]["llm"]["output_messages"] = [
        {
            "message": {
                "role": "assistant",
                "tool_calls": [
                    {"tool_call": {"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}}
                ],
            }
        }
    ]
    columns[1] = {
        "name": "ChatCompletion", "span_kind": "LLM", "context.trace_id": "t1", "context.span_id": "a",
        "start_time": "2025-01-01T00:00:01Z", "attributes.llm.input_messages": [message], "attributes.llm.output_messages": [said],
    }  # fmt: skip
    assert pairs(read("openinference", nested)) == wanted
    assert pairs(read("openinference", columns)) == wanted


# Runs and observations


def test_langsmith_runs_as_text_nested_or_of_a_graph_are_read() -> None:
    wanted = [("weather", '{"city":"Rome"}', "ValueError('x')")]
    rows = example("langsmith")
    assert pairs(read("langsmith", rows)) == wanted
    assert flags(read("langsmith", rows)) == [(True, "ValueError('x')", "error")]
    text = [{**run, "inputs": json.dumps(run["inputs"]), "outputs": json.dumps(run["outputs"])} for run in rows]
    assert pairs(read("langsmith", text)) == wanted
    root = {"id": "r1", "run_type": "chain", "name": "agent", "inputs": {}, "status": "success"}
    assert pairs(read("langsmith", {**root, "child_runs": rows})) == wanted
    state = [
        {"type": "human", "content": "Rome?"},
        {"type": "ai", "content": "", "tool_calls": [{"name": "f", "args": {}, "id": "1"}]},
        {"type": "tool", "content": "ok", "tool_call_id": "1", "status": "success"},
    ]
    graph = {**root, "trace_id": "r1", "inputs": {"messages": state[:1]}, "outputs": {"messages": state}}
    assert pairs(read("langsmith", graph)) == [("f", "{}", "ok")]
    assert len(read("langsmith", graph).messages) == 3


def test_runs_of_a_parquet_export_are_read_with_columns_of_text_and_times(tmp_path: Path) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = [
        {**run, **{key: json.dumps(run.get(key)) for key in ("inputs", "outputs", "extra")}, "error": run.get("error"),
         "status": run.get("status"), "start_time": start}
        for run in example("langsmith")
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "runs.parquet", row_group_size=1)
    tldata.annotate(tmp_path / "runs.parquet", tmp_path / "out")
    data = tldata.open(tmp_path / "out")
    (call,) = data.sql("SELECT tool_name, feedback, native_error FROM calls").to_pylist()
    assert tuple(call.values()) == ("weather", "ValueError('x')", True)
    (trajectory,) = data.sql("SELECT created_at, source_line, model FROM trajectories").to_pylist()
    assert trajectory["created_at"].startswith("2025-01-01T00:00:00")
    assert (trajectory["source_line"], trajectory["model"]) == (1, "m")


def test_langfuse_rows_of_a_trace_are_told_as_its_own_export_is(tmp_path: Path) -> None:
    wanted = example("langfuse")
    rows = [{**one, "trace_id": "t1"} for one in wanted["observations"]]
    first, second = read("langfuse", wanted), read("langfuse-rows", rows)
    assert turns(first) == turns(second)
    assert first.tools == second.tools
    older = {**rows[0], "output": None}
    assert turns(read("langfuse-rows", [older, *rows])) == turns(first), "an update counts as it stands last"


# Logs


def rpc(identity: int, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, **more}


def call_of(identity: int, name: str) -> dict[str, Any]:
    return rpc(identity, method="tools/call", params={"name": name, "arguments": {}})


def test_mcp_results_answer_by_id_and_protocol_errors_have_codes() -> None:
    log = [
        call_of(1, "f"),
        call_of(2, "g"),
        rpc(2, error={"code": -32602, "message": "Unknown tool: g"}),
        rpc(
            1,
            result={"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "structuredContent": {}},
        ),
        call_of(1, "h"),
        rpc(1, result={"content": [], "isError": True}),
        rpc(7, result={"resources": []}),
    ]
    trajectory = read("mcp", log)
    assert pairs(trajectory) == [("f", "{}", "a\nb"), ("g", "{}", "Unknown tool: g"), ("h", "{}", None)]
    assert flags(trajectory) == [(True, "-32602", "error"), (False, None, "isError"), (True, "true", "isError")]


def test_mcp_sessions_in_a_logs_wrapper_are_told_apart(tmp_path: Path) -> None:
    def wrap(session: str, message: Any, number: int) -> dict[str, Any]:
        inner = json.dumps(message) if number % 2 else message
        return {"timestamp": f"2025-01-0{number}", "session_id": session, "direction": "in", "message": inner}

    result_of = rpc(1, result={"content": [{"type": "text", "text": "ok"}]})
    rows = [
        wrap("a", call_of(1, "f"), 1),
        wrap("b", call_of(1, "g"), 2),
        wrap("b", result_of, 3),
        wrap("a", result_of, 4),
    ]
    rows.append(wrap("a", rpc(5, method="ping"), 5))
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    summary = tldata.annotate(path, tmp_path / "out")
    assert summary.formats == {"mcp": 2}
    assert summary.skipped == {"MCP ping": 1}
    calls = tldata.open(tmp_path / "out").sql("SELECT tool_name, feedback, paired_by FROM calls ORDER BY 1").to_pylist()
    assert [tuple(call.values()) for call in calls] == [("f", "ok", "id"), ("g", "ok", "id")]


def test_openhands_events_of_runtime_and_sdk_are_calls_and_feedback() -> None:
    trajectory = read("openhands-events", example("openhands-events"))
    assert turns(trajectory) == [("user", "List."), ("assistant", "I look."), ("tool", "ls: no such file")]
    assert flags(trajectory) == [(True, "2", "exit_code")]
    assert pairs(trajectory) == [("execute_bash", '{"command":"ls"}', "ls: no such file")]
    events = example("openhands-events")
    assert turns(read("openhands-events", {"instance_id": "i", "history": events})) == turns(trajectory)
    assert turns(read("openhands-events", {"history": [events[:1], events[1:]]})) == turns(trajectory), (
        "pairs of older outputs"
    )
    call = {"id": "c1", "type": "function", "function": {"name": "terminal", "arguments": '{"command": "ls"}'}}
    sdk = [
        {"kind": "SystemPromptEvent", "source": "agent", "system_prompt": {"type": "text", "text": "s"}, "tools": [{"name": "terminal"}]},
        {"kind": "MessageEvent", "source": "user", "llm_message": {"role": "user", "content": [{"type": "text", "text": "q"}]}},
        {"kind": "ActionEvent", "source": "agent", "thought": [{"type": "text", "text": "t"}], "tool_name": "terminal", "tool_call_id": "c1", "tool_call": call, "llm_response_id": "r"},
        {"kind": "ConversationStateUpdateEvent", "source": "environment"},
        {"kind": "ObservationEvent", "source": "environment", "tool_name": "terminal", "tool_call_id": "c1", "observation": {"kind": "X", "content": [{"type": "text", "text": "a.py"}], "is_error": False, "exit_code": 0}},
    ]  # fmt: skip
    assert detect([sdk]).best is get_format("openhands-events")
    trajectory = read("openhands-events", sdk)
    assert turns(trajectory) == [("system", "s"), ("user", "q"), ("assistant", "t"), ("tool", "a.py")]
    assert pairs(trajectory) == [("terminal", '{"command": "ls"}', "a.py")]
    assert flags(trajectory) == [(False, "0", "exit_code")]
    assert trajectory.tools == [{"name": "terminal"}]


def test_codex_items_are_read_with_the_exit_code_as_flag() -> None:
    trajectory = read("codex", example("codex"))
    assert turns(trajectory)[:2] == [("system", "Be brief."), ("user", "List.")]
    assert pairs(trajectory) == [("shell", '{"command": ["ls"]}', "ls: no such file")]
    assert flags(trajectory) == [(True, "2", "exit_code")]
    assert (trajectory.source_id, trajectory.agent_version) == ("s1", "0.46.0")
