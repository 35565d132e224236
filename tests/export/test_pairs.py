"""Preference pairs: a failed call is rejected, its correction chosen, after the same prompt; what gives no pair is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.export.check import check, read_rows
from tests.records import TOOLS, annotated, answers, asks, call, user
from tldata.errors import UsageError
from tldata.export import export

MISSING = "TypeError: forecast() missing 1 required positional argument: 'city'"
DONE = {"role": "assistant", "content": "Done."}


def record(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [user("Rome?"), *messages], "tools": TOOLS}


BAD = asks(call("forecast", {"days": 1}, "c1"), content="Days first.")
GOOD = asks(call("forecast", {"city": "Rome"}, "c2"))
REPAIRED = record(BAD, answers(MISSING, "c1"), GOOD, answers("21C", "c2"), DONE)


def pairs(tmp_path: Path, *records: dict[str, Any], **options: Any) -> tuple[list[Any], dict[str, int]]:
    data = annotated(tmp_path, list(records), prefixes="keep")
    counts = export(data.path, "dpo", tmp_path / "out.jsonl", **options).counts
    assert check("dpo", tmp_path / "out.jsonl") == counts["records"]
    return list(read_rows(tmp_path / "out.jsonl")), counts


def message(made: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """An assistant message as it is exported: arguments as an object, text that is there."""
    (one,) = made["tool_calls"]
    return {
        **made,
        "content": made["content"] or "",
        "tool_calls": [{**one, "function": {**one["function"], "arguments": arguments}}],
    }


def test_a_failed_call_and_its_correction_make_a_pair(tmp_path: Path) -> None:
    (pair,), counts = pairs(tmp_path, REPAIRED)
    assert counts == {"trajectories": 1, "records": 1}
    assert pair["prompt"] == [user("Rome?")]
    assert pair["chosen"] == [message(GOOD, {"city": "Rome"})]
    assert pair["rejected"] == [message(BAD, {"days": 1})]
    assert (pair["id"], pair["category"], pair["tool_name"]) == ("raw:1#1", "parameter_missing", "forecast")


def test_two_tries_before_the_correction_make_two_pairs_with_the_first_in_the_second_prompt(tmp_path: Path) -> None:
    again = asks(call("forecast", {"days": 2}, "c3"))
    (one, two), _ = pairs(
        tmp_path, record(BAD, answers(MISSING, "c1"), again, answers(MISSING, "c3"), GOOD, answers("21C", "c2"), DONE)
    )
    assert len(one["prompt"]) == 1 and len(two["prompt"]) == 3
    assert one["chosen"] == two["chosen"] == [message(GOOD, {"city": "Rome"})]


def test_what_gives_no_pair_is_counted_by_its_reason(tmp_path: Path) -> None:
    other = asks(call("timezone", {"city": "Rome"}, "c2"))
    mixed = asks(call("forecast", {"days": 1}, "c1"), call("timezone", {"city": "Rome"}, "c9"))
    invented = asks(call("weather", {"city": "Rome"}, "c1"))
    found, counts = pairs(
        tmp_path,
        record(BAD, answers(MISSING, "c1"), DONE),  # never repaired
        record(BAD, answers(MISSING, "c1"), user("And Oslo?"), GOOD, answers("21C", "c2"), DONE),  # a user spoke
        record(BAD, answers(MISSING, "c1"), other, answers("CET", "c2"), DONE),  # another tool repairs nothing
        record(mixed, answers(MISSING, "c1"), answers("CET", "c9"), GOOD, answers("21C", "c2"), DONE),
        record({**BAD, "weight": 0}, answers(MISSING, "c1"), GOOD, answers("21C", "c2"), DONE),
        record(
            invented, answers("unknown tool", "c1"), other, answers("CET", "c2"), DONE
        ),  # any tool is better than none
        record(asks(call("forecast", '{"city": ', "c1")), answers("no JSON", "c1"), GOOD, answers("21C", "c2"), DONE),
    )
    assert counts == {
        "trajectories": 7,
        "records": 2,
        "not repaired": 3,
        "some of its calls are right": 1,
        "the source keeps it out": 1,
        "written as text": 1,
    }
    assert [pair["category"] for pair in found] == ["tool_hallucination", "format_error"]
    assert found[1]["rejected"] == [{"role": "assistant", "content": '{"name": "forecast", "arguments": {"city": }'}]


def test_an_outage_is_no_worse_a_call_unless_asked_for_and_a_repetition_never_is(tmp_path: Path) -> None:
    outage = record(
        GOOD, answers("503 Server Error: Service Unavailable for url: x", "c2"), BAD, answers(MISSING, "c1")
    )
    retry = asks(call("forecast", {"city": "Rome"}, "c5"))
    outage["messages"][-2:] = [retry, answers("21C", "c5"), DONE]
    assert pairs(tmp_path, outage)[1] == {"trajectories": 1, "records": 0}
    data_counts = export(tmp_path / "raw.tldata", "dpo", tmp_path / "b.jsonl", mask="paper").counts
    assert data_counts == {"trajectories": 1, "records": 0, "repeated as it was": 1}
    with pytest.raises(UsageError, match="pairs need failed calls"):
        export(tmp_path / "raw.tldata", "dpo", tmp_path / "b.jsonl", mask="none")
