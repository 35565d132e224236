"""Do the parts of a plan: in this process where there is little to do, in one process a core otherwise."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tldata.errors import DatasetError
from tldata.processes import become_worker, stop_now, trim_memory, without_main
from tldata.tokenize.encode import Encoder
from tldata.tokenize.part import start_worker, stop_worker, tokenise_part
from tldata.tokenize.plan import Plan
from tldata.tokenize.render import ChatTemplate


class WorkerKilled(DatasetError):
    """A worker process ended by itself; what it and others finished is kept."""


Results = dict[str, dict[str, Any]]


def run_parts(
    plan: Plan,
    parts: Sequence[str],
    encoder: Encoder,
    workers: int | None,
    progress: Callable[[int], None],
    template: ChatTemplate | None = None,
) -> Results:
    """The results of some parts, by name.

    Args:
        encoder: the loaded tokenizer.
        template: the compiled chat template.
        workers: processes; default one a core.
        progress: called with how many trajectories are done so far.

    Raises:
        WorkerKilled: a process was killed; the parts that are done are kept.
    """
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done)

    results = {part: result for part in parts if (result := plan.done(part)) is not None}
    count(sum(result["size"] for result in results.values()))
    todo = [part for part in parts if part not in results]
    workers = min(workers or os.cpu_count() or 1, len(todo))
    if workers > 1:
        return results | _in_processes(plan, todo, encoder, workers, count)
    try:
        if todo:
            start_worker(plan, encoder, template)
        return results | {part: tokenise_part(plan, part, progress=count) for part in todo}
    finally:
        stop_worker()


def _in_processes(
    plan: Plan, parts: Sequence[str], encoder: Encoder, workers: int, count: Callable[[int], None]
) -> Results:
    results: Results = {}
    encoder.save(plan.work)
    trim_memory()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(plan, os.getpid())) as pool:
        try:
            with without_main():
                pending = {pool.submit(_do, part) for part in parts}
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    results[result["part"]] = result
                    count(result["size"])
        except BrokenProcessPool:
            raise WorkerKilled(
                "a worker process was killed (out of memory?); finished parts are kept",
                hint="run the same command again: it resumes\n--workers 1 needs less memory",
            ) from None
        except BaseException:
            stop_now(pool)
            raise
    return results


_PLAN: list[Plan] = []


def _start(plan: Plan, parent: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    become_worker(parent)
    _PLAN[:] = [plan]  # the worker is made by its first part, so that an error in that reaches the caller


def _do(part: str) -> dict[str, Any]:
    return tokenise_part(_PLAN[0], part)
