"""One part of a dataset to finished rows on disk: what a worker does, alone and repeatably, in any process on any machine."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson

from tldata.processes import trim_memory
from tldata.tokenize.conversation import Conversation
from tldata.tokenize.cut import Part
from tldata.tokenize.encode import Encoded, Encoder, Untileable, Work, read_encoder
from tldata.tokenize.load import Loader
from tldata.tokenize.plan import Plan
from tldata.tokenize.prepare import Preparer, Rejected, Section
from tldata.tokenize.render import ChatTemplate
from tldata.tokenize.rows import Row, RowMaker
from tldata.tokenize.summary import Counts, counts_json
from tldata.tokenize.write import PartWriter, write_whole


@dataclass(slots=True)
class Worker:
    """What a process keeps from part to part: the tokenizer, the compiled template, and what was found with them."""

    loader: Loader
    preparer: Preparer
    encoder: Encoder
    maker: RowMaker
    overlap: bool


AHEAD = 2  # batches that wait for their tokens while another is rendered
_STATE: dict[str, Worker] = {}


def tokenise_part(plan: Plan, part: str, *, progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Read, render, tokenise, mask, weigh and write one part.

    Equal plans and parts give equal files. The rows are written under a temporary name and renamed, then a marker with what
    is returned is written last: a part is done or not begun. A part that is done is not done again.

    Args:
        plan: what ``plan.begin`` gave; it can be pickled, and its folders must be within reach.
        part: the name of one of its parts.
        progress: called with how many trajectories were done, after each batch.

    Returns:
        The part's name, counts, digest, rejects and the forms in which calls were given to the template, as JSON values.
    """
    done = plan.done(part)
    if done is not None:
        if progress is not None:
            progress(done["size"])
        return done
    worker = _STATE.get(plan.digest) or start_worker(plan)
    counts = worker.maker.counts = Counts()
    worker.preparer.forms_used = {}
    rejects: list[Rejected] = []
    size = 0
    gc.disable()  # a batch makes hundreds of thousands of objects and few cycles
    try:
        with ExitStack() as stack:
            submit = stack.enter_context(ThreadPoolExecutor(2, "tokenize")).submit if worker.overlap else None
            pack = stack.enter_context(ThreadPoolExecutor(1, "write")).submit if worker.overlap else None
            writer = stack.enter_context(PartWriter(plan.rows_of(part), pack))
            for batch in _tokenised(worker, plan.part(part), submit):
                rows, rejected = _make(batch, worker.maker)
                writer.write(rows)
                rejects += rejected
                size += batch.size
                gc.collect(0)
                if progress is not None:
                    progress(batch.size)
    finally:
        gc.enable()
        if not worker.overlap:  # one of many parts: nothing may pile up from one to the next
            gc.collect()
            trim_memory()
    result = {
        "part": part,
        "size": size,
        "rows": counts.rows,
        "counts": counts_json(counts),
        "digest": f"{writer.digest:032x}",
        "rejects": [[one.trajectory_id, one.reason] for one in rejects],
        "forms": [[*form, number] for form, number in worker.preparer.forms_used.items()],
    }
    write_whole(plan.marker(part), orjson.dumps(result))
    return result


def start_worker(plan: Plan, encoder: Encoder | None = None, template: ChatTemplate | None = None) -> Worker:
    """Prepare this process for a plan's parts.

    Args:
        encoder: the tokenizer, where it is loaded already; its threads then tokenise one batch while the next is rendered.
            Else it is read from the plan's folder, and everything is done in one thread, beside other processes.
        template: the chat template, where it is compiled already.
    """
    _STATE.clear()
    overlap = encoder is not None
    encoder = encoder or read_encoder(plan.work)
    template = template or ChatTemplate(
        plan.template.source, name=plan.template.name, variables=dict(plan.template.variables)
    )
    template.moment = plan.moment
    preparer = Preparer(template)
    loader = Loader(
        plan.dataset,
        plan.excluded,
        None if plan.tools is None else orjson.loads(plan.tools),
        root=plan.tables,
        toolsets=plan.toolsets if plan.toolsets.is_file() else None,
        inferred=plan.inferred(),
    )
    worker = Worker(loader, preparer, encoder, RowMaker(preparer, encoder, plan.rows, Counts()), overlap)
    if not overlap:
        trim_memory()
    _STATE[plan.digest] = worker
    return worker


def stop_worker() -> None:
    """Let go of the tokenizer and the tables."""
    _STATE.clear()


@dataclass(slots=True)
class _Batch:
    sections: list[list[Section]]
    rejected: list[Rejected]
    size: int
    work: Work
    look_up: Callable[[], None]
    encoded: list[Encoded | Untileable]


def _tokenised(worker: Worker, part: Part, submit: Callable[..., Future[Any]] | None) -> Iterator[_Batch]:
    """Prepared and tokenised batches. With threads, some wait for their tokens while the next is rendered."""
    waiting: deque[_Batch] = deque()
    for conversations in worker.loader.batches(part):
        good, bad = _prepare(conversations, worker.preparer)
        work = worker.encoder.begin([section.text for sections in good for section in sections], submit)
        waiting.append(_Batch(good, bad, len(conversations), work, worker.maker.look_up(good, submit), []))
        if len(waiting) > (AHEAD if submit is not None else 0):
            yield _finished(worker, waiting.popleft())
    while waiting:
        yield _finished(worker, waiting.popleft())


def _finished(worker: Worker, batch: _Batch) -> _Batch:
    batch.encoded = worker.encoder.finish(batch.work)
    batch.look_up()
    return batch


def _prepare(batch: list[Conversation], preparer: Preparer) -> tuple[list[list[Section]], list[Rejected]]:
    good: list[list[Section]] = []
    bad: list[Rejected] = []
    for conversation in batch:
        prepared = preparer.prepare(conversation)
        if isinstance(prepared, Rejected):
            bad.append(prepared)
        else:
            good.append(prepared)
    return good, bad


def _make(batch: _Batch, maker: RowMaker) -> tuple[list[Row], list[Rejected]]:
    rows: list[Row] = []
    rejected = list(batch.rejected)
    at = 0
    for sections in batch.sections:
        made = maker.rows(sections, batch.encoded[at : at + len(sections)])
        at += len(sections)
        if isinstance(made, Rejected):
            rejected.append(made)
        else:
            rows += made
    for one in rejected:
        maker.counts.rejected[one.reason] += 1
    rejected += maker.left_out
    maker.left_out = []
    return rows, rejected
