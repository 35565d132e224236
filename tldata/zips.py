"""Zip files of JSON members: Inspect's .eval logs, of which each sample becomes a log of its own, and plain zips of records."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

from tldata.sources import Source

MEMBERS = (".json", ".jsonl", ".ndjson", ".traj")
HEADER, START, SAMPLES = (
    "header.json",
    "_journal/start.json",
    "samples/",
)  # of a .eval; start stands in for the header of a run that broke off
SHELL = "/sample.json"
ZSTANDARD = 93  # the method's number, which this Python's zipfile does not know
_FIXED = 30  # bytes of a member's own header before its name


@dataclass(frozen=True, slots=True)
class Member:
    """What one member of a zip holds; ``problem`` says why it could not be read. ``whole``: it is one value, whatever it begins with."""

    name: str
    data: bytes
    problem: str | None = None
    whole: bool = False


def members(source: Source, limit: int) -> Iterator[Member]:
    """The members of a zip that hold records, in the order in which they were written; of equal names the last one.

    Args:
        source: a file whose container is ``zip``.
        limit: bytes; a larger member is a problem instead of being held in memory.
    """
    try:
        with source.open_raw() as raw, zipfile.ZipFile(raw) as archive:
            names = list(dict.fromkeys(info.filename for info in archive.infolist()))
            samples = [name for name in names if name.startswith(SAMPLES) and _is_sample(name)]
            head = next((name for name in (HEADER, START) if name in names), None)
            if head is not None and (samples or HEADER in names):
                yield from _log(archive, head, samples, limit)
                return
            names = [name for name in names if name.endswith(MEMBERS)]
            for name in names:
                yield _read(archive, name, limit)
            if not names:
                yield Member("", b"", "the zip holds no file that ends in " + ", ".join(MEMBERS))
    except zipfile.BadZipFile as error:
        yield Member("", b"", f"no readable zip: {error}")


def _log(archive: zipfile.ZipFile, head: str, samples: list[str], limit: int) -> Iterator[Member]:
    """The samples of a log, each as a log with it alone and without the results over all."""
    header = _read(archive, head, limit)
    opening = header.data.rstrip()
    if header.problem is not None or not opening.endswith(b"}") or len(opening) < 3:
        yield Member(head, header.data, header.problem or f"{head} is no JSON object", whole=True)
        return
    for name in samples:
        sample = _read(archive, name, limit)
        if sample.problem is None and name.endswith(SHELL):
            sample = _joined(archive, name.removesuffix(SHELL), sample, limit)
        data = opening[:-1] + b',"samples":[' + sample.data + b"]}"
        yield Member(name, sample.data if sample.problem else data, sample.problem, whole=True)
    if not samples:
        yield Member(head, opening[:-1] + b',"samples":[]}', whole=True)


def _is_sample(name: str) -> bool:
    """Whether a member is a sample, whole or the shell of one that is kept in pieces."""
    return name.endswith(SHELL) if "/" in name.removeprefix(SAMPLES) else name.endswith(".json")


def _joined(archive: zipfile.ZipFile, folder: str, shell: Member, limit: int) -> Member:
    """A large sample that is kept in pieces: ``messages/0.json``, ``messages/1000.json`` and so on beside its shell."""
    try:
        sample = orjson.loads(shell.data)
        for sequence in ("messages", "events", "attachments"):
            start = f"{folder}/{sequence}/"
            names = {info.filename for info in archive.infolist() if info.filename.startswith(start)}
            numbered = {name: name.removeprefix(start).removesuffix(".json") for name in names}
            items: list[Any] = []
            for name in sorted(
                (n for n, number in numbered.items() if number.isdecimal()), key=lambda n: int(numbered[n])
            ):
                piece = _read(archive, name, limit)
                if piece.problem is not None:
                    return Member(shell.name, shell.data, piece.problem, whole=True)
                items += orjson.loads(piece.data)
            if items:
                sample[sequence] = (
                    {str(n): item for n, item in enumerate(items)} if sequence == "attachments" else items
                )
        return Member(shell.name, orjson.dumps(sample), whole=True)
    except (ValueError, TypeError) as error:
        return Member(shell.name, shell.data, f"{shell.name} in the zip: its pieces are no JSON: {error}", whole=True)


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> Member:
    info = archive.getinfo(name)
    if info.file_size > limit:
        return Member(name, b"", f"{name} in the zip: more than {limit >> 20} MB")
    try:
        if info.compress_type == ZSTANDARD:
            return Member(name, _unpack_zstandard(archive, info, limit))
        with archive.open(info) as handle:
            data = handle.read(limit + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        zstandard.ZstdError,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
    ) as error:
        return Member(name, b"", f"{name} in the zip cannot be read: {error}")
    return (
        Member(name, data)
        if len(data) <= limit
        else Member(name, b"", f"{name} in the zip: more than {limit >> 20} MB")
    )


def _unpack_zstandard(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    raw = archive.fp
    if raw is None or info.flag_bits & 1:
        raise zipfile.BadZipFile("encrypted")
    raw.seek(info.header_offset)
    fixed = raw.read(_FIXED)
    if len(fixed) < _FIXED or fixed[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("its header is damaged")
    lengths = int.from_bytes(fixed[26:28], "little") + int.from_bytes(fixed[28:30], "little")
    raw.seek(info.header_offset + _FIXED + lengths)
    packed = raw.read(info.compress_size)
    with zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(
        io.BytesIO(packed), read_across_frames=True
    ) as reader:
        data = reader.read(limit + 1)
    if len(data) > limit or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile("its checksum differs")
    return data
