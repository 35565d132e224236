"""Ask the models: one file of answers a cell (a model on a benchmark), resumed where it stopped, and prompts that do not fit counted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reproduce.actor import MultiTurn, SingleTurn
from reproduce.models import COMPLETIONS, Model
from reproduce.setting import Setting
from reproduce.stand_in import Answer, serving
from tldata.errors import CheckError, UsageError
from tldata.evaluate import Scores, read_benchmark, score, score_examples, write_rows
from tldata.evaluate.answer import read_answer
from tldata.evaluate.client import CHAT, Client, Failed, Reply
from tldata.evaluate.predictions import match, read_predictions
from tldata.evaluate.prompts import BEGIN, prompts
from tldata.evaluate.runner import Summary, run
from tldata.evaluate.runner_collect import collect
from tldata.evaluate.runner_journal import journal_path
from tldata.evaluate.runner_requests import Request, read_prompts, read_requests
from tldata.evaluate.worlds import World

OVERLONG = "context_exceeded"
# How vLLM and OpenAI say that a prompt does not fit.
_TOO_LONG = re.compile(
    r"context[ _]length|maximum model length|max_model_len|maximum input length|prompt is too long", re.IGNORECASE
)
REFUSED = frozenset({400, 413, 422})


class ContextClient(Client):
    """A client for which a prompt beyond the context is an empty answer with the finish reason ``context_exceeded``.

    Nothing is cut to fit: the example counts as wrong, and as many as there were are said beside the table.
    """

    def ask(self, given: list[dict[str, Any]] | str, tools: list[dict[str, Any]] | None = None) -> Reply:
        try:
            return Client.ask(self, given, tools)
        except Failed as failure:
            if failure.status not in REFUSED or not _TOO_LONG.search(failure.reason):
                raise
            message = {"role": "assistant", "content": ""} if self.api == CHAT else None
            return Reply(message, None if self.api == CHAT else "", OVERLONG, None, 1, 0.0)


def endpoint_of(setting: Setting, model: Model) -> str:
    """Where a model is asked: ``--endpoint NAME=URL``, else ``--endpoint URL``, else models.toml."""
    everywhere = ""
    for given in setting.arguments.endpoint:
        name, equals, url = given.partition("=")
        if equals and name == model.name:
            return url
        if not name.startswith(("http://", "https://")) and not equals:
            raise UsageError(f"--endpoint {given}: neither a URL nor NAME=URL")
        if name.startswith(("http://", "https://")):
            everywhere = given
    return everywhere or model.url()


@contextmanager
def client_of(setting: Setting, model: Model, dummy: Answer | None) -> Iterator[Client]:
    """The client of a model; in a dry run a server that answers by ``dummy`` stands in for it."""
    key = os.environ.get(model.key_env)
    if dummy is None:
        if model.closed and not model.left:
            raise UsageError(f"{model.name}: {model.note}", hint="leave it out with --models")
        if model.closed and not key:
            raise UsageError(f"{model.name} needs a key", hint=f"export {model.key_env}=...")
        yield ContextClient(endpoint_of(setting, model), model.asked(), model.api, key, model.parameters())
        return
    with serving(dummy) as server:
        yield ContextClient(server.url, model.name, model.api, None, model.parameters(), retries=1)


def cell(setting: Setting, model: Model, name: str) -> Path:
    """The file of a cell's answers."""
    return setting.folder("cells", model.slug) / f"{name}.jsonl"


def done(path: Path) -> bool:
    """Whether a cell is complete; an interrupted or partly failed one keeps its journal."""
    return path.is_file() and not journal_path(path).exists()


def ask_single(setting: Setting, model: Model, benchmark: str, answers: Sequence[Path], name: str = "") -> Path:
    """One answer to each prompt of a benchmark, as the paper's table of the model's chat format has the prompt.

    Completions get the prompt rendered; chat gets messages and declarations. The benchmark's own system text, with a format and the
    tools in words, is left out (a model that was trained on it keeps it: ``own_prompt``).

    Raises:
        CheckError: some prompts have no answer; the same command asks only these.
    """
    path = cell(setting, model, name or benchmark)
    if done(path) and not setting.dry_run:
        setting.say(f"{model.name}, {name or benchmark}: there already ({path})")
        return path
    system = "own" if model.own_prompt else "none"
    template = model.template if model.api == COMPLETIONS else None
    requests = read_prompts(benchmark, answers, template=template, system=system)
    dummy = None
    if setting.dry_run:
        rows = prompts(read_benchmark(benchmark, answers), template=template, system=system)
        dummy = SingleTurn(model, rows, str(getattr(setting.arguments, "seed", "")))
    with client_of(setting, model, dummy) as client:
        summary = run(requests, client, path, workers=setting.arguments.workers, overwrite=setting.dry_run)
    _check(model, name or benchmark, summary, path)
    setting.say(
        f"{model.name}, {name or benchmark}: {summary.answered:,} answers, {overlong(path):,} beyond the context"
    )
    return path


def overlong(path: Path) -> int:
    """How many prompts of a cell did not fit; each line of a file of answers or of trajectories says so."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(OVERLONG in (row.get("finish_reason"), row.get("metadata", {}).get("finish_reason")) for row in rows)


def score_cell(
    setting: Setting, model: Model, benchmark: str, answers: Sequence[Path], name: str = "", **options: Any
) -> Scores:
    """Ask and score a cell; the rows lie beside the answers as Parquet."""
    path = ask_single(setting, model, benchmark, answers, name)
    found = score(benchmark, path, answers, template=None if model.template == "openai" else model.template, **options)
    found.run = model.name
    write_rows(found, path.with_suffix(".parquet"))
    return found


def score_first_calls(model: Model, benchmark: str, answers: Sequence[Path], path: Path) -> Scores:
    """Score a cell's answers by their first call against the first call of each gold.

    Golds of several calls are out of reach for chat formats of one call a turn, yet the paper's figures for such models exceed what is
    left: it may have counted so. Answers that cannot be read stay wrong.
    """
    template = None if model.template == "openai" else model.template
    examples = read_benchmark(benchmark, answers)
    values = []
    for example, value in zip(examples, match(examples, read_predictions(path), str(path)), strict=True):
        answer = read_answer(value, template, prompt=example.messages)
        calls = answer.calls[:1]
        values.append([{"name": call.name, "arguments": call.arguments} for call in calls] if calls else value)
    firsts = [replace(each, gold=each.gold and tuple(gold[:1] for gold in each.gold)) for each in examples]
    return score_examples(benchmark, firsts, values, template=template)


def several_calls(benchmark: str, answers: Sequence[Path]) -> tuple[int, int]:
    """How many golds hold several calls in every alternative, of how many that can be used."""
    usable = [each for each in read_benchmark(benchmark, answers) if each.gold and not each.unreadable]
    return sum(min(map(len, each.gold or ())) > 1 for each in usable), len(usable)


def tooleyes_requests(path: Path) -> list[Request]:
    """ToolEyes' queries with their declarations; its own system text is left out, as each model has its own prompt."""
    found = []
    for request in read_requests(path):
        messages = [dict(m) for m in request.messages if m["role"] != "system"]
        for message in messages:
            message["content"] = str(message["content"]).removesuffix(BEGIN)
        found.append(replace(request, messages=messages))
    return found


def ask_multi(
    setting: Setting, model: Model, requests: Sequence[Request], world: World, name: str, max_turns: int = 9
) -> Path:
    """Let a model act on requests in a world; the raw trajectories, one a line.

    Raises:
        CheckError: as ``ask_single``.
    """
    path = cell(setting, model, name)
    if done(path) and not setting.dry_run:
        setting.say(f"{model.name}, {name}: there already ({path})")
        return path
    dummy = MultiTurn(model, requests, str(getattr(setting.arguments, "seed", ""))) if setting.dry_run else None
    template = None if model.template == "openai" else model.template
    with client_of(setting, model, dummy) as client:
        summary = collect(
            requests,
            client,
            world,
            path,
            max_turns=max_turns,
            workers=setting.arguments.workers,
            template=template,
            overwrite=setting.dry_run,
        )
    _check(model, name, summary, path)
    setting.say(f"{model.name}, {name}: {summary.answered:,} trajectories, {overlong(path):,} ended beyond the context")
    return path


def _check(model: Model, name: str, summary: Summary, path: Path) -> None:
    if summary.failed:
        first = next(iter(summary.failed.items()))
        raise CheckError(
            f"{model.name}, {name}: {len(summary.failed):,} of {summary.requests:,} have no answer; the first, {first[0]}: {first[1]}",
            hint=f"the same command asks only these again ({path})",
        )
