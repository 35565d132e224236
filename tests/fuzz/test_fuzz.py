"""The short form of the soak: mutated samples through every parser, rule, check and reader; and inputs that are too large or too deep."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import orjson
import pytest

import tldata
from tests.fuzz import mutate
from tests.fuzz.soak import Tally, as_json, crash_of, run, soak
from tests.fuzz.targets import PURE, read_record
from tldata import work
from tldata.engine import annotate
from tldata.errors import RuleError, TldataError
from tldata.evidence.feedback import FeedbackRules
from tldata.limits import Watchdog

SHORT, RECORDS = 400, 1_500  # inputs for each target; the soak makes 700,000


@pytest.mark.parametrize("name", PURE)
def test_mutated_samples_never_end_in_anything_but_a_result_or_an_error_of_our_own(name):
    tally = Tally()
    for seed in range(SHORT):
        run(PURE[name], seed, tally)
    assert tally.executions == SHORT
    assert tally.crashes == {}


def test_mutated_records_are_read_or_refused_by_every_reader():
    tally = Tally()
    for seed in range(RECORDS):
        run(read_record, seed, tally)
    assert tally.crashes == {}
    assert 0.1 * RECORDS < tally.refused < 0.9 * RECORDS  # the mutations leave some readable and break others


def test_the_soak_counts_what_it_runs_and_finds_a_planted_fault(monkeypatch):
    def faulty(chance: random.Random) -> None:
        if "{" in mutate.text(chance):
            raise KeyError("planted")

    for name in list(PURE):
        monkeypatch.delitem(PURE, name)
    monkeypatch.setitem(PURE, "faulty", faulty)
    tallies = soak(100, 5, seed=1)
    told = json.loads(as_json(tallies, 1))
    assert told["executions"] == 100 and told["records"] == 5 and told["unique_crashes"] == 1
    (found,) = told["targets"]["faulty"]["crashes"].values()
    with pytest.raises(KeyError):
        faulty(random.Random(found["seed"]))  # the seed makes the input again
    assert crash_of(KeyError("x")) == "KeyError"


def _count(path: Path, **options) -> dict[str, int]:
    return annotate(path, workers=1, max_bad=1, **options).counts


GOOD = {"messages": [{"role": "user", "content": "Rome?"}, {"role": "assistant", "content": "yes"}]}


@pytest.mark.parametrize("unit", ["[", '{"a":', '[{"a":'])
def test_a_megabyte_of_nesting_is_one_reject(tmp_path, unit):
    source = tmp_path / "deep.jsonl"
    source.write_bytes(
        orjson.dumps(GOOD) + b"\n" + unit.encode() * ((1 << 20) // len(unit)) + b"\n" + orjson.dumps(GOOD)
    )
    counts = _count(source)
    assert (counts["n_inputs"], counts["n_trajectories"], counts["n_rejects"]) == (3, 2, 1)


@pytest.mark.parametrize("depth", [100, 126, 250, 400, 480, 510])
def test_a_value_nested_within_what_json_allows_is_read_or_refused(tmp_path, depth):
    deep = '{"a":[' * depth + "1" + "]}" * depth
    places = (
        '"meta": %s',
        '"tools": [{"name": "f", "parameters": {"properties": {"a": %s}}}]',
        '"tools": [{"name": "f", "x": %s}]',
    )
    message = '{"role": "assistant", "content": "", "extra": %s, "tool_calls": [{"function": {"name": "f", "arguments": %s}}]}'
    lines = [
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], ' + place % deep + "}"
        for place in places
    ]
    lines.append('{"messages": [' + message % (deep, deep) + "]}")
    lines.append('{"messages": [' + message % (1, json.dumps(deep)) + "]}")
    source = tmp_path / "deep.jsonl"
    source.write_text("\n".join(lines) + "\n" + json.dumps(GOOD))
    for scrub in (False, True):
        counts = _count(source, out=tmp_path / f"{scrub}.tl", scrub=scrub)
        assert counts["n_inputs"] == 6 == counts["n_trajectories"] + counts["n_rejects"]
        assert counts["n_trajectories"] >= 1


def test_a_record_that_takes_longer_than_its_budget_is_rejected_and_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "RECORD_BUDGET", Watchdog(0.4))
    parse = work.parse

    def slow(raw: bytes | dict) -> object:
        while b"loop" in bytes(raw):  # type: ignore[arg-type]
            time.sleep(0)
        return parse(raw)

    monkeypatch.setattr(work, "parse", slow)
    source = tmp_path / "slow.jsonl"
    source.write_bytes(b"\n".join([orjson.dumps(GOOD), b'{"loop": 1}', orjson.dumps(GOOD)]))
    monkeypatch.setattr("tldata.engine.parse", parse)
    monkeypatch.setattr(work, "reject_text", lambda raw, scrubber: "")
    made = annotate(source, workers=1, max_bad=1)
    rejects = tldata.open(made.path).sql("SELECT source_line, reason FROM rejects").to_pylist()
    assert made.counts["n_trajectories"] == 2
    assert [row["source_line"] for row in rejects] == [2] and "seconds of processor time" in rejects[0]["reason"]


def test_many_tools_cost_time_in_proportion(tmp_path):
    def seconds(n: int) -> float:
        tools = [
            {"name": f"tool_{k}", "description": "x", "parameters": {"properties": {"a": {"type": "string"}}}}
            for k in range(n)
        ]
        source = tmp_path / f"{n}.jsonl"
        source.write_bytes(orjson.dumps({**GOOD, "tools": tools}))
        started = time.process_time()
        assert _count(source)["n_trajectories"] == 1
        return time.process_time() - started

    seconds(10)
    assert seconds(20_000) < 12 * seconds(4_000) + 1  # 5 times the tools; quadratic would be 25 times


@pytest.mark.slow
def test_a_million_tools_and_a_line_of_50_megabytes_are_read(tmp_path):
    tools = [{"name": f"tool_{k}", "parameters": {"properties": {"a": {}}}} for k in range(1_000_000)]
    source = tmp_path / "large.jsonl"
    long = {"messages": [{"role": "user", "content": "ab \\n" * 10_000_000}, {"role": "assistant", "content": "ok"}]}
    source.write_bytes(orjson.dumps({**GOOD, "tools": tools}) + b"\n" + orjson.dumps(long) + b"\n" + orjson.dumps(GOOD))
    counts = _count(source)
    assert (counts["n_inputs"], counts["n_trajectories"]) == (3, 3)


RULES = """
schema_version = 1
[[rule]]
id = "mine"
category = "others"
priority = 1
place = "text"
pattern = '{pattern}'
example = "aaaa"
counter_example = "zzz"
"""


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "((a{0,50}){0,50}){0,50}", "a{1000}{1000}", "(?=a)a", "[", "(?P<x>a)(?P=x)", "\\\\"],
)
def test_a_hostile_rule_is_refused_when_it_is_read_or_takes_linear_time(tmp_path, pattern):
    file = tmp_path / "rules.toml"
    file.write_text(RULES.format(pattern=pattern))
    started = time.process_time()
    try:
        rules = FeedbackRules.load([str(file)])
        rules.classify(["a" * 200_000 + "!", "b" * 1000])
    except RuleError as error:
        assert str(error)
    except TldataError as error:  # pragma: no cover
        raise AssertionError(f"not the error that a bad rule gives: {error}") from None
    assert time.process_time() - started < 20
