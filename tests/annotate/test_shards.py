"""Runs that do every nth block each, on machines that know nothing of each other: merged, they are the run over everything."""

import json

import pytest

import tldata
from tests.records import TOOLS, one_call, write_jsonl
from tldata.errors import UsageError
from tldata.formats import get_format


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    """Two files of several blocks each, with prefix copies whose longer records lie in other blocks, and rejects."""
    folder = tmp_path_factory.mktemp("shards")
    many = [one_call("forecast", {"city": f"C{i}"}, f"{i} C " + "x" * 3000, query=f"Q {i}") for i in range(2000)]
    copies = [{"messages": many[(i * 997) % 2000]["messages"][: 1 + i % 3], "tools": TOOLS} for i in range(30)]
    one = write_jsonl(folder / "one.jsonl", [*many[:1000], *copies[:20], {"nothing": "known"}])
    return one, write_jsonl(folder / "two.jsonl", [*copies[20:], *many[1000:]])


def rows(dataset):
    data = tldata.open(dataset)
    return {
        name: data.sql(f"FROM {name}").to_pylist()
        for name in ("trajectories", "messages", "calls", "toolsets", "rejects")
    }


@pytest.mark.parametrize("n", [1, 3])
def test_all_shards_merged_are_the_whole_run_row_for_row(raws, tmp_path, n):
    whole = tldata.annotate(raws, tmp_path / "whole.tldata", workers=1)
    shards = [tldata.annotate(raws, tmp_path / f"{i}.tldata", shard=f"{i}/{n}", workers=1) for i in range(n)]
    assert sum(shard.counts["n_inputs"] for shard in shards) == whole.counts["n_inputs"] == 2031
    assert [tldata.open(s.path).manifest["shard"] for s in shards] == [{"index": i, "of": n} for i in range(n)]
    if n == 1:
        assert rows(shards[0].path) == rows(whole.path)
        return
    from tldata.merge import merge

    merged = merge([shard.path for shard in shards], tmp_path / "merged.tldata")
    assert rows(merged.path) == rows(whole.path)
    names = ("n_inputs", "n_sources", "n_merged", "n_skipped", "n_rejects", "n_trajectories", "n_calls", "n_errors")
    counts = [tldata.open(path).manifest["counts"] for path in (merged.path, whole.path)]
    assert [counts[0][name] for name in names] == [counts[1][name] for name in names]


def test_a_shard_without_a_block_is_an_empty_dataset(tmp_path):
    raw = write_jsonl(tmp_path / "raw.jsonl", [one_call("forecast", {"city": "Rome"}, "21 C")])
    summary = tldata.annotate(raw, shard="3/4")
    assert summary.counts["n_inputs"] == 0 and summary.path.name == "raw-3-of-4.tldata"
    assert tldata.annotate(raw, shard="0/4").counts["n_inputs"] == 1


@pytest.mark.parametrize("shard", ["4/4", "-1/4", "1", "a/b", "1/0", ""])
def test_what_is_no_shard_is_wrong_usage(tmp_path, shard):
    raw = write_jsonl(tmp_path / "raw.jsonl", [one_call("forecast", {"city": "Rome"}, "21 C")])
    with pytest.raises(UsageError, match="no shard"):
        tldata.annotate(raw, shard=shard)


def test_rows_that_make_trajectories_together_are_not_parted(tmp_path):
    raw = write_jsonl(tmp_path / "raw.jsonl", json.loads(get_format("otel-genai").example))
    with pytest.raises(UsageError, match="rows make trajectories together"):
        tldata.annotate(raw, shard="0/2")
