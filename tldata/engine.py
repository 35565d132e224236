"""From raw logs to an annotated dataset: plan the sources, do their blocks on all cores, finish the tables, swap them in."""

from __future__ import annotations

import fcntl
import hashlib
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tldata import __version__
from tldata.blocks import Block, cut, parse, records
from tldata.errors import DatasetError, InputError, RecordError, UsageError
from tldata.evidence.rules import load_rules
from tldata.finish import HELPERS, Summary, finish, known_categories, swap_in
from tldata.formats import detect, get_format
from tldata.formats.base import ReadOptions
from tldata.grouping import do_partition, partition_name, settle
from tldata.labels import read_labels
from tldata.processes import ENGINES, parse_shard, stop_now, without_main
from tldata.remote import is_url, refuse_finished, seen_by_one_process, staging_of, upload
from tldata.scrub import Scrubber, Scrubbing, load_key, parse_kinds
from tldata.scrub.keys import KEY_VARIABLE
from tldata.scrub.warn import look, warning
from tldata.sources import STDIN, Source, find_sources
from tldata.tools import load_tools
from tldata.work import Counts, Plan, block_name, describe, do_block, partitions, start_worker, write_atomically

SAMPLE = 50  # records looked at to find a file's format
CLEAR = 0.2  # mean score below which more of them are looked at
SMALL = 8 << 20  # bytes below which starting worker processes costs more than it gives
SMALLEST_BLOCK, LARGEST_BLOCK = 2 << 20, 16 << 20  # bytes
Task = TypeVar("Task")  # a block, or the number of a partition of groups
TABLE_FOLDERS = (
    "trajectories",
    "toolsets",
    "messages",
    "calls",
    "rejects",
    "merged",
    "prefixes",
    "blocks",
    "spilled",
    "members",
)


@dataclass(slots=True)
class Progress:
    """How far annotate is: bytes and records read, records rejected. ``total`` is 0 where it is unknown (compressed input)."""

    done: int = 0
    total: int = 0
    records: int = 0
    bad: int = 0


def annotate(
    raw: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    format: str | None = None,
    branches: str = "answer",
    prefixes: str = "longest",
    tools: str | Path | None = None,
    rules: str | Path | Sequence[str | Path] | None = None,
    labels: str | Path | None = None,
    corrections: str | Path | None = None,
    max_bad: float = 0.05,
    overwrite: bool = False,
    engine: str = "local",
    ray_address: str | None = None,
    shard: str | None = None,
    scrub: bool = False,
    scrub_kinds: Sequence[str] | None = None,
    scrub_key: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Read raw trajectories in any known format and write an annotated dataset.

    Args:
        raw: files, glob patterns, folders, URLs of these (s3://, gs://, https://, ...), or ``-`` for stdin; one or several.
        out: dataset folder, or a URL; default ``<raw>.tldata`` beside a single input.
        format: name of the reader, instead of finding it per file (``tldata formats`` lists them).
        branches: of an answer tree take the path to its ``answer``, or ``all`` leaves.
        prefixes: ``longest`` merges records that are the beginning of another; ``keep`` keeps them.
        tools: file of tool declarations for data that declares none.
        rules: rules files to add to the built-in ones, or ``authors`` for the authors' rule in their place.
        labels: file of categories from outside (trajectory_id, turn, call_index, category), which outrank the verdict.
        corrections: verdicts corrected in the viewer; they outrank the labels.
        max_bad: share of rejected records above which ``summary.ok`` is False.
        overwrite: replace a finished dataset; without it that is refused. An unfinished one is resumed.
        engine: ``local``: the cores of this machine; ``ray``: a Ray cluster's.
        ray_address: the cluster; default the environment's RAY_ADDRESS, else one started on this machine for this run.
        scrub: put stand-ins for keys, tokens, e-mail addresses, phone numbers and the like before anything is written (docs/privacy.md).
        scrub_kinds: what to replace, of ``tldata.scrub.kinds.KINDS``.
        scrub_key: file with the key of the stand-ins; default the environment's TLDATA_SCRUB_KEY, else a new one that is kept nowhere.
        shard: ``i/n``: only every nth block of the input, from the ith, counted from 0; ``merge`` makes one dataset of all n.
        workers: processes; default one a core. On a cluster, blocks at once; default two a core.
        progress: called now and then with how far it is.

    Returns:
        Summary with counts, categories and where the dataset is.

    Raises:
        InputError: a source cannot be read at all, or two formats fit equally well.
        UsageError: options that do not go together.
        DatasetError: ``out`` is a finished dataset, or something else.
    """
    started = time.monotonic()
    inputs = [raw] if isinstance(raw, str | Path) else list(raw)
    if branches not in ("answer", "all"):
        raise UsageError(f"branches is {branches!r}", hint="answer or all")
    if prefixes not in ("longest", "keep"):
        raise UsageError(f"prefixes is {prefixes!r}", hint="longest or keep")
    if not 0 <= max_bad <= 1:
        raise UsageError(f"max_bad is {max_bad}", hint="a share between 0 and 1, such as 0.05")
    if engine not in ENGINES:
        raise UsageError(f"no engine {engine!r}", hint=", ".join(ENGINES))
    mine = None if shard is None else parse_shard(shard)
    if mine is not None and engine != "local":
        raise UsageError(
            "a shard is made by the engine local; a cluster shares the blocks out by itself", hint="--engine ray"
        )
    kinds = parse_kinds(scrub_kinds)
    if not scrub and (scrub_kinds or scrub_key is not None):
        raise UsageError("a key or kinds without scrubbing", hint="--scrub")
    if scrub and mine is not None and scrub_key is None and KEY_VARIABLE not in os.environ:
        raise UsageError(
            "shards made with different keys would give one value several stand-ins",
            hint="--scrub-key FILE, the same for all",
        )
    url = out if isinstance(out, str) and is_url(out) else None
    if url is not None:
        refuse_finished(url, overwrite)
    target = _target(inputs, out, mine) if url is None else staging_of(url)
    _refuse_finished(target, overwrite)
    rule_files = _rule_files(rules)
    rule_digest = load_rules(rule_files or None).digest
    if tools is not None:
        load_tools(tools)  # a broken file is an error now, not in a worker
    for file in (labels, corrections):
        if file is not None:
            read_labels(file, known_categories(rule_files))  # likewise
    staging = target.parent / f".{target.name}.partial"
    kept_key = target.parent / f".{target.name}.scrub-key"  # until the dataset is finished, for a run that goes on
    with _locked(target):
        scrubbing = Scrubbing(load_key(scrub_key, kept=kept_key), kinds) if scrub else None
        sources = find_sources(inputs, staging)
        if scrubbing is not None:
            sources = [_scrubbed(source, scrubbing) for source in sources]
        if format is not None:
            get_format(format)
        detected = [_detect(source, format) for source in sources]
        plan = Plan(
            staging=staging,
            sources=tuple(sources),
            formats=tuple(name for name, _ in detected),
            options=ReadOptions(branches=branches),
            rules=rule_files,
            tools=None if tools is None else str(tools),
            keep_prefixes=prefixes == "keep",
            partitions=partitions(sources, [name for name, _ in detected]),
            scrubbing=scrubbing,
        )
        if mine is not None and plan.partitions:
            raise UsageError(
                f"{next(s.name for s, f in zip(sources, plan.formats, strict=True) if f and get_format(f).rows)}: "
                "its rows make trajectories together, so its blocks cannot go to several runs",
                hint="give whole files to each run, without --shard, and merge the datasets",
            )
        if any(source.url and seen_by_one_process(source.url) for source in sources):
            workers = 1
        size = min(max(sum(map(_unpacked, sources)) // 16, SMALLEST_BLOCK), LARGEST_BLOCK)
        _prepare(plan, rule_digest, size, mine)
        book = _Booking(plan, progress)
        if engine == "ray":
            from tldata.ray_engine import do_blocks_on_ray

            do_blocks_on_ray(plan, size, ray_address, workers, book.block)
        else:
            _do_blocks(plan, size, workers or os.cpu_count() or 1, mine or (0, 1), book.block)
        per_source = book.per_source
        _do_groups(plan, workers or os.cpu_count() or 1, per_source)
        counts = Counts()
        for each in per_source:
            counts.add(each.to_json())
        _refuse_changed(sources)
        description = {
            "tldata_version": __version__,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "options": {
                "branches": branches,
                "prefixes": prefixes,
                "tools": plan.tools,
                "labels": labels and str(labels),
                "corrections": corrections and str(corrections),
                **({} if scrubbing is None else {"scrubbed": list(scrubbing.kinds)}),
            },
            **({} if mine is None else {"shard": {"index": mine[0], "of": mine[1]}}),
            "rules": {"files": rule_files or [], "digest": rule_digest},
            "sources": [
                {
                    "name": s.name,
                    "label": s.label,
                    "bytes": s.size,
                    "mtime_ns": s.mtime_ns,
                    "format": name,
                    "scores": scores,
                    **c.to_json(),
                }
                for s, (name, scores), c in zip(sources, detected, per_source, strict=True)
            ],
        }
        if scrubbing is not None:
            description = Scrubber(scrubbing).value(description)
        label_files = [path for path in (labels, corrections) if path is not None]
        summary = finish(plan, counts, description, labels=label_files or None, max_bad=max_bad)
        summary.scrubbed = dict(counts.scrubbed.most_common())
        if scrubbing is None and (note := warning(*look(staging), target.name if url is None else url)):
            summary.notes.append(note)
        if url is None:
            swap_in(staging, target)
        else:
            upload(
                staging, [path for path in staging.rglob("*") if path.is_file() and not _is_helper(path, staging)], url
            )
            shutil.rmtree(staging, ignore_errors=True)
    kept_key.unlink(missing_ok=True)
    summary.path = target if url is None else url
    summary.seconds = time.monotonic() - started
    return summary


def _scrubbed(source: Source, scrubbing: Scrubbing) -> Source:
    """A source whose names in the tables hold no secret."""
    scrubber = Scrubber(scrubbing)
    return replace(source, name=scrubber.text(source.name), label=scrubber.text(source.label))


def _unpacked(source: Source) -> int:
    """About how many bytes of JSON a source holds."""
    return source.size * 10 if source.packed else source.size


def _is_helper(path: Path, staging: Path) -> bool:
    return path.relative_to(staging).parts[0] in HELPERS


def _target(inputs: list[str | Path], out: str | Path | None, shard: tuple[int, int] | None) -> Path:
    if out is not None:
        return Path(out) if Path(out).name not in ("", "..") else Path(out).resolve()  # "." has no name of its own
    is_pattern = any(c in str(inputs[0]) for c in "*?[") and not Path(inputs[0]).exists() if inputs else False
    if len(inputs) != 1 or str(inputs[0]) == "-" or is_pattern or is_url(inputs[0]):
        raise UsageError("several inputs, patterns, URLs and stdin need a place for the dataset", hint="-o DATASET")
    path = Path(inputs[0])
    name = path.resolve().name
    for suffix in (".gz", ".zst", ".jsonl", ".ndjson", ".json", ".traj", ".parquet", ".eval", ".zip"):
        name = name.removesuffix(suffix)
    if shard is not None:
        name += f"-{shard[0]}-of-{shard[1]}"
    return path.resolve().parent / f"{name}.tldata" if path.is_absolute() else path.parent / f"{name}.tldata"


def _refuse_finished(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / "manifest.json").is_file()):
        raise DatasetError(f"{target} exists and is no tldata dataset", hint="choose another folder with -o")
    if (target / "manifest.json").is_file() and not overwrite:
        raise DatasetError(
            f"{target} is a finished dataset", hint="--overwrite to replace it\n-o DIR to write to another folder"
        )


def _rule_files(rules: str | Path | Sequence[str | Path] | None) -> tuple[str, ...]:
    if rules is None:
        return ()
    return (str(rules),) if isinstance(rules, str | Path) else tuple(str(rule) for rule in rules)


def _detect(source: Source, forced: str | None) -> tuple[str | None, dict[str, float]]:
    """Find a source's format from its first records, unless it is given; with the scores of the formats that fit at all."""
    if forced is not None:
        return forced, {}
    for limit in (SAMPLE, 40 * SAMPLE):  # a trace's file may begin with many spans of a server
        sample = _sample(source, limit)
        found = detect(sample)
        if len(sample) < limit or max(found.scores.values()) >= CLEAR:
            break
    scores = {name: round(score, 3) for name, score in found.scores.items() if score > 0}
    if found.tie:
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        listing = ", ".join(f"{name} {score:.2f}" for name, score in ranked[:4])
        raise InputError(
            f"{source.name}: several formats fit equally well: {listing}",
            hint="\n".join(f"--format {name}" for name, _ in ranked[:2]),
        )
    if found.best is None and sample and not any(isinstance(record, dict | list) for record in sample):
        raise InputError(
            f"{source.name}: holds no records; its first value is {describe(sample[0])}", hint="tldata formats"
        )
    return (None if found.best is None else found.best.name), scores


def _sample(source: Source, limit: int) -> list[Any]:
    """The first records of a source that can be parsed, ``limit`` of them at most."""
    sample: list[Any] = []
    for block in cut(source, 0, 1 << 20):
        for _, raw in records(block, source) if block.problem is None else ():
            try:
                sample.append(parse(raw)[0])
            except RecordError:
                continue
            if len(sample) >= limit:
                return sample
        if block.number >= 8:
            break
    return sample


def _prepare(plan: Plan, rule_digest: str, size: int, shard: tuple[int, int] | None) -> None:
    """Make the staging folder, or keep the parts in it if they came from the same plan."""
    identity = repr(
        (__version__, plan.sources, plan.formats, plan.options, rule_digest, plan.keep_prefixes, size, shard)
    )
    if plan.scrubbing is not None:
        identity += plan.scrubbing.digest
    if plan.tools is not None:
        identity += hashlib.blake2b(Path(plan.tools).read_bytes()).hexdigest()
    wanted = orjson.dumps({"plan": hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()})
    state = plan.staging / "plan.json"
    if not (state.is_file() and state.read_bytes() == wanted):
        state.unlink(missing_ok=True)  # first: what is removed now is nobody's finished work from here on
        for leftover in plan.staging.glob("*"):  # of another plan, or an old dataset whose removal was cut short
            if leftover.is_dir():
                shutil.rmtree(leftover)
            elif leftover.name != STDIN:
                leftover.unlink()
        plan.staging.mkdir(parents=True, exist_ok=True)
        write_atomically(state, wanted)
    for folder in TABLE_FOLDERS:  # a run that was killed while it swapped its dataset in has lost some
        (plan.staging / folder).mkdir(exist_ok=True)
    for leftover in plan.staging.glob("*/*.tmp"):
        leftover.unlink()
    for part in plan.staging.glob("*/*.parquet"):
        try:
            pq.read_metadata(part)
        except (
            pa.ArrowException,
            OSError,
        ):  # the machine went down before the part was on the disk: do its block again
            (plan.staging / "blocks" / f"{part.stem}.json").unlink(missing_ok=True)
            part.unlink()


class _Booking:
    """What became of the blocks so far: counts per source, and how far the run is."""

    def __init__(self, plan: Plan, progress: Callable[[Progress], None] | None) -> None:
        self.per_source = [Counts() for _ in plan.sources]
        self._sources, self._progress = plan.sources, progress
        known = all(not source.packed for source in plan.sources)
        self._state = Progress(total=sum(source.size for source in plan.sources) if known else 0)

    def block(self, block: Block, counts: dict[str, Any]) -> None:
        """Book a block that is done, now or in an earlier run."""
        self.per_source[block.source].add(counts)
        state, size = self._state, self._sources[block.source].size
        state.done += len(block.data or b"") or block.length or (size if block.row_group is not None else 0)
        state.records += counts["inputs"]
        state.bad += sum(counts["rejected"].values())
        if self._progress is not None:
            self._progress(state)


def _do_blocks(
    plan: Plan, size: int, workers: int, shard: tuple[int, int], book: Callable[[Block, dict[str, Any]], None]
) -> None:
    """Do every block of our shard that has no marker yet."""

    def blocks() -> Iterator[Block]:
        every = (block for index, source in enumerate(plan.sources) for block in cut(source, index, size))
        for block in islice(every, shard[0], None, shard[1]):
            marker = plan.staging / "blocks" / f"{block_name(block)}.json"
            if marker.is_file():
                book(block, orjson.loads(marker.read_bytes()))
            else:
                yield block

    if workers == 1 or sum(map(_unpacked, plan.sources)) < SMALL:
        start_worker(plan)
        for block in blocks():
            book(block, do_block(block)[1])
    else:
        _do_in_processes(plan, blocks(), workers, book, do_block)


def _do_groups(plan: Plan, workers: int, per_source: list[Counts]) -> None:
    """Assemble the rows that the blocks have set aside for their groups, partition by partition, and count what became of them."""

    def book(counts: dict[str, Any]) -> None:
        for source, one in counts.items():
            per_source[int(source)].add(one)

    numbers = []
    for number in range(plan.partitions):
        marker = plan.staging / "blocks" / f"{partition_name(number)}.json"
        if marker.is_file():
            book(orjson.loads(marker.read_bytes()))
        else:
            numbers.append(number)
    if workers == 1 or len(numbers) < 2:
        if numbers:
            start_worker(plan)
        for number in numbers:
            book(do_partition(number)[1])
    else:
        _do_in_processes(plan, iter(numbers), workers, lambda _, counts: book(counts), do_partition)
    settle(plan, lambda source, counts: per_source[source].add(counts))


def _do_in_processes(
    plan: Plan,
    tasks: Iterator[Task],
    workers: int,
    book: Callable[[Task, dict[str, Any]], None],
    do: Callable[[Task], tuple[str, dict[str, Any]]],
) -> None:
    """Keep every worker busy with at most one task (a block, or a partition of groups) waiting for each, so that memory stays bounded."""
    context = multiprocessing.get_context("spawn")
    pending: dict[Future[tuple[str, dict[str, Any]]], Task] = {}
    with ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(plan, os.getpid())) as pool:
        try:
            for task in tasks:
                with without_main():
                    pending[pool.submit(do, task)] = task
                if len(pending) >= 2 * workers:
                    _collect(pending, book)
            while pending:
                _collect(pending, book)
        except BrokenProcessPool:
            raise DatasetError(
                "a worker process was killed (out of memory?); finished blocks are kept",
                hint="run the same command again: it resumes\n--workers 1 needs less memory",
            ) from None
        except BaseException:
            stop_now(pool)
            raise


def _collect(
    pending: dict[Future[tuple[str, dict[str, Any]]], Task], book: Callable[[Task, dict[str, Any]], None]
) -> None:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        book(pending.pop(future), future.result()[1])


def _refuse_changed(sources: Sequence[Source]) -> None:
    for source in sources:
        if source.changed():
            raise InputError(f"{source.name}: changed while it was read", hint="run the command again")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Let one annotate at a time write to a target; the lock goes with the process, however it ends."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.parent / f".{target.name}.lock"
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle.fileno()).st_ino != path.stat().st_ino:  # another run has just ended and removed it
                raise BlockingIOError
        except OSError:
            raise DatasetError(f"{target}: another run is writing it", hint="wait for it to end") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
