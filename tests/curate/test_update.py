"""Incremental work: what an update gives is what a new annotate of all sources gives, and only what changed is read."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tldata
from tests.curate.common import assert_same, conversation
from tests.records import one_call, write_jsonl
from tldata import update as updating
from tldata.dataset import Dataset
from tldata.delete import delete
from tldata.errors import DatasetError, RuleError, UsageError
from tldata.rejudge import apply_rules
from tldata.update import update

RULES = """
[category.rate_limited]
parent = "tool_instability"

[[rule]]
id = "mine.slow_down"
category = "rate_limited"
pattern = '21C'
example = '21C'
"""


def touch(path, records):
    """Write a file anew with a time of its own."""
    before = path.stat().st_mtime_ns if path.exists() else 1_700_000_000_000_000_000
    write_jsonl(path, records)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
    return path


def reads(monkeypatch):
    """The names of the sources that annotate is asked for."""
    names = []
    real = updating.annotate
    monkeypatch.setattr(
        updating, "annotate", lambda raw, *rest, **options: names.extend(raw) or real(raw, *rest, **options)
    )
    return names


def fresh(folder, sources, **options):
    return Dataset(tldata.annotate(sources, folder / "fresh.tldata", overwrite=True, max_bad=1, **options).path)


def test_only_new_and_changed_sources_are_read_and_the_rest_is_linked(tmp_path, monkeypatch):
    a, b, c = (tmp_path / f"{name}.jsonl" for name in "abc")
    touch(a, [one_call("forecast", {"city": f"A{i}"}, "21C", query=f"A{i}") for i in range(3)] + [{"odd": 1}])
    touch(b, [one_call("timezone", {"city": "B"}, "no such tool", query="B")])
    out = tmp_path / "out.tldata"
    tldata.annotate([a, b], out, max_bad=1)
    inode = next((out / "calls").glob("00000-*")).stat().st_ino
    touch(b, [one_call("timezone", {"city": "B2"}, "09:00", query="B2"), 5])
    touch(c, [one_call("forecast", {"city": "C"}, "1C", query="C")])
    names = reads(monkeypatch)
    done = update([a, b, c], out, max_bad=1)
    assert names == [str(b), str(c)] and done.kept == [str(a)]
    assert_same(Dataset(out), fresh(tmp_path, [a, b, c]), ordered=True)
    assert next((out / "calls").glob("00000-*")).stat().st_ino == inode
    names.clear()
    again = update([a, b, c], out)
    assert (
        names == [] and not again.changed and again.counts == done.counts and again.notes == ["no source has changed"]
    )
    assert Dataset(out).manifest["history"][0]["step"] == "update" and len(Dataset(out).manifest["history"]) == 1
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_sources_not_named_stay_or_are_pruned(tmp_path):
    a = touch(tmp_path / "a.jsonl", [one_call("forecast", {"city": "A"}, "21C")])
    b = touch(tmp_path / "b.jsonl", [one_call("forecast", {"city": "B"}, "21C", query="B")])
    c = touch(tmp_path / "c.jsonl", [one_call("forecast", {"city": "C"}, "21C", query="C")])
    out = tmp_path / "out.tldata"
    tldata.annotate([a, b], out)
    a.unlink()
    done = update([c], out)
    assert done.gone == [str(a), str(b)] and done.counts["n_trajectories"] == 3
    done = update([c], out, prune=True)
    assert done.pruned == [str(a), str(b)]
    assert_same(Dataset(out), fresh(tmp_path, [c]))


def test_a_copy_comes_back_when_its_holder_goes(tmp_path, monkeypatch):
    a = touch(tmp_path / "a.jsonl", [conversation("u:hi"), conversation("u:other", "a:x")])
    b = touch(tmp_path / "b.jsonl", [conversation("u:hi", "a:yes", "u:more")])
    c = touch(tmp_path / "c.jsonl", [conversation("u:hi", "a:yes")])
    out = tmp_path / "out.tldata"
    tldata.annotate([a, b, c], out)
    assert Dataset(out).manifest["counts"]["n_merged"] == 2
    touch(b, [conversation("u:bye")])
    names = reads(monkeypatch)
    update([a, b, c], out)
    # c:1 was merged into b:1 and is not in the tables: c is read again, and then holds a:1
    assert names == [str(b), str(b), str(c)] or set(names) == {str(a), str(b), str(c)}
    assert_same(Dataset(out), fresh(tmp_path, [a, b, c]), ordered=True)
    c.unlink()
    touch(b, [conversation("u:hi", "a:yes", "u:again")])
    with pytest.raises(DatasetError, match="is gone"):
        tldata.annotate([a, b], tmp_path / "two.tldata")
        touch(b, [conversation("u:nothing")])
        a.unlink()
        update([b], tmp_path / "two.tldata")


def test_labels_that_change_with_further_sources_are_changed_in_the_parts_too(tmp_path, monkeypatch):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    one = touch(tmp_path / "x" / "raw.jsonl", [conversation("u:hi", "c:Rome"), conversation("u:hi", "c:Rome", "a:ok")])
    two = touch(tmp_path / "y" / "raw.jsonl", [conversation("u:ho", "c:Oslo")])
    out = tmp_path / "out.tldata"
    tldata.annotate(one, out)
    names = reads(monkeypatch)
    update([one, two], out)
    assert names == [str(two)]
    assert_same(Dataset(out), fresh(tmp_path, [one, two]), ordered=True)
    assert Dataset(out).sql("SELECT trajectory_id FROM calls")["trajectory_id"].to_pylist() == ["x/raw:2", "y/raw:1"]


RECORDS = st.lists(
    st.lists(st.sampled_from(["u:p", "u:q", "a:r", "c:S"]), min_size=1, max_size=4).map(lambda t: conversation(*t)),
    max_size=4,
)


@settings(max_examples=15)
@given(st.data())
def test_any_series_of_updates_gives_what_a_new_annotate_gives(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("update")
    out = folder / "out.tldata"
    files = [folder / f"{name}.jsonl" for name in "abc"]
    sources = [
        touch(file, data.draw(RECORDS)) for file in data.draw(st.lists(st.sampled_from(files), min_size=1, unique=True))
    ]
    tldata.annotate(sources, out, workers=1)
    for _ in range(2):
        for file in data.draw(st.lists(st.sampled_from(files), unique=True)):
            touch(file, data.draw(RECORDS))
            sources = sources if file in sources else [*sources, file]
        update(sources, out, workers=1)
        assert_same(Dataset(out), fresh(folder, sources, workers=1), ordered=True)


def test_other_rules_are_applied_without_reading_a_source(tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    records = [
        one_call("forecast", {"city": "Rome"}, "21C"),
        one_call("forecast", {"town": "Rome"}, '{"error": "unexpected argument: town"}', query="B"),
        one_call("forecasts", "{broken", "21C", query="C"),
        conversation("u:x", "c:A", tools=False),
        {"messages": [{"role": "user", "content": "no call"}]},
    ]
    raw = write_jsonl(tmp_path / "raw.jsonl", records)
    labels = write_jsonl(
        tmp_path / "l.jsonl", [{"trajectory_id": "raw:2", "turn": 1, "call_index": 0, "category": "others"}]
    )
    wanted = Dataset(tldata.annotate(raw, tmp_path / "w.tldata", rules=tmp_path / "rules.toml", labels=labels).path)
    out = tldata.annotate(raw, tmp_path / "out.tldata", labels=labels).path
    copy = tldata.annotate(raw, tmp_path / "copy.tldata", labels=labels).path
    raw.rename(tmp_path / "elsewhere.jsonl")
    done = apply_rules(out, [tmp_path / "rules.toml"])
    assert_same(Dataset(out), wanted, ordered=True)
    assert done.n_changed == 2  # both "21C" of calls that can be read
    (tmp_path / "elsewhere.jsonl").rename(raw)
    update(raw, copy, rules=tmp_path / "rules.toml")
    assert_same(Dataset(copy), wanted, ordered=True)
    strange = write_jsonl(
        tmp_path / "s.jsonl", [{"trajectory_id": "raw:1", "turn": 1, "call_index": 0, "category": "rate_limited"}]
    )
    tldata.annotate(raw, out, labels=strange, rules=tmp_path / "rules.toml", overwrite=True)
    with pytest.raises(RuleError, match="rate_limited"):
        apply_rules(out)


def test_what_was_deleted_stays_out_when_its_source_is_read_again(tmp_path):
    rows = [one_call("forecast", {"city": c}, "21C", query=c) for c in ("Rome", "Oslo", "Bari")]
    raw = touch(tmp_path / "raw.jsonl", [*rows, {"secret": 1}])
    out = tldata.annotate(raw, tmp_path / "out.tldata", max_bad=1).path
    delete(out, where="query = 'Oslo'", rejects="raw LIKE '%secret%'")
    touch(raw, [one_call("forecast", {"city": "Nice"}, "21C", query="Nice"), *rows, {"secret": 1}])
    done = update(raw, out, max_bad=1)
    data = Dataset(out)
    assert sorted(data.sql("SELECT query FROM trajectories")["query"].to_pylist()) == ["Bari", "Nice", "Rome"]
    assert data.sql("FROM rejects").num_rows == 0
    assert [done.counts[k] for k in ("n_inputs", "n_sources", "n_rejects", "n_deleted")] == [3, 3, 0, 2]


def test_token_sets_of_an_updated_dataset_are_stale_and_are_not_trained_on(tmp_path):
    from tests.curate.test_delete import token_set
    from tldata.lineage import lineage

    raw = touch(tmp_path / "raw.jsonl", [one_call("forecast", {"city": "Rome"}, "21C")])
    out = tldata.annotate(raw, tmp_path / "out.tldata").path
    token_set(Dataset(out))
    touch(raw, [one_call("forecast", {"city": "Oslo"}, "21C")])
    assert update(raw, out).notes == ["token set t is stale now: tokenize again"]
    assert [one["stale"] for one in lineage(Dataset(out)).tokens] == [True]
    plugin = pytest.importorskip("tltrain_plugin.data", exc_type=ImportError)
    with pytest.raises(DatasetError, match="is stale"):
        plugin.load_tokens(out)


def test_what_cannot_be_updated_is_refused(tmp_path):
    raw = touch(tmp_path / "raw.jsonl", [one_call("forecast", {"city": "Rome"}, "21C")])
    with pytest.raises(DatasetError, match="no dataset"):
        update(raw, tmp_path / "none.tldata")
    out = tldata.annotate(raw, tmp_path / "out.tldata").path
    for source in ("-", "s3://bucket/x.jsonl"):
        with pytest.raises(UsageError, match="stdin and URLs"):
            update(source, out)
    other = tldata.annotate(touch(tmp_path / "b.jsonl", [conversation("u:x")]), tmp_path / "b.tldata").path
    from tldata.merge import merge

    merged = merge([out, other], tmp_path / "m.tldata").path
    with pytest.raises(UsageError, match="not on a selection or a merge"):
        update(raw, merged)


def test_the_command_takes_the_options_that_the_dataset_was_made_with(tmp_path):
    raw = touch(tmp_path / "raw.jsonl", [conversation("u:x"), conversation("u:x", "a:y")])

    def run(*args):
        command = [sys.executable, "-m", "tldata.cli", "annotate", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert run("raw.jsonl", "--prefixes", "keep").returncode == 0
    touch(raw, [conversation("u:x"), conversation("u:x", "a:y"), conversation("u:x", "a:y", "u:z")])
    done = run("--update", "raw.jsonl", "-o", "raw.tldata", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n_trajectories"] == 3 and found["update"]["read"] == ["raw.jsonl"]
    done = run("--update", "raw.jsonl", "-o", "raw.tldata", "--overwrite")
    assert done.returncode == 2 and "does not go with --update" in done.stderr
    assert run("--prune", "raw.jsonl", "-o", "raw.tldata").returncode == 2
    assert run("--update", "raw.jsonl").returncode == 2
