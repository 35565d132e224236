"""Splits are complete, sized as asked, equal for equal seeds, and nothing that belongs together is on two sides."""

import itertools
import re

import pytest

import tldata
from tests.records import FORECAST, TIMEZONE, annotated, one_call, user, write_jsonl
from tldata.demo import generate
from tldata.errors import UsageError

THREE = "train=0.8,validation=0.1,test=0.1"


def sides(path) -> dict[str, str]:
    rows = tldata.open(path).sql("SELECT trajectory_id, split FROM trajectories").to_pylist()
    return {row["trajectory_id"]: row["split"] for row in rows}


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def test_every_trajectory_is_in_one_split_and_the_shares_are_met(tmp_path):
    data = annotated(tmp_path, list(generate(200, seed=3)))
    made = data.select(tmp_path / "out", split=THREE, split_by="trajectory")
    assert made.splits == {"train": 160, "validation": 20, "test": 20}
    found = list(sides(made.path).values())
    assert {name: found.count(name) for name in made.splits} == made.splits and len(found) == 200
    assert tldata.open(made.path).manifest["select"]["splits"] == made.splits


def test_the_same_seed_gives_the_same_splits_whatever_the_order_of_records(tmp_path):
    records = list(generate(60, seed=5))
    files = [write_jsonl(tmp_path / "a.jsonl", records[:30]), write_jsonl(tmp_path / "b.jsonl", records[30:])]
    found = []
    for number, order in enumerate((files, files[::-1])):
        tldata.annotate(order, tmp_path / f"{number}.tldata")
        made = tldata.open(tmp_path / f"{number}.tldata").select(
            tmp_path / f"out{number}", split=THREE, split_by="query"
        )
        found.append(sides(made.path))
    assert found[0] == found[1]
    other = tldata.open(tmp_path / "0.tldata").select(tmp_path / "other", split=THREE, split_by="query", seed=1)
    assert sides(other.path) != found[0]


def test_no_two_sides_have_nearly_the_same_query(tmp_path):
    """An oracle that compares all pairs of queries, with words and pairs of words as Python sets."""
    records = []
    for number, record in enumerate(generate(150, seed=11)):
        records.append(record)
        if number % 3 == 0:
            asked = next(m for m in record["messages"] if m["role"] == "user")
            text = asked["content"].upper() if number % 2 else "Well: " + asked["content"] + " Thanks!"
            records.append(
                {**record, "messages": [user(text), *record["messages"][record["messages"].index(asked) + 1 :]]}
            )
    data = annotated(tmp_path, records)
    made = data.select(tmp_path / "out", split="train=0.5,test=0.5", split_by="query", threshold=0.7)
    side = sides(made.path)
    features = {}
    for row in data.sql("SELECT trajectory_id, query FROM trajectories").to_pylist():
        words = plain(row["query"]).split()
        features[row["trajectory_id"]] = set(words) | set(itertools.pairwise(words))
    leaks = [
        (a, b)
        for a, b in itertools.combinations(features, 2)
        if side[a] != side[b] and len(features[a] & features[b]) >= 0.7 * len(features[a] | features[b])
    ]
    assert leaks == [] and set(side.values()) == {"train", "test"}


def tool_sets(data) -> dict[str, frozenset]:
    rows = data.sql(
        "SELECT trajectory_id, list(name) AS names FROM trajectories JOIN toolsets USING (toolset_id) GROUP BY 1"
    ).to_pylist()
    return {row["trajectory_id"]: frozenset(row["names"]) for row in rows}


def with_tools(city: str, tools: list) -> dict:
    return one_call("forecast", {"city": city}, "21C", query=f"Weather in {city}?") | {"tools": tools}


def named(name: str) -> dict:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def test_no_tool_set_is_on_two_sides_in_whatever_order_its_tools_stand(tmp_path):
    records = []
    for number in range(20):
        tools = [FORECAST, TIMEZONE, named(f"tool{number % 5}")]
        records.append(with_tools(f"City{number}", tools if number % 2 else tools[::-1]))
    data = annotated(tmp_path, records)
    made = data.select(tmp_path / "out", split="train=0.6,test=0.4", split_by="toolset")
    side, sets = sides(made.path), tool_sets(data)
    assert made.splits == {"train": 12, "test": 8}
    for a, b in itertools.combinations(side, 2):
        assert side[a] == side[b] or sets[a] != sets[b]


def test_by_tool_no_single_tool_is_on_two_sides(tmp_path):
    chains = [["a", "b"], ["b", "c"], ["d"], ["d", "e"], ["f"], ["g", "f"]]
    records = [with_tools(f"City{i}", [named(name) for name in chain]) for i, chain in enumerate(chains)]
    data = annotated(tmp_path, records)
    side = sides(data.select(tmp_path / "out", split="train=0.6,test=0.4", split_by="tool").path)
    assert [side[f"raw:{i}"] == side[f"raw:{i + 1}"] for i in (1, 3, 5)] == [True] * 3
    shared = [with_tools(f"City{i}", [named("a"), named(f"x{i}")]) for i in range(5)]
    with pytest.raises(UsageError, match="split 'test' would be empty: by tool the 5 trajectories fall into 1 groups"):
        annotated(tmp_path, shared, overwrite=True).select(
            tmp_path / "none", split="train=0.6,test=0.4", split_by="tool"
        )


def test_trajectories_without_declared_tools_go_by_those_that_they_call(tmp_path):
    records = []
    for number in range(12):
        record = one_call(f"tool{number % 3}", {"n": number}, "fine", query=f"Question number {number}")
        records.append({"messages": record["messages"]})
    records += [{"messages": [user(f"Chat {i}"), {"role": "assistant", "content": "Yes."}]} for i in range(8)]
    side = sides(annotated(tmp_path, records).select(tmp_path / "out", split="a=0.5,b=0.5", split_by="toolset").path)
    for number in range(3):
        assert len({side[f"raw:{i}"] for i in range(1, 13) if (i - 1) % 3 == number}) == 1
    assert len({side[f"raw:{i}"] for i in range(13, 21)}) == 2  # no tools at all: nothing holds them together


def test_no_source_is_on_two_sides_and_equal_trajectories_never_are(tmp_path):
    records = list(generate(40, seed=2))
    files = [write_jsonl(tmp_path / f"{i}.jsonl", records[4 * i : 4 * i + 4]) for i in range(10)]
    files += [write_jsonl(tmp_path / f"copy{i}.jsonl", [records[4 * i]]) for i in range(6)]
    tldata.annotate(files, tmp_path / "raw.tldata")
    data = tldata.open(tmp_path / "raw.tldata")
    made = data.select(tmp_path / "out", split="train=0.5,test=0.5", split_by="source")
    side = sides(made.path)
    for i in range(10):
        assert len({side[f"{i}:{line}"] for line in range(1, 5)}) == 1
    assert all(side[f"copy{i}:1"] == side[f"{i}:1"] for i in range(6))
    with pytest.raises(UsageError, match="would be empty"):
        annotated(tmp_path, records, overwrite=True).select(
            tmp_path / "one", split="train=0.5,test=0.5", split_by="source"
        )


def test_a_dataset_for_each_split_where_the_output_says_so(tmp_path):
    data = annotated(tmp_path, list(generate(50, seed=1)))
    made = data.select(tmp_path / "{split}.tldata", split="train=0.8,test=0.2", split_by="trajectory", sample=40)
    assert made.paths == [tmp_path / "train.tldata", tmp_path / "test.tldata"]
    whole = data.select(tmp_path / "whole", split="train=0.8,test=0.2", split_by="trajectory", sample=40)
    for path in made.paths:
        part = sides(path)
        assert set(part.values()) == {path.stem} and len(part) == made.splits[path.stem]
        assert part.items() <= sides(whole.path).items()
    train = tldata.open(whole.path).select(tmp_path / "again", where="split = 'train'")
    assert sides(train.path) == sides(tmp_path / "train.tldata")
    with pytest.raises(UsageError, match="needs --split"):
        data.select(tmp_path / "{split}", sample=3)


def test_nothing_left_is_a_dataset_without_rows_and_says_so(tmp_path):
    data = annotated(tmp_path, list(generate(5)))
    made = data.select(tmp_path / "out", where="false", split=THREE)
    assert made.n_trajectories == 0 and made.notes == ["no trajectory is left"]
    assert sides(made.path) == {} and tldata.open(made.path).sql("FROM messages").num_rows == 0
