"""The engine ``ray``: sources are cut and blocks are done by tasks on a cluster, which send their part files back; what fails is done again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from tldata import __version__
from tldata.blocks import Block, cut
from tldata.errors import DatasetError, InputError, UsageError
from tldata.remote import public_name
from tldata.schema import TABLES
from tldata.work import Plan, block_name, do_block, start_worker, write_atomically

CUTTERS = 4  # sources that are cut at once
AHEAD = 8  # blocks that a cutter may be ahead
RETRIES = 4  # of a task whose process or machine was lost
Files = dict[str, bytes]  # path within the staging folder -> content


class ClusterLost(DatasetError):
    """Workers were lost again and again, or the cluster; what is done is kept."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a task has to know: the plan, the files that it names on the driver's machine, and who asks."""

    plan: Plan
    files: Files
    version: str


def do_blocks_on_ray(
    plan: Plan, size: int, address: str | None, workers: int | None, book: Callable[[Block, dict[str, Any]], None]
) -> None:
    """Do every block that has no marker yet on a Ray cluster, writing the parts that come back into the staging folder.

    Args:
        plan: the run; its sources must be within reach of the cluster's machines (URLs, or a file system that all share).
        size: bytes a block, as for the engine local, so that both make the same parts.
        address: of a cluster; None: RAY_ADDRESS, else a cluster of this machine for this run.
        workers: blocks at once; on a cluster for this run, its cores.
        book: called with each block that is done and its counts.

    Raises:
        UsageError: ray is not installed, or there is no such cluster.
        InputError: a source cannot be read, or not from there.
        DatasetError: a block's worker was lost again and again; what is done is kept.
    """
    with cluster(address, workers) as (ray, at_once):
        errand = ray.put(_errand(plan))
        done = frozenset(path.stem for path in (plan.staging / "blocks").glob("*.json"))
        cut_task = ray.remote(num_cpus=0, max_retries=RETRIES, num_returns="streaming")(_cut)
        cut_task = cut_task.options(_generator_backpressure_num_objects=2 * AHEAD)
        block_task = task(ray, _do_block)
        waiting = iter(range(len(plan.sources)))
        cutters: list[Any] = []
        pending: dict[Any, Block] = {}
        while True:
            more = islice(waiting, CUTTERS - len(cutters))
            cutters.extend(cut_task.remote(errand, index, size, done) for index in more)
            watched = [*pending, *(cutters if len(pending) < at_once() else ())]
            if not watched:
                return
            (ready,), _ = ray.wait(watched, num_returns=1)
            if ready in pending:
                block = pending.pop(ready)
                files, counts = ray.get(ready)
                _keep(plan, block_name(block), files, counts)
                book(block, counts)
                continue
            head = next(ready, None)
            if head is None:
                cutters.remove(ready)
                continue
            block, travels = ray.get(head)
            if block_name(block) in done:
                book(block, orjson.loads((plan.staging / "blocks" / f"{block_name(block)}.json").read_bytes()))
            else:
                pending[block_task.remote(errand, next(ready) if travels else block)] = block


def task(ray: Any, function: Callable[..., Any]) -> Any:
    """A function as a task of one core, done again where its process, its machine or a system call of it is lost."""
    return ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=[OSError])(function)


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[tuple[Any, Callable[[], int]]]:
    """Ray, connected: to the cluster this process is connected to already, a given one, or one of this machine that ends with the run.

    With it comes how many tasks may be under way: two a core, so that none waits for work and what waits is bounded. What a
    task raises is raised as it would have been here; what the cluster itself does wrong becomes a ClusterLost.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray reports its use to its makers unless told not to
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UsageError("the engine ray is not installed", hint="pip install 'tldata[ray]'\n--engine local") from None
    place = address or os.environ.get("RAY_ADDRESS") or "local"
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, place, workers)
    limit = None if ours and place == "local" else workers

    def at_once() -> int:
        return limit or 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)

    try:
        yield ray, at_once
    except ray.exceptions.RayTaskError as error:
        raise _cause(error) from None
    except ray.exceptions.RayError as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise ClusterLost(
            f"the cluster lost a worker {RETRIES + 1} times over one piece of work, or was lost itself ({reason}); what is done is kept",
            hint="run the same command again: it resumes\n--workers N does less at once, in less memory",
        ) from None
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, place: str, workers: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    try:
        if place == "local":
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=place, **quiet)
    except Exception as error:  # ConnectionError, ValueError, RuntimeError, by the kind of address
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"no Ray cluster at {public_name(place)}: {reason}", hint="--ray-address HOST:6379\n--engine local"
        ) from None


def _errand(plan: Plan) -> Errand:
    named = [*(rule for rule in plan.rules if rule != "authors"), *([plan.tools] if plan.tools else [])]
    files = {name: Path(name).read_bytes() for name in named}
    sources = tuple(s if s.url else replace(s, path=s.path.absolute()) for s in plan.sources)
    return Errand(replace(plan, sources=sources), files, __version__)


def _keep(plan: Plan, name: str, files: Files, counts: dict[str, Any]) -> None:
    """Write a block's parts, and last its marker."""
    for place, content in files.items():
        partial = plan.staging / f"{place}.tmp"
        partial.write_bytes(content)
        partial.replace(plan.staging / place)
    write_atomically(plan.staging / "blocks" / f"{name}.json", orjson.dumps(counts))


def _cause(error: Any) -> Exception:
    """What went wrong in a task, as it would have been raised here."""
    cause = error.cause
    while hasattr(cause, "cause") and isinstance(cause.cause, Exception):
        cause = cause.cause
    return cause if isinstance(cause, Exception) else DatasetError(str(error).partition("\n")[0])


# What follows runs on the cluster.

_ROOM: dict[Errand | str, Any] = {}


def _cut(errand: Errand, index: int, size: int, done: frozenset[str]) -> Iterator[Any]:
    """A source's blocks: of each its head, without bytes and with whether it travels, then, if so, the whole for the task that does it."""
    check_version(errand.version)
    source = errand.plan.sources[index]
    with _within_reach(source.name):
        for block in cut(source, index, size):
            length = len(block.data) if block.data is not None else block.length
            travels = block.data is not None and block_name(block) not in done
            yield replace(block, data=None, bounds=None, length=length) if block.data is not None else block, travels
            if travels:
                yield block


def _do_block(errand: Errand, block: Block) -> tuple[Files, dict[str, Any]]:
    """One block's part files and counts, made in a folder of this process."""
    room = _room(errand)
    for leftover in room.glob("*/*"):  # of a block that was given up
        leftover.unlink()
    with _within_reach(errand.plan.sources[block.source].name):
        _, counts = do_block(block)
    files: Files = {}
    for path in sorted(room.glob("*/*")):
        if path.parent.name != "blocks":
            files[path.relative_to(room).as_posix()] = path.read_bytes()
        path.unlink()
    return files, counts


def _room(errand: Errand) -> Path:
    """This process's folder for an errand, prepared for its blocks; a process does one errand at a time."""
    if _ROOM.get("errand") != errand:
        import pyarrow as pa

        check_version(errand.version)
        pa.set_cpu_count(1)
        if _ROOM:
            shutil.rmtree(_ROOM["room"], ignore_errors=True)
        _ROOM.clear()
        folder = Path(tempfile.mkdtemp(prefix="tldata-ray-"))
        room, given = folder / "staging", folder / "given"
        for table in (*TABLES, "prefixes", "spilled", "blocks"):
            (room / table).mkdir(parents=True)
        given.mkdir()
        places = {}
        for number, (name, content) in enumerate(errand.files.items()):
            place = given / f"{number}-{Path(name).name}"
            place.write_bytes(content)
            places[name] = str(place)
        plan = errand.plan
        rules = tuple(places.get(rule, rule) for rule in plan.rules)
        start_worker(replace(plan, staging=room, rules=rules, tools=plan.tools and places[plan.tools]))
        _ROOM.update(errand=errand, room=folder)
    return Path(_ROOM["room"]) / "staging"


def check_version(theirs: str) -> None:
    """Refuse work from another version of tldata, whose parts would differ."""
    if theirs != __version__:
        raise UsageError(
            f"the cluster has tldata {__version__}, the one that asks {theirs}",
            hint="install the same version on both",
        )


@contextmanager
def _within_reach(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(
            f"{name}: not within reach of the cluster's machine {os.uname().nodename}",
            hint="a URL (s3://, gs://, https://), or a file system that all machines share\n--engine local",
        ) from None
