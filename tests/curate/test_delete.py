"""Deleting: nothing of a deleted trajectory is left in any file, the rest is as it was, and the log tells no content."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tldata
from tests.records import annotated, answers, asks, call, one_call, user
from tldata.corrections import corrections_file, write_corrections
from tldata.dataset import Dataset
from tldata.delete import delete, masked
from tldata.errors import DatasetError, InputError, UsageError
from tldata.lineage import lineage
from tldata.schema import TOKENS
from tldata.token_sets import rows_digest, why_stale

SECRET = "Annegret"


def records():
    long = [user(f"Where is {SECRET}?"), asks(call("forecast", {"city": SECRET})), answers(f"{SECRET}: 21C")]
    return [
        one_call("forecast", {"city": "Rome"}, "21C"),
        {"messages": long[:1]},  # the beginning of the next one
        {"messages": [*long, {"role": "assistant", "content": "There."}]},
        one_call("timezone", {"city": "Oslo"}, '{"error": "city not found"}', query="Oslo?"),
        {"bad": SECRET},
        {"worse": "else"},
    ]


def token_set(data: Dataset, name: str = "t", *, digest: str | None = None) -> None:
    """A token set as tokenize writes it, with two rows a trajectory."""
    ids = data.sql("SELECT trajectory_id FROM trajectories ORDER BY 1")["trajectory_id"].to_pylist()
    rows = [
        {
            "trajectory_id": identity, "part": part, "input_ids": [1, 2, 3 + place], "loss_mask": [False, True, True],
            "key_mask": [False, True, False], "loss_weights": [0.0, 2.0, 1.0], "n_tokens": 3, "n_loss": 2, "n_key": 1,
            "truncated": False, "spans": [],
        }
        for place, identity in enumerate(ids)
        for part in (0, 1)
    ]  # fmt: skip
    folder = data.path / "tokens" / name
    (folder / "rejects").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=TOKENS)
    pq.write_table(table, folder / "part-00000.parquet")
    pq.write_table(pa.table({"trajectory_id": ["x"], "reason": ["no"]}), folder / "rejects" / "rejects.parquet")
    manifest = {
        "schema_version": 1, "kind": "tokens", "name": name, "tokenizer": {"name": "n", "digest": "d"},
        "template": {"name": "q", "digest": "e", "forms": {"f": len(ids)}}, "options": {"layout": "segment"},
        "parent": {"digest": digest or data.manifest["digest"], "path": data.path.name},
        "counts": {"trajectories": len(ids), "rows": len(rows), "tokens": 3 * len(rows), "masked_calls": {"others": 1}},
        "digest": f"{rows_digest(table) % (1 << 128):032x}",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def everything(folder) -> str:
    """Every byte under a folder and beside it, Parquet unpacked."""
    texts = []
    for file in sorted(folder.parent.rglob("*")):
        if file.is_file() and file.name != "raw.jsonl":
            data = (
                json.dumps(pq.read_table(file).to_pylist(), default=str)
                if file.suffix == ".parquet"
                else file.read_text()
            )
            texts.append(f"{file} {data}")
    return "\n".join(texts)


def test_nothing_of_what_is_deleted_is_left_and_the_rest_is_as_it_was(tmp_path):
    data = annotated(tmp_path, records(), max_bad=1)
    token_set(data)
    write_corrections(
        corrections_file(data.path),
        [{"trajectory_id": i, "turn": 1, "call_index": 0, "category": "others", "feedback": f} for i, f in
         (("raw:1", "21C"), ("raw:3", f"{SECRET}: 21C"))],
    )  # fmt: skip
    (tmp_path / "raw.audit.csv").write_text(f'trajectory_id,feedback\nraw:3,"{SECRET}\n21C"\nraw:1,21C\n')
    kept = {
        t: data.sql(f"FROM {t} WHERE trajectory_id <> 'raw:3'").to_pylist()
        for t in ("trajectories", "messages", "calls")
    }
    assert SECRET in everything(data.path)
    dry = delete(data.path, where=f"query LIKE '%{SECRET}%'", rejects=f"raw LIKE '%{SECRET}%'", dry_run=True)
    assert Dataset(data.path).manifest == data.manifest
    done = delete(data.path, where=f"query LIKE '%{SECRET}%'", rejects=f"raw LIKE '%{SECRET}%'")
    # one trajectory, the record merged into it, and one reject
    assert (done.n_trajectories, done.n_records) == (1, 3)
    assert done.rows == {"messages": 4, "calls": 1, "merged": 1, "rejects": 1} and done.tokens == {"t": 2}
    assert dry.to_json() | {"dry_run": False} == done.to_json() and done.n_corrections == 2
    assert SECRET not in everything(data.path)
    new = Dataset(data.path)
    for table, rows in kept.items():
        assert new.sql(f"FROM {table}").to_pylist() == rows
    counts = new.manifest["counts"]
    assert [counts[k] for k in ("n_inputs", "n_sources", "n_merged", "n_skipped", "n_rejects")] == [3, 2, 0, 0, 1]
    assert counts["n_deleted"] == 3 and counts["n_trajectories"] == 2
    (step,) = new.manifest["history"]
    assert step["where"] == "query LIKE '***'" and step["digest_before"] == data.manifest["digest"]
    assert step["n_trajectories"] == 1 and len(step["ids_sha256"]) == 1
    assert why_stale(new, "t") is None
    found = lineage(new, verify=True)
    assert [one.ok for one in found.verified] == [True, True]
    made = json.loads((new.path / "tokens" / "t" / "manifest.json").read_text())
    assert made["counts"] == {
        "trajectories": 2, "rows": 4, "rows_without_loss": 0, "tokens": 12, "loss_tokens": 8, "key_tokens": 4, "truncated": 0,
    }  # fmt: skip


def test_ids_come_from_a_file_and_what_they_miss_is_said(tmp_path):
    data = annotated(tmp_path, [*records(), one_call("forecast", {"city": "Rome"}, "21C")], max_bad=1)
    (tmp_path / "ids.txt").write_text("raw:1\nraw:2\nnobody\n\n")
    done = delete(data.path, ids=tmp_path / "ids.txt")
    assert done.n_trajectories == 1
    assert done.notes == [
        "1 trajectories that stay hold the same text",
        "raw:2 was merged into raw:3, which holds its text: delete that one",
        "1 ids name no trajectory of this dataset",
    ]
    again = delete(data.path, ids=["raw:1"])
    assert not again.anything and len(Dataset(data.path).manifest["history"]) == 1
    with pytest.raises(InputError, match="cannot be read"):
        delete(data.path, ids=tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("nope = 1", "does not run"),
        ("true; DROP TABLE calls", "no SQL condition|one expression"),
        ("true) GROUP BY (source", "one expression"),
        ("trajectory_id IN (SELECT content FROM read_text('/etc/passwd'))", "does not run"),
        ("", "does not run"),
    ],
)
def test_conditions_that_are_none_are_refused_and_nothing_changes(tmp_path, condition, message):
    data = annotated(tmp_path, records(), max_bad=1)
    with pytest.raises(UsageError, match=message):
        delete(data.path, where=condition)
    assert Dataset(data.path).manifest == data.manifest
    assert not list(tmp_path.glob(".raw.tldata*"))
    with pytest.raises(UsageError, match="nothing says"):
        delete(data.path)
    with pytest.raises(DatasetError, match="no dataset"):
        delete(tmp_path / "nowhere" / "x.tldata", where="true")
    assert not (tmp_path / "nowhere").exists()


def test_all_may_go_and_every_table_still_reads(tmp_path):
    data = annotated(tmp_path, records(), max_bad=1)
    token_set(data)
    done = delete(data.path, where="true", rejects="true")
    new = Dataset(data.path)
    assert done.n_trajectories == 3 and done.n_records == 6
    assert new.manifest["counts"]["n_inputs"] == 0 and new.manifest["counts"]["n_trajectories"] == 0
    for table in ("trajectories", "messages", "calls", "toolsets", "rejects", "merged", "tokens_t"):
        assert new.sql(f"FROM {table}").num_rows == 0


def test_literals_of_a_logged_condition_are_masked():
    assert masked("a = 'x''y' AND b = 12345678 AND c = 3 /* Ann */", set()) == "a = '***' AND b = *** AND c = 3"
    assert masked("tool_name = 'f' OR q LIKE $$Ann$$", {"f"}) == "tool_name = 'f' OR q LIKE '***'"


def test_a_killed_delete_leaves_the_old_dataset_or_the_new_one(tmp_path):
    many = [one_call("forecast", {"city": f"C{i}"}, f"{i} C " + "x" * 300, query=f"Q {i}") for i in range(400)]
    data = annotated(tmp_path, many)
    old = data.manifest["digest"]
    code = "import sys; from tldata.delete import delete; delete(sys.argv[1], where=\"query LIKE '%7%'\")"
    reference = tldata.annotate(tmp_path / "raw.jsonl", tmp_path / "reference.tldata").path
    delete(reference, where="query LIKE '%7%'")
    new = Dataset(reference).manifest["digest"]
    for pause in (0.9, 1.2, 1.6, 2.0):
        process = subprocess.Popen([sys.executable, "-c", code, str(data.path)], start_new_session=True)
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = Dataset(data.path)
        assert now.manifest["digest"] in (old, new)
        assert lineage(now, verify=True).ok
    delete(data.path, where="query LIKE '%7%'")
    assert Dataset(data.path).manifest["digest"] == new
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".raw")] == []
