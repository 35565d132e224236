"""Parts of a token set: cut alike everywhere, done in any process and order, resumed after a kill, shared by shards."""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.tokenize.conftest import CHATML
from tests.tokenize.helpers import call, read_rows, record, tool, write_dataset
from tldata.errors import DatasetError, TemplateError, UsageError
from tldata.tokenize import cut, declarations, plan, run, tokenize
from tldata.tokenize.encode import load_tokenizer
from tldata.tokenize.masks import Weighting
from tldata.tokenize.part import tokenise_part
from tldata.tokenize.pipeline import resolve_template
from tldata.tokenize.rows import RowOptions

TOOLS = [tool("search", q="string"), tool("search_city", q="string"), tool("get_user", id="integer")]


def records(count: int) -> list[dict]:
    """Trajectories of one to four steps; every fifth declares no tools, every seventh has no assistant, some calls are errors."""
    out = []
    for n in range(count):
        messages = [{"role": "user", "content": f"Question {n}?"}]
        for step in range(1 + n % 4):
            name = ("search", "search_city", "get_user")[(n + step) % 3]
            messages.append(
                {"role": "assistant", "content": f"Step {step}.", "tool_calls": [call(name, {"q": f"{n}"}, f"c{step}")]}
            )
            messages.append({"role": "tool", "content": f"result {step}", "tool_call_id": f"c{step}", "name": name})
        if n % 7 == 6:
            messages = messages[:1]
        errors = {(1, 0): "tool_call_failure"} if n % 3 == 0 and len(messages) > 1 else {}
        out.append(record(messages, None if n % 5 == 4 else TOOLS, errors, source=f"s{n % 2}.jsonl"))
    return out  # fmt: skip


@pytest.fixture
def many_parts(monkeypatch):
    """Parts of a few trajectories each."""
    monkeypatch.setattr(cut, "SMALL", 0)
    monkeypatch.setattr(cut, "SMALLEST", 2_000)
    monkeypatch.setattr(cut, "LARGEST", 2_000)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", records(40))


def content(folder: Path) -> dict[str, str]:
    """Every file of a folder by its digest."""
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()}  # fmt: skip


def make_plan(dataset: Path, tiny: Path, name: str = "s", **options) -> plan.Plan:
    encoder = load_tokenizer(tiny)
    made = plan.begin(
        dataset,
        dataset / "tokens" / name,
        encoder,
        resolve_template(None, encoder),
        RowOptions(Weighting()),
        frozenset({"tool_call_failure"}),
        None,
        **options,
    )
    encoder.save(made.work)
    return made


def test_parts_hold_every_trajectory_once_and_their_rows_belong_together(dataset, many_parts):
    parts = cut.cut(dataset)
    assert parts is not None and len(parts) > 3
    for kind in ("trajectories", "messages", "calls"):
        bounds = [getattr(part, kind) for part in parts]
        assert bounds[0][0] == 0 and bounds[-1][1] == cut.table_rows(dataset, kind)
        assert all(one[1] == two[0] for one, two in itertools.pairwise(bounds))
    ids = {
        kind: pq.read_table(dataset / kind / "part-0.parquet")["trajectory_id"].to_pylist()
        for kind in ("trajectories", "messages", "calls")
    }
    for part in parts:
        own = set(ids["trajectories"][slice(*part.trajectories)])
        assert set(ids["messages"][slice(*part.messages)]) == own >= set(ids["calls"][slice(*part.calls)])


def test_small_data_is_one_part(dataset):
    (part,) = cut.cut(dataset)
    assert part == cut.whole(dataset)


@pytest.mark.parametrize("shuffle", [False, True])
def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path, tiny, many_parts, shuffle):
    data = write_dataset(tmp_path / "data", records(40), shuffle=shuffle)
    alone = tokenize(data, tiny, name="s", workers=1)
    before = content(alone.path)
    assert len(list(alone.path.glob("part-*.parquet"))) > 3
    several = tokenize(data, tiny, name="s", workers=2, overwrite=True)
    assert content(several.path) == before and several.counts == alone.counts
    assert alone.counts.trajectories + sum(alone.counts.rejected.values()) == 40
    assert [p.name for p in (data / "tokens").iterdir()] == ["s"]


def test_many_parts_hold_the_rows_of_one_part_in_the_same_order_under_the_same_digest(dataset, tiny, monkeypatch):
    one = tokenize(dataset, tiny, name="one")
    monkeypatch.setattr(cut, "SMALL", 0)
    monkeypatch.setattr(cut, "SMALLEST", 3_000)
    monkeypatch.setattr(cut, "LARGEST", 3_000)
    many = tokenize(dataset, tiny, name="many", workers=1)
    assert read_rows(one.path) == read_rows(many.path)
    assert one.counts == many.counts and one.manifest["digest"] == many.manifest["digest"]
    rejects = [pq.read_table(s.path / "rejects" / "rejects.parquet").to_pylist() for s in (one, many)]
    assert rejects[0] == rejects[1] and len(rejects[0]) == 5  # trajectories 6, 13, 20, 27, 34 have no assistant


def test_declarations_that_stay_on_disk_give_the_same_rows(dataset, tiny, many_parts, monkeypatch):
    memory = tokenize(dataset, tiny, name="memory", workers=1)
    monkeypatch.setattr(declarations, "IN_MEMORY", 0)
    made = make_plan(dataset, tiny, "disk")
    assert made.toolsets.is_file()
    disk = tokenize(dataset, tiny, name="disk", workers=1)
    assert read_rows(memory.path) == read_rows(disk.path)


def test_the_size_of_parts_follows_the_length_of_texts_and_of_declarations(tmp_path, monkeypatch):
    monkeypatch.setattr(cut, "SMALL", 0)
    monkeypatch.setattr(cut, "SMALLEST", 10_000)
    monkeypatch.setattr(cut, "LARGEST", 10_000)
    short = record([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a" * 999}], [])
    verbose = {**tool("f"), "function": {**tool("f")["function"], "description": "d" * 1_900}}
    declared = record(short["messages"], [verbose])
    few = write_dataset(tmp_path / "few", [short] * 40)  # 40 x 1,000 characters
    many = write_dataset(tmp_path / "many", [declared] * 40)  # 40 x 3,000 characters
    assert len(cut.cut(few)) == 4 and len(cut.cut(many)) == 10  # each part is closed by the one that passes 10,000


def test_a_plan_can_be_pickled_and_a_part_done_twice_or_elsewhere_is_the_same(dataset, tiny, many_parts):
    made = make_plan(dataset, tiny)
    assert pickle.loads(pickle.dumps(made)) == made
    name = made.parts[1].name
    first = tokenise_part(made, name)
    rows = made.rows_of(name).read_bytes()
    assert tokenise_part(made, name) == first  # done: read from its marker
    made.marker(name).unlink()
    made.rows_of(name).unlink()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(tokenise_part, (made, name)) == first
    assert made.rows_of(name).read_bytes() == rows


def test_a_marker_without_its_rows_is_not_believed(dataset, tiny, many_parts):
    made = make_plan(dataset, tiny)
    name = made.parts[0].name
    first = tokenise_part(made, name)
    made.rows_of(name).unlink()
    assert made.done(name) is None
    assert tokenise_part(made, name) == first and made.rows_of(name).is_file()


KILLED = """
import os, signal, sys
from tldata.tokenize import cut, part, run, tokenize
cut.SMALL, cut.SMALLEST, cut.LARGEST = 0, 2_000, 2_000
left = int(sys.argv[3])
inner = run.tokenise_part
def do(plan, name, **more):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return inner(plan, name, **more)
run.tokenise_part = do
tokenize(sys.argv[1], sys.argv[2], name="s", workers=1, overwrite=True)
"""


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_a_killed_run_is_resumed_part_by_part_and_ends_with_the_same_bytes(
    dataset, tiny, many_parts, parts, monkeypatch
):
    whole = content(tokenize(dataset, tiny, name="s", workers=1).path)
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(dataset), str(tiny), str(parts)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert content(dataset / "tokens" / "s") == whole  # the old set stands
    staging = dataset / "tokens" / ".s.partial"
    assert len(list((staging / "set").glob("*.parquet"))) == parts == len(list((staging / "work").glob("part-*.json")))
    done = []
    inner = run.tokenise_part
    monkeypatch.setattr(run, "tokenise_part", lambda p, name, **more: (done.append(name), inner(p, name, **more))[1])
    again = tokenize(dataset, tiny, name="s", workers=1, overwrite=True)
    assert content(again.path) == whole and not staging.exists()
    assert len(done) == len(list(again.path.glob("*.parquet"))) - parts  # fmt: skip


def test_a_run_with_other_options_or_data_begins_anew(dataset, tiny, many_parts):
    for options, change in (({"w_max": 2.0}, False), ({}, True)):
        made = make_plan(dataset, tiny)
        tokenise_part(made, made.parts[0].name)
        if change:
            file = dataset / "calls" / "part-0.parquet"
            os.utime(file, ns=(1, 1))
        summary = tokenize(dataset, tiny, name="s", overwrite=True, workers=1, mask="tool_call_failure", **options)
        assert summary.manifest["digest"] == tokenize(dataset, tiny, name="t", overwrite=True, workers=1, mask="tool_call_failure", **options).manifest["digest"]  # fmt: skip


def test_shards_do_their_parts_and_a_run_without_them_only_finishes(dataset, tiny, many_parts, monkeypatch):
    whole = tokenize(dataset, tiny, name="s", workers=1)
    names = [part.name for part in cut.cut(dataset)]
    left = len(names)
    for shard in ("1/3", "0/3", "2/3"):
        summary = tokenize(dataset, tiny, name="s", workers=1, shard=shard, overwrite=True)
        mine = names[int(shard[0]) :: 3]
        left -= len(mine)
        assert summary.parts_left == left and summary.to_json()["shard"] == shard
        assert {p.stem for p in summary.path.glob("work/part-*.json")} >= set(mine)
    before = content(whole.path)
    monkeypatch.setattr(run, "tokenise_part", None)  # nothing is left to do
    last = tokenize(dataset, tiny, name="s", overwrite=True)
    assert content(last.path) == before and last.counts == whole.counts
    assert [p.name for p in (dataset / "tokens").iterdir()] == ["s"]


def test_a_shard_leaves_parts_of_another_plan_alone(dataset, tiny, many_parts):
    tokenize(dataset, tiny, name="s", workers=1, shard="0/2")
    with pytest.raises(DatasetError, match="other options"):
        tokenize(dataset, tiny, name="s", workers=1, shard="1/2", w_max=2.0)
    assert tokenize(dataset, tiny, name="s", workers=1, shard="1/2").parts_left == 0


@pytest.mark.parametrize("shard", ["2/2", "-1/2", "1", "a/b", "1/0", ""])
def test_a_shard_that_is_none_is_a_usage_error(dataset, tiny, shard):
    with pytest.raises(UsageError, match="shard"):
        tokenize(dataset, tiny, name="s", shard=shard)


def test_two_runs_of_one_token_set_are_refused_and_shards_run_side_by_side(dataset, tiny):
    target = dataset / "tokens" / "s"
    with plan.locked(target, alone=True), pytest.raises(DatasetError, match="another run"):
        tokenize(dataset, tiny, name="s")
    with plan.locked(target, alone=False):
        assert tokenize(dataset, tiny, name="s", shard="0/1").parts_left == 0
        with pytest.raises(DatasetError, match="another run"):
            tokenize(dataset, tiny, name="s")
    assert tokenize(dataset, tiny, name="s").counts.trajectories == 35


def test_an_error_of_a_worker_process_is_told_and_leaves_nothing_behind(dataset, tiny, many_parts, tmp_path):
    (tmp_path / "loops.jinja").write_text("{{ 'x' * 99999999 }}" + CHATML)
    with pytest.raises(TemplateError, match="too much"):
        tokenize(dataset, tiny, name="s", template=tmp_path / "loops.jinja", workers=2)
    assert not list((dataset / "tokens").iterdir())


def test_a_killed_worker_process_keeps_what_is_done(dataset, tiny, many_parts, monkeypatch):
    monkeypatch.setattr(run, "_do", _die)
    with pytest.raises(DatasetError, match="resumes"):
        tokenize(dataset, tiny, name="s", workers=2)
    assert (dataset / "tokens" / ".s.partial" / "work" / "plan.json").is_file()
    monkeypatch.undo()
    assert tokenize(dataset, tiny, name="s").counts.trajectories == 35


def _die(part: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_time_in_the_template_is_the_same_in_every_part_and_after_a_kill(dataset, tiny, many_parts, tmp_path):
    (tmp_path / "t.jinja").write_text("{{ strftime_now('%H:%M:%S.%f') }}\n" + CHATML)
    options = {"template": tmp_path / "t.jinja", "workers": 1}
    tokenize(dataset, tiny, name="s", shard="0/2", **options)
    summary = tokenize(dataset, tiny, name="s", **options)
    encoder = load_tokenizer(tiny)
    heads = {encoder.tokenizer.decode(row["input_ids"])[:15] for row in read_rows(summary.path)}
    assert len(heads) == 1


def test_the_command_takes_shards(dataset, tiny):
    from tldata.cli import app

    words = ["tokenize", str(dataset), "--tokenizer", str(tiny), "--name", "s"]
    done = CliRunner().invoke(app, [*words, "--shard", "0/1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["parts_left"] == 0
    shown = CliRunner().invoke(app, [*words, "--shard", "0/1"])
    assert shown.exit_code == 0 and "run without --shard" in shown.output.replace("\n", " ")
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (dataset / "tokens" / "s" / "manifest.json").is_file()


def test_the_commands_of_the_docs_work_as_printed(dataset, tiny, many_parts, tmp_path, monkeypatch):
    from tldata.cli import app

    page = (Path(__file__).resolve().parents[2] / "docs" / "tokens.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ tldata (.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    dataset.rename("demo.tldata")
    shutil.copytree(tiny, "tiny")
    for command in commands:
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, done.output
    assert (tmp_path / "demo.tldata" / "tokens" / "mine" / "manifest.json").is_file()


def test_the_benchmark_measures_any_dataset(dataset, tiny, monkeypatch, capsys):
    for name in ("TOKENIZERS_PARALLELISM", "HF_HUB_OFFLINE"):  # the benchmark sets them; restored behind the test
        monkeypatch.setenv(name, "1")
    from benchmarks import tokenize as benchmark

    arguments = [
        "--tokenizer",
        str(tiny),
        "--template",
        "qwen-2.5",
        "--marked",
        "",
        "--rounds",
        "1",
        "--datasets",
        str(dataset),
    ]
    monkeypatch.setattr(sys, "argv", ["tokenize", *arguments])
    benchmark.main()
    assert "| data | " in capsys.readouterr().out
    assert not list((dataset / "tokens").iterdir())
