"""What is not to be trained on, in every target: marked where there is a mark, left out of single turns, counted elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.export.check import check, read_rows
from tests.records import TOOLS, annotated, answers, asks, call, user
from tldata.export import export

MISSING = "TypeError: forecast() missing 1 required positional argument: 'city'"
RECORD = {
    "messages": [
        user("Rome?"),
        asks(call("forecast", {"days": 1}, "a")),  # erroneous: out
        answers(MISSING, "a"),
        asks(call("forecast", {"city": "Rome"}, "b"), content="Again."),
        answers("21C", "b"),
        asks(call("forecast", {"days": 2}, "c"), call("timezone", {"city": "Rome"}, "d")),  # one of two: out as a whole
        answers(MISSING, "c"),
        answers("CET", "d"),
        {"role": "assistant", "content": "21C, CET."},
    ],
    "tools": TOOLS,
}


def exported(folder: Path, target: str, **options: Any) -> tuple[list[Any], dict[str, int]]:
    data = annotated(folder, [RECORD])
    counts = export(data.path, target, folder / "out.jsonl", **options).counts
    check(target, folder / "out.jsonl")
    return list(read_rows(folder / "out.jsonl")), counts


def test_axolotl_says_train_and_ms_swift_loss(tmp_path: Path) -> None:
    (record,), counts = exported(tmp_path, "axolotl")
    assert [message.get("train") for message in record["messages"]] == [
        None, False, None, True, None, False, None, None, True,
    ]  # fmt: skip
    assert counts == {"trajectories": 1, "records": 1, "calls of which some are erroneous": 1}
    (tmp_path / "swift").mkdir()
    (record,), counts = exported(tmp_path / "swift", "ms-swift", call_weight=2.5)
    assert [(one["role"], one.get("loss"), one.get("loss_scale")) for one in record["messages"]] == [
        ("user", None, None),
        ("tool_call", False, None),
        ("tool_response", None, None),
        ("assistant", True, None),
        ("tool_call", True, 2.5),
        ("tool_response", None, None),
        ("tool_call", False, None),
        ("tool_call", False, None),
        ("tool_response", None, None),
        ("tool_response", None, None),
        ("assistant", True, None),
    ]
    assert counts["calls of which some are erroneous"] == counts["several calls in a message"] == 1


def test_llama_factory_v1_weighs_messages(tmp_path: Path) -> None:
    (record,), _ = exported(tmp_path, "llama-factory-v1", call_weight=3.0)
    assert [one["loss_weight"] for one in record["messages"]] == [0, 0, 0, 3.0, 0, 0, 0, 0, 1.0]


def test_a_mask_of_none_trains_on_everything(tmp_path: Path) -> None:
    (record,), counts = exported(tmp_path, "axolotl", mask="none")
    assert [one["train"] for one in record["messages"] if one["role"] == "assistant"] == [True] * 4
    assert counts == {"trajectories": 1, "records": 1}


@pytest.mark.parametrize("target", ["trl", "sharegpt", "hermes"])
def test_a_target_without_marks_counts_the_trajectories_that_would_need_some(target: str, tmp_path: Path) -> None:
    assert exported(tmp_path, target)[1]["untrained message"] == 1


def test_single_turns_end_with_what_is_trained_on_and_hold_the_failed_calls_as_context(tmp_path: Path) -> None:
    rows, counts = exported(tmp_path, "trl-turns")
    assert [len(row["prompt"]) for row in rows] == [3, 8] and counts["records"] == 2
    assert rows[0]["completion"][0]["tool_calls"][0]["function"]["arguments"] == {"city": "Rome"}
    assert rows[0]["prompt"][1]["tool_calls"][0]["function"]["arguments"] == {"days": 1}
    assert [row["id"] for row in rows] == ["raw:1#3", "raw:1#8"]
    for target, ends in (("sharegpt", ["function_call", "gpt"]), ("hermes", ["gpt", "gpt"])):
        (tmp_path / target).mkdir()
        rows, counts = exported(tmp_path / target, target, rows="turn")
        assert [row["conversations"][-1]["from"] for row in rows] == ends
        assert counts["records"] == 2 and "untrained message" not in counts
        assert [row["id"] for row in rows] == ["raw:1#3", "raw:1#8"]


def test_sharegpt_alternates_whatever_comes(tmp_path: Path) -> None:
    odd = {
        "messages": [
            {"role": "system", "content": "S."},
            {"role": "assistant", "content": "Hello."},
            {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm."},
            asks(call("forecast", {"city": "Rome"}, "a"), call("timezone", {"city": "Rome"}, "b")),
            answers("CET", "b"),
            answers("21C", "a"),
            user("Well?"),
            {"role": "critic", "content": "!"},
            asks(call("forecast", {"city": "Oslo"}, "c")),
            {"role": "assistant", "content": "Done."},
            user("Thanks."),
        ]
    }
    data = annotated(tmp_path, [odd])
    counts = export(data.path, "sharegpt", tmp_path / "out.jsonl").counts
    (record,) = read_rows(tmp_path / "out.jsonl")
    assert record["system"] == "S." and record["tools"] == ""
    assert [(turn["from"], turn["value"]) for turn in record["conversations"]] == [
        ("human", ""),
        (
            "function_call",
            (
                '<think>\nHm.\n\nHello.\n\nLet me see.\n</think>\n\n[{"name":"forecast","arguments":{"city":"Rome"}},'
                '{"name":"timezone","arguments":{"city":"Rome"}}]'
            ),
        ),
        ("observation", '["21C","CET\\n\\nWell?"]'),
        ("function_call", '{"name":"forecast","arguments":{"city":"Oslo"}}'),
        ("observation", ""),
        ("gpt", "Done."),
    ]
    assert counts.keys() - {"trajectories", "records"} == {
        "the model speaks first", "several messages in a row", "text beside a call", "reasoning", "call ids", "role",
        "feedback out of order", "a call and then text", "ends without an answer",
    }  # fmt: skip


def test_a_trajectory_in_which_the_model_says_nothing_gives_no_sharegpt_record_and_is_counted(tmp_path: Path) -> None:
    data = annotated(tmp_path, [{"messages": [user("Anyone?")]}])
    assert export(data.path, "sharegpt", tmp_path / "out.jsonl").counts == {
        "trajectories": 1,
        "records": 0,
        "nothing that the model wrote": 1,
    }
    assert (tmp_path / "out.jsonl").read_text() == ""


@pytest.mark.parametrize(("target", "texts"), [
    ("ms-swift", lambda record: [one["content"] for one in record["messages"] if one["role"] == "tool_response"]),
    ("llama-factory-v1", lambda record: [one["content"][0]["value"] for one in record["messages"] if one["role"] == "tool"]),
    ("hermes", lambda record: re.findall('"content":"(.*?)"', record["conversations"][2]["value"])),
])  # fmt: skip
def test_feedback_stands_in_the_order_of_its_calls_where_order_is_all_that_pairs_them(
    target: str, texts: Callable[[Any], list[str]], tmp_path: Path
) -> None:
    calls = asks(call("forecast", {"city": "Rome"}, "a"), call("timezone", {"city": "Rome"}, "b"))
    data = annotated(tmp_path, [{"messages": [user("?"), calls, answers("CET", "b"), answers("21C", "a")]}])
    counts = export(data.path, target, tmp_path / "out.jsonl").counts
    (record,) = read_rows(tmp_path / "out.jsonl")
    assert texts(record) == ["21C", "CET"]
    assert counts["feedback out of order"] == counts["call ids"] == 1
