"""Merging: as if the sources had been annotated together, row for row; clashes refused or re-labelled; counts add up."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tldata
from tests.curate.common import assert_same, conversation, rows
from tests.records import annotated, one_call, write_jsonl
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.lineage import lineage
from tldata.merge import merge
from tldata.schema import TABLES


def test_two_datasets_make_the_one_that_both_sources_together_give(tmp_path):
    a = [one_call("forecast", {"city": f"A{i}"}, "21C", query=f"A{i}?") for i in range(3)]
    b = [one_call("timezone", {"city": f"B{i}"}, '{"error": "city not found"}', query=f"B{i}?") for i in range(2)] + [
        {"odd": 1},
        7,
    ]
    raw_a, raw_b = write_jsonl(tmp_path / "a.jsonl", a), write_jsonl(tmp_path / "b.jsonl", b)
    one, two = tldata.annotate(raw_a), tldata.annotate(raw_b, max_bad=1)
    together = tldata.annotate([raw_a, raw_b], tmp_path / "both.tldata", max_bad=1)
    done = merge([one.path, two.path], tmp_path / "merged.tldata")
    merged = Dataset(done.path)
    assert_same(merged, Dataset(together.path), ordered=True)
    assert merged.manifest["rejected"] == Dataset(together.path).manifest["rejected"]
    # 3 + 4 records = 5 read + 2 rejected
    assert [done.counts[k] for k in ("n_inputs", "n_sources", "n_rejects", "n_errors")] == [7, 5, 2, 2]
    assert [p["digest"] for p in merged.manifest["parents"]] == [Dataset(d.path).manifest["digest"] for d in (one, two)]
    assert [source["name"] for source in merged.manifest["sources"]] == [str(raw_a), str(raw_b)]


def test_a_beginning_in_another_dataset_is_merged_and_a_longer_holder_is_named(tmp_path):
    """a:1 is merged into a:2 at first; b:1 holds both, b:2 is held by a:3 and c:1 is nobody's."""
    a = [
        conversation("u:hi", "a:yes"),
        conversation("u:hi", "a:yes", "u:more", "c:Rome"),
        conversation("u:x", "c:A", "c:B"),
    ]
    b = [conversation("u:hi", "a:yes", "u:more", "c:Rome", "a:done"), conversation("u:x", "c:A")]
    c = [conversation("u:x", "c:A", tools=False)]
    raws = [write_jsonl(tmp_path / f"{n}.jsonl", r) for n, r in (("a", a), ("b", b), ("c", c))]
    parts = [tldata.annotate(raw).path for raw in raws]
    together = tldata.open(tldata.annotate(raws, tmp_path / "all.tldata").path)
    done = merge(parts, tmp_path / "merged.tldata")
    assert_same(Dataset(done.path), together, ordered=True)
    into = {row["trajectory_id"]: row["merged_into"] for row in rows(together, "merged")}
    assert into == {"a:1": "b:1", "a:2": "b:1", "b:2": "a:3"}
    assert (done.n_copies, done.counts["n_merged"]) == (2, 3)
    # and again, out of a merged dataset and the rest, in another order
    first = merge(parts[:2], tmp_path / "ab.tldata")
    twice = merge([parts[2], first.path], tmp_path / "twice.tldata")
    for table in TABLES:
        assert rows(Dataset(twice.path), table) == rows(together, table)


def test_beginnings_without_a_user_message_find_their_longest_holder_over_all_queries(tmp_path):
    a = [conversation(system="Be kind."), conversation("u:one", system="Be kind.")]
    b = [conversation("u:two", "a:2", system="Be kind.")]
    raws = [write_jsonl(tmp_path / f"{n}.jsonl", r) for n, r in (("a", a), ("b", b))]
    parts = [tldata.annotate(raw).path for raw in raws]
    together = tldata.open(tldata.annotate(raws, tmp_path / "all.tldata").path)
    assert_same(Dataset(merge(parts, tmp_path / "m.tldata").path), together)
    assert [row["merged_into"] for row in rows(together, "merged")] == ["b:1"]


TURNS = st.lists(st.sampled_from(["u:p", "u:q", "a:r", "c:S"]), min_size=1, max_size=4)
RECORDS = st.lists(
    st.tuples(TURNS, st.sampled_from([None, "s"]), st.booleans()).map(
        lambda made: conversation(*made[0], system=made[1], tools=made[2])
    ),
    max_size=6,
)


@settings(max_examples=20)
@given(parts=st.lists(RECORDS, min_size=2, max_size=3), prefixes=st.sampled_from(["longest", "longest", "keep"]))
def test_merging_is_annotating_together_whatever_the_records(tmp_path_factory, parts, prefixes):
    folder = tmp_path_factory.mktemp("merge")
    raws = [write_jsonl(folder / f"r{number}.jsonl", records) for number, records in enumerate(parts)]
    datasets = [tldata.annotate(raw, prefixes=prefixes, workers=1).path for raw in raws]
    together = tldata.annotate(raws, folder / "all.tldata", prefixes=prefixes, workers=1)
    try:
        merged = merge(datasets, folder / "merged.tldata")
    except UsageError as error:  # labels r0, r1 differ, so that only equal content of empty files can repeat
        raise AssertionError(str(error)) from error
    assert_same(Dataset(merged.path), Dataset(together.path))


def test_the_same_dataset_twice_is_refused(tmp_path):
    data = annotated(tmp_path, [one_call("forecast", {"city": "Rome"}, "21C")])
    copy = tldata.annotate(tmp_path / "raw.jsonl", tmp_path / "copy.tldata").path
    with pytest.raises(UsageError, match="named twice"):
        merge([data.path, data.path], tmp_path / "m.tldata")
    with pytest.raises(UsageError, match="hold the same trajectories and verdicts"):
        merge([data.path, copy], tmp_path / "m.tldata", relabel=True)
    with pytest.raises(UsageError, match="is one of the datasets"):
        merge([data.path, copy], copy, overwrite=True)
    with pytest.raises(UsageError, match="two datasets or more"):
        merge([data.path], tmp_path / "m.tldata")
    assert not (tmp_path / "m.tldata").exists()


def test_ids_that_clash_are_refused_or_the_later_ones_relabelled(tmp_path):
    for name, city in (("x", "Rome"), ("y", "Oslo"), ("z", "Bari")):
        (tmp_path / name).mkdir()
        records = [one_call("forecast", {"city": city}, "21C"), conversation("u:h"), conversation("u:h", f"a:{name}")]
        annotated(tmp_path / name, records)
    paths = [tmp_path / name / "raw.tldata" for name in "xyz"]
    with pytest.raises(
        UsageError, match=r"trajectory ids stand in raw.tldata and raw.tldata and raw.tldata: raw:1, raw:3"
    ):
        merge(paths, tmp_path / "m.tldata")
    done = merge(paths, tmp_path / "m.tldata", relabel=True)
    data = Dataset(done.path)
    ids = [row["trajectory_id"] for row in rows(data, "trajectories")]
    assert ids == ["raw2/raw:1", "raw2/raw:3", "raw3/raw:1", "raw3/raw:3", "raw:1", "raw:3"]
    assert {row["trajectory_id"] for row in rows(data, "calls")} == {"raw:1", "raw2/raw:1", "raw3/raw:1"}
    # u:h is the beginning of three conversations of equal length: the first in id order holds all
    assert [row["merged_into"] for row in rows(data, "merged")] == ["raw2/raw:3"] * 3
    assert [source["label"] for source in data.manifest["sources"]] == ["raw", "raw2/raw", "raw3/raw"]
    assert "ids of raw.tldata begin with raw2/" in done.notes


def test_different_rules_are_refused_or_named(tmp_path):
    raw_a = write_jsonl(tmp_path / "a.jsonl", [one_call("forecast", {"city": "Rome"}, "21C")])
    raw_b = write_jsonl(tmp_path / "b.jsonl", [one_call("forecast", {"city": "Oslo"}, "21C")])
    a, b = tldata.annotate(raw_a).path, tldata.annotate(raw_b, rules="authors").path
    with pytest.raises(UsageError, match="judged by different rules"):
        merge([a, b], tmp_path / "m.tldata")
    rules = Dataset(merge([a, b], tmp_path / "m.tldata", mixed_rules=True).path).manifest["rules"]
    assert [one["files"] for one in rules["mixed"]] == [[], ["authors"]] and "+" in rules["digest"]


def test_columns_that_only_one_dataset_has_are_null_in_the_others_rows(tmp_path):
    raw_a = write_jsonl(tmp_path / "a.jsonl", [one_call("forecast", {"city": "Rome"}, "21C")])
    raw_b = write_jsonl(tmp_path / "b.jsonl", [one_call("forecast", {"city": "Oslo"}, "21C", query="O?")])
    a, b = tldata.annotate(raw_a).path, tldata.annotate(raw_b).path
    import pyarrow.parquet as pq

    (part,) = (b / "trajectories").glob("*.parquet")
    table = pq.read_table(part)
    import pyarrow as pa

    pq.write_table(table.append_column("split", pa.array(["train"])), part)
    data = Dataset(merge([a, b], tmp_path / "m.tldata").path)
    found = data.sql("SELECT trajectory_id, split FROM trajectories ORDER BY 1").to_pylist()
    assert [row["split"] for row in found] == [None, "train"]


def test_datasets_without_trajectories_merge_too(tmp_path):
    a = tldata.annotate(write_jsonl(tmp_path / "a.jsonl", [{"x": 3}]), max_bad=1).path
    b = tldata.annotate(write_jsonl(tmp_path / "b.jsonl", [{"x": 4}]), max_bad=1).path
    done = merge([a, b], tmp_path / "m.tldata")
    assert done.counts["n_rejects"] == 2 and done.counts["n_trajectories"] == 0
    assert json.loads((done.path / "manifest.json").read_text())["counts"]["n_inputs"] == 2


def test_token_sets_made_alike_are_merged_and_others_named(tmp_path):
    from tests.curate.test_delete import token_set

    raws = [write_jsonl(tmp_path / f"{n}.jsonl", [conversation(f"u:{n}", "c:X"), conversation("u:h", *more)])
            for n, more in (("a", []), ("b", ["a:yes"]))]  # fmt: skip
    paths = [tldata.annotate(raw).path for raw in raws]
    for path in paths:
        token_set(Dataset(path), "both")
        token_set(Dataset(path), "old", digest="0" * 32)
    token_set(Dataset(paths[0]), "only_a")
    done = merge(paths, tmp_path / "m.tldata")
    assert done.tokens == ["both"] and done.n_copies == 1
    assert done.tokens_left == {"old": "stale in a.tldata, b.tldata", "only_a": "b.tldata has none of that name"}
    data = Dataset(done.path)
    # a:2 is the beginning of b:2, so its two rows go
    ids = data.sql("SELECT trajectory_id, count(*) AS n FROM tokens_both GROUP BY 1 ORDER BY 1").to_pylist()
    assert ids == [{"trajectory_id": i, "n": 2} for i in ("a:1", "b:1", "b:2")]
    found = lineage(data, verify=True)
    assert found.ok and not found.tokens[0]["stale"] and [p["now"] for p in found.parents] == ["as it was"] * 2


def test_the_shards_of_a_run_make_the_run(tmp_path):
    raw = tmp_path / "raw.jsonl"
    text = "x" * 40_000
    many = [conversation(f"u:{i % 100}", *(["c:R", "a:" + text] if i >= 100 else [])) for i in range(250)]
    write_jsonl(raw, many)
    shards = [tldata.annotate(raw, tmp_path / f"s{i}.tldata", shard=f"{i}/3").path for i in range(3)]
    whole = Dataset(tldata.annotate(raw, tmp_path / "whole.tldata").path)
    assert len({Dataset(path).manifest["digest"] for path in shards}) == 3
    done = merge(shards, tmp_path / "m.tldata")
    assert_same(Dataset(done.path), whole, ordered=True)
    assert Dataset(done.path).manifest["sources"] == whole.manifest["sources"] and done.n_copies > 0
    assert merge(shards[:2], tmp_path / "two.tldata").notes == ["shards not among them: 2/3"]
