"""Cut sources into blocks of whole records, each with its place in the file: the unit of work, of resuming and of memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tldata.errors import InputError, RecordError
from tldata.jsontext import loads
from tldata.sources import PEEK, Source, read_exactly, tell_container
from tldata.zips import members

MAX_RECORD = 512 << 20  # bytes; a longer record is rejected instead of held in memory
SPACE = b" \t\r\n"
_QUOTE, _SLASH, _COMMA, _OPEN, _CLOSE = 1, 2, 3, 4, 5
_KIND = np.zeros(256, dtype=np.uint8)  # byte -> what it means for the structure of JSON
for _bytes, _kind in ((b'"', _QUOTE), (b"\\", _SLASH), (b",", _COMMA), (b"{[", _OPEN), (b"}]", _CLOSE)):
    _KIND[list(_bytes)] = _kind


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive records of one source.

    ``first`` is the 1-based number of the first line or element. Plain lines are named by ``offset`` and ``length``, which the worker
    reads itself; unpacked bytes travel in ``data``. ``bounds`` are the elements' ends in ``data`` where they are no lines.
    ``row_group`` names a Parquet row group. ``problem`` is a record's reason to be rejected, known while cutting.
    """

    source: int
    number: int
    first: int
    offset: int = 0
    length: int = 0
    data: bytes | None = None
    bounds: tuple[tuple[int, int], ...] | None = None
    row_group: int | None = None
    problem: str | None = None


def cut(source: Source, index: int, size: int) -> Iterator[Block]:
    """Cut one source into blocks of about ``size`` bytes (at least one record each), in order."""
    if source.container == "parquet":
        yield from _cut_parquet(source, index)
        return
    if source.container == "zip":
        yield from _cut_zip(source, index, size)
        return
    with source.open() as raw:
        stream = _Stream(raw)
        last = Block(index, -1, 1)
        pieces = (
            _cut_lines(stream, index, size, by_offset=not source.packed)
            if source.container == "lines"
            else _cut_values(stream, index, size, in_array=source.container == "array")
        )
        for last in pieces:
            yield last
        if stream.problem is not None:
            yield Block(index, last.number + 1, last.first + 1, problem=stream.problem)


class _Stream:
    """Bytes up to the point where unpacking fails; ``problem`` then says how, instead of an exception that loses what was read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.problem: str | None = None

    def read(self, size: int) -> bytes:
        if self.problem is not None:
            return b""
        try:
            return self._raw.read(
                min(size, 1 << 16) if not isinstance(self._raw, io.FileIO | io.BufferedReader) else size
            )
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            self.problem = f"the compressed data is damaged or ends early: {error}"
            return b""


def records(block: Block, source: Source) -> Iterator[tuple[int, bytes | dict]]:
    """The block's records with their numbers: raw JSON, or a Parquet row. Blank lines are no records."""
    if block.row_group is not None:
        try:
            with pq.ParquetFile(source.open_raw() if source.url else source.path) as file:
                table = file.read_row_group(block.row_group)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{source.name}: the row group from row {block.first:,} cannot be read: {error}",
                hint="take the file from where it came again, or leave it out",
            ) from None
        first = block.first
        for batch in table.to_batches(max_chunksize=512):
            yield from enumerate(_rows(batch), first)
            first += batch.num_rows
        return
    data = block.data
    if data is None:
        data = source.read(block.offset, block.length)
        if len(data) != block.length:
            raise InputError(f"{source.name}: became shorter while it was read", hint="run the command again")
    if block.bounds is not None:
        for number, (start, end) in enumerate(block.bounds, block.first):
            yield number, data[start:end]
        return
    for number, line in enumerate(data.split(b"\n"), block.first):
        if line and not line.isspace():
            yield number, line


def parse(raw: bytes | dict) -> tuple[object, tuple[str, ...]]:
    """A record's value and its repairs; raises RecordError where there is no value."""
    return (raw, ()) if isinstance(raw, dict) else loads(raw)


def _cut_zip(source: Source, index: int, size: int) -> Iterator[Block]:
    """Cut the members of a zip one after the other; numbers of lines and elements go on from member to member."""
    number, first = 0, 1
    for member in members(source, MAX_RECORD):
        if member.problem is not None:
            yield Block(index, number, first, data=member.data, problem=member.problem)
            number, first = number + 1, first + 1
            continue
        if member.whole:
            yield Block(index, number, first, data=member.data, bounds=((0, len(member.data)),))
            number, first = number + 1, first + 1
            continue
        stream = _Stream(io.BytesIO(member.data))
        container = tell_container(member.data[:PEEK])
        pieces = (
            _cut_lines(stream, index, size, by_offset=False)
            if container == "lines"
            else _cut_values(stream, index, size, in_array=container == "array")
        )
        count = 0
        for block in pieces:
            yield replace(block, number=number, first=first + block.first - 1)
            inside = len(block.bounds) if block.bounds is not None else (block.data or b"").count(b"\n") + 1
            number, count = number + 1, block.first - 1 + inside
        first += count


def _cut_lines(stream: _Stream, index: int, size: int, *, by_offset: bool) -> Iterator[Block]:
    offset, first, number = 0, 1, 0
    tail = stream.read(3)
    if tail == b"\xef\xbb\xbf":  # byte order mark
        offset, tail = 3, b""
    while True:
        piece = read_exactly(stream, size)
        last = len(piece) < size
        data = tail + piece
        end = len(data) if last else data.rfind(b"\n") + 1
        if end == 0 and len(data) > MAX_RECORD:
            skipped, found, rest = _skip_line(stream, size)
            yield Block(index, number, first, problem=f"a line of more than {MAX_RECORD >> 20} MB")
            offset, first, number = offset + len(data) + skipped, first + 1, number + 1
            tail = rest
            if not found:
                return
            continue
        if end:
            ready = data[:end]
            if not ready.isspace():
                yield Block(index, number, first, offset, end, None if by_offset else ready)
                number += 1
            first += ready.count(b"\n")
            offset += end
        tail = data[end:]
        if last:
            return


def _skip_line(stream: _Stream, size: int) -> tuple[int, bool, bytes]:
    """Read past the next line feed: bytes passed, whether there was one, and what was read after it."""
    passed = 0
    while piece := read_exactly(stream, size):
        at = piece.find(b"\n")
        if at >= 0:
            return passed + at + 1, True, piece[at + 1 :]
        passed += len(piece)
    return passed, False, b""


def _cut_values(stream: _Stream, index: int, size: int, *, in_array: bool) -> Iterator[Block]:
    """Cut the elements of an array, or values that follow each other, without parsing them."""
    data, first, number, wanted = b"", 1, 0, size
    started = not in_array
    while True:
        piece = read_exactly(stream, wanted)
        last = len(piece) < wanted
        data += piece
        if not started:
            data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not data and not last:
                continue
            data, started = data[1:], True  # past the "["
        bounds, used, closed = split_values(data, in_array=in_array)
        if bounds:
            yield Block(index, number, first, data=data[: bounds[-1][1]], bounds=tuple(bounds))
            first, number, wanted = first + len(bounds), number + 1, size
        else:
            wanted = min(2 * wanted, 64 << 20)
        data = data[used:]
        if closed or last:
            break
        if len(data) > MAX_RECORD:
            problem = f"a record of more than {MAX_RECORD >> 20} MB, or quotes and brackets that do not match"
            yield Block(index, number, first, problem=problem)
            return
    rest = data.strip(SPACE)
    if closed:
        rest += read_exactly(stream, 1 << 16).strip(SPACE)
        if rest:
            yield Block(
                index, number, first, data=rest, bounds=((0, len(rest)),), problem="text after the end of the array"
            )
    elif rest:
        yield Block(index, number, first, data=rest, bounds=((0, len(rest)),))
    elif in_array:
        yield Block(index, number, first, problem='the array does not end with "]": the file was cut off here')


def split_values(data: bytes, *, in_array: bool) -> tuple[list[tuple[int, int]], int, bool]:
    """Find whole JSON values by their brackets and quotes alone, vectorised.

    Args:
        data: JSON text that starts between two values (inside the array, or at the top).
        in_array: values are separated by commas and end with ``]``; else they follow each other.

    Returns:
        (start, end) of each complete value, how many bytes they and the separators took, and whether the array ended.

    >>> split_values(b'{"a": "]"}, 2, [3]] x', in_array=True)
    ([(0, 10), (12, 13), (15, 18)], 19, True)
    """
    kinds = _KIND[np.frombuffer(data, dtype=np.uint8)]
    places = np.flatnonzero(kinds)
    kinds = kinds[places]
    quotes = kinds == _QUOTE
    slashes = np.flatnonzero(kinds == _SLASH)
    if slashes.size:  # a quote right after an odd run of backslashes is escaped
        at = places[slashes]
        breaks = np.flatnonzero(np.diff(at) > 1)
        run_start = at[np.concatenate(([0], breaks + 1))]
        last = slashes[np.concatenate((breaks, [slashes.size - 1]))]
        odd = last[((places[last] - run_start) % 2 == 0) & (last + 1 < places.size)]
        quotes[odd[places[odd + 1] == places[odd] + 1] + 1] = False
    outside = (np.cumsum(quotes) & 1) == 0
    keep = outside & (kinds >= (_COMMA if in_array else _OPEN))
    places, kinds = places[keep], kinds[keep]
    depth = np.cumsum((kinds == _OPEN).astype(np.int32) - (kinds == _CLOSE))
    bounds: list[tuple[int, int]] = []
    start, closed = 0, False
    if in_array:
        ends = places[((kinds == _COMMA) & (depth == 0)) | (depth < 0)]
        stop = places[depth < 0]
        closed = stop.size > 0
        limit = int(stop[0]) if closed else len(data)
        for end in ends[ends <= limit].tolist():
            _append_trimmed(bounds, data, start, end)
            start = end + 1
    else:
        for end in (places[(kinds == _CLOSE) & (depth <= 0)] + 1).tolist():
            _append_trimmed(bounds, data, start, end)
            start = end
    return bounds, start, closed


def _append_trimmed(bounds: list[tuple[int, int]], data: bytes, start: int, end: int) -> None:
    while start < end and data[start] in SPACE:
        start += 1
    while end > start and data[end - 1] in SPACE:
        end -= 1
    if start < end:
        bounds.append((start, end))


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch; columns of Arrow's JSON type, and lists of it, hold JSON values and not their text."""
    rows = batch.to_pylist()
    for field in batch.schema:
        if isinstance(field.type, pa.JsonType):
            for row in rows:
                row[field.name] = _value(row[field.name])
        elif pa.types.is_list(field.type) and isinstance(field.type.value_type, pa.JsonType):
            for row in rows:
                row[field.name] = [_value(text) for text in row[field.name]] if row[field.name] is not None else None
    return rows


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return loads(text.encode("utf-8", "replace"))[0]
    except RecordError:
        return text


def _cut_parquet(source: Source, index: int) -> Iterator[Block]:
    try:
        with pq.ParquetFile(source.open_raw() if source.url else source.path) as file:
            metadata = file.metadata
    except Exception as error:
        raise InputError(
            f"{source.name}: no readable Parquet: {error}", hint="was the file written completely?"
        ) from None
    first = 1
    for group in range(metadata.num_row_groups):
        yield Block(index, group, first, row_group=group)
        first += metadata.row_group(group).num_rows


__all__ = ["MAX_RECORD", "Block", "RecordError", "cut", "parse", "records", "split_values"]
