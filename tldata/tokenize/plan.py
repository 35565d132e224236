"""The plan of a token set: everything that decides its bytes, and the folder in which its parts gather until they are complete."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from tldata import __version__
from tldata.errors import DatasetError
from tldata.tokenize import declarations
from tldata.tokenize.cut import Part, table_files, table_rows, tables_in_order
from tldata.tokenize.encode import Encoder
from tldata.tokenize.load import has_undeclared, inferred_names
from tldata.tokenize.render import ChatTemplate
from tldata.tokenize.rows import RowOptions
from tldata.tokenize.write import write_whole

READ = ("trajectories", "messages", "calls", "toolsets")


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template as text, with the variables that it sees."""

    name: str
    source: str
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Equal plans give equal parts, so a run can be resumed, and its parts can be done anywhere. Holds plain values only.

    ``dataset``: the annotated dataset; ``tables``: where its tables stand in the order of the trajectories; ``staging``: the
    folder beside the token set; ``tools``: declarations for trajectories that have none, as JSON; ``moment``: the time that
    templates print; ``digest``: of all that decides the content.
    """

    dataset: Path
    tables: Path
    staging: Path
    parts: tuple[Part, ...]
    template: Template
    moment: datetime
    rows: RowOptions
    excluded: frozenset[str]
    tools: str | None
    digest: str

    @property
    def folder(self) -> Path:
        """What becomes the token set."""
        return self.staging / "set"

    @property
    def work(self) -> Path:
        """What only the run needs: the plan, the tokenizer, the markers of parts that are done."""
        return self.staging / "work"

    @property
    def toolsets(self) -> Path:
        return self.work / "toolsets.arrow"

    def part(self, name: str) -> Part:
        """A part by its name."""
        return next(part for part in self.parts if part.name == name)

    def rows_of(self, part: str) -> Path:
        """The file with a part's rows."""
        return self.folder / f"{part}.parquet"

    def marker(self, part: str) -> Path:
        """The file that says that a part is done, and with what result."""
        return self.work / f"{part}.json"

    def done(self, part: str) -> dict[str, Any] | None:
        """The result of a part that is done, or None."""
        try:
            result: dict[str, Any] = orjson.loads(self.marker(part).read_bytes())
        except FileNotFoundError:
            return None
        return result if not result["rows"] or self.rows_of(part).is_file() else None

    def inferred(self) -> dict[str, tuple[str, ...]]:
        """Names of the tools called in each source; empty where every trajectory declares its tools."""
        try:
            found = orjson.loads((self.work / "inferred.json").read_bytes())
        except FileNotFoundError:
            return {}
        return {source: tuple(names) for source, names in found.items()}


def begin(
    dataset: Path,
    target: Path,
    encoder: Encoder,
    template: ChatTemplate,
    rows: RowOptions,
    excluded: frozenset[str],
    tools: list[dict[str, Any]] | None,
    *,
    alone: bool = True,
) -> Plan:
    """Plan a token set and make its staging folder, or keep the parts in it if they came from the same plan.

    Args:
        dataset: the annotated dataset.
        target: the token set to be.
        alone: no other run works in the staging folder, so one of another plan may be removed.

    Raises:
        DatasetError: the dataset is damaged; parts of another plan stand there, and are not ours to remove.
    """
    staging = target.parent / f".{target.name}.partial"
    given = None if tools is None else orjson.dumps(tools).decode()
    variables = tuple(sorted(template.variables.items()))
    identity = hashlib.blake2b(digest_size=16)
    for value in (
        __version__,
        [(str(file.relative_to(dataset)), file.stat().st_size, file.stat().st_mtime_ns)
         for table in READ for file in table_files(dataset, table)],
        encoder.digest, template.name, template.source, variables, rows, sorted(excluded), given,
    ):  # fmt: skip
        identity.update(repr(value).encode())
    digest = identity.hexdigest()
    state = staging / "work" / "plan.json"
    known = orjson.loads(state.read_bytes()) if state.is_file() else {}
    if known.get("plan") != digest:
        if known and not alone:
            raise DatasetError(
                f"{staging}: an unfinished token set of other options or data", hint="another --name, or remove it"
            )
        if alone:
            state.unlink(missing_ok=True)  # first, so that a removal that is cut short leaves nothing to go on with
            shutil.rmtree(staging, ignore_errors=True)
        (staging / "work").mkdir(parents=True, exist_ok=True)
        known = _first(state, {"plan": digest, "moment": template.moment.isoformat()})
        if known["plan"] != digest:
            raise DatasetError(f"{staging}: another run has just begun it with other options", hint="another --name")
    (staging / "set").mkdir(exist_ok=True)
    if alone:
        for leftover in staging.glob("*/*.tmp"):  # half of a part, of a run that was killed
            leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover)
    tables, parts = tables_in_order(dataset, staging / "work" / "tables")
    plan = Plan(
        dataset.absolute(), tables.absolute(), staging.absolute(), tuple(parts), Template(template.name, template.source, variables),
        datetime.fromisoformat(known["moment"]), rows, excluded, given, digest,
    )  # fmt: skip
    if tools is None and has_undeclared(dataset):
        write_whole(plan.work / "inferred.json", orjson.dumps(inferred_names(dataset)))
    if table_rows(dataset, "toolsets") > declarations.IN_MEMORY and not declarations.is_spooled(plan.toolsets):
        declarations.spool(dataset, plan.toolsets)
    return plan


def close(plan: Plan) -> None:
    """Forget which parts are done, before the set goes to its place: what lies in the folder afterwards is the old set's."""
    (plan.work / "plan.json").unlink()


def remove(plan: Plan) -> None:
    """Remove what the run of a plan left beside the token set."""
    shutil.rmtree(plan.staging, ignore_errors=True)


def _first(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write a file unless another process was faster; returns what stands there."""
    mine = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    mine.write_bytes(orjson.dumps(content))
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    except OSError as error:  # a file system without hard links
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        mine.replace(path)
    mine.unlink(missing_ok=True)
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


@contextmanager
def locked(target: Path, *, alone: bool) -> Iterator[None]:
    """Let one run at a time write a token set, or several shards of one; the lock goes with the process, however it ends.

    Raises:
        DatasetError: another run holds it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.parent / f".{target.name}.lock"
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            if os.fstat(handle.fileno()).st_ino != path.stat().st_ino:  # another run has just ended and removed it
                raise BlockingIOError
        except OSError:
            raise DatasetError(f"{target}: another run is writing it", hint="wait for it to end") from None
        try:
            yield
        finally:
            if alone:
                path.unlink(missing_ok=True)
