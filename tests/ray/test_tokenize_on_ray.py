"""Token sets made on a Ray cluster are those of this machine, byte for byte, with workers that are lost and runs that are cut short."""

import os
import signal

import pytest

import tldata
from tests.ray.conftest import contents
from tests.records import one_call, write_jsonl
from tldata.errors import UsageError
from tldata.tokenize import cut, tokenize

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A dataset whose token set has several parts, some trajectories without tools, one that no template takes."""
    monkeypatch.setattr(cut, "SMALL", 0)
    monkeypatch.setattr(cut, "SMALLEST", 20_000)
    records = [one_call("forecast", {"city": f"C{i}"}, f"{i} C", query=f"Q {i}") for i in range(400)]
    for record in records[::9]:
        del record["tools"]
    records.append({"messages": [{"role": "user", "content": "nobody answers"}]})
    return tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", records), max_bad=1.0).path


def same_sets(dataset, one, other):
    here, there = dataset / "tokens" / one, dataset / "tokens" / other
    assert contents(here) == contents(there)
    manifests = [tldata.dataset.orjson.loads((folder / "manifest.json").read_bytes()) for folder in (here, there)]
    assert manifests[0].pop("name") == one and manifests[1].pop("name") == other
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("options", [{}, {"layout": "turn", "mask": "none"}])
def test_the_same_token_set(ray_cluster, dataset, tiny, options):
    here = tokenize(dataset, tiny, name="here", **options)
    steps = []
    there = tokenize(
        dataset, tiny, name="there", engine="ray", progress=lambda done, total: steps.append((done, total)), **options
    )
    assert len(list((dataset / "tokens" / "there").glob("part-*.parquet"))) > 3
    assert there.counts == here.counts and steps[-1] == (401, 401) and steps == sorted(steps)
    same_sets(dataset, "here", "there")


def test_a_worker_that_is_killed_and_a_run_that_is_cut_short_change_nothing(
    ray_cluster,
    dataset,
    tiny,
    tmp_path,
    monkeypatch,
):
    from tldata.tokenize import on_ray

    tokenize(dataset, tiny, name="here")
    real_task, real_keep, kept = on_ray.task, on_ray._keep, []

    def task(ray, function):
        def dies_once(errand, part, tables):
            if part.name == "part-00001":
                try:
                    os.close(os.open(tmp_path / "killed", os.O_CREAT | os.O_EXCL))
                    os.kill(os.getpid(), signal.SIGKILL)
                except FileExistsError:
                    pass
            return function(errand, part, tables)

        return real_task(ray, dies_once)

    def keep(plan, result, rows):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(result["part"])
        real_keep(plan, result, rows)

    monkeypatch.setattr(on_ray, "task", task)
    monkeypatch.setattr(on_ray, "_keep", keep)
    with pytest.raises(KeyboardInterrupt):
        tokenize(dataset, tiny, name="there", engine="ray")
    assert not (dataset / "tokens" / "there").exists()
    monkeypatch.setattr(
        on_ray, "_keep", lambda plan, result, rows: kept.append(result["part"]) or real_keep(plan, result, rows)
    )
    tokenize(dataset, tiny, name="there", engine="ray")
    assert len(kept) == len(set(kept)) and (tmp_path / "killed").exists()
    same_sets(dataset, "here", "there")


def test_parts_of_several_files_and_row_groups_are_cut_as_they_stand(dataset):
    import pyarrow.parquet as pq

    from tldata.tokenize.on_ray import _Reader

    table = pq.read_table(dataset / "messages")
    folder = dataset.parent / "pieces"
    folder.mkdir()
    files = [folder / f"{i}.parquet" for i in range(5)]
    bounds = [0, 3, 3, 700, 701, table.num_rows]
    for i, file in enumerate(files):
        pq.write_table(table.slice(bounds[i], bounds[i + 1] - bounds[i]), file, row_group_size=100)
    reader = _Reader(files)
    for first, end in [(0, 2), (2, 2), (2, 450), (450, 451), (500, 1300), (1300, table.num_rows)]:
        assert reader.read(first, end).equals(table.slice(first, end - first))


def test_a_wrong_engine_is_wrong_usage(dataset, tiny):
    with pytest.raises(UsageError, match="no engine 'spark'"):
        tokenize(dataset, tiny, engine="spark")
