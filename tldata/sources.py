"""Where raw records come from: files, globs, folders, URLs and stdin, plain or compressed, as lines, arrays or Parquet rows."""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import json
import shutil
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import orjson
import zstandard

from tldata import remote
from tldata.errors import InputError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".traj", ".parquet", ".eval")
PACKED = (".gz", ".zst")
REPORT = ".report.json"  # what ``tldata export`` says beside a file; no data
STDIN = "stdin"  # name under which stdin is kept while it is read
ENCODINGS = (  # first bytes of files that are no UTF-8 (PowerShell's ">" writes UTF-16), longest first
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"{\0", "utf-16-le"),
    (b"[\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
    (b"\0[", "utf-16-be"),
)
PEEK = 1 << 20  # bytes looked at to tell lines from arrays


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. ``name`` is the path as the user gave it; ``label`` is short and unique, for trajectory ids.

    A file behind a URL has ``url`` and the store's mark of its ``version``; its ``path`` is only a name.
    """

    name: str
    path: Path
    label: str
    container: str  # lines, array, values, parquet or zip
    packed: str  # "", ".gz", ".zst", ".zip", or an encoding of text that is no UTF-8
    size: int  # bytes on disk
    mtime_ns: int
    url: str = ""
    version: str = ""

    def open(self) -> BinaryIO:
        """The file's bytes from the beginning, unpacked."""
        return unpack(self.open_raw(), self.packed)

    def open_raw(self) -> BinaryIO:
        """The file's bytes as they are stored, seekable."""
        return remote.open_url(self.url, self.size) if self.url else self.path.open("rb")

    def read(self, offset: int, length: int) -> bytes:
        """Some stored bytes; fewer where the file has become shorter."""
        if self.url:
            return remote.read_range(self.url, offset, length)
        with self.path.open("rb") as handle:
            handle.seek(offset)
            return read_exactly(handle, length)

    def changed(self) -> bool:
        """Whether the file is another one now than when it was found."""
        if self.url:
            return remote.version(self.url) != (self.size, self.version)
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns)


def unpack(raw: BinaryIO, packed: str) -> BinaryIO:
    """Stored bytes unpacked by the kind of packing that ``packed`` names; closing the result closes ``raw``."""
    if packed == ".gz":
        unzipped = gzip.GzipFile(fileobj=raw, mode="rb")
        unzipped.myfileobj = cast(io.FileIO, raw)  # the file that it closes with itself
        return cast(BinaryIO, unzipped)
    if packed == ".zst":
        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        reader = decompressor.stream_reader(raw, read_across_frames=True, closefd=True)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), 1 << 20))
    if packed:
        return cast(BinaryIO, io.BufferedReader(_Recoded(raw, packed), 1 << 20))
    return raw


class _Recoded(io.RawIOBase):
    """A text file in another encoding, read as UTF-8; what cannot be decoded becomes U+FFFD."""

    def __init__(self, raw: BinaryIO, encoding: str) -> None:
        self._file = raw
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and (piece := self._file.read(1 << 18)):
            self._ready = self._decoder.decode(piece).encode("utf-8", "replace")
        if not self._ready:
            self._ready = self._decoder.decode(b"", final=True).encode("utf-8", "replace")
        taken = self._ready[: len(buffer)]
        buffer[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)

    def close(self) -> None:
        self._file.close()
        super().close()


def find_sources(inputs: Iterable[str | Path], spool: Path | None = None) -> list[Source]:
    """Turn what the user named into files, in a stable order.

    Args:
        inputs: files, glob patterns, folders (searched for known suffixes; hidden files and datasets left out), URLs of
            any of these, ``-`` for stdin. A file that is named twice, by whatever path, is read once, under its first name.
        spool: folder in which stdin is kept while it is read.

    Raises:
        InputError: a name matches nothing, or a file cannot be opened.
    """
    named: list[tuple[str, Path, remote.Remote | None]] = []
    for item in inputs:
        text = str(item)
        if text == "-":
            named.append(("-", _spool_stdin(spool), None))
            continue
        if remote.is_url(text):
            files = remote.find(text, _is_data)
            named.extend((remote.public_name(file.url), _path_of(file.url), file) for file in files)
            continue
        path = Path(text)
        if path.is_dir():
            datasets = [m.parent for m in path.rglob("manifest.json") if (m.parent / "trajectories").is_dir()]
            found = sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and _is_data(p.relative_to(path)) and not any(map(p.is_relative_to, datasets))
            )
            if not found:
                raise InputError(
                    f"{text}: the folder holds no file that ends in {', '.join(SUFFIXES)}",
                    hint="name the files themselves, or a glob pattern in quotes",
                )
        elif path.exists():
            found = [path]
        else:
            found = sorted(Path(p) for p in glob.glob(text, recursive=True) if Path(p).is_file())
            if not found:
                raise InputError(f"{text}: no such file or folder", hint="check the path; quote glob patterns")
        named.extend((str(p), p, None) for p in found)
    first: dict[Path | str, tuple[str, Path, remote.Remote | None]] = {}
    for name, path, file in named:
        first.setdefault(path.resolve() if file is None else file.url, (name, path, file))
    unique = list(first.values())
    labels = _labels([Path("stdin") if name == "-" else path for name, path, _ in unique])
    return [_describe(*one, label) for one, label in zip(unique, labels, strict=True)]


def _path_of(url: str) -> Path:
    """A URL as a path, for labels: ``/bucket/day/raw.jsonl`` of s3://bucket/day/raw.jsonl."""
    return Path("/" + remote.public_name(url).partition("://")[2].lstrip("/"))


def _is_data(relative: Path) -> bool:
    if any(part.startswith(".") or part.endswith(".tldata") for part in relative.parts):
        return False
    name = relative.name
    for packed in PACKED:
        name = name.removesuffix(packed)
    return name.endswith(SUFFIXES) and not name.endswith(REPORT)


def _spool_stdin(spool: Path | None) -> Path:
    if spool is None:
        raise InputError("stdin needs a folder to write to", hint="give -o DIR")
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / STDIN
    with path.open("wb") as target:
        shutil.copyfileobj(sys.stdin.buffer, target, 1 << 20)
    return path


def _labels(paths: list[Path]) -> list[str]:
    """The shortest unique end of each path, without suffixes: ``b`` of a/b.jsonl, ``a/b`` where two are called b."""
    stems = []
    for path in paths:
        name = path.name
        for suffix in (*PACKED, *SUFFIXES):
            name = name.removesuffix(suffix)
        stems.append([*path.resolve().parts[1:-1], name or path.name])
    labels = [parts[-1] for parts in stems]
    depth = 1
    while len(set(labels)) < len(labels) and depth < 64:
        depth += 1
        seen: dict[str, int] = {}
        for label in labels:
            seen[label] = seen.get(label, 0) + 1
        labels = ["/".join(parts[-depth:]) if seen[old] > 1 else old for old, parts in zip(labels, stems, strict=True)]
    if len(set(labels)) < len(labels):  # a.json and a.jsonl side by side
        labels = [f"{label}#{index}" if labels.count(label) > 1 else label for index, label in enumerate(labels)]
    return labels


def _describe(name: str, path: Path, file: remote.Remote | None, label: str) -> Source:
    try:
        if file is None:
            stat = path.stat()
            source = Source(name, path, label, "", "", stat.st_size, stat.st_mtime_ns)
        else:
            source = Source(name, path, label, "", "", file.size, 0, file.url, file.version)
        with source.open_raw() as handle:
            magic = handle.read(4)
        packed = ".gz" if magic[:2] == b"\x1f\x8b" else ".zst" if magic == b"\x28\xb5\x2f\xfd" else ""
        packed = packed or next((name for mark, name in ENCODINGS if magic.startswith(mark)), "")
        if magic == b"PAR1":
            container = "parquet"
        elif magic in (b"PK\x03\x04", b"PK\x05\x06"):
            container, packed = "zip", ".zip"
        else:
            with replace(source, packed=packed).open() as stream:
                container = tell_container(_head(stream))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{name}: cannot be read: {reason}", hint="check the file and its permissions") from None
    return replace(source, container=container, packed=packed)


def _head(stream: BinaryIO) -> bytes:
    """The first bytes, as far as they can be unpacked; reading on meets the damage again and reports it."""
    head = b""
    try:
        while len(head) < PEEK and (piece := stream.read(1 << 16)):
            head += piece
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
        pass
    return head


def tell_container(head: bytes) -> str:
    """Tell from a file's first bytes whether it holds lines, one array, or values that span lines.

    >>> tell_container(b'{"a": 1}\\n{"a": 2}\\n'), tell_container(b'[{"a": 1}]'), tell_container(b'{\\n  "a": 1\\n}')
    ('lines', 'array', 'values')
    """
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body.startswith(b"["):
        first = body.split(b"\n", 1)[0]
        rest = body[len(first) :].strip()
        if rest.startswith(b"[") and _parses(first):
            return "lines"
        message = _first_value(body[1:])[0]  # an array of messages is one conversation
        return "values" if isinstance(message, dict) and isinstance(message.get("role"), str) else "array"
    if not body.startswith(b"{"):
        return "lines"
    lines = body.split(b"\n")
    complete = lines if len(body) < PEEK - 4 else lines[:-1]
    if not complete or any(line.startswith(b"{") and _parses(line) for line in complete[:200]):
        return "lines"
    if len(complete) > 1 and complete[1][:1] in b' \t}\r"':
        return "values"
    return "values" if _first_value(body)[1].startswith(b"{") else "lines"  # {...}{...} on one line


def _first_value(body: bytes) -> tuple[Any, bytes]:
    """The JSON value that a file's head begins with, None where it does not end there, and what follows it."""
    text = body.decode("utf-8", "replace").lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, b""
    return value, text[end : end + 64].lstrip().encode()


def _parses(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_exactly(stream: Readable, size: int) -> bytes:
    """Read ``size`` bytes or up to the end, whichever comes first (unpackers return less at will)."""
    pieces = []
    while size > 0:
        piece = stream.read(size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
