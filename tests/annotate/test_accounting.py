"""Mutated records of every format: each input is a source, merged, skipped or rejected, and every check holds."""

import copy
import json
import random

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tldata
from tests.records import one_call, write_jsonl
from tldata.formats import FORMATS
from tldata.formats.openai_export import to_openai
from tldata.stream import stream

JUNK = [
    None,
    True,
    -1,
    0.5,
    "",
    "x",
    "\u0000",
    [],
    {},
    [[]],
    {"role": "user"},
    [None],
    "{",
    '{"name": 1}',
    10**30,
    "é" * 50,
]


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def mutate(record, choose: random.Random):
    """The record with one to three places dropped, replaced by junk, doubled, or renamed."""
    record = copy.deepcopy(record)
    for _ in range(choose.randint(1, 3)):
        path = choose.choice(list(places(record)))
        if not path:
            if choose.random() < 0.05:
                return choose.choice(JUNK)
            continue
        holder = record
        for key in path[:-1]:
            holder = holder[key]
        kind = choose.randrange(4)
        if kind == 0:
            del holder[path[-1]]
        elif kind == 1:
            holder[path[-1]] = copy.deepcopy(choose.choice(JUNK))
        elif kind == 2 and isinstance(holder, list):
            holder.insert(path[-1], copy.deepcopy(holder[path[-1]]))
        elif isinstance(holder, dict):
            holder[choose.choice(["role", "content", "from", "value", "new"])] = holder.pop(path[-1])
    return record


def account(summary) -> None:
    c = summary.counts
    assert c["n_inputs"] == c["n_sources"] + c["n_merged"] + c["n_skipped"] + c["n_rejects"]
    data = tldata.open(summary.path)
    assert data.sql("SELECT count(*) AS n FROM rejects")["n"].to_pylist() == [c["n_rejects"]]
    lines = data.sql(
        "SELECT source_line FROM trajectories UNION ALL SELECT source_line FROM merged WHERE source_line NOT IN "
        "(SELECT source_line FROM trajectories) UNION ALL SELECT source_line FROM rejects"
    )["source_line"].to_pylist()
    assert len(set(lines)) == c["n_sources"] + c["n_merged"] + c["n_rejects"]
    assert data.sql("SELECT count(*) AS n FROM calls WHERE category IS NULL")["n"].to_pylist() == [0]


@pytest.mark.parametrize("prefixes", ["longest", "keep"])
@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_mutated_records_are_all_accounted_for(tmp_path, row, prefixes):
    choose = random.Random(row.name + prefixes)
    example = orjson.loads(row.example)
    records = [example, *(mutate(example, choose) for _ in range(300))]
    raw = tmp_path / "raw.jsonl"
    raw.write_text("".join(json.dumps(record) + "\n" for record in records))
    summary = tldata.annotate(raw, format=row.name, prefixes=prefixes, max_bad=1.0)
    assert summary.counts["n_inputs"] == 301
    account(summary)
    reasons = tldata.open(summary.path).sql("SELECT DISTINCT reason FROM rejects")["reason"].to_pylist()
    assert not [reason for reason in reasons if reason.startswith("the reader")], "a reader raised something unforeseen"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_arbitrary_bytes_are_all_accounted_for(tmp_path, lines):
    assume(
        not lines or not lines[0].startswith((b"PAR1", b"PK"))
    )  # a damaged Parquet file or zip is an error as a whole
    raw = tmp_path / "raw.jsonl"
    raw.write_bytes(b"\n".join([*lines, json.dumps(one_call("forecast", {"city": "Rome"}, "21C")).encode()]))
    account(tldata.annotate(raw, overwrite=True, format="openai"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CALLS = st.builds(
    lambda name, arguments, identity, more: (
        {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}} | more
    ),
    st.text(min_size=1, max_size=8),
    st.one_of(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.just('{"a": 1}'), st.text(max_size=5)),
    st.text(max_size=5),
    st.dictionaries(st.sampled_from(["index", "new"]), VALUES, max_size=1),
)
MESSAGES = st.one_of(
    st.builds(
        lambda role, content, more: {"role": role, "content": content} | more,
        st.sampled_from(["system", "user", "assistant"]),
        st.none() | st.text(max_size=10),
        st.dictionaries(st.sampled_from(["name", "new", "reasoning_content"]), st.text(max_size=5), max_size=2),
    ),
    st.builds(
        lambda calls, content: {"role": "assistant", "content": content, "tool_calls": calls},
        st.lists(CALLS, min_size=1, max_size=3),
        st.none() | st.text(max_size=5),
    ),
    st.builds(
        lambda identity, content: {"role": "tool", "tool_call_id": identity, "content": content},
        st.text(max_size=5),
        st.text(max_size=10)
        | st.lists(st.builds(lambda t: {"type": "text", "text": t}, st.text(max_size=5)), max_size=2),
    ),
)
RECORDS = st.builds(
    lambda messages, more: {"messages": messages} | more,
    st.lists(MESSAGES, min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(["id", "tools", "reward", "model", "metadata", "new"]), VALUES, max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_openai_records_come_back_as_they_were(tmp_path, records):
    raw = write_jsonl(tmp_path / "raw.jsonl", records)
    summary = tldata.annotate(raw, overwrite=True, format="openai", prefixes="keep", max_bad=1.0)
    data = tldata.open(summary.path)
    rejected = set(data.sql("SELECT source_line FROM rejects")["source_line"].to_pylist())
    wanted = [record for line, record in enumerate(records, 1) if line not in rejected]
    back = [to_openai(w.trajectory, w.messages, w.calls, w.tools) for w in stream(data)]
    assert json.loads(json.dumps(back)) == wanted
