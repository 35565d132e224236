"""Read an annotated dataset as conversations, a batch at a time: one part of it, or the whole, in the order of its tables."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tldata.errors import DatasetError
from tldata.schema import NOT_ERRORS
from tldata.tokenize.conversation import Call, Conversation, openai_tools
from tldata.tokenize.cut import Part, table_files, whole
from tldata.tokenize.declarations import Declarations, DeclarationsInMemory, SpooledDeclarations

BATCH_ROWS = 8192  # rows turned into Python objects at a time
BATCH_CHARACTERS = 300_000  # of content in one batch of conversations: small, so that rendering and tokenising overlap
BATCH_CONVERSATIONS = 32
TOOLSETS_KEPT = 512  # as Python objects

TRAJECTORY_COLUMNS = ["trajectory_id", "source", "toolset_id"]
MESSAGE_COLUMNS = ["trajectory_id", "turn", "role", "content", "reasoning", "name", "tool_call_id", "trainable"]
CALL_COLUMNS = [
    "trajectory_id", "turn", "call_index", "tool_name", "arguments", "raw_call", "call_id", "category", "is_error", "trainable",
]  # fmt: skip


class Loader:
    """Reads the conversations of a dataset folder.

    Args:
        path: the dataset folder.
        excluded: error categories whose calls are not trained on.
        given_tools: OpenAI declarations for trajectories that declare none.
        root: a copy of the tables in the order of the trajectories (cut.py), where the dataset's own are not.
        toolsets: the declarations in a file (``declarations.spool``), instead of reading them into memory.
        inferred: names of the tools called in each source (``inferred_names``), for trajectories that declare none.

    Raises:
        DatasetError: a table is missing or its rows do not belong together.
    """

    def __init__(
        self,
        path: Path,
        excluded: frozenset[str],
        given_tools: list[dict[str, Any]] | None = None,
        *,
        root: Path | None = None,
        toolsets: Path | None = None,
        inferred: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.path = path
        self.root = root or path
        self.excluded = excluded
        self.given_tools = given_tools
        self._toolsets: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._declared: Declarations = DeclarationsInMemory(path) if toolsets is None else SpooledDeclarations(toolsets)
        self._inferred = inferred
        self._trajectories = _Rows(table_files(self.root, "trajectories"), TRAJECTORY_COLUMNS)
        self._messages = _Rows(table_files(self.root, "messages"), MESSAGE_COLUMNS)
        self._calls = _Rows(table_files(self.root, "calls"), CALL_COLUMNS)

    def batches(self, part: Part | None = None) -> Iterator[list[Conversation]]:
        """Conversations of a part, or of the whole, in batches of bounded size."""
        batch: list[Conversation] = []
        size = 0
        for conversation in self._conversations(part or whole(self.root)):
            batch.append(conversation)
            size += sum(len(message["content"] or "") for message in conversation.messages)
            if size >= BATCH_CHARACTERS or len(batch) >= BATCH_CONVERSATIONS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _conversations(self, part: Part) -> Iterator[Conversation]:
        messages = _groups(self._messages.read(*part.messages))
        calls = _groups(self._calls.read(*part.calls))
        next_call = next(calls, None)
        for columns in self._trajectories.read(*part.trajectories):
            for identity, source, toolset in zip(*columns, strict=True):
                own_messages = next(messages, None)
                if own_messages is None or own_messages[0] != identity:
                    raise DatasetError(f"{self.path}: {identity} has no messages", hint="annotate the sources again")
                own_calls: list[tuple[Any, ...]] = []
                if next_call is not None and next_call[0] == identity:
                    own_calls = next_call[1]
                    next_call = next(calls, None)
                yield self._conversation(identity, source, toolset, own_messages[1], own_calls)
        if next_call is not None:
            raise DatasetError(
                f"{self.path}: calls of {next_call[0]}, which is no trajectory", hint="annotate the sources again"
            )

    def _conversation(
        self, identity: str, source: str, toolset: str | None, rows: list[tuple[Any, ...]], calls: list[tuple[Any, ...]]
    ) -> Conversation:
        messages: list[dict[str, Any]] = []
        trainable = []
        rows.sort(key=lambda row: row[1])
        for _, _, role, content, reasoning, name, call_id, trains in rows:
            message = {"role": role, "content": content}
            if reasoning is not None:  # under both names, as transformers gives it to templates
                message = {"thinking": reasoning, **message, "reasoning_content": reasoning}
            if name is not None:
                message["name"] = name
            if call_id is not None:
                message["tool_call_id"] = call_id
            messages.append(message)
            trainable.append(trains is not False)
        conversation = Conversation(identity, messages, trainable)
        for _, turn, index, called, arguments, raw, call_id, category, is_error, trains in sorted(
            calls, key=lambda c: (c[1], c[2])
        ):
            wrong = (category in self.excluded) if category is not None else bool(is_error and self.excluded)
            if not 0 <= turn < len(messages):
                raise DatasetError(f"{self.path}: {identity} has a call in message {turn}, which it does not have")
            if messages[turn]["role"] != "assistant":
                conversation.calls_of_others += 1
                continue
            call = Call(turn, index, called, arguments, raw, call_id, category, bool(wrong) or trains is False)
            conversation.calls.setdefault(turn, []).append(call)
        if toolset is not None:
            conversation.tools = self._tools(toolset) or None
            conversation.names_key = toolset
        elif self.given_tools is not None:
            conversation.tools = self.given_tools
            conversation.names_key = "given"
        if conversation.tools is not None:
            conversation.names = tuple(dict.fromkeys(tool["function"]["name"] for tool in conversation.tools))
        elif toolset is None:
            conversation.names = self._names_called_in(source)
            conversation.names_key = f"called in {source}"
        return conversation

    def _tools(self, toolset: str) -> list[dict[str, Any]]:
        if toolset not in self._toolsets:
            self._toolsets[toolset] = openai_tools(self._declared.of(toolset))
            if len(self._toolsets) > TOOLSETS_KEPT:
                self._toolsets.popitem(last=False)
        self._toolsets.move_to_end(toolset)
        return self._toolsets[toolset]

    def _names_called_in(self, source: str) -> tuple[str, ...]:
        if self._inferred is None:
            self._inferred = inferred_names(self.path)
        return self._inferred.get(source, ())


class _Rows:
    """Rows of a table by their number over all its files; the last row group read is kept, for parts that share one."""

    def __init__(self, files: list[Path], columns: list[str]) -> None:
        self.columns = columns
        self._groups: list[tuple[int, int, Path, int]] = []  # first row, end, file, row group
        end = 0
        for file in files:
            metadata = pq.read_metadata(file)
            present = set(metadata.schema.to_arrow_schema().names)
            missing = [column for column in columns if column not in present]
            if missing:
                raise DatasetError(
                    f"{file}: the columns {', '.join(missing)} are missing", hint="annotate the sources again"
                )
            for group in range(metadata.num_row_groups):
                first, end = end, end + metadata.row_group(group).num_rows
                self._groups.append((first, end, file, group))
        self.total = end
        self._kept: tuple[int, pa.Table] | None = None

    def read(self, first: int, end: int) -> Iterator[list[list[Any]]]:
        """The columns of the rows [first, end) as Python lists, some thousand rows at a time."""
        for number, (begins, ends, file, group) in enumerate(self._groups):
            if ends <= first or begins >= end:
                continue
            if self._kept is None or self._kept[0] != number:
                self._kept = None  # before the next one is read
                table = pq.ParquetFile(file).read_row_group(group, columns=self.columns, use_threads=False)
                self._kept = (number, table.select(self.columns))
            table = self._kept[1]
            for at in range(max(first - begins, 0), min(end, ends) - begins, BATCH_ROWS):
                rows = table.slice(at, min(BATCH_ROWS, min(end, ends) - begins - at))
                yield [column.to_pylist() for column in rows.columns]


def has_undeclared(path: Path) -> bool:
    """Whether a trajectory declares no tools."""
    columns = (pq.ParquetFile(f).read(["toolset_id"]).column(0) for f in table_files(path, "trajectories"))
    return any(column.null_count for column in columns)


def inferred_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Names of the tools called in each source, for trajectories that declare none; for key tokens only."""
    sources = {
        identity: source
        for columns in _columns(table_files(path, "trajectories"), TRAJECTORY_COLUMNS[:2])
        for identity, source in zip(*columns, strict=True)
    }
    found: dict[str, dict[str, None]] = {}
    for columns in _columns(table_files(path, "calls"), ["trajectory_id", "tool_name"]):
        for identity, name in zip(*columns, strict=True):
            if name:
                found.setdefault(sources.get(identity, ""), {})[name] = None
    return {source: tuple(names) for source, names in found.items()}


def excluded_categories(mask: str | Sequence[str]) -> frozenset[str]:
    """The categories that ``--mask`` leaves out of the loss: ``paper`` all errors, ``model`` all but tool_instability, ``none``, or a list.

    Raises:
        UsageError: a name that is no error category.

    >>> sorted(excluded_categories("tool_call_failure,others"))
    ['others', 'tool_call_failure']
    """
    from tldata.errors import UsageError
    from tldata.schema import CATEGORIES

    errors = frozenset(CATEGORIES) - NOT_ERRORS
    named = {"paper": errors, "model": errors - {"tool_instability"}, "none": frozenset[str]()}
    if isinstance(mask, str):
        if mask in named:
            return named[mask]
        mask = [part.strip() for part in mask.split(",") if part.strip()]
    unknown = sorted(set(mask) - errors)
    if unknown or not mask:
        raise UsageError(
            f"--mask: no error category: {', '.join(unknown) or '(empty)'}",
            hint=f"paper, model, none, or of {', '.join(sorted(errors))}",
        )
    return frozenset(mask)


def _columns(files: list[Path], columns: list[str]) -> Iterator[list[list[Any]]]:
    """The columns of some files as Python lists, some thousand rows at a time."""
    rows = _Rows(files, columns)
    yield from rows.read(0, rows.total)


def _groups(batches: Iterator[list[list[Any]]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Consecutive rows of the same trajectory_id, which is the first of the columns."""
    current: str | None = None
    rows: list[tuple[Any, ...]] = []
    for values in batches:
        for row in zip(*values, strict=True):
            if row[0] != current:
                if current is not None:
                    yield current, rows
                current, rows = row[0], []
            rows.append(row)
    if current is not None:
        yield current, rows
