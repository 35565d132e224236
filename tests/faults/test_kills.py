"""kill -9 before any change of the file system, or at any moment: the old state or the new one, and a resumed run ends with the same bytes."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

import tldata
from tests.faults.killing import Killer
from tests.records import TOOLS, one_call, write_jsonl
from tests.tokenize.conftest import tiny as tiny


@pytest.fixture(scope="module")
def killer():
    with Killer() as running:
        yield running


def state(folder: Path):
    """All that a reader can see of a dataset or token set, byte for byte, without when it was made."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest.pop("created_at", None)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}
    return json.dumps(manifest, sort_keys=False), files


def records(n, seed):
    found = []
    for i in range(n):
        answer = "Error 404: no such city" if i % 7 == 0 else f"{i} C {seed}" + "x" * 200
        found.append(one_call("forecast" if i % 5 else "forcast", {"city": f"C{i}"}, answer, query=f"Q {i} {seed}"))
        if i % 20 == 0:
            found.append({"messages": found[-1]["messages"][:3], "tools": TOOLS})
            found.append({"nothing": "known", "number": i})
    return found


class Case:
    """A job over an old state, and what must come of it; ``folder`` holds everything that the job changes."""

    def __init__(self, killer: Killer, job: dict, target: Path, folder: Path) -> None:
        self.killer, self.job, self.target, self.folder = killer, {**job, "folder": str(folder)}, target, folder
        self.saved = folder.with_name(folder.name + "-saved")
        shutil.copytree(folder, self.saved)
        self.old = state(target)
        whole = killer.run(self.job)
        assert not whole["killed"] and not whole["error"], whole["error"]
        self.new, self.steps = state(target), whole["steps"]
        assert self.old != self.new
        self.files = self._listing()

    def _listing(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    def begin_again(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder)

    def check_after_kills(self, *kills: dict) -> list[bool]:
        """Kill one run after the other; after each the target is old or new. Returns whether each run was killed; ends with a whole run."""
        self.begin_again()
        killed = []
        for kill in kills:
            before = state(self.target)
            answer = self.killer.run(self.job, **kill)
            assert not answer["error"], answer["error"]
            killed.append(answer["killed"])
            now = state(self.target)
            assert now == self.new or (now == self.old and before == self.old), kill
        answer = self.killer.run(self.job)
        assert not answer["killed"] and not answer["error"], answer["error"]
        assert state(self.target) == self.new, kills
        assert self._listing() == self.files, kills
        return killed


@pytest.fixture(scope="module")
def cases(killer, tmp_path_factory, tiny):
    """The same jobs in one process and in two, made when first asked for: annotate over an old dataset, tokenize over an old token set."""
    root = tmp_path_factory.mktemp("kills")
    old, new = (write_jsonl(root / f"{name}.jsonl", records(n, name)) for name, n in (("old", 20), ("new", 300)))
    made = {}

    def case(kind, workers):
        if (kind, workers) not in made:
            folder = root / f"{kind}{workers}" / "folder"
            if kind == "annotate":
                folder.mkdir(parents=True)
                target = tldata.annotate(old, folder / "out.tldata", max_bad=1.0).path
                job = {"kind": kind, "raw": str(new), "target": str(target), "workers": workers}
            else:
                dataset = root / f"{kind}{workers}" / "data.tldata"
                tldata.annotate(new, dataset, max_bad=1.0)
                folder = dataset / "tokens"
                target = folder / "t"
                job = {"kind": kind, "dataset": str(dataset), "tokenizer": str(tiny), "name": "t", "workers": workers}
                answer = killer.run({**job, "folder": str(folder), "options": {"w_max": 2.0}})
                assert not answer["error"], answer["error"]
            made[kind, workers] = Case(killer, job, target, folder)
        return made[kind, workers]

    return case


@pytest.mark.parametrize("kind", ["annotate", "tokenize"])
def test_a_kill_before_any_step_around_the_swap_leaves_the_old_state_or_the_new_one(cases, kind):
    """The step that brings the new state is found by halving; then every step near it."""
    case = cases(kind, 1)

    def is_new(at):
        case.begin_again()
        assert case.killer.run(case.job, at=at)["killed"], at
        assert state(case.target) in (case.old, case.new), at
        return state(case.target) == case.new

    low, high = 1, case.steps
    assert not is_new(low) and is_new(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_new(middle) else (middle, high)
    assert [is_new(at) for at in range(high - 3, high + 3)] == [False] * 3 + [True] * 3
    for at in range(high - 2, high + 3):  # and what a run leaves there is never taken for another run's work
        case.check_after_kills({"at": at})


@pytest.mark.parametrize("kind", ["annotate", "tokenize"])
def test_random_kills_leave_the_old_state_or_the_new_one_and_resume_to_the_same_bytes(cases, kind):
    case = cases(kind, 1)
    choose = random.Random(5)
    killed = []
    while len(killed) < 10:
        killed += case.check_after_kills(*({"at": choose.randint(1, case.steps)} for _ in range(choose.randint(1, 3))))


@pytest.mark.parametrize("kind", ["annotate", "tokenize"])
def test_runs_of_several_processes_that_are_killed_resume_to_the_same_bytes(cases, kind):
    case = cases(kind, 2)
    assert case.new == cases(kind, 1).new  # the number of processes is not in the bytes
    choose = random.Random(6)
    case.check_after_kills({"after": choose.uniform(0.5, 3)}, {"at": choose.randint(1, case.steps)})


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_five_hundred_kills(cases):
    """Of each kind of run: before a random step, after a random time, several before the run may end."""
    choose = random.Random(int(os.environ.get("TLDATA_SEED", "7")))
    wanted = int(os.environ.get("TLDATA_KILLS", "500"))
    done, counts = 0, {}
    while done < wanted:
        kind, workers = choose.choice(["annotate", "tokenize"]), choose.choice([1] * 7 + [2])
        case = cases(kind, workers)
        kills = [
            {"at": choose.randint(1, case.steps)}
            if choose.random() < 0.8
            else {"after": choose.uniform(0.05, 1.0 + 3 * (workers - 1))}
            for _ in range(choose.randint(1, 3))
        ]
        n = sum(case.check_after_kills(*kills))
        done += n
        counts[kind, workers] = counts.get((kind, workers), 0) + n
        if done // 25 != (done - n) // 25:
            print(f"{done} kills: {counts}", flush=True)
    print(f"{done} kills, none of which left anything but the old state or the new one: {counts}")
