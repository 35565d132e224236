"""Do the parts of a token set on a Ray cluster: each part's rows go to a task with it, its tokens come back, so no disk is shared."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tldata import __version__
from tldata.ray_engine import ClusterLost, check_version, cluster, task
from tldata.tokenize.cut import COPIED, Part, table_files
from tldata.tokenize.encode import Encoder, read_encoder
from tldata.tokenize.part import start_worker, tokenise_part
from tldata.tokenize.plan import Plan
from tldata.tokenize.run import WorkerKilled
from tldata.work import COMPRESSION, write_atomically

SHIPPED = (
    "tokenizer.json",
    "encoder.json",
    "inferred.json",
    "toolsets.arrow",
    "toolsets-index.arrow",
)  # of the plan's work folder, where they are
Tables = dict[str, bytes]  # table -> its rows of one part, as Parquet


@dataclass(frozen=True, slots=True)
class Errand:
    """What all parts share: the plan, the tokenizer and the tool sets as files, and who asks."""

    plan: Plan
    files: dict[str, bytes]
    version: str


def run_parts_on_ray(
    plan: Plan,
    parts: Sequence[str],
    encoder: Encoder,
    workers: int | None,
    progress: Callable[[int], None],
    *,
    address: str | None,
) -> dict[str, dict[str, Any]]:
    """The results of some parts, by name, as ``run_parts`` gives them; the same files in the staging folder.

    Args:
        encoder: the loaded tokenizer.
        workers: parts at once; on a cluster for this run, its cores.
        progress: called with how many trajectories are done so far.
        address: of a cluster; None: RAY_ADDRESS, else a cluster of this machine for this run.

    Raises:
        UsageError: ray is not installed, or there is no such cluster.
        WorkerKilled: a part's worker was lost again and again; what is done is kept.
    """
    results = {part: result for part in parts if (result := plan.done(part)) is not None}
    count = sum(result["size"] for result in results.values())
    progress(count)
    todo = [plan.part(part) for part in parts if part not in results]
    if not todo:
        return results
    encoder.save(plan.work)
    try:
        with cluster(address, workers) as (ray, at_once):
            errand = ray.put(_errand(plan))
            part_task = task(ray, _do_part)
            waiting = zip(todo, _cut_tables(plan.tables, todo), strict=True)
            pending: list[Any] = []
            while True:
                while len(pending) < at_once() and (following := next(waiting, None)) is not None:
                    pending.append(part_task.remote(errand, *following))
                if not pending:
                    return results
                (ready,), pending = ray.wait(pending, num_returns=1)
                result, rows = ray.get(ready)
                _keep(plan, result, rows)
                results[result["part"]] = result
                count += result["size"]
                progress(count)
    except ClusterLost as error:
        raise WorkerKilled(error.message, hint=error.hint) from None


def _keep(plan: Plan, result: dict[str, Any], rows: bytes | None) -> None:
    """Write a part's rows, and last its marker."""
    if rows is not None:
        partial = plan.rows_of(result["part"]).with_suffix(".tmp")
        partial.write_bytes(rows)
        partial.replace(plan.rows_of(result["part"]))
    write_atomically(plan.marker(result["part"]), orjson.dumps(result))


def _errand(plan: Plan) -> Errand:
    files = {f"work/{name}": (plan.work / name).read_bytes() for name in SHIPPED if (plan.work / name).is_file()}
    if "work/toolsets.arrow" not in files:
        files |= {f"toolsets/{file.name}": file.read_bytes() for file in table_files(plan.dataset, "toolsets")}
    return Errand(replace(plan, parts=()), files, __version__)


def _cut_tables(root: Path, parts: Sequence[Part]) -> Iterator[Tables]:
    """Each part's rows of each table; the parts are in order, so that every row group is read once."""
    readers = {table: _Reader(table_files(root, table)) for table in COPIED}
    for part in parts:
        bounds = {"trajectories": part.trajectories, "messages": part.messages, "calls": part.calls}
        yield {table: _packed(readers[table].read(*bounds[table])) for table in COPIED}


def _packed(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **COMPRESSION)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


class _Reader:
    """Rows of a table by their number over all its files; what was read is kept until rows behind it are asked for."""

    def __init__(self, files: list[Path]) -> None:
        self._groups = ((file, number) for file in files for number in range(pq.read_metadata(file).num_row_groups))
        self._first, self._rows = 0, pq.read_schema(files[0]).empty_table()

    def read(self, first: int, end: int) -> pa.Table:
        """The rows [first, end)."""
        while self._first + self._rows.num_rows < end:
            file, number = next(self._groups)
            keep = min(max(first - self._first, 0), self._rows.num_rows)
            self._first += keep
            with pq.ParquetFile(file) as opened:
                self._rows = pa.concat_tables([self._rows.slice(keep), opened.read_row_group(number)])
        return self._rows.slice(first - self._first, end - first)


# What follows runs on the cluster.

_ROOM: dict[str, Any] = {}


def _do_part(errand: Errand, part: Part, tables: Tables) -> tuple[dict[str, Any], bytes | None]:
    """One part's result and rows, made in a folder of this process."""
    room = _room(errand)
    for table, content in tables.items():
        (room / table / "part.parquet").write_bytes(content)
    sizes = {table: pq.read_metadata(room / table / "part.parquet").num_rows for table in COPIED}
    alone = Part(part.name, *((0, sizes[table]) for table in COPIED))
    plan = replace(errand.plan, dataset=room, tables=room, staging=room, parts=(alone,))
    for leftover in (plan.rows_of(part.name), plan.marker(part.name)):  # of a part that was given up
        leftover.unlink(missing_ok=True)
    worker = start_worker(plan, _ROOM["encoder"])
    worker.overlap = False
    result = tokenise_part(plan, part.name)
    rows = plan.rows_of(part.name).read_bytes() if result["rows"] else None
    plan.rows_of(part.name).unlink(missing_ok=True)
    return result, rows


def _room(errand: Errand) -> Path:
    """This process's folder for an errand, with the tokenizer read; a process does one errand at a time."""
    if _ROOM.get("digest") != errand.plan.digest:
        check_version(errand.version)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        pa.set_cpu_count(1)
        if _ROOM:
            shutil.rmtree(_ROOM["room"], ignore_errors=True)
        _ROOM.clear()
        room = Path(tempfile.mkdtemp(prefix="tldata-ray-"))
        for folder in (*COPIED, "toolsets", "work", "set"):
            (room / folder).mkdir()
        for place, content in errand.files.items():
            (room / place).write_bytes(content)
        if not any((room / "toolsets").iterdir()):
            from tldata.schema import TABLES

            pq.write_table(TABLES["toolsets"].empty_table(), room / "toolsets" / "empty.parquet")
        _ROOM.update(digest=errand.plan.digest, room=room, encoder=read_encoder(room / "work"))
    return Path(_ROOM["room"])
