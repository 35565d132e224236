"""The experiment as cells: each does one thing, keeps its result as JSON in a folder of its own, and is not done twice."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.ablation import agent, learner, material
from benchmarks.ablation.design import LEVELS, Configuration, Recipe, Size
from benchmarks.learning import PARSED_AS

RESULT = "result.json"
MODEL = "model"


@dataclass
class Experiment:
    """One seed of the experiment in a folder; every method that makes something is a cell.

    ``first`` is the seed of the base model, which all seeds share. A cell's folder appears under its name only when it is complete, so that a killed run goes on at the cell it was in.
    """

    root: Path
    size: Size
    seed: int
    say: Callable[[str], None] = print
    first: int = 0

    @property
    def folder(self) -> Path:
        return self.root / f"seed-{self.seed}"

    def cell(self, name: str, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """The result of a cell, made now or earlier.

        Raises:
            SystemExit: the folder holds results of another size.
        """
        folder = self.folder / name
        stamp = json.loads(json.dumps(asdict(self.size)))
        if (folder / RESULT).is_file():
            done: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            if done["size"] != stamp:
                raise SystemExit(f"{folder}: made with other sizes; choose another folder with -o, or remove it")
            return done
        partial = folder.with_name(f".{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        started = time.perf_counter()
        result = make(partial)
        result |= {"cell": name, "seed": self.seed, "seconds": round(time.perf_counter() - started, 1), "size": stamp}
        (partial / RESULT).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
        partial.replace(folder)
        self.say(f"seed {self.seed}  {name:<42} {result['seconds']:8.1f} s")
        return result

    # What everything stands on ------------------------------------------------------------------------------------

    def start(self) -> Path:
        """The base model and its tokenizer, those of the first seed for all."""
        if self.seed != self.first:
            return replace(self, seed=self.first).start()

        def make(folder: Path) -> dict[str, Any]:
            tokenizer = material.tokenizer_for(self.size, self.seed, folder / MODEL)
            model = learner.make_model(tokenizer, self.size, self.seed)
            texts = material.transcripts(self.size, self.seed)
            losses = learner.read(model, tokenizer, texts, self.size, self.seed)
            model.save_pretrained(folder / MODEL)
            return {**losses, "parameters": sum(p.numel() for p in model.parameters())}

        self.cell("base", make)
        return self.folder / "base" / MODEL

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.start())

    def data(self, error_share: float | None = None) -> Path:
        """The training data, annotated; its folder holds token sets and RL prompts too."""
        share = self.size.error_share if error_share is None else error_share
        name = f"data-errors{round(100 * share)}"

        def make(folder: Path) -> dict[str, Any]:
            fits = material.length_limit(self.tokenizer, self.size.context)
            records = material.training_records(self.size, self.seed, share, fits)
            raw = material.write_lines(folder / "train.jsonl", records)
            return _annotate(raw, folder / "train.tldata") | {
                "erroneous": sum(bool(record["metadata"]["injected"]) for record in records)
            }

        self.cell(name, make)
        return self.folder / name / "train.tldata"

    def tests(self) -> Path:
        """Test requests (seen and unseen tools), annotated, their single prompts with gold, and those with noise."""

        def make(folder: Path) -> dict[str, Any]:
            facts: dict[str, Any] = {}
            for part, records in material.test_records(self.size, self.seed).items():
                raw = material.write_lines(folder / f"{part}.jsonl", records)
                facts[part] = _annotate(raw, folder / f"{part}.tldata")
                wanted = self.size.test_calls if part == "seen" else max(8, self.size.test_calls // 5)
                facts[part]["prompts"] = self._prompts(folder, part, wanted)
            for level in LEVELS:
                facts[level] = self._noisy(folder, level)
            return facts

        self.cell("tests", make)
        return self.folder / "tests"

    def _prompts(self, folder: Path, part: str, wanted: int) -> int:
        from tldata.export import export

        output = folder / f"{part}-prompts.jsonl"
        export(folder / f"{part}.tldata", "rl", output, prompts=wanted, tokenizer=str(self.start()), seed=self.seed)
        return len(output.read_text(encoding="utf-8").splitlines())

    def _noisy(self, folder: Path, level: str) -> dict[str, Any]:
        from tldata.evaluate.noise import Noise, add_noise

        counts = add_noise(folder / "seen.tldata", folder / f"{level}.jsonl", Noise(level, seed=self.seed))
        facts = _annotate(folder / f"{level}.jsonl", folder / f"{level}.tldata")
        facts["prompts"] = self._prompts(folder, level, self.size.test_calls)
        return facts | {"unchanged": counts.unchanged}

    # Training -----------------------------------------------------------------------------------------------------

    def fine_tuned(self, configuration: Configuration) -> Path:
        """The fine-tuned model that a configuration needs."""

        def make(folder: Path) -> dict[str, Any]:
            recipe = configuration.recipe
            tokens = learner.token_set(self.data(recipe.error_share), self.start(), recipe, configuration.sft)
            held_out = self.held_out()
            done = learner.fine_tune(self.start(), tokens, folder / MODEL, self.size, self.seed, evaluate_on=held_out)
            manifest = json.loads((tokens / "manifest.json").read_text(encoding="utf-8"))
            return {"train": _plain(done), "counts": manifest.get("counts", {}), "recipe": asdict(recipe)}

        self.start()
        self.data(configuration.recipe.error_share)
        self.held_out()
        self.cell(configuration.sft, make)
        return self.folder / configuration.sft / MODEL

    def held_out(self) -> Path:
        """Tokens of the clean test requests, every call in the loss with weight 1: on it all layouts have the same loss to reach."""

        def make(folder: Path) -> dict[str, Any]:
            return {"path": str(learner.token_set(self.tests() / "seen.tldata", self.start(), Recipe(), "plain"))}

        self.tests()
        self.cell("held-out", make)
        return self.tests() / "seen.tldata" / "tokens" / "plain"

    def prompts(self) -> Path:
        """RL prompts of the training data."""

        def make(folder: Path) -> dict[str, Any]:
            output = folder / "prompts.jsonl"
            count = learner.prompts_of(self.data(), self.tokenizer, self.start(), self.size, self.seed, output)
            return {"prompts": count}

        self.data()
        self.cell("prompts", make)
        return self.folder / "prompts" / "prompts.jsonl"

    def model(self, configuration: Configuration) -> Path:
        """The trained model of a configuration."""
        sft = self.fine_tuned(configuration)
        algorithm = configuration.reinforced
        if algorithm is None:
            return sft
        name = f"{algorithm}-after-{configuration.sft}"

        def make(folder: Path) -> dict[str, Any]:
            done = learner.reinforce(algorithm, sft, self.prompts(), folder / MODEL, self.size, self.seed)
            return {"train": _plain(done)}

        self.prompts()
        self.cell(name, make)
        return self.folder / name / MODEL

    # Measuring ----------------------------------------------------------------------------------------------------

    def measured(self, key: str, configuration: Configuration) -> dict[str, Any]:
        """Single-turn and multi-turn results of a configuration, example by example."""
        model = self.model(configuration)

        def make(folder: Path) -> dict[str, Any]:
            loaded = _load(model)
            found: dict[str, Any] = {"single": {}, "multi": {}}
            for part in ("seen", "unseen"):
                found["single"][part] = self._single(loaded, part, folder)
                found["multi"][part] = self._multi(loaded, part, folder)
            return found

        return self.cell(f"eval-{key}", make)

    def under_noise(self, key: str, configuration: Configuration) -> dict[str, Any]:
        """Single-turn results of a configuration at RoTBench's levels of noise."""
        model = self.model(configuration)

        def make(folder: Path) -> dict[str, Any]:
            loaded = _load(model)
            return {"single": {level: self._single(loaded, level, folder) for level in LEVELS}}

        return self.cell(f"noise-{key}", make)

    def _single(self, model: Any, part: str, folder: Path) -> dict[str, Any]:
        from tldata.evaluate.score import score

        answers = self.tests() / f"{part}-prompts.jsonl"
        rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        texts = agent.answer(model, self.tokenizer, [row["prompt_text"] for row in rows])
        names = [f"{row['trajectory_id']}#{row['turn']}" for row in rows]
        predictions = folder / f"{part}-predictions.jsonl"
        lines = ({"id": name, "prediction": text} for name, text in zip(names, texts, strict=True))
        material.write_lines(predictions, lines)
        scores = score("openai", predictions, answers, template=PARSED_AS)
        right = {m: [int(row.right[i]) for row in scores.rows] for i, m in enumerate(("TS", "PI", "CF"))}
        return {"id": [row.example.id for row in scores.rows], **right, "table_1": _plain(scores.table_1())}

    def _multi(self, model: Any, part: str, folder: Path) -> dict[str, Any]:
        from tldata.evaluate.runs import score_runs

        lines = (self.tests() / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        wanted = self.size.test_runs if part == "seen" else max(4, self.size.test_runs // 4)
        records = [json.loads(line) for line in lines[:wanted]]
        acted = agent.act(model, self.tokenizer, records)
        raw = material.write_lines(folder / f"{part}-runs.jsonl", acted)
        _annotate(raw, folder / f"{part}-runs.tldata")
        place = {f"{part}-runs:{line}": line - 1 for line in range(1, len(acted) + 1)}
        runs = sorted(score_runs(folder / f"{part}-runs.tldata").runs, key=lambda run: place[run.trajectory_id])
        fields = ("n_calls", "n_answered", "n_de", "n_ce", "n_turns", "why")
        columns: dict[str, list[Any]] = {field: [getattr(run, field) for run in runs] for field in fields}
        columns["solved"] = [int(agent.solved(run, record)) for run, record in zip(acted, records, strict=True)]
        return columns | {"valid": [int(run.valid) for run in runs], "id": [record["id"] for record in records]}


def sized(size: Size, **changes: Any) -> Size:
    """A size with some of its numbers changed."""
    return replace(size, **changes)


def results(root: Path) -> Iterator[dict[str, Any]]:
    """Every finished cell's result, by seed and name."""
    for path in sorted(root.glob(f"seed-*/*/{RESULT}")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _annotate(raw: Path, output: Path) -> dict[str, Any]:
    import tldata

    return dict(tldata.annotate(raw, output, prefixes="keep", overwrite=True).counts)


def _load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
